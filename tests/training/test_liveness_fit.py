"""How the fusion of liveness cues is fitted: monotone tables, thresholds, exact bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.faces.evaluation.metrics import exact_95
from oneglance.faces.liveness.fusion import read_fusion
from oneglance.training.liveness.film import ATTACK_KINDS
from oneglance.training.liveness.fit import SHAPES, Case, fit_weights, highest, table_of


def cases(part: str, count: int) -> list[Case]:
    """Films whose rings and noses tell visits from attacks nearly always."""
    rng = np.random.default_rng(["fit", "threshold", "judge"].index(part))
    made = []
    for seed in range(count):
        live = seed % 2 == 0
        looks = tuple(
            {
                "unrest": float(rng.normal(-2.5 if live else 1.0, 0.8)),
                "bump": float(rng.normal(0.5 if live else 0.0, 0.2)),
                "witness": float(rng.normal(1.0 if live else -1.0, 2.0)),
            }
            for _ in range(6)
        )
        kind = "visit" if live else ATTACK_KINDS[seed // 2 % 3]
        made.append(Case(seed, part, "fit", kind, live, (0.0, 0.1, 0.2, 0.5, 0.8, 1.1), looks))
    return made


def test_a_fit_is_a_fusion_that_tells_visits_from_attacks_and_keeps_its_word() -> None:
    told = [case for part in ("fit", "threshold", "judge") for case in cases(part, 80)]
    document = fit_weights(told, passes=1.0, fails=-1.0)
    fusion = read_fusion(document, "the fit")
    for name, table in fusion.document.cues.items():
        steps = np.diff(table.odds)
        rises = SHAPES[name].rises if name in SHAPES else True
        assert (steps >= -1e-9).all() if rises else (steps <= 1e-9).all()
    rows = table_of(fusion, [case for case in told if case.part == "judge"])
    assert [row["kind"] for row in rows] == ["visit", *sorted(ATTACK_KINDS[:3])]
    assert rows[0]["rate"] < 0.1
    assert max(row["rate"] for row in rows[1:]) < 0.15
    assert document["fitted_on"]["fit_visits"] == 40
    blind = Case(0, "judge", "fit", "visit", True, (0.0, 0.1, 0.2), ({}, {}, {}))
    assert highest(fusion, blind) == -math.inf


@given(st.integers(0, 60), st.integers(1, 60))
def test_exact_bounds_enclose_the_rate_and_touch_the_ends(errors: int, trials: int) -> None:
    errors = min(errors, trials)
    low, high = exact_95(errors, trials)
    assert 0 <= low <= errors / trials <= high <= 1
    assert (low == 0) == (errors == 0)
    assert (high == 1) == (errors == trials)


def test_exact_bounds_are_those_of_the_books() -> None:
    assert exact_95(0, 30) == (0.0, pytest.approx(0.1157, abs=1e-4))
    assert exact_95(3, 50) == (pytest.approx(0.0125, abs=1e-4), pytest.approx(0.1655, abs=1e-4))
    assert exact_95(893, 1000) == (pytest.approx(0.8722, abs=1e-4), pytest.approx(0.9115, abs=1e-4))
    assert exact_95(900, 2000) == (pytest.approx(0.4280, abs=1e-4), pytest.approx(0.4721, abs=1e-4))
