"""Watch over the running parts: lost cameras, a dead vision thread, the end of recordings."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from oneglance.daemon.camera.camera import Camera
from oneglance.daemon.camera.frames import FrameExchange
from oneglance.daemon.camera.intake import CameraState
from oneglance.daemon.camera.sources import is_recording
from oneglance.daemon.gallery.credential_watch import CredentialWatch
from oneglance.daemon.gallery.sharing import Sharing
from oneglance.daemon.standing import Notice, Standing
from oneglance.daemon.vision import Vision
from oneglance.daemon.voice.publisher import Publisher
from oneglance.errors import CameraError, OneglanceError
from oneglance.events import CAMERA_LOST, READY, STATUS
from oneglance.sdnotify import Notifier

log = logging.getLogger(__name__)

WATCH_EVERY_S = 0.1


def supervise(
    cameras: list[Camera],
    vision: Vision,
    exchange: FrameExchange,
    publisher: Publisher | None,
    notifier: Notifier,
    stopping: threading.Event,
    *,
    credentials: CredentialWatch | None = None,
    shared: Sharing | None = None,
    keys_lost: Callable[[], bool] = lambda: False,
    notice: Notice | None = None,
    may_leave: Callable[[], bool] = lambda: False,
) -> None:
    """Return when `stopping` is set, `may_leave` says so, or all recordings have ended.

    `notice` is kept up to date on how the daemon is doing.

    A camera that fails, at the start or later, is reported and tried again; the others work on.
    Raises what made the vision thread fail, OneglanceError when the network's thread has died
    (a daemon that nobody hears must not look alive), and CameraError when nothing is left to wait
    for: of recordings alone one is unreadable, or every camera is stuck in its driver.
    """
    ready = False
    reasons: tuple[str, ...] | None = None
    while not stopping.wait(WATCH_EVERY_S):
        if vision.ended.is_set():
            raise vision.crash or RuntimeError("the vision thread ended by itself")
        if publisher is not None and not publisher.link.alive:
            raise OneglanceError("the network thread has died")
        for camera in cameras:
            camera.watch()
        _check_worth_waiting(cameras)
        if may_leave():
            return
        if all(camera.state is CameraState.ENDED for camera in cameras) and exchange.idle:
            return
        opening = any(camera.state is CameraState.OPENING for camera in cameras)
        if not ready and not opening:
            ready = True
            notifier.ready()
            log.info("ready", extra=READY())
        starting = () if ready else ("starting",)
        complaints = [reason for camera in cameras for reason in camera.complaints]
        lost = _lost(cameras, told=reasons or ())
        broker = () if publisher is None else _of_broker(publisher)
        claims = (credentials.problem,) if credentials is not None and credentials.problem else ()
        keyring = ("keyring_error",) if keys_lost() else ()
        sharing = shared.problems if shared is not None else ()
        found = (*starting, *lost, *sorted(complaints), *vision.problems)
        now = tuple(dict.fromkeys((*found, *claims, *keyring, *sharing, *broker)))
        if now != reasons:
            reasons = now
            notifier.status(", ".join(now) or "watching the door")
            told = ", ".join(now) or "online"
            log.info("status: %s", told, extra=STATUS(REASONS=",".join(now)))
        if notice is not None:
            notice.standing = Standing(
                reasons=now,
                problems=vision.problems,
                cameras=tuple(camera.name for camera in cameras),
                connected=publisher is None or publisher.link.connected,
            )
        if publisher is not None:
            publisher.set_reasons(now)


def _of_broker(publisher: Publisher) -> tuple[str, ...]:
    told = {
        "decisions_refused": publisher.unsaid,
        "commands_unheard": publisher.unheard,
        "certificate_ends": publisher.certificate_ends,
    }
    return tuple(reason for reason, holds in told.items() if holds)


def _check_worth_waiting(cameras: list[Camera]) -> None:
    """Raise CameraError if no waiting helps: a new process may, or another recording."""
    if all(is_recording(camera.config) for camera in cameras):
        hopeless = [camera for camera in cameras if camera.state is CameraState.LOST]
    else:
        hopeless = cameras if all(camera.stuck for camera in cameras) else []
    if hopeless:
        name = hopeless[0].name
        raise hopeless[0].failure or CameraError("is lost", where=f"camera {name}")


def _lost(cameras: list[Camera], *, told: tuple[str, ...]) -> list[str]:
    """The reasons for lost cameras; each loss is news once."""
    reasons = []
    for camera in sorted(cameras, key=lambda camera: camera.name):
        if camera.state is CameraState.LOST:
            reasons.append(f"camera_lost:{camera.name}")
            if reasons[-1] not in told:
                told_of = CAMERA_LOST(CAMERA=camera.name)
                log.warning("camera %s is lost: %s", camera.name, camera.failure, extra=told_of)
    return reasons
