from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from oneglance.config import GalleryConfig
from oneglance.daemon.gallery.watch import LOOK_EVERY_S, GalleryWatch
from oneglance.errors import GalleryError
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.face_model import FaceModel

Enrol = Callable[..., None]


class Clock:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(gallery_file: GalleryConfig, model: FaceModel, clock: Clock) -> GalleryWatch:
    key = load_key(gallery_file.key_file)
    return GalleryWatch(gallery_file.path, key, model.model_id, model.template_size, wall=clock)


def template(model: FaceModel, seed: int = 1) -> NDArray[np.float32]:
    row = np.random.default_rng(seed).normal(size=(1, model.template_size)).astype(np.float32)
    return np.asarray(row / np.linalg.norm(row), np.float32)


def people(watch: GalleryWatch) -> set[str]:
    return set() if watch.snapshot is None else set(watch.snapshot.person_ids)


def test_before_the_first_look_nobody_counts(watch: GalleryWatch) -> None:
    assert watch.snapshot is None
    assert watch.problem == "gallery_error"


def test_an_empty_gallery_is_a_problem_that_has_a_name(watch: GalleryWatch) -> None:
    watch.refresh(0.0)
    assert watch.problem == "gallery_empty"


def test_an_enrolment_by_another_process_is_noticed(
    watch: GalleryWatch, enrol: Enrol, model: FaceModel
) -> None:
    watch.refresh(0.0)
    version = watch.version
    enrol("Ada", templates=template(model))
    watch.refresh(LOOK_EVERY_S)
    assert people(watch) == {"ada"}
    assert watch.version > version
    assert watch.problem == ""


def test_a_deletion_by_another_process_is_noticed(
    watch: GalleryWatch, enrol: Enrol, model: FaceModel, gallery_file: GalleryConfig
) -> None:
    enrol("Ada", templates=template(model))
    watch.refresh(0.0)
    with Gallery.open(gallery_file.path, load_key(gallery_file.key_file)) as gallery:
        gallery.delete("ada")
    watch.refresh(LOOK_EVERY_S)
    assert people(watch) == set()


def test_whoever_expires_stops_counting_at_once(
    watch: GalleryWatch, enrol: Enrol, model: FaceModel, clock: Clock
) -> None:
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    enrol("Ada", templates=template(model), expires_at=expires_at)
    watch.refresh(0.0)
    assert people(watch) == {"ada"}
    clock.offset = timedelta(hours=1, seconds=1)
    watch.refresh(0.01)
    assert people(watch) == set()


def test_a_clock_set_back_does_not_keep_anybody_longer(
    watch: GalleryWatch, enrol: Enrol, model: FaceModel, clock: Clock
) -> None:
    enrol("Ada", templates=template(model), expires_at=datetime.now(UTC) + timedelta(hours=1))
    clock.offset = timedelta(hours=2)
    watch.refresh(0.0)
    assert people(watch) == set()
    version = watch.version
    clock.offset = timedelta(0)
    watch.refresh(LOOK_EVERY_S)
    assert watch.version > version


def test_a_damaged_gallery_lets_nobody_in_and_is_read_again_when_it_is_whole(
    watch: GalleryWatch,
    enrol: Enrol,
    model: FaceModel,
    gallery_file: GalleryConfig,
    caplog: pytest.LogCaptureFixture,
) -> None:
    enrol("Ada", templates=template(model))
    watch.refresh(0.0)
    whole = gallery_file.path.read_bytes()
    aside = gallery_file.path.with_name("aside.db")
    gallery_file.path.rename(aside)
    gallery_file.path.write_bytes(b"damaged" * 1000)
    gallery_file.path.chmod(0o600)
    for i in range(1, 4):
        watch.refresh(i * LOOK_EVERY_S)
        assert watch.snapshot is None
    assert watch.problem == "gallery_error"
    assert "nobody is let in" in caplog.text
    assert whole
    aside.replace(gallery_file.path)
    watch.refresh(5 * LOOK_EVERY_S)
    assert people(watch) == {"ada"}


def test_a_deleted_gallery_lets_nobody_in(
    watch: GalleryWatch, enrol: Enrol, model: FaceModel, gallery_file: GalleryConfig
) -> None:
    enrol("Ada", templates=template(model))
    watch.refresh(0.0)
    gallery_file.path.unlink()
    watch.refresh(1 * LOOK_EVERY_S)
    watch.refresh(2 * LOOK_EVERY_S)
    assert people(watch) == set()


def test_a_gallery_of_another_model_lets_nobody_in_and_says_so(
    watch: GalleryWatch, enrol: Enrol, model: FaceModel, caplog: pytest.LogCaptureFixture
) -> None:
    enrol("Ada", templates=template(model), model_id="another:0123456789ab")
    with pytest.raises(GalleryError, match="another model"):
        watch.reload()
    assert watch.snapshot is None
    assert "1 person is enrolled with another model" in caplog.text


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE template SET model_id = 'another:0123456789ab'",
        "UPDATE template SET sealed = x'00'",
        "UPDATE person SET name = CAST(x'41646180' AS TEXT)",
        "UPDATE person SET created_at = 'Ada'",
        "UPDATE person SET expires_at = '2027-01-01'",
        "UPDATE meta SET value = 'ada' WHERE name = 'changes'",
        "UPDATE meta SET value = 'ada' WHERE name = 'key_check'",
    ],
)
def test_no_damage_ends_the_watch_or_brings_a_name_into_the_log(
    statement: str,
    watch: GalleryWatch,
    enrol: Enrol,
    model: FaceModel,
    gallery_file: GalleryConfig,
    caplog: pytest.LogCaptureFixture,
) -> None:
    enrol("Ada", templates=template(model))
    database = sqlite3.connect(gallery_file.path)
    assert database.execute(statement).rowcount == 1
    database.commit()
    database.close()
    watch.refresh(0.0)
    assert (watch.snapshot, watch.problem) == (None, "gallery_error")
    assert "nobody is let in" in caplog.text
    assert "ada" not in caplog.text.lower().replace(str(gallery_file.path).lower(), "")


def test_a_gallery_that_may_not_be_looked_for_is_an_error_not_an_empty_one(
    model: FaceModel, gallery_file: GalleryConfig
) -> None:
    # A name too long stands in for a folder that is closed to this user: root may enter all.
    hidden = gallery_file.path.with_name("x" * 300)
    key = load_key(gallery_file.key_file)
    watch = GalleryWatch(
        hidden, key, model.model_id, model.template_size, wall=lambda: datetime.now(UTC)
    )
    watch.refresh(0.0)
    assert watch.problem == "gallery_error"


def test_a_gallery_under_another_key_is_refused(
    gallery_file: GalleryConfig, model: FaceModel, clock: Clock, watch: GalleryWatch
) -> None:
    from oneglance.faces.gallery.vault import create_key

    other = gallery_file.key_file.with_name("other.key")
    create_key(other)
    stranger = GalleryWatch(
        gallery_file.path, load_key(other), model.model_id, model.template_size, wall=clock
    )
    with pytest.raises(GalleryError, match="another key"):
        stranger.reload()


def test_a_new_door_without_a_gallery_is_empty_not_broken(
    watch: GalleryWatch, gallery_file: GalleryConfig
) -> None:
    for file in gallery_file.path.parent.glob("gallery.db*"):
        file.unlink()
    assert watch.reload() == 0
    assert watch.problem == "gallery_empty"
    assert not gallery_file.path.exists()


def test_reload_tells_how_many_people_count(
    watch: GalleryWatch, enrol: Enrol, model: FaceModel
) -> None:
    enrol("Ada", templates=np.concatenate([template(model, 1), template(model, 2)]))
    enrol("Bob", templates=template(model, 3))
    assert watch.reload() == 2
