"""The daemon's hand in the log: nothing of a decision leaves that was not written down."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from audit_rig import KEY, SEALER, Wall, proof_of
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.audit.entry import Signer
from oneglance.audit.log import Audit
from oneglance.audit.pseudonyms import PEOPLE_FILE
from oneglance.audit.segments import entries, segments
from oneglance.audit.snapshots import Snapshots, expired
from oneglance.clocks import Clocks
from oneglance.daemon.voice.scribe import SIGN_EVERY_S, TIDY_EVERY_S, Scribe
from oneglance.errors import AuditError, TamperedError

ACCEPTED = {
    "event_id": "0f8fad5bd9cb469fa16570867728950e",
    "visit_id": "visit-1",
    "outcome": "accepted",
    "person_id": "ada-lovelace",
    "person_name": "Ada Lovelace",
    "score": 5.5,
    "sequence": 7,
    "signature": "not repeated",
    "unheard_of": "Ada's aunt",
}
PAYLOAD = json.dumps(ACCEPTED).encode()


class Rig:
    """A scribe, its log and its clocks; with `broken` its log cannot be opened."""

    def __init__(self, folder: Path, wall: Wall) -> None:
        self.folder = folder
        self.wall = wall
        self.now_s = 0.0
        self.broken = False
        self.known = [KEY.public_key()]

    def open(self) -> Audit:
        if self.broken:
            raise AuditError("it is broken")
        signer = Signer.of(KEY)
        return Audit(self.folder, self.wall, signer=signer, keys=self.known, sealer=SEALER)

    def scribe(self, *, policy: str = "p", snapshots: bool = False) -> Scribe:
        scribe = Scribe(
            self.open,
            Signer.of(KEY).key_id,
            {"software": "1", "policy": policy},
            Clocks(self.wall, lambda: self.now_s),
            keep_days=30,
            snapshots=Snapshots(self.folder / "snapshots", SEALER),
            snapshot_days=7 if snapshots else 0,
        )
        scribe.begin()
        return scribe

    def pass_days(self, days: int) -> None:
        self.wall.now += timedelta(days=days)
        self.now_s += days * 86400

    def kinds(self) -> list[str]:
        return [entry.kind for entry in entries(self.folder)]


@pytest.fixture
def rig(folder: Path, wall: Wall) -> Rig:
    return Rig(folder, wall)


def test_a_decision_is_written_down_without_what_names_a_person(rig: Rig) -> None:
    scribe = rig.scribe()
    assert scribe.decision(PAYLOAD) == ACCEPTED["event_id"]
    assert scribe.problem == ""
    *_, entry = entries(rig.folder)
    assert entry.kind == "decision"
    assert entry.body.keys() == {
        *("event_id", "visit_id", "outcome", "score", "sequence", "person")
    }
    scribe.decision(json.dumps({**ACCEPTED, "person_id": None}).encode())
    everything = b"".join(file.read_bytes() for file in rig.folder.iterdir())
    for secret in (b"ada-lovelace", b"Ada Lovelace", b"not repeated", b"Ada's aunt"):
        assert secret not in everything


def test_starts_stops_and_changes_of_policy_are_written_down(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for policy in ("one", "one", "two"):
        rig.scribe(policy=policy).stop(failed=False)
    assert rig.kinds() == [
        *("start", "policy_change", "stop", "start", "stop", "start", "policy_change", "stop")
    ]
    assert f"ends at {proof_of(rig.folder).head}" in caplog.text


def test_a_new_key_is_written_down(rig: Rig, folder: Path, wall: Wall) -> None:
    former = Ed25519PrivateKey.generate()
    Audit(folder, wall, signer=Signer.of(former)).append("start", {})
    rig.known = [KEY.public_key(), former.public_key()]
    rig.scribe()
    assert rig.kinds() == ["start", "key_change", "start", "policy_change"]


def test_a_log_that_somebody_else_signed_lets_nobody_in_and_is_called_tampered(
    rig: Rig, folder: Path, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Ed25519PrivateKey.generate()
    Audit(folder, wall, signer=Signer.of(stranger)).append("start", {})
    scribe = rig.scribe()
    assert scribe.problem == "audit_tampered"
    with pytest.raises(TamperedError, match="signed by the unknown key"):
        scribe.decision(PAYLOAD)
    assert rig.kinds() == ["start"]
    assert caplog.text.count("nobody is let in: ") == 1
    # Whose key that was is known later on: it goes on by itself.
    rig.known.append(stranger.public_key())
    rig.now_s += SIGN_EVERY_S
    scribe.work()
    assert scribe.problem == ""


def test_while_nobodys_pseudonym_can_be_had_the_status_says_so_though_rejections_are_logged(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    scribe = rig.scribe()
    scribe.decision(PAYLOAD)
    people = rig.folder / PEOPLE_FILE
    whole = people.read_bytes()
    people.write_bytes(b"not what was sealed, but longer" * len(whole))
    for _ in range(3):
        rig.now_s += SIGN_EVERY_S
        scribe.work()
        scribe.decision(json.dumps({**ACCEPTED, "person_id": None}).encode())
        assert scribe.problem == "audit_error"
    with pytest.raises(AuditError, match="pseudonyms"):
        scribe.decision(PAYLOAD)
    assert caplog.text.count("nobody is let in: ") == 1
    assert rig.scribe().problem == "audit_error"
    people.write_bytes(whole)
    rig.now_s += SIGN_EVERY_S
    scribe.work()
    assert scribe.problem == ""
    scribe.decision(PAYLOAD)


def test_what_others_wrote_is_signed_soon(rig: Rig, folder: Path, wall: Wall) -> None:
    scribe = rig.scribe()
    Audit(folder, wall, sealer=SEALER).append("enrolment", {}, person_id="ada")
    scribe.work()
    assert rig.kinds()[-1] == "enrolment"
    rig.now_s += SIGN_EVERY_S
    scribe.work()
    assert rig.kinds()[-1] == "checkpoint"
    rig.now_s += SIGN_EVERY_S
    scribe.work()
    assert rig.kinds().count("checkpoint") == 1


def test_while_nothing_can_be_written_no_decision_leaves_and_it_is_got_over(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.broken = True
    scribe = rig.scribe()
    for _ in range(2):
        with pytest.raises(AuditError, match="it is broken"):
            scribe.decision(PAYLOAD)
    assert scribe.problem == "audit_error"
    assert caplog.text.count("nobody is let in: it is broken") == 1
    rig.now_s += SIGN_EVERY_S
    scribe.work()
    assert scribe.problem == "audit_error"
    scribe.stop(failed=True)
    rig.broken = False
    rig.now_s += SIGN_EVERY_S
    scribe.work()
    assert scribe.problem == ""
    scribe.decision(PAYLOAD)
    assert rig.kinds() == ["start", "policy_change", "checkpoint", "decision"]

    (segment,) = segments(rig.folder)
    segment.chmod(0o644)
    with pytest.raises(AuditError, match="only its owner"):
        scribe.decision(PAYLOAD)
    assert scribe.problem == "audit_error"
    segment.chmod(0o600)
    rig.now_s += SIGN_EVERY_S
    scribe.work()
    assert scribe.problem == ""
    assert rig.kinds()[-1] == "checkpoint"


def test_what_is_kept_too_long_goes(rig: Rig) -> None:
    scribe = rig.scribe(snapshots=True)
    event = scribe.decision(PAYLOAD)
    scribe.snapshot(event, np.full((60, 50, 3), 127, np.uint8))
    (kept,) = (rig.folder / "snapshots").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    assert kept.parent.stat().st_mode & 0o077 == 0
    assert b"JFIF" not in kept.read_bytes()
    assert Snapshots(kept.parent, SEALER).picture(event).startswith(b"\xff\xd8")
    rig.now_s += SIGN_EVERY_S
    scribe.work()
    assert kept.exists()
    rig.pass_days(8)
    scribe.work()
    assert not kept.exists()
    with pytest.raises(AuditError, match="no snapshot of event"):
        Snapshots(kept.parent, SEALER).picture(event)

    rig.pass_days(80)
    scribe.decision(PAYLOAD)
    scribe.work()
    assert next(entries(rig.folder)).number > 1
    assert "retention" in rig.kinds()
    assert proof_of(rig.folder).problem is None


def test_pictures_go_when_they_are_not_wanted_any_more(rig: Rig) -> None:
    scribe = rig.scribe(snapshots=True)
    scribe.snapshot(scribe.decision(PAYLOAD), np.zeros((40, 40, 3), np.uint8))
    scribe = rig.scribe()
    for _ in range(2):
        rig.now_s += TIDY_EVERY_S
        rig.wall.now += timedelta(seconds=TIDY_EVERY_S)
        scribe.work()
    assert list((rig.folder / "snapshots").iterdir()) == []


def test_a_clock_that_was_set_removes_nothing(rig: Rig) -> None:
    rig.scribe().decision(PAYLOAD)
    rig.wall.now += timedelta(days=40)
    rig.scribe().decision(PAYLOAD)
    assert len(segments(rig.folder)) == 2
    scribe = rig.scribe()
    for _ in range(2):
        # Ten years ahead at the start, as a broken clock is, until the network tells.
        rig.wall.now += timedelta(days=3650)
        rig.now_s += TIDY_EVERY_S
        scribe.work()
    assert len(segments(rig.folder)) == 2
    rig.wall.now += timedelta(seconds=TIDY_EVERY_S)
    rig.now_s += TIDY_EVERY_S
    scribe.work()
    assert "retention" in rig.kinds()


def test_no_picture_is_kept_unless_wanted_and_one_that_cannot_be_kept_stops_nothing(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    face = np.zeros((40, 40, 3), np.uint8)
    scribe = rig.scribe()
    scribe.snapshot(scribe.decision(PAYLOAD), face)
    assert not (rig.folder / "snapshots").exists()
    (rig.folder / "snapshots").touch()
    scribe = rig.scribe(snapshots=True)
    scribe.snapshot(scribe.decision(PAYLOAD), face)
    scribe.snapshot(scribe.decision(PAYLOAD), face[:0])
    assert "a snapshot cannot be kept" in caplog.text
    assert scribe.problem == ""


def test_a_snapshot_is_sealed_for_its_event(rig: Rig) -> None:
    snapshots = Snapshots(rig.folder, SEALER)
    rig.folder.mkdir()
    snapshots.keep("a" * 32, rig.wall(), b"picture")
    (file,) = rig.folder.iterdir()
    file.rename(file.with_name(file.name.replace("a" * 32, "b" * 32)))
    with pytest.raises(Exception, match="was changed, moved"):
        snapshots.picture("b" * 32)


def test_only_old_snapshots_expire(wall: Wall) -> None:
    event = "0" * 32
    names = [f"{time}-{event}.sealed" for time in ("20261101T000000Z", "20261124T000000Z")]
    # What a killed process left of one.
    names.insert(0, f".new-{names[0]}")
    others = ["20270101T000000Z-0.sealed", "notes.txt", f"20269901T000000Z-{event}.sealed"]
    assert expired([*names, *others], wall(), keep_days=7) == names[:2]
    assert expired(names, wall(), keep_days=40) == []


def test_up_to_when_commands_were_carried_out_is_known_again(rig: Rig) -> None:
    scribe = rig.scribe()
    assert scribe.latest_command() is None
    latest = rig.wall()
    scribe.command("administrator", "reload", "ok", 1, latest)
    scribe.command("", "?", "not_signed", 7, latest)
    # Of a daemon whose memory is gone, or of two threads the one that was overtaken.
    scribe.command("", "?", "not_signed", 1, None)
    scribe.command("kiosk", "challenge-shown", "ok", 1, latest - timedelta(seconds=1))
    assert scribe.latest_command() == latest
    assert rig.scribe().latest_command() == latest
    # It outlives the entries of all commands.
    rig.now_s += SIGN_EVERY_S
    scribe.work()
    rig.pass_days(40)
    scribe.decision(PAYLOAD)
    scribe.work()
    rig.pass_days(40)
    scribe.decision(PAYLOAD)
    scribe.work()
    assert next(entries(rig.folder)).at > latest + timedelta(days=30)
    assert rig.scribe().latest_command() == latest
