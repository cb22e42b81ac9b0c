"""A test of the lock that cannot open it: a rejected decision, to which the lock answers.

What is signed lets nobody in, whoever asked for it: it proves the way of a decision from here to
the lock's memory, and stops before the pin.
"""

from __future__ import annotations

import threading

from oneglance.contract.commands import Args
from oneglance.contract.keyring import Role
from oneglance.contract.messages import LOCK_TEST
from oneglance.daemon.visit.decide import Verdict
from oneglance.daemon.voice.verbs import Sender, Verb, only

# A consumer that looks at nothing but the score is not to open either.
VERDICT = Verdict("lock-test", None, score=-1000.0, threshold=0.0, reason=LOCK_TEST)


class LockTest:
    """Remembers that somebody asked, until the thread that numbers decisions takes it."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.verb = Verb(frozenset({Role.ADMINISTRATOR}), self._ask)

    def take(self) -> bool:
        """Whether somebody asked since the last call."""
        asked = self._asked.is_set()
        if asked:
            self._asked.clear()
        return asked

    def _ask(self, args: Args, _sender: Sender) -> str:
        only(args)
        self._asked.set()
        return "a rejected decision is on its way: see what the lock says on door/state"
