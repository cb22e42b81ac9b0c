"""The soak's schedule and its judgement: what must fail a run does."""

from __future__ import annotations

import itertools
import mmap
import os
import tempfile
from typing import Any

import numpy as np
import pytest
from soak_faults import END_A_LIFE, KINDS, Deck
from soak_house import Service
from soak_judge import (
    MEASURES,
    Soak,
    complaints,
    latencies,
    longest_life,
    slope,
    slopes,
    undisturbed,
    wrong_openings,
)

MEMORY = MEASURES[0]


def test_a_seed_draws_the_same_faults_each_kind_in_its_turn() -> None:
    first, again, other = (
        [deck.draw(0.0) for _ in range(2 * len(KINDS))] for deck in (Deck(1), Deck(1), Deck(2))
    )
    assert first == again
    assert first != other
    assert {fault.kind for fault in first[: len(KINDS)]} == set(KINDS)
    for fault in first:
        shortest, longest = KINDS[fault.kind]
        assert shortest <= fault.lasts_s <= longest


def test_no_process_is_killed_in_the_middle_where_growth_is_measured() -> None:
    deck = Deck(3)
    assert not {deck.draw(0.5).kind for _ in range(60)} & END_A_LIFE
    assert {deck.draw(0.95).kind for _ in range(60)} >= END_A_LIFE


@pytest.mark.parametrize(("growth_mb", "grows"), [(0.0, False), (2.0, False), (20.0, True)])
def test_growth_beyond_noise_is_found_and_noise_is_none(growth_mb: float, grows: bool) -> None:
    """Two hours of a process that breathes by some MB, in waves."""
    chance = np.random.default_rng(7)
    at_s = np.arange(0, 7200, 2.0)
    waves = 3 * np.sin(at_s / 200) + chance.normal(0, 2, len(at_s))
    found = slope("it", MEMORY, at_s, 140 + waves + growth_mb * at_s / 7200)
    assert found is not None
    assert found.grows is grows
    assert found.lower <= found.per_hour <= found.upper
    assert found.per_hour == pytest.approx(growth_mb / 2, abs=1.5)


def test_one_more_file_is_no_leak_and_twenty_are() -> None:
    at_s = np.arange(0, 3600, 2.0)
    for files, grows in ((1, False), (20, True)):
        values = 10 + np.floor(files * at_s / 3000)
        found = slope("files", MEASURES[1], at_s, values)
        assert found is not None
        assert found.grows is grows


def test_only_the_longest_life_counts_and_its_warm_up_does_not() -> None:
    def lived(pid: int, begin: float, end: float) -> list[dict[str, Any]]:
        return [{"service": "daemon", "pid": pid, "at_s": at} for at in np.arange(begin, end, 10.0)]

    samples = lived(1, 0, 300) + lived(2, 300, 2300) + lived(3, 2300, 2400)
    life = longest_life(samples, "daemon")
    assert {sample["pid"] for sample in life} == {2}
    assert life[0]["at_s"] == 600
    assert longest_life(samples, "lock") == []


def test_a_visit_has_the_first_answer_before_the_next_one_comes() -> None:
    visits = [{"at_s": float(at), "who": who} for at, who in ((0, "a"), (4, "b"), (8, "a"))]
    decisions = [
        {"heard_s": at, "outcome": outcome}
        for at, outcome in (
            (1.0, "accepted"),
            (1.5, "accepted"),
            (5.0, "rejected"),
            (9.5, "accepted"),
        )
    ]
    told = latencies(visits, decisions, "a")
    assert told == [(0.0, 1.0), (8.0, 1.5)]
    assert undisturbed(told, [{"began_s": 6.0, "back_s": 7.0}]) == [(0.0, 1.0)]
    assert latencies(visits, decisions[3:], "a") == [(8.0, 1.5)]


@pytest.mark.parametrize(
    ("openings", "wrong"),
    [
        ([(100.2, "in")], []),
        ([(100.2, "in"), (100.4, "in")], [(100.4, "in")]),
        ([(106.0, "in")], [(106.0, "in")]),
        ([(99.0, "in")], [(99.0, "in")]),
        ([(100.2, "out")], [(100.2, "out")]),
        ([(100.2, "nobody")], [(100.2, "nobody")]),
    ],
)
def test_an_opening_needs_an_accepted_fresh_decision_of_its_own(
    openings: list[tuple[float, str]], wrong: list[tuple[float, str]]
) -> None:
    audited = {"in": (100.0, "accepted"), "out": (100.0, "rejected")}
    assert wrong_openings(openings, audited) == wrong


def good() -> Soak:
    """An hour without anything to complain of."""
    samples = [
        {"service": service, "pid": 1, "at_s": at, "own_mb": 100.0, "fds": 10, "threads": 3}
        for at, service in itertools.product(np.arange(0.0, 3600, 20), ("daemon", "lock"))
    ]
    visits = [{"at_s": at, "who": "a"} for at in np.arange(0.0, 3600, 20)]
    decisions = [{"heard_s": v["at_s"] + 1, "outcome": "accepted"} for v in visits]
    faults = [{"kind": "broker away", "began_s": 50.0, "back_s": 60.0, "outage_s": 3.0}]
    run = {
        "known": "a",
        "wrong": [],
        "unlogged": [],
        "tracebacks": [],
        "audit_verified": True,
        "openings": 180,
    }
    return Soak(run, samples, faults, visits, decisions)


def test_a_good_run_passes() -> None:
    assert complaints(good(), slopes(good())) == []


@pytest.mark.parametrize(
    "change",
    [
        {"wrong": [(1.0, "e")]},
        {"unlogged": ["e"]},
        {"tracebacks": ["Traceback"]},
        {"audit_verified": False},
        {"openings": 0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_of_these_fails_it(change: dict[str, Any]) -> None:
    run = good()
    bad = Soak({**run.run, **change}, run.samples, run.faults, run.visits, run.decisions)
    assert len(complaints(bad, slopes(bad))) == 1


def test_a_run_too_short_to_see_growth_has_not_passed() -> None:
    run = good()
    short = Soak(run.run, run.samples[:60], run.faults, run.visits, run.decisions)
    assert complaints(short, slopes(short)) == ["too short to see whether anything grows"]


def test_a_fault_without_recovery_and_a_leak_fail_it() -> None:
    run = good()
    run.faults[0]["outage_s"] = None
    for sample in run.samples:
        sample["own_mb"] += sample["at_s"] / 100
    said = complaints(run, slopes(run))
    assert [line.split(" ")[0] for line in said] == ["broker", "daemon,", "lock,"]


def test_memory_is_the_processes_own_and_no_files() -> None:
    class Ourselves(Service):
        ready, pid, name = True, os.getpid(), "us"

        def __init__(self) -> None:
            pass

    def own_mb() -> float:
        sample = Ourselves().sample()
        assert sample is not None
        return float(sample["own_mb"])

    before_mb = own_mb()
    with tempfile.TemporaryFile() as file:
        file.truncate(64 << 20)
        with mmap.mmap(file.fileno(), 64 << 20, access=mmap.ACCESS_READ) as pages:
            assert not any(pages[:: mmap.PAGESIZE])
            assert own_mb() - before_mb < 30
    # Pages that are certainly new: the heap of a long run may have 64 MiB to reuse.
    with mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as own:
        own.write(b"x" * len(own))
        assert own_mb() - before_mb > 60
