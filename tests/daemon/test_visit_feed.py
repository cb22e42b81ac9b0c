from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oneglance.contract.messages import Hint, Phase, VisitState, parse
from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.visit.report import StepReport, TrackView
from oneglance.daemon.voice.visit_feed import IDLE_AFTER_S, SEND_EVERY_S, VisitFeed
from oneglance.faces.find.boxes import Box

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


def report(*views: TrackView) -> StepReport:
    return StepReport(Frame(np.zeros((100, 200, 3), np.uint8), 0.0, 0.0, 0, "cam"), views)


def view(
    visit_id: str = "v1",
    phase: Phase = Phase.CHECKING,
    box: Box | None = None,
    hint: Hint = Hint.NONE,
) -> TrackView:
    box = box or Box(50, 25, 50, 50)
    return TrackView(1, visit_id, box, hint, phase, 0.5, None, None)


def test_a_face_is_told_in_fractions_of_the_frame() -> None:
    visit = VisitFeed().update([report(view())], 0.0, NOW)
    assert visit is not None
    assert visit.face is not None
    assert (visit.face.x, visit.face.y, visit.face.width, visit.face.height) == (
        0.25,
        0.25,
        0.25,
        0.5,
    )


def test_the_largest_face_is_the_visitor() -> None:
    far, near = view("far", box=Box(0, 0, 20, 20)), view("near", box=Box(60, 0, 60, 60))
    visit = VisitFeed().update([report(far, near)], 0.0, NOW)
    assert visit is not None
    assert visit.visit_id == "near"


def test_the_same_news_are_sent_at_a_bounded_rate_but_a_new_phase_at_once() -> None:
    feed = VisitFeed()
    assert feed.update([report(view())], 0.0, NOW)
    assert feed.update([report(view(hint=Hint.HOLD_STILL))], SEND_EVERY_S / 2, NOW) is None
    assert feed.update([report(view(phase=Phase.DONE))], SEND_EVERY_S / 2, NOW)
    assert feed.update([report(view(phase=Phase.DONE))], 1.6 * SEND_EVERY_S, NOW)


def test_idle_is_said_once_when_nobody_is_there_any_more() -> None:
    feed = VisitFeed()
    assert feed.update([], 0.0, NOW) is None
    feed.update([report(view())], 1.0, NOW)
    assert feed.update([report()], 1.0 + IDLE_AFTER_S / 2, NOW) is None
    visit = feed.update([], 1.0 + IDLE_AFTER_S, NOW)
    assert visit is not None
    assert (visit.visit_id, visit.phase, visit.face) == ("", Phase.IDLE, None)
    assert feed.update([], 99.0, NOW) is None


@settings(deadline=None)
@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(1, 900), st.floats(1, 900))
def test_a_box_over_the_edge_still_makes_a_valid_message(
    x: float, y: float, width: float, height: float
) -> None:
    visit = VisitFeed().update([report(view(box=Box(x, y, width, height)))], 0.0, NOW)
    assert visit is not None
    assert parse(visit.to_payload(), VisitState) == visit
