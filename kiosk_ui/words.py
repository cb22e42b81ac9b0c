"""All texts of the screen, in one place."""

from __future__ import annotations

from oneglance.contract.messages import Hint
from oneglance.kiosk_ui.screen import Kind

# (big text, small text). What to do is always said; nothing blames the person.
WORDS: dict[Kind, tuple[str, str]] = {
    Kind.STARTING: ("One moment", "The door is waking up"),
    Kind.IDLE: ("Hello", "Look at the camera to come in"),
    Kind.LOOK_HERE: ("Look here", "One glance is enough"),
    Kind.CHECKING: ("Checking", "Keep looking here"),
    Kind.WELCOME: ("Welcome", "Please come in"),
    Kind.NOT_RECOGNISED: ("Sorry, I do not know you", "Try once more, or ring the bell"),
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
    Hint.ONE_AT_A_TIME: "One person at a time, please",
}

# A visit that ended because the pictures were too poor says so; every other reason shows the
# words of NOT_RECOGNISED, so that the screen tells nobody how close a stranger came.
POOR_QUALITY = ("I could not see you well", "Come closer, look here and try again")


def welcome(name: str) -> str:
    """The big text for somebody who was recognised; `name` is cleaned and may be empty."""
    greeting = WORDS[Kind.WELCOME][0]
    return f"{greeting}, {name}" if name else greeting
