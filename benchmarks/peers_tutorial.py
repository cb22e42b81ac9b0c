"""What tutorials teach: a fixed crop, and one Keras `predict` for each enrolled picture.

The network is the Siamese one of Koch et al. (2015) on 100 x 100 px in colour, as those tutorials
build it, with random weights: none of them publishes any, so only its speed can be measured.
Enrolled pictures are read from their JPEGs each time, as the tutorials do.
"""

from __future__ import annotations

import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np

from oneglance.training.networks.koch import AbsoluteDifference

GALLERY = 50
_SIZE = 100
# The middle of a camera's picture, where the visitor is asked to hold their face.
_CROP_PX = 250


def _network() -> keras.Model:
    layers = keras.layers
    picture = layers.Input((_SIZE, _SIZE, 3))
    x = layers.Conv2D(64, 10, activation="relu")(picture)
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Conv2D(128, 7, activation="relu")(x)
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Conv2D(128, 4, activation="relu")(x)
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Flatten()(layers.Conv2D(256, 4, activation="relu")(x))
    twin = keras.Model(picture, layers.Dense(4096, activation="sigmoid")(x))
    a, b = layers.Input((_SIZE, _SIZE, 3)), layers.Input((_SIZE, _SIZE, 3))
    same = layers.Dense(1, activation="sigmoid")(AbsoluteDifference()([twin(a), twin(b)]))
    return keras.Model([a, b], same)


class Tutorial:
    """See child.Contender."""

    def __init__(self) -> None:
        keras.utils.set_random_seed(0)
        self._network = _network()
        rng = np.random.default_rng(0)
        self._enrolled = [
            cv2.imencode(".jpg", rng.integers(0, 256, (_CROP_PX, _CROP_PX, 3), np.uint8))[1]
            for _ in range(GALLERY)
        ]

    def reset(self, names: list[str]) -> None:
        """Do nothing: it remembers nothing."""

    def see(self, frame: Any, at_s: float, fps: float) -> list[dict[str, Any]]:
        """Verify the middle of the frame against each enrolled picture."""
        height, width = frame.shape[:2]
        top, left = (height - _CROP_PX) // 2, (width - _CROP_PX) // 2
        self._verify(frame[top : top + _CROP_PX, left : left + _CROP_PX], GALLERY)
        return []

    def _verify(self, crop: Any, count: int) -> None:
        probe = _prepared(crop)
        for jpeg in self._enrolled[:count]:
            other = _prepared(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))
            self._network.predict([probe[None], other[None]], verbose=0)

    def template(self, picture: Any) -> Any:
        """It has none."""
        return None

    def score(self, one: Any, other: Any) -> float:
        """It has none."""
        raise NotImplementedError

    def probe(self, gallery_size: int) -> dict[str, float]:
        """One visitor, and a gallery of at most 50."""
        if gallery_size > GALLERY:
            raise ValueError(f"this peer has {GALLERY} pictures")
        start = time.process_time()
        self._verify(np.zeros((_CROP_PX, _CROP_PX, 3), np.uint8), gallery_size)
        return {"encode_s": time.process_time() - start, "compare_s": 0.0}

    def versions(self) -> dict[str, str]:
        """The versions of its packages."""
        return {"keras": version("keras"), "backend": keras.backend.backend()}


def _prepared(picture: Any) -> Any:
    return cv2.resize(picture, (_SIZE, _SIZE)).astype(np.float32) / 255


def build(_data: Path | None) -> Tutorial:
    """Make it, ready to see."""
    return Tutorial()
