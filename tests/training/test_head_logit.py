"""The head's score is a logit: above zero where two pictures more likely show one person."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from oneglance.faces.evaluation.thresholds import all_pairs
from oneglance.training.engine.progress import shown_on
from oneglance.training.faces.face_sources import cut_faces, drawn_faces
from oneglance.training.faces.siamese_training import calibrate, encode
from oneglance.training.networks.face_networks import mobileface, siamese

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_after_calibration_zero_parts_genuine_from_impostor_pairs() -> None:
    from rich.console import Console

    keras.utils.set_random_seed(3)
    pair = siamese(mobileface(16, 0.125, 0.2))
    stage = shown_on(Console(quiet=True))
    faces = cut_faces(drawn_faces(5, range(8), 4), None, 1, stage, "chips")
    calibrate(pair, faces, seed=1)
    head = pair.get_layer("head")
    templates = encode(pair.get_layer("encoder"), faces.chips)
    genuine, impostor = all_pairs(
        templates, faces.people, lambda a, b: np.asarray(head([a[:, None], b[None]]))
    )
    assert np.median(genuine) > 0 > np.median(impostor)
