"""Several pictures of one person compared as one: an enrolled person's, or a visit's. Pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.gallery.person import Snapshot

# A mean of templates is shorter than they are, the more so the noisier the pictures. Made of length
# 1 again it has less noise than a single picture's, and up to 2.5 times as many strangers match it.
# Divided by its length to this power it is a little longer than they are, which an L1 head scores
# lower, and no more match it than a single picture (docs/benchmarks/decisions.md, "Several pictures
# of one person").
STRETCH = 1.45


def fuse(templates: NDArray[np.float32]) -> NDArray[np.float32]:
    """One row float32 (d,), a little longer than they are, for templates (k, d) of one person."""
    if len(templates) == 1:
        return np.asarray(templates[0], np.float32)
    mean = templates.mean(axis=0, dtype=np.float64)
    usual = float(np.linalg.norm(templates, axis=1).mean())
    return np.asarray(mean / (float(np.linalg.norm(mean)) / usual) ** STRETCH, np.float32)


def newest(templates: NDArray[np.float32]) -> NDArray[np.float32]:
    """The last of templates (k, d): all that counts where a head does not allow to `fuse`."""
    return np.asarray(templates[-1], np.float32)


def fused(snapshot: Snapshot, head: L1Head | None, agreement: float) -> Snapshot:
    """The same gallery with one row a person, in which all of that person's pictures are fused.

    Pictures of a person two of which score under `agreement` (they were enrolled by force) stay
    rows of their own: halfway between two faces lies a third one. Without `head`, whose kind
    STRETCH was fitted for, nothing is fused.
    """
    if head is None:
        return snapshot
    ids, rows = [], []
    order = np.argsort(snapshot.owners, kind="stable")
    starts = np.flatnonzero(np.diff(snapshot.owners[order], prepend=-1))
    for of_person in np.split(order, starts[1:]):
        if not len(of_person):
            continue
        templates = snapshot.templates[of_person]
        person_id = snapshot.person_ids[of_person[0]]
        if len(templates) > 1 and _least(templates, head) >= agreement:
            templates = fuse(templates)[np.newaxis]
        ids += [person_id] * len(templates)
        rows.append(templates)
    if not rows:
        return snapshot
    return replace(snapshot, person_ids=tuple(ids), templates=np.concatenate(rows), codes=None)


def _least(templates: NDArray[np.float32], head: L1Head) -> float:
    """The score of the two templates that agree least."""
    # One row at a time: all pairs at once would take memory by the square of the pictures.
    apart = max(float((np.abs(templates - row) @ head.weights).max()) for row in templates)
    return float(head.bias - apart)
