"""The figures about a verifier's scores, whichever pairs made them: ready for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.faces.evaluation import bootstrap, metrics
from oneglance.faces.evaluation.paired import PairedPictures
from oneglance.faces.model.manifest import Manifest

FARS = ("1e-1", "1e-2", "1e-3", "1e-4", "1e-5", "1e-6")
# A rate that rests on fewer false matches than this is mostly chance.
MIN_FALSE_MATCHES = 10
# Of the bootstrap's draws, so that the same scores give the same interval.
_SEED = 0
CONFIDENCE = "Wilson 95 %, pairs taken as independent"


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """The scores of pairs with a face on both pictures, genuine (g,) and impostor (i,).

    `genuine_pairs` and `impostor_pairs` count also those whose pictures lack a face; `paired` says
    which pictures make the scores.
    """

    genuine: NDArray[np.floating]
    impostor: NDArray[np.floating]
    genuine_pairs: int
    impostor_pairs: int
    paired: PairedPictures


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """Two pictures by name and the score of their faces."""

    image_a: str
    image_b: str
    score: float


@dataclass(frozen=True, slots=True)
class WorstPairs:
    """Genuine pairs with the lowest scores and impostor pairs with the highest, worst first."""

    genuine: list[ScoredPair]
    impostor: list[ScoredPair]


def figures_of(made: Comparisons, manifest: Manifest) -> dict[str, Any]:
    """Precision and recall at the shipped threshold, EER, AUC, TAR by FAR, the door's thresholds.

    Rates are over acquired pairs, but for recall: there a genuine pair without a face is missed.
    TAR is given down to the FAR at which ten impostor pairs match. A key ending in `_95` holds
    Wilson's interval for independent pairs, for EER and AUC the one that `bootstrap` makes.
    None or empty: these pairs cannot say.
    """
    genuine, impostor = made.genuine, made.impostor
    shipped = manifest.accuracy_threshold
    figures: dict[str, Any] = {
        "pairs": made.genuine_pairs + made.impostor_pairs,
        "genuine_pairs": made.genuine_pairs,
        "impostor_pairs": made.impostor_pairs,
        "shipped_threshold": shipped,
        "precision": None,
        "precision_95": None,
        "recall": None,
        "recall_95": None,
        "eer": None,
        "eer_95": None,
        "auc": None,
        "auc_95": None,
        "tar_at_far": {},
        "tar_at_far_95": {},
        "at_door_thresholds": {},
        "confidence": CONFIDENCE,
        "confidence_of_eer_and_auc": bootstrap.METHOD,
        "model": manifest.model_id,
    }
    if shipped is not None:
        found = metrics.matching(genuine, shipped).successes
        for name, share in (
            ("precision", metrics.precision(genuine, impostor, shipped)),
            ("recall", metrics.Share(found, made.genuine_pairs)),
        ):
            figures[name] = share.rate
            figures[f"{name}_95"] = None if share.rate is None else share.interval
    if not len(genuine) or not len(impostor):
        return figures
    figures["eer"] = metrics.equal_error_rate(genuine, impostor)
    figures["auc"] = metrics.area_under_curve(genuine, impostor)
    sure = bootstrap.intervals(genuine, impostor, made.paired, np.random.default_rng(_SEED))
    if sure is not None:
        figures["eer_95"], figures["auc_95"] = sure.eer, sure.auc
    for far in FARS:
        if float(far) * len(impostor) >= MIN_FALSE_MATCHES:
            threshold = metrics.threshold_at_fmr(impostor, float(far))
            share = metrics.matching(genuine, threshold)
            figures["tar_at_far"][far] = share.rate
            figures["tar_at_far_95"][far] = share.interval
    for fmr, threshold in manifest.thresholds.items():
        accepted = metrics.matching(genuine, threshold)
        false = metrics.matching(impostor, threshold)
        figures["at_door_thresholds"][fmr] = {
            "threshold": threshold,
            "tar": accepted.rate,
            "tar_95": accepted.interval,
            "fmr": false.rate,
            "fmr_95": false.interval,
        }
    return figures
