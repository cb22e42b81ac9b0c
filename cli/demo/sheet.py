"""The demo's contact sheet: a row per visit, with annotated frames from first sight to decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import OneglanceError
from oneglance.faces.find.boxes import Box

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

# BGR; told apart by colour-blind eyes too (Okabe and Ito, 2008), and words say the same.
LOOKING: Colour = (233, 180, 86)
ACCEPTED: Colour = (115, 158, 0)
REJECTED: Colour = (0, 94, 213)
INK: Colour = (235, 235, 235)
PAPER: Colour = (32, 30, 28)

SHOT_WIDTH, SHOT_HEIGHT, CAPTION_PX, GAP_PX = 400, 300, 30, 10
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One annotated frame (uint8 (H, W, 3) BGR) and the line below it."""

    image: Image
    caption: str


def annotate(frame: Image, box: Box, label: str, colour: Colour) -> Image:
    """A copy of the frame with the face framed and labelled."""
    image = frame.copy()
    left, top = round(box.x), round(box.y)
    right, bottom = round(box.x + box.width), round(box.y + box.height)
    cv2.rectangle(image, (left, top), (right, bottom), colour, 2, cv2.LINE_AA)
    (width, height), _ = cv2.getTextSize(label, _FONT, 0.6, 2)
    top_of_label = max(0, top - height - 12)
    corner = (left + width + 10, top_of_label + height + 10)
    cv2.rectangle(image, (left, top_of_label), corner, colour, -1)
    start = (left + 5, top_of_label + height + 4)
    cv2.putText(image, label, start, _FONT, 0.6, (0, 0, 0), 2, cv2.LINE_AA)
    return image


def write_sheet(file: Path, rows: Sequence[Sequence[Shot]]) -> None:
    """Write all rows of shots as one picture. OneglanceError if it cannot be written."""
    columns = max((len(row) for row in rows), default=0)
    if columns == 0:
        raise OneglanceError("no visit was seen, so there is nothing to show", where=str(file))
    cell_width, cell_height = SHOT_WIDTH + GAP_PX, SHOT_HEIGHT + CAPTION_PX + GAP_PX
    size = (len(rows) * cell_height + GAP_PX, columns * cell_width + GAP_PX, 3)
    sheet = np.empty(size, np.uint8)
    sheet[:] = PAPER
    for i, row in enumerate(rows):
        for j, shot in enumerate(row):
            x, y = GAP_PX + j * cell_width, GAP_PX + i * cell_height
            sheet[y : y + SHOT_HEIGHT, x : x + SHOT_WIDTH] = _fitted(shot.image)
            start = (x + 2, y + SHOT_HEIGHT + 21)
            cv2.putText(sheet, shot.caption, start, _FONT, 0.52, INK, 1, cv2.LINE_AA)
    if not cv2.imwrite(str(file), sheet):
        raise OneglanceError("cannot write the contact sheet", where=str(file))


def _fitted(image: Image) -> Image:
    """The picture scaled to fit a shot, keeping its proportions."""
    height, width = image.shape[:2]
    scale = min(SHOT_WIDTH / width, SHOT_HEIGHT / height)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    fitted = np.empty((SHOT_HEIGHT, SHOT_WIDTH, 3), np.uint8)
    fitted[:] = PAPER
    y, x = (SHOT_HEIGHT - size[1]) // 2, (SHOT_WIDTH - size[0]) // 2
    fitted[y : y + size[1], x : x + size[0]] = small
    return fitted
