"""Drawn characters and the network that tells them apart: Omniglot-size work without TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ImageError, ModelError
from oneglance.faces.model.litert import Signatures
from oneglance.faces.model.manifest import (
    MANIFEST_NAME,
    ModelFile,
    read_json_manifest,
    verified_bytes,
)
from oneglance.models import model_dir

DRAWING_SIZE = 105
DRAWING_MODEL = "compact-omniglot-1"
FORMAT = "drawings-1"
SIGNATURES: dict[str, tuple[tuple[str, ...], str]] = {
    "encode": (("drawings",), "templates"),
    "compare": (("probes", "templates"), "scores"),
}
_FIX = "install the model again, or convert it anew"
_ENCODE_BATCH = 100


@dataclass(frozen=True, slots=True)
class DrawingManifest:
    """What a drawing model's folder says: its name, its one file, the threshold of its scores.

    `threshold` is the score at or above which two drawings are taken for one character; it was
    fitted on the validation alphabets. `raw` is the whole document, figures included.
    """

    name: str
    encoder: ModelFile
    template_size: int
    threshold: float
    raw: Mapping[str, Any]


class DrawingModel:
    """Siamese network for drawings: encoder and head of one model folder."""

    def __init__(self, manifest: DrawingManifest, signatures: Signatures) -> None:
        self.manifest = manifest
        self.template_size = manifest.template_size
        self.model_id = f"{manifest.name}:{manifest.encoder.sha256[:12]}"
        self._signatures = signatures

    def encode(self, drawings: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Templates float32 (n, d) of drawings uint8 (n, 105, 105), dark ink on light paper."""
        if drawings.dtype != np.uint8 or drawings.shape[1:] != (DRAWING_SIZE, DRAWING_SIZE):
            raise ValueError(f"expected uint8 (n, 105, 105), got {drawings.shape}")
        parts = [
            self._signatures.run("encode", drawings=drawings[at : at + _ENCODE_BATCH, ..., None])
            for at in range(0, len(drawings), _ENCODE_BATCH)
        ]
        return np.concatenate([np.empty((0, self.template_size), np.float32), *parts])

    def compare(
        self, probes: NDArray[np.float32], templates: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Scores float32 (p, n), higher = more alike, of probes (p, d) with templates (n, d)."""
        if not len(probes) or not len(templates):
            return np.empty((len(probes), len(templates)), np.float32)
        return self._signatures.run("compare", probes=probes, templates=templates)


def load_drawing_model(folder: Path | None = None, *, threads: int = 1) -> DrawingModel:
    """Load a drawing model's folder (None: the shipped one) after checking its file's SHA-256.

    Raises ModelError if something is missing, was changed, or is a model of another kind.
    """
    folder = model_dir(DRAWING_MODEL) if folder is None else folder
    manifest = read_drawing_manifest(folder)
    path = folder / manifest.encoder.name
    content = verified_bytes(folder, manifest.encoder)
    signatures = Signatures(path, SIGNATURES, threads=threads, content=content)
    for details, shape, dtype in (
        (signatures.input_details("encode")["drawings"], (DRAWING_SIZE,) * 2 + (1,), np.uint8),
        (signatures.output_details("encode"), (manifest.template_size,), np.float32),
    ):
        found = tuple(int(size) for size in details["shape_signature"])
        if found != (-1, *shape) or details["dtype"] != dtype:
            raise ModelError(
                f"tensor {details['name']} is {np.dtype(details['dtype'])} {found}, "
                f"expected {np.dtype(dtype)} {(-1, *shape)}",
                where=str(path),
                fix=_FIX,
            )
    return DrawingModel(manifest, signatures)


def read_drawing_manifest(folder: Path) -> DrawingManifest:
    """Read and check `folder`/manifest.json; ModelError says what is wrong with it."""
    path = folder / MANIFEST_NAME
    document = read_json_manifest(path)
    if document.get("format") != FORMAT:
        raise ModelError(
            "not a model of drawings",
            where=str(path),
            fix=f"name a folder made from `oneglance train omniglot-compact`, e.g. {DRAWING_MODEL}",
        )
    try:
        return _parse(document)
    except (KeyError, TypeError, ValueError) as error:
        wrong = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f"the model manifest is not of the known shape ({wrong})", where=str(path), fix=_FIX
        ) from error


def drawing_manifest(
    name: str,
    encoder: bytes,
    template_size: int,
    precision: str,
    threshold: float,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The manifest of a drawing model; `about` is added as it is."""
    return {
        "format": FORMAT,
        "name": name,
        "encoder": {
            "file": "encoder.tflite",
            "sha256": hashlib.sha256(encoder).hexdigest(),
            "bytes": len(encoder),
            "precision": precision,
            "template_size": template_size,
            "signatures": {
                "encode": "drawings uint8 (n, 105, 105, 1), dark on light -> templates (n, d)",
                "compare": "probes float32 (p, d), templates float32 (n, d) -> scores (p, n)",
            },
        },
        "threshold": threshold,
        **about,
    }


def read_drawing(data: bytes, where: str) -> NDArray[np.uint8]:
    """A drawing uint8 (105, 105) from the bytes of a picture file; ImageError if it is not one."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise ImageError("not a readable picture", where=where, fix="restore the file")
    if pixels.shape != (DRAWING_SIZE, DRAWING_SIZE):
        height, width = pixels.shape
        raise ImageError(
            f"the drawing is {width}x{height}, expected {DRAWING_SIZE}x{DRAWING_SIZE}",
            where=where,
            fix="use the original Omniglot pictures",
        )
    return np.asarray(pixels, np.uint8)


def _parse(document: dict[str, Any]) -> DrawingManifest:
    encoder = document["encoder"]
    size, threshold = encoder["template_size"], document["threshold"]
    if type(size) is not int or size < 1:
        raise ValueError(f"template_size is {size!r}, expected a positive whole number")
    if type(threshold) is not float or not np.isfinite(threshold):
        raise ValueError(f"threshold is {threshold!r}, expected a finite number")
    names = [document["name"], encoder["file"], encoder["sha256"]]
    if not all(isinstance(text, str) and text for text in names):
        raise ValueError("a name, file or sha256 is no text")
    if Path(encoder["file"]).name != encoder["file"] or "\0" in encoder["file"]:
        raise ValueError(f"{encoder['file']!r} is not a plain file name")
    file = ModelFile(encoder["file"], encoder["sha256"])
    return DrawingManifest(document["name"], file, size, threshold, document)
