"""Signed models: what a model key vouches for, and that nothing else loads."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from model_folders import write_folder

from oneglance.config import Config, ModelConfig
from oneglance.converter.folder import update_manifest
from oneglance.errors import ConfigError, ModelError
from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.folder import sign_folder
from oneglance.faces.model.manifest import read_json_manifest, read_manifest
from oneglance.faces.model.setup import load_configured
from oneglance.faces.model.signature import check_signature, signed
from oneglance.key_files import create_key_pair, load_private_key

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model with one variant, signed."""
    made = write_folder(tmp_path / "model")
    sign_folder(made, KEY)
    return made


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), "utf-8")


def test_a_signed_model_loads_with_its_key_and_without_one(folder: Path) -> None:
    with_key = load_model(folder, public_key=PUBLIC)
    assert with_key.model_id == load_model(folder).model_id


def test_the_signature_is_over_the_canonical_form_without_itself(folder: Path) -> None:
    body = json.loads((folder / "manifest.json").read_text())
    signature = base64.b64decode(body.pop("signature"), validate=True)
    PUBLIC.verify(signature, rfc8785.dumps(body))


def test_layout_and_order_do_not_matter(folder: Path) -> None:
    path = folder / "manifest.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(body.items()))))
    load_model(folder, public_key=PUBLIC)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a lower threshold": lambda m: m["variants"]["float32"]["thresholds"]["by_fmr"]["1e-2"].update(
        threshold=-5.0
    ),
    "another hash": lambda m: m["files"]["encoder.tflite"].update(sha256="0" * 64),
    "another default": lambda m: m.update(default="int8"),
    "a licence": lambda m: m.update(licence="none"),
    "one more member": lambda m: m.update(notes={"a": 1}),
    "one member less": lambda m: m.pop("tools", None) or m.pop("licence"),
    "a signature that is none": lambda m: m.update(signature="AAAA"),
    "a signature that is no base64": lambda m: m.update(signature="%%%"),
    "a signature of another kind": lambda m: m.update(signature=7),
    "a signature with a line break": lambda m: m.update(signature=m["signature"] + "\n"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_manifest_that_was_changed_is_refused(folder: Path, what: str) -> None:
    rewrite(folder, CHANGES[what])
    with pytest.raises(ModelError, match="signature does not match") as caught:
        load_model(folder, public_key=PUBLIC)
    assert caught.value.where == str(folder / "manifest.json")
    assert caught.value.fix
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("null", [False, True])
def test_an_unsigned_model_is_refused_where_a_key_is_named(folder: Path, null: bool) -> None:
    rewrite(folder, lambda m: m.update(signature=None) if null else m.pop("signature"))
    with pytest.raises(ModelError, match="not signed"):
        load_model(folder, public_key=PUBLIC)


def test_a_model_that_another_key_signed_is_refused(folder: Path) -> None:
    other = Ed25519PrivateKey.generate()
    sign_folder(folder, other)
    load_model(folder, public_key=other.public_key())
    with pytest.raises(ModelError, match="another key"):
        load_model(folder, public_key=PUBLIC)


def test_a_changed_file_under_a_good_signature_is_refused(folder: Path) -> None:
    data = bytearray((folder / "aligner.tflite").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "aligner.tflite").write_bytes(data)
    with pytest.raises(ModelError, match="changed or damaged"):
        load_model(folder, public_key=PUBLIC)


def test_a_manifest_of_format_1_can_carry_a_signature(folder: Path) -> None:
    before = read_manifest(folder).model_id
    files = json.loads((folder / "manifest.json").read_text())
    variant = files["variants"]["float32"]
    old = {
        "format": 1,
        "name": files["name"],
        "cutout": files["cutout"],
        "thresholds": variant["thresholds"],
        "encoder": {
            "file": "encoder.tflite",
            "template_size": files["template_size"],
            **files["files"]["encoder.tflite"],
        },
        "aligner": {"file": "aligner.tflite", **files["files"]["aligner.tflite"]},
    }
    (folder / "manifest.json").write_text(json.dumps(old))
    with pytest.raises(ModelError, match="not signed"):
        load_model(folder, public_key=PUBLIC)
    sign_folder(folder, KEY)
    assert load_model(folder, public_key=PUBLIC).model_id == before


def test_nothing_is_signed_that_no_door_would_load(folder: Path) -> None:
    rewrite(folder, lambda m: m.pop("signature"))
    (folder / "encoder.tflite").write_bytes(b"x")
    unsigned = (folder / "manifest.json").read_bytes()
    with pytest.raises(ModelError, match="changed or damaged"):
        sign_folder(folder, KEY)
    rewrite(folder, lambda m: m.update(surprise=1))
    with pytest.raises(ModelError, match="not of the known shape"):
        sign_folder(folder, KEY)
    assert (
        json.loads(unsigned).keys() | {"surprise"}
        == read_json_manifest(folder / "manifest.json").keys()
    )


def test_a_change_takes_the_signature_away(folder: Path) -> None:
    update_manifest(folder, {"evaluation": {"accuracy": 0.9}})
    assert read_manifest(folder).document.signature is None


@given(
    st.dictionaries(
        st.text(),
        st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False),
        max_size=4,
    ),
    st.data(),
)
def test_any_manifest_is_true_as_signed_and_false_when_changed(
    notes: dict[str, Any], data: st.DataObject
) -> None:
    document = {"format": "faces-1", "notes": notes}
    made = json.loads(json.dumps(signed(document, KEY)))
    check_signature(made, PUBLIC, "here")
    made["notes"][data.draw(st.text())] = data.draw(st.text())
    with pytest.raises(ModelError, match="does not match"):
        check_signature(made, PUBLIC, "here")


def configured(folder: Path, public_key_file: Path) -> Config:
    return Config(model=ModelConfig(folder=folder, public_key_file=public_key_file))


def test_the_configuration_names_the_key(folder: Path, tmp_path: Path) -> None:
    private, public = tmp_path / "model.key", tmp_path / "model.pub"
    create_key_pair(private, public)
    with pytest.raises(ModelError, match="another key"):
        load_configured(configured(folder, public))
    sign_folder(folder, load_private_key(private, "model key", ""))
    assert load_configured(configured(folder, public)).variant == "float32"
    rewrite(folder, lambda m: m.pop("signature"))
    with pytest.raises(ModelError, match="not signed"):
        load_configured(configured(folder, public))


@pytest.mark.parametrize("content", [None, b"", b"no key", b"\xff" * 100])
def test_a_model_key_that_is_none_stops_the_door(
    folder: Path, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "model.pub"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_configured(configured(folder, file))
    assert caught.value.where == str(file)
