"""Somebody walks up, does what the real screen asks, and the real lock opens.

The visitor is made as the films are that liveness is judged by; nothing else is stood in for.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pytest
from challenged import seeded
from test_kiosk_in_house import keyring, kiosk, kiosk_config, real_lock
from test_whole_daemon import running

from oneglance.config import CommandsConfig, Config, DecisionConfig, LivenessConfig, MqttConfig
from oneglance.contract.messages import PRESENTATION_ATTACK, Liveness, Step
from oneglance.daemon import build
from oneglance.daemon.app import Daemon
from oneglance.daemon.camera.frames import Frame, LatestFrame
from oneglance.daemon.visit.challenge import ATTEMPTS, STEPS, Prompt
from oneglance.daemon.visit.challenges import Challenges
from oneglance.daemon.visit.decide import Verdict
from oneglance.daemon.visit.report import StepReport
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.reader import load_image
from oneglance.training.liveness.acts import Act
from oneglance.training.liveness.portrait import Portrait, read_portrait
from oneglance.training.liveness.render import Scene, scene
from oneglance.training.liveness.styles import JUDGE

__all__ = ["keyring"]

Wait = Callable[..., None]
Picture = np.ndarray[Any, np.dtype[np.uint8]]
POLICY: Final = "passive+challenge"
FPS, LONGEST_S = 12.0, 34.0
# The seed of one who walks up.
FILM = 8
REACTION_S = 0.6
ACTS = {
    Step.TURN_LEFT: "turn_left",
    Step.TURN_RIGHT: "turn_right",
    Step.LOOK_UP: "look_up",
    Step.COME_CLOSER: "closer",
}
# What somebody does who does not do what is asked.
OTHERS = {
    Step.TURN_LEFT: Step.TURN_RIGHT,
    Step.TURN_RIGHT: Step.TURN_LEFT,
    Step.LOOK_UP: Step.TURN_LEFT,
    Step.COME_CLOSER: Step.TURN_RIGHT,
}

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None, reason="Xvfb is not installed (apt install xvfb)"
)


class Film:
    """What is before a network camera, picture by picture: each stays until the daemon has seen it.

    Between two of them as much time passes as the film says, however long a busy machine takes: a
    daemon does not count a picture that comes again. And none follows on a step that is asked
    before the daemon has heard that the screen shows it.
    """

    def __init__(
        self, camera: Any, portrait: Portrait, wait_until: Wait, patch: pytest.MonkeyPatch
    ) -> None:
        self._camera, self._portrait, self._wait_until = camera, portrait, wait_until
        self._pictures = self._put = 0
        self._slot: LatestFrame | None = None
        self._heard: list[str] = []
        self._prompts: list[Prompt] = []
        self._made: Scene | None = None
        self._acts: list[Act] = []
        self._index = 0
        self.in_view = False
        self.asked: list[Prompt] = []
        self.verdicts: list[Verdict] = []
        put, shown = LatestFrame.put, Challenges.shown

        def put_on_film(slot: LatestFrame, frame: Frame) -> None:
            put(slot, replace(frame, at_s=self._pictures / FPS))
            self._slot, self._put = slot, self._pictures

        def heard(challenges: Challenges, challenge_id: str) -> None:
            shown(challenges, challenge_id)
            self._heard.append(challenge_id)

        patch.setattr(LatestFrame, "put", put_on_film)
        patch.setattr(Challenges, "shown", heard)
        camera.period_s = 0.2
        camera.jpegs = [_jpeg(_hall(0))]

    def on_step(self, report: StepReport) -> None:
        """The daemon has seen a picture."""
        self.in_view = bool(report.tracks)
        for view in report.tracks:
            if view.prompt is not None:
                self._prompts.append(view.prompt)
            if view.verdict is not None:
                self.verdicts.append(view.verdict)

    def nobody(self) -> None:
        """Whoever was there goes away, until the daemon sees nobody and has forgotten them."""
        empty = 0
        while empty < 3 * FPS:
            self._show(_hall(self._pictures))
            empty = 0 if self.in_view else empty + 1

    def visit(self, does: Callable[[Step], Step]) -> Verdict:
        """Somebody comes, and does what `does` makes of each step, until there is an answer."""
        self._acts, self._index = [], 0
        self.asked, self.verdicts = [], []
        self._made = self._scene()
        while not self.verdicts:
            picture, _ = self._made.take(self._index)
            self._show(picture)
            while self._prompts:
                self._read(self._prompts.pop(0), does)
            self._index += 1
        (verdict,) = self.verdicts
        return verdict

    def _show(self, picture: Picture) -> None:
        self._pictures += 1
        self._camera.jpegs = [_jpeg(picture)]
        self._camera.now.set()
        self._wait_until(self._seen, "the daemon has not seen the picture")

    def _seen(self) -> bool:
        slot = self._slot
        if slot is None or self._put != self._pictures:
            return False
        return slot.waiting is None and slot.taken is None

    def _read(self, prompt: Prompt, does: Callable[[Step], Step]) -> None:
        self._wait_until(
            lambda: prompt.challenge_id in self._heard, f"the screen never showed {prompt}"
        )
        self.asked.append(prompt)
        begin_s = self._index / FPS + REACTION_S
        if prompt.step is Step.LOOK_STRAIGHT:
            # Who came closer stays there; a turned head comes back.
            self._acts = [replace(a, end_s=min(a.end_s, begin_s + 0.4)) for a in self._acts]
        else:
            name = ACTS[does(prompt.step)]
            end_s = begin_s + 1.2 if name == "closer" else LONGEST_S
            self._acts.append(Act(name, begin_s, end_s))
        assert self._made is not None
        self._made.draws = self._scene().draws

    def _scene(self) -> Scene:
        rng = np.random.default_rng(FILM)
        return scene(
            *("visit", [self._portrait], [], JUDGE, rng),
            acts=self._acts,
            seconds=LONGEST_S,
            fps=FPS,
        )


def _jpeg(picture: Picture) -> bytes:
    return cv2.imencode(".jpg", picture)[1].tobytes()


def _hall(number: int) -> Picture:
    """An empty picture, a little different each time."""
    return np.full((480, 640, 3), 90 + 4 * (number % 4), np.uint8)


@pytest.fixture
def film(
    small_photos: Path,
    model: FaceModel,
    network_camera: Any,
    wait_until: Wait,
    monkeypatch: pytest.MonkeyPatch,
) -> Film:
    # The steps that are asked are always the same, too.
    monkeypatch.setattr(build, "SystemRandom", lambda: seeded(2))
    image = load_image(small_photos / "obama2.jpg")
    portrait = read_portrait(image, person="obama", detector=FaceDetector(), model=model)
    assert portrait is not None
    return Film(network_camera, portrait, wait_until, monkeypatch)


def test_who_does_what_the_screen_asks_comes_in_and_who_does_something_else_does_not(
    house: Callable[..., Config],
    enrol: Callable[..., None],
    small_photos: Path,
    broker: MqttConfig,
    network_camera: Any,
    film: Film,
    keyring: Path,
    tmp_path: Path,
    wait_until: Wait,
) -> None:
    enrol("Barack Obama", photo=small_photos / "obama.jpg")
    daemon = Daemon(
        house(
            network_camera.url,
            mqtt=broker,
            commands=CommandsConfig(keyring_file=keyring),
            decision=DecisionConfig(patience_s=10.0),
            liveness=LivenessConfig(policy=POLICY),
        ),
        on_step=film.on_step,
    )
    screen = kiosk_config(tmp_path, broker, policy=POLICY)
    with (
        running(daemon),
        real_lock(tmp_path, broker, policy=POLICY) as pin,
        kiosk(screen, "480x320") as hands,
    ):

        def shown(kind: str) -> bool:
            return kind in hands.ask("look")["kinds"]

        wait_until(lambda: hands.kind() == "idle", "the kiosk hears no daemon")

        refused = film.visit(OTHERS.__getitem__)
        assert (refused.person_id, refused.reason) == (None, PRESENTATION_ATTACK)
        assert film.asked[-1].attempt == ATTEMPTS
        wait_until(lambda: shown("not_sure"), "the screen does not say so")

        film.nobody()
        accepted = film.visit(lambda step: step)
        assert (accepted.reason, accepted.liveness) == ("", Liveness.PASSED)
        assert len(film.asked) == 2 * STEPS + 1
        wait_until(lambda: shown("welcome"), "the screen bids nobody welcome")
        wait_until(lambda: any(state.state for state in pin.states), "the door stays shut")
        look = hands.ask("look")
        assert look["kinds"].index("not_sure") < look["kinds"].index("welcome")
        # They saw themselves while they did what was asked. Before, a fast door has little time.
        assert "challenge" in look["pictured"]
