"""`oneglance restore`: a door from its backup, kept shut until its owner has confirmed it."""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from oneglance.cli.backup.command import GALLERY, MANIFEST, PassphraseOption, asked_passphrase

if TYPE_CHECKING:
    from oneglance.config import Config


def restore(
    file: Annotated[Path, typer.Argument(help="What `oneglance backup` made.")],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", help="Where configuration and keys go; where they were unless given."
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Where the gallery, counters and audit log go; where they were unless --dir is "
            "given, then DIR/state."
        ),
    ] = None,
    passphrase_file: PassphraseOption = None,
    same_broker: Annotated[
        bool,
        typer.Option(
            "--same-broker",
            help="With --dir: let it speak to the door's broker, as the door. Switch that off"
            " first.",
        ),
    ] = False,
) -> None:
    """Restore a door from its backup; nothing that exists is overwritten.

    The door lets nobody in yet: people deleted since the backup are in the gallery again. Review
    them, and confirm, with `oneglance people accept-restore`.

    In another folder it is a copy to try: whatever its configurations name is moved there, and
    they reach no broker, so that nothing done with them acts on the door that may still be running.

    Example: `oneglance restore door.backup --dir ~/door`
    """
    from oneglance.cli.backup.sealed import BackupError
    from oneglance.whole_file import wipe

    passphrase = asked_passphrase(passphrase_file, again=False)
    with tempfile.TemporaryDirectory(prefix="oneglance-restore-") as opened:
        try:
            manifest, files = _opened(file, passphrase, Path(opened))
            was_in, was_state = Path(manifest["config"]).parent, Path(manifest["state"])
            to = (folder or was_in).expanduser().absolute()
            beside = was_state if folder is None else to / "state"
            to_state = (state or beside).expanduser().absolute()
            was = Path(manifest["config"])
            left = _put_back(files, was, was_state, to, to_state, manifest, same_broker)
        except OSError as error:
            raise BackupError(
                f"cannot be put back: {error.strerror}",
                where=str(error.filename or file),
                fix="run this as a user who may write there, or choose another --dir",
            ) from None
        finally:
            # The door's keys stood there unsealed, and that folder may be on a disk.
            for copy in Path(opened).iterdir():
                with suppress(OSError):
                    copy.chmod(0o600)
                    wipe(copy)
    at = to / Path(manifest["config"]).name
    typer.echo(f"The door {manifest['site']}/{manifest['door']}, as of {manifest['made_at']}: {at}")
    typer.echo("Nobody is let in until you have looked at who is in the gallery: whoever was")
    typer.echo("deleted since then is back, and whoever was enrolled since is not in it.")
    typer.echo("A badge or PIN that was taken away since counts again: take it away once more.")
    typer.echo(f"  oneglance people accept-restore -c {at}")
    typer.echo("If the daemon's key was replaced since then, put the new one there first.")
    if to != was_in and not same_broker:
        typer.echo(
            "It reaches no broker (mqtt.port), so that nothing done here acts on the door it"
        )
        typer.echo("was. To have it take that door's place: oneglance restore --same-broker")
    for name, paths in left.items():
        typer.echo(f"{to / name} still names what is not in {to}: {', '.join(paths)}")


def _opened(file: Path, passphrase: str, into: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """The manifest and all files of a backup, by name, unsealed into a private folder."""
    from oneglance.cli.backup.sealed import BackupError, OpeningReader

    files: dict[str, Path] = {}
    with file.open("rb") as sealed:
        reader = OpeningReader(sealed, passphrase, str(file))
        try:
            with tarfile.open(fileobj=cast(Any, reader), mode="r|gz") as tar:
                for number, member in enumerate(tar):
                    content = tar.extractfile(member) if member.isreg() else None
                    if content is None:
                        raise BackupError("it holds what is no file", where=str(file))
                    files[member.name] = into / str(number)
                    with files[member.name].open("xb") as out:
                        while data := content.read(1_048_576):
                            out.write(data)
                    files[member.name].chmod(member.mode & 0o777)
            # To the very end: what was cut off would be missed only there.
            while reader.read(1_048_576):
                pass
        except tarfile.TarError as error:
            raise BackupError(f"it cannot be unpacked: {error}", where=str(file)) from None
    try:
        manifest = json.loads(files.pop(MANIFEST).read_bytes())
        if manifest["v"] != 1:
            raise BackupError(
                f"a backup of version {manifest['v']}",
                where=str(file),
                fix="take a newer oneglance",
            )
    except (KeyError, ValueError):
        raise BackupError("it says not what it holds", where=str(file)) from None
    return manifest, files


def _put_back(
    files: dict[str, Path],
    was: Path,
    was_state: Path,
    to: Path,
    to_state: Path,
    manifest: dict[str, Any],
    same_broker: bool,
) -> dict[str, list[str]]:
    """Write all files; what each configuration still names elsewhere, by its name."""
    from oneglance.cli.backup.contents import CONFIG, STATE, place_of
    from oneglance.cli.backup.moved import Places, moved_config
    from oneglance.cli.backup.sealed import BackupError
    from oneglance.config import load_config, parse_config

    folders = {str(was.parent): str(to), str(was_state): str(to_state)}
    places, moves = {}, dict(folders)
    for name in files:
        at = f"{STATE}/{manifest['gallery']}" if name == f"{STATE}/{GALLERY}" else name
        try:
            places[name] = place_of(at, to, to_state)
            before = place_of(at, was.parent, was_state)
        except ValueError as error:
            raise BackupError(f"it holds {error}") from None
        if not name.startswith(("state/", "config/")):
            before = Path(was.anchor) / Path(*Path(name).parts[1:])
        # Of a folder that is named, its own path changes.
        for one, other in zip(
            (before, *before.parents), (places[name], *places[name].parents), strict=False
        ):
            if one.name != other.name:
                break
            moves.setdefault(str(one), str(other))
    new_config = places[f"{CONFIG}/{was.name}"]
    texts: dict[Path, str] = {}
    left: dict[str, list[str]] = {}
    if (to, to_state) != (was.parent, was_state):
        there, broker = Places(moves, folders, to, to_state), same_broker or to == was.parent
        for name, place in places.items():
            if name.startswith(f"{CONFIG}/") and place.suffix == ".toml":
                text = files[name].read_text(encoding="utf-8")
                texts[place], elsewhere = moved_config(text, there, broker=broker)
                if elsewhere:
                    left[str(place.relative_to(to))] = elsewhere
        parse_config(tomllib.loads(texts[new_config]), str(new_config))
    for place in places.values():
        if place.exists():
            raise BackupError(
                "there is one already, and nothing is overwritten",
                where=str(place),
                fix="choose another --dir, or move the door that is there away first",
            )
    with ExitStack() as made:
        for name, place in places.items():
            _make_folder(place.parent, made)
            data = texts[place].encode() if place in texts else files[name].read_bytes()
            _write(place, data, files[name], made)
        config = load_config(new_config)
        if config.gallery.path.parent != to_state:
            raise BackupError(
                f"its configuration has the gallery in {config.gallery.path.parent}",
                where=str(to_state),
                fix=f"give --state {config.gallery.path.parent}",
            )
        _forget_nothing(config)
        made.pop_all()
    return left


def _forget_nothing(config: Config) -> None:
    """Mark the gallery as the older copy it is: it counts only once its owner has accepted it."""
    from oneglance.cli.audit_log import configured_witness, open_audit
    from oneglance.faces.gallery.file import is_there
    from oneglance.faces.gallery.gallery import Gallery
    from oneglance.faces.gallery.vault import load_key

    if not is_there(config.gallery.path):
        return
    with Gallery.open(config.gallery.path, load_key(config.gallery.key_file)) as gallery:
        witness = configured_witness(config)
        above = max(witness.highest(), gallery.change_counter()) + 1
        open_audit(config).append(
            "gallery_generation", {"generation": above, "restored": gallery.change_counter()}
        )
        witness.note(above)


def _make_folder(folder: Path, made: ExitStack) -> None:
    from oneglance.ownership import give_to_folders_owner

    missing = list(_missing(folder))
    for each in reversed(missing):
        each.mkdir(mode=0o700)
        made.callback(each.rmdir)
        descriptor = os.open(each, os.O_RDONLY | os.O_DIRECTORY)
        try:
            give_to_folders_owner(descriptor, each.parent)
        finally:
            os.close(descriptor)


def _missing(folder: Path) -> Iterator[Path]:
    while not folder.exists():
        yield folder
        folder = folder.parent


def _write(place: Path, data: bytes, like: Path, made: ExitStack) -> None:
    from oneglance.ownership import give_to_folders_owner
    from oneglance.whole_file import write_new

    write_new(place, data, like.stat().st_mode & 0o777)
    made.callback(place.unlink)
    with place.open("rb") as file:
        give_to_folders_owner(file.fileno(), place.parent)
