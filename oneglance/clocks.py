"""The clocks that a service goes by, passed in so that a test can set them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Clocks:
    """The wall clock and the monotonic clock, in seconds, that the parts are given."""

    wall: Callable[[], datetime]
    monotonic_s: Callable[[], float]
