"""`oneglance audit` over a log that `oneglance people` and a daemon's scribe have written."""

from __future__ import annotations

import base64
import json
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from oneglance.audit.entry import Signer
from oneglance.audit.log import Audit
from oneglance.audit.pseudonyms import PEOPLE_FILE, Pseudonyms
from oneglance.audit.segments import entries
from oneglance.audit.snapshots import Snapshots
from oneglance.cli.audit import app
from oneglance.cli.audit_log import open_audit, reseal
from oneglance.cli.init import init
from oneglance.cli.keys import app as keys_app
from oneglance.cli.people.command import app as people_app
from oneglance.clocks import Clocks
from oneglance.config import Config, load_config
from oneglance.contract.signing import create_signing_key, load_signing_key
from oneglance.daemon.build import build_scribe
from oneglance.daemon.gallery.logged import logged
from oneglance.daemon.voice.sequence import SequenceFile
from oneglance.errors import AuditError, ConfigError, GalleryError, OneglanceError, TamperedError
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.person import person_id_from
from oneglance.faces.gallery.vault import TemplateKey, load_key
from oneglance.faces.model.face_model import load_model

EVENT = "0f8fad5bd9cb469fa16570867728950e"


class Door:
    """A new door in a folder: its commands, and its daemon's hand in the log."""

    def __init__(self, folder: Path) -> None:
        init(folder, None, "home", "front", "0")
        self.file = folder / "oneglance.toml"
        self.config: Config = load_config(self.file)
        self.key = load_key(self.config.gallery.key_file)

    def daemon(self) -> Audit:
        key = load_signing_key(self.config.signing.key_file)
        return Audit(
            self.config.audit_folder,
            lambda: datetime.now(UTC),
            signer=Signer.of(key),
            keys=[key.public_key()],
            sealer=self.key,
        )

    def enrol(self, name: str) -> None:
        template = np.zeros((1, 8), np.float32)
        template[0, 0] = 1
        with Gallery.open(self.config.gallery.path, self.key, create=True) as gallery:
            who = person_id_from(name)
            with logged(open_audit(self.config), gallery, "enrolment", {"templates": 1}, who):
                now = datetime.now(UTC)
                gallery.enrol(name, template, "model:1", consent_at=now, source="test")

    def audit(self, *arguments: object) -> Result:
        return CliRunner().invoke(app, [*map(str, arguments), "--config", str(self.file)])

    def listed(self, *arguments: str) -> list[dict[str, object]]:
        result = self.audit("list", "--json", *arguments)
        assert result.exit_code == 0, result.output
        found: list[dict[str, object]] = json.loads(result.stdout)["entries"]
        return found

    def segment(self) -> Path:
        (segment,) = self.config.audit_folder.glob("audit-*.jsonl")
        return segment


@pytest.fixture
def door(tmp_path: Path) -> Door:
    """A door where Ada was enrolled, came in, and the daemon was stopped."""
    door = Door(tmp_path / "door")
    door.enrol("Ada Lovelace")
    daemon = door.daemon()
    daemon.append("start", {"software": "1"})
    body = {"event_id": EVENT, "outcome": "accepted", "score": 5.125}
    daemon.append("decision", body, person_id="ada-lovelace")
    daemon.append("decision", {"event_id": "1" * 32, "outcome": "rejected", "reason": "\x1b[2J"})
    daemon.append("stop", {"failed": False})
    return door


def test_a_person_is_given_what_the_log_says_and_the_pictures(door: Door) -> None:
    door.enrol("Grace Hopper")
    door.daemon().append("decision", {"event_id": "2" * 32}, person_id="grace-hopper")
    snapshots = Snapshots(door.config.snapshot_folder, door.key)
    for event, picture in ((EVENT, b"ada"), ("2" * 32, b"grace"), ("1" * 32, b"nobody")):
        snapshots.keep(event, datetime.now(UTC), picture)
    command = ["export", "ada-lovelace", "--json", "--config", str(door.file)]
    stored = json.loads(CliRunner().invoke(people_app, command).stdout)
    (picture,) = stored["pictures"]
    assert base64.b64decode(picture["values"]) == b"ada"
    assert picture["event_id"] == EVENT
    pseudonym = stored["audit"]["pseudonym"]
    assert [entry["kind"] for entry in stored["audit"]["entries"]] == ["enrolment", "decision"]
    assert {entry["body"]["person"] for entry in stored["audit"]["entries"]} == {pseudonym}


def error_of(result: Result) -> OneglanceError:
    assert isinstance(result.exception, OneglanceError), result.output
    return result.exception


def test_list_names_who_is_enrolled_and_after_a_deletion_shows_a_pseudonym(door: Door) -> None:
    listed = door.listed()
    assert [entry["kind"] for entry in listed] == [
        *("enrolment", "start", "decision", "decision", "stop")
    ]
    assert listed[2]["person_name"] == "Ada Lovelace"
    table = door.audit("list").output
    assert "Ada Lovelace" in table
    assert "5.12" in table
    assert "\x1b" not in table
    # A heading, and a line for each entry: who reads it by a pipe searches lines.
    assert len(table.splitlines()) == 1 + len(listed)

    deleted = CliRunner().invoke(
        people_app, ["delete", "ada-lovelace", "--yes", "--config", str(door.file)]
    )
    assert deleted.exit_code == 0, deleted.output
    *_, deletion = after = [e for e in door.listed() if e["kind"] != "gallery_generation"]
    assert deletion["kind"] == "deletion"
    bodies = [entry["body"] for entry in after]
    assert bodies[2]["person"] == bodies[0]["person"] == bodies[-1]["person"]  # type: ignore[index]
    assert "person_name" not in after[2]
    table = door.audit("list").output
    assert "Ada" not in table
    assert str(bodies[0]["person"]) in table  # type: ignore[index]
    assert door.audit("verify").exit_code == 0
    for file in door.config.audit_folder.iterdir():
        assert b"lovelace" not in file.read_bytes().lower()


def test_list_and_export_take_what_is_asked_for(door: Door, tmp_path: Path) -> None:
    assert len(door.listed("--kind", "decision")) == 2
    assert [entry["n"] for entry in door.listed("--last", "2")] == [4, 5]
    assert len(door.listed("--since", "1d")) == 5
    assert door.listed("--since", "2999-01-01") == []
    assert "no such entry" in door.audit("list", "--since", "2999-01-01").output
    for wrong in (("--kind", "gossip"), ("--since", "yesterday")):
        assert door.audit("list", *wrong).exit_code == 2

    out = tmp_path / "out.jsonl"
    assert door.audit("export", "--kind", "decision", "--out", out).exit_code == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    first, second = map(json.loads, out.read_text().splitlines())
    assert (first["person_id"], first["person_name"]) == ("ada-lovelace", "Ada Lovelace")
    assert second["body"]["outcome"] == "rejected"
    before = out.read_bytes()
    assert "there is a file already" in str(error_of(door.audit("export", "--out", out)))
    assert out.read_bytes() == before


def test_without_the_gallerys_key_the_list_is_there_without_names(door: Door) -> None:
    door.config.gallery.key_file.unlink()
    result = door.audit("list")
    assert result.exit_code == 0
    assert "Without names" in result.output
    assert "Ada" not in result.output
    assert "person-" in result.output
    assert door.audit("verify").exit_code == 0


def test_verify_tells_an_intact_log_and_its_head(door: Door) -> None:
    result = door.audit("verify")
    assert result.exit_code == 0, result.output
    assert "Entries 1 to 5 are as they were written" in result.output
    proof = json.loads(door.audit("verify", "--json").stdout)
    assert (proof["intact"], proof["signed_through"]) == (True, 5)
    assert proof["head"] in result.output
    assert door.audit("verify", "--head", proof["head"]).exit_code == 0
    door.enrol("Eve")
    assert "The last 1 are not signed yet" in door.audit("verify").output
    assert door.audit("verify", "--head", proof["head"]).exit_code == 0
    assert door.audit("verify", "--head", "nonsense").exit_code == 2


Damage = Callable[[list[bytes]], list[bytes]]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda ls: [ls[0], ls[1].replace(b"start", b"stort"), *ls[2:]], "entry 2 was altered"),
        (lambda ls: [*ls[:2], *ls[3:]], "entry 3 was removed"),
        (lambda ls: [*ls[:1], ls[2], ls[1], *ls[3:]], "entry 2 was moved"),
        (lambda ls: [*ls[:2], ls[1], *ls[2:]], "entry 2 was duplicated"),
    ],
)
def test_verify_names_what_was_done(door: Door, damage: Damage, said: str) -> None:
    lines = door.segment().read_bytes().splitlines(keepends=True)
    door.segment().write_bytes(b"".join(damage(lines)))
    error = error_of(door.audit("verify"))
    assert isinstance(error, TamperedError)
    assert error.exit_code == 77
    assert said in str(error)
    assert json.loads(door.audit("verify", "--json").stdout)["intact"] is False


def test_verify_needs_a_noted_head_to_see_a_cut(door: Door) -> None:
    head = json.loads(door.audit("verify", "--json").stdout)["head"]
    lines = door.segment().read_bytes().splitlines(keepends=True)
    door.segment().write_bytes(b"".join(lines[:3]))
    assert door.audit("verify").exit_code == 0
    assert "entry 4 was cut" in str(error_of(door.audit("verify", "--head", head)))


def test_verify_says_when_no_given_key_vouches(door: Door, tmp_path: Path) -> None:
    from oneglance.contract.signing import create_signing_key

    create_signing_key(tmp_path / "other.key", tmp_path / "other.pub")
    result = door.audit("verify", "--key", tmp_path / "other.pub")
    assert result.exit_code == 1
    assert "not proven" in result.output
    both = ("--key", tmp_path / "other.pub", "--key", door.config.door.public_key_file)
    assert door.audit("verify", *both).exit_code == 0
    assert isinstance(error_of(door.audit("verify", "--key", tmp_path / "no")), ConfigError)


def test_a_log_that_is_missing_or_unreadable_has_its_own_code(tmp_path: Path) -> None:
    door = Door(tmp_path / "new")
    for arguments in (("verify",), ("list",), ("export", "--out", tmp_path / "out")):
        error = error_of(door.audit(*arguments))
        assert "there is no audit log" in str(error)
        assert error.exit_code == 74
    assert not (tmp_path / "out").exists()
    door.daemon().append("start", {})
    door.segment().chmod(0o666)
    assert error_of(door.audit("verify")).exit_code == 74
    door.segment().chmod(0o600)
    door.segment().write_bytes(b"nonsense\n")
    assert "see what was altered" in str(error_of(door.audit("list")))


def test_a_cut_off_entry_is_told_and_no_fault(door: Door) -> None:
    with door.segment().open("ab") as file:
        file.write(b'{"entry":')
    result = door.audit("verify")
    assert result.exit_code == 0
    assert "cut off by a power loss" in result.output
    assert len(door.listed()) == 5


def test_a_snapshot_is_unsealed_for_who_may(door: Door, tmp_path: Path) -> None:
    out = tmp_path / "visitor.jpg"
    assert "no snapshot" in str(error_of(door.audit("snapshot", EVENT, "--out", out)))
    kept = Snapshots(door.config.snapshot_folder, door.key)
    kept.keep(EVENT, datetime.now(UTC), b"\xff\xd8picture")
    assert door.audit("snapshot", EVENT, "--out", out).exit_code == 0
    assert out.read_bytes() == b"\xff\xd8picture"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "already" in str(error_of(door.audit("snapshot", EVENT, "--out", out)))


def test_nobody_is_enrolled_or_deleted_unless_that_is_written_down(door: Door) -> None:
    door.segment().chmod(0o666)
    with pytest.raises(AuditError):
        door.enrol("Eve")
    deleted = CliRunner().invoke(
        people_app, ["delete", "ada-lovelace", "--yes", "--config", str(door.file)]
    )
    assert isinstance(deleted.exception, AuditError)
    with Gallery.open(door.config.gallery.path, door.key) as gallery:
        assert [person.name for person in gallery.list_people()] == ["Ada Lovelace"]


def test_an_enrolment_that_failed_says_so_and_keeps_no_pseudonym(door: Door) -> None:
    with pytest.raises(GalleryError, match="already"):
        door.enrol("Ada Lovelace")
    *_, tried, failed = door.listed()
    assert failed["body"] == {"failed": tried["n"]}
    assert tried["person_id"] == "ada-lovelace"
    door.daemon().append("lockout", {}, person_id="nobody")
    with (
        Gallery.open(door.config.gallery.path, door.key) as gallery,
        pytest.raises(ZeroDivisionError),
        logged(open_audit(door.config), gallery, "enrolment", {}, "eve"),
    ):
        raise ZeroDivisionError
    assert {entry.get("person_id") for entry in door.listed()} == {"ada-lovelace", None}


def test_who_is_just_being_enrolled_keeps_the_pseudonym(door: Door) -> None:
    def rename() -> None:
        with (
            Gallery.open(door.config.gallery.path, door.key) as gallery,
            logged(open_audit(door.config), gallery, "rename", {}, "ada-lovelace"),
        ):
            gallery.edit("ada-lovelace", name="Ada King")

    other = threading.Thread(target=rename)
    template = np.eye(1, 8, dtype=np.float32)
    with Gallery.open(door.config.gallery.path, door.key) as gallery:
        with logged(open_audit(door.config), gallery, "enrolment", {}, "eve"):
            other.start()
            other.join(0.3)
            now = datetime.now(UTC)
            gallery.enrol("Eve", template, "model:1", consent_at=now, source="test")
        other.join()
        assert gallery.show("ada-lovelace").name == "Ada King"
    *_, enrolment, rename_entry = door.listed()
    assert (enrolment["person_id"], rename_entry["person_id"]) == ("eve", "ada-lovelace")


def test_a_new_gallery_key_opens_the_pseudonyms_too(door: Door) -> None:
    command = ["rekey", "--yes", "--config", str(door.file)]
    for _ in range(2):
        assert CliRunner().invoke(people_app, command).exit_code == 0
        assert door.listed()[2]["person_name"] == "Ada Lovelace"
    # As a crash leaves it: the pseudonyms have the next key, the gallery's is the old one still.
    following = TemplateKey(b"f" * 32)
    reseal(door.config, following)
    reseal(door.config, following)
    assert Pseudonyms(door.config.audit_folder / PEOPLE_FILE, following).people()


def test_a_key_that_was_replaced_by_hand_has_to_be_accepted(door: Door, tmp_path: Path) -> None:
    signing = door.config.signing.key_file
    former = tmp_path / "former.pub"
    signing.with_suffix(".pub").rename(former)
    door.config.keyring_file.unlink()
    signing.unlink()
    create_signing_key(signing, signing.with_suffix(".pub"))
    with pytest.raises(TamperedError, match="signed by the unknown key") as caught:
        door.daemon()
    assert "oneglance audit accept-key" in caught.value.fix
    stranger = tmp_path / "stranger.pub"
    create_signing_key(tmp_path / "stranger.key", stranger)
    assert isinstance(error_of(door.audit("accept-key", stranger)), TamperedError)
    assert door.audit("accept-key", former).exit_code == 0
    again = door.audit("accept-key", former)
    assert (again.exit_code, "nothing was changed" in again.output) == (2, True)
    door.daemon().append("start", {"software": "2"})
    given = ["--key", signing.with_suffix(".pub"), "--key", former]
    assert door.audit("verify", *given).exit_code == 0
    assert door.listed("--kind", "key_change")[-1]["body"]["action"] == "accepted"  # type: ignore[index]


def test_after_a_rotation_the_log_goes_on_by_itself(door: Door) -> None:
    rotate = CliRunner().invoke(keys_app, ["rotate", "--config", str(door.file)])
    assert rotate.exit_code == 0, rotate.output
    scribe = build_scribe(door.config, load_model(), Clocks(lambda: datetime.now(UTC), lambda: 0.0))
    scribe.begin()
    assert scribe.problem == ""
    kinds = [entry["kind"] for entry in door.listed()]
    assert kinds[-4:] == ["key_change", "key_change", "start", "policy_change"]


def test_a_clock_that_was_ahead_is_accepted_only_while_no_daemon_runs(door: Door) -> None:
    memory = door.config.nonce_file
    memory.write_bytes(b"of a time to come")
    with SequenceFile(door.config.signing.sequence_file, lambda: 0):
        assert "is running" in error_of(door.audit("accept-clock")).what
    assert memory.exists()
    before = datetime.now(UTC)
    assert door.audit("accept-clock").exit_code == 0
    assert not memory.exists()
    *_, entry = entries(door.config.audit_folder)
    assert before <= datetime.fromisoformat(entry.body["latest"]) <= datetime.now(UTC)
    assert door.audit("verify").exit_code == 0
