"""Train the join of mobileface-2 with copies of faces under made light, and judge it at made doors.

python benchmarks/join_light.py --faces lfw.npz --out join_light.npz [--kept values.npz] \
    [--learning-rate 3e-4] [--epochs 5] [--model DIR] [--people N] [--seed N]

The join is the one linear layer from the trunks' values (1,024) to a template (256); the trunks
stay as they are, so a picture goes through them once and the training takes minutes. It learns by
CosFace (Wang et al. 2018) from the faces of folds 1-6 that known_faces.py found, and from one copy
of each as one of 200 doors drawn by chance (common_stretch.py) would show it. Whoever resembles
somebody of folds 7-8 is left out. It starts from the shipped join and is held near it.

Judged are all pairs of folds 7-8 by cosine: on photographs, and at each door of domains.py with at
most two faces a person. TAR is at thresholds of each door's own strangers; "times the promise" is
how often strangers match there at the thresholds from photographs, as a multiple of the rate. The
shipped templates stand beside, as they are and without the manifest's `common` directions.

The values are kept in --kept, so that a run can be continued and other settings take a minute;
--people takes N people of either part, for a trial. --out holds `kernel` (values, 256) and `bias`:
a template is values @ kernel + bias, brought to length 1. Thresholds, head, directions and
everybody enrolled belong to the old join: to ship another, all have to be made anew. One JSON
object on stdout, a table and progress on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf
from common_stretch import drawn
from domains import DOORS, PICTURES_A_PERSON, Faces, Templates, read
from numpy.typing import NDArray
from tensorflow.lite.tools import flatbuffer_utils

from oneglance.converter.delegate import only
from oneglance.faces.calibration.door import settled
from oneglance.faces.calibration.setup import common_of
from oneglance.faces.evaluation.thresholds import all_pairs
from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.litert import interpreter_class
from oneglance.models import default_model_dir
from oneglance.training.faces import siamese_training

_TRAIN, _CHECK = (1, 2, 3, 4, 5, 6), (7, 8)
_RATES = (1e-3, 1e-4, 1e-5)
# Where strangers match about as often as promised without any calibration.
_GOOD = ("photographs", "grey level", "JPEG 40", "faces of 48 px")
_COPY_DOORS = 200
_AT_ONCE, _BATCH = 32, 256
# As the recipe siamese.toml has it: above this cosine, two people resemble each other.
_SCREEN = 0.55
_SCALE, _MARGIN = 32.0, 0.2
_CENTRES_LEARNING_RATE = 3e-3
# Of the squared distance from the shipped join.
_DECAY = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Join:
    """A template is values (n, k) @ `kernel` (k, d) + `bias` (d,), brought to length 1."""

    kernel: NDArray[np.float64]
    bias: NDArray[np.float64]

    def templates(self, values: Templates) -> Templates:
        """Templates float32 (n, d)."""
        rows = values @ self.kernel + self.bias
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


class Trunks:
    """The shipped encoder, cut before its join; what it has said is kept in a file."""

    def __init__(self, encoder: Path, kept: Path | None, about: str) -> None:
        net = flatbuffer_utils.read_model_from_bytearray(
            bytearray(only(encoder.read_bytes(), "encode"))
        )
        graph, (signature,) = net.subgraphs[0], net.signatureDefs
        named = [flatbuffer_utils.opcode_to_name(net, op.opcodeIndex) for op in graph.operators]
        last = len(named) - 1 - named[::-1].index("CONCATENATION")
        ends, join = graph.operators[last : last + 2]
        kernel, bias = (
            np.frombuffer(net.buffers[graph.tensors[at].buffer].data.tobytes(), "<f4")
            for at in join.inputs[1:]
        )
        self.widths = [int(graph.tensors[at].shape[-1]) for at in ends.inputs]
        self.join = Join(kernel.reshape(len(bias), -1).T.astype(float), bias.astype(float))
        graph.outputs = [int(ends.outputs[0])]
        signature.outputs[0].tensorIndex, signature.outputs[0].name = graph.outputs[0], b"ends"
        content = bytes(flatbuffer_utils.convert_object_to_bytearray(net))
        self._net = interpreter_class()(model_content=content, num_threads=1)
        self._file, self._kept = kept, {"about": np.array(about)}
        if kept is not None and kept.exists():
            with np.load(kept) as before:
                self._kept = dict(before)
            if str(self._kept["about"]) != about:
                raise SystemExit(f"{kept} is of {self._kept['about']}, not of {about}")

    def values(self, name: str, chips: Callable[[], NDArray[np.uint8]]) -> Templates:
        """Values (n, k) of chips uint8 (n, 112, 112, 3), which are made only if they are needed."""
        if name not in self._kept:
            run, shown = self._net.get_signature_runner("encode"), chips()
            parts = [
                run(chips=np.ascontiguousarray(shown[at : at + _AT_ONCE]))["ends"]
                for at in range(0, len(shown), _AT_ONCE)
            ]
            self._kept[name] = np.concatenate(parts).reshape(len(shown), -1)
            if self._file is not None:
                np.savez(self._file, **self._kept)
            _say(f"{name}: {len(shown)} pictures went through the trunks")
        return self._kept[name]


def main() -> None:
    """Train, write, judge."""
    arguments = _arguments()
    cv2.setNumThreads(1)
    keras.utils.set_random_seed(arguments.seed)
    of = (arguments.model.name, arguments.faces.name, arguments.people, arguments.seed)
    about = "{}, {}, people {}, seed {}".format(*of)
    trunks = Trunks(arguments.model / "encoder-float32.tflite", arguments.kept, about)
    judged = read(arguments, _CHECK, sys.maxsize, arguments.people)
    values = trunks.values("judged", lambda: judged.chips)
    taught = read(arguments, _TRAIN, sys.maxsize, arguments.people)
    clean = trunks.values("taught", lambda: taught.chips)
    copies = trunks.values("copies", lambda: _copies(taught, arguments.seed))
    keep = siamese_training.unseen(
        siamese_training.Faces(taught.chips, taught.chips, tuple(taught.people)),
        trunks.join.templates(clean),
        trunks.join.templates(values),
        _SCREEN,
    )
    people = np.array(taught.people)[keep]
    _say(f"learning from {len(people)} faces of {len(set(people))} people")
    join = _trained(trunks, clean[keep], copies[keep], people, arguments)
    np.savez(arguments.out, kernel=join.kernel, bias=join.bias)
    common = common_of(load_model(arguments.model))
    ways: dict[str, Callable[[Templates], Templates]] = {
        "as they are": trunks.join.templates,
        "`common` taken out": lambda values: settled(trunks.join.templates(values), common),
        "join with light": join.templates,
    }
    seen = [("photographs", judged.people, values), *_at_doors(trunks, arguments)]
    told = {way: _judged(templates_of, seen) for way, templates_of in ways.items()}
    _say("| door | way | TAR at 1e-3; 1e-4; 1e-5 | times the promise |\n|---|---|---|---|")
    for door in told["as they are"]:
        for way, rows in told.items():
            tar = "; ".join(f"{100 * one:.1f}" for one in rows[door]["tar"])
            times = "; ".join(f"{one:.2g}" for one in rows[door]["times"])
            _say(f"| {door} | {way} | {tar} % | {times} |")
    json.dump({"taught": len(people), "epochs": arguments.epochs, "ways": told}, sys.stdout)


def _copies(taught: Faces, seed: int) -> NDArray[np.uint8]:
    """Each face once more, at a door that is dealt out by chance."""
    doors = [drawn(number, seed)[1] for number in range(_COPY_DOORS)]
    dealt = np.random.default_rng(seed).integers(0, _COPY_DOORS, len(taught.people))
    shown = zip(taught.chips, taught.points, dealt, strict=True)
    return np.stack(
        [
            doors[door](chip, points, np.random.default_rng([seed, number]))
            for number, (chip, points, door) in enumerate(shown)
        ]
    )


def _at_doors(
    trunks: Trunks, arguments: argparse.Namespace
) -> Iterator[tuple[str, list[str], Templates]]:
    faces = read(arguments, _CHECK, PICTURES_A_PERSON, arguments.people)
    for name, change in DOORS.items():
        if name != "photographs":
            shown = partial(faces.seen, name, change, arguments.seed)
            yield name, faces.people, trunks.values(name, shown)


def _trained(
    trunks: Trunks,
    clean: Templates,
    copies: Templates,
    people: NDArray[np.str_],
    arguments: argparse.Namespace,
) -> Join:
    """The shipped join, trained on by CosFace on faces and their copies (n, k) of people (n,)."""
    # One trunk's values are much longer; each is brought to a mean length of 1.
    parts = np.split(clean, np.cumsum(trunks.widths)[:-1], axis=1)
    means = [np.linalg.norm(part, axis=1).mean() for part in parts]
    scale = np.repeat([1 / mean for mean in means], trunks.widths)
    ones = np.ones((2 * len(clean), 1))
    x = np.concatenate([np.concatenate([clean, copies]) * scale, ones], axis=1).astype(np.float32)
    start = np.concatenate(
        [trunks.join.kernel / scale[:, np.newaxis], trunks.join.bias[np.newaxis]]
    )
    start /= np.linalg.norm(x[: len(clean)] @ start, axis=1).mean()
    who = np.unique(people, return_inverse=True)[1]
    y = np.concatenate([who, who])
    sums = np.zeros((who.max() + 1, start.shape[1]))
    np.add.at(sums, who, trunks.join.templates(clean))
    base = tf.constant(start, tf.float32)
    change, centres = tf.Variable(tf.zeros_like(base)), tf.Variable(sums.astype(np.float32))
    centres.assign(tf.math.l2_normalize(centres, 1))
    of_join = keras.optimizers.Adam(arguments.learning_rate)
    of_centres = keras.optimizers.Adam(_CENTRES_LEARNING_RATE)

    @tf.function(reduce_retracing=True)
    def step(rows: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            templates = tf.math.l2_normalize(rows @ (base + change), 1)
            cosines = templates @ tf.transpose(tf.math.l2_normalize(centres, 1))
            hot = tf.one_hot(own, len(sums))
            logits = _SCALE * (cosines - _MARGIN * hot)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(hot, logits))
            loss += _DECAY * tf.reduce_sum(change * change)
        slopes = tape.gradient(loss, [change, centres])
        of_join.apply_gradients([(slopes[0], change)])
        of_centres.apply_gradients([(slopes[1], centres)])
        return loss

    generator, size = np.random.default_rng(arguments.seed), min(_BATCH, len(x))
    for epoch in range(arguments.epochs):
        order = generator.permutation(len(x))
        # Without the rest that fills no batch.
        batches = np.split(order[: len(x) // size * size], len(x) // size)
        losses = [float(step(x[rows], y[rows].astype(np.int32))) for rows in batches]
        _say(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}")
    learned = start + change.numpy()
    return Join(learned[:-1] * scale[:, np.newaxis], learned[-1])


def _judged(
    templates_of: Callable[[Templates], Templates], seen: list[tuple[str, list[str], Templates]]
) -> dict[str, Any]:
    """TAR and times the promise at each door, and the means over the bad ones."""
    rows: dict[str, Any] = {}
    promised: list[float] = []
    for name, people, values in seen:
        genuine, impostor = all_pairs(templates_of(values), people, lambda a, b: a @ b.T)
        falling = np.sort(impostor)[::-1]
        own = [float(falling[max(int(rate * len(falling)), 1) - 1]) for rate in _RATES]
        promised = promised or own
        rows[name] = {
            "pairs": [len(genuine), len(impostor)],
            "tar": [float(np.mean(genuine >= threshold)) for threshold in own],
            "times": [
                float(np.mean(impostor >= threshold)) / rate
                for rate, threshold in zip(_RATES, promised, strict=True)
            ],
        }
    bad = [row for name, row in rows.items() if name not in _GOOD]
    times = np.maximum([row["times"] for row in bad], 1e-2)
    rows["bad doors"] = {
        "tar": np.mean([row["tar"] for row in bad], axis=0).tolist(),
        "times": np.exp(np.log(times).mean(0)).tolist(),
    }
    return rows


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--model", type=Path, default=default_model_dir())
    parser.add_argument("--people", type=int)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
