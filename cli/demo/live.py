"""The live demo: enrol whoever sits at this camera, then watch who comes."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import numpy as np
import typer
from rich.console import Console

from oneglance.cli.camera_source import camera_config
from oneglance.cli.demo.film import decision_line
from oneglance.cli.demo.house import house
from oneglance.cli.people.enrol_faces import from_camera
from oneglance.contract.messages import Decision
from oneglance.daemon.app import Daemon
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.face_model import load_model
from oneglance.signals import stop_on_signals

ENROLMENT_FRAMES = 3


def live_demo(console: Console, source: str, seconds: int) -> None:
    """Enrol one person from the camera, run the house for `seconds`, and print decisions.

    Nothing is kept. Raises CameraError or ImageError if no good pictures come.
    """
    console.print("This demo takes three pictures of you, makes templates of them, and forgets")
    console.print("them when it ends. Nothing is kept and nothing leaves this machine.")
    if not typer.confirm("Do you consent?"):
        console.print("Then nothing happens. Goodbye.")
        return
    name = typer.prompt("What shall the door call you?", default="You")

    def told(decision: Decision) -> None:
        console.print(decision_line(decision))

    camera = camera_config(source).model_copy(update={"name": "front"})
    with house(camera, told) as parts:
        config, model = parts.config, load_model()
        shots = from_camera(
            camera,
            ENROLMENT_FRAMES,
            FaceDetector(),
            model,
            min_face_px=config.decision.min_face_px,
            say=lambda advice: console.print(f"  {advice}"),
        )
        templates = np.stack([shot.template for shot in shots])
        with Gallery.open(
            config.gallery.path, load_key(config.gallery.key_file), create=True
        ) as gallery:
            gallery.enrol(
                name, templates, model.model_id, consent_at=datetime.now(UTC), source="camera"
            )
        console.print(f"Enrolled. Watching for {seconds} s; walk away and come back, or send")
        console.print("somebody else. Ctrl-C ends it.")
        daemon = Daemon(config)
        timer = threading.Timer(seconds, daemon.stop)
        timer.start()
        try:
            with stop_on_signals(daemon.stop):
                daemon.run()
        finally:
            timer.cancel()
        opened = len(parts.listener.opened_for)
        console.print(f"{len(parts.listener.decisions)} decisions; the lock opened {opened} times.")
