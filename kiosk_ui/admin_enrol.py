"""Enrolment in front of the door's camera: consent, then the daemon's poses one by one."""

from __future__ import annotations

from oneglance.contract.commands import Code
from oneglance.contract.messages import Hint, Step
from oneglance.kiosk_ui.admin_desk import UNANSWERED, Desk
from oneglance.kiosk_ui.admin_page import Item, Page
from oneglance.kiosk_ui.language import N_
from oneglance.kiosk_ui.names import clean_name
from oneglance.kiosk_ui.words import HINTS, ONCE_MORE

# How often the daemon is asked for a pose: it takes two commands a second.
LOOK_EVERY_S = 0.7
# How long a pose that was taken is praised before the next is asked for.
TAKEN_S = 1.0
# What is agreed to stands in the daemon's audit log by its hash.
CONSENT_LINES = (
    N_("This door will recognise my face."),
    N_("Numbers that describe it are kept, encrypted, on the door's own machine, and no picture."),
    N_("I can have them deleted at any time."),
)
# In the order in which they are taken; the keys are the command's.
POSES: dict[str, str] = {
    Step.LOOK_STRAIGHT: HINTS[Hint.LOOK_AT_CAMERA],
    Step.TURN_LEFT: N_("Turn a little to your left"),
    Step.TURN_RIGHT: N_("Turn a little to your right"),
    Step.LOOK_UP: N_("Lift your chin a little"),
    Step.COME_CLOSER: HINTS[Hint.COME_CLOSER],
}
_ADVICE = {
    "no_face": N_("I see nobody"),
    "two_faces": HINTS[Hint.ONE_AT_A_TIME],
    "pose": N_("A little more"),
    "too_far": N_("Not so much"),
    "other_face": N_("That is somebody else"),
    "no_picture": N_("The camera gives no picture"),
}
_ENROL = N_("Enrol")


def advice(code: str) -> str | None:
    """What to say until the pose is right; None for a code that ends the enrolment."""
    if code in _ADVICE:
        return _ADVICE[code]
    if code in set(Hint):
        return HINTS.get(Hint(code), HINTS[Hint.HOLD_STILL])
    return None


class EnrolPages:
    """`begin` asks for a name; then come consent, five poses, and the question to save them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._poses: list[str] = []
        self._name = ""

    def begin(self) -> None:
        """Ask for the name of the person to enrol."""
        say = self._desk.say
        line, word = say(N_("The person's name")), say(N_("Next"))
        self._desk.ask_text(say(_ENROL), line, word, self._consent)

    def _consent(self, name: str) -> None:
        desk, say = self._desk, self._desk.say
        lines = [say(line) for line in CONSENT_LINES]
        page = Page(
            say(N_("Does {name} agree?"), name=clean_name(name)),
            items=tuple(Item("", line) for line in lines),
            buttons=(
                Item("agree", say(N_("I agree")), strong=True),
                Item("back", say(N_("No"))),
            ),
        )
        on = {"agree": lambda: self._agreed(name, " ".join(lines)), "back": desk.menu}
        desk.show(page, on)

    def _agreed(self, name: str, consent: str) -> None:
        self._poses, self._name = list(POSES), clean_name(name)
        self._desk.unfinished = self._give_up
        self._desk.ask(
            *(self._desk.say(_ENROL), "enrol-begin", lambda _text: self._pose()),
            name=name,
            consent=True,
            consent_text=consent,
        )

    def _pose(self, said: str = "") -> None:
        desk, done = self._desk, len(POSES) - len(self._poses)
        if not self._poses:
            self._review()
            return
        counted = desk.say(N_("Look {number} of {all}"), number=str(done + 1), all=str(len(POSES)))
        page = Page(
            *(desk.say(POSES[self._poses[0]]), desk.say(said) or counted),
            buttons=(self._cancel_button(),),
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
            self._pose(UNANSWERED)
        elif code in (Code.RATE_LIMITED, Code.BUSY):
            desk.later(1.0, self._look)
        elif (said := advice(code)) is not None:
            self._pose(said)
        else:
            desk.refused(desk.say(_ENROL), code, text)

    def _review(self) -> None:
        desk, say = self._desk, self._desk.say
        page = Page(
            *(say(N_("Five good looks")), say(N_("Save them, or take them once more"))),
            buttons=(
                Item("save", say(N_("Save")), strong=True),
                Item("again", say(ONCE_MORE)),
                self._cancel_button(),
            ),
            picture=True,
            progress=1.0,
        )

        def again() -> None:
            self._poses = list(POSES)
            self._pose()

        def save() -> None:
            desk.ask(say(_ENROL), "enrol-finish", self._enrolled)

        desk.show(page, {"save": save, "again": again, "cancel": desk.menu})

    def _enrolled(self, _text: str) -> None:
        desk = self._desk
        desk.unfinished = None
        line = desk.say(N_("From now on this door knows {name}"), name=self._name)
        desk.tell(desk.say(N_("Enrolled")), line, desk.menu, error=False)

    def _cancel_button(self) -> Item:
        return Item("cancel", self._desk.say(N_("Cancel")))

    def _give_up(self) -> None:
        """Make the daemon discard an enrolment that was not saved."""
        self._desk.ask_quietly("enrol-cancel", lambda *_: None)
        self._poses = []
