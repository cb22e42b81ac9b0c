"""`oneglance attack-test` on rendered films of a real face, and its figures."""

from __future__ import annotations

import json
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner, Result

from oneglance.audit.log import Audit
from oneglance.cli.attack_test.command import Record, guide
from oneglance.cli.attack_test.door import Trial, film_config
from oneglance.cli.attack_test.tally import Answer, Attempt, Kind, answer_of, figures, report
from oneglance.cli.init import init
from oneglance.cli.main import app
from oneglance.clocks import Clocks
from oneglance.config import load_config
from oneglance.contract.messages import Liveness
from oneglance.daemon.build import open_gallery
from oneglance.daemon.visit.decide import Verdict
from oneglance.errors import CameraError, ConfigError, GalleryError, OneglanceError
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.face_model import load_model
from oneglance.faces.reader import load_image, read_one_face
from oneglance.training.liveness.portrait import read_portrait
from oneglance.training.liveness.render import render
from oneglance.training.liveness.styles import JUDGE

NAME = "Ada Lovelace"
FPS = 10.0


@pytest.fixture
def door(tmp_path: Path) -> Path:
    """A new door, where nobody is enrolled."""
    folder = tmp_path / "door"
    init(folder, None, "home", "front", "0")
    return folder


@pytest.fixture(scope="module")
def films(small_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    """A visit and a print, made of one photograph."""
    folder = tmp_path_factory.mktemp("films")
    picture = load_image(small_photos / "obama2.jpg")
    portrait = read_portrait(picture, person="a", detector=FaceDetector(), model=load_model())
    assert portrait is not None
    found = {}
    for kind, made_as, seed in ((Kind.VISIT, "visit", 3), (Kind.PRINT, "print_shaken", 3)):
        rng = np.random.default_rng(seed)
        film = render(made_as, [portrait], [], JUDGE, rng, seconds=3.0, fps=FPS)
        found[kind] = folder / f"{kind}.avi"
        height, width = film.frames[0].shape[:2]
        motion_jpeg = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(found[kind]), motion_jpeg, FPS, (width, height))
        for frame in film.frames:
            writer.write(frame)
        writer.release()
    return found


def enrol(door: Path, photo: Path) -> None:
    model = load_model()
    sample = read_one_face(load_image(photo), FaceDetector(), model, where=str(photo))
    config = load_config(door / "oneglance.toml")
    key = load_key(config.gallery.key_file)
    with Gallery.open(config.gallery.path, key, create=True) as gallery:
        gallery.enrol(
            NAME,
            sample.template[np.newaxis],
            model.model_id,
            consent_at=datetime.now(UTC),
            source="photo",
        )


def test_looks_are_compared_with_the_daemons_rows(door: Path, small_photos: Path) -> None:
    model, detector = load_model(), FaceDetector()
    photos = [small_photos / name for name in ("obama.jpg", "obama2.jpg")]
    samples = [read_one_face(load_image(p), detector, model, where=str(p)) for p in photos]
    config = load_config(door / "oneglance.toml")
    with Gallery.open(
        config.gallery.path, load_key(config.gallery.key_file), create=True
    ) as gallery:
        gallery.enrol(
            NAME,
            np.stack([sample.template for sample in samples]),
            model.model_id,
            consent_at=datetime.now(UTC),
            source="photo",
        )
    clocks = Clocks(lambda: datetime.now(UTC), time.monotonic)
    compared = Trial.of(config).gallery
    watch = open_gallery(config, model, clocks, Audit(config.audit_folder, clocks.wall))
    assert watch.snapshot is not None
    assert compared.person_ids == watch.snapshot.person_ids == ("ada-lovelace",)
    assert np.array_equal(compared.templates, watch.snapshot.templates)


def attack_test(door: Path, *arguments: str | Path) -> Result:
    command = ["attack-test", *map(str, arguments), "--config", str(door / "oneglance.toml")]
    return CliRunner().invoke(app, command)


def error_of(result: Result) -> OneglanceError:
    assert isinstance(result.exception, OneglanceError), result.output
    assert "\n" not in str(result.exception)
    return result.exception


def test_films_are_judged_as_the_door_would_and_the_report_is_private(
    door: Path, films: dict[Kind, Path], small_photos: Path, tmp_path: Path
) -> None:
    enrol(door, small_photos / "obama.jpg")
    out = tmp_path / "report.json"
    shown = [f"--film={kind}={file}" for kind, file in films.items()]
    result = attack_test(door, *shown, "--out", out, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    written: dict[str, Any] = json.loads(out.read_text())
    assert written == json.loads(result.stdout)
    assert [attempt["answer"] for attempt in written["attempts"]] == ["passed", "refused"]
    assert written["attempts"][1]["reason"] == "presentation_attack"
    assert (written["bpcer"], written["apcer"]) == (0.0, 0.0)
    assert written["kinds"]["print"]["rate_95"] == [0.0, 0.975]
    assert written["policy"] == written["measured"] == "passive"
    assert written["people_enrolled"] == 1
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert NAME.split()[0].lower() not in out.read_text().lower()

    # A visit that is called an attack stands for one that passes.
    result = attack_test(door, f"--film=print={films[Kind.VISIT]}", "--out", out)
    assert result.exit_code == 1
    assert "the door would open" in result.stderr
    assert "100.0%" in result.stdout


def test_the_owner_is_asked_and_what_was_measured_before_a_stop_is_kept(
    door: Path,
    films: dict[Kind, Path],
    small_photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enrol(door, small_photos / "obama.jpg")
    answers = iter([""])

    def pressed(*_: object) -> str:
        try:
            return next(answers)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", pressed)
    trial = Trial.of(load_config(door / "oneglance.toml"))
    out = tmp_path / "report.json"
    console = Console(file=(tmp_path / "said").open("w"))
    record = Record(out, trial.about, console)
    with pytest.raises(EOFError):
        guide(trial, film_config(films[Kind.PRINT]), [Kind.PRINT], 2, 30.0, record)
    console.file.close()
    assert "a printed photograph" in (tmp_path / "said").read_text()
    (attempt,) = json.loads(out.read_text())["attempts"]
    assert attempt["answer"] == "refused"
    assert not record.attack_passed


def test_what_cannot_be_measured_is_said(door: Path, tmp_path: Path) -> None:
    film = f"--film=print={tmp_path / 'none.avi'}"
    assert isinstance(error_of(attack_test(door, film)), GalleryError)
    config = door / "oneglance.toml"
    config.write_text(config.read_text().replace('policy = "passive"', 'policy = "off"'))
    error = error_of(attack_test(door, film))
    assert isinstance(error, ConfigError)
    assert "passive" in error.fix
    for wrong in (["--kinds", "mask"], ["--film", "print"], [film, "--camera", "0"]):
        assert attack_test(door, *wrong).exit_code == 2


def test_a_camera_that_is_not_there_or_busy_names_the_daemon(
    door: Path, small_photos: Path, tmp_path: Path
) -> None:
    enrol(door, small_photos / "obama.jpg")
    error = error_of(attack_test(door, "--camera", "/dev/no-such-camera"))
    assert isinstance(error, CameraError)
    assert "systemctl stop oneglance" in error.fix
    missing = error_of(attack_test(door, f"--film=print={tmp_path / 'none.avi'}"))
    assert isinstance(missing, CameraError)
    assert attack_test(door, "--camera", small_photos).exit_code == 2


ATTEMPTS = st.lists(st.builds(Attempt, st.sampled_from(Kind), st.sampled_from(Answer)), max_size=40)


@given(ATTEMPTS)
def test_every_attempt_counts_once_and_bounds_hold_the_rate(attempts: list[Attempt]) -> None:
    body = report(attempts, {})
    json.dumps(body, allow_nan=False)
    assert sum(kind["attempts"] for kind in body["kinds"].values()) == len(attempts)
    for kind in Kind:
        found = figures(attempts, kind)
        assert 0 <= found.errors <= found.recognised <= found.attempts
        low, high = found.rate_95
        if found.rate is None:
            assert (low, high) == (0.0, 1.0)
        else:
            assert low <= found.rate <= high
            if kind is not Kind.VISIT:
                assert body["apcer"] >= found.rate


@given(ATTEMPTS)
def test_a_visitor_refused_and_an_attack_passed_are_the_errors(attempts: list[Attempt]) -> None:
    turned = {Answer.PASSED: Answer.REFUSED, Answer.REFUSED: Answer.PASSED}
    other = [Attempt(one.kind, turned.get(one.answer, one.answer)) for one in attempts]
    for kind in Kind:
        before, after = figures(attempts, kind), figures(other, kind)
        assert before.errors + after.errors == before.recognised == after.recognised


def test_answers_are_what_liveness_said() -> None:
    def said(liveness: Liveness, person: str | None = None) -> Answer:
        return answer_of(Verdict("v", person, 9.0, 3.0, liveness=liveness))

    assert answer_of(None) is Answer.NO_DECISION
    assert said(Liveness.PASSED, "a") is Answer.PASSED
    # Somebody who may not enter at this hour lives all the same.
    assert said(Liveness.PASSED) is Answer.PASSED
    assert said(Liveness.FAILED) is Answer.REFUSED
    assert said(Liveness.NOT_REQUIRED) is Answer.NOT_RECOGNISED
