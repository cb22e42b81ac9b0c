"""Make the Siamese pair of a join that join_light.py taught, for `oneglance convert`.

python benchmarks/pair_light.py --faces lfw.npz --also celeba.npz --model DATA/mobileface-2 \
    --kept values.npz --join join_light.npz --start DATA/two_trunks.keras \
    --out runs/siamese-light

The trunks are those of --start, which rebuild_two_trunks makes. The head's weights are those of
--model, whose join the taught one began with: in its frame the L1 distance agrees with the cosine.
They are scaled so that the score is a logit on photographs that the join learned from, whose values
join_light.py left in --kept. Leaves siamese.keras in the folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from join_light import Join, learned_from, trunks_of
from numpy.typing import NDArray

from oneglance.faces.evaluation.thresholds import all_pairs
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.training.engine import run_folder
from oneglance.training.engine.pairs import calibration
from oneglance.training.faces.siamese_training import scores_of
from oneglance.training.networks.face_networks import siamese
from oneglance.training.networks.keras_files import load_keras
from oneglance.training.networks.two_trunks import two_trunks

_CALIBRATED_ON = 4000


def main() -> None:
    """Put trunks, join and head together, scale the head, save."""
    arguments = _arguments()
    with np.load(arguments.join) as taught:
        join = Join(taught["kernel"], taught["bias"])
    views, people = learned_from(arguments, trunks_of(arguments))
    pair = siamese(_encoder(arguments.start, join))
    head = pair.get_layer("head")
    head.set_weights(_head_of(load_model(arguments.model)))
    chosen = np.random.default_rng(arguments.seed).permutation(len(people))[:_CALIBRATED_ON]
    rows = join.templates(views[0][chosen])
    head.calibrate(*calibration(*all_pairs(rows, list(people[chosen]), scores_of(head))))
    arguments.out.mkdir(parents=True, exist_ok=True)
    run_folder.save_model(pair, arguments.out / "siamese.keras")


def _encoder(file: Path, join: Join) -> keras.Model:
    *trunks, kernel, bias = load_keras(file).get_weights()
    encoder = two_trunks(len(join.bias))
    of_join = np.asarray(join.kernel, np.float32).reshape(kernel.shape[:-1] + join.bias.shape)
    encoder.set_weights([*trunks, of_join, np.asarray(join.bias, bias.dtype)])
    return encoder


def _head_of(model: FaceModel) -> list[NDArray[np.float32]]:
    """The weights (d,) and the bias of the head b - sum_j w_j |a_j - b_j|."""
    origin = np.zeros((1, model.template_size), np.float32)
    steps = np.concatenate([origin, np.eye(model.template_size, dtype=np.float32)])
    bias, *scores = model.compare(origin, steps)[0]
    return [np.asarray(bias - np.array(scores), np.float32), np.asarray(bias, np.float32)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("faces", "also", "model", "kept", "join", "start", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.set_defaults(people=None, seed=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
