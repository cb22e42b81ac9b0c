"""Is this face good enough to be compared, and if not, what can the person do? Pure."""

from __future__ import annotations

from oneglance.contract.messages import Hint
from oneglance.faces.boxes import Box

# Measured on the chip (112 x 112), see oneglance.faces.reader and docs/daemon.md: a picture just
# inside these limits still gets a score far above any threshold against its good self. Dark skin
# in ordinary light lies well inside.
MIN_SHARPNESS = 12.0
MIN_BRIGHTNESS = 25.0
MAX_BRIGHTNESS = 225.0
# Closer than this the face no longer fits the picture when it moves.
MAX_FACE_OF_FRAME = 0.85


def distance_hint(box: Box, frame_height_px: int, min_face_px: float) -> Hint:
    """COME_CLOSER or STEP_BACK by the size of the face; NONE if it is right."""
    if box.width < min_face_px:
        return Hint.COME_CLOSER
    if box.height > MAX_FACE_OF_FRAME * frame_height_px:
        return Hint.STEP_BACK
    return Hint.NONE


def picture_hint(sharpness: float, brightness: float) -> Hint:
    """HOLD_STILL or MORE_LIGHT by the chip's Laplacian variance and mean grey level 0..255.

    Too bright counts as MORE_LIGHT too: either way the light is wrong. Values that are no
    numbers are refused like bad ones.
    """
    if not MIN_BRIGHTNESS <= brightness <= MAX_BRIGHTNESS:
        return Hint.MORE_LIGHT
    if not sharpness >= MIN_SHARPNESS:
        return Hint.HOLD_STILL
    return Hint.NONE
