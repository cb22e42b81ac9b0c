from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oneglance.daemon.sight.search_plan import (
    AFTER_MOTION_S,
    FRUITLESS,
    REGION_EVERY_BESIDE_S,
    REGION_EVERY_WHEN_FRUITLESS_S,
    TURNS_DEG,
    WHOLE,
    WHOLE_EVERY_S,
    Search,
    SearchPlan,
)
from oneglance.faces.find.boxes import Box

REGION = Box(10, 20, 100, 80)
FPS = 15.0

steps = st.lists(
    st.tuples(st.floats(0.0, 0.4), st.sampled_from([None, REGION]), st.booleans(), st.booleans()),
    max_size=80,
)


def plan_still(plan: SearchPlan, seconds: float, start_s: float = 0.0) -> list[Search]:
    """The searches of frames in which nothing changes and nobody is followed."""
    return [
        search
        for i in range(round(seconds * FPS))
        for search in plan.next(start_s + i / FPS, None, all_changed=False, followed=False)
    ]


@given(steps)
def test_whatever_moves_all_of_the_frame_is_searched_upright_within_two_turns_of_the_schedule(
    steps: list[tuple[float, Box | None, bool, bool]],
) -> None:
    plan, at_s, upright_at_s = SearchPlan(), 0.0, 0.0
    for step_s, changed, all_changed, followed in [(0.0, None, False, False), *steps]:
        at_s += step_s
        searches = plan.next(at_s, changed, all_changed=all_changed, followed=followed)
        if WHOLE in searches:
            upright_at_s = at_s
        assert at_s - upright_at_s < 2 * (WHOLE_EVERY_S + 0.4)


@given(steps)
def test_what_changed_lately_while_nobody_is_followed_is_searched_upright_in_the_same_frame(
    steps: list[tuple[float, Box | None, bool, bool]],
) -> None:
    plan, at_s, fruitless = SearchPlan(), 0.0, 0
    for step_s, changed, all_changed, followed in steps:
        at_s += step_s
        searches = plan.next(at_s, changed, all_changed=all_changed, followed=followed)
        assert len(searches) <= 2
        assert sum(search.turn_deg == 0 for search in searches) <= 1
        if all_changed:
            assert searches == [WHOLE]
        elif changed is not None and not followed and fruitless < FRUITLESS:
            assert WHOLE in searches or Search(REGION) in searches
        fruitless = fruitless + 1 if changed is not None and not followed else 0


def test_an_empty_hallway_is_searched_twice_a_second_by_turns_upright_and_turned() -> None:
    searches = plan_still(SearchPlan(), 8.0)
    assert 14 <= len(searches) <= 16
    assert [search.turn_deg != 0 for search in searches] == [i % 2 == 1 for i in range(16)][
        : len(searches)
    ]
    assert {search.turn_deg for search in searches} == {0.0, *TURNS_DEG}


def test_after_a_motion_without_a_face_the_frame_is_searched_more_often_for_a_while() -> None:
    plan = SearchPlan()
    plan.next(0.0, REGION, all_changed=False, followed=False)
    after = plan_still(plan, AFTER_MOTION_S, 0.05)
    later = plan_still(plan, AFTER_MOTION_S, 0.1 + AFTER_MOTION_S)
    assert len(after) > 1.5 * len(later) > 0


def test_beside_a_followed_face_motion_is_searched_a_few_times_a_second() -> None:
    plan = SearchPlan()
    searches = [
        search
        for i in range(30)
        for search in plan.next(i / 30, REGION, all_changed=False, followed=True)
    ]
    assert all(search.turn_deg == 0 for search in searches)
    assert 3 <= searches.count(Search(REGION)) <= 1 / REGION_EVERY_BESIDE_S


def test_what_keeps_changing_without_a_face_is_searched_less_often_until_it_rests() -> None:
    def searched(start_s: float, frames: int) -> int:
        return sum(
            search.turn_deg == 0
            for i in range(frames)
            for search in plan.next(start_s + i / 30, REGION, all_changed=False, followed=False)
        )

    plan = SearchPlan()
    assert searched(0.0, FRUITLESS) == FRUITLESS
    searched(FRUITLESS / 30, 10)
    assert 7 <= searched(1.0, 30) <= 1 / REGION_EVERY_WHEN_FRUITLESS_S + 4
    plan.next(2.0, None, all_changed=False, followed=False)
    assert searched(2.01, 4) == 4


def test_a_time_that_runs_backwards_begins_the_schedule_anew() -> None:
    plan = SearchPlan()
    assert plan.next(100.0, None, all_changed=False, followed=True) == [WHOLE]
    assert plan.next(100.1, None, all_changed=False, followed=True) == []
    assert plan.next(5.0, None, all_changed=False, followed=True) == [WHOLE]
