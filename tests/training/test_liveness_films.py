"""Made films of visits and attacks: what they show moves as it should, and nothing is left open."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from oneglance.errors import CameraError
from oneglance.faces.find.align import box_around
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.find.pose import turn_and_nod
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.reader import load_image
from oneglance.training.faces.drawn_faces import draw_face, draw_person
from oneglance.training.liveness.acts import ACTS, Act, amount, blink
from oneglance.training.liveness.film import (
    APART_KINDS,
    ATTACK_KINDS,
    CUT_OUT_KIND,
    GENUINE_KINDS,
    KINDS,
    STANDING_KINDS,
    Film,
)
from oneglance.training.liveness.footage import shots
from oneglance.training.liveness.people import PARTS, Lfw, split_people
from oneglance.training.liveness.portrait import Portrait, portrait_of, read_portrait
from oneglance.training.liveness.render import Reel, filmed, render, scene
from oneglance.training.liveness.stand import FACE_PX, FPS, SECONDS, SIZES, stand, times
from oneglance.training.liveness.styles import FIT, JUDGE, ROUGH, Style, shared


def drawn(person: int) -> Portrait:
    """A drawn face with freckles, so that there is something to follow."""
    rng = np.random.default_rng([4, person])
    picture, points, _ = draw_face(draw_person(4, person), rng)
    freckles = cv2.GaussianBlur(rng.normal(0, 90, picture.shape).astype(np.float32), (0, 0), 1.2)
    picture = np.clip(picture + freckles, 0, 255).astype(np.uint8)
    return portrait_of(picture, points, person=f"drawn {person}")


@pytest.fixture(scope="module")
def portraits() -> list[Portrait]:
    return [drawn(0), drawn(1)]


@pytest.fixture(scope="module")
def others() -> list[Portrait]:
    return [drawn(2)]


def film_of(
    kind: str, portraits: list[Portrait], others: list[Portrait], style: Style = FIT, seed: int = 0
) -> Film:
    return render(kind, portraits, others, style, np.random.default_rng(seed), seconds=0.2, fps=15)


@pytest.mark.parametrize("kind", [*KINDS, *APART_KINDS])
def test_every_kind_is_a_film_of_its_person(
    kind: str, portraits: list[Portrait], others: list[Portrait]
) -> None:
    film = film_of(kind, portraits, others, JUDGE if kind in ATTACK_KINDS[::2] else FIT)
    assert film.kind == kind
    assert film.person == "drawn 0"
    assert film.made
    assert film.live is (kind in GENUINE_KINDS)
    width, height = film.frames[0].shape[1::-1]
    assert (width, height) in SIZES
    for frame in film.frames:
        assert frame.dtype == np.uint8
        assert frame.shape == (height, width, 3)
        assert 10 < frame.mean() < 245
    assert len(film.frames) == len(film.at_s) == len(film.points)
    assert film.at_s[0] == 0.0
    assert (np.diff(film.at_s) > 0).all()
    assert film.points.shape[1:] == (5, 2)
    assert (film.points > 0).all()
    assert (film.points < [width, height]).all()


def covered(
    kind: str, portraits: list[Portrait], seed: int = 3
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64]]:
    """Which px of the room the first frame of a scene covers, and the last, and the first one's
    points; nobody is behind what is held.
    """
    there = scene(kind, portraits, [], FIT, np.random.default_rng(seed), seconds=1.5, fps=4)
    seen = []
    for index in (0, len(there.at_s) - 1):
        frame = there.behind.copy()
        points = [draw(frame, index) for draw in there.draws][-1]
        seen.append(((frame != there.behind).any(2), points))
    return seen[0][0], seen[1][0], seen[0][1]


@pytest.mark.parametrize("kind", STANDING_KINDS)
def test_a_screen_that_nobody_holds_stays_where_it_is(kind: str, portraits: list[Portrait]) -> None:
    first, last, _ = covered(kind, portraits)
    assert first.any()
    assert (first ^ last).mean() < 1e-3
    first, last, _ = covered(kind.replace("standing", "replay"), portraits)
    assert (first ^ last).mean() > 1e-2


def test_a_head_that_is_cut_out_has_no_margin(portraits: list[Portrait]) -> None:
    def beside(kind: str) -> float:
        first, _, points = covered(kind, portraits)
        unit = float(np.linalg.norm(points[1] - points[0]))
        x, y = points[:2].mean(0)
        row = first[round(y - 0.2 * unit) : round(y + 0.2 * unit)]
        columns = np.abs(np.arange(row.shape[1]) - x) / unit
        return float(row[:, (columns > 1.6) & (columns < 2.0)].mean())

    assert beside(CUT_OUT_KIND) < 0.1 < 0.5 < beside("print_shaken")


@pytest.mark.parametrize("kind", ["visit", "phone_replay"])
def test_one_seed_makes_one_film(
    kind: str, portraits: list[Portrait], others: list[Portrait]
) -> None:
    first, again = (film_of(kind, portraits, others, JUDGE) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first.frames, again.frames, strict=True))
    assert np.array_equal(first.points, again.points)
    other = film_of(kind, portraits, others, JUDGE, seed=1)
    assert not np.array_equal(first.points, other.points)


def test_a_film_that_is_made_as_it_is_wanted_is_the_same(
    portraits: list[Portrait], others: list[Portrait]
) -> None:
    whole = film_of("visit", portraits[:1], others, JUDGE)
    rng = np.random.default_rng(0)
    reel = filmed(portraits[:1], others, JUDGE, rng, seconds=0.2, fps=15)
    assert np.array_equal(reel.points, whole.points)
    before = rng.bit_generator.state
    assert isinstance(reel.frames, Reel)
    assert np.array_equal(reel.frames[1], whole.frames[1])
    assert rng.bit_generator.state != before
    after = rng.bit_generator.state
    assert np.array_equal(reel.frames[0], whole.frames[0])
    assert rng.bit_generator.state == after
    assert all(np.array_equal(a, b) for a, b in zip(reel.frames, whole.frames, strict=True))


def test_a_scene_goes_on_as_it_was_until_the_first_new_act(portraits: list[Portrait]) -> None:
    def points(acts: list[Act]) -> list[np.ndarray]:
        rng = np.random.default_rng(5)
        there = scene("visit", portraits, [], FIT, rng, acts=acts, seconds=0.8, fps=10)
        return [there.take(index)[1] for index in range(8)]

    still, turned = points([]), points([Act("turn_left", 0.3, 2.0)])
    same = [bool((a == b).all()) for a, b in zip(still, turned, strict=True)]
    assert same == [at_s <= 0.3 for at_s in np.arange(8) / 10]


def test_the_same_picture_makes_the_same_portrait() -> None:
    one, again = drawn(3), drawn(3)
    assert np.array_equal(one.person_only.levels[0], again.person_only.levels[0])


def test_no_value_and_no_form_is_in_both_styles() -> None:
    assert shared(FIT, JUDGE) == shared(ROUGH, JUDGE) == []
    # So it would be seen if one were.
    assert set(shared(FIT, FIT)) >= {"rooms", "head_shape", "tremor", "codec"}


def followed(film: Film, first: int, last: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Spots of the face in two frames, each followed through all between and back."""
    greys = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in film.frames]
    mask = np.zeros_like(greys[0])
    inside = box_around(film.points[first]).scaled(0.8)
    x, y = round(inside.x), round(inside.y)
    mask[y : y + round(inside.height), x : x + round(inside.width)] = 255
    begun = cv2.goodFeaturesToTrack(greys[first], 150, 0.01, 4, mask=mask)
    spots, kept = begun, np.ones(len(begun), bool)
    for i in range(first, last):
        moved, good, _ = cv2.calcOpticalFlowPyrLK(greys[i], greys[i + 1], spots, None)
        back, _, _ = cv2.calcOpticalFlowPyrLK(greys[i + 1], greys[i], moved, None)
        kept &= (good[:, 0] == 1) & (np.abs(back - spots).max((1, 2)) < 0.4)
        spots = moved
    return begun[kept, 0], spots[kept, 0]


def off_plane(film: Film, first: int, last: int) -> float:
    """How far the face is from having moved as a plane: median px beside the best homography."""
    before, after = followed(film, first, last)
    assert len(before) > 25
    plane, _ = cv2.findHomography(before, after, cv2.LMEDS)
    there = cv2.perspectiveTransform(before[None], plane)[0]
    return float(np.median(np.linalg.norm(there - after, axis=1)))


@pytest.mark.parametrize("style", [FIT, JUDGE], ids=lambda style: style.name)
def test_a_print_moves_as_a_plane_and_a_head_does_not(
    style: Style, portraits: list[Portrait]
) -> None:
    acts = [Act("turn_left", 0.1, 2.0)]
    apart = {}
    for kind in ("visit", "tablet_photo"):
        rng = np.random.default_rng(0)
        film = render(kind, portraits, [], style, rng, acts=acts, seconds=0.6, fps=20)
        apart[kind] = off_plane(film, 1, len(film.frames) - 3)
    assert apart["tablet_photo"] < 0.8
    assert apart["visit"] > 3 * apart["tablet_photo"]


@pytest.mark.parametrize(("name", "side"), [("turn_left", 1), ("turn_right", -1)])
def test_a_visitor_turns_to_the_side_that_was_asked(
    name: str, side: int, portraits: list[Portrait]
) -> None:
    rng = np.random.default_rng(3)
    film = render("visit", portraits, [], FIT, rng, acts=[Act(name, 0.0, 3.0)], seconds=0.7, fps=10)
    turn, _ = turn_and_nod(film.points[-1])
    before, _ = turn_and_nod(film.points[0])
    assert side * (turn - before) > 0.25


def test_a_visitor_looks_up_and_comes_closer_when_asked(portraits: list[Portrait]) -> None:
    acts = [Act("look_up", 0.0, 0.6), Act("closer", 0.6, 1.4)]
    rng = np.random.default_rng(3)
    film = render("visit", portraits, [], FIT, rng, acts=acts, seconds=1.5, fps=10)
    nods = [turn_and_nod(points)[1] for points in film.points]
    assert nods[3] < nods[0] - 0.1
    assert box_around(film.points[-1]).width > 1.2 * box_around(film.points[6]).width


def test_acts_are_checked_and_end() -> None:
    with pytest.raises(ValueError, match="unknown act 'wink'"):
        Act("wink", 0.0, 1.0)
    with pytest.raises(ValueError, match="before it begins"):
        Act("blink", 1.0, 1.0)
    at_s = np.linspace(0, 3, 301)
    for name in ACTS:
        done = amount([Act(name, 0.5, 2.0)], name, at_s)
        assert done[0] == 0.0
        assert done.max() > 0.99
        assert done[-1] == (1.0 if name == "closer" else 0.0)
    shut = blink(1.0, 1.3, at_s)
    assert shut.max() > 0.95
    assert shut[at_s < 1.0].max() == shut[at_s > 1.3].max() == 0.0


def test_who_blinks_shows_no_eyes(portraits: list[Portrait]) -> None:
    def eyes(acts: list[Act]) -> float:
        rng = np.random.default_rng(8)
        film = render("visit", portraits, [], FIT, rng, acts=acts, seconds=0.6, fps=20)
        x, y = film.points[6][0]
        reach = np.linalg.norm(film.points[6][1] - film.points[6][0]) * 0.1
        part = film.frames[6][int(y - reach) : int(y + reach), int(x - reach) : int(x + reach)]
        return float(part.mean())

    # The drawn eyes are of another colour than the drawn lids.
    assert abs(eyes([Act("blink", 0.15, 0.6)]) - eyes([])) > 4.0


def test_faces_stand_anywhere_and_are_of_all_sizes() -> None:
    rng = np.random.default_rng(0)
    widths, lengths, rates = [], [], []
    for _ in range(200):
        at_s = times(rng, None, None)
        there = stand(at_s, rng)
        middle = np.array([there.x[-1], there.y[-1]])
        half = 0.5 * there.unit_px[-1] * 2.9
        assert (middle > half).all()
        assert (middle < np.array(there.size) - half).all()
        widths.append(there.unit_px[-1] * 2.874)
        lengths.append(at_s[-1])
        rates.append((len(at_s) - 1) / at_s[-1])
    assert FACE_PX[0] * 0.99 < min(widths) < 1.1 * FACE_PX[0]
    assert 0.9 * FACE_PX[1] < max(widths) < FACE_PX[1] * 1.01
    assert SECONDS[0] * 0.85 < min(lengths) < max(lengths) < SECONDS[1] * 1.05
    assert FPS[0] * 0.95 < min(rates) < max(rates) < FPS[1] * 1.05


def test_what_cannot_be_made_is_said(portraits: list[Portrait]) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="unknown kind of film 'mask'"):
        render("mask", portraits, [], FIT, rng)
    with pytest.raises(ValueError, match="visit_two_photos needs 2 portraits, not 1"):
        render("visit_two_photos", portraits[:1], [], FIT, rng)
    with pytest.raises(ValueError, match="print_still needs 1 portrait, not 0"):
        render("print_still", [], [], FIT, rng)


def test_no_person_is_in_two_parts(tmp_path: Path) -> None:
    folds = tmp_path / "folds.csv"
    folds.write_text("person,fold,images\n" + "".join(f"P{i},{i % 10 + 1},2\n" for i in range(30)))
    parts = split_people(folds)
    assert set(parts) == set(PARTS) == {"fit", "threshold", "judge"}
    assert [len(parts[part]) for part in ("fit", "threshold", "judge")] == [18, 3, 3]
    assert len(set().union(*parts.values())) == 24


def test_photographs_are_read_by_person(tmp_path: Path) -> None:
    archive = tmp_path / "faces.zip"
    with zipfile.ZipFile(archive, "w") as pack:
        for number in (2, 1):
            pack.writestr(f"faces/Ada/Ada_000{number}.jpg", b"%d" % number)
    lfw = Lfw(archive)
    assert (lfw.count("Ada"), lfw.count("Bob")) == (2, 0)
    assert lfw.photo("Ada", 0) == b"1"


def test_a_recording_that_is_none_is_said(tmp_path: Path) -> None:
    file = tmp_path / "film.mp4"
    file.write_bytes(b"no film")
    with pytest.raises(CameraError, match="not a film"):
        shots(file, FaceDetector(), load_model())


def test_the_renderer_needs_no_training_framework() -> None:
    probe = (
        "import sys, oneglance.training.liveness.render as _;"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'tensorflow', 'keras', 'onnx'}))"
    )
    said = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model()


@pytest.fixture(scope="module")
def real(photos: Path, model: FaceModel) -> Portrait:
    image = load_image(photos / "obama2.jpg")
    portrait = read_portrait(image, person="real", detector=FaceDetector(), model=model)
    assert portrait is not None
    return portrait


@pytest.mark.parametrize("kind", ["visit", "print_bent"])
def test_points_are_where_the_aligner_sees_them(
    kind: str, real: Portrait, model: FaceModel
) -> None:
    film = film_of(kind, [real], [], JUDGE)
    for frame, points in zip(film.frames, film.points, strict=True):
        found = model.relocate(frame, [points])
        eyes_px = np.linalg.norm(points[1] - points[0])
        assert np.linalg.norm(found.points[0] - points, axis=1).mean() < 0.12 * eyes_px


def test_a_recording_is_cut_into_its_faces_and_can_be_replayed(
    real: Portrait, model: FaceModel, tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    film = render("visit", [real], [], FIT, rng, seconds=1.7, fps=15)
    file = tmp_path / "film.avi"
    height, width = film.frames[0].shape[:2]
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 15.0, (width, height))
    for frame in film.frames:
        writer.write(frame)
    # Then the recording cuts to where nobody is.
    for _ in range(5):
        writer.write(np.full_like(film.frames[0], 255))
    writer.release()
    found = shots(file, FaceDetector(), model, min_face_px=40)
    assert len(found) == 1
    recorded = found[0]
    assert (recorded.kind, recorded.live, recorded.made) == ("visit_recorded", True, False)
    assert len(recorded.frames) >= 0.9 * len(film.frames)
    replay = render("tablet_replay", [real], [], FIT, rng, seconds=0.2, fps=15, footage=recorded)
    assert not replay.live
    assert np.isfinite(replay.points).all()
