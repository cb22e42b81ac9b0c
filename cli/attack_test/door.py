"""A door that opens nothing: one camera, the daemon's own pipeline, one attempt at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from oneglance import __version__
from oneglance.cli.attack_test.tally import Attempt, Kind, answer_of
from oneglance.clocks import Clocks
from oneglance.config import CameraConfig, Config
from oneglance.contract.messages import Hint
from oneglance.daemon.build import build_pipeline, comparable, door_of
from oneglance.daemon.camera.camera import Camera
from oneglance.daemon.camera.frames import FrameExchange
from oneglance.daemon.camera.intake import CameraState
from oneglance.daemon.camera.sources import is_recording
from oneglance.daemon.pipeline import Pipeline
from oneglance.errors import CameraError, ConfigError, GalleryError
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.gallery.setup import open_configured
from oneglance.faces.liveness.judge import load_liveness
from oneglance.faces.liveness.manifest import read_liveness

TICK_S = 0.2
_TOO_FAR_OR_NEAR = (Hint.COME_CLOSER, Hint.STEP_BACK)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """The configured model, policy and gallery; nothing is published."""

    config: Config
    gallery: Snapshot
    about: dict[str, Any]
    clock_s: Callable[[], float]

    @classmethod
    def of(cls, config: Config, clock_s: Callable[[], float] = time.monotonic) -> Self:
        """The parts that the configuration names.

        Raises ConfigError if there is nothing to measure, ModelError if a model is missing, and
        GalleryError if nobody is enrolled.
        """
        policy = config.liveness.policy
        if policy == "off":
            raise ConfigError(
                "it is off: every photograph of somebody enrolled opens this door",
                where="liveness.policy",
                fix='write policy = "passive" into [liveness], then measure',
            )
        # The daemon would run on without it; here that is all there is to measure.
        asks = config.liveness
        load_liveness(asks.folder, threads=config.model.threads)
        passive = config.liveness.model_copy(update={"policy": "passive"})
        config = config.model_copy(update={"liveness": passive})
        model, _ = build_pipeline(config, _clocks(clock_s))
        with open_configured(config.gallery) as gallery:
            now = datetime.now(UTC)
            people = gallery.snapshot(model.model_id, now, template_size=model.template_size)
        people = comparable(model, door_of(config, model))(people)
        if not people.person_ids:
            raise GalleryError(
                "nobody is enrolled, so nobody can be attacked",
                where=str(config.gallery.path),
                fix="enrol yourself first: oneglance people enrol --help",
            )
        about = {
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "software": __version__,
            "door": config.site.door,
            "policy": policy,
            "measured": "passive",
            "model_id": model.model_id,
            "liveness_model": read_liveness(config.liveness.folder).name,
            "people_enrolled": len(set(people.person_ids)),
        }
        return cls(config, people, about, clock_s)

    def pipeline(self) -> Pipeline:
        """A freshly started daemon's pipeline: no attempt inherits anything from the last."""
        return build_pipeline(self.config, _clocks(self.clock_s))[1]


def _clocks(clock_s: Callable[[], float]) -> Clocks:
    return Clocks(lambda: datetime.now(UTC), clock_s)


class Eye:
    """A camera or a recorded film, open for the length of a `with` block."""

    def __init__(self, config: CameraConfig, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._live = not is_recording(config)
        self._clock_s = clock_s
        self._exchange = FrameExchange((config.name,))
        self._camera = Camera(config, self._exchange[config.name])

    def __enter__(self) -> Self:
        self._camera.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._camera.stop()

    def wait_ready(self) -> None:
        """Wait for the first frame. Raises CameraError if none comes."""
        while self._camera.state is CameraState.OPENING:
            self._exchange.take(TICK_S)
            self._watch()
        self._watch()

    def watch(self, trial: Trial, pipeline: Pipeline, kind: Kind, seconds: float) -> Attempt:
        """One attempt: it ends with the first decision, the end of the film, or after `seconds`.

        Raises CameraError if the camera fails.
        """
        until_s = self._clock_s() + seconds
        first_s = None
        if self._live:
            # What was seen while somebody read the question belongs to no attempt.
            self._exchange.take(0.0)
        while self._clock_s() < until_s:
            frames = self._exchange.take(TICK_S)
            for report in pipeline.step(frames, trial.gallery):
                at_s = report.frame.at_s
                near = [face for face in report.tracks if face.hint not in _TOO_FAR_OR_NEAR]
                if near and first_s is None:
                    first_s = at_s
                verdicts = [face.verdict for face in near if face.verdict is not None]
                if verdicts:
                    # Of two faces, the one that gets in is what counts.
                    verdict = max(verdicts, key=lambda verdict: verdict.accepted)
                    after_s = None if first_s is None else round(at_s - first_s, 2)
                    return Attempt(kind, answer_of(verdict), verdict.reason, after_s)
            self._watch()
            if not frames and self._camera.state is CameraState.ENDED:
                break
        return Attempt(kind, answer_of(None))

    def _watch(self) -> None:
        self._camera.watch()
        failure = self._camera.failure
        if self._camera.state is not CameraState.LOST or failure is None:
            return
        if not self._live:
            raise failure
        raise CameraError(
            failure.what,
            where=failure.where,
            fix=f"{failure.fix or 'check it'}; if the daemon runs, it holds the camera: "
            "'systemctl stop oneglance', measure, and start it again",
        )


def film_config(file: Path) -> CameraConfig:
    """A recorded film of one attempt, each frame of which is looked at.

    Raises CameraError if there is none.
    """
    if not file.exists():
        raise CameraError("there is no such film", where=str(file), fix="check the path")
    return CameraConfig(name="film", source=str(file), pace="every")
