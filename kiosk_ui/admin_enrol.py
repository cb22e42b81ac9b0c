"""What is said at an enrolment: the consent that is agreed to, the poses, and what would help."""

from __future__ import annotations

from oneglance.contract.messages import Hint, Step
from oneglance.kiosk_ui.words import HINTS

# What is agreed to stands in the daemon's audit log by its hash.
CONSENT_LINES = (
    "This door will recognise my face.",
    "Numbers that describe it are kept, encrypted, on the door's own machine, and no picture.",
    "I can have them deleted at any time.",
)
CONSENT = " ".join(CONSENT_LINES)

# In the order in which they are taken; the keys are the command's.
POSES: dict[str, str] = {
    Step.LOOK_STRAIGHT: "Look straight here",
    Step.TURN_LEFT: "Turn a little to your left",
    Step.TURN_RIGHT: "Turn a little to your right",
    Step.LOOK_UP: "Lift your chin a little",
    Step.COME_CLOSER: "Come a little closer",
}

_ADVICE = {
    "no_face": "I see nobody",
    "two_faces": "One person alone, please",
    "pose": "A little more",
    "too_far": "Not so much",
    "other_face": "That is somebody else",
    "no_picture": "The camera gives no picture",
}


def advice(code: str) -> str | None:
    """What to say while the pose is not there yet; None for a code that ends the enrolment."""
    if code in _ADVICE:
        return _ADVICE[code]
    if code in set(Hint):
        return HINTS.get(Hint(code), "Hold still")
    return None
