"""`oneglance people badge` and `pin`: give people a badge or a PIN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneglance.cli.hidden import ask_hidden
from oneglance.cli.options import ConfigOption

if TYPE_CHECKING:
    from oneglance.faces.gallery.credentials import Credentials
    from oneglance.faces.gallery.gallery import Gallery

PersonId = Annotated[str, typer.Argument(help="The id that 'oneglance people list' shows.")]
NoneOption = Annotated[bool, typer.Option("--none", help="Take away what this person has.")]


def badge(
    person_id: PersonId,
    number: Annotated[
        str | None,
        typer.Argument(
            help="As 'oneglance reader --learn' shows it: 0-9, A-F.", show_default=False
        ),
    ] = None,
    none: NoneOption = False,
    config: ConfigOption = None,
) -> None:
    """Give a person a badge, or replace it: shown to the reader, it claims to be that person.

    The number is kept only as a keyed hash, and the running daemon knows it at once.

    Example: `oneglance people badge ada-lovelace 0012345678`
    """
    if (number is None) != none:
        raise typer.BadParameter("give either a badge's NUMBER or --none")
    said = {"badge": "taken away" if none else "given"}
    _change(config, person_id, said, lambda held, since: held.with_badge(person_id, since, number))
    typer.echo(f"{person_id} has {'no badge any more' if none else 'this badge'}.")


def pin(person_id: PersonId, none: NoneOption = False, config: ConfigOption = None) -> None:
    """Give a person a PIN of 6 to 12 digits, or replace it: entered at the door, it claims them.

    You are asked for it twice. It is never shown, is kept only as a salted scrypt hash, and is
    known to the running daemon at once. No two people can have the same one.

    Example: `oneglance people pin ada-lovelace`
    """
    from oneglance.faces.gallery.credentials import checked_pin

    digits = None
    if not none:
        digits = checked_pin(ask_hidden("PIN", again="The same again"))
    said = {"pin": "taken away" if none else "given"}
    _change(config, person_id, said, lambda held, since: held.with_pin(person_id, since, digits))
    typer.echo(f"{person_id} has {'no PIN any more' if none else 'this PIN'}.")


def deletion(
    config: Path | None, gallery: Gallery, person_ids: Sequence[str]
) -> AbstractContextManager[None]:
    """Wrap the deletion of these people: it is logged first, and their badges and PINs go last.

    Raises as `daemon.gallery.logged.deletion`.
    """
    from oneglance.cli.audit_log import credentials_log, open_audit
    from oneglance.config import load_config
    from oneglance.daemon.gallery import logged
    from oneglance.faces.gallery.credentials import CredentialFile
    from oneglance.faces.gallery.vault import load_key

    settings = load_config(config)
    key, log = load_key(settings.gallery.key_file), credentials_log(settings)
    file = CredentialFile(settings.credentials_file, key, log)
    return logged.deletion(open_audit(settings), gallery, file, {}, person_ids)


def has(config: Path | None, person_id: str) -> dict[str, bool]:
    """Whether this person has a badge, and a PIN, for the export of all that is stored."""
    from oneglance.config import load_config
    from oneglance.faces.gallery.credentials import read_credentials
    from oneglance.faces.gallery.vault import load_key

    settings = load_config(config)
    held = read_credentials(settings.credentials_file, load_key(settings.gallery.key_file))
    has_badge, has_pin = held.has(person_id)
    return {"has_badge": has_badge, "has_pin": has_pin}


def _change(
    config: Path | None,
    person_id: str,
    said: dict[str, str],
    change: Callable[[Credentials, datetime], Credentials],
) -> None:
    from oneglance.cli.audit_log import credentials_log, open_audit, open_gallery
    from oneglance.config import load_config
    from oneglance.daemon.gallery.logged import logged
    from oneglance.faces.gallery.credentials import changing
    from oneglance.faces.gallery.vault import load_key

    settings = load_config(config)
    key = load_key(settings.gallery.key_file)
    with open_gallery(settings) as gallery:
        since = gallery.show(person_id).created_at
        with (
            logged(open_audit(settings), gallery, "credential_change", said, person_id),
            changing(settings.credentials_file, key, credentials_log(settings)) as held,
        ):
            held[0] = change(held[0], since)
