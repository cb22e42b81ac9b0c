"""Score every picture of known people against every other: millions of impostor pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError, ImageError
from oneglance.faces.evaluation import metrics, thresholds
from oneglance.faces.evaluation.figures import Comparisons, ScoredPair, WorstPairs, figures_of
from oneglance.faces.evaluation.paired import every_pair
from oneglance.faces.evaluation.readings import Reading, slices_of
from oneglance.faces.model.face_model import FaceModel


def compare_all(
    person_of: Mapping[str, str],
    templates: Mapping[str, NDArray[np.float32]],
    model: FaceModel,
    worst: int,
) -> tuple[Comparisons, WorstPairs]:
    """The scores of all pairs among `templates` of named pictures, and the worst of them.

    `person_of` says who is on each picture, also on those without a template. Raises ImageError
    if there is no genuine or no impostor pair.
    """
    names = sorted(person_of.keys() & templates.keys(), key=lambda name: (person_of[name], name))
    people = [person_of[name] for name in names]
    if not 2 <= len(set(people)) < len(people):
        raise ImageError(
            f"{len(names)} faces of {len(set(people))} people make no "
            + ("impostor pair" if len(set(people)) < 2 else "genuine pair"),
            fix="name two people at least, and two pictures at least of one of them",
        )
    genuine, impostor = thresholds.all_pairs(
        np.stack([templates[name] for name in names]), people, model.compare
    )
    counts = Counter(person_of.values()).values()
    genuine_pairs = sum(count * (count - 1) // 2 for count in counts)
    all_pairs = len(person_of) * (len(person_of) - 1) // 2
    made = Comparisons(
        genuine, impostor, genuine_pairs, all_pairs - genuine_pairs, every_pair(names, people)
    )

    def named(scores: NDArray[np.float32], *, same: bool) -> list[ScoredPair]:
        positions = metrics.worst(scores, worst, lowest=same)
        places = thresholds.places_of(positions, people, same=same)
        return [
            ScoredPair(names[a], names[b], float(scores[position]))
            for position, (a, b) in zip(positions, places, strict=True)
        ]

    return made, WorstPairs(named(genuine, same=True), named(impostor, same=False))


def report_all(
    made: Comparisons, person_of: Mapping[str, str], reading: Reading, model: FaceModel
) -> dict[str, Any]:
    """Every figure of an evaluation of all pairs, ready for JSON.

    `accuracy` is the mean of the shares of genuine and of impostor pairs that the model's own
    threshold judges right (else the many impostor pairs would be all that counts); a pair with a
    picture in which no face was found is wrong. `accuracy_se` is binomial, over pairs taken as
    independent. Raises ConfigError if the model has no threshold.
    """
    shipped = model.manifest.accuracy_threshold
    if shipped is None:
        raise ConfigError(
            "the model has no threshold of its own",
            where=model.model_id,
            fix="fit the model's thresholds, or give --pairs of two folds or more",
        )
    accepted = metrics.match_rate(made.genuine, shipped) * len(made.genuine) / made.genuine_pairs
    refused = 1 - metrics.match_rate(made.impostor, shipped)
    refused *= len(made.impostor) / made.impostor_pairs
    balanced = (accepted + refused) / 2
    missed = reading.missed
    variance = accepted * (1 - accepted) / made.genuine_pairs
    variance += refused * (1 - refused) / made.impostor_pairs
    return {
        "protocol": "all pairs",
        "accuracy": balanced,
        "accuracy_se": float(np.sqrt(variance)) / 2,
        "threshold": shipped,
        **figures_of(made, model.manifest),
        "people": len(set(person_of.values())),
        "images": len(person_of),
        "failure_to_acquire": len(missed) / len(person_of),
        "not_acquired": missed,
        "slices": slices_of(made, reading, shipped),
        "accuracy_at_shipped_threshold": balanced,
    }
