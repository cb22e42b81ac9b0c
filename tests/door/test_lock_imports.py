"""The lock carries no face recognition: a clean interpreter tells what it loads."""

from __future__ import annotations

import subprocess
import sys


def test_the_lock_loads_no_vision_no_training_and_no_screen() -> None:
    code = (
        "import sys, oneglance.door.app, oneglance.cli.door; print(*sorted(m for m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "oneglance.door.app" in loaded
    forbidden = {"cv2", "numpy", "tensorflow", "keras", "kivy", "ai_edge_litert", "iotcore"}
    rooms = {f"oneglance.{room}" for room in ("faces", "daemon", "kiosk_ui", "training")}
    assert loaded & (forbidden | rooms) == set()
