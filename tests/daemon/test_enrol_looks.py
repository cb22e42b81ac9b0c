"""Enrolment before the door's own camera: pose by pose, one person, and nothing half done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from challenged import DONE, face
from numpy.typing import NDArray
from people_on_stage import Stage
from test_challenge_pipeline import head, portrait

from oneglance.audit.log import Audit
from oneglance.audit.segments import entries
from oneglance.clocks import Clocks
from oneglance.config import Config
from oneglance.contract.keyring import Role
from oneglance.contract.messages import Hint, Phase, Step
from oneglance.daemon.build import open_gallery
from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.gallery.enrol_looks import (
    IDLE_S,
    NO_FACE,
    NO_PICTURE,
    NOT_BEGUN,
    OTHER_FACE,
    PAUSE_S,
    TWO_FACES,
    EnrolLooks,
    Glance,
)
from oneglance.daemon.gallery.poses import POSE, POSES, TOO_FAR, judged
from oneglance.daemon.visit.report import StepReport, TrackView
from oneglance.daemon.voice.verbs import CommandRefusedError, Sender
from oneglance.faces.find.boxes import Box
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.model.face_model import FaceModel

__all__ = ["head", "portrait"]

WIRE = Path(__file__).resolve().parents[2] / "docs" / "wire.md"

SENDER, OTHER = Sender("hall", Role.ADMINISTRATOR), Sender("yard", Role.ADMINISTRATOR)
CONSENT = {"consent": True, "consent_text": "I agree to be recognised."}
# The steps of the shared pictures are a challenge's, which asks for more.
PARTS = {Step.LOOK_STRAIGHT: 0.0, Step.LOOK_UP: 0.5, Step.COME_CLOSER: 0.6}


def test_each_pose_is_told_from_the_others_and_from_too_much_of_it() -> None:
    straight = face()
    shown = {
        pose: face(0.4 * yaw, 0.4 * pitch, size=60 * (1 + 0.5 * (size - 1)))
        for pose, (yaw, pitch, size) in DONE.items()
    }
    for pose, points in shown.items():
        assert judged(pose, points, straight) == ""
        for other in set(POSES) - {pose, Step.LOOK_STRAIGHT}:
            assert judged(other, points, straight) == POSE
    assert judged(Step.LOOK_STRAIGHT, face(30), None) == POSE
    assert judged(Step.TURN_LEFT, shown[Step.TURN_LEFT], None) == POSE
    assert judged(Step.TURN_LEFT, face(50), straight) == TOO_FAR
    assert judged(Step.TURN_LEFT, np.full((5, 2), np.nan), straight) == POSE


class Hall:
    """The verbs on a real gallery, and what the camera sees."""

    def __init__(self, config: Config, model: FaceModel) -> None:
        self.now_s = 100.0
        clocks = Clocks(lambda: datetime.now(UTC), lambda: self.now_s)
        self.folder = config.audit_folder
        self.log = Audit(self.folder, clocks.wall, sealer=load_key(config.gallery.key_file))
        self.watch = open_gallery(config, model, clocks, self.log)
        self.glance = Glance(lambda: self.now_s)
        self.paused: list[float] = []
        self.looks = EnrolLooks(
            *(config, self.watch, self.log, self.glance, clocks), self.paused.append
        )
        self.verbs = self.looks.verbs()

    def do(self, verb: str, sender: Sender = SENDER, **args: Any) -> str:
        """The answer's code."""
        try:
            self.verbs[f"enrol-{verb}"].run(args, sender)
        except CommandRefusedError as refusal:
            return refusal.code
        return "ok"

    def sees(self, pixels: NDArray[np.uint8]) -> None:
        self.now_s += 0.1
        view = TrackView(1, "v", Box(0, 0, 9, 9), Hint.NONE, Phase.LOOK, 0.0, None, None)
        frame = Frame(pixels, self.now_s, self.now_s, 0, "cam")
        self.glance.offer([StepReport(frame, (view,))])

    def look(self, pose: Step, pixels: NDArray[np.uint8]) -> str:
        self.sees(pixels)
        return self.do("look", pose=pose)

    def who(self) -> dict[str, str]:
        self.watch.reload()
        assert self.watch.snapshot is not None
        return dict(self.watch.snapshot.names)


@pytest.fixture
def hall(house: Callable[..., Config], model: FaceModel, tmp_path: Path) -> Iterator[Hall]:
    hall = Hall(house(tmp_path / "none.mp4"), model)
    yield hall
    hall.watch.close()


def test_five_looks_become_one_person_whose_consent_is_logged(
    hall: Hall, head: Callable[[Step, float], NDArray[np.uint8]], photos: Path
) -> None:
    assert hall.do("look", pose=Step.LOOK_STRAIGHT) == "not_begun"
    assert hall.do("begin", name="Barack Obama", **CONSENT) == "ok"
    straight = head(Step.LOOK_STRAIGHT, 0.0)
    # Nothing came yet; then what is wrong is said by its code.
    assert hall.do("look", pose=Step.LOOK_STRAIGHT) == "no_picture"
    stage = Stage(photos, "obama2.jpg", "biden.jpg")
    both = stage.frame(("obama2.jpg", 180.0, 240.0), ("biden.jpg", 460.0, 240.0))
    wall = np.full_like(straight, 96)
    faults = {"no_face": wall, "two_faces": both, "more_light": straight // 12}
    assert {code: hall.look(Step.LOOK_STRAIGHT, pixels) for code, pixels in faults.items()} == {
        code: code for code in faults
    }
    assert hall.look(Step.LOOK_STRAIGHT, straight) == "ok"
    assert hall.look(Step.TURN_LEFT, straight) == "pose"
    stranger = stage.frame(("biden.jpg", 320.0, 240.0))
    assert hall.look(Step.COME_CLOSER, stranger) in {"other_face", "pose"}
    assert hall.do("finish") == "pose"
    for pose in POSES[1:]:
        part = PARTS.get(pose, 0.35)
        assert hall.look(pose, head(pose, part)) == "ok", pose
    assert hall.who() == {}
    assert hall.do("finish", OTHER) == "not_begun"
    assert hall.do("finish") == "ok"
    assert hall.who() == {"barack-obama": "Barack Obama"}
    assert (set(hall.paused[:-1]), hall.paused[-1]) == ({PAUSE_S}, 0.0)
    (entry,) = [entry for entry in entries(hall.folder) if entry.kind == "enrolment"]
    assert (entry.body["templates"], entry.body["source"]) == (5, "door")
    assert len(entry.body["consent"]) == 64
    # No frame is kept any more.
    hall.sees(straight)
    assert hall.glance.take() is None


def test_nothing_is_kept_of_who_does_not_agree_or_goes_away(hall: Hall) -> None:
    for lacking in ({"consent_text": "x"}, {"consent": True}, {**CONSENT, "consent": "yes"}):
        assert hall.do("begin", name="Ada", **lacking) == "bad_arguments"
    assert hall.do("begin", name="Ada", **CONSENT) == "ok"
    assert hall.do("begin", OTHER, name="Eve", **CONSENT) == "busy"
    assert hall.do("look", pose="upside_down") == "bad_arguments"
    assert hall.do("cancel") == "ok"
    assert hall.do("finish") == "not_begun"
    assert hall.do("begin", OTHER, name="Eve", **CONSENT) == "ok"
    hall.now_s += IDLE_S - 1
    hall.looks.work()
    assert hall.do("look", OTHER, pose=Step.LOOK_STRAIGHT) == "no_picture"
    # The screen lost its power: templates and name go without a further command.
    hall.now_s += IDLE_S
    assert hall.paused[-1] == PAUSE_S
    hall.looks.work()
    assert hall.paused[-1] == 0.0
    assert hall.do("look", OTHER, pose=Step.LOOK_STRAIGHT) == "not_begun"
    hall.sees(np.zeros((48, 64, 3), np.uint8))
    assert hall.glance.take() is None


def test_an_old_picture_enrols_nobody(hall: Hall) -> None:
    assert hall.do("begin", name="Ada", **CONSENT) == "ok"
    hall.sees(np.zeros((48, 64, 3), np.uint8))
    hall.now_s += 2.1
    assert hall.do("look", pose=Step.LOOK_STRAIGHT) == "no_picture"


def test_each_code_of_an_enrolment_is_in_the_protocol() -> None:
    (line,) = [row for row in WIRE.read_text().splitlines() if row.startswith("| `enrol-look`")]
    for code in (NO_PICTURE, NO_FACE, TWO_FACES, POSE, TOO_FAR, OTHER_FACE, NOT_BEGUN):
        assert f"`{code}`" in line
