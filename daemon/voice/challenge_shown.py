"""The command by which a screen says that it shows what the visitor is asked."""

from __future__ import annotations

from oneglance.contract.commands import Args
from oneglance.contract.keyring import Role
from oneglance.daemon.visit.challenges import Challenges
from oneglance.daemon.voice.verbs import Sender, Verb, only, text_of


def challenge_shown(challenges: Challenges) -> Verb:
    """The verb: the step named by `challenge_id` is on the glass, and its time begins."""

    def shown(args: Args, _sender: Sender) -> str:
        only(args, "challenge_id")
        challenges.shown(text_of(args, "challenge_id"))
        return "noted"

    # A visitor's time runs from here: it must not wait for somebody's PIN or enrolment.
    return Verb(frozenset({Role.KIOSK}), shown, at_once=True)
