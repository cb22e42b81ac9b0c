"""The filmed demo: enrol one photograph, film the others, run the house, and judge the result."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from oneglance.cli.demo.house import House, house
from oneglance.cli.demo.sheet import ACCEPTED, LOOKING, REJECTED, Shot, annotate, write_sheet
from oneglance.cli.demo.video import PHOTOGRAPH, VISIT, Scene, Visitor, write_film
from oneglance.cli.photos import PHOTOS, photo_folder
from oneglance.config import CameraConfig, Config
from oneglance.contract.messages import Decision, Outcome
from oneglance.daemon.app import Daemon
from oneglance.daemon.visit.report import StepReport, TrackView
from oneglance.errors import ImageError, OneglanceError
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.reader import load_image, read_faces, read_one_face
from oneglance.kiosk_ui.reducer import result_of
from oneglance.kiosk_ui.screen import ScreenState
from oneglance.kiosk_ui.snapshot import render_states
from oneglance.training.liveness.portrait import portrait_of

ENROLLED = "obama.jpg"
COMES = (
    ("obama2.jpg", VISIT),
    ("biden.jpg", VISIT),
    ("obama3.jpg", VISIT),
    ("astronaut.png", VISIT),
    ("obama2.jpg", PHOTOGRAPH),
)
NOISE_SEED = 20
SHOTS_A_VISIT = 3
SECOND_SHOT_MS = 1200.0
# A film that plays in real time says little about a machine that misses more of it than this.
MOST_DROPPED = 0.2
_PERSON = {photo.file: photo.person for photo in PHOTOS}


@dataclass(slots=True)
class Scribe:
    """Watches the daemon's steps: when each visit was first seen, and pictures of it."""

    scenes: Sequence[Scene]
    first_seen_s: dict[str, float] = field(default_factory=dict)
    scene_of: dict[str, int] = field(default_factory=dict)
    shots: dict[int, list[Shot]] = field(default_factory=dict)
    concluded: set[int] = field(default_factory=set)

    def note(self, report: StepReport) -> None:
        """Take one step of the daemon (called in its vision thread)."""
        frame = report.frame
        for view in report.tracks:
            seen_s = self.first_seen_s.setdefault(view.visit_id, frame.captured_at_s)
            scene = self._scene_at(frame.index)
            self.scene_of.setdefault(view.visit_id, scene)
            taken = self.shots.setdefault(scene, [])
            waited_ms = 1000.0 * (frame.captured_at_s - seen_s)
            if scene in self.concluded:
                continue
            if view.verdict is not None:
                self.concluded.add(scene)
                taken[:] = taken[: SHOTS_A_VISIT - 1]
                taken.append(_verdict_shot(report, view, waited_ms))
            elif not taken:
                taken.append(_looking_shot(report, view, waited_ms))
            elif waited_ms <= SECOND_SHOT_MS:
                taken[1:] = [_looking_shot(report, view, waited_ms)]

    def _scene_at(self, index: int) -> int:
        starts = [i for i, s in enumerate(self.scenes) if index >= s.first_frame]
        return starts[-1] if starts else 0


@dataclass(frozen=True, slots=True)
class Row:
    """The outcome of one visit to the door, and whether it is the expected one.

    `expected` says whether the visitor should be let in: enrolled, and there in person.
    """

    name: str
    expected: bool
    decision: Decision | None
    waited_ms: float | None
    opened: bool
    live: bool = True

    @property
    def right(self) -> bool:
        """Accepted and opened if expected to be let in; neither if not."""
        accepted = self.decision is not None and self.decision.outcome is Outcome.ACCEPTED
        named = not accepted or (
            self.decision is not None and self.decision.person_name == self.name
        )
        return accepted == self.expected == self.opened and named


def film_demo(console: Console, out: Path) -> bool:
    """Run and print the demo; True if every visit ended as it should."""
    detector, model = FaceDetector(), load_model()
    film = out / "visits.avi"
    with console.status(
        "Making a film of four visits to a door, and of a photograph held up to it"
    ):
        scenes = make_film(film, detector, model)
    console.print(f"A film of {len(scenes)} visits, the last by a photograph: {film}")
    started_s = time.monotonic()

    def told(decision: Decision) -> None:
        console.print(f"  {time.monotonic() - started_s:5.1f} s{decision_line(decision)}")

    scribe = Scribe(scenes)
    camera = CameraConfig(name="front", source=str(film), pace="real")
    with house(camera, told) as parts:
        enrol_from_photo(parts.config, detector, model)
        console.print(f"Enrolled from one photograph: {_PERSON[ENROLLED]}")
        console.print("Daemon, lock and screen are running; the film plays in real time:")
        started_s = time.monotonic()
        totals = Daemon(parts.config, on_step=scribe.note).run()
        _let_it_settle(parts)
        rows = _rows(parts, scribe)
        extra = len(parts.listener.decisions) - sum(row.decision is not None for row in rows)
        unasked = set(parts.listener.opened_for) - {
            row.decision.event_id for row in rows if row.decision is not None and row.opened
        }
        screens = list(parts.screen.shown.values())
    console.print(_table(rows))
    console.print(
        f"{totals.frames} frames, {totals.dropped} dropped, {totals.faces} faces, "
        f"{totals.encoder_calls} encoder calls, {totals.fps:.1f} frames a second"
    )
    drawn = _draw_screens(console, screens, out)
    sheet = out / "contact-sheet.png"
    write_sheet(sheet, _sheet_rows(rows, scribe, drawn))
    console.print(f"Contact sheet: {sheet}")
    good = all(row.right for row in rows) and extra == 0 and not unasked
    console.print(closing_line(good, totals.frames, totals.dropped))
    return good


def closing_line(good: bool, frames: int, dropped: int) -> str:
    """How the demo went, for a Console; `dropped` of the film's frames were never looked at."""
    if good:
        return "[bold green]The right person came in, and nobody else.[/]"
    if dropped <= MOST_DROPPED * (frames + dropped):
        return "[bold red]This is not what should have happened.[/]"
    return (
        f"[bold red]This machine was too busy for the film:[/] it missed {dropped} of "
        f"{frames + dropped} frames, too many to tell a face from a photograph. Close what else "
        "is running, and try again."
    )


def make_film(
    file: Path,
    detector: FaceDetector,
    model: FaceModel,
    comes: Sequence[tuple[str, str]] = COMES,
) -> list[Scene]:
    """Write the film of all visits; returns who walks up when. The file is complete or absent.

    Each visit is a photograph's name, and VISIT or PHOTOGRAPH.
    """
    visitors = [_visitor(photo, kind, detector, model) for photo, kind in comes]
    part = file.with_name(f"part-{file.name}")
    scenes = write_film(part, visitors, np.random.default_rng(NOISE_SEED))
    part.replace(file)
    return scenes


def person_of(photo: str) -> str:
    """Who is in that photograph."""
    return _PERSON[photo]


def decision_line(decision: Decision) -> str:
    """One decision as text, for a Console."""
    who = escape(decision.person_name or decision.reason.replace("_", " "))
    colour = "green" if decision.outcome is Outcome.ACCEPTED else "yellow"
    return (
        f"  [{colour}]{decision.outcome:8}[/]  {who}"
        f"   score {decision.score:+.1f}, threshold {decision.threshold:+.1f}"
    )


def _visitor(file: str, kind: str, detector: FaceDetector, model: FaceModel) -> Visitor:
    picture = load_image(photo_folder() / file)
    # The largest face: the portrait of a group's photograph is its first person's.
    points = read_faces(picture, detector, model)[0].points
    return Visitor(_PERSON[file], portrait_of(picture, points, person=_PERSON[file]), kind)


def enrol_from_photo(config: Config, detector: FaceDetector, model: FaceModel) -> None:
    """Enrol the person in the photograph ENROLLED, unless somebody is enrolled already."""
    key = load_key(config.gallery.key_file)
    with Gallery.open(config.gallery.path, key, create=True) as gallery:
        if gallery.list_people():
            return
        path = photo_folder() / ENROLLED
        sample = read_one_face(load_image(path), detector, model, where=str(path))
        gallery.enrol(
            _PERSON[ENROLLED],
            sample.template[np.newaxis],
            model.model_id,
            consent_at=datetime.now(UTC),
            source="photo",
        )


def _let_it_settle(parts: House) -> None:
    """Wait for the last message and for the lock to shut, so that nothing is missed."""
    pause = threading.Event()
    until_s = time.monotonic() + 2.0 * parts.config.door.pulse_s
    while time.monotonic() < until_s:
        pause.wait(0.05)


def _rows(parts: House, scribe: Scribe) -> list[Row]:
    rows = []
    for index, scene in enumerate(scribe.scenes):
        heard = [
            h for h in parts.listener.decisions if scribe.scene_of.get(h.decision.visit_id) == index
        ]
        # A visit has one decision; were there more, the accepted one is the one to be judged.
        heard.sort(key=lambda h: h.decision.outcome is not Outcome.ACCEPTED)
        decision = heard[0].decision if heard else None
        waited_ms = None
        if decision is not None:
            waited_ms = 1000.0 * (heard[0].at_s - scribe.first_seen_s[decision.visit_id])
        opened = decision is not None and decision.event_id in parts.listener.opened_for
        expected = scene.name == _PERSON[ENROLLED] and scene.live
        rows.append(Row(scene.name, expected, decision, waited_ms, opened, scene.live))
    return rows


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="Who came to the door")
    for heading, justify in (
        ("who", "left"),
        ("enrolled", "left"),
        ("outcome", "left"),
        ("score", "right"),
        ("decided in", "right"),
        ("lock", "left"),
        ("", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        decision = row.decision
        table.add_row(
            row.name if row.live else f"a photograph of {row.name}",
            "yes" if row.name == _PERSON[ENROLLED] else "no",
            _outcome(decision),
            "" if decision is None else f"{decision.score:+.1f}",
            "" if row.waited_ms is None else f"{row.waited_ms:.0f} ms",
            "opened" if row.opened else "shut",
            "[green]right[/]" if row.right else "[bold red]wrong[/]",
        )
    return table


def _outcome(decision: Decision | None) -> str:
    if decision is None:
        return "no decision"
    why = f": {decision.reason.replace('_', ' ')}" if decision.reason else ""
    return f"{decision.outcome}{why}"


_Drawn = dict[tuple[str, str], Path]


def _draw_screens(console: Console, screens: Sequence[ScreenState], out: Path) -> _Drawn:
    """Pictures of the screens, by their title and name."""
    try:
        files = render_states(screens, out / "screens")
    except (OneglanceError, ImportError) as error:
        console.print(f"No pictures of the screen: {error}", markup=False)
        return {}
    console.print(f"The screen, as it was shown ({len(files)} pictures): {out / 'screens'}")
    return {(screen.title, screen.name): file for screen, file in zip(screens, files, strict=True)}


def _sheet_rows(rows: Sequence[Row], scribe: Scribe, drawn: _Drawn) -> list[list[Shot]]:
    sheet = []
    for index, row in enumerate(rows):
        shots = list(scribe.shots.get(index, []))
        if row.decision is not None:
            result = result_of(row.decision, 0.0)
            file = drawn.get((result.title, result.name))
            if file is not None:
                lock = "the lock opened" if row.opened else "the lock stayed shut"
                shots.append(Shot(load_image(file), f"the screen; {lock}"))
        sheet.append(shots)
    return sheet


def _looking_shot(report: StepReport, view: TrackView, waited_ms: float) -> Shot:
    score = "" if view.score is None else f", score {view.score:+.1f}"
    label = "checking" if view.score is not None else "seen"
    image = annotate(report.frame.pixels, view.box, label, LOOKING)
    return Shot(image, f"{waited_ms:.0f} ms{score}")


def _verdict_shot(report: StepReport, view: TrackView, waited_ms: float) -> Shot:
    verdict = view.verdict
    if verdict is None:
        raise ImageError("this frame has no verdict")
    colour = ACCEPTED if verdict.accepted else REJECTED
    label = verdict.person_id or verdict.reason.replace("_", " ")
    image = annotate(report.frame.pixels, view.box, label, colour)
    outcome = "accepted" if verdict.accepted else "rejected"
    return Shot(image, f"{waited_ms:.0f} ms, {outcome}, score {verdict.score:+.1f}")
