"""What one picture tells about whether a face is there in the flesh: small pretrained networks.

A weak witness. It sees paper, pixels and moire where the camera resolves them, and the edge of
what is held up; it never decides alone (docs/liveness.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from numpy.typing import NDArray

from oneglance.errors import ModelError
from oneglance.faces.find.align import CROP_SCALE, apply, crop_around, cut
from oneglance.faces.liveness.manifest import (
    LivenessDocument,
    default_folder,
    read_liveness,
)
from oneglance.faces.model.document import Signature
from oneglance.faces.model.litert import Signatures, TensorSpec
from oneglance.faces.model.manifest import FIX, ModelFile, verified_bytes

WANTED: dict[str, tuple[tuple[str, ...], str]] = {"liveness": (("crops",), "logits")}
# A crop shrinks to what the frame holds, as in the networks' own programs. Under this part of a
# box the face itself is cut off, which no network was shown.
LEAST_CROP = 1.0


class Texture:
    """The networks of one liveness model's folder. One instance may serve several threads."""

    def __init__(self, document: LivenessDocument, networks: dict[str, Signatures]) -> None:
        self.document = document
        self.cues = tuple(cue.name for cue in document.cues)
        seen = dict.fromkeys((cue.file, cue.crop_scale) for cue in document.cues)
        # Whatever comes from one pass of one network.
        self.parts = tuple(
            tuple(cue.name for cue in document.cues if (cue.file, cue.crop_scale) == one)
            for one in seen
        )
        self._networks = networks

    def witness(
        self,
        pixels: NDArray[np.uint8],
        points: NDArray[np.float64],
        part: int | None = None,
    ) -> NDArray[np.float64]:
        """How live a face looks, float64 (k,), a value for each of `cues`: natural log-odds.

        `pixels` are a BGR frame uint8 (H, W, 3), `points` the face's five points float64 (5, 2)
        in px of it; with `part`, one of `parts` alone is told, at the cost of one pass. Higher
        means more live, about -20 to 12; the odds are those of the networks' own training, not of
        this door. NaN where the frame does not hold the face.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"expected uint8 (H, W, 3), got {pixels.dtype} {pixels.shape}")
        if points.shape != (5, 2):
            raise ValueError(f"expected points (5, 2), got {points.shape}")
        wanted = [cue for cue in self.document.cues if part is None or cue.name in self.parts[part]]
        told = np.full(len(wanted), np.nan)
        for file, network in self._networks.items():
            cues = [(at, cue) for at, cue in enumerate(wanted) if cue.file == file]
            side = self.document.networks[file].side
            crops: dict[float, NDArray[np.uint8]] = {}
            for scale in {cue.crop_scale for _, cue in cues}:
                crop = _crop(pixels, points, scale, side)
                if crop is not None:
                    crops[scale] = crop
            if not crops:
                continue
            logits = network.run("liveness", crops=np.stack(list(crops.values())))
            by_scale = dict(zip(crops, logits, strict=True))
            for at, cue in cues:
                if cue.crop_scale in by_scale:
                    told[at] = log_odds(by_scale[cue.crop_scale], cue.live, cue.against)
        return told


def load_texture(
    folder: Path | None = None,
    *,
    threads: int = 1,
    public_key: Ed25519PublicKey | None = None,
) -> Texture:
    """Load a liveness model's folder (None: the shipped one) after checking each file's SHA-256.

    With `public_key`, only a folder whose manifest that key has signed. Raises ModelError, saying
    what, where and what to do, if a file is missing, was changed or has other tensors than the
    manifest says.
    """
    folder = default_folder() if folder is None else folder
    return open_texture(folder, read_liveness(folder, public_key=public_key), threads=threads)


def open_texture(folder: Path, document: LivenessDocument, *, threads: int = 1) -> Texture:
    """Load the networks that a manifest read from `folder` names. Raises as `load_texture`."""
    return Texture(
        document, {name: _open(folder, document, name, threads) for name in document.files}
    )


def log_odds(logits: NDArray[np.floating], live: int, against: Sequence[int]) -> float:
    """The natural log-odds of one of `logits` (n,) against others; it alone where there are none.

    NaN if the logits are not finite.
    """
    if not np.isfinite(logits).all():
        return math.nan
    told = float(logits[live])
    if against:
        others = np.asarray(logits, np.float64)[list(against)]
        most = float(others.max())
        told -= most + math.log(float(np.exp(others - most).sum()))
    return told


def crop_square(
    height: int, width: int, points: NDArray[np.float64], scale: float
) -> tuple[float, float, float] | None:
    """The square (left, top, side) in px around a face, `scale` boxes wide, inside the frame.

    Where the frame holds no such square it is made smaller, then moved inside; None if less than
    `LEAST_CROP` of the face's box would be seen, or its centre lies outside.
    """
    if not np.isfinite(points).all():
        return None
    around = crop_around(points)
    box = math.hypot(around[0, 0], around[1, 0]) / CROP_SCALE
    x, y = apply(around, np.array([0.5, 0.5])).tolist()
    if not (box > 0 and 0 <= x <= width and 0 <= y <= height):
        return None
    side = min(box * scale, width, height)
    left = min(max(x - side / 2, 0.0), width - side)
    top = min(max(y - side / 2, 0.0), height - side)
    half = LEAST_CROP * box / 2
    inside = (
        left <= x - half and x + half <= left + side and top <= y - half and y + half <= top + side
    )
    return (left, top, side) if inside else None


def is_whole(height: int, width: int, points: NDArray[np.float64]) -> bool:
    """Whether a frame of this size shows enough of the face with these points (5, 2) in px for its
    texture to be told: nowhere does the edge cut off part of its box.
    """
    # With room to spare, the square's own rounding decides nothing.
    return crop_square(height, width, points, 2 * LEAST_CROP) is not None


def _crop(
    pixels: NDArray[np.uint8], points: NDArray[np.float64], scale: float, size: int
) -> NDArray[np.uint8] | None:
    height, width, _ = pixels.shape
    square = crop_square(height, width, points, scale)
    if square is None:
        return None
    left, top, side = square
    return cut(pixels, np.array([[side, 0.0, left], [0.0, side, top]]), size)


def _open(folder: Path, document: LivenessDocument, name: str, threads: int) -> Signatures:
    described, facts = document.files[name], document.networks[name]
    content = verified_bytes(folder, ModelFile(name, described.sha256))
    opened = Signatures(folder / name, WANTED, threads=threads, content=content)
    wanted = (
        [TensorSpec("crops", (-1, facts.side, facts.side, 3), "uint8")],
        [TensorSpec("logits", (-1, facts.outputs), "float32")],
    )
    found = opened.tensors()["liveness"]
    told = described.signatures.get("liveness")
    if found != wanted or (told is not None and _spoken(told) != found):
        raise ModelError(
            "signature liveness has other tensors than the manifest says",
            where=str(folder / name),
            fix=FIX,
        )
    return opened


def _spoken(signature: Signature) -> tuple[list[TensorSpec], list[TensorSpec]]:
    inputs, outputs = (
        [TensorSpec(t.name, t.shape, t.dtype) for t in tensors]
        for tensors in (signature.inputs, signature.outputs)
    )
    return inputs, outputs
