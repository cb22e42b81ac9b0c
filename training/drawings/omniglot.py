"""Omniglot's background alphabets: drawings, splits, distortions, and validation trials.

Lake, Salakhutdinov, Tenenbaum, Science 350, 2015: 50 alphabets, each character drawn once by each
of 20 people. `images_background` (30 alphabets) is for training; nothing here reads the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError
from oneglance.faces.drawings.drawing_model import DRAWING_SIZE, read_drawing
from oneglance.faces.drawings.one_shot_trials import Run
from oneglance.faces.pictures import Pictures
from oneglance.training.engine.progress import Stage
from oneglance.training.recipes.drawing_recipes import DistortionSection, OmniglotRecipe

_BACKGROUND = re.compile(r"(?:.*/)?images_background/([^/]+)/character(\d+)/[^/]+_(\d+)\.png")
PAPER = 255
# Characters of a one-shot run, as Lake's.
WAYS = 20
_MIDDLE = (DRAWING_SIZE - 1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Drawings:
    """Drawings uint8 (n, 105, 105) and, int (n,) each: alphabet, character, drawer.

    `alphabets` numbers `names`; `characters` are numbered over all alphabets.
    """

    images: NDArray[np.uint8]
    alphabets: NDArray[np.int64]
    characters: NDArray[np.int64]
    drawers: NDArray[np.int64]
    names: tuple[str, ...]

    def rows(self, keep: NDArray[np.bool_]) -> Drawings:
        """Some of the drawings."""
        return Drawings(
            self.images[keep],
            self.alphabets[keep],
            self.characters[keep],
            self.drawers[keep],
            self.names,
        )

    def of_alphabets(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which drawings (n,) are of these alphabets; ConfigError for an unknown one."""
        for name in names:
            if name not in self.names:
                raise ConfigError(
                    f"there is no alphabet {name!r}", fix=f"choose from {', '.join(self.names)}"
                )
        return np.isin(self.alphabets, [self.names.index(name) for name in names])


def learn_and_check(
    recipe: OmniglotRecipe, data_dir: Path, stage: Stage
) -> tuple[Drawings, Drawings]:
    """The drawings of the training alphabets, and those of the validation alphabets.

    Raises ConfigError or ImageError for data that does not fit the recipe.
    """
    drawings = read_background(data_dir / recipe.drawings, stage)
    held_out = drawings.of_alphabets(recipe.validation_alphabets)
    learn, check = drawings.rows(~held_out), drawings.rows(held_out)
    if not len(learn.characters):
        raise ConfigError("no alphabet is left to train on", where="validation_alphabets")
    return learn, check


def read_background(source: Path, stage: Stage) -> Drawings:
    """The drawings of the 30 background alphabets, from omniglot.zip or the unpacked folder.

    Raises ConfigError if there are none, ImageError for an unreadable picture.
    """
    files = Pictures(source)
    try:
        found = [(m, name) for name in files.names if (m := _BACKGROUND.fullmatch(name))]
        if not found:
            raise ConfigError(
                "no images_background in it", where=str(source), fix="name the whole omniglot.zip"
            )
        images = np.empty((len(found), DRAWING_SIZE, DRAWING_SIZE), np.uint8)
        with stage("reading drawings", len(found)) as advance:
            for row, (_, name) in enumerate(found):
                images[row] = read_drawing(files.read(name), f"{source}:{name}")
                advance("")
    finally:
        files.close()
    names, alphabets = np.unique([m[1] for m, _ in found], return_inverse=True)
    _, characters = np.unique([f"{m[1]}/{m[2]}" for m, _ in found], return_inverse=True)
    drawers = np.array([int(m[3]) for m, _ in found], np.int64)
    return Drawings(images, alphabets, characters, drawers, tuple(str(n) for n in names))


def draw_runs(drawings: Drawings, runs: int, ways: int, seed: int) -> list[Run]:
    """One-shot runs as Lake's: an alphabet, up to `ways` characters, two drawers.

    Alphabets take turns; each character of the run is a probe once.
    """
    generator = np.random.default_rng(seed)
    alphabets = np.unique(drawings.alphabets)
    made = []
    for number in range(runs):
        alphabet = alphabets[number % len(alphabets)]
        rows = np.flatnonzero(drawings.alphabets == alphabet)
        known = np.unique(drawings.characters[rows])
        chosen = generator.permutation(known)[:ways]
        first, second = generator.choice(np.unique(drawings.drawers[rows]), 2, replace=False)
        place = {
            (drawings.characters[row], drawings.drawers[row]): row
            for row in rows
            if drawings.drawers[row] in (first, second)
        }
        probes = drawings.images[[place[character, first] for character in chosen]]
        gallery = drawings.images[[place[character, second] for character in chosen]]
        made.append(Run(str(drawings.names[alphabet]), probes, gallery, np.arange(len(chosen))))
    return made


def distort(
    drawing: NDArray[np.uint8], by: DistortionSection, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """A drawing (105, 105) turned, sheared, scaled and shifted about its middle."""
    turned, sheared, scaled, shifted = generator.random(4) < by.chance
    angle = np.deg2rad(generator.uniform(-by.turn_deg, by.turn_deg)) * turned
    slant = generator.uniform(-by.shear, by.shear, 2) * sheared
    size = np.where(scaled, generator.uniform(by.scale_low, by.scale_high, 2), 1.0)
    shift = generator.uniform(-by.shift_px, by.shift_px, 2) * shifted
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.array([[cosine, -sine], [sine, cosine]]) @ np.array(
        [[size[0], slant[0]], [slant[1], size[1]]]
    )
    middle = np.array([_MIDDLE, _MIDDLE])
    whole = np.column_stack([matrix, middle - matrix @ middle + shift])
    return np.asarray(
        cv2.warpAffine(drawing, whole, drawing.shape[::-1], borderValue=PAPER), np.uint8
    )
