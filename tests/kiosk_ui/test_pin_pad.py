"""The PIN pad without a window: keys, silence, answers, and what it must never hide or keep."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_reducer import (
    ONLINE,
    RESULT_S,
    access,
    after,
    challenge,
    decision,
    status,
    visit,
)

from oneglance.contract.commands import Code
from oneglance.contract.messages import Factor, Phase, ServiceState
from oneglance.kiosk_ui.pad_keys import DIGITS, FEWEST_DIGITS, MOST_DIGITS, Key, key_at
from oneglance.kiosk_ui.pin_pad import (
    ANSWER_S,
    CLAIM_EVERY_S,
    DOUBLE_TAP_S,
    SILENCE_S,
    TAKEN_SHOWN_S,
    UNHEARD,
    WAIT_SHOWN_S,
    Pad,
    answered,
    later,
    pressed,
    sent,
)
from oneglance.kiosk_ui.reducer import (
    Disconnected,
    Event,
    KeyPressed,
    KioskState,
    PinAnswered,
    PinSent,
    Tick,
    initial,
    reduce,
)
from oneglance.kiosk_ui.screen import Kind
from oneglance.kiosk_ui.words import (
    CLAIMED,
    PIN_AGAIN,
    PIN_BUSY,
    PIN_REFUSED,
    PIN_SEND,
    PIN_UNHEARD,
    PIN_WAIT,
    REFUSALS,
    WORDS,
)

PIN = "314159"


def typed(keys: Sequence[str], pad: Pad | None = None, at_s: float = 10.0) -> Pad:
    """The pad after these keys, one a second."""
    pad = pad or Pad()
    for i, key in enumerate(keys):
        pad = pressed(pad, key, at_s + i)
    return pad


def test_a_touch_on_the_button_or_a_typed_digit_opens_it() -> None:
    assert typed([Key.OPEN]).digits == ""
    assert typed([Key.OPEN]).open
    assert typed(["7"]).digits == "7"
    for key in (Key.SEND, Key.DELETE, Key.CLOSE):
        assert not typed([key]).open


def test_digits_are_taken_back_one_by_one_or_all_at_once() -> None:
    assert typed([Key.OPEN, *"123", Key.DELETE]).digits == "12"
    assert typed([Key.OPEN, Key.DELETE]).open
    assert typed([Key.OPEN, *"123", Key.CLOSE]) == Pad()


def test_it_takes_no_more_digits_than_a_pin_has() -> None:
    assert typed([Key.OPEN, *("1234567890" * 2)]).digits == "123456789012"
    assert len("123456789012") == MOST_DIGITS


def test_too_few_digits_are_not_sent() -> None:
    short = typed([Key.OPEN, *PIN[:-1], Key.SEND])
    assert (short.busy, short.to_send(100.0), short.digits) == (False, "", PIN[:-1])
    assert len(PIN) == FEWEST_DIGITS


def test_a_pin_is_given_out_once_and_then_forgotten() -> None:
    pad = typed([*PIN, Key.SEND])
    assert pad.to_send(20.0) == PIN
    pad = sent(pad, 20.0)
    assert (pad.to_send(20.0), pad.digits, pad.busy) == ("", "", True)
    assert typed("123", pad, 20.1).digits == "", "keys do not count until the answer"


def test_a_second_pin_waits_until_the_daemon_takes_one() -> None:
    pad = answered(sent(typed([*PIN, Key.SEND]), 20.0), Code.OK, 20.5)
    for i, key in enumerate([*PIN, Key.SEND]):
        pad = pressed(pad, key, 20.6 + i / 100)
    assert pad.to_send(20.5 + CLAIM_EVERY_S - 0.01) == ""
    assert pad.to_send(20.5 + CLAIM_EVERY_S) == PIN


def test_a_double_tap_on_the_button_is_one() -> None:
    pad = pressed(Pad(), Key.OPEN, 10.0)
    for key in (Key.CLOSE, "5"):
        assert pressed(pad, key, 10.0 + DOUBLE_TAP_S / 2) == pad
    assert not pressed(pad, Key.CLOSE, 10.1 + DOUBLE_TAP_S).open
    assert typed(["1"], at_s=10.0) != pressed(typed(["1"], at_s=10.0), "2", 10.01)


def test_silence_wipes_it() -> None:
    pad = typed("123")
    assert later(pad, 12.0 + SILENCE_S - 0.1, waits=False).digits == "123"
    assert later(pad, 12.0 + SILENCE_S, waits=False) == Pad()


def test_an_answer_that_does_not_come_is_told() -> None:
    pad = sent(typed([*PIN, Key.SEND]), 20.0)
    assert later(pad, 20.0 + ANSWER_S - 0.1, waits=False).busy
    gone = later(pad, 20.0 + ANSWER_S, waits=False)
    assert (gone.said, gone.busy, gone.open) == (PIN_UNHEARD, False, True)


@pytest.mark.parametrize("code", [*Code, "wait", "gallery_error", "new_code", UNHEARD])
def test_every_answer_but_yes_has_words_and_leaves_the_pad_for_another_try(code: str) -> None:
    pad = answered(sent(typed([*PIN, Key.SEND]), 20.0), code, 20.5)
    if code == Code.OK:
        assert not pad.open
        assert pad.is_taken(20.5 + TAKEN_SHOWN_S - 0.1)
        assert not pad.is_taken(20.5 + TAKEN_SHOWN_S)
        return
    assert pad.said is not None
    assert typed("1", pad, 21.0).said is None
    again = {"expired", "replayed", "rate_limited", "busy", "clock_set"}
    words = {"wait": PIN_WAIT, UNHEARD: PIN_UNHEARD}.get(code, PIN_REFUSED)
    assert pad.said == (PIN_AGAIN if code in again else words)


def test_an_answer_that_nobody_waits_for_changes_nothing() -> None:
    for pad in (Pad(), typed("123")):
        assert answered(pad, Code.OK, 20.0) == pad


def test_a_keyboards_digits_are_the_pads_in_every_layout() -> None:
    assert "".join(key_at(place) or "" for place in range(30, 40)) == "1234567890"
    assert "".join(key_at(place) or "" for place in range(89, 99)) == "1234567890"
    assert (key_at(40), key_at(88), key_at(42)) == (Key.SEND, Key.SEND, Key.DELETE)
    assert key_at(4) is None


# --- what the screen makes of it -----------------------------------------------------------------


def with_pad(*steps: tuple[float, Event]) -> KioskState:
    state = initial(0.0, RESULT_S, has_pad=True)
    for now_s, event in (*ONLINE, *steps):
        state = reduce(state, event, now_s)
    return state


def keys(text: str, at_s: float) -> list[tuple[float, Event]]:
    return [(at_s + i / 100, KeyPressed(key)) for i, key in enumerate(text)]


SENT: list[tuple[float, Event]] = [
    *keys(PIN, 1.0),
    (2.0, KeyPressed(Key.SEND)),
    (2.1, PinSent()),
]


def test_without_the_switch_there_is_no_pad() -> None:
    state = after(*ONLINE, (1.0, KeyPressed(Key.OPEN)), *keys(PIN, 1.1))
    assert (state.screen.kind, state.screen.offers_pad, state.pad) == (Kind.IDLE, False, Pad())


def test_it_is_offered_where_a_pin_is_of_use() -> None:
    lost = status(ServiceState.DEGRADED, "camera_lost:front")
    offered = {
        "idle": with_pad(),
        "look": with_pad((1.0, visit(Phase.LOOK))),
        "refused": with_pad((1.0, decision(reason="factor_missing"))),
        "wait": with_pad((1.0, access(("face", 9.0)))),
        "claimed": with_pad((1.0, access(claim=Factor.PIN, claim_s=9.0))),
        "welcome": with_pad((1.0, decision())),
        "challenge": with_pad((1.0, challenge())),
        "lost": with_pad((1.0, lost)),
        "offline": with_pad((1.0, Disconnected())),
    }
    found = {name for name, state in offered.items() if state.screen.offers_pad}
    assert found == {"idle", "look", "refused", "wait", "claimed"}
    for name, state in offered.items():
        opened = reduce(state, KeyPressed(Key.OPEN), 1.1)
        assert (opened.screen.kind is Kind.PIN_PAD) is (name in found)


def test_the_screen_says_how_many_digits_and_never_which() -> None:
    state = with_pad(*keys(PIN[:3], 1.0))
    screen = state.screen
    assert (screen.kind, screen.digits, screen.offers_pad) == (Kind.PIN_PAD, 3, False)
    assert (screen.title, screen.line) == WORDS[Kind.PIN_PAD]
    state = with_pad(*keys(PIN, 1.0))
    assert (state.screen.digits, state.screen.line) == (6, PIN_SEND)
    assert PIN not in repr(state) + state.screen.to_json()
    assert PIN[0] not in repr(KeyPressed(PIN[0]))


def test_a_pin_on_its_way_and_taken() -> None:
    assert (with_pad(*SENT).screen.title, with_pad(*SENT).screen.busy) == (PIN_BUSY[0], True)
    state = with_pad(*SENT, (2.2, PinAnswered("ok")))
    assert (state.screen.kind, state.screen.line) == (Kind.LOOK_HERE, CLAIMED)
    assert reduce(state, Tick(), 2.2 + TAKEN_SHOWN_S).screen.kind is Kind.IDLE


def test_a_refused_pin_says_so_on_the_pad() -> None:
    state = with_pad(*SENT, (2.2, PinAnswered("not_allowed")))
    assert (state.screen.kind, state.screen.title) == (Kind.PIN_PAD, PIN_REFUSED[0])


def test_a_challenge_or_a_welcome_puts_the_pad_away_and_wipes_it() -> None:
    for event, kind in ((challenge(), Kind.CHALLENGE), (decision(), Kind.WELCOME)):
        state = with_pad(*keys("123", 1.0), (2.0, event))
        assert (state.screen.kind, state.pad) == (kind, Pad())


def test_who_is_asked_for_something_during_a_wait_is_offered_no_pad() -> None:
    state = with_pad((1.0, access(("claim", 3.0))), (1.1, challenge()))
    assert (state.screen.kind, state.screen.offers_pad) == (Kind.CHALLENGE, False)
    state = reduce(state, KeyPressed("1"), 4.2)
    assert (state.screen.kind, state.pad) == (Kind.CHALLENGE, Pad())


def test_a_refusal_takes_the_words_and_leaves_the_keys() -> None:
    state = with_pad(*keys("123", 1.0), (2.0, decision(reason="not_recognised")))
    screen = state.screen
    assert (screen.kind, screen.digits) == (Kind.PIN_PAD, 3)
    assert (screen.title, screen.line) == WORDS[Kind.NOT_RECOGNISED]
    assert reduce(state, Tick(), 2.0 + RESULT_S).screen.title == WORDS[Kind.PIN_PAD][0]


def test_who_enters_a_pin_is_not_told_that_one_is_missing() -> None:
    state = with_pad(*keys("123", 1.0), (2.0, decision(reason="factor_missing")))
    assert state.screen.title == WORDS[Kind.PIN_PAD][0]
    read = with_pad((1.0, decision(reason="factor_missing")))
    assert read.screen.title == REFUSALS["factor_missing"][1][0]
    assert reduce(read, KeyPressed(Key.OPEN), 2.0).screen.title == WORDS[Kind.PIN_PAD][0]


def test_while_pins_have_to_wait_the_pad_counts_down_and_takes_none() -> None:
    told = access(("pin", 20.0))
    state = with_pad((1.0, told))
    assert state.screen.kind is Kind.IDLE, "a face can still come in"
    state = reduce(state, KeyPressed(Key.OPEN), 1.5)
    assert (state.screen.kind, state.screen.left) == (Kind.WAIT, "0:20")
    for now_s in (2.0, 3.0, 4.0, 5.0, 6.0):
        state = reduce(reduce(state, told, now_s), KeyPressed("1"), now_s)
        assert (state.screen.kind, state.pad.digits) == (Kind.WAIT, "")
    assert reduce(state, Tick(), 1.5 + WAIT_SHOWN_S).screen.kind is Kind.IDLE


def test_a_pad_that_waited_comes_back_when_the_wait_is_over() -> None:
    state = with_pad((1.0, access(("pin", 2.0))), (1.5, KeyPressed(Key.OPEN)), (3.1, Tick()))
    assert state.screen.kind is Kind.PIN_PAD


def test_a_wait_that_begins_while_somebody_types_wipes_the_digits() -> None:
    state = with_pad(*keys("123", 1.0), (2.0, access(("pin", 9.0))))
    assert (state.screen.kind, state.pad.digits) == (Kind.WAIT, "")


def test_a_refused_claim_counts_down() -> None:
    state = with_pad(*SENT, (2.2, PinAnswered("wait")))
    assert (state.screen.kind, state.screen.title) == (Kind.PIN_PAD, PIN_WAIT[0])
    state = reduce(state, access(("claim", 900.0)), 2.3)
    assert (state.screen.kind, state.screen.left) == (Kind.WAIT, "15:00")


def test_what_ends_the_service_ends_the_pad() -> None:
    for event in (
        Disconnected(),
        status(ServiceState.OFFLINE),
        status(ServiceState.DEGRADED, "attempts_error"),
    ):
        state = with_pad(*keys("123", 1.0), (2.0, event))
        assert state.screen.kind in {Kind.OFFLINE, Kind.MAINTENANCE}
        assert state.pad == Pad()


KEYS = st.sampled_from([*DIGITS, *Key]).map(KeyPressed)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    KEYS,
    KEYS,
    KEYS,
    st.sampled_from(["ok", "wait", "expired", "not_allowed", UNHEARD]).map(PinAnswered),
    st.sampled_from(
        [
            PinSent(),
            Tick(),
            Disconnected(),
            *(event for _, event in ONLINE),
            access(),
            access(("pin", 9.0), ("claim", 3.0)),
            access(claim=Factor.PIN, claim_s=9.0),
            challenge(),
            decision(),
            decision(reason="not_recognised"),
            visit(Phase.CHECKING),
        ]
    ),
)


@example([(0.0, KeyPressed(key)) for key in (*"123456", Key.SEND)])
@given(st.lists(st.tuples(st.floats(0, 3), EVENTS), max_size=40))
def test_no_story_hides_an_answer_or_keeps_digits_without_a_pad(
    story: list[tuple[float, Event]],
) -> None:
    state = with_pad()
    now_s = 0.2
    for wait_s, event in story:
        if isinstance(event, PinSent) and not state.pad.to_send(now_s):
            continue
        now_s += wait_s
        state = reduce(state, event, now_s)
        screen, pad = state.screen, state.pad
        assert len(pad.digits) <= MOST_DIGITS
        assert not pad.digits or screen.kind is Kind.PIN_PAD
        assert not (screen.offers_pad and pad.open)
        if screen.kind is Kind.PIN_PAD:
            assert state.challenge is None
            assert state.result is None or state.result.kind is Kind.NOT_RECOGNISED
            assert screen.digits == len(pad.digits)
    # The window sends what waits, as soon as it may.
    for _ in range(3):
        now_s += SILENCE_S + 1.0
        state = reduce(state, Tick(), now_s)
        if state.pad.to_send(now_s):
            state = reduce(state, PinSent(), now_s)
    assert not state.pad.open
