"""What the kiosk may load, asked of clean interpreters."""

from __future__ import annotations

import subprocess
import sys

FOREIGN = (
    "cv2 numpy tensorflow keras ai_edge_litert gpiozero "
    "oneglance.faces oneglance.daemon oneglance.door"
)


def _loaded_after(statement: str) -> set[str]:
    asked = f"{statement}\nimport sys\nprint(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_no_module_but_the_view_loads_kivy_and_none_the_eyes_of_the_door() -> None:
    modules = (
        "admin admin_attempts admin_desk admin_enrol admin_facts admin_house admin_keys admin_link "
        "admin_page admin_people admin_photo admin_pin admin_screen admin_secret backlight kept "
        "photo_shelf photo_shrink "
        "app client display geometry kivy_window names pad_keys palette pin_pad "
        "preview_place preview_socket reducer screen snapshot soft_pixels speech "
        "stage symbols text_fit verify_button words"
    )
    loaded = _loaded_after(
        "\n".join(f"import oneglance.kiosk_ui.{name}" for name in modules.split())
    )
    assert not loaded & {"kivy", *FOREIGN.split()}


def test_the_command_loads_nothing_heavy_before_it_is_called() -> None:
    loaded = _loaded_after("import oneglance.cli.kiosk")
    assert not loaded & {"kivy", "paho", "pydantic", *FOREIGN.split()}


def test_the_first_picture_waits_for_nothing_that_talks_to_the_daemon() -> None:
    loaded = _loaded_after("import oneglance.cli.kiosk, oneglance.kiosk_ui.stage")
    for talks in ("paho", "cryptography", "rich", "oneglance.link", "oneglance.kiosk_ui.client"):
        assert talks not in loaded
