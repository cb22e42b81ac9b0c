"""Where the errors are: rates by tilt, size, brightness and sharpness. Pure.

A pair lies in the slice of its worse picture: the more tilted, smaller, darker or less sharp one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.evaluation.metrics import Share, matching
from oneglance.faces.evaluation.paired import PairedPictures

Values = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Trait:
    """Something measured of a face or a picture, and where its slices end (rising).

    A slice reaches from one edge up to, not including, the next; the first and the last are open.
    `larger_is_worse` says which of two pictures puts a pair into its slice.
    """

    name: str
    title: str
    edges: tuple[float, ...]
    larger_is_worse: bool = False


# Of a face, from its five points and its chip.
FACE_TRAITS = (
    Trait("tilt_deg", "tilt of the head, degrees to either side", (5, 10, 20, 30), True),
    Trait("eyes_px", "distance between the eyes, px", (20, 30, 40, 50, 70, 100)),
    Trait("brightness", "mean grey level of the chip, 0 to 255", (50, 80, 110, 140, 170)),
    Trait("sharpness", "variance of the chip's Laplacian", (50, 100, 200, 400, 800)),
)
# Of a whole picture, which has them also where no face was found.
PICTURE_TRAITS = (
    Trait("shorter_side_px", "shorter side of the picture, px", (80, 160, 320, 640)),
    Trait("brightness", "mean grey level of the picture, 0 to 255", (30, 60, 90, 120, 150)),
    Trait("sharpness", "variance of the picture's Laplacian at 256 px", (50, 100, 200, 400, 800)),
)


def pair_slices(
    genuine: Values,
    impostor: Values,
    paired: PairedPictures,
    traits: Mapping[str, Values],
    threshold: float,
) -> dict[str, list[dict[str, Any]]]:
    """By trait, the slices that hold a pair: counts, and FNMR and FMR at `threshold`.

    `genuine` (g,) and `impostor` (i,) are scores, `traits` holds each of `FACE_TRAITS` (n,) by
    name, for the n pictures of `paired`. Keys ending in `_95` hold Wilson's interval for
    independent pairs; a rate without a pair is None.
    """
    slices = {}
    for trait in FACE_TRAITS:
        values = traits[trait.name]
        of_genuine = _place(trait, _worse(trait, values, paired.genuine))
        of_impostor = _place(trait, _worse(trait, values, paired.impostor))
        rows = []
        for place, ends in enumerate(_ends(trait)):
            inside = genuine[of_genuine == place]
            missed = Share(len(inside) - matching(inside, threshold).successes, len(inside))
            false = matching(impostor[of_impostor == place], threshold)
            if missed.trials or false.trials:
                counts = {"genuine_pairs": missed.trials, "impostor_pairs": false.trials}
                rows.append(ends | counts | _rate("fnmr", missed) | _rate("fmr", false))
        slices[trait.name] = rows
    return slices


def picture_slices(
    traits: Mapping[str, Values], acquired: NDArray[np.bool_]
) -> dict[str, list[dict[str, Any]]]:
    """By trait, the slices that hold a picture: how many, and how many had no face acquired.

    `traits` holds each of `PICTURE_TRAITS` (n,) by name; `acquired` (n,).
    """
    slices = {}
    for trait in PICTURE_TRAITS:
        places = _place(trait, traits[trait.name])
        rows = []
        for place, ends in enumerate(_ends(trait)):
            inside = places == place
            failed = Share(int((inside & ~acquired).sum()), int(inside.sum()))
            if failed.trials:
                counts = {"pictures": failed.trials, "not_acquired": failed.successes}
                rows.append(ends | counts | _rate("failure_to_acquire", failed))
        slices[trait.name] = rows
    return slices


def _worse(trait: Trait, values: Values, pairs: NDArray[np.int32]) -> Values:
    a, b = values[pairs[:, 0]], values[pairs[:, 1]]
    return np.maximum(a, b) if trait.larger_is_worse else np.minimum(a, b)


def _place(trait: Trait, values: Values) -> NDArray[np.intp]:
    return np.asarray(np.searchsorted(trait.edges, values, side="right"))


def _ends(trait: Trait) -> Sequence[dict[str, Any]]:
    edges = (None, *trait.edges, None)
    return [{"from": low, "below": high} for low, high in pairwise(edges)]


def _rate(name: str, share: Share) -> dict[str, Any]:
    return {name: share.rate, f"{name}_95": None if share.rate is None else share.interval}
