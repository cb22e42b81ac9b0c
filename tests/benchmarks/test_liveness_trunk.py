"""How a table for the trunk is fitted on top of what other cues say, from films nobody watched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from liveness_choose import Look, Watched, passed_after
from liveness_trunk import (
    CALM_KIND,
    CHECKED_KINDS,
    CHECKED_ROUND,
    CUE,
    HOLDS,
    ROUND,
    dressed,
    held_table,
    others,
    planned,
    raised,
    samples_of,
    table,
    with_strict,
    with_trunk,
)

from oneglance.faces.liveness.fusion import Fusion, read_fusion
from oneglance.training.liveness.film import APART_KINDS, KINDS, PRINT_KINDS
from oneglance.training.liveness.portrait import portrait_of
from oneglance.training.liveness.render import Scene, scene
from oneglance.training.liveness.styles import FIT


def without_trunk() -> Fusion:
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
    """Half of them visits, which move below the head, half screens that stand there."""
    rng = np.random.default_rng(4)
    made = []
    for seed in range(count):
        kind = ("visit", "phone_standing", "visit", "tablet_photo")[seed % 4]
        still = kind == "phone_standing"
        trunk = rng.beta(1, 9, 6) if still else rng.beta(9, 1, 6)
        bump = rng.normal(0.2 if kind == "tablet_photo" else 0.9, 0.1)
        looks = [
            Look(0.3 * n, n == 0, True, {"bump": float(bump), CUE: float(share)})
            for n, share in enumerate(trunk)
        ]
        made.append(Watched(seed, kind, "fit", "ada", tuple(looks)))
    return made


def passed(kind: str, fusion: Fusion) -> float:
    """The share of these films that pass."""
    ends = [passed_after(film, fusion, 1.0) for film in films(120) if film.kind == kind]
    return sum(end < 9 for end in ends) / len(ends)


def test_what_is_still_below_a_head_comes_to_speak_against_it() -> None:
    before, after = without_trunk(), with_trunk(without_trunk(), films(120))
    assert passed("phone_standing", before) > 0.9
    assert passed("phone_standing", after) < 0.3
    assert passed("visit", after) > 0.9
    odds = after.document.cues[CUE].odds
    assert list(odds) == sorted(odds)
    assert after.document.cues["bump"] == before.document.cues["bump"]
    again = with_trunk(others(after), films(120))
    assert np.allclose(again.document.cues[CUE].odds, odds, atol=0.05)


def test_films_of_a_class_weigh_the_same_together_and_calm_visits_not_at_all() -> None:
    calm = [Watched(900, CALM_KIND, "fit", "ada", films(1)[0].looks)]
    samples = list(samples_of(films(40) + calm, without_trunk()))
    assert len(samples) == 40 * 6
    assert np.isclose(sum(one.weight for one in samples if one.live), 0.5)
    assert all(np.isfinite(one.told) for one in samples)


def test_a_trunk_that_cannot_be_seen_says_nothing_and_what_passes_stays() -> None:
    after = with_trunk(without_trunk(), films(120))
    assert after.weigh({"bump": 0.5}).log_odds == without_trunk().weigh({"bump": 0.5}).log_odds
    usual = read_fusion(with_strict(without_trunk(), after, fails=-1.5, films=120), "test")
    for trunk in (0.0, 1.0):
        seen = {"bump": 0.5, CUE: trunk}
        assert usual.weigh(seen).log_odds == without_trunk().weigh(seen).log_odds
        assert usual.stricter().weigh(seen).log_odds == after.weigh(seen).log_odds
    assert usual.document.fails == without_trunk().document.fails
    assert (usual.stricter().document.passes, usual.stricter().document.fails) == (1.0, -1.5)
    higher = raised(after, 0.4)
    for trunk in (0.0, 0.5, 1.0):
        seen = {"bump": 0.5, CUE: trunk}
        assert np.isclose(higher.weigh(seen).log_odds, after.weigh(seen).log_odds + 0.4, atol=0.01)
    assert higher.weigh({"bump": 0.5}).log_odds == after.weigh({"bump": 0.5}).log_odds


def test_a_round_has_every_kind_in_the_end_and_a_table_a_line_for_each_pair_of_limits() -> None:
    kinds = {planned(number) for number in range(4 * len(ROUND))}
    assert kinds == {*KINDS, *APART_KINDS, CALM_KIND}
    assert {planned(n) for n in range(4 * len(ROUND))} >= {*PRINT_KINDS}
    after = with_trunk(without_trunk(), films(40))
    lines = table(films(40), without_trunk(), after).splitlines()
    assert lines[2].startswith("| without `trunk` | 20 of 20 |")
    assert len({line.count("|") for line in lines}) == 1


def test_a_table_tells_who_passes_if_what_keeps_still_holds_a_face_back() -> None:
    def held(film: Watched) -> Watched:
        still = 0.25 if film.kind == "phone_standing" else 0.03
        looks = [replace(look, cues={**look.cues, "still": still}) for look in film.looks]
        return replace(film, looks=tuple(looks))

    lines = held_table([held(film) for film in films(40)], without_trunk()).splitlines()
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
