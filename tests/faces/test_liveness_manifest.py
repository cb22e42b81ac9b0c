"""The liveness model's manifest: what is read, what is refused, in one clear line each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.errors import ModelError
from oneglance.faces.liveness.manifest import default_folder, parse_liveness, read_liveness
from oneglance.faces.model.signature import signed

Change = Callable[[dict[str, Any]], Any]


def shipped() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((default_folder() / "manifest.json").read_text("utf-8"))
    return document


def written(folder: Path, document: dict[str, Any] | str) -> Path:
    text = document if isinstance(document, str) else json.dumps(document)
    (folder / "manifest.json").write_text(text, "utf-8")
    return folder


def test_the_shipped_manifest_names_each_origin_and_its_licence() -> None:
    document = read_liveness()
    assert document.origins
    assert all(origin.source and origin.licence for origin in document.origins)
    assert {cue.file for cue in document.cues} == set(document.files)
    assert all(
        (default_folder() / name).stat().st_size == file.bytes
        for name, file in document.files.items()
    )
    assert all(document.spreads[cue.name]["real"].pictures >= 100 for cue in document.cues)


def test_fusion_is_passed_on_as_it_is_written(tmp_path: Path) -> None:
    fusion = {"bias": -1.5, "weights": {"texture-2.7": 0.25}, "of": ["a", None, True]}
    assert read_liveness(written(tmp_path, shipped() | {"fusion": fusion})).fusion == fusion


FILE = next(iter(shipped()["files"]))
FORMAT = r'format is .*this version reads "liveness-1"'


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m.update(format="liveness-2"), FORMAT),
        (lambda m: m.update(format=["liveness-1"] * 99), FORMAT),
        (lambda m: m.pop("format"), FORMAT),
        (lambda m: m.update(extra=1), "extra"),
        (lambda m: m.update(cues=[]), "cues"),
        (lambda m: m["cues"].append(dict(m["cues"][0])), "a cue's name stands twice"),
        (lambda m: m["cues"][0].update(file="other.tflite"), "cues and files"),
        (lambda m: m["cues"][0].update(crop_scale=0.1), r"cues\.0\.crop_scale"),
        (lambda m: m["cues"][0].update(crop_scale="2.7"), r"cues\.0\.crop_scale"),
        (lambda m: m["networks"].pop(FILE), "networks and files"),
        (lambda m: m["networks"][FILE].update(order="RGB"), "order"),
        (lambda m: m["networks"][FILE].update(outputs=0), "outputs"),
        (lambda m: m["networks"][FILE].update(outputs=2), "reads outputs that are not there"),
        (lambda m: m["cues"][0].update(live=9), "reads outputs that are not there"),
        (lambda m: m["cues"][1].update(live=1), "or one twice"),
        (lambda m: m["networks"][FILE].update(side=4096), "side"),
        (lambda m: m["files"][FILE].update(sha256="0" * 63), "sha256"),
        (lambda m: m["files"].update({"../x": m["files"].pop(FILE)}), "files"),
        (lambda m: m["spreads"].update({"of-nothing": {}}), "spreads"),
    ],
)
def test_another_form_is_refused(tmp_path: Path, change: Change, told: str) -> None:
    document = shipped()
    change(document)
    with pytest.raises(ModelError, match=told) as caught:
        read_liveness(written(tmp_path, document))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": NaN}', '{"format": 1, "format": 2}', "{" * 5000, "\ud7ff"]
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ModelError, match="manifest is"):
        read_liveness(written(tmp_path, text))


def test_a_missing_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the model manifest is missing"):
        read_liveness(tmp_path)


def test_with_a_key_only_what_it_signed_is_read(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    folder = written(tmp_path, signed(shipped(), key))
    assert read_liveness(folder, public_key=key.public_key()).name == "liveness-1"
    with pytest.raises(ModelError, match="signature does not match"):
        read_liveness(folder, public_key=Ed25519PrivateKey.generate().public_key())
    written(tmp_path, signed(shipped(), key) | {"fusion": {"bias": 99.0}})
    with pytest.raises(ModelError, match="signature does not match"):
        read_liveness(folder, public_key=key.public_key())
    shutil.copy(default_folder() / "manifest.json", tmp_path)
    with pytest.raises(ModelError, match="not signed"):
        read_liveness(folder, public_key=key.public_key())


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=40)
@given(st.sampled_from(sorted(shipped())), _JSON)
def test_no_value_in_any_place_raises_anything_else(member: str, value: Any) -> None:
    document = shipped()
    document[member] = value
    with suppress(ValueError):
        parse_liveness(document)
