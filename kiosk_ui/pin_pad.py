"""The PIN pad: from the keys pressed to what is sent and said. Pure: no clock, no window.

The digits exist only here, from their key to the command. They never appear in a `repr`, in what
the window gets, or in a log, and are dropped once sent, after a pause, and whenever the pad closes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto

from oneglance.contract.commands import Code
from oneglance.kiosk_ui.pad_keys import DIGITS, FEWEST_DIGITS, MOST_DIGITS, Key
from oneglance.kiosk_ui.words import PIN_ANSWERS, PIN_REFUSED

# Somebody who looks up the PIN needs some seconds between two digits.
SILENCE_S = 12.0
# Whoever opens it while PINs have to wait sees the countdown, and then the door again.
WAIT_SHOWN_S = 5.0
# A command lives for 5 s: no later answer comes.
ANSWER_S = 6.0
# The daemon takes one PIN a second, counted from the end of its work on the last one.
CLAIM_EVERY_S = 1.1
# A double tap on the button would press the key that the first tap brought under the finger.
DOUBLE_TAP_S = 0.25
# Whether the PIN is right or wrong, the daemon itself says at once that it looks for a face.
TAKEN_SHOWN_S = 2.0
# No answer came, or the broker is not connected.
UNHEARD = ""


class Phase(StrEnum):
    """What the pad does."""

    CLOSED = auto()
    ENTERING = auto()
    # Complete, and sent as soon as the daemon takes one.
    SUBMITTED = auto()
    SENT = auto()


@dataclass(frozen=True, slots=True)
class Pad:
    """`said` is the last PIN's outcome, until the next key; `taken_s` is when one was taken."""

    phase: Phase = Phase.CLOSED
    digits: str = field(default="", repr=False)
    at_s: float = -math.inf
    opened_s: float = -math.inf
    next_claim_s: float = -math.inf
    said: tuple[str, str] | None = None
    taken_s: float = -math.inf

    @property
    def open(self) -> bool:
        """Whether it is on the screen."""
        return self.phase is not Phase.CLOSED

    @property
    def busy(self) -> bool:
        """Whether a PIN is on its way, so that no key counts."""
        return self.phase in (Phase.SUBMITTED, Phase.SENT)

    def is_taken(self, now_s: float) -> bool:
        """Whether a PIN was taken just now."""
        return 0 <= now_s - self.taken_s < TAKEN_SHOWN_S

    def to_send(self, now_s: float) -> str:
        """The PIN that is to be sent now, once; empty if there is none. Then call `sent`."""
        due = self.phase is Phase.SUBMITTED and now_s >= self.next_claim_s
        return self.digits if due else ""


def pressed(pad: Pad, key: str, now_s: float) -> Pad:
    """The pad after a key. A digit or OPEN brings a closed one up."""
    if not pad.open:
        if key is not Key.OPEN and key not in DIGITS:
            return pad
        digits = "" if key is Key.OPEN else key
        return Pad(Phase.ENTERING, digits, now_s, now_s, pad.next_claim_s)
    if key is Key.CLOSE:
        return pad if _double(pad, now_s) else closed(pad)
    if pad.busy or key is Key.OPEN or _double(pad, now_s):
        return pad
    pad = replace(pad, at_s=now_s, said=None)
    if key is Key.SEND:
        complete = len(pad.digits) >= FEWEST_DIGITS
        return replace(pad, phase=Phase.SUBMITTED) if complete else pad
    if key is Key.DELETE:
        return replace(pad, digits=pad.digits[:-1])
    return replace(pad, digits=(pad.digits + key)[:MOST_DIGITS])


def sent(pad: Pad, now_s: float) -> Pad:
    """The PIN went out."""
    return replace(pad, phase=Phase.SENT, digits="", at_s=now_s)


def answered(pad: Pad, code: str, now_s: float) -> Pad:
    """The daemon's answer, or UNHEARD. The pad goes if the PIN was taken, and else says why not."""
    if not pad.busy:
        return pad
    next_claim_s = now_s + CLAIM_EVERY_S
    if code == Code.OK:
        return replace(closed(pad), taken_s=now_s, next_claim_s=next_claim_s)
    said = PIN_ANSWERS.get(code, PIN_REFUSED)
    return Pad(Phase.ENTERING, at_s=now_s, said=said, next_claim_s=next_claim_s)


def later(pad: Pad, now_s: float, *, waits: bool) -> Pad:
    """The pad when only time has passed; `waits` if no PIN is taken for now."""
    silent_s = now_s - pad.at_s
    if pad.phase is Phase.SENT and silent_s >= ANSWER_S:
        return answered(pad, UNHEARD, now_s)
    if waits and pad.open:
        pad = replace(pad, digits="", phase=Phase.ENTERING)
        return closed(pad) if silent_s >= WAIT_SHOWN_S else pad
    if pad.phase is Phase.ENTERING and silent_s >= SILENCE_S:
        return closed(pad)
    return pad


def closed(pad: Pad) -> Pad:
    """The pad put away, and with it all that was entered."""
    return Pad(next_claim_s=pad.next_claim_s)


def _double(pad: Pad, now_s: float) -> bool:
    # A keyboard opens it with a digit, and goes on as fast as it likes.
    return not pad.digits and now_s - pad.opened_s < DOUBLE_TAP_S
