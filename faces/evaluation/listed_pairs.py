"""Measure the door's own detector, aligner, encoder and head on labelled pairs of pictures."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError, ImageError
from oneglance.faces.evaluation import metrics
from oneglance.faces.evaluation.figures import Comparisons, ScoredPair, WorstPairs, figures_of
from oneglance.faces.evaluation.paired import PairedPictures, people_of_pairs
from oneglance.faces.evaluation.readings import Reading, slices_of
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.pictures import Pictures

COLUMNS = ("fold", "image_a", "image_b", "same")
# A fold must fit into 64 bits.
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures by name, whether one person is on both, and the fold they belong to."""

    fold: int
    image_a: str
    image_b: str
    same: bool


def read_pairs(path: Path, known: Pictures) -> list[Pair]:
    """The pairs of a CSV file with columns fold,image_a,image_b,same (1 or 0).

    Raises ConfigError for a file that is not of this shape, ImageError for a picture that `known`
    does not hold; both name the line.
    """
    fix = "use the columns fold,image_a,image_b,same, e.g. 1,Ann/1.jpg,Ann/2.jpg,1"
    pairs = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, None)
            if header is None or tuple(header) != COLUMNS:
                found = "nothing" if header is None else ",".join(header)
                raise ConfigError(f"the header is {found}", where=f"{path}:1", fix=fix)
            for row in reader:
                where = f"{path}:{reader.line_num}"
                pairs.append(_pair(row, where, fix))
                for name in row[1:3]:
                    if name not in known:
                        raise ImageError(
                            f"{known.source} has no picture {name!r}",
                            where=where,
                            fix="correct the name, or name the right pictures with --images",
                        )
    except OSError as error:
        raise ConfigError(
            f"cannot read it: {error.strerror}", where=str(path), fix="check the path"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"not a CSV file in UTF-8: {error}", where=str(path), fix=fix) from error
    if not pairs:
        raise ConfigError("the file has no pairs", where=str(path), fix=fix)
    return pairs


def _pair(row: Sequence[str], where: str, fix: str) -> Pair:
    if len(row) != len(COLUMNS):
        raise ConfigError(f"{len(row)} fields instead of 4", where=where, fix=fix)
    fold, image_a, image_b, same = row
    if not fold.isdecimal() or len(fold) > _MOST_DIGITS:
        shown = fold if len(fold) <= _MOST_DIGITS else f"{fold[:_MOST_DIGITS]}..."
        raise ConfigError(f"fold is {shown!r}, not a whole number", where=where, fix=fix)
    if same not in ("0", "1"):
        raise ConfigError(f"same is {same!r}, neither 1 nor 0", where=where, fix=fix)
    return Pair(int(fold), image_a, image_b, same == "1")


def score_pairs(
    pairs: Sequence[Pair], templates: Mapping[str, NDArray[np.float32]], model: FaceModel
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores (n,) of pairs, and which (n,) had a face on both pictures; other scores are NaN."""
    scores = np.full(len(pairs), np.nan)
    for place, pair in enumerate(pairs):
        a, b = templates.get(pair.image_a), templates.get(pair.image_b)
        if a is not None and b is not None:
            scores[place] = model.compare(a[None], b[None])[0, 0]
    return scores, ~np.isnan(scores)


def report(
    pairs: Sequence[Pair],
    scores: NDArray[np.float64],
    reading: Reading,
    model: FaceModel,
) -> dict[str, Any]:
    """Every figure of an evaluation, ready for JSON.

    `accuracy` follows the fold protocol, a pair with a picture in which no face was found being
    wrong; with a single fold its threshold is the manifest's. `accuracy_se` is the binomial
    standard error. The other figures are those of `figures_of` and `slices_of`.
    """
    acquired = ~np.isnan(scores)
    if not acquired.any():
        raise ImageError(
            "no pair has a face on both of its pictures",
            fix="give pictures of faces, from the front",
        )
    same = np.array([pair.same for pair in pairs])
    folds = np.array([pair.fold for pair in pairs])
    shipped = model.manifest.accuracy_threshold
    if len(np.unique(folds)) > 1:
        try:
            by_fold, thresholds = metrics.fold_accuracies(scores, same, folds, acquired)
        except ValueError as error:
            raise ImageError(str(error), fix="give pairs that can be read in each fold") from error
        threshold = float(thresholds.mean())
        correct = float(np.average(by_fold, weights=[np.sum(folds == n) for n in np.unique(folds)]))
    elif shipped is not None:
        threshold, correct = shipped, metrics.accuracy(scores, same, acquired, shipped)
    else:
        raise ConfigError(
            "one fold only, and the model has no threshold of its own",
            where=model.model_id,
            fix="give pairs of two folds or more, or fit the model's thresholds",
        )
    made = comparisons(pairs, scores)
    images, missed = len(reading.pictures), reading.missed
    return {
        "protocol": "folds" if len(np.unique(folds)) > 1 else "one fold",
        "accuracy": correct,
        "accuracy_se": float(np.sqrt(correct * (1 - correct) / len(pairs))),
        "threshold": threshold,
        **figures_of(made, model.manifest),
        "folds": len(np.unique(folds)),
        "images": images,
        "failure_to_acquire": len(missed) / images,
        "not_acquired": missed,
        "slices": slices_of(made, reading, shipped),
        "accuracy_at_shipped_threshold": (
            None if shipped is None else metrics.accuracy(scores, same, acquired, shipped)
        ),
    }


def comparisons(pairs: Sequence[Pair], scores: NDArray[np.float64]) -> Comparisons:
    """The scores of pairs by kind; those that were not acquired (NaN) are counted only.

    Who is in a picture is known only as far as genuine pairs link it with others.
    """
    same = np.array([pair.same for pair in pairs])
    acquired = ~np.isnan(scores)
    names = sorted({name for pair in pairs for name in (pair.image_a, pair.image_b)})
    place = {name: number for number, name in enumerate(names)}
    places = np.array([(place[p.image_a], place[p.image_b]) for p in pairs], np.int32)
    return Comparisons(
        scores[acquired & same],
        scores[acquired & ~same],
        int(same.sum()),
        int((~same).sum()),
        PairedPictures(
            tuple(names),
            places[acquired & same],
            places[acquired & ~same],
            people_of_pairs(len(names), places[same].tolist()),
        ),
    )


def worst_pairs(pairs: Sequence[Pair], scores: NDArray[np.float64], count: int) -> WorstPairs:
    """The acquired genuine pairs that score lowest, the impostor pairs that score highest."""
    same = np.array([pair.same for pair in pairs])

    def named(kind: NDArray[np.bool_], *, lowest: bool) -> list[ScoredPair]:
        places = np.flatnonzero(kind & ~np.isnan(scores))
        chosen = places[metrics.worst(scores[places], count, lowest=lowest)]
        return [ScoredPair(pairs[n].image_a, pairs[n].image_b, float(scores[n])) for n in chosen]

    return WorstPairs(named(same, lowest=True), named(~same, lowest=False))
