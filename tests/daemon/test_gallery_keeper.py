"""The gallery's own thread: what the loop sees of it, and what happens when it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from oneglance.config import Config, DecisionConfig, GalleryConfig
from oneglance.daemon.app import Daemon
from oneglance.daemon.gallery.keeper import STUCK_S, GalleryKeeper
from oneglance.daemon.gallery.watch import GalleryWatch
from oneglance.daemon.visit.decide import Rule, UnsupportedTargetError
from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.identify import with_codes
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.model.tail import tail_of

Wait = Callable[[Callable[[], bool], str], None]
Enrol = Callable[..., None]


class Clock:
    """A monotonic clock that is moved by hand, and otherwise goes just fast enough to look."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.still = False

    def __call__(self) -> float:
        if not self.still:
            self.now_s += 0.2
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(
    gallery_file: GalleryConfig, model: FaceModel, clock: Clock
) -> Iterator[Callable[..., GalleryKeeper]]:
    keepers: list[GalleryKeeper] = []

    def make(
        work: Callable[[], None] = lambda: None,
        shut: Callable[[], str] = lambda: "",
        **extra: object,
    ) -> GalleryKeeper:
        watch = GalleryWatch(
            gallery_file.path,
            load_key(gallery_file.key_file),
            model.model_id,
            model.template_size,
            wall=lambda: datetime.now(UTC),
            **extra,  # type: ignore[arg-type]
        )
        watch.reload()
        watch.close()
        keepers.append(GalleryKeeper(watch, clock, work, shut))
        return keepers[-1]

    yield make
    for keeper in keepers:
        keeper.stop()


def templates(model: FaceModel, count: int, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(count, model.template_size))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def people(keeper: GalleryKeeper) -> set[str]:
    snapshot = keeper.held.snapshot
    return set() if snapshot is None else set(snapshot.person_ids)


def test_what_was_read_at_the_start_counts_before_the_thread_runs(
    make: Callable[..., GalleryKeeper], enrol: Enrol, model: FaceModel
) -> None:
    enrol("Ada", templates=templates(model, 2))
    assert people(make()) == {"ada"}


def test_while_it_is_to_be_shut_nobody_counts_and_afterwards_who_did_before(
    make: Callable[..., GalleryKeeper], enrol: Enrol, model: FaceModel, wait_until: Wait
) -> None:
    enrol("Ada", templates=templates(model, 2))
    reason = ["gallery_stale"]
    keeper = make(shut=lambda: reason[0])
    assert (people(keeper), keeper.held.problem) == (set(), "gallery_stale")
    version = keeper.held.version
    reason[0] = ""
    keeper.start()
    wait_until(lambda: people(keeper) == {"ada"}, "she counts again")
    assert keeper.held.version != version


def test_enrolments_and_deletions_are_noticed_while_the_loop_goes_on(
    make: Callable[..., GalleryKeeper],
    enrol: Enrol,
    model: FaceModel,
    gallery_file: GalleryConfig,
    wait_until: Wait,
) -> None:
    keeper = make()
    keeper.start()
    enrol("Ada", templates=templates(model, 2))
    wait_until(lambda: people(keeper) == {"ada"}, "an enrolment was not noticed")
    version = keeper.held.version
    with Gallery.open(gallery_file.path, load_key(gallery_file.key_file)) as gallery:
        gallery.delete("ada")
    wait_until(lambda: people(keeper) == set(), "a deletion was not noticed")
    assert keeper.held.version != version
    assert keeper.held.problem == "gallery_empty"


def test_a_large_gallery_is_made_fast_to_search_and_one_more_person_keeps_it_so(
    make: Callable[..., GalleryKeeper], enrol: Enrol, model: FaceModel, wait_until: Wait
) -> None:
    enrol("Crowd", templates=templates(model, 2100))
    head = L1Head.behind(model.compare, model.template_size)
    keeper = make(prepare=lambda snapshot: with_codes(snapshot, head))
    assert keeper.held.snapshot is not None
    assert keeper.held.snapshot.codes is not None
    before = keeper.held.snapshot.templates
    keeper.start()
    enrol("Ada", templates=templates(model, 1, seed=1))
    wait_until(lambda: people(keeper) == {"ada", "crowd"}, "an enrolment was not noticed")
    snapshot = keeper.held.snapshot
    assert snapshot.codes is not None
    assert len(snapshot.codes) == 2101
    assert np.array_equal(snapshot.templates[1:], before)


def test_a_gallery_too_large_for_the_target_lets_nobody_in_until_it_is_smaller(
    make: Callable[..., GalleryKeeper],
    enrol: Enrol,
    model: FaceModel,
    gallery_file: GalleryConfig,
    wait_until: Wait,
) -> None:
    rule = Rule(1e-5, 3, 3.0, tail_of(model.manifest.raw["thresholds"]))
    enrol("Ada", templates=templates(model, rule.most_templates))
    keeper = make(fits=rule.fits)
    keeper.start()
    assert people(keeper) == {"ada"}
    enrol("Bob", templates=templates(model, 1, seed=1))
    wait_until(lambda: keeper.held.problem == "far_unsupported", "too many were not noticed")
    assert keeper.held.snapshot is None
    with Gallery.open(gallery_file.path, load_key(gallery_file.key_file)) as gallery:
        gallery.delete("bob")
    wait_until(lambda: people(keeper) == {"ada"}, "the smaller gallery does not count")
    assert keeper.held.problem == ""


def test_a_daemon_does_not_start_with_more_templates_than_its_target_allows(
    house: Callable[..., Config], film: Callable[..., Path], enrol: Enrol, model: FaceModel
) -> None:
    enrol("Ada", templates=templates(model, 267))
    config = house(film(3), decision=DecisionConfig(far="1e-5"))
    with pytest.raises(UnsupportedTargetError, match="267 templates are too many") as refused:
        Daemon(config, mqtt=False).run()
    assert refused.value.exit_code == 67
    assert "at most 266" in str(refused.value)


def test_a_keeper_that_hangs_lets_nobody_in_until_it_comes_round(
    make: Callable[..., GalleryKeeper],
    enrol: Enrol,
    model: FaceModel,
    clock: Clock,
    wait_until: Wait,
) -> None:
    enrol("Ada", templates=templates(model, 1))
    free, hangs = threading.Event(), threading.Event()

    def work() -> None:
        hangs.set()
        free.wait(60)

    keeper = make(work)
    clock.still = True
    keeper.start()
    try:
        assert hangs.wait(20)
        version = keeper.held.version
        assert people(keeper) == {"ada"}
        clock.now_s += STUCK_S + 0.1
        assert (keeper.held.snapshot, keeper.held.problem) == (None, "gallery_error")
        assert keeper.held.version != version
    finally:
        free.set()
    wait_until(lambda: people(keeper) == {"ada"}, "it did not come round")
    assert keeper.held.version == version


def test_a_keeper_that_fails_fails_the_loop_that_asks_it(
    make: Callable[..., GalleryKeeper], wait_until: Wait
) -> None:
    def work() -> None:
        raise ZeroDivisionError("in a command")

    keeper = make(work)
    keeper.start()
    wait_until(lambda: keeper.crash is not None, "the failure was not noticed")
    with pytest.raises(ZeroDivisionError, match="in a command"):
        _ = keeper.held
