"""Badges and PINs at rest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.errors import GalleryError
from oneglance.faces.gallery import credentials as module
from oneglance.faces.gallery.credentials import (
    CredentialFile,
    Credentials,
    accept_credentials,
    changing,
    checked_badge,
    read_credentials,
    seal_again,
    write_credentials,
)
from oneglance.faces.gallery.person import Person
from oneglance.faces.gallery.vault import TemplateKey

KEY = TemplateKey(b"k" * 32)
ENROLLED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of PINs in a moment: the cost of scrypt is not what is tested."""
    monkeypatch.setattr(module, "SCRYPT_N", 2)


def some() -> Credentials:
    return (
        Credentials.none()
        .with_badge("ada", ENROLLED, "0012345678")
        .with_pin("ada", ENROLLED, "271828")
        .with_pin("bob", ENROLLED, "314159")
    )


def test_a_badge_and_a_pin_claim_their_person() -> None:
    held = some()
    assert held.claimed_by_badge("12345678").person_id == "ada"
    assert held.claimed_by_pin("314159").person_id == "bob"
    assert held.claimed_by_pin("271828").created_at == ENROLLED
    assert held.has("ada") == (True, True)
    assert held.has("bob") == (False, True)
    assert held.has("eve") == (False, False)


def test_what_nobody_has_claims_nobody_but_has_a_mark_of_its_own() -> None:
    held = some()
    one, other = held.claimed_by_pin("000000"), held.claimed_by_pin("000001")
    assert (one.person_id, one.created_at) == (None, None)
    assert one.mark == held.claimed_by_pin("000000").mark != other.mark
    assert held.claimed_by_badge("99").person_id is None


def test_a_claim_costs_the_same_work_whoever_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    held, calls = some(), []
    plain = hashlib.scrypt
    monkeypatch.setattr(hashlib, "scrypt", lambda *a, **k: (calls.append(1), plain(*a, **k))[1])
    counts = []
    for pin in ("271828", "314159", "000000"):
        calls.clear()
        held.claimed_by_pin(pin)
        counts.append(len(calls))
    assert counts == [3, 3, 3]


def test_neither_number_nor_pin_nor_name_stands_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    held = some()
    write_credentials(file, KEY, held)
    assert read_credentials(file, KEY) == held
    data = file.read_bytes()
    for secret in (b"12345678", b"271828", b"314159", b"ada", b"bob"):
        assert secret not in data
    assert file.stat().st_mode & 0o777 == 0o600


def test_not_even_unsealed_does_it_show_a_number_or_pin(tmp_path: Path) -> None:
    sealed: list[bytes] = []

    class Noting(TemplateKey):
        def seal(self, plaintext: bytes, context: bytes) -> bytes:
            sealed.append(plaintext)
            return super().seal(plaintext, context)

    write_credentials(tmp_path / "credentials", Noting(b"k" * 32), some())
    (plain,) = sealed
    assert b'"ada"' in plain
    for secret in (b"12345678", b"271828", b"314159"):
        assert secret not in plain


def test_two_people_with_one_salt_there_are_not() -> None:
    salts = [entry.salt for entry in some().entries.values()]
    assert len(set(salts)) == 2


def test_nobody_can_have_what_another_has() -> None:
    held = some()
    with pytest.raises(GalleryError, match="another person has this badge"):
        held.with_badge("bob", ENROLLED, "12345678")
    with pytest.raises(GalleryError, match="cannot be had") as caught:
        held.with_pin("bob", ENROLLED, "271828")
    assert "ada" not in str(caught.value)
    assert held.with_pin("ada", ENROLLED, "271828").claimed_by_pin("271828").person_id == "ada"


def test_what_is_taken_away_claims_nobody() -> None:
    held = some().with_badge("ada", ENROLLED, None).with_pin("ada", ENROLLED, None)
    assert "ada" not in held.entries
    assert held.claimed_by_badge("12345678").person_id is None


def test_a_later_enrolment_under_the_same_id_inherits_nothing() -> None:
    later = datetime(2026, 6, 1, tzinfo=UTC)
    held = some().with_badge("ada", later, "777")
    assert held.claimed_by_pin("271828").person_id is None
    assert held.claimed_by_badge("777").created_at == later


def test_more_pins_than_a_claim_can_try_are_refused() -> None:
    held = Credentials.none()
    for number in range(module.MOST_PINS):
        held = held.with_pin(f"p{number}", ENROLLED, f"{number:06}")
    with pytest.raises(GalleryError, match="have a PIN already"):
        held.with_pin("one-more", ENROLLED, "999999")
    assert held.with_pin("p0", ENROLLED, "999999").claimed_by_pin("999999").person_id == "p0"


@pytest.mark.parametrize("number", ["", "xyz", "1" * 33, "12 34", "-1", "\u0661"])
def test_what_is_no_number_of_a_badge_is_refused_without_showing_it(number: str) -> None:
    with pytest.raises(GalleryError, match="no badge's number") as caught:
        some().claimed_by_badge(number)
    assert not number or number not in str(caught.value)


@pytest.mark.parametrize("pin", ["12345", "1234567890123", "12345a", "", "\u0661" * 6, "123456\n"])
def test_what_is_no_pin_is_refused_without_showing_it(pin: str) -> None:
    with pytest.raises(GalleryError, match="6 to 12 digits") as caught:
        some().claimed_by_pin(pin)
    assert not pin or pin not in str(caught.value)


@given(st.from_regex(r"[0-9A-Fa-f]{1,32}", fullmatch=True))
def test_the_same_number_is_the_same_however_it_is_written(number: str) -> None:
    assert checked_badge(number) == checked_badge(f" {number.lower()} ")
    assert int(checked_badge(number), 16) == int(number, 16)
    assert checked_badge(checked_badge(number)) == checked_badge(number)


def test_any_byte_that_is_changed_or_missing_is_noticed_and_nothing_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    write_credentials(file, KEY, some())
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        for broken in (
            whole[:place],
            whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :],
        ):
            file.write_bytes(broken)
            with pytest.raises(GalleryError), changing(file, KEY) as held:
                held[0] = held[0].without(["ada"])
            assert file.read_bytes() == broken


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    write_credentials(file, KEY, some())
    with pytest.raises(GalleryError, match="another key"):
        read_credentials(file, TemplateKey(b"x" * 32))


def test_a_new_key_takes_over_without_a_moment_in_which_neither_opens_the_file(
    tmp_path: Path,
) -> None:
    file, new = tmp_path / "credentials", TemplateKey(b"n" * 32)
    seal_again(file, KEY, also=new)
    assert not file.exists()
    held = some()
    write_credentials(file, KEY, held)
    seal_again(file, KEY, also=new)
    assert read_credentials(file, KEY) == read_credentials(file, new) == held
    seal_again(file, new)
    assert read_credentials(file, new) == held
    with pytest.raises(GalleryError, match="another key"):
        read_credentials(file, KEY)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    write_credentials(file, KEY, some())
    file.chmod(0o640)
    with pytest.raises(GalleryError, match="chmod 600"):
        read_credentials(file, KEY)


def only(*person_ids: str, since: datetime = ENROLLED) -> Callable[[], list[Person]]:
    """That only these are in the gallery."""
    people = [Person(one, one, since, since, None, 1, ()) for one in person_ids]
    return lambda: people


def test_a_deleted_person_leaves_no_badge(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    door = CredentialFile(file, KEY)
    assert door.drop_departed(only("bob")) == 0
    assert not file.exists()
    write_credentials(file, KEY, some())
    assert door.drop_departed(only("bob")) == 1
    assert set(read_credentials(file, KEY).entries) == {"bob"}
    before = file.read_bytes()
    assert door.drop_departed(only("bob")) == 0
    assert file.read_bytes() == before
    assert door.drop_departed(only("bob", since=ENROLLED + timedelta(seconds=1))) == 1
    assert read_credentials(file, KEY).entries == {}


def test_a_change_that_fails_half_way_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    write_credentials(file, KEY, some())
    before = file.read_bytes()

    def change() -> None:
        with changing(file, KEY) as held:
            held[0] = held[0].without(["ada"])
            held[0] = held[0].with_badge("bob", ENROLLED, "no number")

    with pytest.raises(GalleryError):
        change()
    assert file.read_bytes() == before


class Log:
    """A log of generations, in memory; while it is full it takes none."""

    def __init__(self) -> None:
        self.highest: int | None = None
        self.full = False

    def highest_generation(self) -> int | None:
        return self.highest

    def note_generation(self, generation: int) -> None:
        if self.full:
            raise GalleryError("the log is full")
        assert generation > (self.highest or 0)
        self.highest = generation


def test_an_older_copy_counts_for_nothing_until_it_is_accepted(tmp_path: Path) -> None:
    file, log = tmp_path / "credentials", Log()
    with changing(file, KEY, log) as held:
        held[0] = held[0].with_badge("ada", ENROLLED, "A1")
    with changing(file, KEY, log):
        pass
    assert (log.highest, read_credentials(file, KEY).generation) == (1, 1)
    older = file.read_bytes()
    door = CredentialFile(file, KEY, log)
    door.drop_departed(only("bob"))
    newer = file.read_bytes()
    assert door.badge("A1").person_id is None
    file.write_bytes(older)
    for use in (
        lambda: door.badge("A1"),
        lambda: door.pin("271828"),
        lambda: door.drop_departed(only("bob")),
    ):
        with pytest.raises(GalleryError, match="an older copy of the badges and PINs") as caught:
            use()
        assert "accept-restore" in caught.value.fix
    assert file.read_bytes() == older
    accept_credentials(file, KEY, log)
    assert door.badge("A1").person_id == "ada"
    file.write_bytes(newer)
    with pytest.raises(GalleryError, match="generation 2, 3 was seen"):
        door.badge("A1")


def test_a_file_that_is_gone_gives_nobody_a_badge_and_the_next_is_newer(tmp_path: Path) -> None:
    file, log = tmp_path / "credentials", Log()
    with changing(file, KEY, log) as held:
        held[0] = held[0].with_badge("ada", ENROLLED, "A1")
    older = file.read_bytes()
    file.unlink()
    assert read_credentials(file, KEY, log).entries == {}
    accept_credentials(file, KEY, log)
    with changing(file, KEY, log) as held:
        held[0] = held[0].with_badge("bob", ENROLLED, "B2")
    file.write_bytes(older)
    with pytest.raises(GalleryError, match="an older copy"):
        read_credentials(file, KEY, log)


def test_a_log_that_takes_no_entry_leaves_the_newer_file_and_learns_of_it_later(
    tmp_path: Path,
) -> None:
    file, log = tmp_path / "credentials", Log()
    log.full = True
    with pytest.raises(GalleryError, match="the log is full"), changing(file, KEY, log) as held:
        held[0] = held[0].with_badge("ada", ENROLLED, "A1")
    door = CredentialFile(file, KEY, log)
    with pytest.raises(GalleryError, match="the log is full"):
        door.check()
    log.full = False
    assert door.badge("A1").person_id == "ada"
    door.check()
    assert log.highest == 1
    door.check()
    older = file.read_bytes()
    log.full = True
    with pytest.raises(GalleryError, match="the log is full"):
        door.drop_departed(only("bob"))
    log.full = False
    door.check()
    file.write_bytes(older)
    with pytest.raises(GalleryError, match="generation 1, 2 was seen"):
        door.check()
