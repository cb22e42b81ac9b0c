"""Which room may load what: read from sys.modules of a clean interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ROOMS = {
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
# Room: (rooms it may load, packages it must never load).
RULES = {
    "contract": (
        set(),
        {"cv2", "numpy", "paho", "tensorflow", "keras", "kivy", "gpiozero", "ai_edge_litert"},
    ),
    "models": (set(), {"cv2", "numpy", "tensorflow", "kivy"}),
    "faces": ({"models"}, {"tensorflow", "keras", "paho", "kivy", "gpiozero"}),
    "daemon": ({"faces", "models", "contract"}, {"tensorflow", "keras", "kivy", "gpiozero"}),
    "kiosk_ui": ({"contract"}, {"cv2", "numpy", "tensorflow", "keras", "ai_edge_litert"}),
    "door": ({"contract"}, {"cv2", "numpy", "tensorflow", "keras", "ai_edge_litert", "kivy"}),
    "training": ({"faces", "models"}, {"paho", "kivy", "gpiozero"}),
    "converter": ({"faces", "models", "training"}, {"paho", "kivy", "gpiozero"}),
}

# Kivy opens its window when some of its modules load; without a display only these stay apart.
_NEEDS_A_WINDOW = {"oneglance.kiosk_ui.app", "oneglance.kiosk_ui.snapshot"}

_PROBE = """
import importlib, json, pkgutil, sys
names = ["oneglance." + sys.argv[1]]
package = importlib.import_module(names[0])
skipped = set(json.loads(sys.argv[2]))
names += [m.name for m in pkgutil.iter_modules(package.__path__, names[0] + ".")]
for name in names:
    if name not in skipped and not name.endswith("__main__"):
        importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""


def loaded_by(room: str, skipped: set[str]) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PROBE, room, json.dumps(sorted(skipped))],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "HOME": "/nonexistent",
            # As kivy_window sets it: else Kivy also tries Pillow, which loads numpy.
            "KIVY_IMAGE": "sdl2",
        },
    )
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


@pytest.mark.parametrize("room", sorted(RULES))
def test_a_room_loads_only_the_rooms_and_packages_it_may(room: str) -> None:
    if room in {"training", "converter"}:
        pytest.importorskip("tensorflow")
    may_load, never = RULES[room]
    modules = loaded_by(room, _NEEDS_A_WINDOW)
    assert f"oneglance.{room}" in modules
    rooms = {m.split(".")[1] for m in modules if m.startswith("oneglance.")} & ROOMS
    assert rooms - {room} <= may_load
    assert {m.split(".")[0] for m in modules} & never == set()


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
    loaded = {module.split(".")[0] for module in json.loads(result.stdout.splitlines()[-1])}
    assert "typer" in loaded
    assert loaded & heavy == set()
