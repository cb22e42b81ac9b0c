"""`oneglance people`: who is enrolled."""

from __future__ import annotations

import json
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneglance.cli.options import ConfigOption, JsonOption
from oneglance.cli.people import credentials
from oneglance.cli.people.sync import sync

if TYPE_CHECKING:
    from oneglance.faces.gallery.gallery import Changes, Gallery
    from oneglance.faces.gallery.person import Person

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Enrol people, list them, give them their data, and delete them for good.",
)

PersonId = Annotated[str, typer.Argument(help="The id that 'oneglance people list' shows.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]
GroupsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        "-g",
        help="A group, e.g. family, that the door's policy speaks of. May be given several times.",
        show_default=False,
    ),
]
FromOption = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        formats=_DATES,
        help="Not before this day (the door's time, from its beginning).",
        show_default=False,
    ),
]
ExpiresOption = Annotated[
    datetime | None,
    typer.Option(
        formats=_DATES,
        help="From this day (the door's time, from its beginning) on the door stays shut.",
        show_default=False,
    ),
]


PhotosArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="Photographs that show this person alone.", show_default=False),
]
CameraOption = Annotated[
    int | None, typer.Option(min=0, help="Take pictures with this camera instead.")
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        help="Or with a camera by its name in the configuration, or from this stream, video file,"
        " folder or device."
    ),
]
FramesOption = Annotated[
    int, typer.Option(min=1, max=20, help="How many pictures to take with a camera.")
]
ForceOption = Annotated[
    bool,
    typer.Option("--force", help="Although pictures are poor, disagree, or look like another."),
]


@app.command()
def enrol(
    name: Annotated[str, typer.Argument(help="The name to greet, e.g. 'Ada Lovelace'.")],
    photos: PhotosArgument = None,
    consent: Annotated[
        bool, typer.Option("--consent", help="This person has agreed to be enrolled.")
    ] = False,
    groups: GroupsOption = None,
    valid_from: FromOption = None,
    expires: ExpiresOption = None,
    person_id: Annotated[
        str | None, typer.Option("--id", help="Instead of an id made of the name.")
    ] = None,
    camera: CameraOption = None,
    source: SourceOption = None,
    frames: FramesOption = 5,
    force: ForceOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enrol a person who has agreed to it, from photographs or a camera.

    One sharp photograph from the front is enough; two or three in different light are better. Each
    must show exactly one face. The photographs themselves are not kept. If any of them is
    unsuitable, nothing is stored.

    Example: `oneglance people enrol "Ada Lovelace" ada1.jpg ada2.jpg --consent`

    Or: `oneglance people enrol "Guest" --camera 0 --consent --group guest --expires 2027-01-01`
    """
    _one_origin(photos, camera, source)
    from oneglance.faces.gallery.person import (
        checked_dates,
        checked_groups,
        checked_name,
        checked_person_id,
    )

    consent_at = datetime.now(UTC) if consent else None
    zone = _zone(config)
    begins_at, expires_at = _moment(valid_from, zone), _moment(expires, zone)
    checked_name(name)
    checked_groups(groups or ())
    checked_dates(consent_at, begins_at, expires_at, datetime.now(UTC))
    if person_id is not None:
        checked_person_id(person_id)

    from oneglance.cli.people.enrol_person import Pictures, Wish, enrol_person
    from oneglance.config import load_config

    wish = Wish(
        name=name,
        person_id=person_id,
        consent_at=consent_at,
        groups=groups or (),
        valid_from=begins_at,
        expires_at=expires_at,
        pictures=Pictures(
            photos=photos or (),
            source=(source or "") if camera is None else camera,
            frames=frames,
            force=force,
        ),
    )
    person = enrol_person(wish, load_config(config), lambda text: typer.echo(text, err=True))
    if as_json:
        typer.echo(json.dumps(_as_json(person)))
    else:
        pictures = "1 picture" if person.templates == 1 else f"{person.templates} pictures"
        typer.echo(f"Enrolled {person.name} as {person.person_id!r}, from {pictures}.")


@app.command()
def edit(
    person_id: PersonId,
    name: Annotated[
        str | None, typer.Option(help="The name to greet from now on.", show_default=False)
    ] = None,
    groups: GroupsOption = None,
    valid_from: FromOption = None,
    expires: ExpiresOption = None,
    no_groups: Annotated[bool, typer.Option("--no-groups", help="In no group any more.")] = False,
    no_from: Annotated[bool, typer.Option("--no-from", help="From enrolment on.")] = False,
    no_expiry: Annotated[bool, typer.Option("--no-expiry", help="Without an end.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a person's name, groups or dates; whatever is not given stays as it is.

    Afterwards the person is in the given groups only. A date in the past ends the enrolment at
    once. The id never changes.

    Example: `oneglance people edit ada-lovelace --name "Ada King" --group family --no-expiry`
    """
    for one, other, option in (
        (groups, no_groups, "--group"),
        (valid_from, no_from, "--from"),
        (expires, no_expiry, "--expires"),
    ):
        if one and other:
            raise typer.BadParameter(f"{option} and its opposite contradict each other")
    from oneglance.cli.audit_log import open_audit
    from oneglance.config import load_config
    from oneglance.daemon.gallery.logged import all_logged

    changes: Changes = {}
    if name is not None:
        changes["name"] = name
    if groups or no_groups:
        changes["groups"] = groups or ()
    zone = _zone(config)
    if valid_from is not None or no_from:
        changes["valid_from"] = _moment(valid_from, zone)
    if expires is not None or no_expiry:
        changes["expires_at"] = _moment(expires, zone)
    if not changes:
        raise typer.BadParameter("give what is to be changed, e.g. --name 'Ada King'")
    said = [(kind, person_id, body) for kind, body in _told(changes)]
    with _open(config) as gallery:
        gallery.show(person_id)
        with all_logged(open_audit(load_config(config)), gallery, said):
            person = gallery.edit(person_id, **changes)
    if as_json:
        typer.echo(json.dumps(_as_json(person)))
    else:
        _print_table([person], zone)


@app.command("add-picture")
def add_picture(
    person_id: PersonId,
    photos: PhotosArgument = None,
    camera: CameraOption = None,
    source: SourceOption = None,
    frames: FramesOption = 5,
    force: ForceOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add pictures of somebody who is enrolled: with glasses, a beard, in the door's own light.

    Each must show that person alone, and look like them. The photographs are not kept.

    Example: `oneglance people add-picture ada-lovelace glasses.jpg`
    """
    _one_origin(photos, camera, source)
    from oneglance.cli.people.enrol_person import Pictures, add_pictures
    from oneglance.config import load_config

    pictures = Pictures(
        photos=photos or (),
        source=(source or "") if camera is None else camera,
        frames=frames,
        force=force,
    )
    person = add_pictures(
        person_id, pictures, load_config(config), lambda text: typer.echo(text, err=True)
    )
    if as_json:
        typer.echo(json.dumps(_as_json(person)))
    else:
        typer.echo(f"{person.name} ({person.person_id}) has {person.templates} pictures now.")


@app.command("list")
def list_people(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show who is enrolled.

    Example: `oneglance people list --json`
    """
    with _open(config) as gallery:
        people = gallery.list_people()
    if as_json:
        typer.echo(json.dumps({"people": [_as_json(person) for person in people]}))
    elif people:
        _print_table(people, _zone(config))
    else:
        typer.echo("Nobody is enrolled. See 'oneglance people enrol --help'.")


@app.command()
def show(person_id: PersonId, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show one person: name, dates, templates of which model, and whether they have badge or PIN.

    Example: `oneglance people show ada-lovelace`
    """
    from oneglance.errors import GalleryError

    with _open(config) as gallery:
        told = _as_json(gallery.show(person_id))
    try:
        told |= credentials.has(config, person_id)
    except GalleryError as error:
        # The person is in the gallery whatever is wrong with that file.
        typer.echo(f"Badge and PIN cannot be told: {error}", err=True)
    if as_json:
        typer.echo(json.dumps(told))
        return
    for label, value in told.items():
        shown = ", ".join(value) or "none" if isinstance(value, list) else value
        absent = "at once" if label == "valid_from" else "never"
        typer.echo(f"{label:<12}{absent if value is None else shown}")


@app.command()
def delete(person_id: PersonId, yes: YesOption = False, config: ConfigOption = None) -> None:
    """Delete a person and all templates for good: no byte of them stays in the gallery's files.

    Example: `oneglance people delete ada-lovelace --yes`
    """
    with _open(config) as gallery:
        person = gallery.show(person_id)
        _confirm(
            yes,
            f"Delete {person.name} ({person.person_id}) with {person.templates} template(s)?"
            " This is for good and cannot be undone.",
        )
        with credentials.deletion(config, gallery, [person_id]):
            gallery.delete(person_id)
    typer.echo(f"Deleted {person.name} ({person.person_id}) for good.")


@app.command()
def export(
    person_id: PersonId,
    out: Annotated[
        Path | None,
        typer.Option(help="A new file, made with mode 0600.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export everything stored about a person, as JSON, to be handed to them.

    That is the unsealed templates, what the audit log says about this person and under which
    pseudonym, and, if pictures of visitors are kept, those in which this person was recognised.

    Templates are as sensitive as fingerprints: only you can read the file, and standard output is
    used only if you ask for it with --json.

    Example: `oneglance people export ada-lovelace --out ada.json`
    """
    if (out is None) == (not as_json):
        raise typer.BadParameter("give either --out FILE or --json")
    from oneglance.cli.audit_log import held_on
    from oneglance.config import load_config

    with _open(config) as gallery:
        stored = gallery.export(person_id) | credentials.has(config, person_id)
    stored |= held_on(load_config(config), person_id)
    if out is None:
        typer.echo(json.dumps(stored))
    else:
        _write_private(out, json.dumps(stored, indent=2, ensure_ascii=False) + "\n")
        typer.echo(f"All that is stored about {person_id} is in {out}.")


@app.command()
def purge(yes: YesOption = False, config: ConfigOption = None) -> None:
    """Delete everybody whose enrolment has expired, for good.

    The door ignores them already; this removes their names and templates too. A running daemon does
    this by itself some days later (gallery.keep_expired_days). Check the clock first: a wrong one
    deletes people who have not expired.

    Example: `oneglance people purge --yes`
    """
    now = datetime.now(UTC)
    with _open(config) as gallery:
        expired = [
            person.person_id
            for person in gallery.list_people()
            if person.expires_at is not None and person.expires_at <= now
        ]
        if expired:
            _confirm(yes, f"Delete {', '.join(expired)} for good? This cannot be undone.")
        with credentials.deletion(config, gallery, expired):
            purged = gallery.purge_expired(now)
    typer.echo(f"Deleted for good: {', '.join(purged) if purged else 'nobody had expired'}.")


@app.command()
def rekey(yes: YesOption = False, config: ConfigOption = None) -> None:
    """Make a new gallery key and reseal everything under it; the old key is then worthless.

    If it is interrupted, the key file still opens the gallery; run it again to finish. Afterwards
    restart the daemon, and back up the new key. Earlier backups of the gallery open only with a
    copy of the old key.

    Example: `oneglance people rekey --yes && systemctl restart oneglance`
    """
    from oneglance.cli.audit_log import configured_witness, open_audit, reseal
    from oneglance.config import load_config
    from oneglance.faces.calibration.file import seal_again as seal_calibration_again
    from oneglance.faces.gallery.credentials import seal_again
    from oneglance.faces.gallery.rekey import rekey as make_anew
    from oneglance.faces.gallery.vault import TemplateKey, load_key

    whole = load_config(config)
    settings = whole.gallery
    _confirm(yes, f"Replace the key {settings.key_file}, and seal the whole gallery anew?")

    def others(former: TemplateKey, successor: TemplateKey) -> None:
        reseal(whole, successor)
        seal_again(whole.credentials_file, former, also=successor)
        seal_calibration_again(whole.calibration_file, former, successor)

    open_audit(whole).append("key_change", {"action": "replaced", "role": "gallery"})
    make_anew(settings.path, settings.key_file, configured_witness(whole), others)
    seal_again(whole.credentials_file, load_key(settings.key_file))
    typer.echo(f"The gallery has a new key, in {settings.key_file}. Restart the daemon.")


app.command()(credentials.badge)
app.command()(credentials.pin)
app.command()(sync)


@app.command("accept-restore")
def accept_restore(yes: YesOption = False, config: ConfigOption = None) -> None:
    """Accept a gallery that was restored from a backup on purpose, and its badges and PINs.

    The door refuses a gallery that is older than what it has seen: whoever was deleted since would
    be let in again. Look through the list first, and delete them again afterwards. An older file of
    badges and PINs is accepted as well, except for those of people who are not in the gallery: take
    away again those that should no longer be valid.

    Example: `oneglance people accept-restore`
    """
    from oneglance.cli.audit_log import configured_witness, credentials_log, open_audit
    from oneglance.config import load_config
    from oneglance.faces.gallery.credentials import CredentialFile, accept_credentials
    from oneglance.faces.gallery.gallery import Gallery
    from oneglance.faces.gallery.vault import load_key

    whole = load_config(config)
    settings, witness = whole.gallery, configured_witness(whole)
    with Gallery.open(settings.path, load_key(settings.key_file)) as gallery:
        people = gallery.list_people()
        if not yes:
            _print_table(people, _zone(config))
        _confirm(
            yes,
            f"This copy is of generation {gallery.change_counter()}, {witness.highest()} was seen."
            f" Let its {len(people)} people count?",
        )
        open_audit(whole).append(
            "gallery_generation",
            {"generation": witness.highest(), "accepts": gallery.change_counter()},
        )
        generation = gallery.accept(witness)
        key, log = load_key(settings.key_file), credentials_log(whole)
        accept_credentials(whole.credentials_file, key, log)
        CredentialFile(whole.credentials_file, key, log).drop_departed(gallery.list_people)
    typer.echo(f"The gallery counts again, as generation {generation}, with {len(people)} people.")


def _one_origin(photos: list[Path] | None, camera: int | None, source: str | None) -> None:
    if [bool(photos), camera is not None, source is not None].count(True) != 1:
        raise typer.BadParameter("give either photos, or --camera, or --source")


def _open(config: Path | None) -> Gallery:
    from oneglance.cli.audit_log import open_gallery
    from oneglance.config import load_config

    return open_gallery(load_config(config))


def _zone(config: Path | None) -> tzinfo | None:
    """The door's time zone, in which days begin and end there; None for this machine's own."""
    from oneglance.config import load_config
    from oneglance.schedule import zone_of

    timezone = load_config(config).site.timezone
    return None if timezone is None else zone_of(timezone)


def _moment(local: datetime | None, zone: tzinfo | None) -> datetime | None:
    # Without a zone of its own a time is this machine's.
    return None if local is None else local.replace(tzinfo=zone).astimezone(UTC)


def _told(changes: Changes) -> list[tuple[str, dict[str, Any]]]:
    """What the audit log records of changes: the kind of each, without names, groups or dates."""
    dates = sorted({"valid_from", "expires_at"} & changes.keys())
    told: list[tuple[str, dict[str, Any]]] = [("rename", {})] if "name" in changes else []
    told += [("group_change", {})] if "groups" in changes else []
    return told + ([("expiry_change", {"of": dates})] if dates else [])


def _as_json(person: Person) -> dict[str, Any]:
    return {
        "id": person.person_id,
        "name": person.name,
        "created_at": person.created_at.isoformat(),
        "consent_at": person.consent_at.isoformat(),
        "valid_from": None if person.valid_from is None else person.valid_from.isoformat(),
        "expires_at": None if person.expires_at is None else person.expires_at.isoformat(),
        "groups": sorted(person.groups),
        "shared": person.shared,
        "templates": person.templates,
        "model_ids": list(person.model_ids),
    }


def _print_table(people: list[Person], zone: tzinfo | None) -> None:
    from rich.table import Table
    from rich.text import Text

    from oneglance.cli.tables import print_whole

    now = datetime.now(UTC)
    table = Table("id", "name", "groups", "templates", "consent", "from", "expires", box=None)
    for person in people:
        begins = "at once"
        if person.valid_from is not None:
            begins = f"{person.valid_from.astimezone(zone):%Y-%m-%d %H:%M}"
            if person.valid_from > now:
                begins += " (not yet)"
        expires = "never"
        if person.expires_at is not None:
            expires = f"{person.expires_at.astimezone(zone):%Y-%m-%d %H:%M}"
            if person.expires_at <= now:
                expires += " (expired)"
        cells = (
            person.person_id,
            person.name,
            ", ".join(sorted(person.groups)) or "none",
            str(person.templates),
            f"{person.consent_at.astimezone(zone):%Y-%m-%d}",
            begins,
            expires,
        )
        # Text, since a name may look like rich's markup.
        table.add_row(*(Text(cell) for cell in cells))
    # An id that was cut to fit a terminal could not be given to 'delete'.
    print_whole(table)


def _confirm(yes: bool, question: str) -> None:
    if not yes:
        typer.confirm(question, abort=True, err=True)


def _write_private(path: Path, text: str) -> None:
    from oneglance.errors import GalleryError, os_fix
    from oneglance.whole_file import write_new

    try:
        write_new(path, text.encode(), 0o600)
    except FileExistsError:
        raise GalleryError(
            "there is a file already", where=str(path), fix="name a new one as --out"
        ) from None
    except OSError as error:
        raise GalleryError(
            f"cannot write it: {error.strerror}", where=str(path), fix=os_fix(error)
        ) from None
