"""A door is learned from strangers, and makes thresholds stricter, never laxer."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from oneglance.errors import GalleryError
from oneglance.faces.calibration.door import (
    CalibratedTail,
    Door,
    Spread,
    Stretch,
    common_directions,
    settled,
)
from oneglance.faces.calibration.file import Kept, OtherModelError, seal_again
from oneglance.faces.calibration.file import read_calibration as read
from oneglance.faces.calibration.file import write_calibration as write
from oneglance.faces.calibration.fit import LEAST_STRANGERS, TooFewStrangersError, fit
from oneglance.faces.calibration.store import MOST_STRANGERS, StrangerFile
from oneglance.faces.calibration.strangers import sifted
from oneglance.faces.gallery.vault import TemplateKey
from oneglance.faces.model.tail import FittedRate, ImpostorTail

SIZE = 64
KEY = TemplateKey(bytes(range(32)))
FITTED = Spread(-6.5, 2.2)
BEGUN = date(2026, 3, 1)
# Strangers score 4 deviations higher with so much in common; at the darkest of the simulated doors
# of docs/benchmarks/calibration.md it is 3.
DARKEST = 0.75
seeds = st.integers(0, 2**32 - 1)
Templates = NDArray[np.float32]


def compare(probes: Templates, templates: Templates) -> NDArray[np.float32]:
    """Like the shipped head: a bias less a weighted L1 distance."""
    distance = np.abs(probes[:, np.newaxis] - templates[np.newaxis]).sum(2)
    return np.asarray(27.0 - 3.4 * distance, np.float32)


def strangers(count: int, shift: float, seed: int = 0, spread: int = SIZE) -> Templates:
    """Unit templates of strangers whose pictures have `shift` of one direction in common."""
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((count, SIZE))
    own[:, spread:] = 0
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    own[:, 0] += shift
    return np.asarray(own / np.linalg.norm(own, axis=1, keepdims=True), np.float32)


def spread_of(templates: Templates) -> Spread:
    scores = compare(templates, templates)[np.triu_indices(len(templates), 1)]
    return Spread(float(scores.mean()), float(scores.std()))


@given(seeds, st.integers(1, 5), st.floats(0.5, 2))
def test_settled_templates_keep_their_length_and_nothing_of_the_directions(
    seed: int, count: int, length: float
) -> None:
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.standard_normal((SIZE, count)))[0].T.astype(np.float32)
    templates = np.asarray(length * strangers(7, 0.4, seed), np.float32)
    once = settled(templates, directions)
    assert np.allclose(np.linalg.norm(once, axis=1), length, rtol=1e-4)
    assert np.allclose(once @ directions.T, 0, atol=1e-5)
    assert np.allclose(settled(once, directions), once, atol=1e-5)
    assert settled(templates[:0], directions).shape == (0, SIZE)


@given(seeds, st.floats(-0.5, 0.5), st.floats(0, 2), st.floats(-2, 2), st.floats(0.5, 2))
def test_a_template_gets_longer_the_more_it_looks_like_pictures_of_bad_doors(
    seed: int, base: float, by: float, squared: float, length: float
) -> None:
    axes = np.eye(SIZE, dtype=np.float32)
    templates = np.asarray(length * strangers(7, 0.4, seed), np.float32)
    nowhere = Spread(0.0, 1.0)
    squares = np.array([squared, 0.0, 1.0], np.float32)
    stretch = Stretch(base, axes[0], by, axes[1:4], squares)
    door = Door(axes[:2], nowhere, nowhere, stretch)
    unit = templates / length
    told = base + by * unit[:, :1] + squared * unit[:, 1:2] ** 2 + unit[:, 3:4] ** 2
    longer = 1 + np.maximum(0, told)
    assert np.allclose(door.settled(templates), settled(templates, axes[:2]) * longer, atol=1e-5)


def test_a_template_that_is_nothing_but_the_direction_stays() -> None:
    only = np.eye(1, SIZE, dtype=np.float32)
    assert np.array_equal(settled(only, only), only)


@given(st.floats(-20, 20), st.floats(0.1, 10), st.lists(st.floats(-10, 15), min_size=2, max_size=9))
def test_thresholds_rise_with_those_of_the_model_and_never_lie_below(
    mean: float, sd: float, scores: list[float]
) -> None:
    door = Door(np.eye(1, SIZE, dtype=np.float32), Spread(mean, sd), FITTED)
    lifted = [door.lifted(score) for score in sorted(scores)]
    assert lifted == sorted(lifted)
    assert all(at >= score for at, score in zip(lifted, sorted(scores), strict=True))


def test_a_calibrated_tail_is_the_models_own_lifted() -> None:
    tail = ImpostorTail([FittedRate(1e-2, -1.0, 1.1e-2), FittedRate(1e-4, 2.9, 2e-4)])
    door = Door(np.eye(1, SIZE, dtype=np.float32), Spread(-5.0, 2.4), FITTED)
    lifted = CalibratedTail(tail, door)
    assert lifted.strictest_fmr == tail.strictest_fmr
    assert lifted.threshold(1e-4) == door.lifted(tail.threshold(1e-4)) > tail.threshold(1e-4)
    assert lifted.laxest == FittedRate(1e-2, door.lifted(-1.0), 1.1e-2)


@pytest.mark.parametrize("count", [LEAST_STRANGERS, 150])
def test_at_a_fitted_door_strangers_match_as_seldom_as_promised(count: int) -> None:
    fitted = spread_of(strangers(600, 0.0))
    # Alike, and with less to tell them apart by than where the thresholds were fitted.
    others = strangers(600, 0.8, seed=1, spread=48)
    threshold = fitted.mean + 3 * fitted.sd

    def rate(templates: Templates, at: float) -> float:
        scores = compare(templates, templates)[np.triu_indices(len(templates), 1)]
        return float((scores >= at).mean())

    promised = rate(strangers(600, 0.0), threshold)
    assert rate(others, threshold) > 10 * promised
    kept = []
    for seed in range(6):
        drawn = strangers(count, 0.8, seed=seed + 2, spread=48)
        found = fit(drawn, compare, fitted, np.random.default_rng(seed))
        kept.append(rate(found.door.settled(others), found.door.lifted(threshold)) <= promised)
        assert found.strangers == count
        assert found.raw.mean > found.settled.mean
    assert sum(kept) >= 5


def test_where_nothing_is_alike_thresholds_hardly_rise() -> None:
    fitted = spread_of(strangers(600, 0.0))
    found = fit(strangers(250, 0.0, seed=1), compare, fitted, np.random.default_rng(0))
    threshold = fitted.mean + 4 * fitted.sd
    assert found.door.lifted(threshold) - threshold < 0.3 * fitted.sd


def test_too_few_strangers_are_refused() -> None:
    few = strangers(LEAST_STRANGERS - 1, 0.5)
    with pytest.raises(TooFewStrangersError, match=f"too few strangers: {LEAST_STRANGERS - 1}"):
        fit(few, compare, FITTED, np.random.default_rng(0))


@pytest.mark.parametrize("shift", [0.0, DARKEST])
def test_the_enrolled_and_who_comes_again_are_left_out(shift: float) -> None:
    came = strangers(60, shift)
    enrolled = np.concatenate([strangers(8, shift, seed=1), came[:3]])
    noise = np.random.default_rng(2).normal(0, 0.01, (5, SIZE))
    again = np.asarray(came[10:15] + noise, np.float32)
    broken = np.full((1, SIZE), np.nan, np.float32)
    found = sifted(np.concatenate([came, again, broken]), enrolled, compare, FITTED)
    assert (found.enrolled, found.again) == (3, 5)
    assert np.array_equal(found.strangers, came[3:])
    nobody = sifted(np.empty((0, SIZE), np.float32), enrolled, compare, FITTED)
    assert len(nobody.strangers) == 0


def looks(person: Templates, count: int, seed: int) -> Templates:
    """Templates of one person (1, SIZE), each of another picture."""
    noise = np.random.default_rng(seed).normal(0, 0.04, (count, SIZE))
    return np.asarray(person + noise, np.float32)


@pytest.mark.parametrize("shift", [0.0, DARKEST])
@pytest.mark.parametrize("known", [True, False])
def test_who_lives_there_is_left_out_however_often_they_pass(shift: float, *, known: bool) -> None:
    living = strangers(3, shift, seed=9)
    often = [looks(living[at : at + 1], 25, seed=at) for at in range(3)]
    came = strangers(30, shift)
    found = sifted(np.concatenate([came, *often]), living if known else living[:0], compare, FITTED)
    assert (found.enrolled, found.again) == ((75, 0) if known else (0, 72))
    assert len(found.strangers) == (30 if known else 33)
    alone = sifted(often[0], living if known else living[:0], compare, FITTED)
    assert len(alone.strangers) == (0 if known else 1)


@pytest.fixture
def kept() -> Kept:
    door = Door(common_directions(strangers(50, 1.0)), Spread(-6.0, 2.5), FITTED)
    return Kept(door, 50, 0.95, "2026-11-29T12:00:00+00:00")


def test_a_calibration_is_read_as_it_was_written(tmp_path: Path, kept: Kept) -> None:
    file = tmp_path / "calibration"
    write(file, kept, "model:1", KEY)
    found = read(file, "model:1", SIZE, KEY)
    assert (found.door.here, found.door.fitted) == (kept.door.here, kept.door.fitted)
    assert np.array_equal(found.door.directions, kept.door.directions)
    assert (found.strangers, found.calibrated_at) == (50, kept.calibrated_at)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_calibration_for_another_model_changed_or_resealed_is_refused(
    tmp_path: Path, kept: Kept
) -> None:
    file = tmp_path / "calibration"
    write(file, kept, "model:1", KEY)
    with pytest.raises(OtherModelError, match=r"model:1, not model:2.*oneglance calibrate"):
        read(file, "model:2", SIZE, KEY)
    with pytest.raises(OtherModelError, match="not model:2"):
        read(file, "model:2", 2 * SIZE, KEY)
    with pytest.raises(GalleryError, match="damaged"):
        read(file, "model:1", SIZE - 1, KEY)
    with pytest.raises(GalleryError, match="sealed with another key"):
        read(file, "model:1", SIZE, TemplateKey(bytes(32)))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(GalleryError, match="changed"):
        read(file, "model:1", SIZE, KEY)
    file.unlink()
    with pytest.raises(GalleryError, match="missing"):
        read(file, "model:1", SIZE, KEY)


def test_a_new_gallery_key_opens_the_same_calibration(tmp_path: Path, kept: Kept) -> None:
    file, following = tmp_path / "calibration", TemplateKey(bytes(32))
    seal_again(file, KEY, following)
    write(file, kept, "model:1", KEY)
    seal_again(file, KEY, following)
    # As after a crash, it is called again.
    seal_again(file, KEY, following)
    assert read(file, "model:1", SIZE, following).door.here == kept.door.here


def stranger_file(path: Path, model_id: str = "model:1", today: date = BEGUN) -> StrangerFile:
    parts = path, KEY, model_id, SIZE, Random(0)  # noqa: S311
    return StrangerFile(*parts, keep_days=30, today=lambda: today)


def test_strangers_are_kept_sealed_in_no_order_and_only_so_many(tmp_path: Path) -> None:
    path = tmp_path / "strangers"
    file = stranger_file(path)
    assert file.read().shape == (0, SIZE)
    came = strangers(MOST_STRANGERS + 5, 0.0)
    for template in came[:20]:
        file.add(template)
    found = file.read()
    assert sorted(map(tuple, found)) == sorted(map(tuple, came[:20]))
    assert not np.array_equal(found, came[:20])
    assert came[0].tobytes() not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    begun = len(BEGUN.isoformat())
    record = path.read_bytes()[begun : begun + (path.stat().st_size - begun) // 20]
    path.write_bytes(BEGUN.isoformat().encode() + record * MOST_STRANGERS)
    file.add(came[-1])
    assert len(file.read()) == MOST_STRANGERS
    # Torn by a power cut, and another model's.
    path.write_bytes(path.read_bytes()[:-1])
    assert len(file.read()) == MOST_STRANGERS - 1
    assert len(stranger_file(path, "model:2").read()) == 0
    # A process that was killed while it wrote leaves a draft.
    draft = path.with_name(f".new-{path.name}")
    draft.write_bytes(path.read_bytes())
    with path.open("rb") as kept:
        file.delete()
        assert set(kept.read()) == {0}
    assert not path.exists()
    assert not draft.exists()
    file.delete()


@pytest.mark.parametrize(("days", "kept"), [(0, 2), (29, 2), (30, 0), (4000, 0), (-1, 0)])
def test_strangers_go_together_so_many_days_after_the_first_came(
    tmp_path: Path, days: int, kept: int
) -> None:
    path = tmp_path / "strangers"
    first, second, third = strangers(3, 0.0)
    stranger_file(path).add(first)
    # The second does not make the first any younger.
    stranger_file(path, today=BEGUN + timedelta(days=20)).add(second)
    later = stranger_file(path, today=BEGUN + timedelta(days=days))
    assert len(later.read()) == kept
    later.delete_if_old()
    assert path.exists() == (kept > 0)
    later.add(third)
    assert len(later.read()) == kept + 1


def test_a_file_that_does_not_tell_its_age_holds_nobody(tmp_path: Path) -> None:
    path = tmp_path / "strangers"
    stranger_file(path).add(strangers(1, 0.0)[0])
    path.write_bytes(path.read_bytes()[5:])
    assert len(stranger_file(path).read()) == 0
    stranger_file(path).delete_if_old()
    assert not path.exists()
