"""How films are rendered: two sets of parameters to fit on, and one to judge by.

Nothing in the films to judge by can have been learned by heart: the ranges of `JUDGE` do not
overlap those of `FIT` and `ROUGH` (they are half-open, so that no value is in both), and its forms
are different ones. Where possible, `ROUGH` lies beyond `JUDGE`: a worse camera, calmer hands and
heads, subtler screens, so that what is fitted need not extrapolate.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Style:
    """Ranges [low, high) from which each film draws, and forms for what is not a number.

    Lengths on a face are in distances between its eyes, angles in degrees, light in grey levels or
    as a factor. What all styles share, because it depends on the door (size and place of the face,
    frame rate, length), is in `stand` instead.
    """

    name: str
    # The room: "hall" | "office" and so on, drawn by `rooms`.
    rooms: tuple[str, ...]
    # Heads: how deep a face is, and by which shape.
    head_shape: str
    head_depth: Range
    nose_depth: Range
    # Smooth motion: "sines" | "filtered".
    wander: str
    sway_yaw_deg: Range
    sway_hz: Range
    # Hands: drift and tremor, and by how many radians half a sheet is bent.
    hand_drift: Range
    tremor: Range
    tremor_hz: Range
    tilt_deg: Range
    bend: Range
    shake: Range
    shake_hz: Range
    # Prints: "dots" | "grain" is how the ink lies.
    ink: str
    ink_strength: Range
    ink_pitch_px: Range
    paper_gamma: Range
    paper_black: Range
    paper_warmth: Range
    paper_blur: Range
    paper_margin: Range
    gloss: Range
    # Screens.
    pixel_pitch_px: Range
    moire: Range
    banding: Range
    banding_rows: Range
    screen_blue: Range
    screen_bright: Range
    reflection: Range
    bezel: Range
    bezel_grey: Range
    # The camera.
    lens_blur: Range
    noise_greys: Range
    vignette: Range
    exposure_drift: Range
    sharpen: Range
    jpeg_quality: Range
    # What the codec carries over between frames: "each" | "differences".
    codec: str


FIT = Style(
    name="fit",
    rooms=("hall", "office"),
    head_shape="cosine",
    head_depth=(0.8, 1.0),
    nose_depth=(0.28, 0.36),
    wander="sines",
    sway_yaw_deg=(3.0, 6.5),
    sway_hz=(0.25, 0.6),
    hand_drift=(0.06, 0.14),
    tremor=(0.006, 0.014),
    tremor_hz=(7.0, 11.0),
    tilt_deg=(16.0, 27.0),
    bend=(0.55, 0.9),
    shake=(0.18, 0.34),
    shake_hz=(1.4, 2.4),
    ink="dots",
    ink_strength=(3.0, 7.0),
    ink_pitch_px=(1.15, 1.9),
    paper_gamma=(1.0, 1.25),
    paper_black=(22.0, 45.0),
    paper_warmth=(0.0, 0.06),
    paper_blur=(0.7, 1.6),
    paper_margin=(0.12, 0.4),
    gloss=(0.0, 0.35),
    pixel_pitch_px=(1.15, 1.75),
    moire=(4.0, 12.0),
    banding=(0.03, 0.10),
    banding_rows=(180.0, 420.0),
    screen_blue=(0.03, 0.10),
    screen_bright=(0.85, 1.15),
    reflection=(0.02, 0.07),
    bezel=(0.12, 0.30),
    bezel_grey=(8.0, 30.0),
    lens_blur=(0.45, 0.75),
    noise_greys=(1.5, 3.5),
    vignette=(0.04, 0.16),
    exposure_drift=(0.01, 0.03),
    sharpen=(0.1, 0.4),
    jpeg_quality=(82.0, 96.0),
    codec="each",
)

JUDGE = Style(
    name="judge",
    rooms=("brick", "window"),
    head_shape="bell",
    head_depth=(1.0, 1.25),
    nose_depth=(0.36, 0.45),
    wander="filtered",
    sway_yaw_deg=(2.0, 3.0),
    sway_hz=(0.6, 0.9),
    hand_drift=(0.03, 0.06),
    tremor=(0.002, 0.006),
    tremor_hz=(4.5, 7.0),
    tilt_deg=(8.0, 16.0),
    bend=(0.25, 0.55),
    shake=(0.08, 0.18),
    shake_hz=(2.4, 3.6),
    ink="grain",
    ink_strength=(1.5, 3.0),
    ink_pitch_px=(1.9, 3.1),
    paper_gamma=(0.85, 1.0),
    paper_black=(8.0, 22.0),
    paper_warmth=(-0.05, 0.0),
    paper_blur=(0.3, 0.7),
    paper_margin=(0.0, 0.12),
    gloss=(0.35, 0.6),
    pixel_pitch_px=(1.75, 2.9),
    moire=(1.5, 4.0),
    banding=(0.0, 0.03),
    banding_rows=(420.0, 900.0),
    screen_blue=(-0.02, 0.03),
    screen_bright=(0.7, 0.85),
    reflection=(0.07, 0.14),
    bezel=(0.03, 0.12),
    bezel_grey=(30.0, 200.0),
    lens_blur=(0.75, 1.05),
    noise_greys=(3.5, 5.5),
    vignette=(0.16, 0.3),
    exposure_drift=(0.03, 0.06),
    sharpen=(0.4, 0.7),
    jpeg_quality=(62.0, 82.0),
    codec="differences",
)

ROUGH = Style(
    name="rough",
    rooms=("hall", "office"),
    head_shape="cosine",
    head_depth=(0.9, 1.0),
    nose_depth=(0.3, 0.36),
    wander="sines",
    sway_yaw_deg=(1.3, 2.0),
    sway_hz=(0.3, 0.6),
    hand_drift=(0.015, 0.03),
    tremor=(0.0008, 0.002),
    tremor_hz=(3.0, 4.5),
    tilt_deg=(16.0, 22.0),
    bend=(0.12, 0.25),
    shake=(0.04, 0.08),
    shake_hz=(3.6, 4.5),
    ink="dots",
    ink_strength=(0.8, 1.5),
    ink_pitch_px=(3.1, 4.0),
    paper_gamma=(1.0, 1.15),
    paper_black=(3.0, 8.0),
    paper_warmth=(0.0, 0.04),
    paper_blur=(0.15, 0.3),
    paper_margin=(0.12, 0.25),
    gloss=(0.0, 0.2),
    pixel_pitch_px=(2.9, 3.6),
    moire=(0.5, 1.5),
    banding=(0.03, 0.05),
    banding_rows=(900.0, 1500.0),
    screen_blue=(-0.06, -0.02),
    screen_bright=(0.85, 1.05),
    reflection=(0.03, 0.07),
    bezel=(0.0, 0.03),
    bezel_grey=(200.0, 235.0),
    lens_blur=(1.05, 1.3),
    noise_greys=(5.5, 7.0),
    vignette=(0.0, 0.04),
    exposure_drift=(0.06, 0.09),
    sharpen=(0.7, 0.9),
    jpeg_quality=(50.0, 62.0),
    codec="each",
)


def draw(span: Range, rng: np.random.Generator) -> float:
    """One value of a range."""
    return float(rng.uniform(*span))


def shared(one: Style, other: Style) -> list[str]:
    """The fields in which two styles could draw the same: overlapping ranges, shared forms."""
    both = []
    for field in fields(Style):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, str):
            same = a == b
        elif isinstance(a[0], str):
            same = bool(set(a) & set(b))
        else:
            same = max(a[0], b[0]) < min(a[1], b[1])
        if same:
            both.append(field.name)
    return both
