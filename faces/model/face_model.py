"""The shipped model, ready to use: cut out, encode, compare, thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from numpy.typing import NDArray

from oneglance.errors import ModelError
from oneglance.faces.find import align
from oneglance.faces.find.boxes import Box
from oneglance.faces.model.document import Signature
from oneglance.faces.model.litert import Signatures, TensorSpec
from oneglance.faces.model.manifest import FIX, Manifest, ModelFile, read_manifest, verified_bytes
from oneglance.models import default_model_dir

Wanted = dict[str, tuple[tuple[str, ...], str]]
ENCODER_SIGNATURES: Wanted = {
    "encode": (("chips",), "templates"),
    "compare": (("probes", "templates"), "scores"),
}
ALIGNER_SIGNATURES: Wanted = {"align": (("crops",), "points")}
# |a - b| for every pair is held at once inside `compare`: so few stay in the processor's cache,
# which is several times as fast as going through memory.
_PAIRS_PER_CALL = 1_024


class FaceModel:
    """Encoder, head and aligner of one model folder. One instance may serve several threads."""

    def __init__(self, manifest: Manifest, encoder: Signatures, aligner: Signatures) -> None:
        self.manifest = manifest
        self.model_id = manifest.model_id
        self.variant = manifest.variant
        self.template_size = manifest.template_size
        self._encoder = encoder
        self._aligner = aligner

    @property
    def networks(self) -> tuple[Signatures, Signatures]:
        """Encoder (with the head) and aligner, for another view on the same model."""
        return self._encoder, self._aligner

    def locate(self, image_bgr: NDArray[np.uint8], boxes: Sequence[Box]) -> align.Located:
        """The five points of each box of a BGR frame, and how doubtful each is as a face."""
        return align.locate(image_bgr, boxes, self._find_points, self.manifest.passes)

    def relocate(
        self, image_bgr: NDArray[np.uint8], points: Sequence[NDArray[np.float64]]
    ) -> align.Located:
        """The same for faces whose five points (5, 2) in px were here, or nearly, a frame ago."""
        crops = [align.crop_around(face) for face in points]
        return align.locate_in(image_bgr, crops, self._find_points, self.manifest.passes)

    def points(self, image_bgr: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.float64]:
        """Five points (n, 5, 2) in px of the frame: eyes, nose, corners of the mouth."""
        return self.locate(image_bgr, boxes).points

    def faces_among(self, image_bgr: NDArray[np.uint8], boxes: Sequence[Box]) -> list[Box]:
        """The boxes that do hold a face: those that the aligner does not doubt."""
        doubts = self.locate(image_bgr, boxes).doubts
        return [box for box, d in zip(boxes, doubts, strict=True) if d <= align.MAX_DOUBT]

    def chips(self, image_bgr: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.uint8]:
        """Upright RGB chips uint8 (n, 112, 112, 3) of the boxes in a BGR frame (H, W, 3)."""
        located = self.locate(image_bgr, boxes)
        chips = [align.chip_from_points(image_bgr, face) for face in located.points]
        size = align.CHIP_SIZE
        return np.stack(chips) if chips else np.empty((0, size, size, 3), np.uint8)

    def encode(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Templates float32 (n, d) of length 1 for RGB chips uint8 (n, 112, 112, 3), one call."""
        size = align.CHIP_SIZE
        if chips.dtype != np.uint8 or chips.shape[1:] != (size, size, 3):
            raise ValueError(f"expected uint8 (n, {size}, {size}, 3), got {chips.shape}")
        if not len(chips):
            return np.empty((0, self.template_size), np.float32)
        templates = self._encoder.run("encode", chips=chips)
        # A quantized graph's own normalisation is off by some percent.
        lengths = np.linalg.norm(templates, axis=1, keepdims=True)
        return np.asarray(templates / np.maximum(lengths, 1e-12), np.float32)

    def compare(
        self, probes: NDArray[np.float32], templates: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Scores float32 (p, n), higher = more alike, of probes (p, d) with templates (n, d).

        A score is the logit b - sum_j w_j |probe_j - template_j| of the Siamese head.
        """
        probes, templates = self._templates(probes), self._templates(templates)
        scores = np.empty((len(probes), len(templates)), np.float32)
        if not len(probes):
            return scores
        step = max(1, _PAIRS_PER_CALL // len(probes))
        for start in range(0, len(templates), step):
            part = templates[start : start + step]
            scores[:, start : start + step] = self._encoder.run(
                "compare", probes=probes, templates=part
            )
        return scores

    def threshold(self, fmr: str | float) -> float:
        """The score at or above which two templates match, at this false match rate.

        Only rates the manifest has are known: "1e-3" and 0.001 mean the same. ModelError else.
        """
        for written, threshold in self.manifest.thresholds.items():
            if float(written) == _rate(fmr):
                return threshold
        raise ModelError(
            f"no threshold was fitted for a false match rate of {fmr}",
            where=self.model_id,
            fix=f"choose one of {', '.join(self.manifest.thresholds)}",
        )

    def _find_points(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._aligner.run("align", crops=crops)

    def _templates(self, templates: NDArray[np.float32]) -> NDArray[np.float32]:
        if templates.ndim != 2 or templates.shape[1] != self.template_size:
            raise ValueError(f"expected (n, {self.template_size}), got {templates.shape}")
        return np.ascontiguousarray(templates, np.float32)


def load_model(
    folder: Path | None = None,
    *,
    threads: int = 1,
    variant: str | None = None,
    public_key: Ed25519PublicKey | None = None,
) -> FaceModel:
    """Load a model folder (None: the shipped one) after checking each file's SHA-256.

    `variant` is the one to load, the manifest's default unless given; with `public_key`, only a
    folder whose manifest that key has signed. Raises ModelError, with what, where and what to
    do, if a file is missing, was changed or offers other tensors than the manifest says.
    """
    folder = default_model_dir() if folder is None else folder
    manifest = read_manifest(folder, variant, public_key=public_key)
    return open_model(folder, manifest, threads=threads)


def open_model(folder: Path, manifest: Manifest, *, threads: int = 1) -> FaceModel:
    """Load the variant that a manifest read from `folder` speaks of. Raises as `load_model`."""
    where = str(folder)
    encoder = _open(folder, manifest, manifest.encoder, ENCODER_SIGNATURES, threads)
    aligner = _open(folder, manifest, manifest.aligner, ALIGNER_SIGNATURES, threads)
    chip, crop, d = align.CHIP_SIZE, align.CROP_SIZE, manifest.template_size
    _check(encoder.input_details("encode")["chips"], (chip, chip, 3), np.uint8, where)
    _check(encoder.output_details("encode"), (d,), np.float32, where)
    _check(encoder.input_details("compare")["probes"], (d,), np.float32, where)
    _check(encoder.input_details("compare")["templates"], (d,), np.float32, where)
    _check(aligner.input_details("align")["crops"], (crop, crop, 1), np.uint8, where)
    _check(aligner.output_details("align"), (5, 2), np.float32, where)
    if dict(manifest.cutout) != align.cutout(manifest.passes):
        raise ModelError(
            "the model was made for another cut-out of the face",
            where=where,
            fix="use the oneglance version it was made with, or convert it anew",
        )
    return FaceModel(manifest, encoder, aligner)


def _open(
    folder: Path, manifest: Manifest, file: ModelFile, wanted: Wanted, threads: int
) -> Signatures:
    content = verified_bytes(folder, file)
    opened = Signatures(folder / file.name, wanted, threads=threads, content=content)
    told = manifest.document.files[file.name].signatures
    for name, tensors in opened.tensors().items():
        if name in told and _spoken(told[name]) != tensors:
            raise ModelError(
                f"signature {name} has other tensors than the manifest says",
                where=str(folder / file.name),
                fix=FIX,
            )
    return opened


def _spoken(signature: Signature) -> tuple[list[TensorSpec], list[TensorSpec]]:
    inputs, outputs = (
        sorted((TensorSpec(t.name, t.shape, t.dtype) for t in tensors), key=lambda t: t.name)
        for tensors in (signature.inputs, signature.outputs)
    )
    return inputs, outputs


def _check(detail: dict[str, Any], shape: tuple[int, ...], dtype: type, where: str) -> None:
    found = tuple(int(size) for size in detail["shape_signature"])
    if found != (-1, *shape) or detail["dtype"] != dtype:
        raise ModelError(
            f"tensor {detail['name']} is {np.dtype(detail['dtype'])} {found}, "
            f"expected {np.dtype(dtype)} {(-1, *shape)}",
            where=where,
            fix=FIX,
        )


def _rate(fmr: str | float) -> float:
    try:
        return float(fmr)
    except ValueError:
        return float("nan")
