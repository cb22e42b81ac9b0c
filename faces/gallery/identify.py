"""Who in the gallery is most like a probe: exact, and cheap in a gallery of any size."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.gallery.codes import Codes, L1Head
from oneglance.faces.gallery.person import Snapshot

# Below this, comparing with everybody costs less than a tenth of an encoder pass or so.
_CODED_FROM = 2048
# So many nearest codes are compared first: on most probes this proves the answer.
_COMPARED = 256


class Comparer(Protocol):
    """Something that compares templates: scores (p, n) of probes (p, d) with templates (n, d)."""

    def compare(
        self, probes: NDArray[np.float32], templates: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Scores, higher = more alike."""


def with_codes(snapshot: Snapshot, head: L1Head | None) -> Snapshot:
    """The same gallery made fast to search, if it is large and the model's head allows it.

    Takes about a second for 100,000 templates.
    """
    if head is None or len(snapshot.templates) < _CODED_FROM:
        return snapshot
    return replace(snapshot, codes=Codes.of(snapshot.templates, head))


def most_alike(
    comparer: Comparer,
    snapshot: Snapshot,
    probes: NDArray[np.float32],
    *,
    floor: float = float("-inf"),
) -> list[dict[str, float]]:
    """For each of probes float32 (p, d) the two most alike people and their best scores.

    One where only one is enrolled, none where nobody is. Exact at and above `floor`: where a score
    lies below it, somebody else may be more alike, but not at or above `floor`.
    """
    if not len(snapshot.templates):
        return [{} for _ in probes]
    codes = snapshot.codes
    if codes is None:
        everybody = np.arange(len(snapshot.templates))
        scores = comparer.compare(probes, snapshot.templates)
        return [_best_two(snapshot, everybody, row) for row in scores]
    return [_search(comparer, snapshot, codes, probe, floor) for probe in probes]


def _search(
    comparer: Comparer,
    snapshot: Snapshot,
    codes: Codes,
    probe: NDArray[np.float32],
    floor: float,
) -> dict[str, float]:
    if not np.isfinite(probe).all():
        return {}
    nearest = codes.nearest(probe, _COMPARED)
    found = _compared(comparer, snapshot, nearest.rows, probe)
    # Anybody who scores less than this cannot change the answer.
    enough = max(floor, min(found.values()) if len(found) > 1 else float("-inf"))
    if nearest.others_at_most >= enough:
        found = _compared(comparer, snapshot, codes.reaching(probe, enough), probe) or found
    return found


def _compared(
    comparer: Comparer, snapshot: Snapshot, rows: NDArray[np.intp], probe: NDArray[np.float32]
) -> dict[str, float]:
    if not len(rows):
        return {}
    scores = comparer.compare(probe[np.newaxis], snapshot.templates[rows])[0]
    return _best_two(snapshot, rows, scores)


def _best_two(
    snapshot: Snapshot, rows: NDArray[np.intp], scores: NDArray[np.float32]
) -> dict[str, float]:
    """The best person among `rows` and the best other one, with their best scores."""
    first = int(np.argmax(scores))
    found = {snapshot.person_ids[rows[first]]: float(scores[first])}
    owners = snapshot.owners[rows]
    others = owners != owners[first]
    if others.any():
        second = int(np.argmax(np.where(others, scores, -np.inf)))
        found[snapshot.person_ids[rows[second]]] = float(scores[second])
    return found
