"""What counts for APCER and BPCER, from films that nobody watched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attacks import (
    ROUND,
    UNDECIDED_S,
    Case,
    Outcome,
    Plan,
    errors_at,
    read_cases,
    row,
    summary,
    table,
)
from hypothesis import given
from hypothesis import strategies as st

from oneglance.training.liveness.film import APART_KINDS, GENUINE_KINDS, KINDS

OUTCOMES = st.sampled_from(
    [
        Outcome((), None),
        Outcome(("accepted",), 0.5),
        Outcome(("not_recognised",), None),
        Outcome(("presentation_attack", "accepted"), 2.5),
        Outcome(("presentation_attack",), None),
    ]
)
SEEDS = st.integers(9000, 9999)
CASES = st.lists(
    st.builds(Case, SEEDS, st.sampled_from(KINDS), st.just(15.0), OUTCOMES, OUTCOMES), max_size=30
)


def test_a_round_has_every_kind() -> None:
    assert set(ROUND) == set(KINDS)


@given(CASES)
def test_only_who_is_matched_counts_and_errors_are_attacks_in_and_visitors_out(
    cases: list[Case],
) -> None:
    figures = summary(cases)
    matched = [case for case in cases if case.off.accepted]
    wrong = [case for case in matched if case.attack == case.passive.accepted]
    assert figures["apcer"]["errors"] == sum(case.attack for case in wrong)
    assert figures["bpcer"]["errors"] == sum(not case.attack for case in wrong)
    assert figures["apcer"]["matched"] + figures["bpcer"]["matched"] == len(matched)
    openings = [case for case in cases if case.attack and case.passive.accepted]
    assert figures["apcer"]["accepted"] == len(openings)
    parts = [*figures["attacks"].values(), *figures["visits"].values()]
    assert sum(part["films"] for part in parts) == len(cases)
    json.dumps(figures, allow_nan=False)
    assert len(table(figures).splitlines()) == 4 + len(KINDS)


def test_kinds_that_nothing_is_fitted_to_come_in_rounds_and_tables_of_their_own() -> None:
    plan = Plan(9000, 2, slice(None), APART_KINDS[:2], 1.0)
    assert [seed for seed, _ in plan.films()] == [9000, 9001, 9003, 9004]
    through = Outcome(("accepted",), 0.1)
    figures = summary([Case(seed, kind, 15.0, through, through) for seed, kind in plan.films()])
    assert (figures["apcer"]["errors"], figures["bpcer"]["films"]) == (4, 0)
    assert [figures["attacks"][kind]["errors"] for kind in APART_KINDS] == [2, 2, 0]
    lines = table(figures).splitlines()
    assert len(lines) == 4 + len(GENUINE_KINDS) + len(APART_KINDS)


def test_an_attack_that_nobody_is_like_was_not_stopped_by_liveness() -> None:
    never = Case(9000, "print_bent", 15.0, Outcome((), None), Outcome((), None))
    found = row([never])
    assert (found["films"], found["matched"], found["rate"]) == (1, 0, None)


def test_a_lower_threshold_lets_in_who_came_near_it() -> None:
    near, far = (Outcome(("presentation_attack",), None, odds) for odds in (0.85, -2.0))
    known, accepted = Outcome(("accepted",), 0.1), Outcome(("accepted",), 0.5, 1.6)
    cases = [
        Case(seed, kind, 15.0, known, passive)
        for kind in ("visit", "print_bent")
        for seed, passive in enumerate((near, far, accepted))
    ]
    lost_and_passed = errors_at(cases)
    assert lost_and_passed["0.9"] == [2, 1]
    assert lost_and_passed["0.8"] == [1, 2]


def test_cases_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    assert read_cases(file) == {}
    file.write_text(
        '{"seed": 9003, "kind": "visit", "fps": 15.0, "off": {"answers": ["accepted"], "after_s":'
        ' 0.15}, "passive": {"answers": [], "after_s": null}}\n'
    )
    accepted = Outcome(("accepted",), 0.15)
    assert read_cases(file) == {9003: Case(9003, "visit", 15.0, accepted, Outcome((), None))}


def test_beside_another_model_tells_who_only_one_of_them_was_wrong_about() -> None:
    known, accepted = Outcome(("accepted",), 0.1), Outcome(("accepted",), 0.5)
    refused = Outcome(("presentation_attack",), None)
    cases = [
        Case(9001, "visit", 15.0, known, accepted, refused),
        Case(9002, "visit", 15.0, known, accepted, accepted),
        Case(9003, "phone_replay", 15.0, known, accepted, accepted),
        Case(9004, "phone_replay", 15.0, known, refused, accepted),
        Case(9005, "phone_replay", 15.0, refused, refused, accepted),
    ]
    told = summary(cases)["beside"]
    assert (told["bpcer"]["wrong_only_here"], told["bpcer"]["wrong_only_beside"]) == (0, 1)
    assert (told["apcer"]["wrong_only_here"], told["apcer"]["wrong_only_beside"]) == (0, 1)
    assert told["errors_by_kind"] == {"phone_replay": [2, 2], "visit": [1, 2]}
    assert "beside" not in summary([Case(9001, "visit", 15.0, known, accepted)])


@pytest.mark.parametrize("reason", ["presentation_attack", "too_few_pictures"])
def test_who_was_not_judged_in_time_is_wrong_and_undecided_by_whatever_reason(reason: str) -> None:
    known, late = Outcome(("accepted",), 0.1), Outcome((reason,), None, answered_s=UNDECIDED_S)
    told = summary([Case(9001, "visit", 3.0, known, late)])["bpcer"]
    assert (told["errors"], told["undecided"], told["never_judged"]) == (1, 1, 0)
