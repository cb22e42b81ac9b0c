"""The administration at the screen: nothing without the PIN, and nothing left when it closes."""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from admin_walk import CHEAP, DECISIONS, KEY, LONG, PIN, SEALED, SYSTEM, WRONG, Screen, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.config import Config
from oneglance.contract.messages import DoorState, LockState
from oneglance.errors import ConfigError
from oneglance.kiosk_ui.admin_attempts import FIRST_WAIT_S, FREE, LONGEST_WAIT_S, AdminAttempts
from oneglance.kiosk_ui.admin_desk import IDLE_S
from oneglance.kiosk_ui.admin_enrol import CONSENT_LINES, LOOK_EVERY_S, POSES
from oneglance.kiosk_ui.admin_facts import House, facts_of, recent_of
from oneglance.kiosk_ui.admin_house import LOCK_ANSWER_S
from oneglance.kiosk_ui.admin_keys import rows, typed
from oneglance.kiosk_ui.admin_page import DELETE
from oneglance.kiosk_ui.admin_secret import Cost, check_pin, opened, read, sealed, write
from oneglance.kiosk_ui.backlight import set_backlight
from oneglance.kiosk_ui.kept import Kept, read_kept, write_kept
from oneglance.kiosk_ui.language import LANGUAGES, Language, language
from oneglance.kiosk_ui.names import clean_name
from oneglance.kiosk_ui.words import tenths_of


def test_the_key_comes_out_with_its_pin_alone_and_stands_nowhere_in_the_file() -> None:
    found = opened(SEALED, PIN)
    assert found is not None
    assert found.key.private_bytes_raw() == KEY.key.private_bytes_raw()
    assert (found.key_id, found.user, found.password) == (
        "hall-admin",
        "oneglance-admin",
        "a password",
    )
    assert opened(SEALED, WRONG) is None
    assert opened(SEALED, "") is None
    for secret in (b"hall-admin", b"password", PIN.encode()):
        assert secret not in SEALED
    assert "password'" not in repr(found)


def test_each_sealing_is_another_and_as_costly_as_rfc_9106_has_it() -> None:
    other = sealed(KEY, PIN, CHEAP)
    assert json.loads(other)["sealed"][:16] != json.loads(SEALED)["sealed"][:16]
    assert json.loads(other)["salt"] != json.loads(SEALED)["salt"]
    assert (Cost().kib, Cost().passes, Cost().lanes) == (65_536, 3, 4)


@pytest.mark.parametrize(
    "pin",
    [
        *("", "1234567", "12345678", "98765432", "11112222", "x" * 8, "٣" * 9),
        *("24121983", "12241983", "19831224"),
    ],
)
def test_a_pin_that_is_soon_guessed_is_none(pin: str) -> None:
    with pytest.raises(ConfigError):
        check_pin(pin)


@pytest.mark.parametrize("pin", ["24131883", "32121983", "241219830", "27182818"])
def test_a_pin_that_is_no_date_is_one(pin: str) -> None:
    assert check_pin(pin) == pin


@settings(max_examples=25)
@given(st.data())
def test_any_bytes_are_a_sealed_key_or_a_clear_error(data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(SEALED)))
    junk = data.draw(st.binary(max_size=5))
    body = json.loads(SEALED)
    name = data.draw(st.sampled_from(sorted(body)))
    body[name] = data.draw(st.none() | st.sampled_from([-1, 0, 1, 2**40]) | st.text(max_size=5))
    for content in (SEALED[:cut] + junk, json.dumps(body).encode()):
        with suppress(ConfigError):
            assert opened(content, PIN) is None or content.strip() == SEALED


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "admin"
    write(file, SEALED)
    assert file.stat().st_mode & 0o777 == 0o600
    assert read(file) == SEALED
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="read by others"):
        read(file)


def test_wrong_pins_cost_more_and_more_and_no_restart_helps(tmp_path: Path) -> None:
    file = tmp_path / "admin.attempts"
    now_s, waits = 0.0, []
    for _ in range(FREE + 9):
        # The program ends in the middle of each try: it counts all the same.
        attempts = AdminAttempts(file, now_s)
        waits.append(attempts.wait_s(now_s))
        now_s += waits[-1]
        attempts.begin(now_s)
    assert waits[:FREE] == [0.0] * FREE
    assert waits[FREE : FREE + 3] == [FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S]
    assert waits[-1] == LONGEST_WAIT_S
    attempts = AdminAttempts(file, now_s)
    attempts.succeeded()
    assert AdminAttempts(file, now_s).wait_s(now_s) == 0.0
    file.write_bytes(b"nonsense")
    assert AdminAttempts(file, now_s).wait_s(now_s) == LONGEST_WAIT_S
    file.unlink()
    attempts.begin(now_s)
    # Set anew at the machine: forgotten, in a running screen too.
    file.unlink()
    attempts.refresh(now_s)
    assert attempts.wait_s(now_s) == 0.0


def test_a_try_that_cannot_be_counted_is_not_made(tmp_path: Path) -> None:
    attempts = AdminAttempts(tmp_path / "gone" / "admin.attempts", 0.0)
    with pytest.raises(ConfigError, match="cannot be counted"):
        attempts.begin(0.0)


@pytest.fixture
def screen(tmp_path: Path) -> Screen:
    return Screen(tmp_path)


def test_the_right_pin_opens_it_with_its_key_and_a_wrong_one_nothing(
    screen: Screen, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert screen.desk.page is None
    assert screen.enter(WRONG) == "Staff"
    assert screen.keys == []
    assert screen.enter(PIN) == "Administration"
    assert [key.key_id for key in screen.keys] == ["hall-admin"]
    assert screen.press("close") == ""
    assert screen.daemon.stopped
    for secret in (PIN, WRONG):
        assert secret not in caplog.text
        assert secret not in repr(vars(screen.desk))


def test_what_is_typed_is_shown_as_dots_and_gone_with_its_page(screen: Screen) -> None:
    screen.desk.open()
    screen.press(*"2718")
    assert screen.desk.page is not None
    assert screen.desk.page.entry == 4 * "\N{BULLET}"
    screen.press("close")
    screen.desk.open()
    assert screen.desk.page is not None
    assert screen.desk.page.entry == ""


def test_a_lock_out_counts_down_and_outlives_the_screen(screen: Screen) -> None:
    for _ in range(FREE):
        screen.enter(WRONG)
    assert screen.line.startswith("Too many wrong PINs: wait 0:")
    assert screen.enter(PIN) == "Staff"
    assert screen.keys == []
    screen.begin()
    screen.enter(PIN)
    assert screen.line.startswith("Too many wrong PINs")
    screen.press(passed_s=FIRST_WAIT_S + 1)
    assert screen.enter(PIN) == "Administration"


def test_pins_are_not_tried_side_by_side(screen: Screen) -> None:
    computing: list[Callable[[], None]] = []
    screen.begin(computing.append)
    for _ in range(FREE + 3):
        # Closed and opened again before the last one is computed, which takes half a second.
        screen.enter(WRONG)
        screen.press("close")
    screen.enter(PIN)
    assert len(computing) == FREE
    assert screen.line.startswith("Too many wrong PINs")
    for compute in computing:
        compute()
    screen.press()
    screen.press(passed_s=FIRST_WAIT_S - 1)
    assert screen.line.startswith("Too many wrong PINs: wait 0:01")


def test_who_walks_away_leaves_nothing_open(screen: Screen) -> None:
    screen.enter(PIN)
    assert screen.press("system", passed_s=IDLE_S - 1) == "System"
    assert screen.press(passed_s=1) == ""
    assert screen.daemon.stopped


def test_people_are_found_renamed_and_deleted_by_the_daemon_alone(screen: Screen) -> None:
    screen.daemon.says["list"] = ("ok", "ada  Ada King\nbob  Bob\nand 3 more: 'oneglance people'")
    screen.enter(PIN)
    assert screen.press("people") == "People"
    assert screen.desk.page is not None
    assert [item.text for item in screen.desk.page.items][:2] == ["Ada King", "Bob"]
    assert screen.press("search", *"ki", "done") == "People"
    assert screen.daemon.asked[-1] == ("list", {"search": "Ki"})
    assert screen.press("person ada") == "Ada King"
    screen.press("rename", *(8 * [DELETE]), *"ada l", "done")
    assert screen.daemon.asked[-1] == ("rename", {"id": "ada", "name": "ada L"})
    screen.press("back")
    assert screen.press("person bob", "delete") == "Delete Bob?"
    before = len(screen.daemon.asked)
    assert screen.press("back") == "People"
    assert screen.press("person bob", "delete", "yes") == "Delete"
    assert screen.daemon.asked[before + 1 :] == [("delete", {"id": "bob"})]


def test_what_the_daemon_refuses_or_does_not_answer_is_said(screen: Screen) -> None:
    screen.daemon.says["list"] = ("revoked", "the key hall-admin was revoked")
    screen.enter(PIN)
    screen.press("people")
    assert screen.line.startswith("The key behind this PIN is not valid")
    assert screen.page.note == "the key hall-admin was revoked"
    screen.daemon.says["list"] = ("", "")
    screen.press("back", "people")
    assert screen.line == "The daemon did not answer"


def test_another_pin_counts_from_then_on(screen: Screen) -> None:
    screen.enter(PIN)
    assert screen.press("screen", "pin", *"11111111", "done") == "New PIN"
    screen.press(*"16180339", "done", *"16180330", "done")
    assert screen.line == "They did not match: once more"
    screen.press(*"16180339", "done", *"16180339", "done")
    assert screen.line == "It counts from now on"
    screen.press("close")
    assert screen.enter(PIN) == "Staff"
    assert screen.press("close") == ""
    assert screen.enter("16180339") == "Administration"


def test_an_enrolment_asks_for_consent_then_pose_after_pose(screen: Screen) -> None:
    screen.enter(PIN)
    screen.press("enrol", "here", *"ada king", "done")
    assert screen.desk.page is not None
    assert [item.text for item in screen.desk.page.items] == list(CONSENT_LINES)
    screen.press("agree")
    assert screen.daemon.asked[-1][1] == {
        "name": "Ada King",
        "consent": True,
        "consent_text": " ".join(CONSENT_LINES),
    }
    screen.daemon.says["enrol-look"] = ("", "")
    assert screen.press(passed_s=2.0) == POSES["look_straight"]
    assert screen.line == "The daemon did not answer"
    screen.daemon.says["enrol-look"] = ("more_light", "")
    titles = []
    for pose in POSES:
        assert screen.desk.page is not None
        assert screen.desk.page.picture
        screen.press(passed_s=2.0)
        assert screen.daemon.asked[-1] == ("enrol-look", {"pose": pose})
        screen.daemon.says["enrol-look"] = ("ok", "")
        titles.append(screen.press(passed_s=LOOK_EVERY_S))
        screen.daemon.says["enrol-look"] = ("pose", "")
    assert titles == [*list(POSES.values())[1:], "Five good looks"]
    # Once more, and then kept.
    assert screen.press("again") == POSES["look_straight"]
    screen.daemon.says["enrol-look"] = ("ok", "")
    for _ in range(20):
        screen.press(passed_s=1.0)
    assert screen.press("save") == "Enrolled"
    assert screen.daemon.asked[-1] == ("enrol-finish", {})


def test_who_says_no_or_walks_away_is_not_enrolled(screen: Screen) -> None:
    screen.enter(PIN)
    screen.press("enrol", "here", *"bob", "done", "back")
    assert not [verb for verb, _ in screen.daemon.asked if verb.startswith("enrol")]
    screen.press("enrol", "here", *"bob", "done", "agree")
    screen.press("cancel")
    assert screen.daemon.asked[-1][0] == "enrol-cancel"
    screen.press("enrol", "here", *"bob", "done", "agree", "close")
    screen.daemon.says["enrol-look"] = ("pose", "")
    screen.press(passed_s=1000)
    assert screen.desk.page is None
    # Nor is anything left of who was looked at, and not saved.
    screen.daemon.says["enrol-look"] = ("ok", "")
    screen.enter(PIN)
    screen.press("enrol", "here", *"bob", "done", "agree")
    for _ in range(20):
        screen.press(passed_s=1.0)
    assert screen.desk.page is not None
    assert screen.desk.page.title == "Five good looks"
    screen.press(passed_s=1000)
    assert screen.daemon.asked[-1][0] == "enrol-cancel"
    # Nor a page open for longer, where no enrolment could be begun.
    screen.daemon.says["enrol-begin"] = ("busy", "somebody else is enrolling")
    screen.enter(PIN)
    screen.press("enrol", "here", *"bob", "done", "agree")
    assert screen.press("back") == "Administration"
    assert screen.press(passed_s=IDLE_S) == ""
    assert "enrol-finish" not in [verb for verb, _ in screen.daemon.asked]


class Marked(Language):
    """Says which words are translated."""

    def say(self, message: str, **values: str) -> str:
        return f"<{Language().say(message, **values)}>" if message else ""


def test_every_text_of_every_page_is_translated() -> None:
    theirs = (
        *("maximiliane-[0-9]+", re.escape(clean_name(LONG)), "family|staff|volunteers|cleaning.*"),
        *("[0-9]+( %)?", r"[0-9-]{5,10} [0-9:]+( · (<.*|DCIM))?", "IMG_.*", "oneglance .*"),
        *("camera_lost(:side)?", "credentials_restored", "mobileface.*", "[0-9.]+:1883", "57.9 °C"),
        *("English|Deutsch|Español|Français|Tiếng Việt|العربية|中文",),
    )
    known = re.compile("|".join(theirs) + "|")
    for name, page in walk(Marked()):
        said = [page.title, page.line]
        said += [text for item in page.items + page.buttons for text in (item.text, item.more)]
        assert [text for text in said if text[:1] != "<" and not known.fullmatch(text)] == [], name


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_keys_of_every_language_write_its_names(code: str) -> None:
    keys = {key for row in rows(code) for key in row}
    names = {
        "en": "o'neil-smith",
        "de": "jürgen groß",
        "es": "maría núñez",
        "fr": "zoë lefèvre",
        "vi": "nguyễn thị ánh tuyết",
        "ar": "فاطمة الزهراء",
        "zh": "wang xiaoming",
    }
    text = ""
    for letter in names[code]:
        # A Vietnamese letter that has no key is a vowel's, and then its tone's.
        plain, tone = _parted(letter) if letter not in keys else (letter, "")
        assert {plain, tone} - {""} <= keys
        text = typed(text, plain, code)
        text = typed(text, tone, code) if tone else text
    assert text == names[code]
    assert len({key for row in rows("ar", own=False) for key in row} & set("abcxyz")) == 6


def _parted(letter: str) -> tuple[str, str]:
    """A vowel, and the key of its tone."""
    marks = unicodedata.normalize("NFD", letter)
    (tone,) = [mark for mark in marks if mark in _TONES]
    return unicodedata.normalize("NFC", marks.replace(tone, "")), _TONES[tone]


_TONES = dict(zip("\u0300\u0301\u0309\u0303\u0323", "àáảãạ", strict=True))


@given(st.sampled_from(LANGUAGES), st.lists(st.sampled_from("aeơâkàáảãạ ب"), max_size=8))
def test_what_is_typed_is_as_long_as_it_is_seen(code: str, letters: list[str]) -> None:
    text = ""
    for letter in letters:
        longer = typed(text, letter, code)
        assert longer[:-1] == text or (code == "vi" and longer[:-1] == text[:-1])
        text = longer
    assert unicodedata.normalize("NFC", text) == text
    assert typed("Tuâ", "á", "vi") == "Tuấ"
    assert typed("Tuâ", "á", "es") == "Tuâá"
    assert typed("H", "á", "vi") == "Há"


def test_groups_change_at_a_touch_and_are_what_the_daemon_says(screen: Screen) -> None:
    screen.daemon.says |= {"list": ("ok", "ada  Ada"), "groups": ("ok", "+ family\n- staff")}
    screen.enter(PIN)
    assert screen.press("people") == "People"
    assert screen.press("person ada", "groups") == "Groups"
    assert [(item.text, item.chosen) for item in screen.page.items] == [
        ("family", True),
        ("staff", False),
    ]
    screen.daemon.says["regroup"] = ("ok", "+ family\n+ staff")
    screen.press("group staff")
    assert screen.daemon.asked[-1] == ("regroup", {"id": "ada", "group": "staff", "member": True})
    assert [item.chosen for item in screen.page.items] == [True, True]
    screen.daemon.says["regroup"] = ("audit_error", "no room")
    screen.press("group family")
    assert screen.daemon.asked[-1][1]["member"] is False
    assert screen.line == "It could not be logged, so it was not done"


def test_the_lock_has_passed_only_when_it_names_the_test_that_was_signed_now(
    screen: Screen,
) -> None:
    def says(cause: str, state: LockState = LockState.LOCKED, heard: str = "e1") -> None:
        door = DoorState(issued_at=datetime.now(UTC), state=state, cause=cause)
        screen.house = replace(screen.house, lock_test=heard, door=door)

    says("e1")
    screen.enter(PIN)
    # A former test, and its answer, prove nothing of now.
    assert screen.press("lock", "test", passed_s=LOCK_ANSWER_S) == "Test the lock"
    assert screen.line == "The daemon sent no decision"
    for cause, state in (("e1", LockState.LOCKED), ("e2", LockState.UNLOCKED)):
        screen.press("back", "lock")
        says("e1")
        screen.press("test")
        says(cause, state, "e2")
        screen.press(passed_s=LOCK_ANSWER_S)
        assert screen.line == "The lock did not answer"
    screen.press("back", "lock", "test", passed_s=0.4)
    assert screen.line == "One moment"
    says("e3", heard="e3")
    screen.press(passed_s=0.1)
    assert screen.line == "The lock got it, verified it and stayed shut: after 0.5 s"
    assert [verb for verb, _ in screen.daemon.asked] == 4 * ["test-lock"]
    screen.daemon.says["test-lock"] = ("revoked", "")
    screen.press("back", "lock", "test")
    assert screen.line.startswith("The key behind this PIN is not valid")


def test_the_last_decisions_have_the_time_of_the_door_and_the_language_of_the_screen() -> None:
    text = "\n".join(DECISIONS[:3])
    zone = ZoneInfo("Asia/Ho_Chi_Minh")
    assert [(item.text, item.more) for item in recent_of(text, language("de").say, zone)] == [
        (clean_name(LONG), "30. November 0:42 · Gesicht + Ausweis"),
        ("Eingelassen", "30. November 0:41 · Gesicht"),
        ("Nicht eingelassen", "30. November 0:40 · der Bildschirm zeigte die Aufgabe nicht"),
    ]
    assert recent_of(DECISIONS[-1], language("de").say, zone)[0].more == "30. November 0:32"
    assert not recent_of("0001-01-01T00:00:00+14:00  accepted  face", language("de").say, zone)


@pytest.mark.parametrize(("code", "said"), [("en", "57.9"), ("zh", "57.9"), ("fr", "57,9")])
def test_a_number_has_the_decimal_sign_of_the_language(code: str, said: str) -> None:
    say = language(code).say
    assert tenths_of("57.9", say) == said
    assert [tenths_of(text, say) for text in ("58", "", "1.", ".5", "a.b", "1.2.3")] == [
        *("58", "", "1.", ".5", "a.b", "1.2.3")
    ]


def test_the_system_is_told_of_as_far_as_it_is_known(screen: Screen) -> None:
    screen.daemon.says["system"] = ("ok", "\n".join((*SYSTEM, "later  1  2", "disk  x  y", "odd")))
    screen.enter(PIN)
    screen.press("system")
    told = {item.more: item.text for item in screen.page.items}
    assert told["the machine's temperature"] == "57.9 °C"
    assert told["the machine's disk"] == "12.1 of 62.8 GB free"
    assert told["the camera front"] == "Works"
    assert told["the camera side"] == "camera_lost"
    assert told["people enrolled"] == "1234"
    assert told["the lock"] == "Nothing heard"
    screen.daemon.says["system"] = ("", "")
    screen.press("back", "system")
    assert screen.line == "The daemon did not answer"
    assert told["the lock"] in {item.text for item in screen.page.items}


@given(st.text(st.sampled_from("+-  \nacemrdisk1 .:T"), max_size=60))
def test_whatever_the_daemon_says_is_shown_or_left_out(text: str) -> None:
    house, say = House(Config()), Language().say
    for item in (*facts_of(text, house, say), *recent_of(text, say)):
        assert not item.key


def test_language_and_light_count_at_once_and_outlive_the_screen(
    screen: Screen, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    screen.enter(PIN)
    screen.press("screen", "language")
    assert screen.press("de") == "Sprache"
    assert [item.text for item in screen.page.items if item.chosen] == ["Deutsch"]
    assert screen.press("back", "brightness") == "Helligkeit"
    screen.press("40")
    assert [item.text for item in screen.page.items if item.chosen] == ["40 %"]
    assert screen.kept == Kept("de", 0.4)
    file = tmp_path / "admin.screen"
    assert read_kept(file) == Kept()
    write_kept(file, screen.kept)
    assert read_kept(file) == screen.kept
    assert not caplog.records
    for damaged in (b"", b"{}", b"[]", b'{"language": "tlh", "light": 1}', b"[" * 4000):
        file.write_bytes(damaged)
        assert read_kept(file) == Kept()
    file.write_text(json.dumps({"language": "de", "light": 0.0}))
    assert read_kept(file) == Kept(), "a screen that is black cannot be read to mend it"
    assert len(caplog.records) == 6
    with pytest.raises(ConfigError, match="cannot be kept"):
        write_kept(tmp_path / "gone" / "admin.screen", screen.kept)


def test_the_panels_own_light_is_set_where_that_is_possible(tmp_path: Path) -> None:
    assert not set_backlight(0.5, tmp_path / "nowhere")
    for name, most in (("panel", "255"), ("odd", "bright")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "max_brightness").write_text(f"{most}\n")
        (tmp_path / name / "brightness").write_text("7\n")
    assert set_backlight(0.4, tmp_path)
    assert (tmp_path / "panel" / "brightness").read_text() == "102\n"
    assert (tmp_path / "odd" / "brightness").read_text() == "7\n"
    assert set_backlight(0.0, tmp_path)
    assert (tmp_path / "panel" / "brightness").read_text() == "1\n"
    (tmp_path / "panel" / "brightness").unlink()
    (tmp_path / "panel" / "brightness").mkdir()
    assert not set_backlight(1.0, tmp_path)
