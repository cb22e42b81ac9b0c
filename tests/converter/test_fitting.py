"""Thresholds are fitted on real faces; int8 takes its ranges from them."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from oneglance.converter import job as job_module
from oneglance.converter.fitting import LabelledFaces, fit_thresholds, with_strict_rows
from oneglance.converter.job import run_job
from oneglance.converter.request import Job, Limits
from oneglance.converter.tflite import Recipe, Twins
from oneglance.errors import ImageError
from oneglance.faces.evaluation.thresholds import all_pairs, fit
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.tail import MOST_EXTRAPOLATION, tail_of
from oneglance.faces.reader import load_image, read_central_face
from oneglance.training.networks.face_networks import landmarks, mobileface, siamese

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter:UserWarning"),
]
PEOPLE = {"obama.jpg": "first", "obama2.jpg": "first", "biden.jpg": "second"}


@pytest.fixture
def portraits(small_photos: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "portraits"
    folder.mkdir()
    for name in PEOPLE:
        shutil.copy(small_photos / name, folder / name)
    return folder


def listed(tmp_path: Path, *names: str) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("image,identity\n" + "".join(f"{n},{PEOPLE[n]}\n" for n in names))
    return path


def test_the_fitted_threshold_parts_one_person_from_another(
    portraits: Path, tmp_path: Path
) -> None:
    model = load_model()
    fitted = fit_thresholds(model, portraits, listed(tmp_path, *PEOPLE), None)
    first, second, other = (
        sample.template[None]
        for name in PEOPLE
        if (sample := read_central_face(load_image(portraits / name), FaceDetector(), model))
    )
    genuine = model.compare(first, second)[0, 0]
    impostor = max(model.compare(first, other)[0, 0], model.compare(second, other)[0, 0])
    assert fitted["accuracy"]["threshold"] == pytest.approx((genuine + impostor) / 2, abs=1e-3)
    assert (fitted["genuine_pairs"], fitted["impostor_pairs"]) == (1, 2)
    assert fitted["by_fmr"] == {}
    assert fitted["fitted_on"] == {
        "images": "portraits",
        "people": "people.csv",
        "folds": None,
        "pictures": 3,
        "faces": 3,
        "identities": 2,
    }


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["obama.jpg"], "1 faces of 1 people make no impostor pair"),
        (["obama.jpg", "obama2.jpg"], "2 faces of 1 people make no impostor pair"),
        (["obama.jpg", "biden.jpg"], "2 faces of 2 people make no genuine pair"),
    ],
)
def test_pictures_that_make_no_pair_of_each_kind_are_refused(
    portraits: Path, tmp_path: Path, names: list[str], told: str
) -> None:
    people = listed(tmp_path, *names)
    with pytest.raises(ImageError, match=told) as caught:
        fit_thresholds(load_model(), portraits, people, None)
    assert caught.value.where == str(people)
    assert caught.value.fix


def test_pictures_without_a_face_make_no_pair(tmp_path: Path) -> None:
    import cv2

    wall = tmp_path / "walls"
    wall.mkdir()
    cv2.imwrite(str(wall / "biden.jpg"), np.full((80, 80, 3), 120, np.uint8))
    with pytest.raises(ImageError, match="0 faces of 0 people"):
        fit_thresholds(load_model(), wall, listed(tmp_path, "biden.jpg"), None)


def test_int8_takes_its_ranges_from_the_faces_of_the_pictures(
    portraits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cv2

    keras.utils.set_random_seed(5)
    siamese(mobileface(16, 0.125, 0.2)).save(tmp_path / "siamese.keras")
    landmarks(0.25).save(tmp_path / "aligner.keras")
    # Three portraits in six lights: the least that calibration takes is sixteen faces.
    many = tmp_path / "many"
    many.mkdir()
    for name in PEOPLE:
        # Small: the untrained aligner doubts every face, so each is searched for again and again.
        image = cv2.imread(str(portraits / name))
        image = cv2.resize(image[: image.shape[1] * 5 // 4], (160, 200))
        cv2.imwrite(str(portraits / name), image)
        for light in range(6):
            dimmed = np.clip(image * (0.7 + 0.1 * light), 0, 255).astype(np.uint8)
            cv2.imwrite(str(many / f"{light}-{name}"), dimmed)
    seen: list[np.ndarray] = []
    convert = job_module.convert_prepared

    def watched(twins: Twins, samples: np.ndarray, recipe: Recipe) -> tuple[bytes, bytes]:
        seen.append(samples)
        return convert(twins, samples, recipe)

    monkeypatch.setattr(job_module, "convert_prepared", watched)
    out = tmp_path / "made"
    report = run_job(
        Job(
            model=str(tmp_path / "siamese.keras"),
            aligner=str(tmp_path / "aligner.keras"),
            out=str(out),
            name="tiny",
            quantize="int8",
            passes=2,
            calibration=str(many),
            fit_images=str(portraits),
            fit_people=str(listed(tmp_path, *PEOPLE)),
            limits=Limits(accuracy_loss=1.0),
        )
    )
    (chips,) = seen
    assert len(chips) >= 16
    assert chips.shape[1:] == (112, 112, 3)
    told = load_model(out).manifest.document.variants["int8"]
    assert told.calibration is not None
    assert (told.calibration.source, told.calibration.pictures) == ("many", len(chips))
    assert told.thresholds.by_fmr.keys() == report["thresholds"]["by_fmr"].keys()
    (all_pairs,) = report["accuracy"]
    assert all_pairs["converted"]["genuine_pairs"] == 1
    assert report["graphs"]["encoder"]["delegate"]["partitions"] == 1
    assert report["graphs"]["aligner"]["delegate"]["partitions"] == 1
    assert {(r["batch"], r["threads"]) for r in report["graphs"]["encoder"]["speed"]} == {
        (batch, threads) for batch in (1, 4, 8, 16) for threads in (1, 2)
    }
    page = (out / "parity.html").read_text("utf-8")
    assert page.count("data:image/png;base64,") == 3
    assert "src='http" not in page


def test_the_many_pairs_of_further_people_tell_stricter_rates() -> None:
    model = load_model()
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((3400, model.template_size)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    more = LabelledFaces("more", rows, [str(i // 2) for i in range(len(rows))])
    _, impostor = all_pairs(rows[:600], more.people[:600], model.compare)
    genuine = np.linspace(0, 20, 50, dtype=np.float32)
    laxer = fit(genuine, impostor, more.people[:600])["by_fmr"]
    assert list(laxer) == ["1e-2", "1e-3", "1e-4"]
    fitted = with_strict_rows(laxer, genuine, [more], model, None)
    assert list(fitted) == ["1e-2", "1e-3", "1e-4", "1e-6"]
    elsewhere = {rate for rate, row in fitted.items() if "fmr_elsewhere" in row}
    assert elsewhere == {"1e-3", "1e-4"}
    assert fitted["1e-6"]["impostor_pairs"] == 3400 * 3399 // 2 - 1700
    assert tail_of({"by_fmr": fitted}).strictest_fmr == 1e-6 / MOST_EXTRAPOLATION
    assert with_strict_rows(laxer, genuine, [], model, None) == laxer
    assert with_strict_rows({}, genuine, [more], model, None) == {}
