"""Oneglance in the same harness as its peers: the daemon's own pipeline, as it builds it.

Frames carry the film's own times; the clock goes on by what the work on a frame takes.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from oneglance.config import Config
from oneglance.daemon.build import build_pipeline
from oneglance.daemon.frames import Frame
from oneglance.daemon.issuer import Clocks
from oneglance.faces.boxes import Box
from oneglance.faces.detect import FaceDetector
from oneglance.faces.person import Snapshot
from oneglance.faces.reader import read_central_face

GALLERY = 50


class Ours:
    """See child.Contender."""

    def __init__(self) -> None:
        self._frame_s, self._began_s = 0.0, time.perf_counter()
        self._clocks = Clocks(lambda: datetime.now(UTC), self._now_s)
        self._model, self._pipeline = build_pipeline(Config(), self._clocks)
        self._detector = FaceDetector()
        self._rng = np.random.default_rng(0)
        self._sized: dict[int, Any] = {}
        self._people: dict[str, Any] = {}
        self._snapshot = self._gallery([])
        self._index = 0

    def _now_s(self) -> float:
        return 1000.0 + self._frame_s + time.perf_counter() - self._began_s

    def enrol(self, name: str, picture: Any) -> None:
        """Take a person into the gallery of each later film."""
        sample = read_central_face(picture, self._detector, self._model)
        if sample is not None:
            self._people[name] = sample.template

    def _strangers(self, count: int) -> Any:
        rows = self._rng.normal(0, 1, (count, self._model.template_size)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def _gallery(self, names: list[str]) -> Snapshot:
        here = [name for name in dict.fromkeys(names) if name in self._people]
        rows = [self._people[name] for name in here]
        strangers = self._strangers(max(0, GALLERY - len(rows)))
        ids = (*(f"p{i}" for i in range(len(rows))), *(f"s{i}" for i in range(len(strangers))))
        templates = np.concatenate(
            [np.array(rows, np.float32).reshape(-1, len(strangers[0])), strangers]
        )
        return Snapshot(ids, {i: i for i in ids}, templates)

    def reset(self, names: list[str]) -> None:
        """A new pipeline, and a gallery of the people of the film and of strangers."""
        self._model, self._pipeline = build_pipeline(Config(), self._clocks)
        self._snapshot = self._gallery(names)
        self._index = 0

    def see(self, frame: Any, at_s: float, fps: float) -> list[dict[str, Any]]:
        """One step of the pipeline."""
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
        """Of the central face, searched as a still."""
        sample = read_central_face(picture, self._detector, self._model)
        return None if sample is None else sample.template

    def score(self, one: Any, other: Any) -> float:
        """The head's logit."""
        return float(self._model.compare(one[None], other[None])[0, 0])

    def probe(self, gallery_size: int) -> dict[str, float]:
        """One face whose box is known: align and cut, encode, compare."""
        if gallery_size not in self._sized:
            self._sized[gallery_size] = self._strangers(gallery_size)
            self._picture = self._rng.integers(0, 256, (250, 250, 3), np.uint8)
        start = time.process_time()
        chips = self._model.chips(self._picture, [Box(50, 50, 150, 150)])
        cut = time.process_time()
        template = self._model.encode(chips)
        encoded = time.process_time()
        self._model.compare(template, self._sized[gallery_size])
        return {
            "cut_s": cut - start,
            "encode_s": encoded - cut,
            "compare_s": time.process_time() - encoded,
        }

    def versions(self) -> dict[str, str]:
        """Of its packages."""
        names = ("oneglance", "ai-edge-litert", "opencv-python-headless", "numpy")
        return {"model": self._model.model_id, **{name: version(name) for name in names}}


def build(_data: Path | None) -> Ours:
    """Ready to see."""
    return Ours()
