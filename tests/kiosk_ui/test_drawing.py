"""What can be said of symbols, colours and text without a window."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.contract.messages import Hint, Step
from oneglance.errors import MessageError
from oneglance.kiosk_ui.geometry import Disc, Fill, Shape, Stroke, beginning, ribbon, smooth_pieces
from oneglance.kiosk_ui.palette import ACCENTS, BACKGROUND, LINE, TITLE, contrast, mixed
from oneglance.kiosk_ui.screen import Kind, ScreenState
from oneglance.kiosk_ui.soft_pixels import brush_pixels, glow_pixels
from oneglance.kiosk_ui.symbols import fade, moment, moves, symbol
from oneglance.kiosk_ui.text_fit import fit
from oneglance.kiosk_ui.words import WORDS

STATES = st.builds(
    ScreenState,
    kind=st.sampled_from(Kind),
    title=st.text(max_size=60),
    line=st.text(max_size=60),
    since_s=st.floats(0, 1e6),
    progress=st.floats(0, 1),
    hint=st.sampled_from(Hint),
    step=st.sampled_from(Step),
    number=st.integers(0, 9),
    steps=st.integers(0, 9),
    digits=st.integers(0, 12),
    busy=st.booleans(),
    offers_pad=st.booleans(),
    name=st.text(max_size=9),
    left=st.text(max_size=9),
    note=st.text(max_size=9),
)


@given(STATES)
def test_a_screen_state_survives_json(state: ScreenState) -> None:
    assert ScreenState.from_json(state.to_json()) == state


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "open_the_door"}', "\x00"])
def test_anything_else_is_no_screen_state(text: str) -> None:
    with pytest.raises(MessageError, match="not a screen state"):
        ScreenState.from_json(text)


@given(STATES, st.floats(0, 1e5))
def test_every_symbol_stays_inside_its_box_at_every_age(state: ScreenState, age_s: float) -> None:
    shapes = symbol(state, age_s)
    assert shapes
    for shape in shapes:
        assert 0 <= shape.strength <= 1
        if isinstance(shape, Stroke):
            assert len(shape.points) >= 2
            reach = max(abs(value) for point in shape.points for value in point)
            assert reach + shape.width / 2 <= 1.05
        elif isinstance(shape, Fill):
            assert max(abs(value) for point in shape.points for value in point) <= 1
        else:
            assert max(map(abs, shape.centre)) + max(shape.radius_x, shape.radius_y) <= 1


def test_more_progress_draws_a_longer_ring() -> None:
    def length(progress: float) -> float:
        stroke = symbol(ScreenState(Kind.CHECKING, "", "", 0.0, progress), 1.0)[1]
        assert isinstance(stroke, Stroke)
        return sum(math.dist(a, b) for a, b in zip(stroke.points, stroke.points[1:], strict=False))

    lengths = [length(i / 10) for i in range(11)]
    assert lengths == sorted(lengths)
    assert lengths[0] > 0


def asked(step: Step, **changes: Any) -> tuple[Shape, ...]:
    return symbol(ScreenState(Kind.CHALLENGE, "", "", 0.0, 0.5, step=step, **changes), 0.0)


def arrow_middle(step: Step) -> tuple[float, float]:
    """The middle of what the step's symbol has more than the ring."""
    points = [p for shape in asked(step)[2:] if isinstance(shape, Stroke) for p in shape.points]
    tip = points[-3:]
    return sum(x for x, _ in tip) / 3, sum(y for _, y in tip) / 3


def test_the_arrow_to_the_visitors_left_points_to_the_screens_left() -> None:
    assert arrow_middle(Step.TURN_LEFT)[0] < -0.4
    assert arrow_middle(Step.TURN_RIGHT)[0] > 0.4
    assert arrow_middle(Step.LOOK_UP)[1] > 0.4


def test_every_step_has_a_symbol_of_its_own() -> None:
    outlines = [frozenset(s.points for s in asked(step) if isinstance(s, Stroke)) for step in Step]
    assert len(set(outlines)) == len(Step)


def test_the_dots_of_a_challenge_say_which_step_it_is() -> None:
    for number in (1, 2, 3):
        dots = [
            s
            for s in asked(Step.LOOK_UP, number=number, steps=3)
            if isinstance(s, Disc) and s.centre[1] < -0.8
        ]
        assert [dot.strength == 1.0 for dot in dots] == [i < number for i in range(3)]
        assert max(dots, key=lambda dot: dot.radius_x) is dots[number - 1]


def test_the_pad_shows_one_dot_for_each_digit() -> None:
    for digits in range(13):
        shapes = symbol(ScreenState(Kind.PIN_PAD, "", "", 0.0, digits=digits), 0.0)
        assert sum(isinstance(shape, Disc) for shape in shapes) == digits
        assert len(shapes) == max(6, digits)


def test_settled_symbols_all_differ_in_shape() -> None:
    drawn = [symbol(ScreenState(kind, "", "", 0.0), 2.0) for kind in Kind]
    outlines = [{s.points for s in shapes if isinstance(s, Stroke)} for shapes in drawn]
    for one, other in combinations(outlines, 2):
        assert one != other


def test_a_screen_can_be_read_at_once_and_is_fully_there_within_a_fifth_of_a_second() -> None:
    assert fade(0.2) == 1.0
    assert contrast(BACKGROUND, mixed(BACKGROUND, TITLE, fade(0.0))) >= 2.5
    assert fade(0.0) < fade(0.05) < fade(0.1)


def test_all_text_and_all_accents_stand_out_from_the_background() -> None:
    # WCAG 2.2 asks 7 of small text at its strictest level.
    for colour in (TITLE, LINE, *ACCENTS.values()):
        assert contrast(BACKGROUND, colour) >= 7
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)


def test_a_line_being_drawn_ends_where_its_share_ends() -> None:
    corner = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    assert beginning(corner, 0.75)[-1] == pytest.approx((1.0, 0.5))
    assert beginning(corner, 1.0)[-1] == pytest.approx((1.0, 1.0))
    assert beginning(corner, 0.0)[-1] == pytest.approx((0.0, 0.0))


def test_a_line_is_cut_at_its_corners_only() -> None:
    assert smooth_pieces(((0, 0), (1, 0), (2, 0.05), (2, 1))) == [
        ((0, 0), (1, 0), (2, 0.05)),
        ((2, 0.05), (2, 1)),
    ]


def test_a_ribbon_is_as_wide_as_asked_and_has_round_ends() -> None:
    vertices = ribbon(((0.0, 0.0), (10.0, 0.0)), 2.0, closed=False)
    rows = [tuple(vertices[i : i + 4]) for i in range(0, len(vertices), 4)]
    assert [row[0] for row in rows] == [-2, -2, 0, 0, 10, 10, 12, 12]
    assert {row[1] for row in rows} == {-2, 2}
    assert [row[3] for row in rows] == [0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1]


def test_a_closed_ribbon_ends_where_it_began() -> None:
    square = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    vertices = ribbon(square, 0.1, closed=True)
    assert vertices[:8] == vertices[-8:]


def test_a_brush_is_solid_inside_and_empty_at_its_edge() -> None:
    side_px, pixels = brush_pixels(9.5)
    row = pixels[side_px // 2 * side_px * 4 : (side_px // 2 + 1) * side_px * 4][3::4]
    assert (row[side_px // 2], row[0], row[-1]) == (255, 0, 0)
    assert pixels[3] == 0


def test_the_glow_is_gone_at_the_border_of_its_picture() -> None:
    pixels = glow_pixels(16)
    assert max(pixels[3 : 16 * 4 : 4]) == 0
    assert pixels[(8 * 16 + 8) * 4 + 3] > 200


def _monospace_em(row: str) -> float:
    return 0.6 * len(row)


@given(
    st.lists(st.text("abcdefgh", min_size=1, max_size=20), min_size=1, max_size=9).map(" ".join),
    st.floats(100, 2000),
    st.floats(40, 600),
)
def test_fitted_text_is_whole_and_inside_its_box(text: str, width: float, height: float) -> None:
    fitted = fit(text, _monospace_em, 1.2, (width, height), 200)
    rows = fitted.text.split("\n")
    assert " ".join(rows) == text
    assert 1 <= fitted.font_px <= 200
    if fitted.font_px > 1:
        assert max(map(_monospace_em, rows)) * fitted.font_px <= width + 1e-6
        assert len(rows) * 1.2 * fitted.font_px <= height + 1e-6


def test_a_text_is_broken_evenly_and_only_if_that_makes_it_clearly_larger() -> None:
    assert fit("one two three four", _monospace_em, 1.2, (120, 400), 90).text.count("\n") == 2
    assert fit("one two", _monospace_em, 1.2, (2000, 400), 90).text == "one two"
    assert fit("aa, aa aa aa", _monospace_em, 1.2, (100, 48), 20).text == "aa,\naa aa aa"
    assert fit("aa, aa aa aa", _monospace_em, 1.2, (48, 48), 20).text == "aa, aa\naa aa"
    assert fit("aa aa aa aa", _monospace_em, 1.2, (100, 70), 90).text == "aa aa\naa aa"
    french = fit(
        "trop de codes faux\N{NO-BREAK SPACE}: attendez", _monospace_em, 1.2, (99, 200), 90
    )
    assert french.text.count("\n") == 2
    assert "faux\N{NO-BREAK SPACE}:" in french.text
    assert fit("", _monospace_em, 1.2, (100, 70), 90).text == ""


@given(STATES, st.floats(0, 1e5), st.floats(0, 0.2))
def test_a_picture_that_is_not_drawn_again_would_be_the_same(
    state: ScreenState, age_s: float, later_s: float
) -> None:
    now, later = moment(state, age_s), moment(state, age_s + later_s)
    assert fade(now) == fade(age_s), "what has come in once stays"
    if now == later:
        assert symbol(state, now) == symbol(state, later)
    if not moves(state, age_s) and state.kind is not Kind.WAIT:
        assert symbol(state, age_s) == symbol(state, now)


def test_an_idle_door_moves_for_a_moment_every_few_seconds_only() -> None:
    idle = ScreenState(Kind.IDLE, "", "", 0.0)
    moving = [moves(idle, 1 + i / 100) for i in range(9000)]
    assert 0.02 < sum(moving) / len(moving) < 0.05
    still = [kind for kind in Kind if not moves(ScreenState(kind, "", "", 0.0), 10.5)]
    assert set(Kind) - set(still) == {Kind.STARTING, Kind.LOOK_HERE, Kind.CHALLENGE}


def test_chinese_is_broken_between_any_two_letters_but_before_no_full_stop() -> None:
    fitted = fit("光线在您身后。请稍微转身", _monospace_em, 1.2, (50, 400), 90)
    rows = fitted.text.split("\n")
    assert len(rows) == 3
    assert "".join(rows) == "光线在您身后。请稍微转身"
    assert all(not row.startswith("。") for row in rows)
    for text in ("光线在您身后。\n请稍微转身", "抱歉。\n我不认识您"):
        box = (12 * max(map(len, text.split())) + 1, 60)
        assert fit(text.replace("\n", ""), _monospace_em, 1.2, box, 20).text == text
    assert fit("抱歉", _monospace_em, 1.2, (0, 0), 20).font_px == 1
    assert "王小明" in fit("Welcome, 王小明", _monospace_em, 1.2, (900, 40), 90).text


def test_the_handbook_shows_every_screen_with_its_words() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    text = (docs / "kiosk.md").read_text(encoding="utf-8")
    for kind in Kind:
        assert WORDS[kind][0].partition("{")[0] in text
        picture = f"images/kiosk-{kind.value.replace('_', '-')}.png"
        assert picture in text
        assert 5_000 < (docs / picture).stat().st_size < 60_000
