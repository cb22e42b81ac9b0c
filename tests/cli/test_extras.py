"""What is said to be missing, and how to get it, follows from the package's own metadata."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging import markers
from packaging.requirements import Requirement

from oneglance.cli import extras
from oneglance.cli.doctor import Finding, Verdict, packages
from oneglance.cli.extras import brought_by, extra_for, extra_names, requirements
from oneglance.cli.main import COMMANDS, EXTRA_OF

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("contract", "faces", "models", "training", "converter", "daemon", "kiosk_ui", "door")
SOURCES = [
    file for room in (*ROOMS, "cli", "oneglance") for file in sorted((ROOT / room).rglob("*.py"))
]


@pytest.fixture
def on_aarch64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    kept = (extras.declared, extras.requirements, extras.brought_by)
    here = markers.default_environment()
    there = {**here, "platform_machine": "aarch64"}
    monkeypatch.setattr(markers, "default_environment", lambda: dict(there))
    for function in kept:
        function.cache_clear()
    yield
    for function in kept:
        function.cache_clear()


def found_by_doctor() -> dict[str, Finding]:
    return {finding.what: finding for finding in packages()}


def pretend(monkeypatch: pytest.MonkeyPatch, package: str, there: str | None) -> None:
    """As if `package` were installed in that version, or not at all."""

    def other_version(name: str) -> str:
        if name != package:
            return version(name)
        if there is None:
            raise PackageNotFoundError(name)
        return there

    monkeypatch.setattr(extras, "version", other_version)


def test_the_doctor_knows_every_requirement_of_every_extra_for_users() -> None:
    lines = [Requirement(line) for line in requires("oneglance") or ()]
    assert "training" in extra_names()
    for extra in ("", *extra_names()):
        if extra == "dev":
            continue
        asked = {
            one.name
            for one in lines
            if one.name != "oneglance"
            and (one.marker.evaluate({"extra": extra}) if one.marker else not extra)
        }
        assert asked
        assert asked - set(found_by_doctor()) == set(), extra


def test_no_package_is_shown_twice_for_one_part() -> None:
    shown = [(finding.part, finding.what) for finding in packages()]
    assert len(shown) == len(set(shown))
    assert ("daemon", "numpy") in shown
    assert ("training", "numpy") not in shown


def test_every_extra_that_is_named_to_a_user_exists() -> None:
    texts = [*SOURCES, ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {
        name
        for file in texts
        for name in re.findall(r"oneglance\[(\w+)\]|extra `(\w+)`", file.read_text())
        for name in name
        if name
    }
    assert {"daemon", "door", "report"} <= named
    assert named - set(extra_names()) == set()


def test_the_extra_of_a_command_exists_and_so_does_the_command() -> None:
    assert set(EXTRA_OF) - set(COMMANDS) == set()
    assert set(EXTRA_OF.values()) - set(extra_names()) == set()


def test_every_package_that_the_code_imports_is_asked_for() -> None:
    imported = set()
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    base = {one.name for one in requirements()}
    third = imported - set(sys.stdlib_module_names) - {"oneglance"} - base
    assert {"cv2", "paho", "tensorflow", "jinja2"} <= third
    assert {name for name in third if extra_for(name) is None} == set()


def test_a_missing_import_names_the_smallest_extra_that_brings_it() -> None:
    assert extra_for("cv2.data") == "faces"
    assert extra_for("jinja2") == "report"
    assert extra_for("matplotlib.figure") == "report"
    assert extra_for("tensorflow") == "training"
    assert extra_for("prometheus_client") == "daemon"
    assert extra_for("iotcore") == "demo"
    assert extra_for("no_such_package") is None


def test_it_names_what_the_command_is_a_part_of_where_that_brings_it() -> None:
    assert extra_for("numpy", "daemon") == "daemon"
    assert extra_for("paho.mqtt.client", "door") == "door"
    assert extra_for("kivy", "daemon") == "kiosk"
    assert extra_for("numpy", "") == "faces"


def test_what_only_another_machine_needs_is_not_asked_for_here(on_aarch64: None) -> None:
    assert brought_by("door") == {"gpiozero", "lgpio", "paho-mqtt"}
    assert "tensorflow" in brought_by("training")
    assert "tensorflow-cpu" not in brought_by("training")
    assert found_by_doctor()["tensorflow"].part == "training"


def test_what_is_missing_or_does_not_fit_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, "paho-mqtt", "1.6.1")
    old = [finding for finding in packages() if finding.what == "paho-mqtt"]
    assert {finding.verdict for finding in old} == {Verdict.MISSING}
    assert {finding.fix for finding in old} == {
        f"pip install 'oneglance[{part}]'" for part in ("daemon", "door", "kiosk")
    }
    assert "1.6.1" in old[0].detail
    assert ">=2.1" in old[0].detail
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    pretend(monkeypatch, "pydantic", None)
    gone = found_by_doctor()["pydantic"]
    assert (gone.verdict, gone.detail) == (Verdict.MISSING, "not installed")
    assert gone.fix == "pip install oneglance"


@pytest.mark.parametrize(
    ("package", "module"),
    [
        ("opencv-python-headless", "cv2"),
        ("ai-edge-litert", "tflite_runtime"),
        ("kivy", "kivy"),
    ],
)
def test_what_another_distribution_brings_is_good(
    monkeypatch: pytest.MonkeyPatch, package: str, module: str
) -> None:
    pretend(monkeypatch, package, None)
    monkeypatch.setattr(extras, "find_spec", lambda name: object() if name == module else None)
    finding = found_by_doctor()[package]
    assert (finding.verdict, finding.detail) == (Verdict.GOOD, "installed under another name")


def test_a_command_whose_package_is_missing_says_which_extra_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['paho'] = None\nfrom oneglance.cli.start import main; main()"
    config = tmp_path / "oneglance.toml"
    config.write_text("")
    run = subprocess.run(
        [sys.executable, "-c", code, "door", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert run.returncode == 70
    assert "oneglance[door]" in run.stderr
    assert run.stderr.count("\n") == 1
