"""What the kiosk is told while somebody stands there: as often as needed, and no more. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from oneglance.contract.messages import FaceBox, Phase, VisitState
from oneglance.daemon.visit.report import StepReport, TrackView

SEND_EVERY_S = 0.2
# A face missed in a few frames has not left.
IDLE_AFTER_S = 1.0


class VisitFeed:
    """Chooses the largest face in view and tells when there is something to say about it."""

    def __init__(self) -> None:
        self._sent_at_s = float("-inf")
        self._seen_at_s = float("-inf")
        self._last = ("", Phase.IDLE)

    def update(
        self, reports: Sequence[StepReport], now_s: float, issued_at: datetime
    ) -> VisitState | None:
        """The message to send now; None if there is nothing new. Call it without frames too."""
        seen = largest(reports)
        if seen is None:
            gone = now_s - self._seen_at_s >= IDLE_AFTER_S
            if not gone or self._last[1] is Phase.IDLE:
                return None
            self._last = ("", Phase.IDLE)
            return VisitState(issued_at=issued_at, visit_id="", phase=Phase.IDLE)
        self._seen_at_s = now_s
        report, view = seen
        news = (view.visit_id, view.phase)
        # Hints and boxes change with every frame; only a new phase may overtake the pace.
        if news == self._last and now_s - self._sent_at_s < SEND_EVERY_S:
            return None
        self._last = news
        self._sent_at_s = now_s
        return VisitState(
            issued_at=issued_at,
            visit_id=view.visit_id,
            phase=view.phase,
            hint=view.hint,
            progress=view.progress,
            face=face_box(report, view),
        )


def largest(reports: Sequence[StepReport]) -> tuple[StepReport, TrackView] | None:
    """The largest face of its frame among all that are in view; None if there is nobody."""
    views = [(report, view) for report in reports for view in report.tracks]
    return max(views, key=_size_in_frame, default=None)


def _size_in_frame(pair: tuple[StepReport, TrackView]) -> float:
    report, view = pair
    height_px: int = report.frame.pixels.shape[0]
    return view.box.height / height_px


def face_box(report: StepReport, view: TrackView) -> FaceBox:
    """Where in its frame a face is."""
    height, width = report.frame.pixels.shape[:2]
    left, top = max(0.0, view.box.x / width), max(0.0, view.box.y / height)
    right = min(1.0, (view.box.x + view.box.width) / width)
    bottom = min(1.0, (view.box.y + view.box.height) / height)
    return FaceBox(
        x=min(left, 1.0),
        y=min(top, 1.0),
        width=max(0.0, right - left),
        height=max(0.0, bottom - top),
    )
