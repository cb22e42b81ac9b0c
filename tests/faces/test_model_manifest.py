"""manifest.json: what is read, what is refused, and how older ones are understood."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_schema import validator_of
from model_folders import one_variant, write_folder

from oneglance.errors import ModelError
from oneglance.faces.model.document import export, parse_document, schema
from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.manifest import manifest_of, read_document, read_manifest
from oneglance.models import default_model_dir

KEPT = Path(__file__).resolve().parents[2] / "docs" / "schemas"
Change = Callable[[dict[str, Any]], Any]


def of_format_1() -> dict[str, Any]:
    """The manifest as it would have been written before there were variants."""
    document = one_variant()
    variant = document["variants"][document["default"]]
    files = {
        kind: {"file": variant[kind], **document["files"][variant[kind]], "precision": "float32"}
        for kind in ("encoder", "aligner")
    }
    files["encoder"]["template_size"] = document["template_size"]
    files["encoder"]["signatures"] = {"encode": "chips -> templates"}
    return {
        "format": 1,
        "name": document["name"],
        "cutout": document["cutout"],
        "thresholds": variant["thresholds"],
        "licence": document["licence"],
        "origins": [{"what": "weights", "source": "elsewhere", "licence": "MIT"}],
        "made_on": "a Tuesday",
        **files,
    }


def folder_of(tmp_path: Path, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    (tmp_path / "manifest.json").write_bytes(data)
    return tmp_path


def rates(manifest: dict[str, Any]) -> Any:
    return manifest["variants"][manifest["default"]]["thresholds"]["by_fmr"]


def variant(manifest: dict[str, Any]) -> Any:
    return manifest["variants"][manifest["default"]]


def second(manifest: dict[str, Any], **change: Any) -> None:
    """Another variant of the same files, its templates not known to be interchangeable."""
    other = {**variant(manifest), "templates_interchangeable": False, **change}
    manifest["variants"]["int8"] = other


BAD: dict[str, Change] = {
    "another format": lambda m: m.update(format="faces-2"),
    "format 1 as a text": lambda m: m.update(format="1"),
    "true as format": lambda m: m.update(format=True),
    "no files": lambda m: m.pop("files"),
    "no variants": lambda m: m.update(variants={}),
    "an unknown member": lambda m: m.update(surprise=1),
    "an unknown member of a variant": lambda m: variant(m).update(surprise=1),
    "no thresholds": lambda m: variant(m).update(thresholds=None),
    "a text as threshold": lambda m: rates(m)["1e-4"].update(threshold="low"),
    "true as threshold": lambda m: rates(m)["1e-4"].update(threshold=True),
    "a threshold that everybody passes": lambda m: rates(m)["1e-2"].update(threshold=-1e30),
    "a threshold that nobody passes": lambda m: rates(m)["1e-4"].update(threshold=1e30),
    "a threshold beyond all numbers": lambda m: rates(m)["1e-4"].update(threshold=10**400),
    "a strict threshold below a lax one": lambda m: rates(m)["1e-4"].update(threshold=0.0),
    "a rate that was not kept": lambda m: rates(m)["1e-4"].update(fmr=0.5, fmr_95=[0.4, 0.6]),
    "bounds beside their figure": lambda m: rates(m)["1e-4"].update(fmr_95=[0.4, 0.6]),
    "a threshold without its figures": lambda m: rates(m).update({"1e-4": {"threshold": 4.0}}),
    "a word as rate": lambda m: rates(m).update(abc=rates(m)["1e-4"]),
    "a rate of one": lambda m: rates(m).update({"1": rates(m)["1e-2"]}),
    "no number as rate": lambda m: rates(m).update(nan=rates(m)["1e-4"]),
    "one rate twice": lambda m: rates(m).update({"1.0e-4": rates(m)["1e-4"]}),
    "endless passes": lambda m: m["cutout"].update(passes=10**7),
    "zero passes": lambda m: m["cutout"].update(passes=0),
    "true as passes": lambda m: m["cutout"].update(passes=True),
    "templates of nothing": lambda m: m.update(template_size=0),
    "endless templates": lambda m: m.update(template_size=10**9),
    "a file that is not listed": lambda m: variant(m).update(encoder="other.tflite"),
    "a hash that is none": lambda m: m["files"]["encoder.tflite"].update(sha256="0"),
    "a list as name": lambda m: m.update(name=["x"]),
    "an empty name": lambda m: m.update(name=""),
    "an escape in a name": lambda m: m.update(name="a\x1b[31m"),
    "a default that is not there": lambda m: m.update(default="int8"),
    "a reference that is not there": lambda m: m.update(reference="int8"),
    "a choice that is not there": lambda m: m.update(tune_among=["float32", "int8"]),
    "a choice of nothing": lambda m: m.update(tune_among=[]),
    "a reference unlike itself": lambda m: variant(m).update(templates_interchangeable=False),
    "interchangeable without a measurement": lambda m: second(m, templates_interchangeable=True),
    "a choice that would empty the gallery": lambda m: (
        second(m),
        m.update(tune_among=["float32", "int8"]),
    ),
    "other shapes": lambda m: m["files"]["encoder.tflite"]["signatures"].update(encode={}),
}
for _name in (
    "../encoder.tflite",
    "/etc/passwd",
    "..",
    ".",
    "a/b",
    "a\\b",
    "e\0.tflite",
    "",
    "e\n",
):
    BAD[f"{_name!r} as a file"] = lambda m, name=_name: (  # type: ignore[misc]
        m["files"].update({name: m["files"]["encoder.tflite"]}),
        variant(m).update(encoder=name),
    )


@pytest.mark.parametrize("what", BAD)
def test_a_manifest_of_another_shape_is_refused(tmp_path: Path, what: str) -> None:
    document = one_variant()
    BAD[what](document)
    with pytest.raises(ModelError, match="manifest") as caught:
        read_manifest(folder_of(tmp_path, json.dumps(document)))
    assert "manifest.json" in caught.value.where
    assert caught.value.fix
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_what_is_no_number_is_refused_wherever_it_stands(tmp_path: Path, number: str) -> None:
    document = one_variant()
    variant(document)["evaluation"] = {"accuracy": "HERE"}
    text = json.dumps(document).replace('"HERE"', number)
    with pytest.raises(ModelError, match="manifest"):
        read_manifest(folder_of(tmp_path, text))


def test_a_member_that_stands_twice_is_refused(tmp_path: Path) -> None:
    document = one_variant()
    rates(document)["1e-4"] = "HERE"
    row = json.dumps(rates(one_variant())["1e-4"])
    twice = row[:-1] + ', "threshold": 0.0}'
    with pytest.raises(ModelError, match="stands twice"):
        read_manifest(folder_of(tmp_path, json.dumps(document).replace('"HERE"', twice)))
    read_manifest(folder_of(tmp_path, json.dumps(document).replace('"HERE"', row)))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b" " * (1 << 20) + b"{}"],
    ids=["empty", "cut", "list", "null", "no UTF-8", "deep", "long"],
)
def test_a_manifest_that_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelError, match="manifest"):
        read_manifest(folder_of(tmp_path, content))


def test_a_variant_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ModelError, match="no variant 'int4'") as caught:
        manifest_of(parse_document(one_variant()), "int4")
    assert "float32" in caught.value.fix


def test_a_manifest_of_format_1_is_understood_and_keeps_its_id(tmp_path: Path) -> None:
    old = read_manifest(folder_of(tmp_path, json.dumps(of_format_1())))
    new = manifest_of(parse_document(one_variant()))
    assert old.model_id == new.model_id
    assert old.thresholds == new.thresholds
    assert old.accuracy_threshold == new.accuracy_threshold
    assert (old.encoder, old.aligner, old.template_size, old.passes) == (
        new.encoder,
        new.aligner,
        new.template_size,
        new.passes,
    )
    assert old.document.licence == new.document.licence
    assert old.document.origins[0].source == "elsewhere"
    assert old.document.notes == {"made_on": "a Tuesday"}


OLD_BAD: dict[str, Change] = {
    "no encoder": lambda m: m.pop("encoder"),
    "a number as encoder": lambda m: m.update(encoder=7),
    "a path as file": lambda m: m["encoder"].update(file="../encoder.tflite"),
    "a list as file": lambda m: m["encoder"].update(file=["x"]),
    "no thresholds": lambda m: m.pop("thresholds"),
    "a threshold that everybody passes": lambda m: m["thresholds"]["by_fmr"]["1e-4"].update(
        threshold=-1e30
    ),
    "a list as precision": lambda m: m["encoder"].update(precision=[]),
}


@pytest.mark.parametrize("what", OLD_BAD)
def test_a_manifest_of_format_1_is_read_as_strictly(tmp_path: Path, what: str) -> None:
    document = of_format_1()
    OLD_BAD[what](document)
    with pytest.raises(ModelError, match="manifest"):
        read_manifest(folder_of(tmp_path, json.dumps(document)))


def places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children: Any = ()
    if isinstance(document, dict):
        children = document.items()
    elif isinstance(document, list):
        children = enumerate(document)
    for key, value in children:
        yield (*at, key)
        yield from places(value, (*at, key))


@given(
    st.sampled_from(list(places(one_variant()))),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
        max_leaves=4,
    ),
)
def test_anything_anywhere_is_read_or_refused_in_one_way(place: tuple[Any, ...], put: Any) -> None:
    document = one_variant()
    inner: Any = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = put
    try:
        read = parse_document(document)
    except ValueError:
        return
    for row in read.variants[read.default].thresholds.by_fmr.values():
        assert -1000 <= row.threshold <= 1000


def test_the_kept_schema_is_the_exported_one(tmp_path: Path) -> None:
    fresh = export(tmp_path)
    assert (KEPT / fresh.name).read_text() == fresh.read_text(), (
        "run: python -m oneglance.faces.model.document"
    )


def test_the_shipped_manifest_is_valid_by_the_schema_and_nothing_more_is() -> None:
    validator = validator_of(schema())
    document = json.loads((default_model_dir() / "manifest.json").read_text())
    validator.validate(document)
    assert not validator.is_valid({**document, "surprise": 1})
    for required in ("format", "name", "files", "variants", "default", "reference", "cutout"):
        assert not validator.is_valid({k: v for k, v in document.items() if k != required})


def test_every_model_file_of_the_shipped_folder_is_in_its_manifest() -> None:
    document = read_document(default_model_dir())
    assert {path.name for path in default_model_dir().glob("*.tflite")} == set(document.files)
    assert all(file.signatures for file in document.files.values())


def test_a_fifo_in_place_of_the_manifest_or_a_model_does_not_hang(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    (folder / "aligner.tflite").unlink()
    os.mkfifo(folder / "aligner.tflite")
    with pytest.raises(ModelError, match="file is missing"):
        load_model(folder)
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    with pytest.raises(ModelError, match="manifest"):
        load_model(folder)
