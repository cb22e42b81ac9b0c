"""Bad data, changed data, a full disk: one clear line each, and nothing half done."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from oneglance.errors import ConfigError, ImageError, OneglanceError
from oneglance.faces.find import align
from oneglance.faces.find.boxes import Box
from oneglance.faces.pictures import Pictures
from oneglance.training.data.identities import identities
from oneglance.training.data.splits import Split, data_sha256, save_split
from oneglance.training.engine.checkpoints import places
from oneglance.training.engine.progress import silent
from oneglance.training.engine.record import commit_of, record_start
from oneglance.training.faces import face_sources
from oneglance.training.faces.face_sources import (
    drawn_faces,
    listed_pictures,
    need_pairs,
    real_faces,
)
from oneglance.training.recipes.recipe import DataSource, load_recipe, parse_recipe
from oneglance.training.run import run_recipe

# TensorFlow's variables do not know NumPy 2's `copy` yet; saving a model says so.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RECIPES = ["smoke-aligner", "smoke", "smoke-contrastive"]


class MeanFaceTeacher:
    """Stands in for O-Net, whose file we may not ship: every face is the mean face in its box."""

    def __init__(self, path: Path) -> None:
        pass

    def label(
        self, image: NDArray[np.uint8], box: Box, generator: np.random.Generator
    ) -> tuple[NDArray[np.float64], float, float]:
        return align.apply(align.crop_matrix(box), align.MEAN_POINTS), 1.0, 0.0


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a teacher, and "faces", a folder for pictures of people."""
    monkeypatch.setattr(face_sources, "LandmarkTeacher", MeanFaceTeacher)
    folder = tmp_path / "data"
    (folder / "faces").mkdir(parents=True)
    (folder / "teacher.tflite").write_bytes(b"")
    return folder


def put(data: Path, name: str, content: bytes) -> None:
    path = data / "faces" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def plain_picture() -> bytes:
    return bytes(cv2.imencode(".png", np.full((60, 60, 3), 90, np.uint8))[1])


def find(data: Path) -> face_sources.FaceSource:
    source = DataSource(images="faces")
    return real_faces([source], data, "teacher.tflite", data / "cache", silent)


def one_line(error: OneglanceError) -> str:
    line = str(error)
    assert "\n" not in line
    return line


def test_corrupt_pictures_are_counted_and_named_and_the_others_are_used(
    data: Path, small_photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(data, "obama/1.jpg", (small_photos / "obama.jpg").read_bytes())
    put(data, "biden/1.jpg", (small_photos / "biden.jpg").read_bytes())
    put(data, "biden/2.jpg", b"no picture at all")
    for _ in range(2):
        # The second time from the table on disk.
        caplog.clear()
        found = find(data)
        assert found.people == ("faces/biden", "faces/obama")
        assert found.unreadable == 1
        assert "1 (biden/2.jpg)" in caplog.text
    put(data, "obama/2.jpg", b"another one")
    assert find(data).unreadable == 2


def test_corrupt_pictures_alone_are_an_error(data: Path) -> None:
    put(data, "ann/1.jpg", b"no picture at all")
    with pytest.raises(ImageError) as caught:
        find(data)
    assert "no training picture can be read" in one_line(caught.value)
    assert not (data / "cache").exists()


def test_pictures_without_a_face_are_an_error(data: Path) -> None:
    put(data, "ann/1.png", plain_picture())
    with pytest.raises(ImageError) as caught:
        find(data)
    assert "no face was found in any training picture" in one_line(caught.value)


def test_an_empty_folder_is_an_error_that_says_what_belongs_there(data: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find(data)
    assert "a folder of their own" in one_line(caught.value)


@pytest.mark.parametrize("recipe", RECIPES)
def test_one_person_alone_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    monkeypatch.setattr(face_sources, "drawn_faces", lambda *_: drawn_faces(1, range(1), 4))
    out = tmp_path / "run"
    with pytest.raises(ConfigError) as caught:
        run_recipe(load_recipe(recipe), data_dir=tmp_path, out=out, resume=False, stage=silent)
    assert re.search("(one|same) person", one_line(caught.value))
    assert not out.exists()


def test_people_with_one_picture_each_make_no_pairs_and_a_few_of_them_are_counted() -> None:
    with pytest.raises(ConfigError, match="nobody has two pictures"):
        need_pairs(drawn_faces(1, range(3), 1).people, "to train on")
    with pytest.raises(ConfigError, match="no face is left to train on"):
        need_pairs([], "to train on")
    some = drawn_faces(1, range(3), 2).people
    assert need_pairs(some[:-1], "to train on") == 1
    assert need_pairs(some, "to train on") == 0


@pytest.fixture
def split(data: Path) -> Path:
    """Three people, and a split of them: ann trains, bob validates, eve tests."""
    for number, name in enumerate(("ann", "bob", "eve")):
        put(data, f"{name}/1.png", plain_picture() + bytes([number]))
    pictures = Pictures(data / "faces")
    people = {"train": ("ann",), "validation": ("bob",), "test": ("eve",)}
    digest = data_sha256(pictures, identities(pictures))
    save_split(Split("faces", digest, 1, (0.4, 0.3, 0.3), people), data / "split.json")
    return data / "split.json"


@pytest.mark.parametrize(
    ("part", "who"), [("train", "ann"), ("validation", "bob"), ("test", "eve")]
)
def test_a_side_of_a_split_is_all_that_a_source_brings(
    data: Path, split: Path, part: str, who: str
) -> None:
    source = DataSource.model_validate({"images": "faces", "split": split.name, "part": part})
    assert [row.person for row in listed_pictures(source, data)] == [f"faces/{who}"]


def test_a_split_with_a_people_file_knows_the_same_people(data: Path, split: Path) -> None:
    rows = "".join(f"{name}/1.png,{name}\n" for name in ("ann", "bob", "eve"))
    (data / "people.csv").write_text("image,identity\n" + rows)
    source = DataSource(images="faces", people="people.csv", split=split.name, part="test")
    assert [row.person for row in listed_pictures(source, data)] == ["people/eve"]


def test_a_split_of_other_data_is_refused(data: Path, split: Path) -> None:
    put(data, "eve/2.png", plain_picture())
    source = DataSource(images="faces", split=split.name, part="train")
    with pytest.raises(ConfigError) as caught:
        listed_pictures(source, data)
    assert "made of other data" in one_line(caught.value)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"images": "a", "split": "s.json"}, "split and part belong together"),
        ({"images": "a", "part": "train"}, "split and part belong together"),
        ({"images": "a", "split": "s.json", "part": "tests"}, "'train', 'validation' or 'test'"),
        ({"images": "a", "folds": [1]}, "folds need a people CSV"),
    ],
)
def test_half_a_split_in_a_recipe_is_refused(source: dict[str, object], told: str) -> None:
    recipe = load_recipe("smoke-aligner").model_dump(exclude={"drawn"}, exclude_none=True)
    with pytest.raises(ConfigError) as caught:
        parse_recipe({**recipe, "teacher": "t.tflite", "data": [source]}, "my.toml")
    assert told in one_line(caught.value)


@contextmanager
def little_space(folder: Path) -> Iterator[Callable[[], None]]:
    """A disk of 1.8 MB at `folder`; yields what makes it large enough."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1800k", "oneglance-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    larger = ["mount", "-o", "remount,size=50m", str(folder)]
    try:
        yield lambda: subprocess.run(larger, check=True) and None
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def small_files(folder: Path) -> Iterator[Callable[[], None]]:
    """No file may grow beyond 100 kB; yields what takes that back."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the recipe smoke-aligner that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    recipe = load_recipe("smoke-aligner")
    run_recipe(recipe, data_dir=out.parent, out=out, resume=False, stage=silent)
    return out


@pytest.mark.parametrize("shortage", [little_space, small_files])
def test_a_full_disk_stops_the_run_in_one_line_and_room_lets_it_go_on(
    tmp_path: Path,
    shortage: Callable[[Path], AbstractContextManager[Callable[[], None]]],
    whole: Path,
) -> None:
    recipe = load_recipe("smoke-aligner")
    disk = tmp_path / "disk"
    disk.mkdir()
    with shortage(disk) as make_room:
        out = disk / "run"
        with pytest.raises(ConfigError) as caught:
            run_recipe(recipe, data_dir=tmp_path, out=out, resume=False, stage=silent)
        line = one_line(caught.value)
        assert "No space left on device" in line or "File too large" in line
        assert "--resume" in line
        assert caught.value.exit_code == 78
        assert not list(out.rglob(".new-*"))
        assert not (out / "aligner.keras").exists()
        for _, path in places(out, "aligner"):
            keras.saving.load_model(path)
        make_room()
        run_recipe(recipe, data_dir=tmp_path, out=out, resume=True, stage=silent)
        weights = keras.saving.load_model(out / "aligner.keras").get_weights()
    wanted = keras.saving.load_model(whole / "aligner.keras").get_weights()
    for one, other in zip(weights, wanted, strict=True):
        assert np.array_equal(one, other)


def test_the_record_holds_what_makes_the_run_again(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    recipe = load_recipe("smoke-aligner")
    run_recipe(recipe, data_dir=tmp_path, out=out, resume=True, stage=silent)
    record = json.loads((out / "run.json").read_text())
    kept = {key: value for key, value in record["recipe"].items() if value is not None}
    assert parse_recipe(kept, "run.json") == recipe
    assert [start["backend"] for start in record["starts"]] == ["tensorflow"] * 2
    for start in record["starts"]:
        assert start["packages"]["keras"] == keras.__version__
        assert start["command"]
        assert start["oneglance"]


def test_a_folder_that_is_no_checkout_of_ours_has_no_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "record.py").write_text("")
    assert commit_of(tmp_path) is None
    tracked = ["-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    subprocess.run(["git", *tracked, "add", "record.py"], check=True)
    subprocess.run(["git", *tracked, "commit", "-qm", "one"], check=True)
    commit = commit_of(tmp_path)
    assert commit is not None
    assert len(commit) == 40
    (tmp_path / "record.py").write_text("changed")
    assert commit_of(tmp_path) == f"{commit}+changes"


def test_data_that_changed_since_the_start_is_refused(tmp_path: Path) -> None:
    pictures = tmp_path / "faces"
    pictures.mkdir()
    (pictures / "a.png").write_bytes(b"one")
    record_start(tmp_path, {"seed": 1}, [pictures], ["oneglance"])
    record_start(tmp_path, {"seed": 1}, [pictures], ["oneglance"])
    (pictures / "a.png").write_bytes(b"two")
    with pytest.raises(ConfigError) as caught:
        record_start(tmp_path, {"seed": 1}, [pictures], ["oneglance"])
    assert "faces has changed" in one_line(caught.value)
    assert len(json.loads((tmp_path / "run.json").read_text())["starts"]) == 2
