"""`oneglance keys`: whose signatures this house accepts."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneglance.cli.options import ConfigOption, JsonOption
from oneglance.contract.keyring import Role

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from oneglance.contract.keyring import KeyEntry, Keyring

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Keys that sign: the daemon's decisions, and commands of screen, reader and "
    "administrator. Make, list, rotate and revoke them.",
)

KeyringOption = Annotated[
    Path | None,
    typer.Option(
        "--keyring",
        help="The keyring file; the configuration's unless given.",
        show_default=False,
    ),
]
DaysOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=36_500, help="It counts for so many days; unless given, until it is revoked."
    ),
]
RoleArgument = Annotated[Role, typer.Argument(help="What it may be used for.")]
_COPY = "Copy the keyring to every machine with a lock or a screen; it counts there at once."


@app.command("list")
def list_keys(
    config: ConfigOption = None, keyring: KeyringOption = None, as_json: JsonOption = False
) -> None:
    """Show all keys of the keyring, and which of them are valid.

    Example: `oneglance keys list -c ~/door/oneglance.toml`
    """
    from oneglance.contract.keyring_file import read_keyring

    ring = read_keyring(_path(config, keyring))
    now = datetime.now(UTC)
    if as_json:
        typer.echo(json.dumps({"keys": [_as_json(key, now) for key in ring.keys]}))
    elif ring.keys:
        _print_table(ring, now)
    else:
        typer.echo("The keyring is empty. See 'oneglance keys make --help'.")


@app.command()
def make(
    role: RoleArgument,
    key_id: Annotated[
        str | None,
        typer.Option("--id", help="Its id, and the name of its files; the role unless given."),
    ] = None,
    days: DaysOption = None,
    config: ConfigOption = None,
    keyring: KeyringOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key beside the keyring: ID.key (mode 0600), ID.pub, and an entry in the keyring.

    The keyring is created if there is none. Move ID.key to the machine it is for, and leave no
    copy.

    Example: `oneglance keys make kiosk --id hall-screen`
    """
    from oneglance.contract.keyring import entry
    from oneglance.key_files import create_key_pair, load_public_key

    key_id = _checked_id(key_id or role.value)
    path = _path(config, keyring)
    private, public = path.with_name(f"{key_id}.key"), path.with_name(f"{key_id}.pub")
    with _edited(path) as (ring, save):
        _check_free(ring, key_id)
        create_key_pair(private, public)
        now = datetime.now(UTC)
        try:
            save(ring.with_entry(entry(key_id, role, load_public_key(public, ""), now, _end(days))))
        except BaseException:
            private.unlink(missing_ok=True)
            public.unlink(missing_ok=True)
            raise
    _log(config, keyring, "made", key_id, role)
    if as_json:
        told = {"id": key_id, "role": role, "private_key": private, "public_key": public}
        typer.echo(json.dumps({name: str(value) for name, value in told.items()}))
        return
    typer.echo(f"{private}: the key {key_id!r} of the role {role}; keep it secret")
    typer.echo(f"{path}: trusts it{_until(_end(days))}")


@app.command()
def trust(
    file: Annotated[Path, typer.Argument(help="A public key in PEM, e.g. made elsewhere.")],
    role: Annotated[Role, typer.Option(help="What it may be used for.")],
    key_id: Annotated[
        str | None, typer.Option("--id", help="Its id; the file's name unless given.")
    ] = None,
    days: DaysOption = None,
    config: ConfigOption = None,
    keyring: KeyringOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a public key to the keyring. First compare its fingerprint with its owner's.

    Example: `oneglance keys trust hall-screen.pub --role kiosk`
    """
    from oneglance.contract.keyring import entry
    from oneglance.key_files import fingerprint, load_public_key

    key_id = _checked_id(key_id or file.stem)
    key = load_public_key(file, "name a public key in PEM, as 'oneglance keys make' writes it")
    path = _path(config, keyring)
    with _edited(path) as (ring, save):
        _check_free(ring, key_id)
        save(ring.with_entry(entry(key_id, role, key, datetime.now(UTC), _end(days))))
    _log(config, keyring, "trusted", key_id, role)
    if as_json:
        typer.echo(json.dumps({"id": key_id, "role": role, "fingerprint": fingerprint(key)}))
        return
    typer.echo(f"{path}: trusts {key_id!r} of the role {role}{_until(_end(days))}")
    typer.echo(f"Its fingerprint: {fingerprint(key)}")


@app.command()
def rotate(
    overlap: Annotated[
        int, typer.Option(min=1, max=3650, help="How many days the old key still counts.")
    ] = 7,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give the daemon a new signing key; the old one stays valid for a while.

    The old key pair is kept beside the new one, as signing.old.key and signing.old.pub, in case the
    new one cannot be used yet. The running daemon keeps using the old one until it is restarted, so
    nothing stops: copy the keyring to locks and screens first, then restart the daemon.

    Example: `oneglance keys rotate --overlap 14`
    """
    from oneglance.config import load_config
    from oneglance.contract.keyring import Keyring
    from oneglance.contract.signing import load_signing_key

    settings = load_config(config)
    private = settings.signing.key_file
    old = load_signing_key(private)
    path = settings.keyring_file
    with _edited(path) as (ring, save):
        old_id = ring.id_of(old.public_key())
        if old_id is None:
            old_id = _free_id(ring)
            ring = ring.with_entry(Keyring.of(old.public_key(), old_id).keys[0])
        new_id = _free_id(ring)
        now = datetime.now(UTC)
        until = now + timedelta(days=overlap)
        _replace_key(private, old.public_key(), ring, (old_id, new_id), (now, until), save)
    _log(config, None, "rotated", new_id, Role.DAEMON)
    if as_json:
        told = {"old": old_id, "old_until": until.isoformat(), "new": new_id, "keyring": str(path)}
        typer.echo(json.dumps(told))
        return
    typer.echo(f"{private}: the new key, {new_id!r}")
    typer.echo(f"{_old(private)}: the old one, {old_id!r}, {_fate(ring, old_id, until)}")
    typer.echo(f"1. Copy {path} to every machine with a lock or a screen.")
    typer.echo("2. Then restart the daemon: systemctl restart oneglance")
    typer.echo(f"3. After {overlap} days delete {_old(private)}.")
    for consumer, pinned in (
        ("door", settings.door.public_key_file),
        ("kiosk", settings.kiosk.public_key_file),
    ):
        if consumer in settings.model_fields_set and pinned != path:
            typer.echo(
                f"{consumer}.public_key_file is {pinned}: name {path} there first. "
                "Who believes in a single key stops believing at step 2."
            )


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id that 'oneglance keys list' shows.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigOption = None,
    keyring: KeyringOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key: from this moment on it is never accepted again. This cannot be undone.

    Example: `oneglance keys revoke hall-screen --yes`
    """
    path = _path(config, keyring)
    with _edited(path) as (ring, save):
        former = ring.find(key_id)
        # Revoked again, a key keeps the day since when it does not count.
        since = None if former is None else former.revoked_at
        changed = ring.changed(key_id, revoked_at=since or datetime.now(UTC))
        if since is None and not yes:
            typer.confirm(f"Revoke {key_id!r}? It will never count again.", abort=True, err=True)
        save(changed)
        role = next(key.role for key in changed.keys if key.id == key_id)
    _log(config, keyring, "revoked", key_id, role)
    if as_json:
        typer.echo(json.dumps({"id": key_id, "role": role}))
        return
    typer.echo(f"{key_id!r} is revoked. {_COPY}")
    if role is Role.DAEMON:
        typer.echo("If the daemon signs with it, nobody gets in: oneglance keys rotate")
        typer.echo(
            "If the audit log ends with its signature, nobody gets in either until"
            " 'oneglance audit accept-key signing.old.pub' says that nobody else had it."
        )


@app.command()
def door(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make the key that the house seals this door's shared gallery to: docs/sharing.md.

    It stays here, in `sharing.key_file` (mode 0600); the line that is printed goes into the file of
    doors on the machine that shares. If there is a key already, its line is printed.

    Example: `oneglance keys door`
    """
    from oneglance.config import load_config
    from oneglance.key_files import create_sealing_key, load_sealing_key

    settings = load_config(config)
    file = settings.sharing.key_file
    if file.exists():
        public = load_sealing_key(file).public_key().public_bytes_raw()
    else:
        public = create_sealing_key(file)
        _log(config, None, "made", settings.site.door, "sharing")
    told = {"name": settings.site.door, "key": base64.b64encode(public).decode()}
    if as_json:
        typer.echo(json.dumps(told))
        return
    typer.echo("[[door]]")
    for name, value in told.items():
        typer.echo(f'{name} = "{value}"')


def _path(config: Path | None, keyring: Path | None) -> Path:
    from oneglance.config import load_config

    return load_config(config).keyring_file if keyring is None else keyring.absolute()


def _log(config: Path | None, keyring: Path | None, action: str, key_id: str, role: str) -> None:
    """Write what has been done into the audit log, if there is one.

    It stays done even if that fails: keys must be revocable on a full disk, too.
    """
    from oneglance.audit.log import Audit
    from oneglance.audit.segments import segments
    from oneglance.config import load_config
    from oneglance.errors import OneglanceError

    if keyring is not None and config is None:
        return
    folder = load_config(config).audit_folder
    try:
        if segments(folder):
            said = {"action": action, "id": key_id, "role": str(role)}
            Audit(folder, lambda: datetime.now(UTC)).append("key_change", said)
    except OneglanceError as error:
        typer.echo(f"This is not in the audit log: {error}", err=True)


@contextmanager
def _edited(path: Path) -> Iterator[tuple[Keyring, Any]]:
    """The keyring (empty if there is none yet) and a function that writes it, under a lock."""
    from oneglance.contract.keyring import Keyring
    from oneglance.contract.keyring_file import alone, read_keyring, write_keyring

    with alone(path):
        ring = read_keyring(path) if path.exists() else Keyring()
        yield ring, lambda changed: write_keyring(path, changed)


def _checked_id(key_id: str) -> str:
    from oneglance.contract.topics import check_level

    return check_level(key_id, "key")


def _check_free(ring: Keyring, key_id: str) -> None:
    from oneglance.errors import ConfigError

    if ring.find(key_id) is not None:
        raise ConfigError(
            f"there is a key {str(key_id)!r} in the keyring already", fix="choose another --id"
        )


def _free_id(ring: Keyring) -> str:
    names = ("daemon", *(f"daemon-{number}" for number in range(2, len(ring.keys) + 3)))
    return next(name for name in names if ring.find(name) is None)


def _replace_key(
    private: Path,
    former: Ed25519PublicKey,
    ring: Keyring,
    ids: tuple[str, str],
    times: tuple[datetime, datetime],
    save: Any,
) -> None:
    """Replace the key's files; a power cut between any two leaves a key that the keyring knows."""
    from oneglance.contract.keyring import entry
    from oneglance.errors import ConfigError, os_fix
    from oneglance.key_files import new_key_pair, public_pem
    from oneglance.whole_file import rewrite_whole, write_public, write_whole

    old_id, new_id = ids
    now, until = times
    key, private_pem, new_pem = new_key_pair()
    old = ring.find(old_id)
    if old is not None and (old.not_after is None or until < old.not_after):
        ring = ring.changed(old_id, not_after=until)
    try:
        write_whole(
            *(_old(private), private.read_bytes(), 0o600), durable=True, for_folders_owner=True
        )
        write_public(_old(private).with_suffix(".pub"), public_pem(former))
        save(ring.with_entry(entry(new_id, Role.DAEMON, key, now)))
        rewrite_whole(private, private_pem)
        write_public(private.with_suffix(".pub"), new_pem)
    except OSError as error:
        raise ConfigError(
            f"cannot write it: {error.strerror}",
            where=str(error.filename or private),
            fix=os_fix(error),
        ) from None


def _fate(ring: Keyring, key_id: str, until: datetime) -> str:
    old = ring.find(key_id)
    if old is not None and old.revoked_at is not None:
        return "which was revoked"
    end = until if old is None or old.not_after is None else min(until, old.not_after)
    return f"which counts until {end:%Y-%m-%d %H:%M} UTC"


def _old(private: Path) -> Path:
    return private.with_name(f"{private.stem}.old.key")


def _end(days: int | None) -> datetime | None:
    return None if days is None else datetime.now(UTC) + timedelta(days=days)


def _until(end: datetime | None) -> str:
    return "" if end is None else f" until {end:%Y-%m-%d}"


def _as_json(key: KeyEntry, now: datetime) -> dict[str, Any]:
    from oneglance.key_files import fingerprint

    told = key.model_dump(mode="json", exclude={"public_key"})
    return told | {"standing": key.standing(now), "fingerprint": fingerprint(key.key)}


def _print_table(ring: Keyring, now: datetime) -> None:
    from rich.console import Console
    from rich.table import Table

    from oneglance.key_files import fingerprint

    table = Table("id", "role", "counts", "from", "until", "fingerprint", box=None)
    for key in ring.keys:
        end = key.revoked_at or key.not_after
        table.add_row(
            key.id,
            key.role,
            key.standing(now),
            f"{key.not_before:%Y-%m-%d}",
            "-" if end is None else f"{end:%Y-%m-%d}",
            fingerprint(key.key),
        )
    console = Console(highlight=False, markup=False)
    Console(width=max(160, console.width), highlight=False, markup=False).print(table)
