"""The shipped texture network, as its authors' file answers; what does not fit the frame."""

from __future__ import annotations

import json
import math
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.errors import ModelError
from oneglance.faces.find.align import MEAN_POINTS
from oneglance.faces.liveness.manifest import default_folder, read_liveness
from oneglance.faces.liveness.texture import (
    WANTED,
    Texture,
    crop_square,
    load_texture,
    log_odds,
)
from oneglance.faces.model.litert import Signatures

# What onnxruntime 1.32.0 makes of the package's own fr_liveness.onnx and the two drawn crops.
ORIGINAL = np.array([[1.02272, 1.12537, -2.14806], [0.57045, 1.63928, -2.20971]])
NETWORK = "minifas-int8-weights.tflite"
COLUMN = "texture-2.7"


@pytest.fixture(scope="module")
def texture() -> Texture:
    return load_texture()


def waves(side: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Coloured waves uint8 (side, width, 3): of 128 x 128 it is the first crop of ORIGINAL."""
    y, x, colour = np.mgrid[0 : 2 * side : 2, 0:width, 0:3]
    return np.round(127.5 + 90 * np.sin(x / 5 + colour) * np.cos(y / 17.0)).astype(np.uint8)


def face(x: float, y: float, box: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The points of the mean face whose detector's box is `box` px wide, centred at (x, y)."""
    return np.asarray((MEAN_POINTS - 0.5) * 1.25 * box + [x, y], np.float64)


def test_the_network_says_what_the_original_says() -> None:
    y, x, colour = np.mgrid[0:256:2, 0:128, 0:3]
    second = np.round(127.5 + 90 * np.sin(x / 7 + colour) * np.cos(y / 14.0)).astype(np.uint8)
    network = Signatures(default_folder() / NETWORK, WANTED)
    told = network.run("liveness", crops=np.stack([waves(128, 128), second]))
    assert np.abs(told[:, :3] - ORIGINAL).max() < 0.15
    assert np.argmax(told[:, :3], axis=1).tolist() == [1, 1]


def test_the_witness_is_the_log_odds_of_the_live_class(texture: Texture) -> None:
    # A box of 128 / 2.7 px: the crop is the whole frame, pixel for pixel.
    told = texture.witness(waves(128, 128), face(64, 64, 128 / 2.7))
    original = log_odds(ORIGINAL[0], 0, (1, 2))
    assert told[texture.cues.index(COLUMN)] == pytest.approx(original, abs=0.2)


def test_colours_are_taken_as_in_a_frame(texture: Texture) -> None:
    frame, points = waves(128, 128), face(64, 64, 128 / 2.7)
    other = texture.witness(np.ascontiguousarray(frame[:, :, ::-1]), points)
    assert np.abs(texture.witness(frame, points) - other).max() > 0.3


def test_a_face_at_the_edge_is_seen_in_a_crop_that_moved_inside(texture: Texture) -> None:
    frame = waves(480, 640)
    assert np.isfinite(texture.witness(frame, face(60, 60, 100))).all()
    assert np.isfinite(texture.witness(frame, face(320, 240, 300))).all()


@pytest.mark.parametrize(
    ("x", "y", "box"),
    [
        (30, 240, 100),
        (610, 240, 100),
        (320, 20, 100),
        (320, 470, 100),
        (320, 240, 500),
        (-500, 240, 100),
        (320, 5000, 100),
        (math.nan, 240, 100),
        (320, math.inf, 100),
    ],
)
def test_a_face_that_the_frame_cuts_off_is_no_evidence(
    texture: Texture, x: float, y: float, box: float
) -> None:
    told = texture.witness(waves(480, 640), face(x, y, box))
    assert told.shape == (len(texture.cues),)
    assert np.isnan(told).all()


def test_points_that_are_no_face_are_no_evidence(texture: Texture) -> None:
    assert np.isnan(texture.witness(waves(480, 640), np.full((5, 2), 200.0))).all()


def test_what_is_no_frame_is_refused(texture: Texture) -> None:
    points = face(64, 64, 40)
    with pytest.raises(ValueError, match="expected uint8"):
        texture.witness(waves(128, 128)[:, :, 0], points)
    with pytest.raises(ValueError, match=r"expected points \(5, 2\)"):
        texture.witness(waves(128, 128), points[:4])


def test_one_instance_serves_several_threads(texture: Texture) -> None:
    frames = [np.roll(waves(128, 128), 9 * k, axis=1) for k in range(8)]
    points = face(64, 64, 128 / 2.7)
    alone = [texture.witness(frame, points) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda frame: texture.witness(frame, points), frames))
    assert np.array_equal(alone, together)


@given(
    st.floats(-100, 800),
    st.floats(-100, 600),
    st.floats(1, 900),
    st.floats(1, 6),
    st.integers(20, 700),
    st.integers(20, 500),
)
def test_a_crop_is_square_inside_the_frame_and_holds_the_box(
    x: float, y: float, box: float, scale: float, width: int, height: int
) -> None:
    square = crop_square(height, width, face(x, y, box), scale)
    if square is not None:
        left, top, side = square
        assert left >= -1e-6
        assert left + side <= width + 1e-6
        assert top >= -1e-6
        assert top + side <= height + 1e-6
        assert side <= box * scale * (1 + 1e-4)
        assert left <= x - box / 2 + 1e-3 * box
        assert x + box / 2 <= left + side + 1e-3 * box
    else:
        cut_off = (
            min(x, y, width - x, height - y) < box / 2 * (1 + 1e-3) or min(width, height) < box
        )
        assert cut_off or scale < 1 + 1e-3


@given(st.lists(st.floats(-80, 80), min_size=3, max_size=3))
def test_log_odds_are_those_of_the_softmax(logits: list[float]) -> None:
    told = log_odds(np.array(logits), 1, (0, 2))
    assert told == pytest.approx(logits[1] - np.logaddexp(logits[0], logits[2]), abs=1e-9)
    assert log_odds(np.array(logits), 2, ()) == logits[2]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_odds_of_broken_logits_are_no_evidence(bad: float) -> None:
    assert math.isnan(log_odds(np.array([bad, 0.0, bad]), 0, (1, 2)))


def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_folder(), tmp_path / "liveness"))


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    copy = folder(tmp_path)
    data = bytearray((copy / NETWORK).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / NETWORK).write_bytes(data)
    with pytest.raises(ModelError, match="changed or damaged"):
        load_texture(copy)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    copy = folder(tmp_path)
    (copy / NETWORK).unlink()
    with pytest.raises(ModelError, match="the model file is missing"):
        load_texture(copy)


@pytest.mark.parametrize("member", ["side", "outputs", "shape", "dtype"])
def test_a_manifest_that_tells_other_tensors_is_refused(tmp_path: Path, member: str) -> None:
    copy = folder(tmp_path)
    document = json.loads((copy / "manifest.json").read_text("utf-8"))
    signature = document["files"][NETWORK]["signatures"]["liveness"]
    if member == "shape":
        signature["inputs"][0]["shape"][1] = 64
    elif member == "dtype":
        signature["inputs"][0]["dtype"] = "float32"
    else:
        document["networks"][NETWORK][member] += 1
    (copy / "manifest.json").write_text(json.dumps(document), "utf-8")
    read_liveness(copy)
    with pytest.raises(ModelError, match="other tensors than the manifest says"):
        load_texture(copy)
