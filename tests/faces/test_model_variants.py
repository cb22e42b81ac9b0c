"""Variants side by side: which one is loaded, what its templates are called, and what is kept."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_folders import INTERCHANGE, shipped_files, write_folder

from oneglance.config import Config, GalleryConfig, ModelConfig
from oneglance.converter.folder import update_manifest, write_model_folder
from oneglance.errors import ConfigError, ModelError
from oneglance.faces.model.choice import (
    Choice,
    Timing,
    folder_digest,
    machine_mark,
    read_choice,
    write_choice,
)
from oneglance.faces.model.document import Interchange, parse_part
from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.interchange import Side, measure, objections
from oneglance.faces.model.manifest import model_id, read_document, read_manifest
from oneglance.faces.model.setup import load_configured, pick
from oneglance.faces.model.tune import fastest, largest_bearable
from oneglance.faces.model.tune import measure as measure_speed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """float32 leads; int8 is interchangeable with it, int8-weights is not known to be."""
    made = write_folder(tmp_path / "model", "float32", "int8", "int8-weights")
    update_manifest(made, {"interchange": INTERCHANGE}, "int8")
    return made


@pytest.fixture
def config(folder: Path, tmp_path: Path) -> Config:
    state = tmp_path / "state"
    state.mkdir()
    return Config(
        model=ModelConfig(folder=folder), gallery=GalleryConfig(path=state / "gallery.db")
    )


@dataclass
class Kept:
    file: Path
    choice: Choice

    def write(self, **change: Any) -> None:
        write_choice(self.file, self.choice.model_copy(update=change))


@pytest.fixture
def kept(config: Config, folder: Path) -> Kept:
    document = read_document(folder)
    choice = Choice(
        variant="int8",
        model_id=model_id(document, "int8"),
        model=folder_digest(document),
        machine="this one",
        threads=1,
        measured_at="2026-11-24T06:00:00+00:00",
        timings={"int8": Timing(min_ms=1.0, median_ms=1.1, rounds=3)},
    )
    return Kept(config.gallery.path.parent / "model-choice.json", choice)


def picked(config: Config, machine: str = "this one") -> tuple[str, str, str]:
    folder = config.model.folder
    assert folder is not None
    found = pick(config, read_document(folder), lambda: machine)
    return found.variant, found.why, found.aside


def test_each_variant_loads_with_files_and_thresholds_of_its_own(folder: Path) -> None:
    row = read_manifest(folder).fitted.model_dump(mode="json")
    row["by_fmr"]["1e-5"]["threshold"] = 5.0
    update_manifest(folder, {"thresholds": row}, "int8")
    models = {name: load_model(folder, variant=name) for name in ("float32", "int8")}
    assert models["float32"].threshold("1e-5") != models["int8"].threshold("1e-5") == 5.0
    assert models["int8"].manifest.encoder.name == "encoder-int8.tflite"
    assert models["int8"].manifest.aligner.name == "aligner.tflite"
    assert load_model(folder).variant == "float32"


def test_equal_files_are_written_once(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "aligner.tflite",
        "encoder-float32.tflite",
        "encoder-int8-weights.tflite",
        "encoder-int8.tflite",
        "manifest.json",
    ]


def test_a_gallery_survives_the_switch_to_an_interchangeable_variant_only(folder: Path) -> None:
    ids = {
        name: load_model(folder, variant=name).model_id for name in read_document(folder).variants
    }
    assert ids["float32"] == ids["int8"] != ids["int8-weights"]
    update_manifest(folder, {"interchange": None}, "int8")
    assert load_model(folder, variant="int8").model_id not in (ids["float32"], ids["int8-weights"])


def test_only_variants_that_keep_the_gallery_may_be_chosen(folder: Path) -> None:
    assert read_document(folder).tune_among == ("float32", "int8")
    few = read_manifest(folder, "int8").fitted.model_dump(mode="json")
    del few["by_fmr"]["1e-4"]
    update_manifest(folder, {"thresholds": few}, "int8")
    assert read_document(folder).tune_among == ("float32",)


def test_a_damaged_variant_hinders_only_itself(folder: Path) -> None:
    (folder / "encoder-int8.tflite").write_bytes(b"x")
    load_model(folder)
    with pytest.raises(ModelError, match="changed or damaged"):
        load_model(folder, variant="int8")


def test_the_configured_variant_goes_before_the_measured_one_and_that_before_the_default(
    config: Config, kept: Kept
) -> None:
    assert picked(config) == ("float32", "default", "")
    kept.write()
    assert picked(config) == ("int8", "tuned", "")
    named = ModelConfig(folder=config.model.folder, variant="int8-weights")
    assert picked(config.model_copy(update={"model": named}))[:2] == ("int8-weights", "configured")


def test_the_daemon_loads_the_choice_and_logs_it(
    config: Config, kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    kept.write()
    with caplog.at_level(logging.INFO):
        model = load_configured(config, machine=lambda: "this one")
    assert model.variant == "int8"
    assert f"model {model.model_id}, variant int8 (tuned)" in caplog.text


def test_a_configured_variant_that_is_not_there_is_refused(config: Config) -> None:
    named = ModelConfig(folder=config.model.folder, variant="int4")
    with pytest.raises(ModelError, match="no variant 'int4'"):
        load_configured(config.model_copy(update={"model": named}))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model": "another"}, "the model has changed"),
        ({"machine": "that one"}, "another machine"),
        ({"threads": 2}, "threads = 2"),
        ({"variant": "int8-weights"}, "does not let it choose"),
        ({"variant": "int4"}, "does not let it choose"),
    ],
)
def test_a_choice_for_something_else_is_set_aside_and_says_why(
    config: Config, kept: Kept, change: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    kept.write(**change)
    variant, reason, aside = picked(config)
    assert (variant, reason) == ("float32", "default")
    assert why in aside
    assert load_configured(config, machine=lambda: "this one").variant == "float32"
    assert why in caplog.text


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"format": "model-choice-1", "variant": "int8"}', "[" * 60_000]
)
def test_a_damaged_choice_is_set_aside(config: Config, kept: Kept, damage: str) -> None:
    kept.file.write_text(damage)
    kept.file.chmod(0o600)
    variant, reason, aside = picked(config)
    assert (variant, reason) == ("float32", "default")
    assert "damaged" in aside


def test_a_choice_that_others_can_write_is_set_aside(config: Config, kept: Kept) -> None:
    kept.write()
    kept.file.chmod(0o666)
    assert picked(config)[0] == "float32"
    assert "0666" in picked(config)[2]


def test_a_choice_is_for_its_owner_alone_and_replaced_as_a_whole(kept: Kept) -> None:
    kept.write()
    kept.write(variant="float32")
    assert stat.S_IMODE(kept.file.stat().st_mode) == 0o600
    assert read_choice(kept.file) == kept.choice.model_copy(update={"variant": "float32"})
    assert [path.name for path in kept.file.parent.iterdir()] == [kept.file.name]


def test_a_choice_that_cannot_be_kept_says_so(tmp_path: Path, kept: Kept) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be kept"):
        write_choice(tmp_path / "file" / "choice.json", kept.choice)


def test_signing_or_telling_more_does_not_outdate_a_choice_but_another_file_does(
    folder: Path,
) -> None:
    before = folder_digest(read_document(folder))
    update_manifest(folder, {"licence": "another", "evaluation": {"a": 1}})
    assert folder_digest(read_document(folder)) == before
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["encoder-int8.tflite"]["sha256"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert folder_digest(read_document(folder)) != before


def test_the_machine_is_told_by_its_processor(tmp_path: Path) -> None:
    pi = tmp_path / "cpuinfo"
    pi.write_text("processor\t: 0\nCPU part\t: 0xd0b\n\nModel\t\t: Raspberry Pi 5 Model B\n")
    assert "Raspberry Pi 5 Model B" in machine_mark(pi)
    assert machine_mark(pi) != machine_mark(tmp_path / "none")
    assert machine_mark() == machine_mark()


class Clock:
    """Time that passes only while a variant works: so many seconds a face."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Working:
    """A model as `measure` uses it, that only lets its clock run."""

    def __init__(self, clock: Clock, costs_s: Callable[[int], float], order: list[str]) -> None:
        self._clock, self._costs_s, self._order, self._calls = clock, costs_s, order, 0

    def chips(self, image_bgr: Any, boxes: Any) -> Any:
        assert len(boxes) == 1
        return np.zeros((1, 112, 112, 3), np.uint8)

    def encode(self, chips: Any) -> None:
        self._order.append("x")
        self._clock.now_s += self._costs_s(self._calls)
        self._calls += 1


def test_speed_is_measured_in_turn_and_without_the_warm_up() -> None:
    clock, order = Clock(), []
    models: Any = {
        "slow": Working(clock, lambda call: 9.0 if call < 3 else 0.004 + 0.001 * (call % 3), order),
        "fast": Working(clock, lambda call: 9.0 if call < 3 else 0.002, order),
    }
    found = measure_speed(models, clock, rounds=6)
    assert (found["slow"].min_ms, found["slow"].median_ms) == (4.0, 5.0)
    assert (found["fast"].min_ms, found["fast"].median_ms) == (2.0, 2.0)
    assert len(order) == 2 * (3 + 6)


def timings(**min_ms: float) -> dict[str, Timing]:
    return {name: Timing(min_ms=ms, median_ms=ms, rounds=1) for name, ms in min_ms.items()}


def test_the_fastest_of_those_allowed_is_chosen_and_the_default_where_none_is_clearly() -> None:
    found = timings(a=5.0, b=3.0, c=1.0)
    assert fastest(found, ["a", "b"], "a") == "b"
    assert fastest(found, ["a"], "a") == "a"
    assert fastest(timings(a=5.0, b=4.9), ["a", "b"], "a") == "a"
    assert fastest(timings(a=5.0, b=4.8), ["a", "b"], "a") == "b"


def test_the_largest_model_is_advised_that_a_door_can_wait_for() -> None:
    timed = [("small", 5.0), ("standard", 12.0), ("large", 33.0)]
    assert largest_bearable(timed) == "large"
    assert largest_bearable([*timed[:2], ("large", 33.1)]) == "standard"
    assert largest_bearable([(name, 100.0) for name, _ in timed]) == "small"
    assert largest_bearable([]) is None


def noisy_sides(noise: float, shift: float = 0.0) -> tuple[Side, Side, list[str]]:
    """120 made-up people, 4 pictures each; the other variant's templates are a little off."""
    generator = np.random.default_rng(3)
    centres = np.repeat(generator.normal(0, 1, (120, 32)), 4, axis=0)
    base = centres + generator.normal(0, 0.45, centres.shape)
    off = base + generator.normal(0, noise, base.shape)
    people = [str(place // 4) for place in range(len(base))]

    def unit(rows: Any) -> Any:
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def cosine(a: Any, b: Any) -> Any:
        return a @ b.T

    same = {"1e-2": 0.45, "1e-3": 0.8}
    reference = Side(unit(base), cosine, same)
    return Side(unit(off), lambda a, b: cosine(a, b) + shift, same), reference, people


def test_variants_that_are_nearly_the_same_are_interchangeable() -> None:
    own, reference, people = noisy_sides(0.001)
    found = measure(own, reference, people)
    assert objections(found) == []
    assert found.cosine_mean > 0.999
    row = found.probes_of_this["1e-3"]
    assert row.tar == pytest.approx(row.tar_of_reference, abs=0.01)


def test_variants_that_keep_people_out_or_let_strangers_in_are_not() -> None:
    own, reference, people = noisy_sides(0.3)
    assert any("TAR" in told for told in objections(measure(own, reference, people)))
    own, reference, people = noisy_sides(0.001, shift=0.2)
    assert any("false matches" in told for told in objections(measure(own, reference, people)))


def test_mixed_rates_are_counted_over_all_ordered_pairs() -> None:
    own, reference, people = noisy_sides(0.1)
    found = measure(own, reference, people)
    scores = own.compare(own.templates, reference.templates)
    names = np.asarray(people)
    same = names[:, None] == names[None]
    strangers = scores[~same]
    genuine = scores[same & ~np.eye(len(names), dtype=bool)]
    row = found.probes_of_this["1e-2"]
    assert row.fmr == pytest.approx(np.mean(strangers >= own.thresholds["1e-2"]))
    assert row.tar == pytest.approx(np.mean(genuine >= own.thresholds["1e-2"]))


def test_what_cannot_be_compared_is_said() -> None:
    own, reference, people = noisy_sides(0.001)
    with pytest.raises(ValueError, match="no genuine or no impostor"):
        measure(own, reference, [str(place) for place in range(len(people))])
    other = Side(-own.templates, own.compare, own.thresholds)
    with pytest.raises(ValueError, match="mean cosine"):
        measure(other, reference, people)
    nothing = Side(own.templates, own.compare, {})
    assert objections(measure(nothing, reference, people)) == [
        "the variants have no threshold in common"
    ]


def test_what_was_measured_can_stand_in_a_manifest(folder: Path) -> None:
    own, reference, people = noisy_sides(0.001)
    found = measure(own, reference, people)
    assert parse_part(Interchange, found.model_dump(mode="json")) == found
    update_manifest(folder, {"interchange": found.model_dump(mode="json")}, "int8-weights")
    assert read_document(folder).tune_among == ("float32", "int8", "int8-weights")


def test_a_change_that_a_manifest_cannot_take_leaves_it_as_it_was(folder: Path) -> None:
    before = (folder / "manifest.json").read_bytes()
    changes: list[tuple[dict[str, Any], str]] = [
        ({"thresholds": {"by_fmr": {}}}, "int8"),
        ({"surprise": 1}, "int8"),
        ({"licence": "x"}, "int4"),
        ({"interchange": {**INTERCHANGE, "cosine_mean": 0.5}}, "int8"),
    ]
    for change, variant in changes:
        with pytest.raises(ValueError, match=r"."):
            update_manifest(folder, change, variant)
    assert (folder / "manifest.json").read_bytes() == before


def test_variants_that_do_not_go_together_are_not_written(tmp_path: Path) -> None:
    encoder, aligner = shipped_files()
    kind: dict[str, Any] = {"template_size": 256, "passes": 2, "about": {}}
    with pytest.raises(ValueError, match="leads"):
        write_model_folder(
            tmp_path / "a",
            name="x",
            encoder={"int8": encoder},
            aligner=aligner,
            precision="float32",
            **kind,
        )
    with pytest.raises(ConfigError, match="no variant int4"):
        write_model_folder(
            tmp_path / "b",
            name="x",
            encoder=encoder,
            aligner=aligner,
            precision="float32",
            default="int4",
            **kind,
        )
    with pytest.raises(ModelError, match="not a TensorFlow Lite model"):
        write_model_folder(
            tmp_path / "c",
            name="x",
            encoder=b"e",
            aligner=aligner,
            precision="float32",
            **kind,
        )
    assert list(tmp_path.iterdir()) == []
