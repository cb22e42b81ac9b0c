"""Claims and attempts at one door: what counts, what it costs, and what is never told."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from oneglance.access_config import AccessConfig, AttemptsConfig
from oneglance.contract.keyring import Role
from oneglance.contract.messages import AccessState, Factor, Mode
from oneglance.daemon.access import entrance as module
from oneglance.daemon.access.attempts_file import read_attempts
from oneglance.daemon.access.entrance import (
    CHALLENGE_S,
    GOES_IN_S,
    REFUSAL_SHOWN_S,
    Entrance,
    News,
    Standing,
)
from oneglance.daemon.visit.claims import patient, verified
from oneglance.daemon.visit.decide import NOTHING_COMPARED, Bar, Verdict
from oneglance.daemon.voice.verbs import CommandRefusedError, Sender
from oneglance.errors import AuditError, ConfigError, GalleryError
from oneglance.faces.gallery.credentials import Claimed, Credentials
from oneglance.faces.gallery.person import Person, Snapshot

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
ENROLLED = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 6, 1, tzinfo=UTC)
READER, KIOSK = Sender("reader", Role.READER), Sender("kiosk", Role.KIOSK)
ADMIN = Sender("ada", Role.ADMINISTRATOR)
CREDENTIALS = Credentials.none().with_badge("ada", ENROLLED, "A1").with_badge("eve", LATER, "E5")
ATTEMPTS = AttemptsConfig(free=2, first_wait_s=4, longest_wait_s=30, lock_out_after=4)


def person(person_id: str) -> Person:
    return Person(person_id, person_id.title(), ENROLLED, ENROLLED, None, 1, ("m",))


GALLERY = Snapshot(
    ("ada", "bob", "eve"),
    {"ada": "Ada", "bob": "Bob", "eve": "Eve"},
    np.eye(3, dtype=np.float32),
    people={name: person(name) for name in ("ada", "bob", "eve")},
)


class Reader:
    """Resolves badges, and PINs without the cost of scrypt."""

    def badge(self, number: str) -> Claimed:
        """As the real one."""
        return CREDENTIALS.claimed_by_badge(number)

    def pin(self, pin: str) -> Claimed:
        """Bob has the PIN 314159."""
        return Claimed("bob" if pin == "314159" else None, ENROLLED, f"mark-{pin}")


class Door:
    """An entrance, its clock, and what happens at it."""

    def __init__(self, folder: Path, *, on_request: bool = False) -> None:
        self.now_s = 1000.0
        self.on_request = on_request
        self.file = folder / "attempts"
        self.visits = 0
        self.logged: list[dict[str, Any]] = []
        self.generations: list[int] = []
        self.broken = False
        self.open()

    def open(self) -> None:
        """Start (again)."""
        config = AccessConfig(claim_s=10, attempts=ATTEMPTS, on_request=self.on_request)
        self.entrance = Entrance(config, self.file, Reader(), self, lambda: self.now_s)

    def append(self, kind: str, body: dict[str, Any], *, person_id: str | None = None) -> None:
        """The audit log."""
        if self.broken:
            raise AuditError("its disk is full")
        if kind == "attempts":
            self.generations.append(body["generation"])
        else:
            assert kind == "lockout"
            self.logged.append(body | {"person_id": person_id})

    def last(self, kind: str) -> Any:
        """The audit log's newest entry of this kind."""
        assert kind == "attempts"
        if self.broken:
            raise AuditError("its disk is full")
        body = {"generation": self.generations[-1]} if self.generations else None
        return None if body is None else SimpleNamespace(body=body)

    def badge(self, number: str) -> str:
        """Show a badge, a second after the last one; returns the code of the answer."""
        self.now_s += 1.0
        return code_of(lambda: self.entrance.claim({"badge": number}, READER))

    def pin(self, pin: str) -> str:
        """Enter a PIN, a second after the last one."""
        self.now_s += 1.0
        return self.pin_at_once(pin)

    def pin_at_once(self, pin: str) -> str:
        """Enter a PIN, however soon."""
        return code_of(lambda: self.entrance.claim({"pin": pin}, KIOSK))

    def turn(self) -> Standing:
        """One turn of the vision thread."""
        return self.entrance.turn(GALLERY)

    def ends(self, reason: str = "", person_id: str | None = None) -> Standing:
        """A visit comes to its end under what counts now."""
        standing = self.turn()
        self.visits += 1
        verdict = Verdict(f"visit-{self.visits}", person_id, 3.0, 2.0, reason)
        self.entrance.concluded(verdict, standing.claim)
        return standing

    def waits(self) -> dict[str, float]:
        """What the screen was told last."""
        return {str(wait.of): wait.seconds for wait in self.entrance.state(NOW).waits}

    def say(self) -> AccessState | None:
        """What the screen is told now."""
        return self.entrance.say(NOW)


def code_of(command: Callable[[], str]) -> str:
    try:
        command()
    except CommandRefusedError as refusal:
        return refusal.code
    return "ok"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def test_without_a_claim_everybody_counts(door: Door) -> None:
    standing = door.turn()
    assert standing.gallery is GALLERY
    assert standing.claim is None
    assert standing.news == frozenset()


def test_a_badge_reduces_the_gallery_to_one_person_and_begins_the_visits_anew(door: Door) -> None:
    assert door.badge("a1") == "ok"
    standing = door.turn()
    assert standing.gallery is not None
    assert standing.claim is not None
    assert standing.gallery.person_ids == ("ada",)
    assert standing.claim.factor is Factor.BADGE
    assert standing.news == {News.RENEW}
    assert door.turn().news == frozenset()


def test_a_claim_is_good_for_one_verdict(door: Door) -> None:
    door.badge("A1")
    door.ends(person_id="ada")
    standing = door.turn()
    assert (standing.claim, standing.gallery) == (None, GALLERY)
    assert News.REGATHER in standing.news


def test_a_claim_is_good_for_some_seconds(door: Door) -> None:
    door.badge("A1")
    door.now_s += 9.9
    assert door.turn().claim is not None
    door.now_s += 0.2
    standing = door.turn()
    assert (standing.claim, standing.gallery) == (None, GALLERY)
    assert News.REGATHER in standing.news


def test_a_claim_waits_for_the_end_of_a_challenge_but_not_for_ever(door: Door) -> None:
    door.badge("A1")
    began_s = door.now_s
    while door.turn().claim is not None:
        door.entrance.hold()
        door.now_s += 1.0
        assert door.now_s < began_s + 200
    assert door.now_s - began_s == 10 + CHALLENGE_S
    door.entrance.hold()
    assert door.turn().claim is None


@pytest.mark.parametrize("number", ["FFFF", "E5"], ids=["unknown", "of an enrolment that is gone"])
def test_a_badge_of_nobody_is_answered_like_any_other_and_claims_nobody(
    door: Door, number: str
) -> None:
    assert door.badge(number) == "ok"
    standing = door.turn()
    assert standing.gallery is not None
    assert standing.gallery.person_ids == ()
    assert standing.claim is not None
    assert standing.news == {News.RENEW}


def test_nobody_can_tell_a_badge_of_nobody_from_one_of_somebody_else(tmp_path: Path) -> None:
    """The same codes, screens and waits, all the way into the lock-out and out of it."""

    def story(number: str) -> list[object]:
        (tmp_path / number).mkdir()
        door = Door(tmp_path / number)
        told: list[object] = []
        for _ in range(6):
            told += [door.badge(number), door.say(), door.waits()]
            door.ends("not_recognised")
            told += [door.say(), door.waits()]
            door.now_s += 31
        told.append(door.badge(number))
        door.now_s += 60 * ATTEMPTS.lock_out_minutes
        return [*told, door.badge(number)]

    known = story("A1")
    assert story("FFFF") == known
    assert "wait" in known


def test_a_wrong_face_locks_out_that_badge_but_no_other_and_no_pin(door: Door) -> None:
    for _ in range(ATTEMPTS.lock_out_after):
        assert door.badge("A1") == "ok"
        door.ends("not_recognised")
        door.now_s += 31
    assert door.badge("A1") == "wait"
    assert (door.badge("E5"), door.pin("314159")) == ("ok", "ok")
    assert door.turn().gallery is not None
    lockout = {"of": "badge", "seconds": 60 * ATTEMPTS.lock_out_minutes, "person_id": "ada"}
    assert door.logged == [lockout]
    door.entrance.reset({}, ADMIN)
    assert door.logged[1:] == [{"reset": True, "key": "ada", "person_id": None}]


def test_a_lock_out_that_cannot_be_logged_holds_and_is_logged_later(door: Door) -> None:
    door.broken = True
    for _ in range(ATTEMPTS.lock_out_after):
        door.badge("B0B")
        door.ends("not_recognised")
        door.now_s += 31
    assert door.badge("B0B") == "wait"
    with pytest.raises(AuditError):
        door.entrance.reset({}, ADMIN)
    assert door.badge("B0B") == "wait"
    door.broken = False
    door.turn()
    door.turn()
    # Of a badge of nobody neither the number nor its mark is written down.
    assert door.logged == [{"of": "badge", "seconds": 900, "person_id": None}]


def test_unknown_faces_slow_down_faces_and_nothing_else(door: Door) -> None:
    for _ in range(50):
        door.ends("not_recognised")
        if (wait_s := door.waits().get("face", 0.0)) > 0:
            assert door.turn().gallery is None
            assert door.turn().under_way is not None
            assert (door.badge("A1"), door.pin("314159")) == ("ok", "ok")
            standing = door.turn()
            assert standing.gallery is not None
            assert standing.gallery.person_ids == ("bob",)
            door.now_s += 10.1
            door.turn()
            door.now_s += wait_s
    assert door.waits() == {}
    assert News.WAIT_OVER in door.turn().news


def test_pictures_slow_down_faces_from_the_first_on_and_no_badge_or_pin(door: Door) -> None:
    waits_s = []
    for _ in range(9):
        door.ends("presentation_attack")
        waits_s.append(door.waits()["face"])
        assert door.turn().gallery is None
        door.now_s += waits_s[-1]
    assert waits_s == [4, 8, 16, 32, 64, 128, 256, 300, 300]
    door.ends("presentation_attack")
    assert (door.badge("A1"), door.pin("314159")) == ("ok", "ok")
    assert set(door.waits()) == {"face"}
    kept_s = door.waits()["face"]
    door.open()
    assert door.waits()["face"] == 300 >= kept_s > 290


def test_who_is_let_in_by_a_face_ends_the_wait_for_pictures_and_with_a_claim_there_is_none(
    door: Door,
) -> None:
    door.ends("presentation_attack")
    door.now_s += 4
    door.ends(person_id="ada")
    door.ends("presentation_attack")
    assert door.waits() == {"face": 4.0}
    door.now_s += 4
    door.badge("A1")
    door.ends("presentation_attack")
    assert "face" not in door.waits()


def test_a_pin_pad_flood_slows_down_pins_and_nothing_else(door: Door) -> None:
    codes = []
    for number in range(300):
        codes.append(door.pin_at_once(f"{number:06}"))
        # Somebody stands there, and was looked at with each of them.
        door.entrance.tried(door.turn().claim)
        door.now_s += 0.1
    # Three before the first wait, then ever fewer: 30 seconds have room for hardly any.
    assert codes.count("ok") <= 6
    assert door.badge("A1") == "ok"
    door.ends(person_id="ada")
    assert door.turn().gallery is GALLERY


def test_a_flood_of_pins_costs_one_scrypt_a_second(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        Reader, "pin", lambda _, pin: (asked.append(pin), Claimed(None, None, pin))[1]
    )
    for number in range(100):
        door.pin_at_once(f"{number:06}")
        door.now_s += 0.1
    assert len(asked) == 10
    assert door.badge("A1") == "ok"


def test_a_claim_that_is_replaced_has_failed_if_a_face_was_tried_with_it(door: Door) -> None:
    for number in ("1", "2", "3"):
        door.badge(number)
        door.entrance.tried(door.turn().claim)
    assert door.badge("4") == "ok"
    assert door.waits() == {"badge": 4.0}


def test_a_look_under_the_claim_before_is_none_under_this_one(door: Door) -> None:
    before = door.turn().claim
    # In the gallery's thread, while the vision thread is at work.
    door.badge("A1")
    door.entrance.tried(before)
    door.now_s += 10
    assert door.turn().claim is None
    assert read_attempts(door.file).counts == {}


def test_a_claim_that_nobody_tried_costs_nothing(door: Door) -> None:
    for number in range(20):
        assert door.badge(f"{number:X}") == "ok"
        door.turn()
        door.now_s += 10
    assert door.waits() == {}


def test_a_try_that_is_broken_off_costs_what_its_refusal_would(door: Door) -> None:
    assert door.entrance.broke_off("presentation_attack")
    assert door.waits() == {"face": 4}
    door.open()
    assert door.waits() == {"face": 4}
    door.entrance.reset({}, ADMIN)
    for wait_s in ({}, {}, {"face": 4}):
        door.entrance.broke_off("challenge_ignored")
        assert door.waits() == wait_s


def test_what_is_broken_off_in_a_claim_is_the_claims_and_in_an_enrolment_nobodys(
    door: Door,
) -> None:
    assert door.badge("A1") == "ok"
    standing = door.turn()
    door.entrance.tried(standing.claim)
    assert not door.entrance.broke_off("presentation_attack")
    door.now_s += 10
    door.turn()
    assert set(read_attempts(door.file).counts) == {"badge", standing.claim.key}
    door.entrance.reset({}, ADMIN)
    door.entrance.pause(5)
    assert not door.entrance.broke_off("presentation_attack")
    assert door.waits() == {}


def test_who_goes_in_with_somebody_else_has_broken_nothing_off(door: Door) -> None:
    door.ends(person_id="ada")
    door.now_s += GOES_IN_S - 1
    assert not door.entrance.broke_off("presentation_attack")
    assert door.waits() == {}
    door.now_s += 1
    assert door.entrance.broke_off("presentation_attack")
    assert door.waits() == {"face": 4}


def test_where_no_screen_answers_faces_fail_and_badges_do_not(door: Door) -> None:
    for _ in range(3):
        assert door.badge("A1") == "ok"
        door.ends("challenge_not_shown")
    assert door.waits() == {}
    for _ in range(3):
        door.ends("challenge_not_shown")
    assert door.waits() == {"face": 4}


@pytest.mark.parametrize(
    "reason", ["poor_quality", "too_few_pictures", "not_permitted", "factor_missing"]
)
def test_who_was_not_seen_or_is_known_has_not_failed(door: Door, reason: str) -> None:
    for _ in range(10):
        door.ends(reason)
        assert door.badge("A1") == "ok"
        door.ends(reason)
    assert door.waits() == {}


@pytest.mark.parametrize("reason", ["presentation_attack", "challenge_ignored"])
def test_a_presentation_attack_counts_for_what_it_was_tried_with(door: Door, reason: str) -> None:
    for _ in range(3):
        door.badge("A1")
        door.ends(reason)
    assert set(door.waits()) == {"badge"}
    door.entrance.reset({}, ADMIN)
    for _ in range(3):
        door.ends(reason)
    assert set(door.waits()) == {"face"}


def test_a_verdict_that_is_told_twice_counts_once(door: Door) -> None:
    verdict = Verdict("visit-1", None, 0.0, 2.0, "not_recognised")
    for _ in range(20):
        door.entrance.concluded(verdict, None)
    assert door.waits() == {}


def test_success_forgets_the_failures_of_that_badge_but_not_of_the_reader(door: Door) -> None:
    for _ in range(3):
        door.badge("A1")
        door.ends("not_recognised")
    door.now_s += 4.1
    door.badge("A1")
    door.ends(person_id="ada")
    door.badge("A1")
    door.ends("not_recognised")
    # One failure of the badge, but four of the reader: eight seconds.
    assert door.waits() == {"badge": 8.0}


def test_a_wait_survives_a_restart_whatever_the_clocks_say(door: Door) -> None:
    for _ in range(4):
        door.badge("A1")
        door.ends("not_recognised")
        door.now_s += 31
    assert door.badge("A1") == "wait"
    door.now_s = 3.0
    door.open()
    assert door.badge("A1") == "wait"
    door.now_s += 60 * ATTEMPTS.lock_out_minutes + 1
    assert door.badge("A1") == "ok"


def test_a_lock_out_is_on_disk_before_the_answer_leaves(door: Door) -> None:
    for _ in range(4):
        door.badge("A1")
        door.ends("not_recognised")
        door.now_s += 31
    waits = [pair[1] for pair in read_attempts(door.file).counts.values()]
    assert max(waits) == 60 * ATTEMPTS.lock_out_minutes
    # Whole words: a mark in hexadecimal may well have "ada" in it.
    words = set(re.findall(r"\w+", door.file.read_text()))
    assert "badge" in words
    assert not {"ada", "A1"} & words


def test_an_administrator_ends_every_wait_also_over_a_restart(door: Door) -> None:
    for _ in range(4):
        door.badge("A1")
        door.ends("not_recognised")
        door.now_s += 31
    door.entrance.reset({}, ADMIN)
    assert door.badge("A1") == "ok"
    door.turn()
    door.open()
    assert door.badge("A1") == "ok"


HOLD_S = 60 * ATTEMPTS.forget_minutes


@pytest.mark.parametrize("left", ["older", "none", "version 1"])
def test_a_lock_out_is_not_undone_by_an_older_file(
    door: Door, left: str, caplog: pytest.LogCaptureFixture
) -> None:
    versions = []
    for _ in range(4):
        door.badge("A1")
        door.ends("not_recognised")
        door.now_s += 31
        versions.append(door.file.read_bytes())
    last = door.file.read_bytes()
    assert door.badge("A1") == "wait"
    for tried in range(3):
        # However often the power goes, and whatever is written meanwhile.
        if left == "none":
            door.file.unlink(missing_ok=True)
        elif not tried:
            door.file.write_bytes(versions[0] if left == "older" else b'{"v":1,"counts":{}}')
        door.open()
        standing = door.turn()
        assert (standing.gallery, standing.under_way) == (None, None)
        assert door.entrance.problem == "attempts_restored"
        assert [door.badge("A1"), door.badge("E5"), door.pin("314159")] == ["wait"] * 3
        assert door.waits().keys() >= {"face", "badge", "pin"}
        door.now_s += HOLD_S - 10
        assert door.turn().gallery is None
    assert "reset-lockout" in caplog.text
    door.now_s += 15
    assert door.turn().gallery is not None
    assert (door.entrance.problem, door.badge("A1")) == ("", "ok")
    assert read_attempts(door.file).generation > max(door.generations)
    # The copy that was the last one is an older one now.
    door.turn()
    door.ends("not_recognised")
    door.file.write_bytes(last)
    door.open()
    assert door.entrance.problem == "attempts_restored"


def test_an_administrator_ends_the_wait_for_an_older_file(door: Door) -> None:
    door.ends("not_recognised")
    generation = read_attempts(door.file).generation
    door.file.unlink()
    door.broken = True
    door.open()
    assert (door.entrance.problem, door.turn().gallery) == ("attempts_error", None)
    with pytest.raises(AuditError):
        door.entrance.reset({}, ADMIN)
    door.broken = False
    door.entrance.reset({}, ADMIN)
    assert (door.entrance.problem, door.turn().gallery) == ("", GALLERY)
    assert read_attempts(door.file) == (generation + 1, {})
    door.ends("not_recognised")
    assert door.generations == [generation, generation + 2]


def test_a_failure_that_is_not_bound_to_the_log_lets_nobody_in(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    door.broken = True
    door.ends("not_recognised")
    assert (door.entrance.problem, door.turn().gallery) == ("attempts_error", None)
    for _ in range(3):
        door.now_s += 11
        door.turn()
    assert caplog.text.count("not bound to the log") == 1
    # The file alone is ahead of the log: a power cut here is no attack.
    door.broken = False
    door.open()
    assert (door.entrance.problem, door.turn().gallery) == ("", GALLERY)
    door.broken = True
    door.ends("not_recognised")
    door.broken = False
    door.now_s += 11
    door.turn()
    assert door.turn().gallery is GALLERY
    assert door.generations == [read_attempts(door.file).generation]


def test_while_failures_cannot_be_kept_nobody_is_let_in(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = module.write_attempts

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_attempts", full)
    door.ends("not_recognised")
    for _ in range(5):
        assert door.turn().gallery is None
    assert door.entrance.problem == "attempts_error"
    assert caplog.text.count("No space left on device") == 1
    monkeypatch.setattr(module, "write_attempts", real)
    assert door.turn().gallery is None
    door.now_s += 1.1
    assert door.turn().gallery is GALLERY
    assert door.entrance.problem == ""
    assert read_attempts(door.file).counts == {"face": [1.0, 0.0]}


def test_damaged_attempts_stop_the_daemon_with_a_way_out(door: Door) -> None:
    for text in ("", '{"v":1,"counts":{"face":[0,1]}}'):
        door.file.write_text(text)
        with pytest.raises(ConfigError, match="move the file away"):
            door.open()


def test_the_screen_is_told_once_a_second_and_once_that_it_is_over(door: Door) -> None:
    assert door.say() is None
    door.badge("A1")
    first = door.say()
    assert first is not None
    assert (first.claim, first.claim_s, first.waits) == (Factor.BADGE, 10.0, ())
    assert door.say() is None
    door.now_s += 1.0
    second = door.say()
    assert second is not None
    assert second.claim_s == 9.0
    door.ends(person_id="ada")
    last = door.say()
    assert last is not None
    assert (last.claim, last.waits) == (None, ())
    assert door.say() is None


def test_a_refused_claim_is_told_to_who_stands_there_and_then_no_more(door: Door) -> None:
    for _ in range(4):
        door.badge("A1")
        door.ends("not_recognised")
        door.now_s += 31
    assert door.badge("A1") == "wait"
    assert door.waits() == {"claim": 900.0 - 31 - 1}
    door.now_s += REFUSAL_SHOWN_S
    assert door.waits() == {}


def test_another_try_is_for_who_was_rejected(door: Door) -> None:
    assert code_of(lambda: door.entrance.try_again({}, KIOSK)) == "ok"
    assert door.turn().news == {News.RETRY}
    for _ in range(3):
        door.ends("not_recognised")
    assert code_of(lambda: door.entrance.try_again({}, KIOSK)) == "wait"


@pytest.mark.parametrize(
    ("args", "sender", "code"),
    [
        ({}, READER, "bad_arguments"),
        ({"badge": "A1", "pin": "314159"}, READER, "bad_arguments"),
        ({"badge": "A1", "person": "ada"}, READER, "bad_arguments"),
        ({"badge": 17}, READER, "bad_arguments"),
        ({"badge": ""}, READER, "bad_arguments"),
        ({"badge": "A" * 65}, READER, "bad_arguments"),
        ({"badge": "A1"}, KIOSK, "not_allowed"),
    ],
)
def test_a_claim_that_is_none_is_refused(
    door: Door, args: dict[str, str], sender: Sender, code: str
) -> None:
    assert code_of(lambda: door.entrance.claim(args, sender)) == code
    assert door.turn().claim is None


def test_what_is_no_badge_costs_nothing_and_is_not_repeated(door: Door) -> None:
    for _ in range(10):
        with pytest.raises(GalleryError, match="no badge's number") as caught:
            door.entrance.claim({"badge": "hello"}, READER)
        assert "hello" not in str(caught.value)
    assert door.waits() == {}


def test_a_rejected_verification_keeps_its_score_to_itself(door: Door) -> None:
    door.badge("A1")
    claim = door.turn().claim
    assert claim is not None
    of_one = Bar(1.5, 1.0, 0.0)
    rejected = verified(Verdict("v", None, 1.9, 2.0, "not_recognised"), claim, of_one)
    nobody = verified(Verdict("v", None, NOTHING_COMPARED, 1.5, "not_recognised"), claim, of_one)
    assert rejected == nobody
    accepted = verified(Verdict("v", "ada", 5.0, 2.0), claim, of_one)
    assert (accepted.mode, accepted.score, accepted.threshold) == (Mode.VERIFY, 5.0, 2.0)
    assert accepted.shown == (Factor.FACE, Factor.BADGE)


def test_a_patient_bar_still_decides_at_its_threshold() -> None:
    assert patient(Bar(2.0, 1.0, -1.0)) == Bar(2.0, 1.0, float("-inf"))


def test_a_door_that_looks_on_request_compares_nobody_before_it_and_once_after(
    tmp_path: Path,
) -> None:
    door = Door(tmp_path, on_request=True)
    assert door.turn().gallery is None
    assert code_of(lambda: door.entrance.try_again({}, KIOSK)) == "ok"
    standing = door.turn()
    assert standing.gallery is GALLERY
    assert standing.news == {News.RETRY, News.WAIT_OVER}
    assert door.ends("not_recognised").gallery is GALLERY
    # The next needs another request, and one that nobody answers to lapses.
    assert door.turn().gallery is None
    assert code_of(lambda: door.entrance.try_again({}, KIOSK)) == "ok"
    door.now_s += 9.9
    assert door.turn().gallery is GALLERY
    door.now_s += 0.2
    standing = door.turn()
    assert standing.gallery is None
    # Whoever was being looked at by then is looked at to the end.
    assert standing.under_way is GALLERY


def test_a_door_that_looks_on_request_looks_for_who_is_claimed(tmp_path: Path) -> None:
    door = Door(tmp_path, on_request=True)
    assert door.badge("A1") == "ok"
    gallery = door.turn().gallery
    assert gallery is not None
    assert gallery.person_ids == ("ada",)
    door.ends(person_id="ada")
    assert door.turn().gallery is None


def test_while_somebody_is_enrolled_nobody_is_compared_or_fails(door: Door) -> None:
    assert door.badge("A1") == "ok"
    door.entrance.pause(10.0)
    standing = door.turn()
    assert (standing.gallery, standing.under_way) == (None, None)
    door.now_s += 10.0
    assert door.turn().gallery is not None
    door.entrance.pause(10.0)
    door.entrance.pause(0.0)
    # Whoever stands there begins anew.
    assert News.RENEW in door.turn().news
    assert door.turn().gallery is not None


def test_a_door_is_busy_with_a_claim_and_with_an_enrolment(door: Door) -> None:
    assert not door.entrance.is_busy
    door.entrance.pause(10.0)
    assert door.entrance.is_busy
    door.now_s += 10.0
    assert not door.entrance.is_busy
    assert door.badge("A1") == "ok"
    assert door.entrance.is_busy
    door.turn()
    door.ends(person_id="ada")
    assert not door.entrance.is_busy


def test_in_a_gallery_too_large_to_search_nobody_is_judged_without_a_claim(door: Door) -> None:
    attempts = door.file.with_name("other-attempts")
    config = AccessConfig(claim_s=10, attempts=ATTEMPTS)

    def entrance(most_searched: int) -> Entrance:
        return Entrance(
            config, attempts, Reader(), door, lambda: door.now_s, most_searched=most_searched
        )

    assert entrance(3).turn(GALLERY).gallery is GALLERY
    door.entrance = entrance(2)
    assert (door.turn().gallery, door.turn().under_way) == (None, None)
    door.badge("A1")
    alone = door.turn().gallery
    assert alone is not None
    assert alone.person_ids == ("ada",)
    assert len(alone.templates) == 1
    door.ends("not_recognised")
    assert door.turn().gallery is None
    # Whoever has to wait was never looked at without a claim, so that nothing is under way.
    while not door.waits():
        door.badge("A1")
        door.ends("not_recognised")
    assert door.turn().under_way is None
