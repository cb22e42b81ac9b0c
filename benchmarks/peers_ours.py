"""Oneglance in the same harness as its peers: the daemon's own pipeline, as it builds it.

Frames carry the film's own times; the clock advances by the time that a frame's work takes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from oneglance.access_config import AccessConfig, AttemptsConfig
from oneglance.clocks import Clocks
from oneglance.config import Config, LivenessConfig, ModelConfig
from oneglance.daemon.build import build_pipeline, rule_of
from oneglance.daemon.camera.frames import Frame
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.gallery.identify import most_alike, with_codes
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.reader import read_central_face

GALLERY = 50
# The comparison is averaged over this many strangers: what a search costs depends on the probe.
PROBES = 16
# The films' heads are flat photographs, and one stranger after the other comes: as in service.py,
# liveness is off, and none is to wait for the ones before.
FLAT_HEADS = LivenessConfig(policy="off")
NO_WAITS = AccessConfig(
    attempts=AttemptsConfig(first_wait_s=0.001, longest_wait_s=0.001, longest_attack_wait_s=0.001)
)


class Ours:
    """See child.Contender; with the standard model, or the one of this name."""

    def __init__(self, model: Literal["mobileface-large"] | None = None) -> None:
        self._config = Config(model=ModelConfig(name=model), liveness=FLAT_HEADS, access=NO_WAITS)
        self._frame_s, self._began_s = 0.0, time.perf_counter()
        self._clocks = Clocks(lambda: datetime.now(UTC), self._now_s)
        self._model, self._pipeline = build_pipeline(self._config, self._clocks, at_door=False)
        self._detector = FaceDetector()
        self._rng = np.random.default_rng(0)
        self._sized: dict[int, Any] = {}
        self._people: dict[str, Any] = {}
        self._sample = np.empty((0, self._model.template_size), np.float32)
        self._head = L1Head.behind(self._model.compare, self._model.template_size)
        self._snapshot = self._gallery([], GALLERY)
        self._index = 0

    def _now_s(self) -> float:
        return 1000.0 + self._frame_s + time.perf_counter() - self._began_s

    def enrol(self, people: dict[str, list[float]]) -> None:
        """Take people into the gallery of each later film."""
        self._people |= {name: np.array(row, np.float32) for name, row in people.items()}

    def strangers(self, pictures: Iterable[Any]) -> None:
        """Learn from these portraits how templates of strangers are distributed."""
        found = [self.template(picture) for picture in pictures]
        self._sample = np.array([row for row in found if row is not None])

    def _strangers(self, count: int) -> NDArray[np.float32]:
        """Templates (count, d) of people who do not exist, spread like the sample's, if there is
        one.

        A search that skips people who cannot match costs more where people are alike.
        """
        size = self._model.template_size
        if len(self._sample):
            mean = self._sample.mean(0)
            apart = (self._sample - mean) / np.sqrt(len(self._sample))
            mix = self._rng.normal(0, 1, (count, len(apart))).astype(np.float32)
            rows = mean + mix @ apart.astype(np.float32)
        else:
            rows = self._rng.normal(0, 1, (count, size)).astype(np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / lengths, np.float32)

    def _gallery(self, names: Sequence[str], size: int) -> Snapshot:
        """The enrolled people of these names, filled up with strangers."""
        here = [name for name in dict.fromkeys(names) if name in self._people]
        known = np.array([self._people[name] for name in here], np.float32)
        strangers = self._strangers(size - len(here))
        rows = np.concatenate([known, strangers]) if len(known) else strangers
        ids = tuple(f"p{i}" for i in range(len(rows)))
        return with_codes(Snapshot(ids, {i: i for i in ids}, rows), self._head)

    def reset(self, names: list[str]) -> None:
        """Start a new pipeline, with a gallery of the film's people and of strangers."""
        self._model, self._pipeline = build_pipeline(self._config, self._clocks, at_door=False)
        self._snapshot = self._gallery(names, GALLERY)
        self._index = 0

    def see(self, frame: Any, at_s: float, fps: float) -> list[dict[str, Any]]:
        """Do one step of the pipeline."""
        self._frame_s, self._began_s = at_s, time.perf_counter()
        stamp_s = 1000.0 + at_s
        self._index += 1
        reports = self._pipeline.step(
            [Frame(frame, stamp_s, stamp_s, self._index, "door")], self._snapshot
        )
        return [
            {
                "box": [view.box.x, view.box.y, view.box.width, view.box.height],
                "decided": view.verdict is not None,
                "accepted": view.verdict is not None and view.verdict.accepted,
            }
            for report in reports
            for view in report.tracks
        ]

    def template(self, picture: Any) -> Any:
        """The template of the central face, searched for as in a still."""
        sample = read_central_face(picture, self._detector, self._model)
        return None if sample is None else sample.template

    def score(self, one: Any, other: Any) -> float:
        """The head's logit."""
        return float(self._model.compare(one[None], other[None])[0, 0])

    def probe(self, gallery_size: int) -> dict[str, float]:
        """One face whose box is known: align and cut, encode, compare."""
        if gallery_size not in self._sized:
            probes = self._strangers(PROBES)
            self._sized[gallery_size] = self._gallery([], gallery_size), probes
            self._picture = self._rng.integers(0, 256, (250, 250, 3), np.uint8)
        snapshot, probes = self._sized[gallery_size]
        rule = rule_of(self._config, self._model)
        floor = rule.bar(min(gallery_size, rule.most_templates)).threshold
        start = time.process_time()
        chips = self._model.chips(self._picture, [Box(50, 50, 150, 150)])
        cut = time.process_time()
        self._model.encode(chips)
        encoded = time.process_time()
        for probe in probes:
            most_alike(self._model, snapshot, probe[None], floor=floor)
        return {
            "cut_s": cut - start,
            "encode_s": encoded - cut,
            "compare_s": (time.process_time() - encoded) / len(probes),
        }

    def versions(self) -> dict[str, str]:
        """The versions of its packages."""
        names = ("oneglance", "ai-edge-litert", "opencv-python-headless", "numpy")
        return {"model": self._model.model_id, **{name: version(name) for name in names}}


def build(_data: Path | None) -> Ours:
    """Make it, ready to see."""
    return Ours()
