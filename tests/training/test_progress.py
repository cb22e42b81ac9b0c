"""Where there is no terminal: a line now and then, with the time left."""

from __future__ import annotations

import io

from rich.console import Console

from oneglance.training.engine.progress import lines_on, shown_on


def test_a_line_a_minute_says_how_long_the_rest_will_take() -> None:
    text, now = io.StringIO(), 0.0
    stage = lines_on(Console(file=text), lambda: now)
    with stage("aligner", 300) as advance:
        for step in range(300):
            now += 0.5
            advance(f"[b]epoch {step // 100}")
    assert text.getvalue().splitlines() == [
        "aligner: 120 of 300, 0:01:30 left, [b]epoch 1",
        "aligner: 240 of 300, 0:00:30 left, [b]epoch 2",
        "aligner: 300 of 300 in 0:02:30",
    ]


def test_a_file_gets_lines_and_no_bars() -> None:
    text = io.StringIO()
    with shown_on(Console(file=text))("join", 2) as advance:
        advance("")
        advance("")
    assert text.getvalue() == "join: 2 of 2 in 0:00:00\n"
