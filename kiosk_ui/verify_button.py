"""The button with which visitors ask to be looked at: when it is shown and enabled. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from oneglance.contract.commands import Code
from oneglance.kiosk_ui.language import N_
from oneglance.kiosk_ui.screen import Kind

# The daemon is asked at most this often.
EVERY_S = 2.0
# A command lives for 5 s: no later answer comes.
ANSWER_S = 6.0
# How long the answer's words stay on the button.
SAID_S = 3.0
# Where asking helps, and where it is not needed: the button stays, so that nothing jumps.
OFFERED = frozenset({Kind.IDLE, Kind.LOOK_HERE, Kind.NOT_RECOGNISED, Kind.NOT_SURE, Kind.NOT_NOW})
WORKING = frozenset({Kind.CHECKING, Kind.CHALLENGE})

# Enter, the keypad's Enter, and the space bar, by their place on the keyboard (see `pin_pad`).
_PLACES = {40, 88, 44}

# Ids of their translations, as in `words`.
VERIFY, ASKED = N_("Verify"), N_("One moment")
WAIT, UNHEARD, REFUSED = N_("Please wait"), N_("Please try again"), N_("Not possible now")
_SAID: dict[str, str] = {Code.OK: "", Code.WAIT: WAIT, Code.RATE_LIMITED: WAIT}


@dataclass(frozen=True, slots=True)
class Button:
    """What the button shows: nothing unless it is `there`; it can only be pressed if `ready`."""

    there: bool
    ready: bool
    text: str


@dataclass(frozen=True, slots=True)
class Verify:
    """What was asked, and the outcome."""

    sent_s: float = -math.inf
    open: bool = False
    said: str = ""
    said_s: float = -math.inf

    def button(self, kind: Kind, now_s: float) -> Button:
        """The button on a screen of this kind."""
        there = kind in OFFERED | WORKING
        if self.open:
            return Button(there, ready=False, text=ASKED)
        if now_s - self.said_s < SAID_S and self.said:
            return Button(there, ready=False, text=self.said)
        ready = kind in OFFERED and now_s - self.sent_s >= EVERY_S
        return Button(there, ready, VERIFY)

    def sent(self, now_s: float, *, out: bool) -> Verify:
        """The daemon was asked; `out` says whether the broker took it."""
        asked = replace(self, sent_s=now_s, open=out, said="")
        return asked if out else replace(asked, said=UNHEARD, said_s=now_s)

    def answered(self, code: str, now_s: float) -> Verify:
        """The daemon's answer. A yes needs no words, as the screen follows."""
        if not self.open:
            return self
        return replace(self, open=False, said=_SAID.get(code, REFUSED), said_s=now_s)

    def later(self, now_s: float) -> Verify:
        """After time has passed: what was never answered is over."""
        if self.open and now_s - self.sent_s >= ANSWER_S:
            return replace(self, open=False, said=UNHEARD, said_s=now_s)
        return self


def presses(place: int) -> bool:
    """Whether the keyboard key at this position presses the button."""
    return place in _PLACES
