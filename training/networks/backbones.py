"""Face encoders by name: our own and every network of keras.applications."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError
from oneglance.faces.find.align import CHIP_SIZE
from oneglance.training.networks.face_networks import Vector, mobileface
from oneglance.training.networks.keras_files import load_keras
from oneglance.training.networks.koch_faces import koch_on_faces
from oneglance.training.networks.slim import slim

NETWORKS = ("mobileface", "mobileface-slim", "koch", "compact")
APPLICATIONS = "applications."
IMAGENET = "imagenet"
# The share of channels kept inside the blocks: 49 % of the multiply-accumulates, and all counts are
# multiples of 8.
_SLIM_INNER = 7 / 16
_COMPACT_CHANNELS = (32, 64, 128, 256)
_SLIMMING_CHIPS = 256
# More weights per training picture than this, starting from random ones, can learn it by heart.
MOST_WEIGHTS_A_PICTURE = 20_000


def make_encoder(
    name: str,
    *,
    template_size: int | None = None,
    width: float = 1.0,
    depth: float = 1.0,
    seed: int = 0,
    weights: Path | str | None = None,
    chips: NDArray[np.uint8] | None = None,
) -> keras.Model:
    """An encoder from RGB chips (n, 112, 112, 3), 0..255, to templates (n, d); see `FaceRecipe`.

    Templates have length 1, except those of `koch`, which are 4,096 numbers in 0..1. `weights` is a
    path, or "imagenet"; for a network of keras.applications the file may be .h5 and may include a
    classifier, which is dropped. `chips` uint8 (n, 112, 112, 3) are faces with which a wide
    MobileFaceNet is slimmed. Raises ConfigError for an unknown network and for weights that do not
    fit it.
    """
    keras.utils.set_random_seed(seed)
    if name.startswith(APPLICATIONS):
        return _application(name, template_size or 256, weights)
    makers: dict[str, Callable[[], keras.Model]] = {
        "mobileface": lambda: mobileface(template_size or 192, width, depth),
        "mobileface-slim": lambda: mobileface(template_size or 192, width, depth, _SLIM_INNER),
        "koch": lambda: _koch(seed, width, template_size),
        "compact": lambda: compact_faces(template_size or 256, width),
    }
    if name not in makers:
        known = [*NETWORKS, *(APPLICATIONS + other for other in applications())]
        near = difflib.get_close_matches(name, known, n=3)
        told = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
        raise ConfigError(
            f"there is no network {name!r}{told}",
            where="network",
            fix=f"choose one of {', '.join(NETWORKS)}, or applications.NAME of keras.applications",
        )
    if weights == IMAGENET:
        raise ConfigError(
            f"there are no imagenet weights of {name}", where="weights", fix="name a .keras file"
        )
    encoder = makers[name]()
    if weights is not None:
        _start_from(encoder, Path(weights), chips)
    return encoder


def compact_faces(template_size: int = 256, width: float = 1.0) -> keras.Model:
    """A small plain CNN: blocks of 3x3 convolution, batch norm, ReLU and pooling, a dense layer.

    Chips are first halved to 56x56. 1.2 M parameters with 256 numbers a template.
    """
    layers = keras.layers
    chips = layers.Input((CHIP_SIZE, CHIP_SIZE, 3), name="chips")
    x = layers.Rescaling(1 / 128, offset=-127.5 / 128)(chips)
    x = layers.AveragePooling2D(2)(x)
    for filters in _COMPACT_CHANNELS:
        x = layers.Conv2D(max(4, int(filters * width)), 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.95)(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D(2)(x)
    # A convolution over all positions: a Reshape would split the graph for XNNPACK.
    x = Vector()(layers.Conv2D(template_size, x.shape[1], use_bias=False)(x))
    templates = layers.UnitNormalization(name="templates")(x)
    return keras.Model(chips, templates, name="encoder")


def applications() -> list[str]:
    """The names of all networks of keras.applications."""
    found = keras.applications
    return sorted(name for name in dir(found) if name[0].isupper() and callable(_named(name)))


def need_data(encoder: keras.Model, pictures: int, network: str) -> None:
    """ConfigError if an encoder with random weights is too large for so few pictures."""
    count = encoder.count_params()
    if count > MOST_WEIGHTS_A_PICTURE * pictures:
        raise ConfigError(
            f"{network} has {count:,} weights, too many for {pictures:,} training pictures",
            where="network",
            fix="choose a smaller network or width, start from trained weights, or add pictures",
        )


def _koch(seed: int, width: float, template_size: int | None) -> keras.Model:
    encoder = koch_on_faces(seed, width=width)
    if template_size not in (None, encoder.output_shape[-1]):
        raise ConfigError(
            f"templates of koch have {encoder.output_shape[-1]} numbers",
            where="template_size",
            fix="leave out template_size, or change width",
        )
    return encoder


def _start_from(encoder: keras.Model, path: Path, chips: NDArray[np.uint8] | None) -> None:
    weights = load_keras(path, "name the .keras file of an encoder").get_weights()
    if _shapes(weights) == _shapes(encoder.get_weights()):
        encoder.set_weights(weights)
        return
    wide = mobileface(encoder.output_shape[-1])
    fits = _shapes(weights) == _shapes(wide.get_weights())
    if not fits or chips is None or len(wide.layers) != len(encoder.layers):
        raise _other_network(path)
    wide.set_weights(weights)
    slim(wide, encoder, chips[:_SLIMMING_CHIPS])


def _named(name: str) -> Any:
    return getattr(keras.applications, name)


def _application(full_name: str, template_size: int, weights: Path | str | None) -> keras.Model:
    name = full_name.removeprefix(APPLICATIONS)
    if name not in applications():
        near = difflib.get_close_matches(name, applications(), n=3)
        told = f" (did you mean {' or '.join(near)}?)" if near else ""
        raise ConfigError(
            f"keras.applications has no network {name!r}{told}",
            where="network",
            fix="see https://keras.io/api/applications",
        )
    path = None if weights in (None, IMAGENET) else Path(str(weights))
    if path is not None and not path.is_file():
        raise ConfigError("there are no such weights", where=str(path), fix="check the path")
    make = _named(name)
    try:
        with warnings.catch_warnings():
            # Keras warns that there is no file for 112x112, and that it takes the one for 224x224.
            warnings.simplefilter("ignore", UserWarning)
            trunk = make(
                include_top=False,
                weights=IMAGENET if weights == IMAGENET else None,
                input_shape=(CHIP_SIZE, CHIP_SIZE, 3),
                pooling="avg",
            )
    except Exception as error:  # keras raises a plain Exception if a download fails
        told = " ".join(str(error).split())
        if weights == IMAGENET:
            raise ConfigError(
                f"the imagenet weights of {name} cannot be fetched ({told})",
                where="weights",
                fix="connect to the internet, name a weights file, or leave weights out",
            ) from error
        raise ConfigError(f"{name} cannot be made ({told})", where="weights") from error
    chips = keras.layers.Input((CHIP_SIZE, CHIP_SIZE, 3), name="chips")
    x = trunk(_preprocessing(make)(chips))
    x = keras.layers.Dense(template_size, use_bias=False, name="project")(x)
    templates = keras.layers.UnitNormalization(name="templates")(x)
    encoder = keras.Model(chips, templates, name="encoder")
    if path is not None:
        _load_application(encoder, trunk, make, path)
    return encoder


def _load_application(encoder: keras.Model, trunk: keras.Model, make: Any, path: Path) -> None:
    """Load a file's weights into the trunk or the whole encoder, all of them or none.

    The file is one of keras.applications (.h5, with or without its classifier), one that a Keras
    model saved (.keras, .h5, .weights.h5), or an encoder trained earlier.
    """
    if path.suffix == ".keras":
        found = load_keras(path).get_weights()
        if _shapes(found) == _shapes(encoder.get_weights()):
            encoder.set_weights(found)
            return
    elif path.suffix == ".h5":
        found = _from_h5(trunk, make, path)
    else:
        raise ConfigError(
            f"weights of {path.suffix or 'no known'} form",
            where=str(path),
            fix="name a .h5 or .keras file",
        )
    # The classifier's own layers come last.
    own = found[: len(trunk.weights)]
    if _shapes(own) != _shapes(trunk.get_weights()):
        raise _other_network(path)
    trunk.set_weights(own)


def _from_h5(trunk: keras.Model, make: Any, path: Path) -> list[NDArray[Any]]:
    for whole in (False, True):
        # A network with a classifier has to be built as it was when saved.
        network = make(weights=None) if whole else trunk
        # Keras may skip what it does not find, with only a warning.
        network.set_weights([np.full_like(w, np.nan) for w in network.get_weights()])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                network.load_weights(str(path))
        except OSError as error:
            raise ConfigError("not a readable weights file", where=str(path)) from error
        except (ValueError, KeyError):
            continue
        weights: list[NDArray[Any]] = network.get_weights()
        if all(np.isfinite(w).all() for w in weights):
            return weights
    raise _other_network(path)


def _shapes(weights: list[NDArray[Any]]) -> list[tuple[int, ...]]:
    return [one.shape for one in weights]


def _other_network(path: Path) -> ConfigError:
    return ConfigError(
        "not the weights of this network",
        where=str(path),
        fix="name weights of the same network, width, depth and template_size",
    )


def _preprocessing(make: Any) -> keras.layers.Layer:
    """The network's own preprocess_input, an affine map of the colours, as a fixed layer."""
    prepare = sys.modules[make.__module__].preprocess_input
    black = np.zeros((1, 1, 1, 3), np.float32)
    offset = np.asarray(prepare(black.copy()), np.float32).reshape(3)
    colours = np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)
    mixing = np.asarray(prepare(colours.copy()), np.float32).reshape(3, 3) - offset
    layer = keras.layers.Conv2D(3, 1, trainable=False, name="preprocess")
    layer.build((None, CHIP_SIZE, CHIP_SIZE, 3))
    layer.set_weights([mixing[None, None], offset])
    return layer
