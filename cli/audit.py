"""`oneglance audit`: what happened at the door, and whether the log of it is complete."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneglance.cli.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from rich.progress import Progress

    from oneglance.audit.entry import Entry, Head
    from oneglance.audit.proof import Proof
    from oneglance.config import Config

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Show what happened at the door, export it, and prove that nobody changed it.",
)

_DAYS = re.compile(r"([1-9][0-9]{0,4})d")
SinceOption = Annotated[
    str | None,
    typer.Option(help="From this day (local time) on, or the last days: 2026-11-01, 7d."),
]
KindOption = Annotated[
    list[str] | None,
    typer.Option(help="Only this kind, e.g. decision; may be given several times."),
]


@app.command("list")
def list_entries(
    since: SinceOption = None,
    kind: KindOption = None,
    last: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest entries, the newest last, with the names of people who are still enrolled.

    Example: `oneglance audit list --since 7d --kind decision`
    """
    from itertools import islice

    from oneglance.config import load_config

    settings = load_config(config)
    names = _names(settings)
    chosen = _chosen(settings, since, kind, backwards=True)
    shown = list(islice(chosen, last))[::-1]
    if as_json:
        typer.echo(json.dumps({"entries": [_as_json(entry, names) for entry in shown]}))
    elif shown:
        _print_table(shown, names)
    else:
        typer.echo("There is no such entry.")


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="A new file, made with mode 0600.")],
    since: SinceOption = None,
    kind: KindOption = None,
    config: ConfigOption = None,
) -> None:
    """Write entries as JSON lines, with the ids and names of those who are still enrolled.

    The file names people: only you can read it. To prove something to others, give them
    the log itself, which names nobody, and `oneglance audit verify`.

    Example: `oneglance audit export --since 2026-11-01 --out november.jsonl`
    """
    from oneglance.config import load_config
    from oneglance.errors import AuditError, os_fix
    from oneglance.whole_file import fresh

    settings = load_config(config)
    names = _names(settings)
    if out.exists():
        raise AuditError("there is a file already", where=str(out), fix="name a new one as --out")
    count = 0
    try:
        with _progress() as progress, fresh(out, 0o600, durable=False) as file:
            task = progress.add_task("Exporting", total=None)
            for entry in _chosen(settings, since, kind):
                file.write(json.dumps(_as_json(entry, names), ensure_ascii=False).encode() + b"\n")
                count += 1
                progress.update(task, advance=1)
    except OSError as error:
        raise AuditError(
            f"cannot write it: {error.strerror}", where=str(out), fix=os_fix(error)
        ) from None
    typer.echo(f"{count} entries are in {out}.")


@app.command()
def verify(
    key: Annotated[
        list[Path] | None,
        typer.Option(
            help="The daemon's public key, those before it, or a keyring that holds them; what the "
            "lock trusts unless given.",
            show_default=False,
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="NUMBER:HASH of an entry, as noted elsewhere before: it must still be there.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that no entry was altered, removed, moved, duplicated or inserted, or name the first.

    Write down the head that it prints somewhere else: a log that was cut off later, or put back
    from a backup, no longer contains it, which nothing inside the log can reveal.

    Exit code 0 if the log is intact, 1 if none of the given keys vouches for it, 74 if it cannot be
    read, 77 if it was tampered with.

    Example: `oneglance audit verify --head 1205:5b0c...`
    """
    from oneglance.audit.entry import key_id
    from oneglance.audit.proof import prove
    from oneglance.audit.segments import segments
    from oneglance.config import load_config
    from oneglance.contract.keyring import Role
    from oneglance.contract.keyring_file import read_pins
    from oneglance.errors import AuditError, TamperedError

    noted = None if head is None else _head(head)
    settings = load_config(config)
    files = key or [settings.door.public_key_file]
    public = [
        entry.key
        for file in files
        for entry in read_pins(file).of_role(Role.DAEMON)
        # One that has expired signed what it signed; one that was revoked may have been stolen.
        if entry.revoked_at is None
    ]
    folder = settings.audit_folder
    if noted is None and not segments(folder):
        raise AuditError("there is no audit log", where=str(folder), fix="see audit.folder")
    with _progress() as progress:
        task = progress.add_task("Checking", total=_size(folder))
        proof = prove(
            folder,
            {key_id(one): one for one in public},
            noted,
            lambda size: progress.update(task, advance=size),
        )
    if as_json:
        typer.echo(json.dumps(_proof_as_json(proof)))
    if proof.problem is not None:
        raise TamperedError(
            f"entry {proof.problem.number} was {proof.problem.how}: {proof.problem.text}",
            where=str(folder),
            fix="keep a copy of the folder as evidence",
        )
    if not as_json:
        _print_proof(proof)
    if proof.unproven:
        raise typer.Exit(1)


@app.command("accept-key")
def accept_key(
    file: Annotated[Path, typer.Argument(help="The daemon's former public key, in PEM.")],
    config: ConfigOption = None,
) -> None:
    """Continue a log whose end is signed with a key that is no longer known here.

    After `oneglance keys rotate` nobody needs this: the keyring holds the former key, too. It is
    for a signing.key that was replaced by hand, or whose former key has left the keyring. Only
    accept a key that was this daemon's and did not leak: whoever has it can write any log.

    Example: `oneglance audit accept-key signing.pub.old`
    """
    from oneglance.audit.entry import Signer, key_id
    from oneglance.audit.log import Audit
    from oneglance.config import load_config
    from oneglance.contract.signing import load_public_key, load_signing_key

    settings = load_config(config)
    key, former = load_signing_key(settings.signing.key_file), load_public_key(file)
    log = Audit(
        settings.audit_folder,
        lambda: datetime.now(UTC),
        signer=Signer.of(key),
        keys=[key.public_key(), former],
    )
    if log.signed_with != key_id(former):
        raise typer.BadParameter(f"the log's end is not signed with {file}: nothing was changed")
    said = {"former": key_id(former), "key": key_id(key.public_key()), "action": "accepted"}
    entry = log.append("key_change", said)
    typer.echo(f"Entry {entry.number} says so, signed with the present key. The log goes on.")


@app.command("accept-clock")
def accept_clock(config: ConfigOption = None) -> None:
    """Accept commands by the present clock, although some were carried out at a later time.

    This is for a clock that was once far ahead and is right now: until it reaches that time, no
    command would count as fresh. Stop the daemon first. A command that was recorded while the clock
    was ahead could be sent again when that time really comes; revoke its key if that matters.

    Example: `oneglance audit accept-clock`
    """
    from oneglance.audit.entry import Signer
    from oneglance.audit.log import Audit
    from oneglance.config import load_config
    from oneglance.contract.keyring_file import daemon_keys
    from oneglance.contract.signing import load_signing_key
    from oneglance.daemon.voice.sequence import SequenceFile
    from oneglance.errors import ConfigError

    settings = load_config(config)
    key = load_signing_key(settings.signing.key_file)
    keys = [key.public_key(), *daemon_keys(settings.keyring_file)]
    # A running daemon would go on by the time that it has in memory.
    with SequenceFile(settings.signing.sequence_file, lambda: 0):
        now = datetime.now(UTC)
        log = Audit(settings.audit_folder, lambda: now, signer=Signer.of(key), keys=keys)
        said = {"verb": "accept-clock", "code": "ok", "times": 1, "latest": now.isoformat()}
        entry = log.append("command", said)
        try:
            settings.nonce_file.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the memory of commands cannot be removed: {error.strerror}",
                where=str(settings.nonce_file),
                fix="remove it yourself",
            ) from None
    typer.echo(f"Entry {entry.number} says so. Start the daemon: it takes commands after 12 s.")


@app.command()
def snapshot(
    event: Annotated[str, typer.Argument(help="The event_id of a decision, as 'list' shows it.")],
    out: Annotated[Path, typer.Option(help="A new JPEG file, made with mode 0600.")],
    config: ConfigOption = None,
) -> None:
    """Unseal the picture taken at a decision, if snapshots are kept and it is still there.

    Example: `oneglance audit snapshot 0f8fad5bd9cb469fa16570867728950e --out visitor.jpg`
    """
    from oneglance.audit.snapshots import Snapshots
    from oneglance.config import load_config
    from oneglance.errors import AuditError, os_fix
    from oneglance.faces.gallery.vault import load_key
    from oneglance.whole_file import write_new

    settings = load_config(config)
    sealer = load_key(settings.gallery.key_file)
    picture = Snapshots(settings.snapshot_folder, sealer).picture(event)
    try:
        write_new(out, picture, 0o600)
    except FileExistsError:
        raise AuditError(
            "there is a file already", where=str(out), fix="name a new one as --out"
        ) from None
    except OSError as error:
        raise AuditError(
            f"cannot write it: {error.strerror}", where=str(out), fix=os_fix(error)
        ) from None
    typer.echo(f"The visitor of event {event} is in {out}.")


def _chosen(
    settings: Config, since: str | None, kinds: list[str] | None, *, backwards: bool = False
) -> Iterator[Entry]:
    from oneglance.audit.entry import KINDS
    from oneglance.audit.segments import entries, entries_backwards, segments
    from oneglance.errors import AuditError

    unknown = sorted(set(kinds or ()) - set(KINDS))
    if unknown:
        raise typer.BadParameter(f"no kind {unknown[0]!r}; there are: {', '.join(KINDS)}")
    begin = None if since is None else _moment(since)
    if not segments(settings.audit_folder):
        raise AuditError(
            "there is no audit log", where=str(settings.audit_folder), fix="see audit.folder"
        )
    folder, wanted = settings.audit_folder, kinds or ()
    found = entries_backwards(folder, wanted) if backwards else entries(folder)
    for entry in found:
        if (begin is None or entry.at >= begin) and (not wanted or entry.kind in wanted):
            yield entry


def _names(settings: Config) -> dict[str, tuple[str, str]]:
    """Id and name of everybody still enrolled, by pseudonym; without the key none, and why."""
    from oneglance.audit.pseudonyms import PEOPLE_FILE, Pseudonyms
    from oneglance.errors import OneglanceError
    from oneglance.faces.gallery.gallery import Gallery
    from oneglance.faces.gallery.vault import load_key

    try:
        key = load_key(settings.gallery.key_file)
        people = Pseudonyms(settings.audit_folder / PEOPLE_FILE, key).people()
        if not people:
            return {}
        with Gallery.open(settings.gallery.path, key) as gallery:
            known = {person.person_id: person.name for person in gallery.list_people()}
    except OneglanceError as error:
        typer.echo(f"Without names: {error}", err=True)
        return {}
    return {
        pseudonym: (person_id, known.get(person_id, person_id))
        for pseudonym, person_id in people.items()
    }


def _as_json(entry: Entry, names: dict[str, tuple[str, str]]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "n": entry.number,
        "at": entry.at.isoformat(timespec="milliseconds"),
        "kind": entry.kind,
        "body": entry.body,
        "hash": entry.hash,
        "signed": bool(entry.key),
    }
    known = names.get(entry.body.get("person", ""))
    if known is not None:
        said |= {"person_id": known[0], "person_name": known[1]}
    return said


def _print_table(shown: list[Entry], names: dict[str, tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from oneglance.cli.tables import print_whole

    table = Table("number", "time", "what", "who", "details", box=None)
    for entry in shown:
        person = str(entry.body.get("person", ""))
        who = names[person][1] if person in names else person
        details = ", ".join(
            f"{name} {_short(value)}" for name, value in entry.body.items() if name != "person"
        )
        at = f"{entry.at.astimezone():%Y-%m-%d %H:%M:%S}"
        # Text, since a name may look like rich's markup.
        cells = (str(entry.number), at, entry.kind, who, details)
        table.add_row(*(Text(_printable(cell), overflow="fold") for cell in cells))
    # A terminal has it folded; what is searched by grep has a line for each entry.
    print_whole(table, also_in_a_terminal=False)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _print_proof(proof: Proof) -> None:
    if not proof.head.number:
        typer.echo("The log is empty.")
        return
    typer.echo(f"Entries {proof.first} to {proof.head.number} are as they were written.")
    if proof.unproven:
        typer.echo(f"But they are not proven: {proof.unproven}.")
    elif proof.unsigned:
        typer.echo(
            f"The last {proof.unsigned} are not signed yet; the daemon does that while it runs."
        )
    if proof.cut_off_bytes:
        typer.echo(
            "The last entry was cut off by a power loss; the next one who writes takes it away."
        )
    typer.echo(f"Head, to be noted elsewhere: {proof.head}")


def _proof_as_json(proof: Proof) -> dict[str, Any]:
    problem = proof.problem
    return {
        "intact": problem is None and not proof.unproven,
        "problem": None
        if problem is None
        else {"number": problem.number, "how": problem.how, "text": problem.text},
        "first": proof.first,
        "head": str(proof.head),
        "signed_through": proof.signed_through,
        "unproven": proof.unproven,
        "cut_off_bytes": proof.cut_off_bytes,
    }


def _head(text: str) -> Head:
    from oneglance.audit.entry import Head

    match = re.fullmatch(r"([1-9][0-9]{0,15}):([0-9a-f]{64})", text)
    if match is None:
        raise typer.BadParameter("NUMBER:HASH is expected, as 'oneglance audit verify' prints it")
    return Head(int(match[1]), match[2])


def _moment(text: str) -> datetime:
    days = _DAYS.fullmatch(text)
    try:
        if days is not None:
            return datetime.now(UTC) - timedelta(days=int(days[1]))
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no day; try 2026-11-01 or 7d") from None


def _size(folder: Path) -> int:
    from oneglance.audit.segments import segments, unreadable

    try:
        return sum(segment.stat().st_size for segment in segments(folder))
    except OSError as error:
        raise unreadable(folder, error) from None


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True)
