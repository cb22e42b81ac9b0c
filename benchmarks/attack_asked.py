"""A whole house that asks its visitors to move: who obeys its screen, and attackers who try to.

    python benchmarks/attack_asked.py --attempts 2 --out asked.json

Broker, daemon with `passive+challenge`, lock and screen run for real and in real time. The camera
is one that sends pictures over HTTP, each made when it is asked for: of visitors and attackers (the
demo's photographs, the style that nothing was fitted to) who react to what the screen shows, as in
attacks_challenge.py. How many pictures a second there are depends on the machine, and is told.

Exit code 0 only if nobody but visitors opened the lock.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
from attack import OF_THE_ENROLLED, OTHERS, House, enrol, house, portraits
from attacks_challenge import (
    ACTS,
    ATTACKS,
    CLIP_S,
    CLIPS,
    FOOTAGE_S,
    FPS,
    IDLE_S,
    LONGEST_S,
    SCREEN_S,
    VISITS,
    Actor,
)

from oneglance.cli.demo.house import ScreenLogic
from oneglance.cli.photos import fetch_photos
from oneglance.config import CameraConfig, Config, LivenessConfig
from oneglance.contract.messages import Challenge
from oneglance.daemon.app import Daemon
from oneglance.daemon.visit.challenge import Prompt
from oneglance.faces.model.face_model import load_model
from oneglance.kiosk_ui.reducer import Tick, reduce
from oneglance.kiosk_ui.screen import Kind
from oneglance.training.liveness.acts import Act
from oneglance.training.liveness.film import REPLAY_KINDS, Image
from oneglance.training.liveness.portrait import Portrait
from oneglance.training.liveness.render import Draw, Scene, filmed, scene
from oneglance.training.liveness.styles import JUDGE

# How long it takes until a face that left is forgotten.
PAUSE_S = 2.5
# How long an attempt goes on after the last thing that was refused or asked: a step takes up to 7 s
# with its prompt, and the refused one may be a picture on the wall.
QUIET_S = 7.5
EMPTY = np.full((480, 640, 3), 96, np.uint8)


@dataclass(frozen=True, slots=True)
class Try:
    """One film: what was asked, how often the lock opened, which reasons were given.

    `fps` is how many pictures a second the camera sent.
    """

    kind: str
    openings: int
    reasons: tuple[str, ...]
    asked: tuple[str, ...]
    seconds: float
    fps: float


class Stage:
    """What is in front of the camera at any moment; safe to ask from any thread."""

    def __init__(self, own: Sequence[Portrait], others: Sequence[Portrait]) -> None:
        self._own, self._others = own, others
        self._lock = threading.Lock()
        self._make: Callable[[], Scene] | None = None
        self._film: Scene | None = None
        self._actor: Actor | None = None
        self._index, self._began_s = -1, 0.0
        self._picture: Image = EMPTY
        self.asked: list[str] = []
        self.pictures = 0

    def begin(self, kind: str, seed: int) -> None:
        """Somebody arrives, or something is held up."""
        rng = np.random.default_rng(seed)
        form = ATTACKS[kind][0] if kind in ATTACKS else kind
        shown = self._own if form == "visit_two_photos" else [self._own[seed % len(self._own)]]
        footage = None
        if form in REPLAY_KINDS:
            acts = [
                Act(ACTS[step], IDLE_S + CLIP_S * i + 0.1, IDLE_S + CLIP_S * (i + 1) - 0.1, 1.05)
                for i, step in enumerate(CLIPS)
            ]
            again = np.random.default_rng([seed, 2])
            footage = filmed(
                *(shown, self._others, JUDGE, again), acts=acts, seconds=FOOTAGE_S, fps=FPS
            )
            # Filmed beforehand: nobody waits for it now.
            _ = footage.frames[len(footage.frames) - 1]
        actor = Actor(kind, rng)

        def make() -> Scene:
            return scene(
                *(form, shown, self._others, JUDGE, np.random.default_rng([seed, 1])),
                acts=tuple(actor.acts),
                seconds=LONGEST_S,
                fps=FPS,
                footage=footage,
                plays=actor.plays,
            )

        film = make()
        with self._lock:
            self._film, self._actor, self._make = film, actor, make
            self._index, self._began_s = -1, time.monotonic()
            self.asked, self.pictures = [], 0

    @property
    def draws(self) -> list[Draw]:
        """What is drawn into each picture now; nothing if nobody is there."""
        return [] if self._film is None else self._film.draws

    def end(self) -> None:
        """Nobody is there."""
        with self._lock:
            self._film, self._picture = None, EMPTY

    def told(self, challenge: Challenge) -> None:
        """The screen has just begun to show this."""
        actor, film, make = self._actor, self._film, self._make
        if film is None or actor is None or make is None:
            return
        self.asked.append(f"{challenge.attempt}{challenge.step.value}")
        prompt = Prompt(
            *(challenge.challenge_id, challenge.visit_id, challenge.step),
            *(challenge.number, challenge.steps, challenge.attempt, challenge.time_s),
        )
        before = actor.version
        actor.told(prompt, time.monotonic() - self._began_s + SCREEN_S)
        if actor.version != before:
            draws = make().draws
            with self._lock:
                film.draws = draws

    def jpeg(self) -> bytes:
        """The picture at this moment."""
        with self._lock:
            self.pictures += 1
            if self._film is not None:
                at_s = time.monotonic() - self._began_s
                index = int(np.searchsorted(self._film.at_s, at_s, "right")) - 1
                if index > self._index:
                    self._index = index
                    self._picture, _ = self._film.take(index)
            picture = self._picture
        return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


class AskingScreen(ScreenLogic):
    """The demo's screen, which also reports what it shows, as the real one does with each frame."""

    def __init__(self, config: Config, told: Callable[[Challenge], None]) -> None:
        super().__init__(config)
        self._told = told

    def _run(self) -> None:
        last = ""
        while not self._stopping.wait(0.02):
            for event in (*self._client.drain(), Tick()):
                self._state = reduce(self._state, event, time.monotonic())
            asked = self._state.challenge
            shows = self._state.screen.kind is Kind.CHALLENGE
            if shows and asked is not None and asked.challenge_id != last:
                last = asked.challenge_id
                self._client.shown(asked)
                self._told(asked)


def camera_of(stage: Stage) -> ThreadingHTTPServer:
    """A camera that sends one picture per request, on a port of its own."""

    class Picture(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            data = stage.jpeg()
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Picture)


def attempt(home: House, stage: Stage, kind: str, seed: int) -> Try:
    """Play one film, to its decision or its end."""
    attacker = home.attacker
    before, reasons = home.openings, attacker.rejected.copy()
    known = len(attacker.accepted)
    stage.begin(kind, seed)
    began_s = time.monotonic()
    seconds, news, news_s = 0.0, (0, 0), 0.0
    while seconds < LONGEST_S - 0.5 and len(attacker.accepted) == known:
        time.sleep(0.05)
        seconds = time.monotonic() - began_s
        now = (attacker.rejected - reasons).total(), len(stage.asked)
        if now != news:
            news, news_s = now, seconds
        # After a refusal an attack goes on for a while: it may be judged again, or asked to move.
        if news[0] and seconds - news_s > QUIET_S:
            break
    asked, pictures = tuple(stage.asked), stage.pictures
    stage.end()
    time.sleep(PAUSE_S)
    told = attacker.rejected - reasons
    found = Try(
        *(kind, home.openings - before, tuple(sorted(told.elements())), asked),
        seconds=round(seconds, 1),
        fps=round(pictures / seconds, 1),
    )
    print(found, flush=True)
    return found


def main() -> None:
    """Read the command line, attack, and say what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--attempts", type=int, default=2, help="of each attack")
    parser.add_argument("--visits", type=int, default=8)
    parser.add_argument("--asks", choices=("everybody", "doubtful"), default="everybody")
    parser.add_argument("--seed", type=int, default=500)
    parser.add_argument("--out", type=Path, help="also write each attempt as JSON")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    fetch_photos()
    model = load_model()
    stage = Stage(portraits(OF_THE_ENROLLED, model), portraits(OTHERS, model))
    kinds = [VISITS[n % 4 == 3] for n in range(options.visits)]
    kinds += [kind for kind in ATTACKS for _ in range(options.attempts)]
    server = camera_of(stage)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/picture.jpg"
    camera = CameraConfig(name="front", source=address, poll_fps=FPS)
    liveness = LivenessConfig(policy="passive+challenge", asks=options.asks)
    with house(liveness, lambda config: AskingScreen(config, stage.told)) as home:
        enrol(home.config, model)
        daemon = Daemon(home.config.model_copy(update={"camera": (camera,)}))
        thread = threading.Thread(target=daemon.run, daemon=True)
        thread.start()
        time.sleep(5)
        tries = [
            attempt(home, stage, kind, options.seed + number) for number, kind in enumerate(kinds)
        ]
        daemon.stop()
        thread.join(20)
    server.shutdown()
    if options.out:
        options.out.write_text(json.dumps([asdict(one) for one in tries], indent=1) + "\n")
    opened = 0
    for kind in (*VISITS, *ATTACKS):
        of = [one for one in tries if one.kind == kind]
        let_in = sum(one.openings > 0 for one in of)
        asked = sum(bool(one.asked) for one in of)
        opened += 0 if kind in VISITS else sum(one.openings for one in of)
        print(f"{kind:20} {len(of)} attempts, {asked} asked to move, {let_in} let in")
    print(f"hostile openings: {opened}")
    sys.exit(1 if opened else 0)


if __name__ == "__main__":
    main()
