"""The demo: the whole house on real faces, and a verdict that can say no."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from wire_samples import make_decision

from oneglance.cli.demo.film import Row, closing_line
from oneglance.cli.demo.sheet import SHOT_HEIGHT, Shot, annotate, write_sheet
from oneglance.contract.messages import Outcome
from oneglance.errors import OneglanceError
from oneglance.faces.find.boxes import Box

ADA = make_decision(1)
NOBODY = make_decision(
    2, outcome=Outcome.REJECTED, person_id=None, person_name=None, reason="not_recognised"
)


@pytest.mark.parametrize(
    ("row", "right", "why"),
    [
        (Row(ADA.person_name or "", True, ADA, 200.0, True), True, "let in, lock opened"),
        (Row(ADA.person_name or "", True, ADA, 200.0, False), False, "the lock stayed shut"),
        (Row(ADA.person_name or "", True, NOBODY, 200.0, False), False, "turned away"),
        (Row(ADA.person_name or "", True, None, None, False), False, "nobody decided"),
        (Row("Somebody Else", True, ADA, 200.0, True), False, "taken for another person"),
        (Row("Stranger", False, NOBODY, 3000.0, False), True, "turned away"),
        (Row("Stranger", False, None, None, False), True, "no decision opens nothing"),
        (Row("Stranger", False, ADA, 200.0, True), False, "a stranger came in"),
        (Row("Stranger", False, NOBODY, 3000.0, True), False, "the lock opened all the same"),
    ],
)
def test_a_visit_is_right_only_if_decision_and_lock_are(row: Row, right: bool, why: str) -> None:
    assert row.right is right, why


@pytest.mark.parametrize(
    ("good", "frames", "dropped", "said"),
    [
        (True, 354, 0, "The right person came in"),
        (True, 236, 118, "The right person came in"),
        (False, 350, 4, "not what should have happened"),
        (False, 236, 118, "missed 118 of 354 frames"),
        (False, 0, 0, "not what should have happened"),
    ],
)
def test_a_machine_that_missed_the_film_is_told_so(
    good: bool, frames: int, dropped: int, said: str
) -> None:
    assert said in closing_line(good, frames, dropped)


def test_the_contact_sheet_shows_each_visit_in_a_row(tmp_path: Path) -> None:
    frame = np.full((480, 640, 3), 90, np.uint8)
    framed = annotate(frame, Box(100.0, 100.0, 80.0, 80.0), "checking", (255, 0, 0))
    assert (frame == 90).all()
    assert tuple(framed[100, 140]) == (255, 0, 0)
    sheet = tmp_path / "sheet.png"
    write_sheet(sheet, [[Shot(framed, "0 ms"), Shot(frame, "80 ms")], [Shot(frame, "0 ms")]])
    height, width = cv2.imread(str(sheet)).shape[:2]
    assert height > 2 * SHOT_HEIGHT
    assert width > height / 2


def test_a_demo_without_a_visit_has_no_contact_sheet_to_show(tmp_path: Path) -> None:
    with pytest.raises(OneglanceError, match="no visit was seen"):
        write_sheet(tmp_path / "sheet.png", [])
