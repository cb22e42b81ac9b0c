"""Whether somebody could be let in at this moment, and why not; for who asks over HTTP. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# A picture that is late or torn now and then is a picture; of a camera with one of these there is
# none.
_BLIND = ("camera_lost", "camera_dark", "camera_frozen")


@dataclass(frozen=True, slots=True)
class Standing:
    """What the daemon says of itself: the `reasons` of its status, and whether the broker hears."""

    reasons: tuple[str, ...] = ("starting",)
    problems: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    connected: bool = False

    @property
    def ready(self) -> bool:
        """Whether a face that is known and permitted would be let in."""
        blind = {reason.partition(":")[2] for reason in self.reasons if _is_blind(reason)}
        sees = bool(set(self.cameras) - blind)
        return self.connected and sees and not self.problems and "starting" not in self.reasons

    @property
    def state(self) -> str:
        """The status's word for it."""
        return "degraded" if self.reasons else "online"


class Notice:
    """The newest Standing: who supervises the parts pins it up, any thread reads it."""

    def __init__(self) -> None:
        self.standing = Standing()


def _is_blind(reason: str) -> bool:
    return reason.partition(":")[0] in _BLIND
