"""The face networks: MobileFaceNet encoder, Siamese pair, landmark network."""

from __future__ import annotations

from typing import Any

import keras

from oneglance.faces.find.align import CHIP_SIZE, CROP_SIZE, MEAN_POINTS
from oneglance.training.networks.heads import WeightedL1Head

# Chen et al., MobileFaceNets, 2018 (arXiv:1804.07573), table 1: channels inside the first block,
# which halves the picture, inside the others, and out; and how many blocks.
_STAGES = ((128, 128, 64, 5), (256, 256, 128, 7), (512, 256, 128, 3))


def mobileface(
    template_size: int = 192, width: float = 1.0, depth: float = 1.0, inner: float = 1.0
) -> keras.Model:
    """Encoder E: from RGB chips (n, 112, 112, 3), values 0..255, to templates (n, d) of length 1.

    Batch norms are folded into the convolutions, as in the pretrained network that it can start
    from. `width` scales every channel count, `depth` the number of blocks, and `inner` the channels
    inside the blocks, whose outputs are narrow (all 1.0 and d = 192: 1.29 M parameters).
    """
    layers = keras.layers

    def channels(count: int) -> int:
        return max(8, int(count * width))

    def convolve(x: Any, filters: int, *, active: bool = True) -> Any:
        x = layers.Conv2D(channels(filters), 1, padding="same")(x)
        return layers.PReLU(shared_axes=[1, 2])(x) if active else x

    def depthwise(x: Any, strides: int) -> Any:
        x = layers.DepthwiseConv2D(3, strides, padding="same")(x)
        return layers.PReLU(shared_axes=[1, 2])(x)

    chips = layers.Input((CHIP_SIZE, CHIP_SIZE, 3), name="chips")
    x = layers.Rescaling(1 / 128, offset=-127.5 / 128)(chips)
    x = layers.Conv2D(channels(64), 3, 2, padding="same", name="stem")(x)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = depthwise(x, 1)
    x = convolve(x, 64, active=False)
    for first, wide, outer, blocks in _STAGES:
        for block in range(max(1, round(blocks * depth))):
            skipped = x
            x = convolve(x, int((wide if block else first) * inner))
            x = depthwise(x, 2 if block == 0 else 1)
            x = convolve(x, outer, active=False)
            if block:
                x = layers.Add()([x, skipped])
    x = convolve(x, 512)
    x = layers.DepthwiseConv2D(7, padding="valid")(x)
    x = convolve(x, 512, active=False)
    x = layers.Conv2D(template_size, 1)(x)
    x = Vector()(x)
    templates = layers.UnitNormalization(name="templates")(x)
    return keras.Model(chips, templates, name="encoder")


@keras.saving.register_keras_serializable(package="oneglance")
class Vector(keras.layers.Layer):
    """1x1 pictures (n, 1, 1, d) as vectors (n, d).

    Keras's own Reshape asks for the batch size at run time, and these operations would split the
    graph into two XNNPACK partitions.
    """

    def call(self, inputs: Any) -> Any:
        """Drop the two sides of length 1."""
        return keras.ops.reshape(inputs, (-1, inputs.shape[-1]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Batch size and d."""
        return (input_shape[0], input_shape[-1])


def siamese(encoder: keras.Model, head: keras.layers.Layer | None = None) -> keras.Model:
    """The pair of twins: from chips a and b (n, 112, 112, 3) to logits (n,).

    The layer "encoder" is the twin and "head" joins the two; by default a new WeightedL1Head.
    """
    a = keras.layers.Input(encoder.input_shape[1:], name="a")
    b = keras.layers.Input(encoder.input_shape[1:], name="b")
    join = WeightedL1Head(name="head") if head is None else head
    return keras.Model([a, b], join([encoder(a), encoder(b)]), name="siamese")


def landmarks(width: float = 1.0) -> keras.Model:
    """The aligner: from grey crops (n, 64, 64, 1), values 0..255, to five points (n, 5, 2).

    Points are in unit coordinates of the crop. The last layer starts at zero, so the untrained
    network answers with the mean face.
    """
    layers = keras.layers
    crops = layers.Input((CROP_SIZE, CROP_SIZE, 1), name="crops")
    x = layers.Rescaling(1 / 128, offset=-127.5 / 128)(crops)
    for filters, strides in ((16, 2), (32, 2), (32, 1), (64, 2), (64, 1), (96, 2)):
        filters = max(4, int(filters * width))
        x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.95)(x)
        x = layers.ReLU()(x)
    x = layers.Conv2D(96, x.shape[1], padding="valid", activation="relu")(x)
    offsets = layers.Conv2D(10, 1, kernel_initializer="zeros", name="offsets")(x)
    points = MeanFace(name="points")(offsets)
    return keras.Model(crops, points, name="aligner")


@keras.saving.register_keras_serializable(package="oneglance")
class MeanFace(keras.layers.Layer):
    """Offsets (n, 1, 1, 10) to points (n, 5, 2): adds the mean face in unit crop coordinates."""

    def call(self, inputs: Any) -> Any:
        """Move each point from its mean position."""
        return keras.ops.add(keras.ops.reshape(inputs, (-1, 5, 2)), MEAN_POINTS)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Five points a crop."""
        return (input_shape[0], 5, 2)
