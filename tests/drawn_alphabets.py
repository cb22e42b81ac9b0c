"""Made-up alphabets in the layout of Omniglot: random strokes, each drawn by several hands."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 105


def corners_of(seed: tuple[int, ...]) -> NDArray[np.float64]:
    """The corners (strokes, 4, 2) of a character, in px."""
    return np.random.default_rng(seed).uniform(22, SIZE - 22, (3, 4, 2))


def drawn(corners: NDArray[np.float64], hand: tuple[int, ...]) -> NDArray[np.uint8]:
    """A character (105, 105), dark on light, in one person's hand: moved and shaky."""
    generator = np.random.default_rng(hand)
    shaky = corners + generator.normal(0, 2, corners.shape) + generator.uniform(-8, 8, 2)
    picture = np.full((SIZE, SIZE), 255, np.uint8)
    for stroke in shaky:
        cv2.polylines(picture, [stroke.astype(np.int32)[:, None]], False, 0, 2)
    return picture


def png(picture: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def write_omniglot(
    path: Path, *, background: int = 3, evaluation: int = 2, characters: int = 6, drawers: int = 4
) -> Path:
    """A zip like omniglot.zip: so many alphabets in each part."""
    with zipfile.ZipFile(path, "w") as file:
        for part, count in (("images_background", background), ("images_evaluation", evaluation)):
            for alphabet in range(count):
                for character in range(characters):
                    corners = corners_of((len(part), alphabet, character))
                    folder = f"{part}/Script_{alphabet}/character{character + 1:02d}"
                    for drawer in range(1, drawers + 1):
                        picture = drawn(corners, (alphabet, character, drawer))
                        file.writestr(f"{folder}/{character:04d}_{drawer:02d}.png", png(picture))
    return path


def write_runs(path: Path, *, runs: int = 2, ways: int = 5, below: str = "") -> Path:
    """A zip like omniglot_all_runs.zip; the probe of class k is item (ways - k)."""
    with zipfile.ZipFile(path, "w") as file:
        for run in range(1, runs + 1):
            labels = []
            for way in range(1, ways + 1):
                corners = corners_of((99, run, way))
                item = f"run{run:02d}/test/item{ways + 1 - way:02d}.png"
                known = f"run{run:02d}/training/class{way:02d}.png"
                file.writestr(below + item, png(drawn(corners, (run, way, 1))))
                file.writestr(below + known, png(drawn(corners, (run, way, 2))))
                labels.append(f"{item} {known}\n")
            file.writestr(f"{below}run{run:02d}/class_labels.txt", "".join(labels))
    return path
