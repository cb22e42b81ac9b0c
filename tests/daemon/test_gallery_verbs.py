"""Commands about the gallery, on a real one, with the real model."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer import BadParameter

from oneglance.access_config import AccessConfig, AccessRule
from oneglance.audit.entry import Signer
from oneglance.audit.generations import CREDENTIALS, Generations
from oneglance.audit.log import Audit
from oneglance.audit.pseudonyms import PEOPLE_FILE, Pseudonyms
from oneglance.audit.segments import entries
from oneglance.audit.snapshots import Snapshots
from oneglance.cli.command import arguments_of
from oneglance.clocks import Clocks
from oneglance.config import Config
from oneglance.contract.commands import MAX_COMMAND_BYTES, Args
from oneglance.contract.keyring import Role
from oneglance.contract.messages import MAX_REPLY_TEXT
from oneglance.daemon.build import credential_watch, open_gallery
from oneglance.daemon.gallery.credential_watch import LOOK_EVERY_S
from oneglance.daemon.gallery.verbs import gallery_verbs
from oneglance.daemon.voice.verbs import CommandRefusedError, Sender
from oneglance.errors import AuditError, GalleryError, ImageError
from oneglance.faces.gallery.credentials import (
    Credentials,
    changing,
    read_credentials,
    write_credentials,
)
from oneglance.faces.gallery.person import Person
from oneglance.faces.gallery.setup import open_configured
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.gallery.witness import RestoredGalleryError
from oneglance.faces.model.face_model import FaceModel

SENDER = Sender("administrator", Role.ADMINISTRATOR)


class Office:
    """The verbs on one gallery, and the log of what they do."""

    def __init__(self, config: Config, model: FaceModel) -> None:
        self.config = config
        self.offset = timedelta(0)
        clocks = Clocks(lambda: datetime.now(UTC) + self.offset, time.monotonic)
        self.folder = config.audit_folder
        self.credentials = config.credentials_file
        self.key = load_key(config.gallery.key_file)
        self.log = Audit(self.folder, clocks.wall, sealer=self.key)
        self.watch = open_gallery(config, model, clocks, self.log)
        self.verbs = gallery_verbs(config, self.watch, self.log)

    def do(self, verb: str, **args: Any) -> str:
        return self.verbs[verb].run(args, SENDER)

    def people(self) -> Iterable[Person]:
        assert self.watch.snapshot is not None
        return self.watch.snapshot.people.values()

    def who(self) -> dict[str, str]:
        assert self.watch.snapshot is not None
        return dict(self.watch.snapshot.names)


@pytest.fixture
def office(house: Callable[..., Config], model: FaceModel, tmp_path: Path) -> Iterator[Office]:
    office = Office(house(tmp_path / "none.mp4"), model)
    yield office
    office.watch.close()


def unit(row: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.eye(256, dtype=np.float32)[row : row + 1]


def test_all_of_them_are_for_administrators(office: Office) -> None:
    assert {verb.roles for verb in office.verbs.values()} == {frozenset({Role.ADMINISTRATOR})}


def test_people_are_listed_renamed_and_deleted_at_once(
    office: Office, enrol: Callable[..., None]
) -> None:
    assert office.do("list") == "nobody is enrolled"
    enrol("Ada Lovelace", templates=unit(0))
    enrol("Grace Hopper", templates=unit(1))
    assert office.do("list") == "ada-lovelace  Ada Lovelace\ngrace-hopper  Grace Hopper"
    assert office.do("list", search="HOPP") == "grace-hopper  Grace Hopper"
    assert office.do("list", search="bob") == "nobody has such a name"
    said = office.do("rename", id="ada-lovelace", name="Ada King")
    assert said == "ada-lovelace is now called Ada King"
    assert office.who()["ada-lovelace"] == "Ada King"
    office.do("delete", id="grace-hopper")
    assert office.who() == {"ada-lovelace": "Ada King"}
    kinds = [entry.kind for entry in entries(office.folder)]
    assert [kind for kind in kinds if kind != "gallery_generation"] == ["rename", "deletion"]
    assert office.do("reload") == "the gallery was read again: 1 people count"


def test_a_person_is_put_into_groups_and_out_of_them(
    house: Callable[..., Config],
    model: FaceModel,
    office: Office,
    enrol: Callable[..., None],
    tmp_path: Path,
) -> None:
    enrol("Ada", templates=unit(0))
    assert office.do("groups", id="ada") == "this door knows no groups"
    office.watch.close()
    enrol("Bob", templates=unit(1), groups=("staff",))
    family = AccessConfig(groups=("family",), rules=(AccessRule(groups=("family",)),))
    office = Office(house(tmp_path / "none.mp4", access=family), model)
    assert office.do("groups", id="ada") == "- family\n- staff"
    assert office.do("regroup", id="ada", group="family", member=True) == "+ family\n- staff"
    assert {person.person_id: person.groups for person in office.people()} == {
        "ada": {"family"},
        "bob": {"staff"},
    }
    assert office.do("regroup", id="ada", group="family", member=False) == "- family\n- staff"
    for wrong in ({"group": "guests"}, {"member": "yes"}, {"group": ""}):
        with pytest.raises(CommandRefusedError):
            office.do("regroup", **({"id": "ada", "group": "family", "member": True} | wrong))
    with pytest.raises(GalleryError, match="nobody has the id"):
        office.do("groups", id="eve")
    kinds = [entry.kind for entry in entries(office.folder)]
    assert kinds.count("group_change") == 2
    office.watch.close()


def test_no_command_touches_a_gallery_that_was_put_back(
    office: Office, enrol: Callable[..., None]
) -> None:
    enrol("Ada Lovelace", templates=unit(0))
    office.do("rename", id="ada-lovelace", name="Ada")
    office.watch.close()
    former = office.config.gallery.path.read_bytes()
    office.do("rename", id="ada-lovelace", name="Ada King")
    office.watch.close()
    office.config.gallery.path.write_bytes(former)
    commands: dict[str, dict[str, str]] = {
        "list": {},
        "rename": {"id": "ada-lovelace", "name": "Eve"},
        "delete": {"id": "ada-lovelace"},
    }
    for verb, args in commands.items():
        with pytest.raises(RestoredGalleryError):
            office.do(verb, **args)
    office.watch.refresh(time.monotonic())
    assert office.watch.problem == "gallery_restored"


def test_a_deletion_that_cannot_be_logged_takes_nothing_away(
    office: Office, enrol: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol("Ada", templates=unit(0))
    office.do("reload")
    (since,) = (person.created_at for person in office.people())
    held = Credentials.none().with_badge("ada", since, "A1")
    write_credentials(office.credentials, office.key, held)

    def full(*_: object, **__: object) -> None:
        raise AuditError("no room")

    monkeypatch.setattr(office.log, "append_all", full)
    with pytest.raises(AuditError, match="no room"):
        office.do("delete", id="ada")
    assert read_credentials(office.credentials, office.key) == held
    monkeypatch.undo()
    office.do("delete", id="ada")
    assert read_credentials(office.credentials, office.key).entries == {}


@pytest.mark.parametrize("wrong", ["damaged", "older"])
def test_badges_that_cannot_be_changed_keep_nobody_in_the_gallery(
    office: Office, enrol: Callable[..., None], wrong: str
) -> None:
    enrol("Ada", templates=unit(0))
    enrol("Bob", templates=unit(1))
    office.do("reload")
    since = {person.person_id: person.created_at for person in office.people()}
    seen = Generations(office.log, CREDENTIALS)
    with changing(office.credentials, office.key, seen) as held:
        held[0] = held[0].with_badge("ada", since["ada"], "A1")
    older = office.credentials.read_bytes()
    with changing(office.credentials, office.key, seen) as held:
        held[0] = held[0].with_badge("bob", since["bob"], "B2")
    newer = office.credentials.read_bytes()
    put_back = older if wrong == "older" else newer[:-20]
    office.credentials.write_bytes(put_back)

    with pytest.raises(GalleryError, match="for good, but not from the badges and PINs") as told:
        office.do("delete", id="ada")
    assert told.value.where == str(office.credentials)
    assert told.value.fix
    assert office.who() == {"bob": "Bob"}
    assert office.credentials.read_bytes() == put_back
    with pytest.raises(GalleryError, match="nobody has the id"):
        office.do("delete", id="ada")
    said = [(entry.kind, entry.body.get("left")) for entry in entries(office.folder)]
    assert [one for one in said if not one[0].endswith("_generation")] == [
        ("deletion", None),
        ("credential_change", True),
    ]

    watch = credential_watch(office.config, office.log)
    watch.work(0.0)
    assert watch.problem == f"credentials_{'restored' if wrong == 'older' else 'error'}"
    assert office.credentials.read_bytes() == put_back
    office.credentials.write_bytes(newer)
    watch.work(LOOK_EVERY_S)
    assert watch.problem == ""
    assert set(read_credentials(office.credentials, office.key, seen).entries) == {"bob"}
    office.credentials.write_bytes(newer)
    with pytest.raises(GalleryError, match="an older copy"):
        read_credentials(office.credentials, office.key, seen)


def test_damaged_badges_do_not_stop_retention_which_is_written_down_once(
    office: Office, enrol: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    enrol("Ada", templates=unit(0))
    office.do("reload")
    enrol("Guest", templates=unit(1), expires_at=datetime.now(UTC) + timedelta(days=1))
    office.credentials.write_bytes(b"damaged")
    office.credentials.chmod(0o600)
    for hour in range(24 * 40):
        office.offset = timedelta(hours=hour)
        office.watch.refresh(3600.0 * hour)
    assert office.do("list") == "ada  Ada"
    kinds = [entry.kind for entry in entries(office.folder)]
    assert kinds.count("deletion") == 1
    said = [entry.body for entry in entries(office.folder) if entry.kind == "deletion"]
    assert said[0]["expired"] is True
    assert Pseudonyms(office.folder / PEOPLE_FILE, office.key).people() == {}
    assert kinds.count("credential_change") == 1
    assert caplog.text.count("but not from the badges and PINs") == 1


def test_what_a_deletion_that_was_cut_short_left_is_gone_within_the_hour(
    office: Office, enrol: Callable[..., None]
) -> None:
    enrol("Ada", templates=unit(0))
    office.do("reload")
    enrol("Bob", templates=unit(1))
    pictures = Snapshots(office.config.snapshot_folder, office.key)
    signer = Signer.of(Ed25519PrivateKey.generate())
    daemon = Audit(office.folder, lambda: datetime.now(UTC), signer=signer, sealer=office.key)
    for number, who in enumerate(("ada", "bob")):
        daemon.append("decision", {"event_id": f"{number:032x}"}, person_id=who)
        pictures.keep(f"{number:032x}", datetime.now(UTC), b"a face")
    # As a power cut leaves it, or a visit that was being decided while its person was deleted.
    with open_configured(office.config.gallery, log=Generations(office.log)) as gallery:
        gallery.delete("ada")
    for minute in range(122):
        office.offset = timedelta(minutes=minute)
        office.watch.refresh(60.0 * minute)
    assert set(Pseudonyms(office.folder / PEOPLE_FILE, office.key).people().values()) == {"bob"}
    assert pictures.events() == {f"{1:032x}"}
    assert "deletion" not in [entry.kind for entry in entries(office.folder)]


def test_a_long_list_says_how_many_more_there_are(
    office: Office, enrol: Callable[..., None]
) -> None:
    for number in range(45):
        enrol(f"Somebody with a Very Long Name Number {number:02}", templates=unit(number))
    lines = office.do("list").splitlines()
    assert len("\n".join(lines)) <= MAX_REPLY_TEXT
    assert lines[-1].startswith(f"and {45 - len(lines) + 1} more: ")


@pytest.mark.parametrize(
    ("verb", "args", "code"),
    [
        ("reload", {"now": True}, "bad_arguments"),
        ("rename", {"id": "ada"}, "bad_arguments"),
        ("rename", {"id": "ada", "name": 5}, "bad_arguments"),
        ("delete", {}, "bad_arguments"),
        ("enrol", {"name": "Ada", "photos": "YQ=="}, "bad_arguments"),
        ("enrol", {"name": "Ada", "photos": "YQ==", "consent": "true"}, "bad_arguments"),
        ("enrol", {"name": "Ada", "consent": True}, "bad_arguments"),
        ("enrol", {"name": "Ada", "photos": (), "consent": True}, "bad_arguments"),
        ("enrol", {"name": "Ada", "photos": ("YQ==",) * 4, "consent": True}, "bad_arguments"),
        ("enrol", {"name": "Ada", "photos": "nö", "consent": True}, "bad_arguments"),
    ],
    ids=str,
)
def test_wrong_arguments_change_nothing(office: Office, verb: str, args: Args, code: str) -> None:
    with pytest.raises(CommandRefusedError) as caught:
        office.do(verb, **args)
    assert caught.value.code == code


def test_what_the_gallery_refuses_is_its_own_error(
    office: Office, enrol: Callable[..., None]
) -> None:
    for verb, args in (("rename", {"name": "Eve"}), ("delete", {})):
        with pytest.raises(GalleryError, match="nobody has the id"):
            office.do(verb, id="eve", **args)
    enrol("Ada", templates=unit(0))
    with pytest.raises(GalleryError, match="control character"):
        office.do("rename", id="ada", name="Ada\x1b[31m")
    junk = base64.b64encode(b"no picture").decode()
    with pytest.raises(ImageError, match="not a picture"):
        office.do("enrol", name="Eve", photos=junk, consent=True)
    office.do("reload")
    assert office.who() == {"ada": "Ada"}


def test_a_person_is_enrolled_from_the_photographs_of_a_command(
    office: Office, photos: Path
) -> None:
    words = [f"photos=@{photos / name}" for name in ("obama.jpg", "obama2.jpg")]
    args = arguments_of(["name=Barack Obama", "consent=true", *words])
    pictures = args["photos"]
    assert isinstance(pictures, tuple)
    assert sum(len(str(picture)) for picture in pictures) < MAX_COMMAND_BYTES
    args["consent_text"] = "I agree"
    assert office.do("enrol", **args) == "Barack Obama is enrolled as barack-obama"
    (enrolled,) = (entry for entry in entries(office.folder) if entry.kind == "enrolment")
    assert enrolled.body["consent"] == hashlib.sha256(b"I agree").hexdigest()
    assert office.who() == {"barack-obama": "Barack Obama"}
    with pytest.raises(GalleryError, match="looks like 'barack-obama'"):
        office.do("enrol", **(args | {"name": "Eve", "photos": pictures[1]}))


def test_the_answer_says_what_is_less_than_good_about_a_photograph(
    office: Office, small_photos: Path, tmp_path: Path
) -> None:
    image = cv2.imread(str(small_photos / "biden.jpg"))
    cv2.imwrite(str(tmp_path / "down.png"), cv2.rotate(image, cv2.ROTATE_180))
    args = arguments_of(["name=Joe", "consent=true", f"photos=@{tmp_path / 'down.png'}"])
    first, turned, *_ = office.do("enrol", **args).splitlines()
    assert first == "Joe is enrolled as joe"
    assert turned == "photo 1: turned by 180 degrees, as no face was upright"


def test_a_photograph_that_is_none_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    (tmp_path / "ada.jpg").write_bytes(b"no picture")
    with pytest.raises(ImageError, match="not a picture"):
        arguments_of([f"photos=@{tmp_path / 'ada.jpg'}"])
    with pytest.raises(BadParameter, match="stands twice"):
        arguments_of(["x=true", "x=false"])
