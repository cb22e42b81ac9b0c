"""How often somebody may ask: a token bucket for each key. Pure: time is passed in."""

from __future__ import annotations

from dataclasses import dataclass

# A person at a PIN pad, or an administrator at work, stays below both.
BURST = 10
PER_S = 2.0


@dataclass(slots=True)
class TokenBucket:
    """`burst` at once, `per_s` a second over time."""

    burst: float = BURST
    per_s: float = PER_S
    _left: float | None = None
    _at_s: float = 0.0

    def take(self, now_s: float) -> bool:
        """Take a token if one is available at `now_s` (monotonic); False if none is."""
        left = self.burst if self._left is None else self._left
        left = min(self.burst, left + self.per_s * max(0.0, now_s - self._at_s))
        self._at_s = max(self._at_s, now_s)
        allowed = left >= 1.0
        self._left = left - 1.0 if allowed else left
        return allowed
