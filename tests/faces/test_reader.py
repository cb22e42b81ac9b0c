"""Pictures into faces: files, EXIF, none, one, several."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from oneglance.errors import ImageError
from oneglance.faces import reader
from oneglance.faces.evaluation.readings import read_pictures
from oneglance.faces.find.align import Located
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.pictures import Pictures


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model()


def photo(photos: Path, name: str) -> np.ndarray:
    """A demo photograph at half its size: quicker to search, and as good."""
    image = reader.load_image(photos / name)
    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="module")
def portrait(photos: Path) -> np.ndarray:
    """One person, upright and alone."""
    return photo(photos, "obama2.jpg")


@pytest.fixture(scope="module")
def here(portrait: np.ndarray, model: FaceModel) -> reader.FaceSample:
    """The portrait's face."""
    return reader.read_one_face(portrait, FaceDetector(), model)


@pytest.fixture(scope="module")
def other(photos: Path) -> np.ndarray:
    """The portrait of somebody else."""
    return photo(photos, "biden.jpg")


@pytest.fixture(scope="module")
def beside(other: np.ndarray, model: FaceModel) -> reader.FaceSample:
    """Somebody else's face."""
    return reader.read_one_face(other, FaceDetector(), model)


def encoded(image: np.ndarray, suffix: str = ".png") -> bytes:
    return bytes(cv2.imencode(suffix, image)[1])


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF block that holds only this orientation."""
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01"
    tiff += bytes([0, orientation, 0, 0]) + b"\x00\x00\x00\x00"
    body = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def test_a_phones_sideways_picture_is_turned_upright() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :30] = 255
    turned = reader.load_image(with_orientation(encoded(image, ".jpg"), 6))
    assert turned.shape == (60, 40, 3)
    assert turned[:25].mean() > 250
    assert turned[35:].mean() < 5


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"\x00" * 40])
def test_a_file_that_is_no_picture_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "face.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="not a picture") as caught:
        reader.load_image(path)
    assert caught.value.where == str(path)
    assert caught.value.exit_code == 65


def test_a_missing_picture_says_which(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.jpg.*No such file"):
        reader.load_image(tmp_path / "gone.jpg")


def test_one_face_at_enrolment_is_read(photos: Path, model: FaceModel) -> None:
    image = photo(photos, "obama.jpg")
    sample = reader.read_one_face(image, FaceDetector(), model)
    assert sample.chip.shape == (112, 112, 3)
    assert sample.template.shape == (model.template_size,)
    assert np.linalg.norm(sample.template) == pytest.approx(1, abs=1e-5)
    assert sample.sharpness > 0
    assert 0 < sample.brightness < 255


def test_two_pictures_of_one_person_match_and_another_person_does_not(
    photos: Path, model: FaceModel, here: reader.FaceSample, beside: reader.FaceSample
) -> None:
    image = photo(photos, "obama.jpg")
    first = reader.read_one_face(image, FaceDetector(), model).template[None]
    assert model.compare(first, here.template[None])[0, 0] > model.threshold("1e-4")
    assert model.compare(first, beside.template[None])[0, 0] < model.threshold("1e-2")


def test_a_picture_without_a_face_cannot_enrol(model: FaceModel) -> None:
    image = np.full((300, 300, 3), 120, np.uint8)
    with pytest.raises(ImageError, match=r"wall\.jpg: no face") as caught:
        reader.read_one_face(image, FaceDetector(), model, where="wall.jpg")
    assert caught.value.fix
    assert reader.read_faces(image, FaceDetector(), model) == []
    assert reader.read_central_face(image, FaceDetector(), model) is None


def test_a_picture_of_several_people_cannot_enrol(photos: Path, model: FaceModel) -> None:
    faces = [photo(photos, name) for name in ("obama.jpg", "obama2.jpg")]
    both = np.concatenate([face[:550, :310] for face in faces], axis=1)
    with pytest.raises(ImageError, match="2 faces"):
        reader.read_one_face(both, FaceDetector(), model)


def test_the_central_face_is_the_large_one_in_the_middle() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    middle, corner, small = Box(60, 60, 80, 80), Box(0, 0, 90, 90), Box(90, 90, 20, 20)
    assert reader.central(image, [corner, small, middle]) == middle
    assert reader.central(image, []) is None


def face_of(portrait: np.ndarray, sample: reader.FaceSample, side_px: int) -> np.ndarray:
    """The head alone, as a square of this size."""
    x, y, side = int(sample.box.x), int(sample.box.y), int(sample.box.width)
    head = portrait[y - side // 3 : y + side * 4 // 3, x - side // 3 : x + side * 4 // 3]
    return np.asarray(cv2.resize(head, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)


def test_of_a_tilted_head_in_the_middle_and_an_upright_bystander_the_bystander_is_not_read(
    model: FaceModel,
    portrait: np.ndarray,
    here: reader.FaceSample,
    other: np.ndarray,
    beside: reader.FaceSample,
) -> None:
    detector = FaceDetector()
    turn = cv2.getRotationMatrix2D(here.box.centre, 30.0, 150 / here.box.width)
    turn[:, 2] += np.array([250, 250]) - here.box.centre
    scene = np.asarray(cv2.warpAffine(portrait, turn, (500, 500)), np.uint8)
    scene[:120, :120] = face_of(other, beside, 120)
    assert len(reader.find_faces(scene, detector, model)) == 1
    with pytest.raises(ImageError, match="2 faces"):
        reader.read_one_face(scene, detector, model)
    found = reader.read_central_face(scene, detector, model)
    assert found is not None
    scores = model.compare(found.template[None], np.stack([here.template, beside.template]))[0]
    assert scores[0] > model.threshold("1e-3") > scores[1]
    assert found.tilt_deg == pytest.approx(here.tilt_deg - 30, abs=3)
    assert found.eyes_px == pytest.approx(here.eyes_px * 150 / here.box.width, rel=0.05)


@pytest.mark.parametrize(
    ("corner", "enrols"),
    [((140, 0), True), ((140, 140), True), ((0, 80), False), ((140, 280), False)],
)
def test_only_a_face_near_the_middle_or_straight_above_it_can_enrol(
    model: FaceModel,
    portrait: np.ndarray,
    here: reader.FaceSample,
    corner: tuple[int, int],
    enrols: bool,
) -> None:
    detector = FaceDetector()
    x, y = corner
    scene = np.full((400, 400, 3), 127, np.uint8)
    scene[y : y + 120, x : x + 120] = face_of(portrait, here, 120)
    assert len(reader.find_faces(scene, detector, model)) == 1
    if enrols:
        reader.read_one_face(scene, detector, model)
    else:
        with pytest.raises(ImageError, match=r"a\.jpg.*not in the middle"):
            reader.read_one_face(scene, detector, model, where="a.jpg")


def test_somebody_small_in_the_background_does_not_spoil_an_enrolment(
    model: FaceModel, portrait: np.ndarray, here: reader.FaceSample
) -> None:
    detector = FaceDetector()
    scene = np.full((500, 400, 3), 127, np.uint8)
    scene[150:450, 50:350] = face_of(portrait, here, 300)
    tilted = cv2.warpAffine(
        face_of(portrait, here, 90), cv2.getRotationMatrix2D((45, 45), 30.0, 1.0), (90, 90)
    )
    scene[10:100, 10:100] = tilted
    alone = np.full((250, 250, 3), 127, np.uint8)
    alone[80:170, 80:170] = tilted
    assert len(reader.find_faces(alone, detector, model)) == 1
    found = reader.read_one_face(scene, detector, model)
    assert found.box.y > 100


def test_something_small_in_the_middle_does_not_stand_for_the_face_above_it(
    model: FaceModel, portrait: np.ndarray, here: reader.FaceSample
) -> None:
    detector = FaceDetector()
    scene = np.full((600, 400, 3), 127, np.uint8)
    scene[:220, 90:310] = face_of(portrait, here, 220)
    tilted = face_of(portrait, here, 90)
    turn = cv2.getRotationMatrix2D((45, 45), 33.0, 1.0)
    scene[255:345, 155:245] = cv2.warpAffine(tilted, turn, (90, 90))
    found = reader.read_central_face(scene, detector, model)
    assert found is not None
    assert found.box.y < 150
    assert found.box.width > 100


def test_a_face_away_from_the_middle_is_read_where_there_is_none_in_it(
    model: FaceModel, portrait: np.ndarray, here: reader.FaceSample
) -> None:
    small = cv2.resize(portrait, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    scene = np.full((small.shape[0], 3 * small.shape[1], 3), 127, np.uint8)
    scene[:, : small.shape[1]] = small
    found = reader.read_central_face(scene, FaceDetector(), model)
    assert found is not None
    assert model.compare(found.template[None], here.template[None])[0, 0] > model.threshold("1e-4")


@pytest.mark.parametrize(("doubt", "read"), [(0.2, True), (0.3, False)])
def test_a_portraits_doubtful_face_is_read_up_to_a_limit(
    photos: Path, monkeypatch: pytest.MonkeyPatch, doubt: float, read: bool
) -> None:
    model = load_model()
    locate = model.locate

    def doubtful(image: np.ndarray, boxes: list[Box]) -> Located:
        return Located(locate(image, boxes).points, np.full(len(boxes), doubt))

    monkeypatch.setattr(model, "locate", doubtful)
    # Small: who is doubted is searched for again and again.
    image = np.asarray(cv2.resize(photo(photos, "obama.jpg"), None, fx=0.6, fy=0.6), np.uint8)
    assert (reader.read_central_face(image, FaceDetector(), model) is not None) == read
    assert reader.read_faces(image, FaceDetector(), model) == []


def test_a_blurred_chip_is_less_sharp() -> None:
    chip = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(chip, (0, 0), 2.0), np.uint8)
    assert reader.sharpness(blurred) < 0.1 * reader.sharpness(chip)


def test_a_folder_and_a_zip_of_it_hold_the_same_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    (folder / "Ann").mkdir(parents=True)
    (folder / "Ann" / "1.png").write_bytes(encoded(np.zeros((4, 4, 3), np.uint8)))
    (folder / "list.txt").write_text("no picture")
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as packed:
        packed.write(folder / "Ann" / "1.png", "Ann/1.png")
        packed.write(folder / "list.txt", "list.txt")
    from_folder, from_zip = Pictures(folder), Pictures(tmp_path / "pictures.zip")
    assert from_folder.names == from_zip.names == ["Ann/1.png"]
    assert from_folder.read("Ann/1.png") == from_zip.read("Ann/1.png")
    from_zip.close()


def test_a_name_outside_the_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    with pytest.raises(ImageError, match="no such picture"):
        Pictures(tmp_path / "inside").read("../secret.png")


@pytest.mark.parametrize("content", [None, b"no zip", b"PK\x03\x04 damaged"])
def test_a_source_that_is_neither_folder_nor_zip_is_refused(
    tmp_path: Path, content: bytes | None
) -> None:
    source = tmp_path / "pictures.zip"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(ImageError, match="zip"):
        Pictures(source)


def test_a_damaged_member_of_a_zip_names_itself(tmp_path: Path) -> None:
    source = tmp_path / "pictures.zip"
    with zipfile.ZipFile(source, "w") as packed:
        packed.writestr("a.png", b"0123456789" * 10)
    source.write_bytes(source.read_bytes().replace(b"0123456789", b"012345678X", 1))
    pictures = Pictures(source)
    with pytest.raises(ImageError, match=r"a\.png"):
        pictures.read("a.png")
    pictures.close()


def test_one_search_misses_the_tilted_head_that_a_search_for_stills_finds(
    model: FaceModel, portrait: np.ndarray, tmp_path: Path
) -> None:
    height, width = portrait.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 30.0, 1.0)
    tilted = cv2.warpAffine(portrait, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    cv2.imwrite(str(tmp_path / "upright.png"), portrait)
    cv2.imwrite(str(tmp_path / "tilted.png"), tilted)
    names = ["tilted.png", "upright.png"]

    def found(*, one_search: bool) -> list[str]:
        pictures, detector = Pictures(tmp_path), FaceDetector()
        reading = read_pictures(
            names, pictures, detector, model, lambda: None, one_search=one_search
        )
        assert sorted(reading.pictures) == names
        assert reading.faces.keys() == reading.templates.keys()
        return sorted(reading.templates)

    assert found(one_search=False) == names
    assert found(one_search=True) == ["upright.png"]
