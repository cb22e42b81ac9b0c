"""Lake's one-shot classification and Koch's verification, from templates alone.

Lake, Salakhutdinov, Tenenbaum, Human-level concept learning through probabilistic program
induction, Science 350, 2015: 20 runs, in each 20 characters of one alphabet drawn once by one
person, and once more by another: which is which? Koch, Zemel, Salakhutdinov, Siamese neural
networks for one-shot image recognition, 2015, report 92.0 % of these 400 trials.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError, ImageError
from oneglance.faces.drawings.drawing_model import read_drawing
from oneglance.faces.pictures import Pictures

# Scores (p, n) of probes, and of gallery drawings, both uint8 (_, 105, 105).
Score = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]

_LABELS = "class_labels.txt"
_EVALUATION = re.compile(r"(?:.*/)?images_evaluation/([^/]+)/([^/]+)/[^/]+_(\d+)\.png")


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Probes uint8 (p, 105, 105), gallery uint8 (n, 105, 105), the gallery row of each probe."""

    name: str
    probes: NDArray[np.uint8]
    gallery: NDArray[np.uint8]
    answers: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class DrawingPairs:
    """Drawings uint8 (n, 105, 105); pairs of their rows int (m, 2); which pairs are the same."""

    drawings: NDArray[np.uint8]
    rows: NDArray[np.int64]
    same: NDArray[np.bool_]


def read_runs(source: Path) -> list[Run]:
    """The runs of omniglot_all_runs.zip, or of the folder it unpacks to.

    Raises ImageError for pictures that are missing or unreadable, ConfigError for labels that do
    not fit or if there is no run.
    """
    files = Pictures(source, (".png", ".txt"))
    try:
        labels = [name for name in files.names if name.rsplit("/", 1)[-1] == _LABELS]
        if not labels:
            raise ConfigError(
                f"no run in it: there is no {_LABELS}",
                where=str(source),
                fix="name Lake's omniglot_all_runs.zip",
            )
        return [_read_run(files, name) for name in labels]
    finally:
        files.close()


def one_shot_figures(runs: Sequence[Run], score: Score) -> dict[str, float | int]:
    """Share of probes whose most alike gallery drawing is the right one, each probe on its own.

    A tie counts as wrong. `accuracy_se` is the binomial standard error over all trials. As runs
    share alphabets and drawers, `accuracy_se_runs`, the standard error of the mean of several
    runs, is given beside it.
    """
    right = [_right(score(run.probes, run.gallery), run.answers) for run in runs]
    every = np.concatenate(right)
    accuracy = float(every.mean())
    figures: dict[str, float | int] = {
        "accuracy": accuracy,
        "accuracy_se": float(np.sqrt(accuracy * (1 - accuracy) / len(every))),
        "trials": len(every),
        "ways": max(len(run.gallery) for run in runs),
        "runs": len(runs),
    }
    if len(runs) > 1:
        by_run = np.array([one.mean() for one in right])
        figures["accuracy_se_runs"] = float(by_run.std(ddof=1) / np.sqrt(len(runs)))
    return figures


def read_pairs_of_drawings(source: Path, pairs: int, seed: int) -> DrawingPairs:
    """`pairs` random pairs of the evaluation alphabets of omniglot.zip, half of them the same.

    As in Koch's paper: both drawings come from one alphabet and from two drawers; a different
    pair shows two characters. Raises ImageError, or ConfigError without evaluation alphabets.
    """
    files = Pictures(source)
    try:
        found = [(m, name) for name in files.names if (m := _EVALUATION.fullmatch(name))]
        if not found:
            raise ConfigError(
                "no images_evaluation in it", where=str(source), fix="name the whole omniglot.zip"
            )
        by_place = {(m[1], m[2], int(m[3])): name for m, name in found}
        chosen, same = _draw_pairs(by_place, pairs, np.random.default_rng(seed))
        names = sorted({name for pair in chosen for name in pair})
        row = {name: number for number, name in enumerate(names)}
        drawings = np.stack([read_drawing(files.read(n), f"{source}:{n}") for n in names])
    finally:
        files.close()
    rows = np.array([(row[a], row[b]) for a, b in chosen], np.int64)
    return DrawingPairs(drawings, rows, same)


def verification_figures(
    scores: NDArray[np.floating], same: NDArray[np.bool_], threshold: float
) -> dict[str, float | int]:
    """Share of pairs that the threshold, fitted elsewhere, decides rightly."""
    right = (scores >= threshold) == same
    accuracy = float(right.mean())
    return {
        "verification_accuracy": accuracy,
        "verification_accuracy_se": float(np.sqrt(accuracy * (1 - accuracy) / len(right))),
        "verification_pairs": len(right),
        "verification_threshold": threshold,
    }


def _right(scores: NDArray[np.float32], answers: NDArray[np.int64]) -> NDArray[np.bool_]:
    own = scores[np.arange(len(scores)), answers]
    others = scores.copy()
    others[np.arange(len(scores)), answers] = -np.inf
    return np.asarray(own > others.max(1), np.bool_)


def _read_run(files: Pictures, labels_name: str) -> Run:
    where = f"{files.source}:{labels_name}"
    try:
        lines = files.read(labels_name).decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ConfigError("not text", where=where, fix="restore the file") from error
    pairs = [line.split() for line in lines if line.strip()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ConfigError("a line is not: probe picture, class picture", where=where)
    # The labels name pictures as runNN/..., wherever that folder lies.
    folder = labels_name.rsplit("/", 1)[0]
    above = folder[: -len(folder.rsplit("/", 1)[-1])]
    gallery = sorted({right for _, right in pairs})
    read = {
        name: read_drawing(files.read(above + name), f"{files.source}:{above + name}")
        for name in {*gallery, *(left for left, _ in pairs)}
    }
    return Run(
        name=folder.rsplit("/", 1)[-1],
        probes=np.stack([read[left] for left, _ in pairs]),
        gallery=np.stack([read[name] for name in gallery]),
        answers=np.array([gallery.index(right) for _, right in pairs], np.int64),
    )


def _draw_pairs(
    by_place: dict[tuple[str, str, int], str], count: int, generator: np.random.Generator
) -> tuple[list[tuple[str, str]], NDArray[np.bool_]]:
    alphabets: dict[str, set[str]] = {}
    for alphabet, character, _ in by_place:
        alphabets.setdefault(alphabet, set()).add(character)
    characters = {name: sorted(found) for name, found in sorted(alphabets.items())}
    drawers = sorted({drawer for *_, drawer in by_place})
    if len(drawers) < 2 or any(len(found) < 2 for found in characters.values()):
        raise ConfigError("pairs need two drawers, and two characters in each alphabet")
    names = list(characters)
    same = np.arange(count) % 2 == 0
    chosen = []
    for alike in same:
        alphabet = names[generator.integers(len(names))]
        first, second = generator.choice(characters[alphabet], 2, replace=False)
        one, other = generator.choice(drawers, 2, replace=False)
        places = ((alphabet, first, one), (alphabet, first if alike else second, other))
        try:
            a, b = (by_place[alphabet, str(c), int(d)] for alphabet, c, d in places)
        except KeyError as error:
            raise ImageError(f"a drawing is missing: {error}", fix="restore the file") from error
        chosen.append((a, b))
    return chosen, same
