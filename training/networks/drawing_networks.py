"""Networks for 105x105 drawings: `compact`, and what it needs besides plain Keras layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from oneglance.faces.drawings.drawing_model import DRAWING_SIZE

PAPER = 255.0
_POSES = 8
# Sigma of the ink about its middle over Omniglot's background drawings, in px; and the smallest
# sigma to scale by, so that a dot is not enlarged to a full picture.
_TYPICAL_SIGMA_PX = 16.8
_LEAST_SIGMA_PX = 5.0


@keras.saving.register_keras_serializable(package="oneglance")
class InkFrame(keras.layers.Layer):
    """Drawings (n, 105, 105, 1), 0..255, to ink (n, size, size, 1), 0..1, about its own middle.

    People draw a character anywhere on the sheet, large or small. The middle of the ink is moved to
    the middle of the output, and its spread towards the typical one, to the power `strength` (0:
    unchanged, 1: fully). Each output row is a triangle-weighted mean of input rows as wide as the
    step between outputs, and likewise each column, so that thin strokes survive the shrinking. It
    takes two matrix products, which any runtime can do.
    """

    def __init__(self, size: int, strength: float = 0.0, zoom: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.strength = strength
        self.zoom = zoom

    def call(self, inputs: Any) -> Any:
        """Centre, scale and shrink."""
        ops = keras.ops
        ink = (PAPER - inputs[..., 0]) / PAPER
        mass = ops.sum(ink, axis=(1, 2))[:, None] + 1e-3
        places = ops.arange(DRAWING_SIZE, dtype="float32")
        shares = [ops.sum(ink, axis=2) / mass, ops.sum(ink, axis=1) / mass]
        middles = [ops.sum(share * places, axis=1, keepdims=True) for share in shares]
        spreads = [
            ops.sum(share * ops.square(places - middle), axis=1, keepdims=True)
            for share, middle in zip(shares, middles, strict=True)
        ]
        sigma = ops.sqrt(ops.maximum((spreads[0] + spreads[1]) / 2, _LEAST_SIGMA_PX**2))
        step = self.zoom * DRAWING_SIZE / self.size
        step = step * ops.power(sigma / _TYPICAL_SIGMA_PX, self.strength)
        rows, columns = (self._weights(middle, step, places) for middle in middles)
        shrunk = ops.matmul(ops.matmul(rows, ink), ops.transpose(columns, (0, 2, 1)))
        return shrunk[..., None]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """A smaller square, one channel."""
        return (input_shape[0], self.size, self.size, 1)

    def get_config(self) -> dict[str, Any]:
        """All that is needed to make this layer again."""
        own = ("size", "strength", "zoom")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}

    def _weights(self, middle: Any, step: Any, places: Any) -> Any:
        ops = keras.ops
        offsets = ops.arange(self.size, dtype="float32") - (self.size - 1) / 2
        centres = middle + offsets * step
        width = ops.maximum(step, 1.0)[:, :, None]
        return ops.relu(1 - ops.abs(centres[:, :, None] - places) / width) / width


def compact(
    template_size: int = 256,
    *,
    size: int = 35,
    channels: Sequence[int] = (48, 64, 128, 256),
    strength: float = 0.0,
    zoom: float = 1.0,
) -> keras.Model:
    """An encoder from drawings (n, 105, 105, 1), values 0..255, to templates (n, d) of length 1.

    Blocks of 3x3 convolution, batch norm and ReLU; all but the last end in a pooling by two. The
    dense layer sees where in the frame a stroke lies, which global pooling would discard.
    """
    layers = keras.layers
    drawings = layers.Input((DRAWING_SIZE, DRAWING_SIZE, 1), name="drawings")
    x = InkFrame(size, strength, zoom, name="frame")(drawings)
    for number, count in enumerate(channels):
        x = layers.Conv2D(count, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.95)(x)
        x = layers.ReLU()(x)
        if number < len(channels) - 1:
            x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Reshape((int(x.shape[1] * x.shape[2] * x.shape[3]),))(x)
    x = layers.Dense(template_size, use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.95, center=False, scale=False)(x)
    templates = layers.UnitNormalization(name="templates")(x)
    return keras.Model(drawings, templates, name="encoder")


def all_poses(encoder: keras.Model) -> keras.Model:
    """The same encoder, applied to a drawing in its eight poses: templates (n, 8 d) of length 1.

    Training treats each pose as a different character, so the encoder judges each by different
    features; the cosine of two such templates is the mean of the eight cosines.
    """
    drawings = keras.layers.Input(encoder.input_shape[1:], name="drawings")
    templates = SideBySide(_POSES, name="templates")(encoder(EightPoses(name="poses")(drawings)))
    return keras.Model(drawings, templates, name="encoder")


@keras.saving.register_keras_serializable(package="oneglance")
class EightPoses(keras.layers.Layer):
    """Drawings (n, s, s, c) to (8 n, s, s, c): the quarter turns, then the same mirrored."""

    def call(self, inputs: Any) -> Any:
        """Pose by pose: all drawings in one pose stay together."""
        ops = keras.ops
        both = [inputs, ops.transpose(inputs, (0, 2, 1, 3))]
        both += [ops.flip(drawings, axis=1) for drawings in both]
        both += [ops.flip(drawings, axis=2) for drawings in both]
        return ops.concatenate(both, axis=0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Eight times as many."""
        return (None, *input_shape[1:])


@keras.saving.register_keras_serializable(package="oneglance")
class SideBySide(keras.layers.Layer):
    """Templates (k n, d), all first views first, to (n, k d): the k views of each, side by side.

    Templates of length 1 give a template of length 1.
    """

    def __init__(self, views: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.views = views

    def call(self, inputs: Any) -> Any:
        """Put together."""
        ops = keras.ops
        size = inputs.shape[-1]
        views = ops.reshape(inputs, (self.views, -1, size))
        joined = ops.reshape(ops.transpose(views, (1, 0, 2)), (-1, self.views * size))
        return joined / self.views**0.5

    def compute_output_shape(self, input_shape: Any) -> Any:
        """One long template each."""
        return (None, self.views * input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """All that is needed to make this layer again."""
        return {**super().get_config(), "views": self.views}
