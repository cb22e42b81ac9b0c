"""The larger model's encoder: the two trunks of the standard one, and SFace beside them."""

from __future__ import annotations

import keras

from oneglance.faces.find.align import CHIP_SIZE
from oneglance.training.networks.face_networks import Vector
from oneglance.training.networks.sface import sface_trunk
from oneglance.training.networks.two_trunks import TRUNKS, mobileface_trunk


def three_trunks(template_size: int) -> keras.Model:
    """Encoder E: RGB chips (n, 112, 112, 3), values 0..255, to templates (n, d) of length 1.

    Each trunk sees the chip; what they end in, 512, 512 and 128 values, one linear layer joins.
    """
    layers = keras.layers
    chips = layers.Input((CHIP_SIZE, CHIP_SIZE, 3), name="chips")
    pixels = layers.Rescaling(1 / 128, offset=-127.5 / 128)(chips)
    ends = [mobileface_trunk(pixels, trunk) for trunk in TRUNKS]
    together = layers.Concatenate()([*ends, sface_trunk(pixels)])
    joined = Vector()(layers.Conv2D(template_size, 1, name="join")(together))
    templates = layers.UnitNormalization(name="templates")(joined)
    return keras.Model(chips, templates, name="encoder")
