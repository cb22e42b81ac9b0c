"""The Verify button: there where it is of use, pressed once, and never stuck."""

from __future__ import annotations

import pytest

from oneglance.kiosk_ui.screen import Kind
from oneglance.kiosk_ui.verify_button import (
    ANSWER_S,
    ASKED,
    EVERY_S,
    REFUSED,
    SAID_S,
    UNHEARD,
    VERIFY,
    WAIT,
    Verify,
    presses,
)


@pytest.mark.parametrize("kind", list(Kind))
def test_it_is_there_where_asking_helps_and_stays_while_somebody_is_looked_at(kind: Kind) -> None:
    button = Verify().button(kind, 0.0)
    refused = {Kind.NOT_RECOGNISED, Kind.NOT_SURE, Kind.NOT_NOW}
    helps = kind in {Kind.IDLE, Kind.LOOK_HERE, *refused}
    looked_at = kind in {Kind.CHECKING, Kind.CHALLENGE}
    assert (button.there, button.ready, button.text) == (helps or looked_at, helps, VERIFY)


def test_while_the_answer_is_awaited_and_for_a_while_it_cannot_be_pressed() -> None:
    verify = Verify().sent(10.0, out=True)
    assert verify.button(Kind.IDLE, 10.1).text == ASKED
    assert not verify.button(Kind.IDLE, 10.1).ready
    verify = verify.answered("ok", 10.2)
    assert verify.button(Kind.IDLE, 10.3).text == VERIFY
    assert not verify.button(Kind.IDLE, 10 + EVERY_S - 0.1).ready
    assert verify.button(Kind.IDLE, 10 + EVERY_S).ready


@pytest.mark.parametrize(
    ("code", "text"),
    [("wait", WAIT), ("rate_limited", WAIT), ("not_allowed", REFUSED), ("anything", REFUSED)],
)
def test_a_no_is_said_for_a_while(code: str, text: str) -> None:
    verify = Verify().sent(10.0, out=True).answered(code, 11.0)
    assert verify.button(Kind.IDLE, 11.0 + SAID_S - 0.1).text == text
    assert verify.button(Kind.IDLE, 11.0 + SAID_S).ready


def test_without_an_answer_or_a_broker_it_says_so_and_can_be_pressed_again() -> None:
    lost = Verify().sent(10.0, out=True)
    assert lost.later(10.0 + ANSWER_S - 0.1) == lost
    for verify, now_s in ((lost.later(16.0), 16.0), (Verify().sent(16.0, out=False), 16.0)):
        assert verify.button(Kind.IDLE, now_s).text == UNHEARD
        assert verify.button(Kind.IDLE, now_s + SAID_S).ready
    # An answer that comes after all is none.
    assert lost.later(16.0).answered("ok", 16.1) == lost.later(16.0)


def test_enter_and_the_space_bar_press_it() -> None:
    assert [place for place in range(120) if presses(place)] == [40, 44, 88]
