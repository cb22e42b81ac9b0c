"""Checkpoints: a Keras file with the model, its optimiser, and how far the epoch had got.

`<name>-<epochs>.keras` was written after an epoch, `<name>-<epochs>-<steps>.keras` within the next
one. What Keras does not save of a running epoch goes into the same zip file, so that no crash can
separate the two.
"""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from oneglance.errors import ConfigError
from oneglance.training.engine.files import written

_STATE = "oneglance.json"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """How far a training has got: whole `epochs`, and `steps` of the next one."""

    epochs: int = 0
    steps: int = 0


def save(folder: Path, name: str, place: Place, model: keras.Model) -> None:
    """Write the checkpoint of `place`, and delete all older ones but the last.

    Should the new file turn out to be damaged, the run can continue from the one before.
    """
    parts = f"-{place.steps}" if place.steps else ""
    state = {"unsaved": [np.asarray(value).tolist() for value in _unsaved(model)]}
    with written(folder / f"{name}-{place.epochs}{parts}.keras") as fresh:
        model.save(fresh)
        with zipfile.ZipFile(fresh, "a") as archive:
            archive.writestr(_STATE, json.dumps(state))
    for _, path in places(folder, name)[:-2]:
        path.unlink()


def load_latest(folder: Path, name: str, model: keras.Model) -> tuple[Place, keras.Model]:
    """The last checkpoint, or the start with the given model if there is none.

    Raises ConfigError if it is damaged, or not of a network like `model`.
    """
    found = places(folder, name)
    if not found:
        return Place(), model
    place, path = found[-1]
    try:
        loaded = keras.saving.load_model(path)
        with zipfile.ZipFile(path) as archive:
            state = json.loads(archive.read(_STATE)) if _STATE in archive.namelist() else {}
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ConfigError(
            "the checkpoint is damaged", where=str(path), fix="delete it and resume again"
        ) from error
    need_same_network(model, loaded, path)
    for variable, value in zip(_unsaved(loaded), state.get("unsaved", []), strict=False):
        variable.assign(np.array(value, variable.dtype))
    return place, loaded


def need_same_network(wanted: keras.Model, found: keras.Model, path: Path) -> None:
    """ConfigError that names the first difference, unless both have weights of the same shapes."""
    here = [(weight.path, tuple(weight.shape)) for weight in wanted.weights]
    there = [(weight.path, tuple(weight.shape)) for weight in found.weights]
    told = f"{len(there)} weights, and the recipe's {len(here)}"
    for (name, shape), (_, other) in zip(here, there, strict=False):
        if shape != other:
            told = f"{name} of shape {other}, and the recipe's {shape}"
            break
    else:
        if len(here) == len(there):
            return
    raise ConfigError(
        f"the checkpoint is of another network: it has {told}",
        where=str(path),
        fix="resume with the recipe that made it, or start a new run with --out",
    )


def places(folder: Path, name: str) -> list[tuple[Place, Path]]:
    """The checkpoints of `name`, the most advanced one last."""
    pattern = re.compile(re.escape(name) + r"-(\d+)(?:-(\d+))?\.keras")
    found = []
    for path in folder.glob(f"{name}-*.keras"):
        match = pattern.fullmatch(path.name)
        if match:
            found.append((Place(int(match[1]), int(match[2] or 0)), path))
    return sorted(found)


def _unsaved(model: keras.Model) -> list[keras.Variable]:
    """What Keras leaves out of a file: the running epoch's loss, the state of layers' randomness.

    The loss is a sum and a count; a dropout layer has a seed that advances with every step.
    """
    weights = {id(weight) for weight in model.weights}
    loose = [variable for variable in model.variables if id(variable) not in weights]
    return [*model.metrics[0].variables, *loose]
