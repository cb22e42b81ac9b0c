"""Is it a living face? Texture of single pictures and motion over many, weighed together.

One `Liveness` serves all faces; what is remembered of each is in its `Trace`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from numpy.typing import NDArray

from oneglance.errors import ModelError
from oneglance.faces.liveness import motion
from oneglance.faces.liveness.fusion import Fusion, Judgement, Verdict, read_fusion
from oneglance.faces.liveness.manifest import default_folder, read_liveness
from oneglance.faces.liveness.texture import open_texture
from oneglance.faces.liveness.trace import Trace
from oneglance.faces.model.folder import write_signed
from oneglance.faces.model.manifest import FIX, MANIFEST_NAME, read_json_manifest

# What was looked at longer ago says nothing about who stands there now.
STALE_S = 1.0
BUMPS_OF_NOTHING = 2
# Of a cue by which a face is held back only the newest value counts: who has moved since is free.
LATEST = frozenset({"still"})
# The last look, or the one before it, measured some texture.
MOST_BETWEEN = 2


class Witness(Protocol):
    """Measures cues in one picture; `parts` lists those that are measured together."""

    parts: tuple[tuple[str, ...], ...]

    def witness(
        self, pixels: NDArray[np.uint8], points: NDArray[np.float64], part: int
    ) -> NDArray[np.float64]:
        """The values of one of `parts`, float64 (k,), for a BGR frame and the face's points (5, 2)
        in px of it.
        """


class Liveness:
    """A witness of single pictures, and the weights by which cues are put together."""

    def __init__(self, texture: Witness, fusion: Fusion) -> None:
        self.texture = texture
        self.fusion = fusion

    def look(
        self,
        trace: Trace,
        pixels: NDArray[np.uint8],
        points: NDArray[np.floating],
        at_s: float,
    ) -> None:
        """Measure every cue at a frame that `trace` has just seen, uint8 (H, W, 3) BGR.

        `points` (5, 2) are the face's in px; what was measured is kept in the trace.
        """
        trace.look(measured(self.texture, trace, pixels, points), at_s)

    def judge(self, trace: Trace, at_s: float) -> Judgement:
        """What the looks of a trace amount to at `at_s`.

        Changes nothing. Without a current look there is nothing to judge: undecided.
        """
        if not trace.looks or not 0 <= at_s - trace.looked_at_s <= STALE_S:
            return Judgement(self.fusion.document.bias, Verdict.UNDECIDED, {})
        return self.fusion.weigh(gathered(trace.looks))

    def could_pass(self, trace: Trace) -> bool:
        """Whether the looks of a trace measured everything without which no face passes."""
        return self.fusion.enough(gathered(trace.looks))


def measured(
    texture: Witness, trace: Trace, pixels: NDArray[np.uint8], points: NDArray[np.floating]
) -> dict[str, float]:
    """The cues of one look, by name: motion's, and a part of texture's at every other look.

    Pictures that follow each other look the same: to see half of them, each in one way, costs less.
    """
    cues = motion.measure(trace.glances)
    told = [
        number
        for look in trace.looks[-MOST_BETWEEN:]
        for number, names in enumerate(texture.parts)
        if look.keys() >= {*names}
    ]
    if not trace.looks or not any(trace.looks[-1].keys() >= {*names} for names in texture.parts):
        part = (told[-1] + 1) % len(texture.parts) if told else 0
        values = texture.witness(pixels, np.asarray(points, np.float64), part)
        cues |= zip(texture.parts[part], values.tolist(), strict=True)
    return cues


def gathered(looks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """One value of each cue: its mean over the looks that measured it, NaN where none did; of
    those in `LATEST`, what the last of these measured.

    A nose that was seen to move once or twice may be noise: `bump` is drawn to 0, what a sheet
    shows, as by `BUMPS_OF_NOTHING` looks more.
    """
    values: dict[str, list[float]] = {}
    for cues in looks:
        for name, value in cues.items():
            values.setdefault(name, [])
            if math.isfinite(value):
                values[name].append(value)
    return {name: _gathered(name, known) for name, known in values.items()}


def _gathered(name: str, known: Sequence[float]) -> float:
    if not known:
        return math.nan
    if name in LATEST:
        return known[-1]
    return math.fsum(known) / (len(known) + (BUMPS_OF_NOTHING if name == "bump" else 0))


def load_liveness(
    folder: Path | None = None,
    *,
    threads: int = 1,
    public_key: Ed25519PublicKey | None = None,
) -> Liveness:
    """Load a liveness model's folder (None: the shipped one) after checking each file's SHA-256.

    With `public_key`, only a folder whose manifest that key has signed. Raises ModelError, one
    line, for what is missing, was changed, or is not of the known shape.
    """
    folder = default_folder() if folder is None else folder
    document = read_liveness(folder, public_key=public_key)
    where = str(folder / MANIFEST_NAME)
    fusion = read_fusion(document.fusion, where)
    texture = open_texture(folder, document, threads=threads)
    unknown = fusion.cues - {*motion.CUES, *texture.cues}
    if unknown:
        raise ModelError(
            f"the fusion weighs {', '.join(sorted(unknown))}, which nothing measures",
            where=where,
            fix=FIX,
        )
    return Liveness(texture, fusion)


def sign_liveness(folder: Path, key: Ed25519PrivateKey) -> None:
    """Sign a liveness model's manifest, and with it the hash of every file that it names.

    Raises ModelError for what no door would load: nothing is signed then.
    """
    load_liveness(folder)
    write_signed(folder, read_json_manifest(folder / MANIFEST_NAME), key)
