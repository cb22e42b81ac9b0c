"""The gallery as the daemon sees it: read again when it changes or somebody expires."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

from oneglance.daemon.visit.decide import UnsupportedTargetError
from oneglance.errors import AuditError, OneglanceError, TamperedError
from oneglance.events import NOBODY_LET_IN
from oneglance.faces.gallery.file import is_there
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.gallery.rows import Unsealed
from oneglance.faces.gallery.vault import TemplateKey
from oneglance.faces.gallery.witness import RestoredGalleryError, StaleLogError, Witness

log = logging.getLogger(__name__)

# How long it may take to notice an enrolment by another process.
LOOK_EVERY_S = 0.5
# A clock that goes back this far was set: what had expired may now not have, and vice versa.
CLOCK_BACK_S = 1.0
# How often people who expired long ago are deleted. If the clock was set meanwhile, they are not:
# it may be wrong, and a deletion cannot be undone.
TIDY_EVERY_S = 3600.0
CLOCK_STEP_S = 60.0

_PROBLEMS: tuple[tuple[type[OneglanceError], str], ...] = (
    (UnsupportedTargetError, "far_unsupported"),
    (RestoredGalleryError, "gallery_restored"),
    (StaleLogError, "audit_behind"),
    (TamperedError, "audit_tampered"),
    (AuditError, "audit_error"),
)


class GalleryWatch:
    """Follows the gallery's file, and keeps in memory who is in it.

    Use it from one thread only, as the file belongs to the thread that opened it.

    While the gallery cannot be read, or `fits` refuses its number of templates or the most that one
    person has, nobody is in it: `snapshot` is None and `problem` says why. What `fits` answers is
    logged. `prepare` turns what was read into what looks are compared with. Templates that have
    been unsealed once are not unsealed again, so that one more person costs little. A copy of the
    gallery older than `witness` knows of does not count. Whoever expired longer than `keep_expired`
    ago is deleted for good within `deleting`, which is given the gallery and their ids, every hour
    even if there are none; if it raises OneglanceError on entry, nobody is deleted. `version` grows
    whenever what is in memory is replaced.
    """

    def __init__(
        self,
        path: Path,
        key: TemplateKey,
        model_id: str,
        template_size: int,
        *,
        wall: Callable[[], datetime],
        fits: Callable[[int, int], str] = "{} templates".format,
        prepare: Callable[[Snapshot], Snapshot] = lambda snapshot: snapshot,
        witness: Witness | None = None,
        keep_expired: timedelta | None = None,
        deleting: Callable[[Gallery, Sequence[str]], AbstractContextManager[None]] = (
            lambda _gallery, _ids: nullcontext()
        ),
    ) -> None:
        self._path = path
        self._key = key
        self._model_id = model_id
        self._template_size = template_size
        self._wall = wall
        self._fits = fits
        self._prepare = prepare
        self._witness = witness
        self._keep_expired = keep_expired
        self._deleting = deleting
        self._tidied: tuple[float, datetime] | None = None
        self._unsealed = Unsealed()
        self._gallery: Gallery | None = None
        self._changes: tuple[int, int] | None = None
        self._read_at = datetime.min.replace(tzinfo=UTC)
        self._changes_at: datetime | None = None
        self._next_look_s = float("-inf")
        self._failure = ""
        self._problem = "gallery_error"
        self.snapshot: Snapshot | None = None
        self.version = 0

    @property
    def problem(self) -> str:
        """What is wrong, or nothing.

        One of `gallery_error`, `gallery_restored`, `audit_behind`, `audit_tampered`,
        `audit_error`, `far_unsupported`, `gallery_empty`.
        """
        if self.snapshot is None:
            return self._problem
        return "" if self.snapshot.person_ids else "gallery_empty"

    def refresh(self, now_s: float) -> None:
        """Check, at most every LOOK_EVERY_S, whether anything changed; never raises."""
        due = self._changes_at is not None and self._wall() >= self._changes_at
        if now_s < self._next_look_s and not due:
            return
        self._next_look_s = now_s + LOOK_EVERY_S
        try:
            self._look()
        except OneglanceError as error:
            self._give_up(error)
        else:
            self._tidy(now_s)

    def reload(self) -> int:
        """Read it again now; returns how many people count.

        Raises GalleryError, or what the witness's log raises; then it is empty.
        """
        try:
            self.close()
            self._look()
        except OneglanceError as error:
            self._give_up(error)
            raise
        return len(set(self.snapshot.person_ids)) if self.snapshot else 0

    def close(self) -> None:
        """Let go of the file."""
        gallery, self._gallery = self._gallery, None
        if gallery is not None:
            gallery.close()

    def _look(self) -> None:
        if self._gallery is None:
            self._changes = None
            if not is_there(self._path):
                self._nobody_yet()
                return
            self._gallery = Gallery.open(
                self._path, self._key, now=self._wall, witness=self._witness
            )
        changes = self._gallery.change_mark()
        now = self._wall()
        set_back = (self._read_at - now).total_seconds() > CLOCK_BACK_S
        due = self._changes_at is not None and now >= self._changes_at
        if changes == self._changes and not set_back and not due:
            return
        snapshot = self._gallery.snapshot(
            self._model_id, now, template_size=self._template_size, unsealed=self._unsealed
        )
        snapshot = self._prepare(snapshot)
        decides = self._fits(len(snapshot.templates), snapshot.most_of_one)
        self._changes = changes
        self._read_at = now
        self._changes_at = snapshot.changes_at
        self.snapshot = snapshot
        self.version += 1
        self._failure = ""
        log.info("gallery: %d people count; %s", len(set(snapshot.person_ids)), decides)

    def _nobody_yet(self) -> None:
        """A new door has no gallery until its first enrolment, which is not an error."""
        if self.snapshot is None or self.snapshot.person_ids:
            log.warning("%s: there is no gallery yet, nobody is enrolled", self._path)
            self.snapshot = Snapshot.empty(self._template_size)
            self.version += 1
        self._failure = ""
        self._changes_at = None

    def _tidy(self, now_s: float) -> None:
        """Delete whom retention demands, and what an interrupted deletion left; never raises."""
        if self._keep_expired is None or self._gallery is None:
            return
        wall = self._wall()
        if self._tidied is None:
            self._tidied = now_s, wall
        before_s, before = self._tidied
        if now_s - before_s < TIDY_EVERY_S:
            return
        self._tidied = now_s, wall
        if abs((wall - before).total_seconds() - (now_s - before_s)) > CLOCK_STEP_S:
            return
        try:
            moment = wall - self._keep_expired
            gone = [
                person.person_id
                for person in self._gallery.list_people()
                if person.expires_at is not None and person.expires_at <= moment
            ]
            # With nobody gone, too: a deletion that was cut short may have left a pseudonym's key
            # or pictures, and so does a visit that is decided while its person is deleted.
            with self._deleting(self._gallery, gone):
                deleted = self._gallery.purge_expired(moment)
                if deleted:
                    log.info("gallery: %d people who had expired were deleted", len(deleted))
        except OneglanceError as error:
            log.warning("%s", error)

    def _give_up(self, error: OneglanceError) -> None:
        level = logging.ERROR if str(error) != self._failure else logging.DEBUG
        log.log(level, "nobody is let in: %s", error, extra=NOBODY_LET_IN())
        self._failure = str(error)
        known = (problem for kind, problem in _PROBLEMS if isinstance(error, kind))
        self._problem = next(known, "gallery_error")
        self._changes_at = None
        if self.snapshot is not None:
            self.snapshot = None
            self.version += 1
        try:
            self.close()
        except OneglanceError as closing:
            log.debug("%s", closing)
