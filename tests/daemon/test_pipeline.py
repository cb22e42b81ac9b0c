"""The real model on real photographs, step by step, with time passed in."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from people_on_stage import Stage, face_of, portrait_of

from oneglance.contract.messages import Hint, Phase
from oneglance.contract.messages import Liveness as ShownAlive
from oneglance.daemon import pipeline
from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.pipeline import LIVENESS_STAGES, MAX_FRAME_AGE_S, STAGES, Pipeline
from oneglance.daemon.sight.search import door_detector, find_faces
from oneglance.daemon.sight.watcher import LEAVE_S
from oneglance.daemon.visit.attention import RECHECK_S
from oneglance.daemon.visit.decide import NOT_RECOGNISED, Rule, Verdict
from oneglance.faces.calibration.door import settled
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.identify import most_alike
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.liveness.fusion import read_fusion
from oneglance.faces.liveness.judge import Liveness
from oneglance.faces.liveness.texture import load_texture
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.model.tail import tail_of
from oneglance.faces.reader import load_image, read_central_face
from oneglance.timing import OnStage

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from looks import LOOKS  # the same drawings that the benchmark wears

FPS = 10.0
PATIENCE_S = 1.0


class Bench:
    """A pipeline, its clock, and pictures fed to it ten a second."""

    def __init__(
        self,
        model: FaceModel,
        min_face_px: int = 80,
        detector: FaceDetector | None = None,
        on_stage: OnStage | None = None,
        liveness: Liveness | None = None,
        problem: str = "",
        settle: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda templates: templates,
    ) -> None:
        self.now_s = 1000.0
        self.index = 0
        self.rule = Rule(1e-3, 3, PATIENCE_S, tail_of(model.manifest.raw["thresholds"]))
        self.pipeline = Pipeline(
            model,
            detector or door_detector(),
            self.rule,
            same_face=model.threshold("1e-3"),
            min_face_px=min_face_px,
            lifetime_s=5.0,
            clock_s=lambda: self.now_s,
            liveness=liveness,
            problem=problem,
            settle=settle,
            on_stage=on_stage,
        )

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    def frame(self, pixels: NDArray[np.uint8], camera: str = "cam", age_s: float = 0.0) -> Frame:
        captured_at_s = self.now_s - age_s
        return Frame(pixels, captured_at_s, captured_at_s, self.index, camera)

    def show(
        self, pixels: NDArray[np.uint8], gallery: Snapshot | None, frames: int, fps: float = FPS
    ) -> list[Verdict]:
        verdicts = []
        for _ in range(frames):
            self.index += 1
            self.now_s += 1 / fps
            for report in self.pipeline.step([self.frame(pixels)], gallery):
                verdicts += [v.verdict for v in report.tracks if v.verdict is not None]
        return verdicts


@pytest.fixture
def bench(model: FaceModel) -> Bench:
    return Bench(model)


def scene(*people: NDArray[np.uint8], size: tuple[int, int] = (480, 640)) -> NDArray[np.uint8]:
    """Portraits side by side before a grey wall."""
    picture = np.full((*size, 3), 96, np.uint8)
    width = size[1] // max(1, len(people))
    for i, person in enumerate(people):
        side = min(person.shape[0], person.shape[1], width, size[0])
        left = i * width + (width - side) // 2
        top = (size[0] - side) // 2
        picture[top : top + side, left : left + side] = person[:side, :side]
    return picture


@pytest.fixture(scope="module")
def portrait(photos: Path) -> Callable[..., NDArray[np.uint8]]:
    """`portrait("obama.jpg", 300)`: the face with some room around it, so many px square."""

    @cache
    def portrait(name: str, side: int = 300) -> NDArray[np.uint8]:
        cut = portrait_of(photos / name, 1.8)
        return np.asarray(cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA), np.uint8)

    return portrait


@pytest.fixture(scope="module")
def obama(photos: Path) -> Snapshot:
    """A gallery of one person from one photograph."""
    template = face_of(photos / "obama.jpg").template
    return Snapshot(("obama",), {"obama": "Barack Obama"}, template[np.newaxis].copy())


def test_the_enrolled_person_is_accepted_from_another_photograph(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    verdicts = bench.show(scene(portrait("obama2.jpg")), obama, 15)
    assert [v.person_id for v in verdicts] == ["obama"]


@pytest.mark.parametrize("stranger", ["biden.jpg", "astronaut.png"])
def test_a_stranger_is_rejected_and_only_once(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot, stranger: str
) -> None:
    verdicts = bench.show(scene(portrait(stranger)), obama, 30)
    assert [(v.person_id, v.reason) for v in verdicts] == [(None, "not_recognised")]


def test_nobody_is_accepted_from_an_empty_gallery(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], model: FaceModel
) -> None:
    empty = Snapshot.empty(model.template_size)
    verdicts = bench.show(scene(portrait("obama2.jpg")), empty, 15)
    assert [v.accepted for v in verdicts] == [False]


def test_without_a_gallery_faces_are_counted_and_nobody_is_judged(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]]
) -> None:
    assert bench.show(scene(portrait("obama2.jpg")), None, 15) == []
    assert bench.pipeline.counts.faces == 15
    assert bench.pipeline.counts.faces_encoded == 15 / (RECHECK_S * FPS)


def test_a_face_that_has_its_decision_is_encoded_only_now_and_then(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    picture = scene(portrait("obama2.jpg"))
    assert len(bench.show(picture, obama, 3)) == 1
    bench.show(picture, obama, 30)
    assert bench.pipeline.counts.faces_encoded == 3 + 30 / (RECHECK_S * FPS)


def test_when_the_encoder_is_slow_faces_take_turns_and_all_get_their_answer(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(faulty(model, lambda: bench.wait(0.4)))
    both = scene(portrait("obama2.jpg"), portrait("biden.jpg"))
    verdicts = bench.show(both, obama, 3)
    bench.now_s += 1 / FPS
    (report,) = bench.pipeline.step([bench.frame(both)], obama)
    verdicts += [view.verdict for view in report.tracks if view.verdict is not None]
    assert [view.progress >= 2 / 3 for view in report.tracks] == [True, True]
    verdicts += bench.show(both, obama, 20)
    assert sorted(v.person_id or "-" for v in verdicts) == ["-", "obama"]
    counts = bench.pipeline.counts
    # The first call took both faces: how slow it would be was not known yet.
    assert counts.faces_encoded <= counts.encoder_calls + 4


def test_a_stranger_who_takes_the_place_of_the_enrolled_person_inherits_nothing(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    assert bench.show(scene(portrait("obama2.jpg")), obama, 2) == []
    verdicts = bench.show(scene(portrait("biden.jpg")), obama, 9)
    assert not any(verdict.accepted for verdict in verdicts)
    assert bench.pipeline.counts.tracks == 1


def test_after_a_decision_the_next_person_in_the_same_place_gets_an_own_one(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    first = bench.show(scene(portrait("biden.jpg")), obama, 14)
    second = bench.show(scene(portrait("obama2.jpg")), obama, 15)
    assert [v.person_id for v in first + second] == [None, "obama"]
    assert first[0].visit_id != second[0].visit_id
    assert bench.pipeline.counts.tracks == 1


def test_who_leaves_and_comes_back_makes_a_second_visit(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    picture = scene(portrait("obama2.jpg"))
    first = bench.show(picture, obama, 10)
    bench.show(scene(), obama, int(LEAVE_S * FPS) + 2)
    second = bench.show(picture, obama, 10)
    assert [v.person_id for v in first + second] == ["obama", "obama"]
    assert first[0].visit_id != second[0].visit_id


def test_two_people_side_by_side_each_get_their_own_answer(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    verdicts = bench.show(scene(portrait("obama2.jpg"), portrait("biden.jpg")), obama, 15)
    assert sorted(v.person_id or "-" for v in verdicts) == ["-", "obama"]


def test_faces_of_all_cameras_go_through_one_encoder_call(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    both = scene(portrait("obama2.jpg"), portrait("biden.jpg"))
    one = scene(portrait("astronaut.png"))
    bench.pipeline.step([bench.frame(both, "a"), bench.frame(one, "b")], obama)
    counts = bench.pipeline.counts
    assert (counts.frames, counts.faces_encoded, counts.encoder_calls) == (2, 3, 1)


def test_a_small_face_is_asked_to_come_closer_and_not_encoded(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(model, min_face_px=200)
    (report,) = bench.pipeline.step([bench.frame(scene(portrait("obama2.jpg", 280)))], obama)
    assert [(v.hint, v.phase) for v in report.tracks] == [(Hint.COME_CLOSER, Phase.LOOK)]
    assert bench.pipeline.counts.encoder_calls == 0


def test_a_blurred_face_is_asked_to_hold_still_and_at_last_rejected_for_its_quality(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    blurred = np.asarray(cv2.GaussianBlur(scene(portrait("obama2.jpg")), (41, 41), 0), np.uint8)
    (report,) = bench.pipeline.step([bench.frame(blurred)], obama)
    assert [v.hint for v in report.tracks] == [Hint.HOLD_STILL]
    verdicts = bench.show(blurred, obama, 25)
    assert [(v.person_id, v.reason) for v in verdicts] == [(None, "poor_quality")]
    assert bench.pipeline.counts.encoder_calls == 0


@pytest.mark.parametrize(
    ("worn", "hint"),
    [("mask below the nose", Hint.UNCOVER_MOUTH), ("sunglasses", Hint.UNCOVER_EYES)],
)
def test_who_covers_their_face_is_asked_to_take_it_off_and_compared_all_the_same(
    bench: Bench,
    model: FaceModel,
    portrait: Callable[..., NDArray[np.uint8]],
    obama: Snapshot,
    worn: str,
    hint: Hint,
) -> None:
    picture = portrait("obama2.jpg")
    bare = read_central_face(picture, FaceDetector(), model)
    assert bare is not None
    covered = LOOKS[worn](picture, bare.points, np.random.default_rng(0))
    (report,) = bench.pipeline.step([bench.frame(scene(covered))], obama)
    assert [view.hint for view in report.tracks] == [hint]
    assert bench.pipeline.counts.faces_encoded == 1
    # Recognised all the same: there is nothing more to ask for.
    assert [v.person_id for v in bench.show(scene(covered), obama, int(FPS))] == ["obama"]
    for _ in range(int(FPS)):
        bench.wait(1 / FPS)
        (report,) = bench.pipeline.step([bench.frame(scene(covered))], obama)
        assert [view.hint for view in report.tracks] == [Hint.NONE]


def test_a_search_is_exact_from_the_score_on_that_counts(
    bench: Bench,
    model: FaceModel,
    portrait: Callable[..., NDArray[np.uint8]],
    obama: Snapshot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For a look whether it is near somebody or names them, for what looks come to the latter."""
    floors: list[float] = []

    def told(
        comparer: FaceModel, snapshot: Snapshot, probes: NDArray[np.float32], *, floor: float
    ) -> list[dict[str, float]]:
        floors.append(floor)
        return most_alike(comparer, snapshot, probes, floor=floor)

    monkeypatch.setattr(pipeline, "most_alike", told)
    others = np.zeros((20, obama.templates.shape[1]), np.float32)
    crowd = Snapshot(
        ("obama", *(f"guest-{number}" for number in range(20))),
        obama.names,
        np.concatenate([obama.templates, others]),
    )
    bench.show(scene(portrait("obama2.jpg")), crowd, 4)
    bar = bench.rule.bar(21)
    assert bar.near < bar.threshold
    assert floors == [bar.near, bar.near, bar.near, bar.threshold]
    floors.clear()
    alone = Bench(model)
    alone.show(scene(portrait("obama2.jpg")), obama, 4)
    bar = alone.rule.bar(1)
    assert bar.near > bar.threshold
    assert floors == [bar.threshold] * 4


def test_who_takes_the_mask_off_after_a_rejection_is_let_in_and_not_twice(
    bench: Bench, model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    picture = portrait("obama2.jpg")
    bare = read_central_face(picture, FaceDetector(), model)
    assert bare is not None
    masked = scene(LOOKS["mask"](picture, bare.points, np.random.default_rng(0)))
    # Among so many people what a mask leaves of a face is not enough.
    others = np.random.default_rng(1).standard_normal((9, model.template_size))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    office = Snapshot(
        ("obama", *(f"guest-{number}" for number in range(9))),
        obama.names,
        np.concatenate([obama.templates, others.astype(np.float32)]),
    )
    first = bench.show(masked, office, int(2 * PATIENCE_S * FPS))
    assert [(v.person_id, v.reason) for v in first] == [(None, "not_recognised")]
    # It stays on the screen until somebody does it.
    for _ in range(int(FPS)):
        bench.wait(1 / FPS)
        (report,) = bench.pipeline.step([bench.frame(masked)], office)
        assert [(view.hint, view.phase) for view in report.tracks] == [
            (Hint.UNCOVER_MOUTH, Phase.DONE)
        ]
    second = bench.show(scene(picture), office, int(3 * PATIENCE_S * FPS))
    assert [v.person_id for v in second] == ["obama"]
    assert first[0].visit_id != second[0].visit_id


def test_who_was_rejected_in_the_dark_is_let_in_once_the_light_goes_on(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    lit = scene(portrait("obama2.jpg"))
    dark = np.asarray(lit * 0.1, np.uint8)
    first = bench.show(lit, obama, 1) + bench.show(dark, obama, 25)
    assert [(v.person_id, v.reason) for v in first] == [(None, "poor_quality")]
    second = bench.show(lit, obama, 8)
    assert [v.person_id for v in second] == ["obama"]
    assert first[0].visit_id != second[0].visit_id


def test_who_waits_far_away_gets_no_answer_before_coming_near(
    model: FaceModel, photos: Path, obama: Snapshot
) -> None:
    bench = Bench(model, min_face_px=130)
    stage = Stage(photos, "obama2.jpg")

    def at(scale: float) -> NDArray[np.uint8]:
        small = cv2.resize(stage.frame(("obama2.jpg", 320, 240)), None, fx=scale, fy=scale)
        frame = np.full((480, 640, 3), 96, np.uint8)
        top, left = (480 - small.shape[0]) // 2, (640 - small.shape[1]) // 2
        frame[top : top + small.shape[0], left : left + small.shape[1]] = small
        return frame

    assert bench.show(at(1.0), obama, 1) == []
    far = bench.show(at(0.85), obama, int(4 * PATIENCE_S * FPS))
    assert (far, bench.pipeline.counts.tracks) == ([], 1)
    assert bench.pipeline.counts.faces_encoded == 1
    near = bench.show(at(1.0), obama, 4)
    assert ([v.person_id for v in near], bench.pipeline.counts.tracks) == (["obama"], 1)


def test_of_three_faces_none_waits_for_ever_when_the_encoder_takes_one_at_a_time(
    model: FaceModel, photos: Path, obama: Snapshot
) -> None:
    delay_s = 0.5
    bench = Bench(faulty(model, lambda: bench.wait(delay_s)))
    names = ("biden.jpg", "astronaut.png", "obama2.jpg")
    places = tuple(zip(names, (110, 320, 530), (240, 240, 240), strict=True))
    three = Stage(photos, *names).frame(*places)
    bench.show(three, obama, 1)
    # The first call took all three, and long: from now on it is one at a time.
    delay_s = 0.05
    for step in range(4, 7):
        bench.show(three, obama, 1)
        had = [len(visitor.visit.looks) for visitor in bench.pipeline.visitors]
        assert (sum(had), len(had)) == (step, 3)
        assert max(had) - min(had) <= 1


@pytest.mark.parametrize("age_s", [MAX_FRAME_AGE_S + 0.1, 3600.0, -0.5])
def test_a_stale_or_future_frame_is_refused(bench: Bench, model: FaceModel, age_s: float) -> None:
    frame = bench.frame(scene(), age_s=age_s)
    assert bench.pipeline.step([frame], Snapshot.empty(model.template_size)) == []
    assert (bench.pipeline.counts.stale, bench.pipeline.counts.frames) == (1, 0)


def test_a_frame_that_grew_old_while_it_was_worked_on_decides_nothing(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    delay_s = 0.0
    bench = Bench(faulty(model, lambda: bench.wait(delay_s)))
    picture = scene(portrait("obama2.jpg"))
    assert bench.show(picture, obama, 2) == []
    # The third look is the one that would accept.
    delay_s = MAX_FRAME_AGE_S + 0.1
    assert bench.show(picture, obama, 1) == []
    assert bench.pipeline.counts.faces_encoded == 3


def test_templates_that_are_no_numbers_decide_nothing(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(faulty(model, lambda: None, factor=float("nan")))
    assert bench.show(scene(portrait("obama2.jpg")), obama, 15) == []
    assert bench.pipeline.counts.faces_encoded == 15


def faulty(model: FaceModel, before: Callable[[], None], factor: float = 1.0) -> FaceModel:
    return cast("FaceModel", _Faulty(model, before, factor))


class _Faulty:
    """The real model on a machine where something goes wrong in each inference."""

    def __init__(self, model: FaceModel, before: Callable[[], None], factor: float) -> None:
        self._model = model
        self._before = before
        self._factor = np.float32(factor)

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def encode(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Do what goes wrong, then encode."""
        self._before()
        return np.asarray(self._factor * self._model.encode(chips), np.float32)


def test_a_gallery_that_changed_begins_all_evidence_anew(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    picture = scene(portrait("obama2.jpg"))
    assert bench.show(picture, obama, 2) == []
    bench.pipeline.drop_evidence()
    assert bench.show(picture, obama, 2) == []
    assert [v.person_id for v in bench.show(picture, obama, 1)] == ["obama"]


def test_a_large_frame_is_searched_small_and_its_boxes_are_in_its_own_pixels(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    picture = scene(portrait("obama2.jpg", 600), size=(1080, 1920))
    (report,) = bench.pipeline.step([bench.frame(picture)], obama)
    (view,) = report.tracks
    assert abs(view.box.centre[0] - 960) < 100
    assert 250 < view.box.width < 500


def test_what_only_the_cascade_takes_for_a_face_is_no_visitor(
    model: FaceModel, photos: Path
) -> None:
    portrait = cv2.resize(load_image(photos / "astronaut.png"), (480, 480))
    credulous = FaceDetector(min_neighbours=1, scale_factor=1.05)
    assert len(find_faces(credulous, np.asarray(portrait, np.uint8), 100)) > 1
    bench = Bench(model, min_face_px=100, detector=credulous)
    bench.show(np.asarray(portrait, np.uint8), None, frames=3)
    assert (bench.pipeline.counts.faces, bench.pipeline.counts.tracks) == (3, 1)


def test_each_stage_tells_what_it_took(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    told: list[tuple[str, float]] = []
    bench = Bench(model, on_stage=lambda name, seconds: told.append((name, seconds)))
    bench.show(scene(portrait("obama2.jpg")), obama, 1)
    assert [name for name, _ in told] == [s for s in STAGES if s not in LIVENESS_STAGES]
    assert all(seconds > 0 for _, seconds in told)


def judging(odds: float, cue: str = "texture-2.7") -> Liveness:
    """The shipped texture network; every finding of `cue`, which is needed, counts for `odds`."""
    document = {
        "format": "fusion-1",
        "bias": -1.0,
        "cues": {cue: {"at": [-100.0, 100.0], "odds": [odds, odds]}},
        "needs": [cue],
        "passes": 0.0,
        "fails": -2.0,
        "fitted_on": {},
    }
    return Liveness(load_texture(), read_fusion(document, "test"))


def test_who_was_seen_to_live_is_accepted_and_the_verdict_says_so(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(model, liveness=judging(8.0))
    (verdict,) = bench.show(scene(portrait("obama2.jpg")), obama, 8)
    assert (verdict.person_id, verdict.liveness) == ("obama", ShownAlive.PASSED)


def test_what_is_no_living_face_is_rejected_at_once_as_an_attack(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(model, liveness=judging(-8.0))
    (verdict,) = bench.show(scene(portrait("obama2.jpg")), obama, 5)
    assert (verdict.person_id, verdict.reason) == (None, "presentation_attack")
    assert verdict.liveness is ShownAlive.FAILED


def test_who_cannot_be_judged_is_rejected_when_patience_ends(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(model, liveness=judging(0.0))
    before = int(FPS * PATIENCE_S) - 2
    assert bench.show(scene(portrait("obama2.jpg")), obama, before) == []
    (verdict,) = bench.show(scene(portrait("obama2.jpg")), obama, 8)
    assert (verdict.person_id, verdict.reason) == (None, "presentation_attack")


def broken_off(
    bench: Bench, picture: NDArray[np.uint8], gallery: Snapshot, frames: int, fps: float = FPS
) -> list[str]:
    """The reasons of the visits that broke off while this was shown."""
    reasons = []
    for _ in range(frames):
        bench.now_s += 1 / fps
        for report in bench.pipeline.step([bench.frame(picture)], gallery):
            reasons += [one.reason for one in report.broken_off]
    return reasons


@pytest.mark.parametrize("frames", [5, 7])
def test_what_is_taken_away_before_it_is_refused_was_tried_all_the_same(
    model: FaceModel,
    portrait: Callable[..., NDArray[np.uint8]],
    obama: Snapshot,
    frames: int,
) -> None:
    bench = Bench(model, liveness=judging(0.0))
    assert broken_off(bench, scene(portrait("obama2.jpg")), obama, frames) == []
    gone = int(LEAVE_S * FPS) + 5
    assert broken_off(bench, scene(), obama, gone) == ["presentation_attack"]
    assert broken_off(bench, scene(), obama, gone) == []


def test_who_leaves_while_too_few_pictures_come_could_not_have_been_accepted(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    face = scene(portrait("obama2.jpg"))
    for fps, reasons in ((FPS, ["presentation_attack"]), (3.0, [])):
        bench = Bench(model, liveness=judging(0.0, "bump"))
        assert broken_off(bench, face, obama, 5, fps) == []
        assert broken_off(bench, scene(), obama, int(LEAVE_S * FPS) + 5) == reasons


def test_a_face_in_place_of_one_that_was_in_doubt_hides_no_try(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(model, liveness=judging(0.0))
    assert broken_off(bench, scene(portrait("obama2.jpg")), obama, 5) == []
    assert broken_off(bench, scene(portrait("biden.jpg")), obama, 3) == ["presentation_attack"]


@pytest.mark.parametrize(
    ("name", "odds", "problem"),
    [
        ("obama2.jpg", 8.0, ""),
        ("obama2.jpg", -8.0, ""),
        ("obama2.jpg", 0.0, "liveness_model"),
        ("biden.jpg", 0.0, ""),
    ],
)
def test_who_has_the_answer_or_was_never_recognised_breaks_nothing_off(
    model: FaceModel,
    portrait: Callable[..., NDArray[np.uint8]],
    obama: Snapshot,
    name: str,
    odds: float,
    problem: str,
) -> None:
    bench = Bench(model, liveness=judging(odds), problem=problem)
    assert broken_off(bench, scene(portrait(name)), obama, 6) == []
    assert broken_off(bench, scene(), obama, int(LEAVE_S * FPS) + 5) == []


def test_who_came_while_too_few_pictures_did_is_rejected_for_that(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    face = scene(portrait("obama2.jpg"))
    (verdict,) = Bench(model, liveness=judging(8.0, "bump")).show(face, obama, 8)
    assert verdict.person_id == "obama"
    (verdict,) = Bench(model, liveness=judging(8.0, "bump")).show(face, obama, 8, fps=3.0)
    assert (verdict.person_id, verdict.reason) == (None, "too_few_pictures")
    assert verdict.liveness is ShownAlive.FAILED
    # Who is recognised by nobody is not, however few came.
    stranger = scene(portrait("biden.jpg"))
    (verdict,) = Bench(model, liveness=judging(8.0, "bump")).show(stranger, obama, 8, fps=3.0)
    assert verdict.reason == "not_recognised"


@pytest.mark.parametrize("seen", [1, 2])
def test_whoever_could_be_judged_once_is_not_excused_by_too_few_pictures(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot, seen: int
) -> None:
    face = scene(portrait("obama2.jpg"))
    bench = Bench(model, liveness=judging(0.0, "bump"))
    # A look after one in quick succession, and then as few as before.
    assert bench.show(face, obama, 2, fps=3.0) == []
    assert bench.show(face, obama, seen) == []
    (verdict,) = bench.show(face, obama, 6, fps=3.0)
    assert (verdict.person_id, verdict.reason) == (None, "presentation_attack")


def test_what_keeps_so_still_that_nothing_can_be_measured_is_not_excused(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(model, liveness=judging(8.0, "ring"))
    (verdict,) = bench.show(scene(portrait("obama2.jpg")), obama, 15)
    assert (verdict.person_id, verdict.reason) == (None, "presentation_attack")


def test_who_is_cut_off_by_the_edge_is_asked_to_step_back_and_judged_once_seen_whole(
    bench: Bench, model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    whole = scene(portrait("obama2.jpg"))
    (box,) = FaceDetector().find(whole)
    cut = np.ascontiguousarray(whole[:, round(box.x + 0.05 * box.width) :])
    living = Bench(model, liveness=judging(8.0))
    (report,) = living.pipeline.step([living.frame(cut)], obama)
    assert [view.hint for view in report.tracks] == [Hint.STEP_BACK]
    # Nobody is refused for where they stand.
    assert living.show(cut, obama, round(3 * PATIENCE_S * FPS)) == []
    assert living.pipeline.counts.encoder_calls == 0
    (verdict,) = living.show(whole, obama, 8)
    assert (verdict.person_id, verdict.liveness) == ("obama", ShownAlive.PASSED)
    # To be recognised, so much of a face is enough.
    assert [verdict.person_id for verdict in bench.show(cut, obama, 15)] == ["obama"]


def test_a_stranger_is_not_recognised_whether_alive_or_not(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(model, liveness=judging(-8.0))
    (verdict,) = bench.show(scene(portrait("biden.jpg")), obama, 20)
    assert (verdict.reason, verdict.liveness) == ("not_recognised", ShownAlive.NOT_REQUIRED)


def test_another_face_on_the_track_inherits_no_liveness(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(model, liveness=judging(8.0))
    bench.show(scene(portrait("biden.jpg")), obama, 3)
    (visitor,) = bench.pipeline.visitors
    assert len(visitor.trace.looks) == 3
    bench.show(scene(portrait("obama2.jpg")), obama, 1)
    (visitor,) = bench.pipeline.visitors
    assert len(visitor.trace.looks) == 1


def test_a_claim_does_not_lend_another_face_the_liveness_of_who_stood_there(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(model, liveness=judging(8.0))
    bench.show(scene(portrait("biden.jpg")), obama, 3)
    bench.pipeline.renew()
    bench.show(scene(portrait("obama2.jpg")), obama, 1)
    (visitor,) = bench.pipeline.visitors
    assert len(visitor.trace.looks) == 1
    bench.pipeline.renew()
    bench.show(scene(portrait("obama2.jpg")), obama, 1)
    (visitor,) = bench.pipeline.visitors
    assert len(visitor.trace.looks) == 2, "the same face has been seen to live already"


def test_while_there_is_a_problem_nobody_is_accepted_and_strangers_are_rejected(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(model, problem="liveness_model")
    assert bench.show(scene(portrait("obama2.jpg")), obama, 30) == []
    other = Bench(model, problem="liveness_model")
    (verdict,) = other.show(scene(portrait("biden.jpg")), obama, 20)
    assert verdict.reason == "not_recognised"


def test_with_liveness_each_stage_tells_what_it_took(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    told: list[str] = []
    bench = Bench(model, liveness=judging(8.0), on_stage=lambda name, _: told.append(name))
    bench.show(scene(portrait("obama2.jpg")), obama, 1)
    assert told == list(STAGES)


def looks_and_glances(bench: Bench) -> tuple[int, int]:
    (visitor,) = bench.pipeline.visitors
    return len(visitor.trace.looks), len(visitor.trace.glances)


def test_while_nobody_is_compared_nobody_is_seen_to_live(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(model, liveness=judging(8.0))
    bench.show(scene(portrait("obama2.jpg")), obama, 2)
    bench.show(scene(portrait("biden.jpg")), None, 2)
    assert looks_and_glances(bench) == (0, 0)
    bench.show(scene(portrait("obama2.jpg")), obama, 1)
    assert looks_and_glances(bench) == (1, 1)


def test_what_moved_while_nobody_was_compared_shows_nobodys_life(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    bench = Bench(model, liveness=judging(0.0))
    blurred = cv2.GaussianBlur(scene(portrait("obama2.jpg")), (0, 0), 9)
    bench.show(blurred, obama, 4)
    (visitor,) = bench.pipeline.visitors
    assert (len(visitor.trace.looks), len(visitor.trace.glances)) == (0, 4)
    bench.show(scene(portrait("obama2.jpg")), obama, 1)
    assert looks_and_glances(bench) == (1, 1)
    bench.show(blurred, obama, 8)
    bench.show(scene(portrait("obama2.jpg")), obama, 1)
    assert looks_and_glances(bench) == (1, 1)


def test_templates_are_settled_before_they_are_compared_and_strangers_handed_on_as_encoded(
    model: FaceModel, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    away = obama.templates[0] - 0.5 * np.eye(1, len(obama.templates[0]), dtype=np.float32)[0]
    common = (away / np.linalg.norm(away))[np.newaxis]
    bench = Bench(model, settle=lambda templates: settled(templates, common))
    met: list[NDArray[np.float32]] = []
    bench.pipeline.on_stranger = met.append
    # Most of what tells Obama apart is taken out of his looks, but not out of the gallery.
    (verdict,) = bench.show(scene(portrait("obama2.jpg")), obama, 14)
    assert verdict.reason == NOT_RECOGNISED
    (template,) = met
    assert model.compare(template[np.newaxis], obama.templates)[0, 0] > verdict.threshold
    assert verdict.score < verdict.threshold


def test_nobody_who_is_accepted_is_kept_as_a_stranger(
    bench: Bench, portrait: Callable[..., NDArray[np.uint8]], obama: Snapshot
) -> None:
    met: list[NDArray[np.float32]] = []
    bench.pipeline.on_stranger = met.append
    (verdict,) = bench.show(scene(portrait("obama2.jpg")), obama, 6)
    assert verdict.accepted
    assert not met
