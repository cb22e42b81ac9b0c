"""What the screen says aloud, and that nothing waits for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from oneglance.kiosk_ui.language import language
from oneglance.kiosk_ui.screen import Kind, ScreenState
from oneglance.kiosk_ui.speech import AGAIN_S, Script, Voice
from oneglance.kiosk_ui.words import COME_IN, HINTS, STEPS, WELCOME_NAME, WORDS

LOOK = ScreenState(Kind.LOOK_HERE, *WORDS[Kind.LOOK_HERE], 0.0)
CLOSER, LIGHT = (replace(LOOK, title=words) for words in list(HINTS.values())[:2])
TURN = ScreenState(Kind.CHALLENGE, *list(STEPS.values())[1], 0.0)
WELCOME = ScreenState(Kind.WELCOME, WELCOME_NAME, WORDS[Kind.WELCOME][1], 0.0, name="Ada")
IDLE = ScreenState(Kind.IDLE, *WORDS[Kind.IDLE], 0.0)


def test_hints_challenges_and_answers_are_said_once_in_the_screens_language() -> None:
    script = Script(language("de"))
    assert script.due(IDLE, 0.0, speaking=False) == ""
    screens = (CLOSER, CLOSER, TURN, WELCOME, replace(WELCOME, line=COME_IN))
    said = [script.due(screen, t, speaking=False) for t, screen in enumerate(screens)]
    closer, again, turn, welcome, opened = said
    assert closer.startswith("Etwas näher kommen")
    assert again == ""
    assert turn.startswith("Nach links drehen")
    assert welcome.startswith("Willkommen, Ada. ")
    assert opened == language("de").say(COME_IN), "what was said already is not said again"


def test_only_what_cannot_wait_interrupts_and_a_flickering_hint_is_not_repeated() -> None:
    script = Script(language("en"))
    assert script.due(CLOSER, 0.0, speaking=False)
    assert not script.due(LIGHT, 0.5, speaking=True)
    assert script.due(LIGHT, 1.0, speaking=False), "it is said when there is time"
    assert not script.due(CLOSER, 2.0, speaking=False)
    assert not script.due(LIGHT, 3.0, speaking=False)
    assert script.due(CLOSER, AGAIN_S + 1.0, speaking=False)
    assert script.due(TURN, AGAIN_S + 1.1, speaking=True)


def test_a_countdown_is_said_once_and_digits_never() -> None:
    script = Script(language("en"))
    wait = ScreenState(Kind.WAIT, *WORDS[Kind.WAIT], 0.0, left="0:42")
    assert script.due(wait, 0.0, speaking=False).startswith("Try again in 0:42")
    assert script.due(replace(wait, left="0:41"), 1.0, speaking=False) == ""
    pad = ScreenState(Kind.PIN_PAD, *WORDS[Kind.PIN_PAD], 0.0)
    assert script.due(pad, 2.0, speaking=False) == "Enter your PIN. 6 to 12 digits"
    assert script.due(replace(pad, digits=1), 3.0, speaking=False) == ""


def test_where_names_are_discreet_none_is_said() -> None:
    discreet = replace(WELCOME, title=WORDS[Kind.WELCOME][0], name="")
    assert Script(language("en")).due(discreet, 0.0, speaking=False) == "Welcome. Good to see you"


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Callable[[str], str | None]]:
    """`program(body)`: finds an espeak-ng that runs `body`, with `words` and `heard`, a file."""

    def made(body: str) -> Callable[[str], str | None]:
        file = tmp_path / "espeak-ng"
        file.write_text(
            f"#!{sys.executable}\nimport os, sys, time, pathlib\n"
            f"heard = pathlib.Path({str(tmp_path / 'heard')!r})\n"
            f"words = ' '.join(sys.argv[1:]) + '|' + sys.stdin.read()\n{body}\n"
        )
        file.chmod(0o755)
        return lambda name: str(file) if name == "espeak-ng" else None

    return made


def test_a_program_says_it_and_its_words_stand_in_no_command_line(
    program: Callable[[str], Callable[[str], str | None]],
    tmp_path: Path,
    wait_until: Callable[..., None],
) -> None:
    voice = Voice("zh", program("heard.write_text(words)"))
    voice.say("Welcome, Ada", 0.0)
    wait_until(lambda: not voice.speaking(0.0), "it never ended")
    assert (tmp_path / "heard").read_text() == "-v cmn --stdin|Welcome, Ada\n"


def test_newer_words_end_older_ones_and_what_hangs_is_left_out(
    program: Callable[[str], Callable[[str], str | None]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    wait_until: Callable[..., None],
) -> None:
    voice = Voice("en", program("heard.write_text(f'{os.getpid()}.'); time.sleep(600)"))
    voice.say("one", 0.0)
    heard = tmp_path / "heard"
    wait_until(lambda: heard.exists() and heard.read_text().endswith("."), "it never began")
    first = int(heard.read_text()[:-1])
    voice.say("two", 1.0)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    assert voice.speaking(2.0)
    assert not voice.speaking(100.0)
    voice.say("three", 101.0)
    assert not voice.speaking(101.0)
    (record,) = caplog.records
    assert "it did not end" in record.getMessage()


def test_a_missing_or_failing_program_is_one_line(
    program: Callable[[str], Callable[[str], str | None]],
    wait_until: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    Voice("en", lambda _: None).say("Hello", 0.0)
    voice = Voice("en", program("sys.exit(3)"))
    voice.say("Hello", 0.0)
    wait_until(lambda: not voice.speaking(0.0), "it never ended")
    voice.say("Hello", 1.0)
    missing, failing = (record.getMessage() for record in caplog.records)
    assert "apt install espeak-ng" in missing
    assert "it ended with 3" in failing
