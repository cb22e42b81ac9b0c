"""docs/model.md: its code does what the door does, with nothing of ours."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import ai_edge_litert
import cv2
import numpy as np
import pytest

from oneglance.faces.find.boxes import Box
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.models import default_model_dir

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "tests" / "model_client"
TEXT = (ROOT / "docs" / "model.md").read_text()


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    (code,) = re.findall(r"<!-- snippet -->\n```python\n(.*?)```", TEXT, re.DOTALL)
    assert "oneglance" not in code
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102
    return names


@pytest.fixture(scope="module")
def theirs(page: dict[str, Any]) -> Any:
    return page["Model"](default_model_dir())


@pytest.fixture(scope="module")
def ours() -> FaceModel:
    return load_model()


@pytest.fixture(scope="module")
def portraits(photos: Path) -> dict[str, Any]:
    found = {}
    for name in ("obama", "obama2", "biden"):
        image = cv2.imread(str(photos / f"{name}.jpg"))
        scale = 480 / image.shape[1]
        found[name] = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return found


@pytest.mark.parametrize("name", ["obama", "obama2", "biden"])
@pytest.mark.parametrize("width_px", [480, 160])
def test_the_pages_templates_are_the_doors(
    page: dict[str, Any],
    theirs: Any,
    ours: FaceModel,
    portraits: dict[str, Any],
    name: str,
    width_px: int,
) -> None:
    image = cv2.resize(portraits[name], None, fx=width_px / 480, fy=width_px / 480)
    x, y, side = max(page["boxes"](image), key=lambda box: box[2])
    found = theirs.template(image, (x, y, side))
    wanted = ours.encode(ours.chips(image, [Box(x, y, side, side)]))[0]
    assert found @ wanted > 0.999


def test_the_page_tells_people_apart(
    page: dict[str, Any], theirs: Any, ours: FaceModel, portraits: dict[str, Any]
) -> None:
    templates = {
        name: theirs.template(image, max(page["boxes"](image), key=lambda box: box[2]))
        for name, image in portraits.items()
    }
    threshold = theirs.thresholds["1e-3"]
    assert threshold == ours.threshold("1e-3")
    assert theirs.score(templates["obama"], templates["obama2"]) >= threshold
    assert theirs.score(templates["obama"], templates["biden"]) < threshold
    a, b = templates["obama"][None], templates["biden"][None]
    assert theirs.score(a[0], b[0]) == pytest.approx(ours.compare(a, b)[0, 0], abs=1e-4)


def test_a_box_without_a_face_has_no_template(theirs: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    assert theirs.template(noise, (50, 50, 100)) is None


def test_the_page_refuses_a_changed_file(page: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(default_model_dir(), folder)
    for file in folder.glob("*.tflite"):
        file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(ValueError, match="was changed"):
        page["Model"](folder)


def test_the_page_names_every_signature_and_tensor(ours: FaceModel) -> None:
    rows = [line for line in TEXT.splitlines() if re.match(r"\| (encoder|aligner) \| `", line)]
    told = {re.findall(r"`(\w+)`", row)[0]: set(re.findall(r"`(\w+)`", row)[1:]) for row in rows}
    wanted = {
        name: {tensor.name for tensor in (*signature.inputs, *signature.outputs)}
        for file in ours.manifest.document.files.values()
        for name, signature in file.signatures.items()
    }
    assert told == wanted


@pytest.fixture(scope="module")
def c_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler, library = shutil.which("cc"), Path(ai_edge_litert.__file__).with_name("libLiteRt.so")
    if compiler is None or not library.is_file():
        pytest.skip("no C compiler, or this wheel of ai-edge-litert has no libLiteRt.so")
    made = tmp_path_factory.mktemp("client")
    (made / "litert" / "c").mkdir(parents=True)
    for header in ("compiled_model", "environment", "model", "options", "tensor_buffer"):
        (made / "litert" / "c" / f"litert_{header}.h").write_text('#include "litert_abi.h"\n')
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{made}", f"-I{CLIENT}"]
    program = made / "client"
    linked = [str(library), f"-Wl,-rpath,{library.parent}"]
    subprocess.run(
        [compiler, *flags, str(CLIENT / "client.c"), "-o", str(program), *linked], check=True
    )
    return program


@pytest.mark.parametrize("count", [1, 3])
def test_the_c_program_gives_the_doors_templates_and_scores(
    c_client: Path, ours: FaceModel, count: int
) -> None:
    coarse = np.random.default_rng(count).integers(0, 256, (count, 14, 14, 3), np.uint8)
    chips = coarse.repeat(8, axis=1).repeat(8, axis=2)
    encoder = default_model_dir() / ours.manifest.encoder.name
    ran = subprocess.run(
        [str(c_client), str(encoder), str(count)],
        input=chips.tobytes(),
        capture_output=True,
        check=True,
    )
    values = np.array(ran.stdout.split(), np.float64)
    size = count * ours.template_size
    wanted = ours.encode(chips)
    found = values[:size].reshape(count, -1)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    assert found == pytest.approx(wanted, abs=1e-5)
    scores = values[size:].reshape(count, count)
    assert scores == pytest.approx(ours.compare(wanted, wanted), abs=1e-3)


def test_the_c_program_refuses_what_is_no_model(c_client: Path, tmp_path: Path) -> None:
    (tmp_path / "encoder.tflite").write_bytes(b"no model")
    chip = bytes(112 * 112 * 3)
    ran = subprocess.run(
        [str(c_client), str(tmp_path / "encoder.tflite"), "1"],
        input=chip,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 1
    assert b"model file failed" in ran.stderr
