"""The calibration that a configuration names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from random import SystemRandom

import numpy as np
from numpy.typing import NDArray

from oneglance.config import Config
from oneglance.errors import GalleryError, ModelError
from oneglance.faces.calibration.door import Door, Spread, Stretch, Templates
from oneglance.faces.calibration.file import Kept, directions_of, read_calibration
from oneglance.faces.calibration.store import StrangerFile
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.model.manifest import FIX


class DoorModel(FaceModel):
    """A model as it is at a door: templates are settled, and thresholds lifted.

    `mark` follows the model's id wherever that is told.
    """

    def __init__(self, model: FaceModel, door: Door, mark: str = "") -> None:
        told = model.manifest
        accuracy = told.accuracy_threshold
        lifted = replace(
            told,
            model_id=told.model_id + mark,
            thresholds={rate: door.lifted(score) for rate, score in told.thresholds.items()},
            accuracy_threshold=None if accuracy is None else door.lifted(accuracy),
        )
        super().__init__(lifted, *model.networks)
        self._door = door

    def encode(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The model's templates, then settled."""
        return self._door.settled(super().encode(chips))


def any_door(model: FaceModel) -> Door | None:
    """What the manifest says about doors in general, for a door that is not calibrated.

    Thresholds stay as they are. None if it says nothing. Raises ModelError if it is damaged.
    """
    written = model.manifest.document.common
    if written is None:
        return None
    told = model.manifest.document.common_stretch
    try:
        directions = directions_of(written, model.template_size)
        stretch = None
        if told is not None:
            (along,) = directions_of(told.along, model.template_size)
            marks = directions_of(told.directions, model.template_size)
            if len(marks) != len(told.squares):
                raise ValueError("as many squares as directions are wanted")
            squares = np.array(told.squares, np.float32)
            stretch = Stretch(told.base, along, told.by, marks, squares)
    except ValueError as error:
        raise ModelError(
            f"the manifest's common is damaged ({error})", where=model.model_id, fix=FIX
        ) from error
    fitted = fitted_spread(model)
    return Door(directions, fitted, fitted, stretch)


def common_of(model: FaceModel) -> Templates:
    """The directions (k, d) in the manifest; k = 0 if it has none. ModelError."""
    door = any_door(model)
    return np.empty((0, model.template_size), np.float32) if door is None else door.directions


def kept_calibration(config: Config, model: FaceModel) -> Kept | None:
    """What was learned about this door; None if nothing was.

    Raises as `read_calibration`, and GalleryError where the configuration names a file that is not
    there: deleting it must not silently make a door laxer.
    """
    path = config.calibration_file
    try:
        there = path.exists()
    except OSError as error:
        raise GalleryError(f"cannot look for it: {error.strerror}", where=str(path)) from error
    if there:
        return read_calibration(
            path, model.model_id, model.template_size, load_key(config.gallery.key_file)
        )
    if config.calibration.file is not None:
        raise GalleryError(
            "the configuration names a calibration that is not there",
            where=str(path),
            fix="put it back from a backup, run 'oneglance calibrate', or take 'file' out of "
            "[calibration]: then the model's own thresholds hold",
        )
    return None


def stranger_file(
    config: Config,
    model: FaceModel,
    wall: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> StrangerFile:
    """Where strangers' templates are kept. Raises GalleryError for a key that is not usable."""
    key = load_key(config.gallery.key_file)
    return StrangerFile(
        *(config.strangers_file, key, model.model_id, model.template_size, SystemRandom()),
        keep_days=config.calibration.keep_strangers_days,
        today=lambda: wall().astimezone(UTC).date(),
    )


def fitted_spread(model: FaceModel) -> Spread:
    """How impostor scores lay where the model's thresholds were fitted. Raises ModelError."""
    told = model.manifest.fitted.impostors
    if told is None:
        raise ModelError(
            "its manifest does not tell how strangers' scores lie, so no door can be held against",
            where=model.model_id,
            fix=FIX,
        )
    return Spread(told.mean, told.sd)
