"""SFace's network: MobileNet with PReLU, the trunk that the larger model has beside the others."""

from __future__ import annotations

from typing import Any

import keras

from oneglance.faces.find.align import CHIP_SIZE
from oneglance.training.networks.face_networks import Vector

SFACE_SIZE = 128
STEM = 32
# Channels out of each block, and the stride of its depthwise layer.
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)


def sface() -> keras.Model:
    """SFace: RGB chips (n, 112, 112, 3), values 0..255, to its values (n, 128), of no set length.

    Batch norms are folded into the convolutions and into the last layer.
    """
    layers = keras.layers
    chips = layers.Input((CHIP_SIZE, CHIP_SIZE, 3), name="chips")
    pixels = layers.Rescaling(1 / 128, offset=-127.5 / 128)(chips)
    return keras.Model(chips, Vector()(sface_trunk(pixels)), name="sface")


def sface_trunk(pixels: Any) -> Any:
    """From pixels (n, 112, 112, 3), -1..1, to (n, 1, 1, 128)."""
    layers = keras.layers

    def active(x: Any) -> Any:
        return layers.PReLU(shared_axes=[1, 2])(x)

    x = active(layers.Conv2D(STEM, 3, padding="same")(pixels))
    for out, stride in BLOCKS:
        # Halving pads only before the first pixel, as two_trunks.Trunk tells.
        kernel = 3 if stride == 1 else 4
        x = active(layers.DepthwiseConv2D(kernel, stride, padding="same")(x))
        x = active(layers.Conv2D(out, 1)(x))
    # All places at once, as a convolution: a Reshape would split the graph for XNNPACK.
    return layers.Conv2D(SFACE_SIZE, x.shape[1], name="sface_values")(x)
