"""Strangers' templates on their way to the file from which calibration learns."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import GalleryError
from oneglance.faces.calibration.store import StrangerFile

log = logging.getLogger(__name__)

# If the file cannot be written, templates must not fill the memory.
_MOST_WAITING = 20
# How often to check whether the file is too old.
LOOK_EVERY_S = 3600.0


class StrangerKeeper:
    """`met` is for the vision thread, which never waits, `work` for the gallery's, which writes."""

    def __init__(self, file: StrangerFile, clock_s: Callable[[], float]) -> None:
        self._file = file
        self._clock_s = clock_s
        self._next_look_s = float("-inf")
        self._waiting: queue.Queue[NDArray[np.float32]] = queue.Queue(_MOST_WAITING)
        self._failure = ""

    def met(self, template: NDArray[np.float32]) -> None:
        """A stranger's visit is over; `template` float32 (d,) is that of its last look."""
        try:
            self._waiting.put_nowait(template)
        except queue.Full:
            log.debug("a stranger's template is dropped: the file is slow")

    def work(self) -> None:
        """Write the templates that are waiting, and delete a file that is too old.

        Never raises: this file lets nobody in and keeps nobody out.
        """
        now_s = self._clock_s()
        if now_s >= self._next_look_s:
            self._next_look_s = now_s + LOOK_EVERY_S
            self._tried(self._file.delete_if_old)
        while True:
            try:
                template = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._tried(partial(self._file.add, template))

    def _tried(self, do: Callable[[], None]) -> None:
        try:
            do()
        except GalleryError as error:
            if str(error) != self._failure:
                log.warning("%s", error)
            self._failure = str(error)
