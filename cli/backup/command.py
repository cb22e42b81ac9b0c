"""`oneglance backup`: a whole door in one file, sealed under a passphrase."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from oneglance.cli.hidden import ask_hidden
from oneglance.cli.options import ConfigOption

if TYPE_CHECKING:
    from oneglance.config import Config

PASSPHRASE_LEAST = 12
MANIFEST = "manifest.json"
GALLERY = "gallery.db"

PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="Read the passphrase from this file (mode 0600) instead of asking for it.",
        show_default=False,
    ),
]


def backup(
    file: Annotated[Path, typer.Argument(help="Where to put it; nothing is overwritten.")],
    config: ConfigOption = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Back up the whole door in one file: people, keys, audit log, configuration, models.

    It is sealed under a passphrase, without which nobody can read it, not even you. The daemon may
    keep running. Whoever opens it can pose as the door and read every template: keep file and
    passphrase in two places.

    Example: `oneglance backup /media/usb/door-2026-11-29.backup -c ~/door`
    """
    from oneglance.cli.backup.contents import door_parts
    from oneglance.cli.backup.sealed import BackupError, SealingWriter
    from oneglance.config import config_file, load_config
    from oneglance.whole_file import fresh

    path, settings = config_file(config).absolute(), load_config(config)
    if file.exists():
        raise BackupError(
            "there is a file already, and it is never overwritten",
            where=str(file),
            fix="choose another name",
        )
    _check_keys(settings)
    passphrase = asked_passphrase(passphrase_file, again=True)
    try:
        with fresh(file, 0o600, durable=True) as out, _copied_gallery(settings) as gallery:
            sealing = SealingWriter(out, passphrase)
            # Nothing of it is read back, so a stream of its own kind serves.
            with tarfile.open(fileobj=cast(Any, sealing), mode="w|gz") as tar:
                _add(tar, MANIFEST, _manifest(settings, path, gallery))
                if gallery is not None:
                    tar.add(gallery, f"state/{GALLERY}", recursive=False)
                parts = door_parts(settings, path)
                for part in parts:
                    # Read whole: the audit log grows while it is copied.
                    _add(tar, part.name, part.path.read_bytes(), mode=part.path.stat().st_mode)
            sealing.close()
    except OSError as error:
        raise BackupError(
            f"cannot be put away: {error.strerror}",
            where=str(error.filename or file),
            fix="run this as the user that owns the door's files, with room on the disk",
        ) from None
    typer.echo(
        f"{file}: {file.stat().st_size / 1e6:.1f} MB, of {len(parts) + (gallery is not None)} files"
    )
    typer.echo("Try it once: oneglance restore FILE --dir EMPTY-FOLDER")


def _check_keys(config: Config) -> None:
    """Refuse a gallery without its key now, not when the backup is needed. BackupError."""
    from oneglance.cli.backup.sealed import BackupError
    from oneglance.faces.gallery.file import is_there

    if is_there(config.gallery.path) and not config.gallery.key_file.is_file():
        raise BackupError(
            "the key without which the gallery cannot be read is not there",
            where=str(config.gallery.key_file),
            fix="if it is encrypted to this machine, decrypt it for the length of the backup:"
            " systemd-creds decrypt --name=gallery.key gallery.key.cred gallery.key",
        )


def asked_passphrase(file: Path | None, *, again: bool) -> str:
    """From the file or the terminal. ConfigError, BackupError or typer.Abort without one."""
    from oneglance.cli.backup.sealed import BackupError
    from oneglance.secret_file import read_password

    if file is not None:
        passphrase = read_password(file, "backup's passphrase")
    else:
        passphrase = ask_hidden("Passphrase", again=again)
    if again and len(passphrase) < PASSPHRASE_LEAST:
        raise BackupError(
            f"a passphrase of {len(passphrase)} characters is found by trying",
            fix=f"take at least {PASSPHRASE_LEAST}, e.g. five words that have nothing in common",
        )
    return passphrase


def _manifest(config: Config, file: Path, gallery: Path | None) -> bytes:
    """What is in the backup, and where it was on this machine."""
    from oneglance import __version__

    return json.dumps(
        {
            "v": 1,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "oneglance": __version__,
            "site": config.site.name,
            "door": config.site.door,
            "config": str(file),
            "state": str(config.gallery.path.parent.absolute()),
            "gallery": config.gallery.path.name if gallery is not None else None,
        },
        indent=1,
    ).encode()


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o600) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode & 0o777
    tar.addfile(member, io.BytesIO(data))


@contextmanager
def _copied_gallery(config: Config) -> Iterator[Path | None]:
    """A consistent copy of the gallery, even while others write to it; None if there is none."""
    from oneglance.faces.gallery.file import is_there

    if not is_there(config.gallery.path):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="oneglance-backup-") as folder:
        copy = Path(folder) / GALLERY
        uri = f"{config.gallery.path.absolute().as_uri()}?mode=ro"
        source, target = sqlite3.connect(uri, uri=True), sqlite3.connect(copy)
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()
        copy.chmod(0o600)
        yield copy
