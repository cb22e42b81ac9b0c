"""Reading .keras files."""

from __future__ import annotations

from pathlib import Path

import keras

from oneglance.errors import ConfigError
from oneglance.faces.find.align import CROP_SIZE

# Keras finds the layers of a file only if they were imported before.
from oneglance.training.networks import (
    drawing_networks,  # noqa: F401
    face_networks,  # noqa: F401
    heads,  # noqa: F401
    koch,  # noqa: F401
    koch_faces,  # noqa: F401
)


def load_keras(path: Path, fix: str = "train it first") -> keras.Model:
    """Read a .keras file; ConfigError if it is missing, with `fix` as the way out, or damaged."""
    if not path.is_file():
        raise ConfigError("there is no such model", where=str(path), fix=fix)
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError("not a readable .keras model", where=str(path)) from error


def load_aligner(path: Path) -> keras.Model:
    """Read an aligner.keras; ConfigError if it is missing, damaged or some other network."""
    model = load_keras(path)
    shapes = model.input_shape, model.output_shape
    if shapes != ((None, CROP_SIZE, CROP_SIZE, 1), (None, 5, 2)):
        raise ConfigError(
            f"not an aligner: it maps {shapes[0]} to {shapes[1]}",
            where=str(path),
            fix="name the aligner.keras that 'oneglance train aligner' wrote",
        )
    return model
