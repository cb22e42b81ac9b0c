"""Which room may load what: read from sys.modules of a clean interpreter."""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ROOMS = {
    "audit",
    "contract",
    "faces",
    "models",
    "training",
    "converter",
    "daemon",
    "kiosk_ui",
    "door",
    "cli",
}
# What draws pages and their curves: for reports alone.
REPORT = {"jinja2", "matplotlib"}
# Room: (rooms it may load, packages it must never load). Those of REPORT are for who trains.
RULES = {
    "audit": (
        set(),
        {"cv2", "numpy", "paho", "tensorflow", "keras", "kivy", "gpiozero", "ai_edge_litert"},
    ),
    "contract": (
        set(),
        {"cv2", "numpy", "paho", "tensorflow", "keras", "kivy", "gpiozero", "ai_edge_litert"},
    ),
    "models": (set(), {"cv2", "numpy", "tensorflow", "kivy"}),
    "faces": ({"models"}, {"tensorflow", "keras", "paho", "kivy", "gpiozero"}),
    "daemon": (
        {"faces", "models", "contract", "audit"},
        {"tensorflow", "keras", "kivy", "gpiozero"},
    ),
    "kiosk_ui": ({"contract"}, {"cv2", "numpy", "tensorflow", "keras", "ai_edge_litert"}),
    "door": ({"contract"}, {"cv2", "numpy", "tensorflow", "keras", "ai_edge_litert", "kivy"}),
    "training": ({"faces", "models"}, {"paho", "kivy", "gpiozero"}),
    "converter": ({"faces", "models", "training"}, {"paho", "kivy", "gpiozero"}),
}

# Kivy opens its window when some of its modules load; without a display only these stay apart.
_NEEDS_A_WINDOW = {"oneglance.kiosk_ui.app", "oneglance.kiosk_ui.snapshot"}

_PROBE = """
import importlib, json, pkgutil, sys
top, skipped = sys.argv[1], set(json.loads(sys.argv[2]))
names = [top]
def refuse(name):
    raise
for module in pkgutil.walk_packages(importlib.import_module(top).__path__, top + ".", refuse):
    names.append(module.name)
for name in names:
    if name not in skipped and not name.endswith("__main__"):
        importlib.import_module(name)
print(json.dumps([names, sorted(sys.modules)]))
"""


def walk(
    package: str, skipped: set[str] | None = None, alone: Path | None = None
) -> tuple[set[str], set[str]]:
    """The modules at and below `package`, and all that importing them loads.

    `alone` is a folder to import from instead of what is installed here.
    """
    site = [] if alone is None else ["-S"]
    arguments = [package, json.dumps(sorted(skipped or ()))]
    result = subprocess.run(
        [sys.executable, *site, "-W", "ignore", "-c", _PROBE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=alone,
        env={
            "PATH": "/usr/bin:/bin",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "HOME": "/nonexistent",
            # As kivy_window sets it: else Kivy also tries Pillow, which loads numpy.
            "KIVY_IMAGE": "sdl2",
        },
    )
    assert result.returncode == 0, result.stderr
    found, loaded = json.loads(result.stdout.splitlines()[-1])
    return set(found), set(loaded)


def trespasses(loaded: set[str], room: str) -> set[str]:
    """What of the modules `loaded` by a room it may not load: other rooms, and packages."""
    may_load, never = RULES[room]
    never = never if room in {"training", "converter"} else never | REPORT
    rooms = {m.split(".")[1] for m in loaded if m.startswith("oneglance.")} & ROOMS
    return (rooms - {room} - may_load) | ({m.split(".")[0] for m in loaded} & never)


@pytest.mark.parametrize("room", sorted(RULES))
def test_a_room_loads_only_the_rooms_and_packages_it_may(room: str) -> None:
    if room in {"training", "converter"}:
        pytest.importorskip("tensorflow")
    found, loaded = walk(f"oneglance.{room}", _NEEDS_A_WINDOW)
    assert found == modules_of(ROOT / room, f"oneglance.{room}")
    assert trespasses(loaded, room) == set()


def modules_of(folder: Path, package: str) -> set[str]:
    """Every module that stands in a folder, floors included, by its dotted name."""
    names = set()
    for file in folder.rglob("*.py"):
        parts = file.relative_to(folder).with_suffix("").parts
        names.add(".".join((package, *(part for part in parts if part != "__init__"))))
    return names


@pytest.mark.parametrize("bad", ["import numpy", "from oneglance.faces import errands"])
def test_a_bad_import_on_a_floor_of_a_room_is_found(tmp_path: Path, bad: str) -> None:
    for name, text in {
        "numpy/__init__.py": "",
        "oneglance/__init__.py": "",
        "oneglance/faces/__init__.py": "",
        "oneglance/faces/errands.py": "",
        "oneglance/door/__init__.py": "",
        "oneglance/door/floor/__init__.py": "",
        "oneglance/door/floor/attic/__init__.py": "",
        "oneglance/door/floor/attic/trespasser.py": f"{bad}\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found, loaded = walk("oneglance.door", alone=tmp_path)
    assert "oneglance.door.floor.attic.trespasser" in found
    assert trespasses(loaded, "door") == {"numpy" if bad == "import numpy" else "faces"}


def test_every_folder_with_code_is_a_package_of_the_wheel() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = setup["options"]["packages"].split()
    folders = {
        ".".join(("oneglance", *file.parent.relative_to(ROOT).parts)).replace(
            "oneglance.oneglance", "oneglance"
        )
        for room in (*ROOMS, "oneglance")
        for file in (ROOT / room).rglob("*.py")
    }
    assert sorted(listed) == sorted(folders)


def test_help_for_every_command_loads_no_heavy_package() -> None:
    probe = """
import json, sys
import oneglance.cli.main as main
group = main.typer.main.get_command(main.app)
for name in main.COMMANDS:
    assert group.get_command(None, name).help, name
print(json.dumps(sorted(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    heavy = {"cv2", "numpy", "tensorflow", "keras", "kivy", "paho", "gpiozero", "ai_edge_litert"}
    heavy |= {"jinja2", "matplotlib"}
    loaded = {module.split(".")[0] for module in json.loads(result.stdout.splitlines()[-1])}
    assert "typer" in loaded
    assert loaded & heavy == set()
