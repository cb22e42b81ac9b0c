"""The way out for decisions: sign, log, publish; also takes commands and informs the screen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from oneglance.clocks import Clocks
from oneglance.contract.messages import AccessState
from oneglance.daemon.visit.challenge import Prompt
from oneglance.daemon.visit.decide import Verdict
from oneglance.daemon.visit.report import StepReport
from oneglance.daemon.voice.commands import CommandDesk
from oneglance.daemon.voice.issuer import Issuer
from oneglance.daemon.voice.lock_test import VERDICT, LockTest
from oneglance.daemon.voice.preview import Preview
from oneglance.daemon.voice.publisher import Publisher
from oneglance.daemon.voice.scribe import Scribe
from oneglance.daemon.voice.visit_feed import VisitFeed
from oneglance.errors import OneglanceError
from oneglance.events import DECISION

log = logging.getLogger(__name__)


class Outlet:
    """The vision thread's way out: `turn` once a turn, `send` for a verdict, `ask` and `show` for
    the screen.

    `publisher`, `desk`, `scribe` and `preview` belong to other threads as well; whoever builds
    the daemon starts and stops them. `on_show` gets each step, in the vision thread; `on_work` is
    called by each `work`. What `lock_test` was asked for leaves with the next `turn`. `keys_lost`
    tells whether the keyring cannot be used, so that no command counts.
    """

    def __init__(
        self,
        issuer: Issuer,
        publisher: Publisher,
        desk: CommandDesk,
        scribe: Scribe,
        preview: Preview,
        clocks: Clocks,
        on_show: Callable[[Sequence[StepReport]], None] = lambda _reports: None,
        on_work: Callable[[], None] = lambda: None,
        lock_test: LockTest | None = None,
        keys_lost: Callable[[], bool] = lambda: False,
    ) -> None:
        self.publisher = publisher
        self.desk = desk
        self.scribe = scribe
        self.preview = preview
        self.keys_lost = keys_lost
        self._issuer = issuer
        self._clocks = clocks
        self._on_show = on_show
        self._on_work = on_work
        self._lock_test = lock_test or LockTest()
        self._feed = VisitFeed()
        self._refusal = ""

    @property
    def problem(self) -> str:
        """Why no decision can leave now, as a status reason; nothing if it can."""
        return self._issuer.problem or self.scribe.problem

    def turn(self) -> list[str]:
        """Look at the clocks and send what waits; call it at least once a second.

        Returns the visits whose decision was lost: it expired before it could leave.
        """
        self._issuer.tick()
        if self._lock_test.take():
            # Here, as whatever has a number leaves in its order: else a visitor's could be refused.
            self.send(VERDICT, {}, np.empty((0, 0, 3), np.uint8))
        self.publisher.pump()
        lost = self.publisher.take_dropped()
        for visit_id in lost:
            log.warning("visit %s: its decision expired before it could leave", visit_id)
        return lost

    def work(self) -> None:
        """Carry out commands and what the audit log needs; call it from the gallery's thread."""
        self.desk.work()
        self.scribe.work()
        self._on_work()

    def send(self, verdict: Verdict, names: Mapping[str, str], face: NDArray[np.uint8]) -> bool:
        """Sign a verdict, log it and send it on its way; `names` are the people's, by id.

        `face` is a picture of who got it, uint8 (H, W, 3) BGR. False if no decision can be issued
        or logged now; the reason is logged, once while it lasts.
        """
        try:
            message = self._issuer.issue(verdict, names)
            event_id = self.scribe.decision(message.payload)
        except OneglanceError as error:
            level = logging.ERROR if str(error) != self._refusal else logging.DEBUG
            log.log(level, "no decision: %s", error)
            self._refusal = str(error)
            return False
        self._refusal = ""
        told = DECISION(
            EVENT_ID=event_id,
            VISIT_ID=verdict.visit_id,
            OUTCOME="accepted" if verdict.accepted else "rejected",
            REASON=verdict.reason,
        )
        log.info("event %s is about visit %s", event_id, verdict.visit_id, extra=told)
        self.publisher.decision(message)
        self.scribe.snapshot(event_id, face)
        return True

    def ask(self, prompt: Prompt) -> None:
        """Have the screen ask the visitor for a movement; one that cannot leave is never shown."""
        try:
            message = self._issuer.issue_challenge(prompt)
        except OneglanceError as error:
            log.error("no challenge: %s", error)
            return
        self.publisher.challenge(message)

    def show(self, reports: Sequence[StepReport]) -> None:
        """Tell the screen what it needs to know of a step; call it without frames too."""
        state = self._feed.update(reports, self._clocks.monotonic_s(), self._clocks.wall())
        if state is not None:
            self.publisher.visit(state)
        self.preview.offer(reports)
        self._on_show(reports)

    def tell(self, state: AccessState | None) -> None:
        """Tell the screen of claims and waits, if there is anything new."""
        if state is not None:
            self.publisher.access(state)
