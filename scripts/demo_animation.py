"""The README's animation of the demo: what camera, screen and lock showed in one real run.

    python scripts/demo_animation.py [--out docs/images/demo.webp] [--frames FOLDER]

Three visits of the demo's film, in real time: the person who is enrolled, a stranger, and a
photograph of the enrolled person held up. The house is the demo's: broker, daemon, lock, and the
screen's own logic, whose states are drawn afterwards by its own window. Nothing is drawn that did
not happen; if the run did not end as it should, no picture is written. For a quiet machine: a
busy one drops frames.
"""

from __future__ import annotations

import argparse
import bisect
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from oneglance.cli.demo.film import ENROLLED, enrol_from_photo, make_film, person_of
from oneglance.cli.demo.house import House, house
from oneglance.cli.demo.sheet import ACCEPTED, LOOKING, REJECTED, Colour, annotate
from oneglance.cli.demo.video import FPS, PHOTOGRAPH, VISIT
from oneglance.cli.photos import fetch_photos
from oneglance.config import CameraConfig
from oneglance.contract.messages import Decision, LockState, Outcome
from oneglance.daemon.app import Daemon
from oneglance.daemon.visit.report import StepReport
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import load_model
from oneglance.kiosk_ui.screen import ScreenState
from oneglance.kiosk_ui.snapshot import render_states

ROOT = Path(__file__).resolve().parents[1]
COMES = (("obama3.jpg", VISIT), ("biden.jpg", VISIT), ("obama2.jpg", PHOTOGRAPH))
SHOWN_FPS = 8
SECONDS = 20
# For how long a decision is shown: about as long as on the screen.
DECISION_S = 4.0
SIZE = (960, 452)
CAMERA, SCREEN = (480, 360), (480, 288)
TOP = 40
PAPER, INK, QUIET = (24, 27, 31), (235, 238, 240), (160, 168, 175)
GREEN, ORANGE = (0, 190, 135), (240, 140, 70)
FONTS = ROOT / "kiosk_ui/fonts"


@dataclass(frozen=True)
class Moment:
    """What could be seen at one frame of the film."""

    at_s: float
    camera: NDArray[np.uint8]
    screen: ScreenState
    opened: bool
    decisions: int


@dataclass
class Recorder:
    """Keeps each step of the daemon, and what screen and lock showed at that moment."""

    parts: House
    moments: list[Moment] = field(default_factory=list)
    labels: dict[str, tuple[str, Colour]] = field(default_factory=dict)

    def note(self, report: StepReport) -> None:
        """Take one step of the daemon."""
        picture = report.frame.pixels
        for view in report.tracks:
            verdict = view.verdict
            if verdict is not None and verdict.accepted:
                self.labels[view.visit_id] = "accepted", ACCEPTED
            elif verdict is not None:
                self.labels[view.visit_id] = verdict.reason.replace("_", " "), REJECTED
            label, colour = self.labels.get(view.visit_id, ("looking", LOOKING))
            picture = annotate(picture, view.box, label, colour)
        listener = self.parts.listener
        self.moments.append(
            Moment(
                report.frame.index / FPS,
                picture.copy(),
                self.parts.screen.now,
                listener.lock_state is LockState.UNLOCKED,
                len(listener.decisions),
            )
        )


def main() -> int:
    """Exit code 1 if the run is not one to show."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/demo.webp")
    parser.add_argument("--frames", type=Path, help="also keep each picture as PNG there")
    parser.add_argument("--quality", type=int, default=50)
    asked = parser.parse_args()
    fetch_photos()
    with tempfile.TemporaryDirectory(prefix="oneglance-animation-") as scratch:
        folder = Path(scratch)
        moments, decisions = _run(folder / "visits.avi")
        outcomes = [(one.outcome, one.person_name) for one in decisions]
        wanted = [(Outcome.ACCEPTED, person_of(ENROLLED)), *[(Outcome.REJECTED, None)] * 2]
        if outcomes != wanted:
            told = [f"{one.outcome} {one.person_name or one.reason}" for one in decisions]
            sys.stderr.write(f"not what should have happened: {', '.join(told)}\n")
            return 1
        drawn = _screens(moments, folder / "screens")
    pictures = _pictures(moments, decisions, drawn)
    if asked.frames is not None:
        asked.frames.mkdir(parents=True, exist_ok=True)
        for i, picture in enumerate(pictures):
            picture.save(asked.frames / f"{i:03d}.png")
    pictures[0].save(
        asked.out,
        save_all=True,
        append_images=pictures[1:],
        duration=1000 // SHOWN_FPS,
        loop=0,
        quality=asked.quality,
        method=4,
    )
    sys.stdout.write(f"{asked.out}: {len(pictures)} pictures, {asked.out.stat().st_size} bytes\n")
    return 0


def _run(film: Path) -> tuple[list[Moment], list[Decision]]:
    detector, model = FaceDetector(), load_model()
    make_film(film, detector, model, COMES)
    camera = CameraConfig(name="front", source=str(film), pace="real")
    with house(camera, lambda _decision: None) as parts:
        enrol_from_photo(parts.config, detector, model)
        recorder = Recorder(parts)
        Daemon(parts.config, on_step=recorder.note).run()
        return recorder.moments, [heard.decision for heard in parts.listener.decisions]


def _key(screen: ScreenState) -> tuple[object, ...]:
    """What can be told apart in a picture of this size."""
    return (screen.kind, screen.title, screen.line, screen.name, screen.hint, screen.progress > 0.5)


def _screens(moments: list[Moment], folder: Path) -> dict[tuple[object, ...], Image.Image]:
    states = {_key(moment.screen): moment.screen for moment in moments}
    files = render_states(list(states.values()), folder)
    return {
        key: Image.open(file).convert("RGB").resize(SCREEN, Image.Resampling.LANCZOS)
        for key, file in zip(states, files, strict=True)
    }


def _pictures(
    moments: list[Moment],
    decisions: list[Decision],
    drawn: dict[tuple[object, ...], Image.Image],
) -> list[Image.Image]:
    large = ImageFont.truetype(FONTS / "NotoSans-SemiBold.ttf", 20)
    small = ImageFont.truetype(FONTS / "NotoSans-Regular.ttf", 16)
    times = [moment.at_s for moment in moments]
    said_s = {moment.decisions: moment.at_s for moment in reversed(moments)}
    pictures = []
    for tick in range(SHOWN_FPS * SECONDS):
        moment = moments[max(0, bisect.bisect_right(times, tick / SHOWN_FPS) - 1)]
        picture = Image.new("RGB", SIZE, PAPER)
        draw = ImageDraw.Draw(picture)
        draw.text((12, 9), "the camera", QUIET, small)
        draw.text((CAMERA[0] + 12, 9), "the screen at the door", QUIET, small)
        camera = Image.fromarray(np.ascontiguousarray(moment.camera[:, :, ::-1]))
        picture.paste(camera.resize(CAMERA, Image.Resampling.LANCZOS), (0, TOP))
        picture.paste(drawn[_key(moment.screen)], (CAMERA[0], TOP))
        lock = "the lock: OPEN" if moment.opened else "the lock: shut"
        place = (CAMERA[0] + 16, TOP + SCREEN[1] + 24)
        draw.text(place, lock, GREEN if moment.opened else INK, large)
        if moment.decisions and tick / SHOWN_FPS < said_s[moment.decisions] + DECISION_S:
            decision = decisions[moment.decisions - 1]
            accepted = decision.outcome is Outcome.ACCEPTED
            who = decision.person_name if accepted else decision.reason.replace("_", " ")
            said = f"on the wire, signed: {decision.outcome}, {who}"
            line = (12, TOP + CAMERA[1] + 14)
            draw.text(line, said, GREEN if accepted else ORANGE, large)
        pictures.append(picture)
    return pictures


if __name__ == "__main__":
    sys.exit(main())
