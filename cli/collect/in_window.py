"""Collecting with a window: the camera works in a thread, the window shows what it sees."""

from __future__ import annotations

import threading

import cv2
import numpy as np

from oneglance.cli.collect.camera import Session, View
from oneglance.errors import OneglanceError
from oneglance.kiosk_ui.collect_screen import CollectScreen
from oneglance.kiosk_ui.collect_window import run_window

# A larger picture only costs time to show.
_SHOWN_HEIGHT_PX = 720


def run_in_window(session: Session) -> None:
    """Run the session and show it; closing the window stops it.

    Raises what `Session.run` and `run_window` raise.
    """
    latest: list[CollectScreen] = []
    failure: list[BaseException] = []

    def show(view: View) -> None:
        latest[:] = [screen_of(view)]

    def work() -> None:
        try:
            session.run(show)
        except BaseException as error:
            failure.append(error)

    worker = threading.Thread(target=work, name="collect")
    worker.start()
    try:
        run_window(lambda: next(iter(latest), None), lambda: not worker.is_alive())
    except OneglanceError as error:
        raise OneglanceError(
            error.what, where=error.where, fix="go on without a window: --terminal"
        ) from error
    finally:
        session.stop()
        worker.join()
    if failure:
        raise failure[0]


def screen_of(view: View) -> CollectScreen:
    """The view, mirrored and no larger than necessary."""
    height, width = view.pixels.shape[:2]
    face = None
    if view.box is not None:
        box = view.box
        face = (
            1 - (box.x + box.width) / width,
            box.y / height,
            box.width / width,
            box.height / height,
        )
    shrink = min(1.0, _SHOWN_HEIGHT_PX / height)
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    small = cv2.resize(view.pixels, size, interpolation=cv2.INTER_AREA)
    mirrored = np.ascontiguousarray(small[:, ::-1])
    return CollectScreen(
        pixels=mirrored.tobytes(),
        width_px=size[0],
        height_px=size[1],
        face=face,
        good=view.good,
        text=view.text,
        advice=view.advice,
        kept=view.taken,
        progress=view.taken / view.total,
    )
