"""Teach the join of mobileface-2 made light, held near what it says of photographs, and judge it.

python benchmarks/join_light.py --faces lfw.npz --also celeba.npz --model DATA/mobileface-2 \
    --out join_light.npz [--kept values.npz] [--share 0.5] [--learning-rate 3e-4] [--epochs 16] \
    [--people N] [--seed N]

The join is the one linear layer from the trunks' values (1,024) to a template (256); the trunks
stay as they are, so a picture goes through them once and the training takes minutes. It learns from
the faces of folds 1-6 and of half of the people of --also, which known_faces.py found, and from two
copies of each, as doors drawn by chance (common_stretch.py) would show it: one by any of 1,000
doors, one by any of 600 that are dark or a studio. Whoever resembles somebody who is judged is left
out. It starts from the join of --model with its manifest's `common` directions taken out, and is
held near it. The loss is CosFace (Wang et al. 2018) on faces and copies, and the squared difference
of cosines from those that the start gives to the same photographs: of photographs with each other,
of copies with photographs, of copies with each other. What is kept is --share of the way from the
start to what was learned, which is a linear layer as well.

Judged are all pairs of folds 7-8 by cosine: on photographs, and at each door of domains.py with at
most two faces a person; and all pairs of the other half of --also. TAR is at thresholds of each
door's own strangers; "times the promise" is how often strangers match there at the thresholds from
photographs, as a multiple of the rate. The templates of --model stand beside, as they are and
without the `common` directions.

The values are kept in --kept, so that a run can be continued and other settings take minutes;
--people takes N people of each part, for a trial. --out holds `kernel` (values, 256) and `bias`: a
template is values @ kernel + bias, brought to length 1. pair_light.py makes a network of it. One
JSON object on stdout, a table and progress on stderr.
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
from domains import DOORS, PICTURES_A_PERSON, Change, Faces, Templates, read
from numpy.typing import NDArray
from tensorflow.lite.tools import flatbuffer_utils

from oneglance.converter.delegate import only
from oneglance.faces.calibration.door import settled
from oneglance.faces.calibration.setup import common_of
from oneglance.faces.evaluation.thresholds import all_pairs
from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.litert import interpreter_class
from oneglance.training.faces import siamese_training

_TRAIN, _CHECK = (1, 2, 3, 4, 5, 6), (7, 8)
_RATES = (1e-3, 1e-4, 1e-5)
# Where strangers match about as often as promised without any calibration.
_OTHERS = "photographs of the held-out half of --also"
_GOOD = ("photographs", "grey level", "JPEG 40", "faces of 48 px", _OTHERS)
# Of each face, one copy a row: what is kept of it, at how many doors, and their numbers among those
# of common_stretch.py, of which every eighth is a studio, and every eighth dark.
_COPIES: tuple[tuple[str, int, Callable[[int], int]], ...] = (
    ("copies", 1000, lambda number: number),
    ("dark and studio copies", 600, lambda number: 8 * number + (5 if number % 3 else 2)),
)
_FIRST_SEED = 101
_AT_ONCE, _BATCH = 32, 128
# Of a person in one epoch, so that nobody fills whole batches.
_MOST_OF_ONE = 6
# As the recipe siamese.toml has it: above this cosine, two people resemble each other.
_SCREEN = 0.55
_SCALE, _MARGIN = 32.0, 0.2
_CENTRES_LEARNING_RATE = 3e-3
# Of the squared distance from the shipped join, and of the mean squared difference of cosines.
_DECAY, _HOLD = 1e-3, 64.0


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
    trunks = trunks_of(arguments)
    common = common_of(load_model(arguments.model))
    judged = read(arguments, _CHECK, sys.maxsize, arguments.people)
    values = trunks.values("judged", lambda: judged.chips)
    views, people, held = _material(arguments, trunks)
    keep = _unlike(trunks, views, people, held, values)
    _say(f"learning from {keep.sum()} faces of {len(set(people[keep]))} people")
    start = _without(trunks.join, common)
    join = _trained(trunks, start, [view[keep] for view in views], people[keep], arguments)
    np.savez(arguments.out, kernel=join.kernel, bias=join.bias)
    ways: dict[str, Callable[[Templates], Templates]] = {
        "as they are": trunks.join.templates,
        "`common` taken out": lambda values: settled(trunks.join.templates(values), common),
        "join with light": join.templates,
    }
    seen = [("photographs", judged.people, values), *_at_doors(trunks, arguments)]
    seen.append((_OTHERS, list(people[held]), views[0][held]))
    told = {way: _judged(templates_of, seen) for way, templates_of in ways.items()}
    _say("| door | way | TAR at 1e-3; 1e-4; 1e-5 | times the promise |\n|---|---|---|---|")
    for door in told["as they are"]:
        for way, rows in told.items():
            tar = "; ".join(f"{100 * one:.2f}" for one in rows[door]["tar"])
            times = "; ".join(f"{one:.2g}" for one in rows[door]["times"])
            _say(f"| {door} | {way} | {tar} % | {times} |")
    about_it = {"taught": int(keep.sum()), "epochs": arguments.epochs, "share": arguments.share}
    json.dump(about_it | {"ways": told}, sys.stdout)


def trunks_of(arguments: argparse.Namespace) -> Trunks:
    """The trunks of --model, with what is kept in --kept."""
    files = f"{arguments.faces.name} and {arguments.also.name}"
    of = (arguments.model.name, files, arguments.people, arguments.seed)
    about = "{}, {}, people {}, seed {}".format(*of)
    return Trunks(arguments.model / "encoder-float32.tflite", arguments.kept, about)


def learned_from(
    arguments: argparse.Namespace, trunks: Trunks
) -> tuple[list[Templates], NDArray[np.str_]]:
    """Values (n, k) of the photographs and of each kind of copies, and whose they are (n,)."""
    judged = read(arguments, _CHECK, sys.maxsize, arguments.people)
    views, people, held = _material(arguments, trunks)
    keep = _unlike(trunks, views, people, held, trunks.values("judged", lambda: judged.chips))
    return [view[keep] for view in views], people[keep]


def _material(
    arguments: argparse.Namespace, trunks: Trunks
) -> tuple[list[Templates], NDArray[np.str_], NDArray[np.bool_]]:
    """Values of photographs and copies, whose they are, and which are of the held-out half."""
    taught = read(arguments, _TRAIN, sys.maxsize, arguments.people)
    other = read(_with(arguments, faces=arguments.also), (0,), sys.maxsize, arguments.people)
    parts = [
        _views(trunks, name, faces, arguments.seed + at)
        for at, (name, faces) in enumerate((("taught", taught), ("also", other)))
    ]
    views = [np.concatenate(alike) for alike in zip(*parts, strict=True)]
    people = np.array([*taught.people, *(f"{arguments.also.stem}/{one}" for one in other.people)])
    return views, people, np.concatenate([np.zeros(len(taught.people), bool), _half(other.people)])


def _unlike(
    trunks: Trunks,
    views: list[Templates],
    people: NDArray[np.str_],
    held: NDArray[np.bool_],
    judged: Templates,
) -> NDArray[np.bool_]:
    """Which faces (n,) to learn from: of nobody who is judged or resembles one who is."""
    blank = np.empty((0, 0, 0, 3), np.uint8)
    return ~held & siamese_training.unseen(
        siamese_training.Faces(blank, blank, tuple(people)),
        trunks.join.templates(views[0]),
        trunks.join.templates(np.concatenate([judged, views[0][held]])),
        _SCREEN,
    )


def _with(arguments: argparse.Namespace, **changed: object) -> argparse.Namespace:
    return argparse.Namespace(**(vars(arguments) | changed))


def _half(people: list[str]) -> NDArray[np.bool_]:
    """Which faces (n,) are of the half of these people that is held out."""
    names, whose = np.unique(people, return_inverse=True)
    return np.asarray((np.random.default_rng(21).random(len(names)) < 0.5)[whose])


def _without(join: Join, common: Templates) -> Join:
    """The join whose templates have no part along the directions (k, d), which are of length 1."""
    away = np.eye(join.kernel.shape[1]) - common.T.astype(float) @ common
    return Join(join.kernel @ away, join.bias @ away)


def _views(trunks: Trunks, name: str, faces: Faces, seed: int) -> list[Templates]:
    """Values of the faces and of each kind of copies."""
    views = [trunks.values(name, lambda: faces.chips)]
    for at, (kind, count, number_of) in enumerate(_COPIES):
        drawn_with = _FIRST_SEED + seed + 4 * at
        doors = [drawn(number_of(number), drawn_with)[1] for number in range(count)]
        made = partial(_copies, faces, doors, drawn_with)
        views.append(trunks.values(f"{kind} of {name}", made))
    return views


def _copies(faces: Faces, doors: list[Change], seed: int) -> NDArray[np.uint8]:
    """Each face once more, at a door that is dealt out by chance."""
    dealt = np.random.default_rng(seed).integers(0, len(doors), len(faces.people))
    shown = zip(faces.chips, faces.points, dealt, strict=True)
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
    before: Join,
    views: list[Templates],
    people: NDArray[np.str_],
    arguments: argparse.Namespace,
) -> Join:
    """The join `before`, trained on photographs and copies (n, k), `views`, of people (n,)."""
    # One trunk's values are much longer; each is brought to a mean length of 1.
    parts = np.split(views[0], np.cumsum(trunks.widths)[:-1], axis=1)
    means = [np.linalg.norm(part, axis=1).mean() for part in parts]
    scale = np.repeat([1 / mean for mean in means], trunks.widths)
    ones = np.ones((len(people), 1))
    rows = [np.concatenate([view * scale, ones], axis=1).astype(np.float32) for view in views]
    start = np.concatenate([before.kernel / scale[:, np.newaxis], before.bias[np.newaxis]])
    start /= np.linalg.norm(rows[0] @ start, axis=1).mean()
    wanted = before.templates(views[0])
    who = np.unique(people, return_inverse=True)[1]
    sums = np.zeros((who.max() + 1, start.shape[1]))
    np.add.at(sums, who, wanted)
    base = tf.constant(start, tf.float32)
    change, centres = tf.Variable(tf.zeros_like(base)), tf.Variable(sums.astype(np.float32))
    centres.assign(tf.math.l2_normalize(centres, 1))
    generator = np.random.default_rng(arguments.seed)
    steps = len(_epoch(who, generator)) // _BATCH * arguments.epochs
    falling = keras.optimizers.schedules.CosineDecay
    of_join = keras.optimizers.Adam(falling(arguments.learning_rate, steps))
    of_centres = keras.optimizers.Adam(falling(_CENTRES_LEARNING_RATE, steps))

    @tf.function(reduce_retracing=True)
    def step(clean: tf.Tensor, copies: tf.Tensor, own: tf.Tensor, held: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            photographs, made = (
                tf.math.l2_normalize(seen @ (base + change), 1) for seen in (clean, copies)
            )
            hot = tf.one_hot(own, len(sums))
            middles = tf.transpose(tf.math.l2_normalize(centres, 1))
            loss = _DECAY * tf.reduce_sum(change * change)
            for templates in (photographs, made):
                logits = _SCALE * (templates @ middles - _MARGIN * hot)
                loss += tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(hot, logits)) / 2
            before = held @ tf.transpose(held)
            for one, two in ((photographs, photographs), (made, photographs), (made, made)):
                loss += _HOLD * tf.reduce_mean((one @ tf.transpose(two) - before) ** 2)
        slopes = tape.gradient(loss, [change, centres])
        of_join.apply_gradients([(slopes[0], change)])
        of_centres.apply_gradients([(slopes[1], centres)])
        return loss

    for epoch in range(arguments.epochs):
        order = _epoch(who, generator)
        which = generator.integers(1, len(rows), len(people))
        losses = []
        # Without the rest that fills no batch.
        for some in np.split(order[: len(order) // _BATCH * _BATCH], len(order) // _BATCH):
            copies = np.stack([rows[which[row]][row] for row in some])
            losses.append(
                float(step(rows[0][some], copies, who[some].astype(np.int32), wanted[some]))
            )
        _say(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}")
    learned = start + arguments.share * change.numpy()
    return Join(learned[:-1] * scale[:, np.newaxis], learned[-1])


def _epoch(who: NDArray[np.intp], generator: np.random.Generator) -> NDArray[np.intp]:
    """Rows in an order by chance in which a person's stand together, and of nobody too many."""
    rows = generator.permutation(len(who))
    turn = generator.permutation(int(who.max()) + 1)
    rows = rows[np.argsort(turn[who[rows]], kind="stable")]
    first = np.r_[True, who[rows[1:]] != who[rows[:-1]]]
    count = np.arange(len(rows))
    return np.asarray(rows[count - np.maximum.accumulate(np.where(first, count, 0)) < _MOST_OF_ONE])


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
    parser.add_argument("--also", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--people", type=int)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
