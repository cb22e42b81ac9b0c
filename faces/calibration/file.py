"""A door's calibration on disk: one small file beside the gallery, sealed with the gallery's key.

It holds no template: the common direction is the mean of a hundred people's and more.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from oneglance.errors import GalleryError
from oneglance.faces.calibration.door import Door, Spread
from oneglance.faces.gallery.vault import TemplateKey
from oneglance.faces.model.document import Directions, Logit, Part, Text, parse_part
from oneglance.secret_file import read_secret
from oneglance.whole_file import write_whole

FIX = "run 'oneglance calibrate' again"
_CONTEXT = b"oneglance calibration 1"
_OFF_UNIT = 1e-3

Deviation = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]


class OtherModelError(GalleryError):
    """The calibration was made with another model, and says nothing about this one."""


class Scores(Part):
    """Mean and standard deviation of impostor scores."""

    mean: Logit
    sd: Deviation


class Record(Part):
    """The content of the file. `directions` is base64 of little-endian float32 (k, d)."""

    format: Literal["door-calibration-1"] = "door-calibration-1"
    model_id: Text
    directions: Directions | Literal[""]
    here: Scores
    fitted: Scores
    strangers: Annotated[int, Field(ge=2)]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    calibrated_at: Text


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A kept calibration: the door, and what it rests on."""

    door: Door
    strangers: int
    confidence: float
    calibrated_at: str


def write_calibration(path: Path, kept: Kept, model_id: str, key: TemplateKey) -> None:
    """Replace the file as a whole, mode 0600. Raises GalleryError if it cannot be written."""
    record = Record(
        model_id=model_id,
        directions=base64.b64encode(kept.door.directions.astype("<f4").tobytes()).decode(),
        here=Scores(mean=kept.door.here.mean, sd=kept.door.here.sd),
        fitted=Scores(mean=kept.door.fitted.mean, sd=kept.door.fitted.sd),
        strangers=kept.strangers,
        confidence=kept.confidence,
        calibrated_at=kept.calibrated_at,
    )
    text = json.dumps(record.model_dump(mode="json"))
    _write(path, key.seal(text.encode(), _CONTEXT))


def read_calibration(path: Path, model_id: str, template_size: int, key: TemplateKey) -> Kept:
    """The kept calibration.

    Raises OtherModelError if it was made with another model, GalleryError if it is missing, cannot
    be read, was changed, or was sealed with another key.
    """
    data = read_secret(path, "calibration", FIX, GalleryError)
    try:
        record = parse_part(Record, json.loads(key.open(data, _CONTEXT)))
    except GalleryError as error:
        raise GalleryError(
            "the calibration was changed, or sealed with another key", where=str(path), fix=FIX
        ) from error
    except (ValueError, RecursionError, AttributeError) as error:
        raise _damaged(path, error) from error
    if record.model_id != model_id:
        raise OtherModelError(
            f"the calibration was made with the model {record.model_id}, not {model_id}",
            where=str(path),
            fix=FIX,
        )
    try:
        # Another model's may have another length.
        directions = directions_of(record.directions, template_size)
    except ValueError as error:
        raise _damaged(path, error) from error
    here, fitted = (Spread(scores.mean, scores.sd) for scores in (record.here, record.fitted))
    door = Door(directions, here, fitted)
    return Kept(door, record.strangers, record.confidence, record.calibrated_at)


def _damaged(path: Path, error: Exception) -> GalleryError:
    return GalleryError(f"the calibration is damaged ({error})", where=str(path), fix=FIX)


def seal_again(path: Path, former: TemplateKey, successor: TemplateKey) -> None:
    """Seal the file anew for a new gallery key; one that `former` does not open stays as it is.

    Raises GalleryError if it cannot be read or written.
    """
    if not path.exists():
        return
    data = read_secret(path, "calibration", FIX, GalleryError)
    try:
        text = former.open(data, _CONTEXT)
    except GalleryError:
        return
    _write(path, successor.seal(text, _CONTEXT))


def _write(path: Path, sealed: bytes) -> None:
    try:
        write_whole(path, sealed, 0o600, durable=True, for_folders_owner=True)
    except OSError as error:
        raise GalleryError(
            f"the calibration cannot be kept ({error.strerror})",
            where=str(path),
            fix="run this as the user of the service, or as root",
        ) from error


def directions_of(written: str, template_size: int) -> NDArray[np.float32]:
    """Directions float32 (k, d) from base64; ValueError unless of length 1 and at right angles."""
    flat = np.frombuffer(base64.b64decode(written, validate=True), "<f4")
    if len(flat) % template_size:
        raise ValueError("directions of another length than templates")
    directions = np.asarray(flat.reshape(-1, template_size), np.float32)
    if not np.allclose(directions @ directions.T, np.eye(len(directions)), atol=_OFF_UNIT):
        raise ValueError("directions that are not at right angles, or not of length 1")
    return directions
