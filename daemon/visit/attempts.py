"""What failures cost: a wait that grows, and for a claimed person a lock-out. Pure.

Failures are counted separately, so that nobody can lock everybody out:

- `face`: faces without a claim that were refused, or gone before they were. They slow down faces
  without a claim.
- `attack`: those among them that were presentation attacks. They slow down the same, from the first
  one on and for longer: whoever shows a picture tries again, and each try is another chance.
- `badge`, `pin`: claims by that means which failed, whoever was claimed. They slow down further
  claims by that means. A presentation attack with a claim is a failure of that claim.
- each claimed person, or badge or PIN of nobody: claims of just that one. They end in a lock-out.

Only the monotonic clock counts, so that setting the wall clock shortens nothing; a restart begins
the wait that was running anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from oneglance.access_config import AttemptsConfig
from oneglance.contract.messages import Factor

ATTACK = "attack"

# A flood of made-up badges must not fill the disk; a count that is pushed out is one of the oldest.
MOST_COUNTED = 256


@dataclass(slots=True)
class _Count:
    failures: int
    failed_at_s: float
    ready_at_s: float


@dataclass(slots=True)
class Attempts:
    """Failures counted by key; times are monotonic seconds.

    `locks_out` says of a key whether it ends in a lock-out, as a claimed person does.
    """

    config: AttemptsConfig
    _counts: dict[str, _Count] = field(default_factory=dict)

    def failed(self, key: str, now_s: float, *, locks_out: bool) -> None:
        """One more failure of `key`."""
        self._forget(now_s)
        before = self._counts.pop(key, None)
        failures = 1 if before is None else before.failures + 1
        wait_s = self.wait_after(failures, locks_out=locks_out, attack=key == ATTACK)
        ready_at_s = now_s + wait_s
        if before is not None:
            ready_at_s = max(ready_at_s, before.ready_at_s)
        self._counts[key] = _Count(failures, now_s, ready_at_s)
        while len(self._counts) > MOST_COUNTED:
            self._counts.pop(self._least(now_s))

    def succeeded(self, key: str) -> None:
        """`key` was let in: its failures are forgotten."""
        self._counts.pop(key, None)

    def reset(self) -> None:
        """Forget everything, as an administrator asked."""
        self._counts.clear()

    def wait_s(self, key: str, now_s: float) -> float:
        """How long `key` has to wait from `now_s` on; 0 if it need not."""
        count = self._counts.get(key)
        return 0.0 if count is None else max(0.0, count.ready_at_s - now_s)

    def is_locked_out(self, key: str) -> bool:
        """Whether `key`, which `locks_out`, has failed so often that it is locked out."""
        count = self._counts.get(key)
        return count is not None and count.failures >= self.config.lock_out_after

    def wait_after(self, failures: int, *, locks_out: bool, attack: bool = False) -> float:
        """The wait in seconds that so many failures cost: never less for one more."""
        config = self.config
        free = 0 if attack else config.free
        if failures <= free:
            return 0.0
        if locks_out and failures >= config.lock_out_after:
            return max(60 * config.lock_out_minutes, config.longest_wait_s)
        # Beyond 2**30 the exponent says nothing more.
        wait_s = config.first_wait_s * 2.0 ** min(failures - free - 1, 30)
        return min(wait_s, config.longest_attack_wait_s if attack else config.longest_wait_s)

    def dump(self, now_s: float) -> dict[str, list[float]]:
        """What is to be kept over a restart: for each key its failures, and its wait if it waits.

        The same from one change to the next, so that it need be written only then.
        """
        self._forget(now_s)
        return {
            key: [count.failures, count.ready_at_s - count.failed_at_s if waits else 0.0]
            for key, count in self._counts.items()
            for waits in [now_s < count.ready_at_s]
        }

    def load(self, kept: Mapping[str, list[float]], now_s: float) -> None:
        """Take what `dump` gave; ValueError if it is anything else."""
        counts = {}
        for key, (failures, wait_s) in kept.items():
            if not (1 <= failures < 2**31 and 0 <= wait_s < 2**31):
                raise ValueError("not a count of attempts")
            counts[key] = _Count(int(failures), now_s, now_s + wait_s)
        self._counts = counts

    def _least(self, now_s: float) -> str:
        return min(self._counts, key=lambda key: self._counts[key].ready_at_s)

    def _forget(self, now_s: float) -> None:
        forget_s = 60 * self.config.forget_minutes
        self._counts = {
            key: count
            for key, count in self._counts.items()
            if now_s < max(count.ready_at_s, count.failed_at_s + forget_s)
        }


def key_of(factor: Factor) -> str:
    """The key under which tries by this means are counted, whoever is claimed."""
    return factor.value
