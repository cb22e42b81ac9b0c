"""Whether somebody could be let in at this moment, and if not, why; for HTTP clients. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# A picture that is late or torn now and then is still a picture; a camera with one of these faults
# gives none, or too few to see by them that somebody lives.
_BLIND = ("camera_lost", "camera_dark", "camera_frozen", "camera_slow")
# No decision can be made by these, or none of them reaches a lock.
_SHUT = {"starting", "decisions_refused"}


@dataclass(frozen=True, slots=True)
class Standing:
    """The daemon's own report: its status's `reasons`, and whether the broker can be reached."""

    reasons: tuple[str, ...] = ("starting",)
    problems: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    connected: bool = False

    @property
    def ready(self) -> bool:
        """Whether a face that is known and permitted would be let in."""
        blind = {reason.partition(":")[2] for reason in self.reasons if _is_blind(reason)}
        sees = bool(set(self.cameras) - blind)
        return self.connected and sees and not self.problems and _SHUT.isdisjoint(self.reasons)

    @property
    def state(self) -> str:
        """The status's word for it."""
        return "degraded" if self.reasons else "online"


class Notice:
    """The newest Standing: the supervisor posts it, any thread reads it."""

    def __init__(self) -> None:
        self.standing = Standing()


def _is_blind(reason: str) -> bool:
    return reason.partition(":")[0] in _BLIND
