"""How cues are weighed: nothing that is missing, or no number, ever helps a face to pass."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from oneglance.errors import ModelError
from oneglance.faces.liveness.fusion import Fusion, Verdict, read_fusion
from oneglance.faces.liveness.judge import (
    STALE_S,
    Liveness,
    gathered,
    load_liveness,
    measured,
)
from oneglance.faces.liveness.manifest import default_folder, read_liveness
from oneglance.faces.liveness.trace import Trace

NAMES = ("bump", "ring_near", "minifas-2.7")
DOCUMENT: dict[str, Any] = {
    "format": "fusion-1",
    "bias": -1.0,
    "cues": {
        "bump": {"at": [0.0, 0.5, 1.0], "odds": [-2.0, 0.0, 3.0]},
        "ring_near": {"at": [-2.0, 2.0], "odds": [2.0, -6.0]},
        "minifas-2.7": {"at": [-5.0, 5.0], "odds": [-1.0, 1.0]},
    },
    "needs": [],
    "passes": 1.5,
    "fails": -4.0,
    "fitted_on": {"films": 100},
}
VALUES = st.floats(allow_nan=True, allow_infinity=True)
CUES = st.dictionaries(st.sampled_from([*NAMES, "unheard-of"]), VALUES)


def fusion() -> Fusion:
    return read_fusion(DOCUMENT, "manifest.json")


@given(CUES)
def test_what_is_no_number_weighs_like_what_is_missing(cues: dict[str, float]) -> None:
    known = {name: value for name, value in cues.items() if math.isfinite(value)}
    judged, without = fusion().weigh(cues), fusion().weigh(known)
    assert judged.log_odds == without.log_odds
    assert judged.verdict is without.verdict
    assert math.isfinite(judged.log_odds)


@given(CUES, st.sampled_from(NAMES))
def test_losing_a_cue_takes_its_say_and_no_more(cues: dict[str, float], name: str) -> None:
    told = fusion().evidence(cues)
    lost = fusion().evidence({**cues, name: math.nan})
    assert lost[name] == 0.0
    assert all(lost[other] == told[other] for other in NAMES if other != name)


@given(st.lists(st.sampled_from(NAMES), unique=True), VALUES)
def test_nothing_measured_never_passes(names: list[str], value: float) -> None:
    judged = fusion().weigh(dict.fromkeys(names, math.nan) | {"unheard-of": value})
    assert judged.verdict is Verdict.UNDECIDED
    assert not judged.passed


def test_a_table_is_followed_between_its_points_and_level_beyond() -> None:
    told = [fusion().evidence({"bump": value})["bump"] for value in (-9.0, 0.25, 0.75, 9.0)]
    assert told == [-2.0, -1.0, 1.5, 3.0]


def test_the_thresholds_themselves_pass_and_fail() -> None:
    passing, failing = {"bump": 11 / 12}, {"ring_near": 0.5}
    assert fusion().weigh(passing).log_odds == pytest.approx(1.5)
    assert fusion().weigh({"bump": 0.95}).verdict is Verdict.PASSED
    assert fusion().weigh({"bump": 0.9}).verdict is Verdict.UNDECIDED
    assert fusion().weigh(failing).log_odds == pytest.approx(-4.0)
    assert fusion().weigh(failing).verdict is Verdict.FAILED
    assert fusion().weigh({"ring_near": 0.4}).verdict is Verdict.UNDECIDED


def test_nobody_fails_before_what_passing_needs_was_measured() -> None:
    needing = read_fusion(altered(needs=["bump"]), "manifest.json")
    assert needing.weigh({"ring_near": 2.0}).log_odds < -4.0
    assert needing.weigh({"ring_near": 2.0}).verdict is Verdict.UNDECIDED
    assert needing.weigh({"ring_near": 2.0, "bump": 0.0}).verdict is Verdict.FAILED


@given(CUES)
def test_nobody_passes_without_what_is_needed(cues: dict[str, float]) -> None:
    needing = read_fusion({**DOCUMENT, "needs": ["bump", "ring_near"]}, "manifest.json")
    judged = needing.weigh(cues)
    assert judged.log_odds == fusion().weigh(cues).log_odds
    if not all(math.isfinite(cues.get(name, math.nan)) for name in ("bump", "ring_near")):
        assert judged.verdict is not Verdict.PASSED
    else:
        assert judged.verdict is fusion().weigh(cues).verdict


def altered(**changes: Any) -> dict[str, Any]:
    return {**json.loads(json.dumps(DOCUMENT)), **changes}


def table(**changes: Any) -> dict[str, Any]:
    return altered(cues={"bump": {**DOCUMENT["cues"]["bump"], **changes}})


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (None, "judges nothing"),
        ([], "not of the known shape"),
        (altered(format="fusion-2"), "format"),
        (altered(bias="0"), "bias"),
        (altered(bias=1.5), "nothing was measured would pass"),
        (altered(fails=1.5), "fails does not lie below passes"),
        (altered(cues={}), "cues"),
        (altered(extra=1), "extra"),
        (altered(needs=["soft"]), "needs names a cue"),
        (table(at=[0.0, 0.0, 1.0]), "at does not rise"),
        (table(at=[0.0, 1.0]), "different lengths"),
        (table(odds=[0.0, 0.0, 9.0]), "odds"),
        (table(odds=[0.0, 0.0, None]), "odds"),
        ({name: DOCUMENT[name] for name in DOCUMENT if name != "fitted_on"}, "fitted_on"),
    ],
)
def test_another_fusion_is_refused_in_one_line(document: Any, told: str) -> None:
    with pytest.raises(ModelError, match=told) as caught:
        read_fusion(document, "models/liveness-1/manifest.json")
    assert "\n" not in str(caught.value)
    assert caught.value.where == "models/liveness-1/manifest.json"


class Says:
    """A witness that tells what it was given."""

    parts = (("minifas-2.7",),)

    def __init__(self, value: float) -> None:
        self._value = value

    def witness(
        self, pixels: NDArray[np.uint8], points: NDArray[np.float64], part: int
    ) -> NDArray[np.float64]:
        return np.array([self._value])


def test_a_witness_of_no_number_leaves_a_face_undecided() -> None:
    liveness, trace = Liveness(Says(math.nan), fusion()), Trace()
    frame, points = np.zeros((480, 640, 3), np.uint8), np.full((5, 2), np.nan)
    for step in range(5):
        trace.see(frame, points, step / 10)
        liveness.look(trace, frame, points, step / 10)
    judged = liveness.judge(trace, 0.4)
    assert judged.verdict is Verdict.UNDECIDED
    assert judged.log_odds == -1.0
    assert "minifas-2.7" in judged.cues


def test_a_look_of_long_ago_judges_nothing() -> None:
    trace = Trace()
    liveness = Liveness(Says(0.0), fusion())
    trace.look({"ring_near": -2.0, "minifas-2.7": 5.0}, 1.0)
    assert liveness.judge(trace, 1.0).passed
    assert liveness.judge(trace, 1.0 + STALE_S + 0.1).verdict is Verdict.UNDECIDED
    assert liveness.judge(trace, 0.5).verdict is Verdict.UNDECIDED
    trace.begin_anew()
    assert liveness.judge(trace, 1.0).verdict is Verdict.UNDECIDED


@pytest.mark.parametrize("step_s", [0.3, 0.31, 0.35, 0.5])
def test_every_other_look_measures_texture_each_in_turn(step_s: float) -> None:
    class Witness:
        parts = (("texture-4.0",), ("texture-2.7", "texture-made-2.7"))

        def witness(
            self, _pixels: NDArray[np.uint8], _points: NDArray[np.float64], part: int
        ) -> NDArray[np.float64]:
            return np.ones(len(self.parts[part]))

    trace, told = Trace(), []
    for number in range(30):
        cues = measured(Witness(), trace, np.zeros((8, 8, 3), np.uint8), np.zeros((5, 2)))
        trace.look(cues, number * step_s)
        told.append([name for name in cues if name.startswith("texture")])
    assert told[:4] == [["texture-4.0"], [], ["texture-2.7", "texture-made-2.7"], []]
    assert told[4:] == told[:-4]


def test_looks_are_gathered_by_their_mean_and_few_bumps_count_for_less() -> None:
    looks = [{"ring": 1.0, "soft": math.nan}, {"ring": math.nan}, {"ring": 2.0, "soft": math.inf}]
    told = gathered(looks)
    assert told["ring"] == 1.5
    assert math.isnan(told["soft"])
    few, many = gathered([{"bump": 1.0}]), gathered([{"bump": 1.0}] * 12)
    assert 0 < few["bump"] < many["bump"] < 1


def test_the_shipped_fusion_lets_no_single_picture_pass_a_face() -> None:
    document = read_liveness()
    fusion = read_fusion(document.fusion, "manifest.json").document
    assert fusion.passes > max(0.0, fusion.bias)
    assert "bump" in fusion.needs
    for cue in document.cues:
        assert fusion.bias + max(fusion.cues[cue.name].odds) < fusion.passes


def test_a_fusion_of_cues_that_nothing_measures_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "liveness-1"
    shutil.copytree(default_folder(), folder)
    assert load_liveness(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "fusion": DOCUMENT}))
    with pytest.raises(ModelError, match="weighs minifas-2\\.7, ring_near, which"):
        load_liveness(folder)
    (folder / "manifest.json").write_text(json.dumps({**manifest, "fusion": None}))
    with pytest.raises(ModelError, match="judges nothing"):
        load_liveness(folder)


@given(CUES, VALUES, st.floats(0.0, 1.0))
def test_a_face_is_held_back_by_a_cue_and_neither_passes_nor_fails_by_it(
    cues: dict[str, float], value: float, most: float
) -> None:
    holding = read_fusion({**DOCUMENT, "holds": {"still": most}}, "manifest.json")
    free, there = fusion().weigh(cues), holding.weigh({**cues, "still": value})
    assert there.log_odds == free.log_odds
    if value > most:
        assert holding.held({**cues, "still": value})
        assert there.verdict is (Verdict.UNDECIDED if free.passed else free.verdict)
    else:
        assert there.verdict is free.verdict


def test_who_has_moved_since_is_held_back_no_longer() -> None:
    judge, alive = load_liveness(), {"bump": 0.4, "unrest": 0.0, "stir": 0.0, "texture-2.7": 5.0}
    assert judge.fusion.weigh(gathered([alive] * 4)).passed
    ledge = [{**alive, "still": 0.5}] * 4
    assert not judge.fusion.weigh(gathered(ledge)).passed
    assert not judge.fusion.weigh(gathered([*ledge, {**alive, "still": math.nan}])).passed
    assert judge.fusion.weigh(gathered([*ledge, {**alive, "still": 0.02}])).passed


def test_a_fusion_that_holds_by_what_nothing_measures_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "liveness-1"
    shutil.copytree(default_folder(), folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["fusion"]["holds"] = {"stiller": 0.1}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="weighs stiller, which nothing measures"):
        load_liveness(folder)
