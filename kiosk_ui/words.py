"""All texts of the screen, in one place."""

from __future__ import annotations

import math

from oneglance.contract.messages import (
    CHALLENGE_IGNORED,
    CHALLENGE_NOT_SHOWN,
    FACTOR_MISSING,
    NOT_PERMITTED,
    PRESENTATION_ATTACK,
    Hint,
    Step,
)
from oneglance.kiosk_ui.screen import Kind

# (big text, small text). What to do is always said; nothing blames the person.
WORDS: dict[Kind, tuple[str, str]] = {
    Kind.STARTING: ("One moment", "The door is waking up"),
    Kind.IDLE: ("Hello", "Look at the camera to come in"),
    Kind.LOOK_HERE: ("Look here", "One glance is enough"),
    Kind.CHECKING: ("Checking", "Keep looking here"),
    Kind.CHALLENGE: ("Look here", "Look straight at the camera, and hold still"),
    Kind.WELCOME: ("Welcome", "Please come in"),
    Kind.NOT_RECOGNISED: ("Sorry, I do not know you", "Try once more, or ring the bell"),
    Kind.WAIT: ("Please wait", "Then try once more"),
    Kind.PIN_PAD: ("Enter your PIN", "6 to 12 digits"),
    Kind.CAMERA_LOST: ("I cannot see you", "The camera is off. Please ring the bell"),
    Kind.OFFLINE: ("Out of service", "Please ring the bell or use your key"),
}

# Said instead of the small text while somebody is being looked at.
HINTS: dict[Hint, str] = {
    Hint.COME_CLOSER: "Come a little closer",
    Hint.STEP_BACK: "Take a step back",
    Hint.LOOK_AT_CAMERA: "Look straight at the camera",
    Hint.MORE_LIGHT: "Turn towards the light",
    Hint.BACKLIT: "The light is behind you, turn a little",
    Hint.HOLD_STILL: "Hold still for a moment",
    Hint.UNCOVER_EYES: "Please take your sunglasses off",
    Hint.UNCOVER_MOUTH: "Please take your mask off",
    Hint.ONE_AT_A_TIME: "One person at a time, please",
}

# What a challenge asks for; left and right are the visitor's own.
STEPS: dict[Step, tuple[str, str]] = {
    Step.LOOK_STRAIGHT: WORDS[Kind.CHALLENGE],
    Step.TURN_LEFT: ("Turn left", "Turn your head to your left, and stay so"),
    Step.TURN_RIGHT: ("Turn right", "Turn your head to your right, and stay so"),
    Step.LOOK_UP: ("Look up", "Lift your chin, and stay so"),
    Step.COME_CLOSER: ("Come closer", "Bring your face nearer to the camera"),
}
# Said as the big text before the second attempt.
ONCE_MORE = "Once more"

# A visit that ended because the pictures were too poor says so.
POOR_QUALITY = ("I could not see you well", "Come closer, look here and try again")
# Whoever holds up a photograph knows it; everybody else is told what helps.
NOT_SURE = ("I could not be sure", "Show your whole face, or use your key")
NOT_NOW = ("Not at this time", "Please ring the bell")
# Every other reason shows the words of NOT_RECOGNISED, so that the screen tells nobody how close a
# stranger came.
REFUSALS: dict[str, tuple[str, str]] = {
    "poor_quality": POOR_QUALITY,
    PRESENTATION_ATTACK: NOT_SURE,
    CHALLENGE_IGNORED: NOT_SURE,
    CHALLENGE_NOT_SHOWN: NOT_SURE,
    NOT_PERMITTED: NOT_NOW,
    FACTOR_MISSING: ("One thing more", "Show your badge or enter your PIN, then look here"),
}

# Said instead of the small text while the face of somebody who is claimed is awaited.
CLAIMED = "Now look at the camera"

# The PIN pad's own words: how many digits are wanted still, or that the key with the tick sends.
PIN_SEND = "Now press the tick"
PIN_BUSY = ("One moment", "Your PIN is on its way")
# What came of a PIN; whether it is anybody's is never said.
PIN_AGAIN = ("Once more, please", "That was too slow. Enter it again")
PIN_UNHEARD = ("No answer", "Try again, or ring the bell")
PIN_REFUSED = ("No PINs now", "Ring the bell, or use your key")
PIN_ANSWERS: dict[str, tuple[str, str]] = {
    "wait": WORDS[Kind.WAIT],
    "": PIN_UNHEARD,
    **dict.fromkeys(("expired", "replayed", "rate_limited", "busy", "clock_set"), PIN_AGAIN),
}


def welcome(name: str) -> str:
    """The big text for somebody who was recognised; `name` is cleaned and may be empty."""
    greeting = WORDS[Kind.WELCOME][0]
    return f"{greeting}, {name}" if name else greeting


def wait_line(seconds: float) -> str:
    """The small text for somebody who has to wait so long."""
    if seconds > 90:
        return f"You can try again in {math.ceil(seconds / 60)} minutes"
    return f"You can try again in {max(1, math.ceil(seconds))} s"
