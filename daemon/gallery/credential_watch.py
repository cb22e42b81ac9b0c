"""Badges and PINs as the daemon sees them: whether they count, and whose are to be dropped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from oneglance.errors import AuditError, GalleryError
from oneglance.faces.gallery.credentials import CredentialFile, RestoredCredentialsError
from oneglance.faces.gallery.person import Person

log = logging.getLogger(__name__)

# A claim reads the file itself; this interval is only for the status.
LOOK_EVERY_S = 10.0
DROP_EVERY_S = 3600.0


class CredentialWatch:
    """Checks whether the file can be read. `work` is for one thread, `problem` for any.

    `problem` is a status reason or None: `credentials_restored` for an older copy than one seen
    before, `credentials_error` for one that cannot be read. Faces need no credentials, so neither
    keeps out people who only have to show their face.

    Badges and PINs of people whom `enrolled` does not list are dropped every hour, and as soon as
    an unreadable file can be read again, since somebody may have been deleted meanwhile.
    """

    def __init__(self, file: CredentialFile, enrolled: Callable[[], Sequence[Person]]) -> None:
        self._file = file
        self._enrolled = enrolled
        self._next_look_s = self._drop_at_s = float("-inf")
        self._failure = ""
        self.problem = ""

    def work(self, now_s: float) -> None:
        """Look, at most every LOOK_EVERY_S, and drop what is due. Never raises OneglanceError."""
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + LOOK_EVERY_S
        try:
            self._file.check()
        except AuditError as error:
            # Whoever writes the log reports what is wrong with it.
            log.debug("%s", error)
        except GalleryError as error:
            self._drop_at_s = float("-inf")
            self._failed(error)
        else:
            self._failure = self.problem = ""
            if now_s >= self._drop_at_s:
                self._drop_at_s = now_s + DROP_EVERY_S
                self._drop()

    def _failed(self, error: GalleryError) -> None:
        level = logging.ERROR if str(error) != self._failure else logging.DEBUG
        log.log(level, "no badges or PINs count: %s", error)
        self._failure = str(error)
        restored = isinstance(error, RestoredCredentialsError)
        self.problem = "credentials_restored" if restored else "credentials_error"

    def _drop(self) -> None:
        try:
            dropped = self._file.drop_departed(self._enrolled)
        except (GalleryError, AuditError) as error:
            log.warning("the badges and PINs of people who are gone are kept for now: %s", error)
            return
        if dropped:
            log.info("the badges and PINs of %d people who are gone were dropped", dropped)
