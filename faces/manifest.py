"""What a model folder says about itself: manifest.json, read strictly."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneglance.errors import ModelError

FORMAT = 1
MANIFEST_NAME = "manifest.json"
_MOST_PASSES = 3
_MOST_VALUES = 65_536
_FIX = "install the model again, or convert it anew"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of the model folder and the SHA-256 (hex) it must have."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of one model.

    `thresholds` maps a false match rate as written ("1e-3") to the score at or above which two
    templates match; `accuracy_threshold` is the score with the fewest errors on the fitting
    pairs, None where nothing was fitted. `cutout` names the geometry of the chip (crop scale,
    passes of the aligner). `raw` is the whole document, figures and licences included.
    """

    name: str
    encoder: ModelFile
    aligner: ModelFile
    template_size: int
    passes: int
    cutout: Mapping[str, Any]
    thresholds: Mapping[str, float]
    accuracy_threshold: float | None
    raw: Mapping[str, Any]

    @property
    def model_id(self) -> str:
        """Changes whenever templates of the old and the new model must not be mixed."""
        parts = [self.encoder.sha256, self.aligner.sha256, json.dumps(self.cutout, sort_keys=True)]
        return f"{self.name}:{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:12]}"


def read_manifest(folder: Path) -> Manifest:
    """Read and check `folder`/manifest.json; ModelError says what is wrong with it."""
    path = folder / MANIFEST_NAME
    try:
        document = json.loads(path.read_text("utf-8"), parse_constant=_no_constant)
    except FileNotFoundError as error:
        raise ModelError("the model manifest is missing", where=str(path), fix=_FIX) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            "the model manifest is unreadable or not JSON", where=str(path), fix=_FIX
        ) from error
    try:
        return _parse(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        wrong = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f"the model manifest is not of the known shape ({wrong})", where=str(path), fix=_FIX
        ) from error


def verified_file(folder: Path, file: ModelFile) -> Path:
    """The path of a model file whose bytes are those the manifest names; else ModelError."""
    path = folder / file.name
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError("the model file is missing", where=str(path), fix=_FIX) from error
    if digest != file.sha256:
        raise ModelError(
            f"the model file was changed or damaged: its SHA-256 is {digest[:12]}..., "
            f"the manifest says {file.sha256[:12]}...",
            where=str(path),
            fix=_FIX,
        )
    return path


def _parse(document: Any) -> Manifest:
    if type(document["format"]) is not int or document["format"] != FORMAT:
        raise ValueError(f"format is {document['format']!r}, this version reads {FORMAT}")
    cutout = document["cutout"]
    thresholds = {fmr: row["threshold"] for fmr, row in document["thresholds"]["by_fmr"].items()}
    best = document["thresholds"]["accuracy"]
    accuracy_threshold = None if best is None else best["threshold"]
    for value in (*thresholds.values(), 0.0 if best is None else accuracy_threshold):
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError(f"a threshold is {value!r}, expected a finite number")
    for fmr in thresholds:
        if not 0 < float(fmr) < 1:
            raise ValueError(f"a false match rate is {fmr!r}, expected a number between 0 and 1")
    passes, template_size = cutout["passes"], document["encoder"]["template_size"]
    for name, count, most in (
        ("passes", passes, _MOST_PASSES),
        ("template_size", template_size, _MOST_VALUES),
    ):
        if type(count) is not int or not 1 <= count <= most:
            raise ValueError(f"{name} is {count!r}, expected a whole number from 1 to {most}")
    return Manifest(
        name=_text(document["name"]),
        encoder=_file(document["encoder"]),
        aligner=_file(document["aligner"]),
        template_size=template_size,
        passes=passes,
        cutout=cutout,
        thresholds={fmr: float(value) for fmr, value in thresholds.items()},
        accuracy_threshold=accuracy_threshold,
        raw=document,
    )


def _file(row: Any) -> ModelFile:
    name = _text(row["file"])
    if Path(name).name != name or "\0" in name:
        raise ValueError(f"{name!r} is not a plain file name")
    return ModelFile(name, _text(row["sha256"]))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} where a text was expected")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")
