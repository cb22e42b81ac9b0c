"""The administrator's failed PINs, counted on disk before each try, so that no restart helps."""

from __future__ import annotations

import logging
import math
from pathlib import Path

from oneglance.errors import ConfigError
from oneglance.whole_file import write_whole

log = logging.getLogger(__name__)

# Who mistypes has some tries free; from then on each one waits twice as long, up to an hour.
FREE = 3
FIRST_WAIT_S, LONGEST_WAIT_S = 30.0, 3600.0
_MOST = 1000


class AdminAttempts:
    """The failures since the last correct PIN, kept in `file`.

    A missing file means none; a damaged one means many.
    """

    def __init__(self, file: Path, now_s: float) -> None:
        self._file = file
        self._failures = self._read()
        # A wait under way begins anew with the process: a monotonic clock does not outlive it.
        self._from_s = now_s + self._length_s()

    def refresh(self, now_s: float) -> None:
        """Check whether a new PIN was set meanwhile, which clears all failures."""
        failures = self._read()
        if failures != self._failures:
            self._failures = failures
            self._from_s = now_s + self._length_s()

    def wait_s(self, now_s: float) -> float:
        """How long the next try has to wait, or 0."""
        return max(0.0, self._from_s - now_s)

    def begin(self, now_s: float) -> None:
        """Count a try as failed before it is made. If this raises ConfigError, it must not be made.

        The wait for the next one starts now: nobody tries again while this one is being computed.
        """
        self._write(min(_MOST, self._failures + 1))
        self._from_s = now_s + self._length_s()

    def failed(self, now_s: float) -> None:
        """Record that the try failed."""
        self._from_s = now_s + self._length_s()
        log.warning("a wrong administrator's PIN, the %d. in a row", self._failures)

    def succeeded(self) -> None:
        """Record that the PIN was correct: all failures are cleared."""
        self._from_s = -math.inf
        self._write(0)

    def _length_s(self) -> float:
        beyond = self._failures - FREE
        if beyond < 0:
            return 0.0
        return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(beyond, 20))

    def _read(self) -> int:
        try:
            with self._file.open("rb") as file:
                return min(_MOST, max(0, int(file.read(16))))
        except FileNotFoundError:
            return 0
        except (OSError, ValueError):
            log.warning("%s: damaged, so that PINs have to wait", self._file)
            return _MOST

    def _write(self, failures: int) -> None:
        try:
            write_whole(self._file, b"%d\n" % failures, 0o600, durable=True)
        except OSError as error:
            raise ConfigError(
                f"failed PINs cannot be counted, so that none is tried: {error.strerror}",
                where=str(self._file),
            ) from None
        self._failures = failures
