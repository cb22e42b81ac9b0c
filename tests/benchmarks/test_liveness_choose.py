"""What rules would make of films that nobody watched."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

from liveness_choose import PASSES, Look, Watched, passed_after, read_cases, table

from oneglance.faces.liveness.fusion import Fusion, read_fusion

DOCUMENT = {
    "format": "fusion-1",
    "bias": 0.0,
    "cues": {"stir": {"at": [-4.0, 4.0], "odds": [-4.0, 4.0]}},
    "needs": ["stir"],
    "passes": 1.0,
    "fails": -1.0,
    "fitted_on": {},
}


def fusion() -> Fusion:
    return read_fusion(DOCUMENT, "test")


def film(kind: str, *odds: float | None, anew: int = 0, asked: bool = True) -> Watched:
    """A look a second, of these log odds by itself; None measures nothing."""
    looks = [
        Look(float(n), n in (0, anew), asked, {} if one is None else {"stir": one})
        for n, one in enumerate(odds)
    ]
    return Watched(1, kind, "fit", "ada", tuple(looks))


def test_a_film_passes_at_the_first_look_that_makes_it_enough() -> None:
    assert passed_after(film("visit", None, 0.0, 3.0), fusion(), 1.5) == 2.0
    assert passed_after(film("visit", None, 0.0, 3.0), fusion(), 1.75) == math.inf
    assert passed_after(film("visit", *[0.0] * 4, 9.0), fusion(), 1.5) == math.inf
    assert passed_after(film("visit", 0.0, 0.0, 2.0, anew=2), fusion(), 1.75) == 2.0


def test_who_has_failed_or_was_not_recognised_does_not_pass() -> None:
    assert passed_after(film("visit", -2.0, 4.0, 4.0), fusion(), 1.0) == math.inf
    assert passed_after(film("visit", 4.0, asked=False), fusion(), 1.0) == math.inf


def test_the_table_counts_visits_that_are_lost_and_attacks_that_pass() -> None:
    films = [film("visit", 1.5), film("visit", 0.8), film("print_bent", 1.3), film("print_bent", 0)]
    lines = table([*films, film("print_bent", 9.0, asked=False)], fusion()).splitlines()
    assert len(lines) == 2 + len(PASSES)
    assert "| 1.25 | 1 of 2 | 1 of 2 | 0.00, 0.00 s |" in lines
    assert "| 1.45 | 1 of 2 | 0 of 2 | 0.00, 0.00 s |" in lines


def test_cases_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    assert read_cases(file) == {}
    one = film("phone_photo", None, 0.5)
    file.write_text(json.dumps(asdict(one)) + "\n")
    assert read_cases(file) == {1: one}
