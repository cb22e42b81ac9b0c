"""A virtual display, for pictures of the kiosk in the demo, the docs and the tests."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneglance.errors import MissingPartError, OneglanceError

_START_TIMEOUT_S = 20.0


@contextmanager
def virtual_display(
    size_px: tuple[int, int] = (1920, 1080), picture_folder: Path | None = None
) -> Iterator[dict[str, str]]:
    """Run Xvfb on a free display while the block runs; yields the environment for a child.

    It keeps what is on the display in `picture_folder`, as the file Xvfb_screen0 (XWD).

    If Xvfb is not installed, this session's display is used, and windows will flash up on it.
    Raises MissingPartError if there is neither, OneglanceError if Xvfb does not start.
    """
    xvfb = shutil.which("Xvfb")
    if xvfb is None:
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise MissingPartError(
                "there is neither a display nor Xvfb", where="kiosk", fix="apt install xvfb"
            )
        yield dict(os.environ)
        return
    readable, writable = os.pipe()
    # Xvfb picks a free display number and reports it when it is ready.
    server = subprocess.Popen(
        [
            *(xvfb, "-displayfd", str(writable), "-nolisten", "tcp", "-noreset"),
            *("-screen", "0", f"{size_px[0]}x{size_px[1]}x24"),
            *(() if picture_folder is None else ("-fbdir", str(picture_folder))),
        ],
        pass_fds=(writable,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        os.close(writable)
        number = _read_number(readable)
        environment = {
            **{k: v for k, v in os.environ.items() if k != "WAYLAND_DISPLAY"},
            "DISPLAY": f":{number}",
            "SDL_VIDEODRIVER": "x11",
        }
        yield environment
    finally:
        os.close(readable)
        server.terminate()
        try:
            server.wait(timeout=5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _read_number(readable: int) -> int:
    ready, _, _ = select.select([readable], [], [], _START_TIMEOUT_S)
    text = os.read(readable, 16) if ready else b""
    if not text.strip().isdigit():
        raise OneglanceError("Xvfb did not start", where="kiosk", fix="try 'Xvfb :99' by hand")
    return int(text)
