"""Put SFace beside the two trunks in Keras, for the recipe `siamese-large`.

    python -m oneglance.training.networks.rebuild_three_trunks TWO.keras SFACE.keras THREE.keras

TWO.keras is what `rebuild_two_trunks` made, SFACE.keras what `rebuild_sface` made.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from oneglance.errors import ModelError, OneglanceError
from oneglance.training.engine.run_folder import save_model
from oneglance.training.networks.keras_files import load_keras
from oneglance.training.networks.rebuild_two_trunks import RANKS, layers_before
from oneglance.training.networks.sface import SFACE_SIZE, sface
from oneglance.training.networks.three_trunks import three_trunks
from oneglance.training.networks.two_trunks import two_trunks

# On LFW folds 1-6 the values of the two trunks are 93.0 long, SFace's 12.8: so both count the same.
# Of the shares tried (0.3 to 0.6 of SFace) those from 0.4 on are within 0.3 points of each other.
_SFACE_SCALE = 7.3
_CHIPS_COMPARED = 2
_MOST_DIFFERENCE = 1e-4


def rebuild(two: Path, third: Path) -> tuple[keras.Model, float]:
    """What `put_together` makes of two files.

    Raises ConfigError for a missing file, ModelError for one that is no such network.
    """
    parts = []
    for path, own, fix in (
        (two, two_trunks(sum(RANKS)), "make it with rebuild_two_trunks"),
        (third, sface(), "make it with rebuild_sface"),
    ):
        weights = load_keras(path, fix).get_weights()
        try:
            own.set_weights(weights)
        except (ValueError, IndexError) as error:
            raise ModelError("not the network to rebuild", where=str(path), fix=fix) from error
        parts.append(own)
    encoder, difference = put_together(*parts)
    if not difference < _MOST_DIFFERENCE:
        raise ModelError(f"the rebuilt network differs by {difference:.1e}", where=str(two))
    return encoder, difference


def put_together(first: keras.Model, second: keras.Model) -> tuple[keras.Model, float]:
    """The encoder of `two_trunks` and `sface`, 384 values, and how far it is from both.

    The distance is the largest difference of a cosine of two random chips.
    """
    encoder = three_trunks(sum(RANKS) + SFACE_SIZE)
    _fill(encoder, first, second)
    return encoder, _difference(first, second, encoder)


def _fill(encoder: keras.Model, first: keras.Model, second: keras.Model) -> None:
    ends = [*_joined(first), second.get_layer("sface_values").output]
    for own, source in zip(_joined(encoder), ends, strict=True):
        for to, given in zip(layers_before(own), layers_before(source), strict=True):
            to.set_weights(given.get_weights())
    kernel, bias = first.get_layer("join").get_weights()
    rows, size = kernel.shape[2:]
    join = np.zeros((1, 1, rows + SFACE_SIZE, size + SFACE_SIZE), np.float32)
    join[:, :, :rows, :size] = kernel
    join[0, 0, rows:, size:] = _SFACE_SCALE * np.eye(SFACE_SIZE)
    joined_bias = np.concatenate([bias, np.zeros(SFACE_SIZE, np.float32)])
    encoder.get_layer("join").set_weights([join, joined_bias])


def _joined(network: keras.Model) -> list[Any]:
    """What the trunks of a network end in."""
    kind = keras.layers.Concatenate
    return list(next(layer for layer in network.layers if isinstance(layer, kind)).input)


def _difference(first: keras.Model, second: keras.Model, encoder: keras.Model) -> float:
    """Largest difference of a cosine, over random chips of coarse squares."""
    coarse = np.random.default_rng(0).integers(0, 256, (_CHIPS_COMPARED, 14, 14, 3))
    chips = coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.float32)
    unscaled = keras.Model(first.input, first.get_layer("templates").input)
    values = [np.asarray(one(chips, training=False)) for one in (unscaled, second)]
    wanted = np.concatenate([values[0], _SFACE_SCALE * values[1]], axis=1)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    found = np.asarray(encoder(chips, training=False))
    return float(np.abs(wanted @ wanted.T - found @ found.T).max())


def main() -> None:
    """Rebuild argv[1] and argv[2] into argv[3]."""
    if len(sys.argv) != 4 or not sys.argv[3].endswith(".keras"):
        sys.exit(
            "usage: python -m oneglance.training.networks.rebuild_three_trunks "
            "TWO.keras SFACE.keras OUT.keras"
        )
    two, third, out = (Path(argument) for argument in sys.argv[1:])
    try:
        encoder, difference = rebuild(two, third)
        save_model(encoder, out)
    except OneglanceError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(f"{out}: cosines differ from the parts' by at most {difference:.1e}\n")


if __name__ == "__main__":
    main()
