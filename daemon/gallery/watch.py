"""The gallery as the daemon sees it: re-read when anybody changes it or expires."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from oneglance.daemon.visit.decide import UnsupportedTargetError
from oneglance.errors import GalleryError
from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.gallery.file import is_there
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.identify import with_codes
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.gallery.rows import Unsealed
from oneglance.faces.gallery.vault import TemplateKey

log = logging.getLogger(__name__)

# How long an enrolment by another process may take to be noticed.
LOOK_EVERY_S = 0.5
# A clock that goes back this far was set: what had expired may not have, and the other way round.
CLOCK_BACK_S = 1.0


class GalleryWatch:
    """Use it from one thread only: the file belongs to the thread that opened it.

    While the gallery cannot be read, or `fits` refuses its number of templates, nobody is in it:
    `snapshot` is None and `problem` says so. What `fits` answers is logged. With the model's
    `head` a large gallery is made fast to search. Templates that were unsealed once are not
    unsealed again, so that one more person costs little.
    `version` grows whenever what is in memory was replaced.
    """

    def __init__(
        self,
        path: Path,
        key: TemplateKey,
        model_id: str,
        template_size: int,
        *,
        wall: Callable[[], datetime],
        fits: Callable[[int], str] = "{} templates".format,
        head: L1Head | None = None,
    ) -> None:
        self._path = path
        self._key = key
        self._model_id = model_id
        self._template_size = template_size
        self._wall = wall
        self._fits = fits
        self._head = head
        self._unsealed = Unsealed()
        self._gallery: Gallery | None = None
        self._changes = -1
        self._read_at = datetime.min.replace(tzinfo=UTC)
        self._expires_at: datetime | None = None
        self._next_look_s = float("-inf")
        self._failure = ""
        self._problem = "gallery_error"
        self.snapshot: Snapshot | None = None
        self.version = 0

    @property
    def problem(self) -> str:
        """`gallery_error`, `far_unsupported`, `gallery_empty`, or nothing."""
        if self.snapshot is None:
            return self._problem
        return "" if self.snapshot.person_ids else "gallery_empty"

    def refresh(self, now_s: float) -> None:
        """Look, at most every LOOK_EVERY_S, whether anything changed; never raises."""
        expired = self._expires_at is not None and self._wall() >= self._expires_at
        if now_s < self._next_look_s and not expired:
            return
        self._next_look_s = now_s + LOOK_EVERY_S
        try:
            self._look()
        except GalleryError as error:
            self._give_up(error)

    def reload(self) -> int:
        """Read it anew now; returns how many people count. Raises GalleryError, then empty."""
        try:
            self.close()
            self._look()
        except GalleryError as error:
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
            self._changes = -1
            if not is_there(self._path):
                self._nobody_yet()
                return
            self._gallery = Gallery.open(self._path, self._key, now=self._wall)
        changes = self._gallery.change_counter()
        now = self._wall()
        set_back = (self._read_at - now).total_seconds() > CLOCK_BACK_S
        expired = self._expires_at is not None and now >= self._expires_at
        if changes == self._changes and not set_back and not expired:
            return
        people = self._gallery.list_people()
        snapshot = self._gallery.snapshot(
            self._model_id, now, template_size=self._template_size, unsealed=self._unsealed
        )
        decides = self._fits(len(snapshot.templates))
        snapshot = with_codes(snapshot, self._head)
        self._changes = changes
        self._read_at = now
        self._expires_at = min(
            (p.expires_at for p in people if p.expires_at is not None and p.expires_at > now),
            default=None,
        )
        self.snapshot = snapshot
        self.version += 1
        self._failure = ""
        log.info("gallery: %d people count; %s", len(set(snapshot.person_ids)), decides)

    def _nobody_yet(self) -> None:
        """A new door has no gallery before its first enrolment; that is no error."""
        if self.snapshot is None or self.snapshot.person_ids:
            log.warning("%s: there is no gallery yet, nobody is enrolled", self._path)
            self.snapshot = Snapshot.empty(self._template_size)
            self.version += 1
        self._failure = ""
        self._expires_at = None

    def _give_up(self, error: GalleryError) -> None:
        level = logging.ERROR if str(error) != self._failure else logging.DEBUG
        log.log(level, "nobody is let in: %s", error)
        self._failure = str(error)
        unsupported = isinstance(error, UnsupportedTargetError)
        self._problem = "far_unsupported" if unsupported else "gallery_error"
        self._expires_at = None
        if self.snapshot is not None:
            self.snapshot = None
            self.version += 1
        try:
            self.close()
        except GalleryError as closing:
            log.debug("%s", closing)
