"""Whether these templates may become one person's. Pure: scores in, the reason against it out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import GalleryError

# Two pictures of one person agree when they would pass for a genuine comparison at this rate.
AGREEMENT_FMR = "1e-3"
# Two people look alike when a comparison of the two would be taken for genuine at this rate.
LOOKALIKE_FMR = "1e-4"


def check_agreement(scores: NDArray[np.float32], labels: Sequence[str], threshold: float) -> None:
    """Check that all pictures show one person.

    `scores` is float32 (k, k), each template against each; `labels` names the k pictures.
    Raises GalleryError that names the two that agree least if their score is not at or above
    `threshold`.
    """
    first, second = np.triu_indices(len(labels), k=1)
    if not len(first):
        return
    pairs = scores[first, second]
    # argmin finds a NaN first, and `not >=` refuses it.
    worst = int(np.argmin(pairs))
    if not pairs[worst] >= threshold:
        raise GalleryError(
            f"{labels[first[worst]]} and {labels[second[worst]]} do not look like one person"
            f" (score {pairs[worst]:.2f}, at least {threshold:.2f} is needed)",
            fix="leave one of them out, or use --force if you are sure",
        )


def check_own(scores: NDArray[np.float32], person_id: str, threshold: float) -> None:
    """Check that new pictures show the person who is enrolled as `person_id`.

    `scores` is float32 (k, n), each new template against each of that person's that count now.
    Raises GalleryError if none counts, or one of the new ones is below `threshold` for all.
    """
    if not scores.shape[1]:
        raise GalleryError(
            f"{person_id!r} does not count at this time, so nobody can say whether it is them",
            fix="change the dates with 'oneglance people edit' first, or use --force",
        )
    worst = scores.max(axis=1).min()
    if not worst >= threshold:
        raise GalleryError(
            f"a picture does not look like {person_id!r} (score {worst:.2f}, at least"
            f" {threshold:.2f} is needed)",
            fix="leave it out, or use --force if you are sure",
        )


def check_lookalike(
    scores: NDArray[np.float32], person_ids: Sequence[str], threshold: float
) -> None:
    """Check that nobody who is enrolled already would be taken for the new person.

    `scores` is float32 (k, n), the new templates against the gallery's; `person_ids` owns its n
    columns. Raises GalleryError that names the most alike person at or above `threshold`.
    """
    if not scores.size:
        return
    best = int(np.argmax(scores.max(axis=0)))
    score = scores[:, best].max()
    if not score < threshold:
        raise GalleryError(
            f"looks like {person_ids[best]!r}, who is enrolled already"
            f" (score {score:.2f}, the threshold is {threshold:.2f})",
            fix="If it is the same person, delete the old enrolment first; else use --force,"
            " and know that the door may take one for the other",
        )
