"""Model folders for tests, made of the shipped network whatever variants it is shipped in."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from oneglance.converter.folder import update_manifest, write_model_folder
from oneglance.faces.model.manifest import read_manifest, verified_bytes
from oneglance.models import default_model_dir

ENCODER, ALIGNER = "encoder.tflite", "aligner.tflite"
_RATE = {"fmr": 1e-4, "tar": 0.97, "tar_of_reference": 0.97}
# As `oneglance model join` would have measured it.
INTERCHANGE = {
    "faces": 100,
    "cosine_mean": 0.99,
    "probes_of_this": {"1e-4": _RATE},
    "probes_of_reference": {"1e-4": _RATE},
}


@cache
def shipped_files() -> tuple[bytes, bytes]:
    """Encoder and aligner of the shipped model's default variant."""
    folder = default_model_dir()
    manifest = read_manifest(folder)
    return verified_bytes(folder, manifest.encoder), verified_bytes(folder, manifest.aligner)


def fitted() -> dict[str, Any]:
    """The thresholds of the shipped model's default variant, as JSON."""
    return read_manifest(default_model_dir()).fitted.model_dump(mode="json")


def marked(content: bytes, mark: bytes) -> bytes:
    """The same network in another file: what stands behind a FlatBuffer is not read."""
    return content + mark * 16


def write_folder(
    folder: Path, *names: str, mark: bytes = b"", template_size: int | None = None
) -> Path:
    """A model folder with these variants, all the same network with the same thresholds.

    The first is reference and default. One variant alone is float32 unless named, in
    encoder.tflite and aligner.tflite. `mark` makes the files, and so the ids, others.
    """
    variants = names or ("float32",)
    shipped = read_manifest(default_model_dir())
    encoder, aligner = shipped_files()
    write_model_folder(
        folder,
        name=shipped.name,
        encoder={
            name: marked(encoder, mark + bytes([at]) * (at > 0)) for at, name in enumerate(variants)
        },
        aligner=aligner,
        template_size=template_size or shipped.template_size,
        passes=shipped.passes,
        precision=variants[0],
        about={"licence": "MIT", "notes": {"made": "for a test"}},
    )
    for name in variants:
        update_manifest(folder, {"thresholds": fitted()}, name)
    return folder


@cache
def _one_variant() -> str:
    with tempfile.TemporaryDirectory() as scratch:
        return (write_folder(Path(scratch) / "model") / "manifest.json").read_text()


def one_variant() -> dict[str, Any]:
    """The manifest of `write_folder` with one variant, to be changed at will."""
    document: dict[str, Any] = json.loads(_one_variant())
    return document
