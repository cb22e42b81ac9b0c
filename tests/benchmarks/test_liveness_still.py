"""What holding faces back does with films, told from cues that nobody measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from liveness_choose import Look, Watched
from liveness_still import (
    CALM_KIND,
    CHECKED_KINDS,
    CHECKED_ROUND,
    HOLDS,
    ROUND,
    dressed,
    held_table,
    planned,
)

from oneglance.faces.liveness.fusion import Fusion, read_fusion
from oneglance.training.liveness.film import APART_KINDS, KINDS, PRINT_KINDS
from oneglance.training.liveness.portrait import portrait_of
from oneglance.training.liveness.render import Scene, scene
from oneglance.training.liveness.styles import FIT


def by_bump() -> Fusion:
    """A fusion that a head in a film on a screen passes by as easily as a living one."""
    document = {
        "format": "fusion-1",
        "bias": -1.0,
        "cues": {"bump": {"at": [0.0, 1.0], "odds": [0.0, 4.0]}},
        "needs": ["bump"],
        "passes": 1.0,
        "fails": -1.0,
        "fitted_on": {"data": "nothing"},
    }
    return read_fusion(document, "test")


def films(count: int) -> list[Watched]:
    """Half of them visits, the others screens that stand there or are held."""
    rng = np.random.default_rng(4)
    made = []
    for seed in range(count):
        kind = ("visit", "phone_standing", "visit", "tablet_photo")[seed % 4]
        bump = rng.normal(0.2 if kind == "tablet_photo" else 0.9, 0.1)
        looks = [Look(0.3 * n, n == 0, True, {"bump": float(bump)}) for n in range(6)]
        made.append(Watched(seed, kind, "fit", "ada", tuple(looks)))
    return made


def test_a_round_has_every_kind_in_the_end() -> None:
    kinds = {planned(number) for number in range(4 * len(ROUND))}
    assert kinds == {*KINDS, *APART_KINDS, CALM_KIND}
    assert {planned(n) for n in range(4 * len(ROUND))} >= {*PRINT_KINDS}


def test_a_table_tells_who_passes_if_what_keeps_still_holds_a_face_back() -> None:
    def held(film: Watched) -> Watched:
        still = 0.25 if film.kind == "phone_standing" else 0.03
        looks = [replace(look, cues={**look.cues, "still": still}) for look in film.looks]
        return replace(film, looks=tuple(looks))

    lines = held_table([held(film) for film in films(40)], by_bump()).splitlines()
    assert len(lines) == 2 + len(HOLDS)
    told = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:3] for line in lines[2:]}
    assert told["1.0"] == told["0.3"]
    assert told["0.3"][0] == told["0.1"][0] == "20 of 20"
    assert told["0.3"][1] != told["0.2"][1] == told["0.1"][1] == "0 of 10"
    assert told["0.02"][0] == "0 of 20"


def test_a_visitor_in_checks_differs_from_the_same_one_below_the_chin_alone() -> None:
    assert {planned(n, checks=True) for n in range(len(CHECKED_ROUND))} == {*CHECKED_KINDS}
    pixels = np.full((500, 400, 3), 128, np.uint8)
    points = np.array([[170, 150], [230, 150], [200, 185], [178, 215], [222, 215]], np.float64)
    portrait = portrait_of(pixels, points, person="ada")

    def film() -> Scene:
        return scene("visit", [portrait], [], FIT, np.random.default_rng(5), seconds=1.5, fps=15.0)

    plain, checked = film(), film()
    dressed(checked, np.random.default_rng(6))
    (one, at), (other, other_at) = plain.take(0), checked.take(0)
    assert np.array_equal(at, other_at)
    apart = np.abs(one.astype(int) - other).max((1, 2))
    unit = float(np.linalg.norm(at[1] - at[0]))
    mouth = int(at[3:, 1].max())
    assert apart[: mouth + int(0.3 * unit)].max() < 12
    assert apart[mouth + int(1.5 * unit) :].max() > 20
