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

# What only a conversion may say; a threshold put in by hand would open doors unmeasured.
_OURS = frozenset(
    (
        "format",
        "name",
        "encoder",
        "aligner",
        "cutout",
        "threshold",
        "thresholds",
        "parity",
        "training",
    )
)


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
) -> None:
    """Write encoder.tflite, aligner.tflite and manifest.json into a temp folder, then rename.

    `about` (see `read_about`) is added to the manifest as it is. The thresholds are empty until
    they are fitted (`update_manifest`), so that no door opens on an unmeasured model. Raises
    ConfigError if `out` exists.
    """
    if out.exists():
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
        made.replace(out)


def read_about(path: str | None) -> dict[str, Any]:
    """What a JSON file adds to a manifest; nothing without a file.

    Raises ConfigError if it is no JSON object, or has a key that the conversion itself writes.
    """
    if path is None:
        return {}
    about = read_json_object(Path(path))
    ours = sorted(_OURS & about.keys())
    if ours:
        raise ConfigError(
            f"the conversion itself writes {', '.join(ours)}",
            where=path,
            fix="take that out: --about is for licences, data and what else there is to tell",
        )
    return about


def read_json_object(path: Path, fix: str = "") -> dict[str, Any]:
    """A JSON file that holds an object; else ConfigError."""
    try:
        document = json.loads(path.read_text("utf-8"), parse_constant=_no_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError("not a readable JSON file", where=str(path), fix=fix) from error
    if not isinstance(document, dict):
        raise ConfigError("not a JSON object", where=str(path), fix=fix)
    return document


def move_folder(folder: Path, out: Path) -> None:
    """Copy beside the destination, then rename: the folder appears whole or not at all.

    Raises ConfigError if there is no writing there.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as beside:
            whole = Path(beside) / out.name
            shutil.copytree(folder, whole)
            whole.replace(out)
    except OSError as error:
        raise ConfigError(
            f"the model folder cannot be made ({error.strerror or error})",
            where=str(out),
            fix="name another one with --out",
        ) from error


def update_manifest(folder: Path, changes: Mapping[str, Any]) -> None:
    """Put top-level entries into a folder's manifest, atomically."""
    path = folder / MANIFEST_NAME
    manifest = json.loads(path.read_text("utf-8"))
    manifest.update(changes)
    fresh = path.with_suffix(".new")
    fresh.write_text(_json(manifest), "utf-8")
    fresh.replace(path)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
