"""Records what the daemon does, before it is done, in the audit log; removes what has expired."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.audit.entry import Entry
from oneglance.audit.log import Audit
from oneglance.audit.snapshots import Snapshots
from oneglance.clocks import Clocks
from oneglance.errors import AuditError, OneglanceError, TamperedError
from oneglance.events import AUDIT_HEAD, NOBODY_LET_IN

log = logging.getLogger(__name__)

# How soon the daemon signs for what other commands wrote, and tries again what failed.
SIGN_EVERY_S = 10.0
TIDY_EVERY_S = 3600.0
# A clock that was set by more than this within the hour may say anything: nothing is removed by it.
CLOCK_STEP_S = 60.0
# The parts of a decision that are recorded: nothing that identifies a person, whatever is added to
# it.
LOGGED = (
    "event_id",
    "visit_id",
    "outcome",
    "reason",
    "score",
    "threshold",
    "model_id",
    "mode",
    "liveness",
    "factors",
    "sequence",
)


class Scribe:
    """The daemon's hand in the audit log; `append`, `decision` and `work` may come from any thread.

    `open_audit` opens the log when something is first asked of it, or, if that fails, each time
    again. `start` is what the entry of that name says: it holds the hash `policy` of what decides.
    Pictures go after `snapshot_days`; with 0 none is taken.
    """

    def __init__(
        self,
        open_audit: Callable[[], Audit],
        key_id: str,
        start: dict[str, Any],
        clocks: Clocks,
        *,
        keep_days: int,
        snapshots: Snapshots,
        snapshot_days: int,
    ) -> None:
        self._open_audit = open_audit
        self._key_id = key_id
        self._start = start
        self._clocks = clocks
        self._keep = timedelta(days=keep_days)
        self._snapshots = snapshots
        self._snapshot_days = snapshot_days
        self._opening = threading.Lock()
        self._telling = threading.Lock()
        self._audit: Audit | None = None
        self._begun = False
        self._failure: AuditError | None = None
        self._nameless: AuditError | None = None
        self._sign_at_s = clocks.monotonic_s() + SIGN_EVERY_S
        self._tidy_at_s = float("-inf")
        self._tidied: tuple[datetime, float] | None = None

    @property
    def problem(self) -> str:
        """`audit_error` while nothing can be written, at least of people: nobody is let in.

        `audit_tampered` if that is because of what stands there.
        """
        failure = self._failure or self._nameless
        if failure is None:
            return ""
        return "audit_tampered" if isinstance(failure, TamperedError) else "audit_error"

    def begin(self) -> None:
        """Write down that the daemon starts: now, or with the first entry that can be written.

        A daemon that cannot start, however often it is tried again, fills no log.
        """
        self._try(self._started)
        self._look_for_people()

    def append(self, kind: str, body: dict[str, Any], *, person_id: str | None = None) -> Entry:
        """Write an entry as `Audit.append` does. Raises AuditError: then what it says must not be.

        Raises ValueError for what cannot stand in the log.
        """
        with self._noted():
            return self._started().append(kind, body, person_id=person_id)

    def append_all(self, said: Sequence[tuple[str, str, dict[str, Any]]]) -> list[Entry]:
        """Write entries as `Audit.append_all` does. Raises as `append`."""
        with self._noted():
            return self._started().append_all(said)

    def append_after(
        self, kind: str, body: Callable[[dict[str, Any]], dict[str, Any] | None]
    ) -> None:
        """Write an entry as `Audit.append_after` does. Raises AuditError."""
        with self._noted():
            self._opened().append_after(kind, body)

    def last(self, kind: str) -> Entry | None:
        """The newest entry of a kind, as `Audit.last` gives it. Raises AuditError."""
        return self._opened().last(kind)

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Make the pseudonyms of people nobody's, as `Audit.forget` does. Raises AuditError."""
        self._started().forget(gone)

    def alone(self) -> AbstractContextManager[None]:
        """Nobody else changes people within it, as `Audit.alone`. Raises AuditError."""
        return self._started().alone()

    def decision(self, payload: bytes) -> str:
        """Write down a signed decision that is about to leave; returns its event_id.

        Raises AuditError: then it must not leave.
        """
        said = json.loads(payload)
        body = {name: said[name] for name in LOGGED if name in said}
        self.append("decision", body, person_id=said["person_id"])
        event_id: str = said["event_id"]
        return event_id

    def command(
        self, key_id: str, verb: str, code: str, times: int, latest: datetime | None = None
    ) -> None:
        """Write down what became of a command, or of as many alike. Raises AuditError.

        `latest` is up to when commands have been carried out, as far as is known to who asks. In
        the log it never goes back: who lost their memory, or was overtaken, knows less than it.
        """
        body: dict[str, Any] = {"key": key_id, "verb": verb, "code": code, "times": times}
        with self._telling, self._noted():
            known = [one for one in (latest, self.latest_command()) if one is not None]
            if known:
                body["latest"] = max(known).isoformat()
            self.append("command", body)

    def latest_command(self) -> datetime | None:
        """What `command` was told last as `latest`, None if nothing. Raises AuditError."""
        entry = self.last("command")
        said = None if entry is None else entry.body.get("latest")
        if said is None:
            return None
        try:
            return datetime.fromisoformat(said).astimezone(UTC)
        except (TypeError, ValueError):
            raise AuditError("the audit log's last command has no time") from None

    def snapshot(self, event_id: str, face: NDArray[np.uint8]) -> None:
        """Keep a picture, uint8 (H, W, 3) BGR, of who got a decision, if that is wanted."""
        if not self._snapshot_days or not face.size:
            return
        _, picture = cv2.imencode(".jpg", face)
        try:
            self._snapshots.keep(event_id, self._clocks.wall(), picture.tobytes())
        except AuditError as error:
            log.error("%s", error)

    def work(self) -> None:
        """Sign for what others wrote, try again what failed, remove what is old; call it often."""
        now_s = self._clocks.monotonic_s()
        if now_s < self._sign_at_s:
            return
        self._sign_at_s = now_s + SIGN_EVERY_S
        if self._failure is not None:
            self._try(lambda: self._started().append("checkpoint", {}))
        else:
            self._try(lambda: self._started().checkpoint())
        self._look_for_people()
        if now_s >= self._tidy_at_s and not self.problem:
            self._tidy_at_s = now_s + TIDY_EVERY_S
            self._try(self._tidy)

    def stop(self, *, failed: bool) -> None:
        """Record that the daemon ends, and why."""
        audit = self._audit
        if audit is not None and self._begun:
            self._try(lambda: audit.append("stop", {"failed": failed}))
            self._try(lambda: _tell("ends", audit))

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """What is written inside tells whether anything can be written."""
        try:
            yield
        except AuditError as error:
            self._failure = error
            raise
        self._failure = None

    def _opened(self) -> Audit:
        with self._opening:
            if self._audit is None:
                self._audit = self._open_audit()
            return self._audit

    def _started(self) -> Audit:
        audit = self._opened()
        with self._opening:
            if not self._begun:
                self._write_start(audit)
                self._begun = True
        return audit

    def _write_start(self, audit: Audit) -> None:
        # In the journal too, which is another place: 'audit verify --head' takes it.
        _tell("begins", audit)
        former = audit.signed_with
        if former not in ("", self._key_id):
            log.warning("audit log: it was signed with another key before, %s", former)
            audit.append("key_change", {"former": former, "key": self._key_id})
        before = audit.last("start")
        audit.append("start", self._start)
        if before is None or before.body.get("policy") != self._start["policy"]:
            audit.append("policy_change", {"policy": self._start["policy"]})

    def _tidy(self) -> None:
        now, now_s = self._clocks.wall(), self._clocks.monotonic_s()
        tidied, self._tidied = self._tidied, (now, now_s)
        if tidied is None:
            return
        before, before_s = tidied
        if abs((now - before).total_seconds() - (now_s - before_s)) > CLOCK_STEP_S:
            return
        since = now - self._keep
        newest = self.last("command")
        if newest is not None and newest.at <= since:
            # Up to when commands were carried out has to be known for longer than that.
            self.command("", "?", "ok", 0)
        self._opened().retain(since)
        self._snapshots.remove_expired(now, self._snapshot_days)

    def _look_for_people(self) -> None:
        """Whether people's pseudonyms can be had: what is rejected needs none, so tells nothing."""
        if self._failure is not None:
            return
        try:
            self._opened().check_people()
        except AuditError as error:
            self._nameless = self._told(error, self._nameless)
        else:
            self._nameless = None

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except AuditError as error:
            self._failed(error)
        except OneglanceError as error:
            self._failed(AuditError(error.what, where=error.where, fix=error.fix))
        else:
            self._failure = None

    def _failed(self, error: AuditError) -> None:
        self._failure = self._told(error, self._failure)

    def _told(self, error: AuditError, before: AuditError | None) -> AuditError:
        level = logging.DEBUG if str(error) == str(before) else logging.ERROR
        log.log(level, "nobody is let in: %s", error, extra=NOBODY_LET_IN())
        return error


def _tell(what: str, audit: Audit) -> None:
    head = audit.head()
    log.info("audit log: %s at %s", what, head, extra=AUDIT_HEAD(HEAD=head))
