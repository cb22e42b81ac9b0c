"""A finished model folder: files and manifest, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oneglance.errors import ConfigError
from oneglance.faces.align import cutout
from oneglance.faces.manifest import FORMAT, MANIFEST_NAME


def write_model_folder(
    out: Path,
    *,
    name: str,
    encoder: bytes,
    aligner: bytes,
    template_size: int,
    passes: int,
    precision: str,
    about: Mapping[str, Any],
    replace: bool = False,
) -> None:
    """Write encoder.tflite, aligner.tflite and manifest.json into a temp folder, then rename.

    `about` is added to the manifest as it is. The thresholds are empty until they are fitted
    (`write_thresholds`), so that no door opens on an unmeasured model. Raises ConfigError if
    `out` exists and `replace` is false.
    """
    if out.exists() and not replace:
        raise ConfigError("the output folder exists", where=str(out), fix="name a new one")
    manifest = {
        "format": FORMAT,
        "name": name,
        "encoder": {
            "file": "encoder.tflite",
            "sha256": hashlib.sha256(encoder).hexdigest(),
            "bytes": len(encoder),
            "precision": precision,
            "template_size": template_size,
            "signatures": {
                "encode": "chips uint8 (n, 112, 112, 3) RGB -> templates float32 (n, d), length 1",
                "compare": "probes float32 (p, d), templates float32 (n, d) -> scores (p, n)",
            },
        },
        "aligner": {
            "file": "aligner.tflite",
            "sha256": hashlib.sha256(aligner).hexdigest(),
            "bytes": len(aligner),
            "precision": "float32",
            "signatures": {
                "align": "crops uint8 (n, 64, 64, 1) grey -> points float32 (n, 5, 2), 0..1"
            },
        },
        "cutout": cutout(passes),
        "thresholds": {"by_fmr": {}, "accuracy": None},
        **about,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        made = Path(scratch) / out.name
        made.mkdir()
        (made / "encoder.tflite").write_bytes(encoder)
        (made / "aligner.tflite").write_bytes(aligner)
        (made / MANIFEST_NAME).write_text(_json(manifest), "utf-8")
        if out.exists():
            shutil.move(out, Path(scratch) / "replaced")
        made.replace(out)


def update_manifest(folder: Path, changes: Mapping[str, Any]) -> None:
    """Put top-level entries into a folder's manifest, atomically."""
    path = folder / MANIFEST_NAME
    manifest = json.loads(path.read_text("utf-8"))
    manifest.update(changes)
    fresh = path.with_suffix(".new")
    fresh.write_text(_json(manifest), "utf-8")
    fresh.replace(path)


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
