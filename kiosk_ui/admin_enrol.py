"""Enrolment before the door's camera: consent, then pose by pose what the daemon asks for."""

from __future__ import annotations

from oneglance.contract.commands import Code
from oneglance.contract.messages import Hint, Step
from oneglance.kiosk_ui.admin_desk import Desk
from oneglance.kiosk_ui.admin_page import Item, Page
from oneglance.kiosk_ui.names import clean_name
from oneglance.kiosk_ui.words import HINTS

# How often the daemon is asked for a pose: it takes two commands a second.
LOOK_EVERY_S = 0.7
# How long a pose that was taken is praised before the next is asked for.
TAKEN_S = 1.0
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
_ENROL = "Enrol"


def advice(code: str) -> str | None:
    """What to say while the pose is not there yet; None for a code that ends the enrolment."""
    if code in _ADVICE:
        return _ADVICE[code]
    if code in set(Hint):
        return HINTS.get(Hint(code), "Hold still")
    return None


class EnrolPages:
    """`begin` asks for a name; then come consent, five poses, and the question to save them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._poses: list[str] = []

    def begin(self) -> None:
        """Ask whom to enrol."""
        self._desk.ask_text(_ENROL, "The person's name", "Next", self._consent)

    def _consent(self, name: str) -> None:
        desk = self._desk
        page = Page(
            f"Does {clean_name(name)} agree?",
            items=tuple(Item("", line) for line in CONSENT_LINES),
            buttons=(Item("agree", "I agree", strong=True), Item("back", "No")),
        )
        desk.show(page, {"agree": lambda: self._agreed(name), "back": desk.menu})

    def _agreed(self, name: str) -> None:
        self._poses = list(POSES)
        self._desk.unfinished = self._give_up
        self._desk.ask(
            *(_ENROL, "enrol-begin", lambda _text: self._pose()),
            name=name,
            consent=True,
            consent_text=CONSENT,
        )

    def _pose(self, said: str = "") -> None:
        desk, done = self._desk, len(POSES) - len(self._poses)
        if not self._poses:
            self._review()
            return
        page = Page(
            *(POSES[self._poses[0]], said or f"Look {done + 1} of {len(POSES)}"),
            buttons=(Item("cancel", "Cancel"),),
            picture=True,
            progress=done / len(POSES),
        )
        desk.show(page, {"cancel": desk.menu})
        desk.later(LOOK_EVERY_S if said else TAKEN_S, self._look)

    def _look(self) -> None:
        self._desk.ask_quietly("enrol-look", self._looked, pose=self._poses[0])

    def _looked(self, code: str, text: str) -> None:
        desk = self._desk
        if code == Code.OK:
            self._poses.pop(0)
            self._pose()
        elif not code:
            # It may be busy: one answer that is missing ends nobody's enrolment.
            self._pose("The daemon did not answer")
        elif code in (Code.RATE_LIMITED, Code.BUSY):
            desk.later(1.0, self._look)
        elif (said := advice(code)) is not None:
            self._pose(said)
        else:
            desk.refused(_ENROL, code, text)

    def _review(self) -> None:
        desk = self._desk
        page = Page(
            *("Five good looks", "Save them, or take them once more"),
            buttons=(
                Item("save", "Save", strong=True),
                Item("again", "Once more"),
                Item("cancel", "Cancel"),
            ),
            picture=True,
            progress=1.0,
        )

        def again() -> None:
            self._poses = list(POSES)
            self._pose()

        def save() -> None:
            desk.ask(_ENROL, "enrol-finish", self._enrolled)

        desk.show(page, {"save": save, "again": again, "cancel": desk.menu})

    def _enrolled(self, text: str) -> None:
        self._desk.unfinished = None
        self._desk.tell("Welcome aboard", text[:160], self._desk.menu, error=False)

    def _give_up(self) -> None:
        """Have the daemon forget an enrolment that was not saved."""
        self._desk.ask_quietly("enrol-cancel", lambda *_: None)
        self._poses = []
