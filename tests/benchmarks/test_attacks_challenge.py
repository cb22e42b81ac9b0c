"""The benchmark of `passive+challenge`: who obeys does what is asked, and what is counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from attack_asked import EMPTY, Stage
from attacks import gallery_of
from attacks_challenge import (
    ATTACKS,
    IDLE_S,
    LOOKS_ENOUGH,
    REACTION_S,
    ROUND,
    Actor,
    Case,
    Plan,
    is_at,
    read_cases,
    row,
    rules,
    summary,
    table,
    watched,
)
from wire_samples import make_challenge

from oneglance.contract.messages import Step
from oneglance.daemon.visit.challenge import Prompt
from oneglance.faces.find.boxes import Box
from oneglance.training.faces.drawn_faces import draw_face, draw_person
from oneglance.training.liveness.acts import Act, amount
from oneglance.training.liveness.portrait import portrait_of
from oneglance.training.liveness.render import Scene, scene
from oneglance.training.liveness.styles import JUDGE


def case(seed: int, kind: str, answer: str, *, asked: bool = True, done: bool = False) -> Case:
    steps = ("1look_straight", "1turn_left") if asked else ()
    return Case(seed, kind, answer, steps, (), done, (3, 4), 9.0, 7.5)


def prompt(step: Step) -> Prompt:
    return Prompt("id", "visit", step, 1, 3, 1, 5.0)


@pytest.mark.parametrize("kind", ["visit", "print_turned"])
def test_who_obeys_turns_after_the_prompt_and_comes_back_after_the_next(kind: str) -> None:
    actor = Actor(kind, np.random.default_rng(3))
    actor.told(prompt(Step.LOOK_STRAIGHT), 0.2)
    actor.told(prompt(Step.TURN_LEFT), 2.0)
    assert {act.name for act in actor.acts} == {"turn_left"}
    assert all(act.begin_s > 2.0 + REACTION_S / 3 for act in actor.acts)
    actor.told(prompt(Step.LOOK_STRAIGHT), 3.5)
    assert all(3.5 < act.end_s < 6.0 for act in actor.acts)


def test_who_is_asked_again_to_come_closer_does_so_from_where_they_stand() -> None:
    actor = Actor("visit", np.random.default_rng(3))
    for at_s in (2.0, 8.0):
        actor.told(prompt(Step.COME_CLOSER), at_s)
        actor.told(prompt(Step.LOOK_STRAIGHT), at_s + 1.5)
    stood, stands = (amount(actor.acts, "closer", np.array([at_s]))[0] for at_s in (7.0, 14.0))
    assert 0.7 < stood < stands - 0.7


def test_a_film_that_fits_shows_what_is_asked_and_one_of_moves_knows_no_prompt() -> None:
    fits, moves = (
        Actor(kind, np.random.default_rng(3)) for kind in ("film_to_fit", "film_of_moves")
    )
    before = [moves.plays(at_s / 4) for at_s in range(40)]
    for actor in (fits, moves):
        actor.told(prompt(Step.TURN_LEFT), 2.0)
    assert fits.plays(2.0) <= IDLE_S < fits.plays(5.0)
    assert [moves.plays(at_s / 4) for at_s in range(40)] == before


def test_only_who_came_that_far_counts_for_a_part() -> None:
    cases = [
        case(0, "print_turned", "too_few_pictures", asked=False),
        case(1, "print_turned", "presentation_attack", asked=False),
        case(2, "print_turned", "not_recognised", asked=False),
        case(3, "film_to_fit", "presentation_attack", done=True),
        case(4, "film_to_fit", "challenge_ignored"),
        case(5, "film_to_fit", "accepted", done=True),
        case(6, "visit", "accepted", done=True),
    ]
    attacks = row(one for one in cases if one.attack)
    counts = {part: (of["count"], of["of"]) for part, of in attacks.items()}
    assert counts == {
        "passive": (3, 5),
        "challenge_of_passive": (2, 3),
        "alive_of_done": (1, 2),
        "accepted": (1, 5),
    }
    figures = summary(cases)
    assert figures["visits"]["accepted"]["count"] == 1
    assert set(figures["attacks"]) == set(ATTACKS)
    assert "| `film_to_fit` | 3 of 3 | 2 of 3 | 1 of 2 | 1 of 3 |" in table(figures)


def test_other_rules_keep_whom_most_looks_or_nearly_all_speak_for() -> None:
    def seen(kind: str, *looks: float) -> Case:
        return replace(case(1, kind, "accepted"), passed=looks)

    half = (2.45,) * 6 + (0.0,) * 4
    few = (9.0,) * (LOOKS_ENOUGH - 1)
    lines = rules([seen("visit", *(2.7,) * 10), seen("film_to_fit", *half), seen("visit", *few)])
    assert "| passing | more than 50% | 1 of 1 | 1 of 1 |" in lines
    assert "| passing | more than 60% | 1 of 1 | 0 of 1 |" in lines
    assert "| 2.4 | more than 50% | 1 of 1 | 1 of 1 |" in lines
    assert "| 2.5 | more than 50% | 1 of 1 | 0 of 1 |" in lines
    assert "| 2.8 | more than 50% | 0 of 1 | 0 of 1 |" in lines


def test_a_film_has_one_seed_whichever_kinds_are_made() -> None:
    everything = dict(Plan(500, 2, ROUND, 1.0).films())
    visits = Plan(500, 2, ["visit"], 1.0).films()
    assert len(everything) == 2 * len(ROUND)
    assert [everything[seed] for seed, _ in visits] == ["visit", "visit"]


def test_a_film_is_watched_as_it_is_made_and_kept_as_one_line(tmp_path: Path) -> None:
    rng = np.random.default_rng([4, 0])
    picture, points, _ = draw_face(draw_person(4, 0), rng)
    portrait = portrait_of(np.asarray(cv2.GaussianBlur(picture, (3, 3), 0)), points, person="drawn")

    def make(acts: Sequence[Act], plays: Callable[[float], float]) -> Scene:
        again = np.random.default_rng(1)
        film = ("visit", [portrait], [], JUDGE, again)
        return scene(*film, acts=acts, seconds=0.3, fps=15, plays=plays)

    gallery = gallery_of(np.eye(1, 256, dtype=np.float32)[0])
    found = watched(make, Actor("visit", rng), gallery, 7, "visit")
    assert (found.seed, found.answer, found.asked) == (7, "", ())
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps(asdict(found)) + "\n")
    assert read_cases(file) == {7: found}


def test_a_face_that_was_found_is_who_was_drawn_there_and_no_picture_on_the_wall() -> None:
    points = np.array([[90, 90], [130, 90], [110, 115], [95, 140], [125, 140]], float)
    assert is_at(Box(70, 70, 80, 80), points)
    assert not is_at(Box(200, 70, 80, 80), points)
    assert not is_at(Box(70, 150, 80, 80), points)


def test_who_is_on_stage_is_before_the_camera_and_does_what_the_screen_says() -> None:
    picture, points, _ = draw_face(draw_person(4, 1), np.random.default_rng(1))
    stage = Stage([portrait_of(picture, points, person="drawn")], [])
    nobody = stage.jpeg()
    decoded = cv2.imdecode(np.frombuffer(nobody, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert np.abs(decoded.astype(int) - EMPTY).max() < 3
    stage.told(make_challenge(1))
    stage.begin("visit", 3)
    before = stage.draws
    assert stage.jpeg() != nobody
    stage.told(make_challenge(2, step=Step.TURN_LEFT, attempt=2))
    assert stage.asked == ["2turn_left"]
    assert stage.draws is not before
    stage.end()
    assert stage.jpeg() == nobody
