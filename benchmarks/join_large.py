"""Train the join of mobileface-large on faces that were found and cut out before.

python benchmarks/join_large.py --faces lfw.npz --start three_trunks.keras \
    --out runs/siamese-large [--kept features.npy]

As `oneglance train siamese-large`, with these shortcuts: the faces are those of known_faces.py
(folds 1-6, cut by the shipped aligner), the teacher is the start itself on the same chips, and
chips are encoded by the start's float32 .tflite file, which is several times as fast. People who
look like somebody in folds 7-8 are left out, as there. The start's features of the chips are kept
in --kept, so that a run can be continued. Leaves siamese.keras in the folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from known_faces import load_known
from numpy.typing import NDArray

from oneglance.converter.tflite import convert_archive
from oneglance.faces.evaluation.thresholds import all_pairs
from oneglance.faces.model.litert import interpreter_class
from oneglance.training.engine import run_folder
from oneglance.training.engine.pairs import calibration
from oneglance.training.engine.progress import silent
from oneglance.training.faces.siamese_training import Faces, scores_of, train_join, unseen
from oneglance.training.networks.keras_files import load_keras
from oneglance.training.recipes.recipe import SiameseRecipe, load_recipe

_AT_ONCE = 16
_TRAIN, _CHECK = (1, 2, 3, 4, 5, 6), (7, 8)
_CALIBRATED_ON = 3000


def main() -> None:
    """Encode, learn the frame, scale the head, save."""
    args = _arguments()
    recipe = load_recipe("siamese-large")
    if not isinstance(recipe, SiameseRecipe):
        raise TypeError("siamese-large is no recipe of a Siamese pair")
    known = load_known(args.faces)
    check = known.in_folds(_CHECK)
    known = known.in_folds(_TRAIN)
    faces = Faces(known.chips, known.chips, tuple(known.people))
    keep = unseen(faces, known.templates, check.templates, recipe.screen)
    faces = faces.rows(keep)
    sys.stderr.write(f"{len(faces.people)} faces, {len(set(faces.people))} people\n")
    start = load_keras(args.start)
    args.out.mkdir(parents=True, exist_ok=True)
    features = _encoded(start, faces.chips, args.kept)
    pair = train_join(start, features, features, faces.people, recipe, args.out, silent)
    head = pair.get_layer("head")
    chosen = np.random.default_rng(recipe.seed).permutation(len(faces.people))[:_CALIBRATED_ON]
    rows = features[chosen] @ _frame(start, pair.get_layer("encoder"))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    people = [faces.people[row] for row in chosen]
    head.calibrate(*calibration(*all_pairs(rows, people, scores_of(head))))
    run_folder.save_model(pair, args.out / "siamese.keras")


def _frame(start: keras.Model, encoder: keras.Model) -> NDArray[np.float32]:
    """What was folded into the encoder's last layer (d, d): it turns the start's templates."""
    before, after = (
        np.asarray(one.get_layer("join").kernel).reshape(-1, one.output_shape[-1])
        for one in (start, encoder)
    )
    return np.asarray(np.linalg.lstsq(before, after)[0], np.float32)


def _encoded(
    encoder: keras.Model, chips: NDArray[np.uint8], kept: Path | None
) -> NDArray[np.float32]:
    """Templates (n, d) of chips uint8 (n, 112, 112, 3)."""
    rows = list(np.load(kept)) if kept is not None and kept.exists() else []
    if len(rows) < len(chips):
        archive = keras.export.ExportArchive()
        archive.track(encoder)
        archive.add_endpoint(
            "encode",
            lambda chips: {"templates": encoder(tf.cast(chips, tf.float32), training=False)},
            [tf.TensorSpec((None, *chips.shape[1:]), tf.uint8, "chips")],
        )
        content = convert_archive(archive, ["encode"], "float32")
        net = interpreter_class()(model_content=content, num_threads=1)
        run = net.get_signature_runner("encode")
    while len(rows) < len(chips):
        some = chips[len(rows) : len(rows) + _AT_ONCE]
        rows += list(run(chips=np.ascontiguousarray(some))["templates"])
        if kept is not None and (len(rows) % (50 * _AT_ONCE) == 0 or len(rows) == len(chips)):
            np.save(kept, np.array(rows))
            sys.stderr.write(f"{len(rows)} of {len(chips)}\n")
    return np.array(rows, np.float32)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kept", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
