"""What a person is asked to do in front of the camera, and how many pictures per step. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

# A quarter of the pictures are anchors: what the others are compared with in training.
ANCHOR_SHARE = 0.25


class Aim(StrEnum):
    """The pose that a step asks for, as far as it can be measured."""

    STRAIGHT = "straight"
    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"
    CLOSER = "closer"
    FARTHER = "farther"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: `key` in the records, `text` on the screen, `role` of its pictures.

    Nothing is taken in the first `settle_s`: people need time to read the text and act on it.
    """

    key: str
    text: str
    role: str
    aim: Aim
    settle_s: float = 1.5


STEPS = (
    Step("straight", "Look straight at the camera", "anchor", Aim.STRAIGHT),
    Step("left", "Turn your head a little to your left", "positive", Aim.LEFT),
    Step("right", "Turn your head a little to your right", "positive", Aim.RIGHT),
    Step("up", "Raise your chin a little", "positive", Aim.UP),
    Step("down", "Lower your chin a little", "positive", Aim.DOWN),
    Step("closer", "Come closer", "positive", Aim.CLOSER, 2.5),
    Step("farther", "Step back", "positive", Aim.FARTHER, 2.5),
    Step("talk", "Smile, and say something", "positive", Aim.ANY),
    Step("glasses", "Glasses: put them on, or take them off", "positive", Aim.ANY, 6.0),
    Step("light", "Switch the light on or off, or turn to a window", "positive", Aim.ANY, 8.0),
)


def pictures_by_step(count: int) -> Mapping[str, int]:
    """How many of `count` (1 or more) pictures each step contributes, by its key."""
    anchors = max(1, round(ANCHOR_SHARE * count))
    others = len(STEPS) - 1
    each, more = divmod(count - anchors, others)
    shares = {STEPS[0].key: anchors}
    shares |= {step.key: each + (i < more) for i, step in enumerate(STEPS[1:])}
    return MappingProxyType(shares)
