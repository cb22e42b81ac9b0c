from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from oneglance.access_config import AccessConfig, AccessRule, Demand
from oneglance.audit.generations import Generations
from oneglance.audit.log import Audit
from oneglance.clocks import Clocks
from oneglance.config import Config, DecisionConfig, GalleryConfig
from oneglance.daemon.build import comparable, open_gallery
from oneglance.daemon.gallery.watch import LOOK_EVERY_S, TIDY_EVERY_S, GalleryWatch
from oneglance.daemon.visit.decide import UnsupportedTargetError
from oneglance.errors import AuditError, GalleryError
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.setup import configured_witness, open_configured
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.face_model import FaceModel

Enrol = Callable[..., None]
Closed = Callable[[GalleryWatch], GalleryWatch]


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
def closed() -> Iterator[Closed]:
    """Takes a watch that the end of the test closes."""
    with ExitStack() as stack:
        yield lambda watch: stack.enter_context(closing(watch))


@pytest.fixture
def watch(
    gallery_file: GalleryConfig, model: FaceModel, clock: Clock, closed: Closed
) -> GalleryWatch:
    key = load_key(gallery_file.key_file)
    return closed(
        GalleryWatch(gallery_file.path, key, model.model_id, model.template_size, wall=clock)
    )


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


def test_a_gallery_that_another_program_wrote_into_lets_nobody_in(
    watch: GalleryWatch, enrol: Enrol, model: FaceModel, gallery_file: GalleryConfig
) -> None:
    enrol("Ada", templates=template(model))
    enrol("Bob", templates=template(model, 2))
    watch.refresh(0.0)
    version = watch.version
    watch.refresh(LOOK_EVERY_S)
    assert watch.version == version
    with sqlite3.connect(gallery_file.path) as database:
        (ada, its), (bob, others) = database.execute("SELECT id, sealed FROM template")
        for key, sealed in ((ada, others), (bob, its)):
            database.execute("UPDATE template SET sealed = ? WHERE id = ?", (sealed, key))
    database.close()
    watch.refresh(2 * LOOK_EVERY_S)
    assert watch.snapshot is None
    assert watch.problem == "gallery_error"


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
        "UPDATE template SET sealed = x'00'",
        "UPDATE person SET sealed = x'00'",
        "DELETE FROM person",
        "DELETE FROM template",
        "UPDATE meta SET value = 'ada' WHERE name = 'head'",
        "UPDATE meta SET value = 'ada' WHERE name = 'data_key'",
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
    model: FaceModel, gallery_file: GalleryConfig, closed: Closed
) -> None:
    # A name too long stands in for a folder that is closed to this user: root may enter all.
    hidden = gallery_file.path.with_name("x" * 300)
    key = load_key(gallery_file.key_file)
    watch = closed(
        GalleryWatch(
            hidden, key, model.model_id, model.template_size, wall=lambda: datetime.now(UTC)
        )
    )
    watch.refresh(0.0)
    assert watch.problem == "gallery_error"


def test_a_gallery_under_another_key_is_refused(
    gallery_file: GalleryConfig, model: FaceModel, clock: Clock, watch: GalleryWatch, closed: Closed
) -> None:
    from oneglance.faces.gallery.vault import create_key

    other = gallery_file.key_file.with_name("other.key")
    create_key(other)
    stranger = closed(
        GalleryWatch(
            gallery_file.path, load_key(other), model.model_id, model.template_size, wall=clock
        )
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


def test_pictures_of_one_person_that_agree_are_compared_as_one(
    gallery_file: GalleryConfig, enrol: Enrol, model: FaceModel, clock: Clock, closed: Closed
) -> None:
    told: list[tuple[int, int]] = []

    def fits(rows: int, of_one: int) -> str:
        told.append((rows, of_one))
        return ""

    alike = template(model, 1) + 0.3 * template(model, 2)
    alike = np.asarray(alike / np.linalg.norm(alike), np.float32)
    enrol("Ada", templates=np.concatenate([template(model, 1), alike]))
    enrol("Bob", templates=np.concatenate([template(model, 3), template(model, 4)]))
    watch = closed(
        GalleryWatch(
            gallery_file.path,
            load_key(gallery_file.key_file),
            model.model_id,
            model.template_size,
            wall=clock,
            fits=fits,
            prepare=comparable(model, None),
        )
    )
    assert watch.reload() == 2
    assert watch.snapshot is not None
    assert Counter(watch.snapshot.person_ids) == {"ada": 1, "bob": 2}
    assert told == [(3, 2)]


def test_who_is_not_valid_yet_counts_from_that_moment_on(
    watch: GalleryWatch, gallery_file: GalleryConfig, model: FaceModel, clock: Clock
) -> None:
    now = datetime.now(UTC)
    with open_configured(gallery_file) as gallery:
        gallery.enrol(
            "Guest",
            template(model),
            model.model_id,
            consent_at=now,
            groups=["guest"],
            valid_from=now + timedelta(hours=1),
            expires_at=now + timedelta(hours=2),
            source="photo",
        )
    watch.refresh(0.0)
    assert (people(watch), watch.problem) == (set(), "gallery_empty")
    clock.offset = timedelta(hours=1, seconds=1)
    watch.refresh(0.01)
    assert people(watch) == {"guest"}
    assert watch.snapshot is not None
    assert watch.snapshot.groups_of("guest") == {"guest"}
    assert watch.snapshot.groups_of("stranger") == set()
    clock.offset = timedelta(hours=2, seconds=1)
    watch.refresh(0.02)
    assert people(watch) == set()


def test_a_daemon_starts_beside_an_older_copy_and_lets_nobody_in_until_it_is_accepted(
    gallery_file: GalleryConfig,
    model: FaceModel,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    closed: Closed,
) -> None:
    backup = gallery_file.path.with_name("backup.db")
    with open_configured(gallery_file) as gallery:
        for name in ("Ada", "Bob"):
            gallery.enrol(
                *(name, template(model), model.model_id), consent_at=clock(), source="photo"
            )
    shutil.copyfile(gallery_file.path, backup)
    with open_configured(gallery_file) as gallery:
        gallery.delete("bob")
    shutil.copyfile(backup, gallery_file.path)
    config = Config(gallery=gallery_file)
    log = Audit(config.audit_folder, clock)
    watch = closed(open_gallery(config, model, Clocks(clock, lambda: 0.0), log))
    assert (watch.snapshot, watch.problem) == (None, "gallery_restored")
    assert "an older copy of the gallery" in caplog.text
    for moment_s in (0.0, 1.0, 2.0):
        watch.refresh(moment_s)
        assert (watch.snapshot, watch.problem) == (None, "gallery_restored")
    with Gallery.open(gallery_file.path, load_key(gallery_file.key_file)) as gallery:
        gallery.accept(configured_witness(gallery_file, Generations(log)))
    watch.refresh(3.0)
    assert (people(watch), watch.problem) == ({"ada", "bob"}, "")


def test_a_log_that_is_behind_the_gallery_has_a_problem_of_its_own(
    gallery_file: GalleryConfig, model: FaceModel, clock: Clock, closed: Closed
) -> None:
    class Behind:
        def highest_generation(self) -> int | None:
            return 1

        def note_generation(self, generation: int) -> None:
            raise AssertionError

    with open_configured(gallery_file) as gallery:
        gallery.enrol("Ada", template(model), model.model_id, consent_at=clock(), source="photo")
    watch = closed(
        GalleryWatch(
            gallery_file.path,
            load_key(gallery_file.key_file),
            model.model_id,
            model.template_size,
            wall=clock,
            witness=configured_witness(gallery_file, Behind()),
        )
    )
    watch.refresh(0.0)
    assert (watch.snapshot, watch.problem) == (None, "audit_behind")


class Deleted(list[str]):
    """Whose deletion was written down; while it is full it takes none."""

    full = False

    @contextmanager
    def noted(self, _gallery: Gallery, person_ids: Sequence[str]) -> Iterator[None]:
        if self.full:
            raise AuditError("no room")
        self.extend(person_ids)
        yield


@pytest.fixture
def tidy(
    gallery_file: GalleryConfig, model: FaceModel, clock: Clock, enrol: Enrol, closed: Closed
) -> tuple[GalleryWatch, Deleted]:
    """A watch that keeps the expired for 10 days, and whom it deleted; Guest expires in a day."""
    deleted = Deleted()
    enrol("Ada", templates=template(model))
    enrol("Guest", templates=template(model), expires_at=clock() + timedelta(days=1))
    watch = closed(
        GalleryWatch(
            gallery_file.path,
            load_key(gallery_file.key_file),
            model.model_id,
            model.template_size,
            wall=clock,
            keep_expired=timedelta(days=10),
            deleting=deleted.noted,
        )
    )
    return watch, deleted


def enrolled(gallery_file: GalleryConfig) -> list[str]:
    with open_configured(gallery_file) as gallery:
        return [person.person_id for person in gallery.list_people()]


def test_who_expired_long_ago_is_deleted_by_the_daemon_and_not_named_in_the_log(
    tidy: tuple[GalleryWatch, Deleted],
    clock: Clock,
    gallery_file: GalleryConfig,
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch, deleted = tidy
    caplog.set_level("INFO")
    for day in range(11):
        for hour in range(24):
            clock.offset = timedelta(days=day, hours=hour)
            watch.refresh(clock.offset.total_seconds())
    assert (enrolled(gallery_file), deleted) == (["ada", "guest"], [])
    clock.offset = timedelta(days=11, minutes=1)
    watch.refresh(clock.offset.total_seconds())
    assert (enrolled(gallery_file), deleted) == (["ada"], ["guest"])
    assert "1 people who had expired were deleted" in caplog.text
    assert "guest" not in caplog.text.lower()
    watch.refresh(clock.offset.total_seconds() + LOOK_EVERY_S)
    assert people(watch) == {"ada"}


def test_a_clock_that_was_set_forward_deletes_nobody_for_an_hour(
    tidy: tuple[GalleryWatch, Deleted], clock: Clock, gallery_file: GalleryConfig
) -> None:
    watch, deleted = tidy
    watch.refresh(0.0)
    clock.offset = timedelta(days=3650)
    watch.refresh(TIDY_EVERY_S)
    watch.refresh(2 * TIDY_EVERY_S - 1)
    assert people(watch) == {"ada"}
    assert (enrolled(gallery_file), deleted) == (["ada", "guest"], [])
    clock.offset += timedelta(seconds=TIDY_EVERY_S)
    watch.refresh(2 * TIDY_EVERY_S)
    assert (enrolled(gallery_file), deleted) == (["ada"], ["guest"])


def test_who_cannot_be_written_down_as_deleted_stays(
    tidy: tuple[GalleryWatch, Deleted], clock: Clock, gallery_file: GalleryConfig
) -> None:
    watch, deleted = tidy
    deleted.full = True
    watch.refresh(0.0)
    for hours in (0, 1):
        clock.offset = timedelta(days=20, hours=hours)
        watch.refresh(clock.offset.total_seconds())
        clock.offset += timedelta(hours=1)
        watch.refresh(clock.offset.total_seconds())
    assert enrolled(gallery_file) == ["ada", "guest"]
    deleted.full = False
    clock.offset += timedelta(hours=1)
    watch.refresh(clock.offset.total_seconds())
    assert (enrolled(gallery_file), deleted) == (["ada"], ["guest"])


def test_a_deletion_is_told_though_bytes_of_it_remain_for_now(
    tidy: tuple[GalleryWatch, Deleted], clock: Clock, gallery_file: GalleryConfig
) -> None:
    watch, deleted = tidy
    watch.refresh(0.0)
    reader = sqlite3.connect(gallery_file.path)
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        clock.offset = timedelta(days=20)
        watch.refresh(clock.offset.total_seconds())
    finally:
        reader.close()
    assert (enrolled(gallery_file), deleted) == (["ada"], ["guest"])


def test_where_all_claim_to_be_somebody_more_people_count_than_could_be_searched(
    gallery_file: GalleryConfig,
    model: FaceModel,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    closed: Closed,
) -> None:
    caplog.set_level("INFO")
    rows = np.concatenate([template(model, seed) for seed in range(534)])

    log = Audit(Config(gallery=gallery_file).audit_folder, clock)

    def enrol(name: str, some: NDArray[np.float32]) -> None:
        with open_configured(gallery_file, log=Generations(log)) as gallery:
            gallery.enrol(name, some, model.model_id, consent_at=clock(), source="photo")

    enrol("Ada", rows[:60])
    enrol("Bob", rows[60:267])
    decision = DecisionConfig(far="1e-5")

    def opened(*factors: Demand, claims: bool = True) -> GalleryWatch:
        access = AccessConfig(rules=(AccessRule(factors=factors),))
        config = Config(gallery=gallery_file, decision=decision, access=access)
        clocks = Clocks(clock, lambda: 0.0)
        return closed(open_gallery(config, model, clocks, log, claims=claims))

    watch = opened("badge+face", "pin+face")
    assert watch.snapshot is not None
    assert len(watch.snapshot.templates) == 267
    assert "faces are compared under a claim alone: far 1e-05 a visit" in caplog.text
    for factors in (("face",), ("badge+face", "face")):
        with pytest.raises(UnsupportedTargetError, match="267 templates are too many"):
            opened(*factors)
    # A run without commands hears of no claims.
    with pytest.raises(UnsupportedTargetError, match="at most 266"):
        opened("badge+face", claims=False)
    # Nor could a claim be verified of somebody who alone has too many.
    enrol("Eve", rows[267:])
    with pytest.raises(UnsupportedTargetError, match="267 templates are too many"):
        opened("badge+face", "pin+face")
