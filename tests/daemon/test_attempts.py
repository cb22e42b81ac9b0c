"""What failures cost, and whom they must never lock out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.access_config import AttemptsConfig
from oneglance.daemon.access.attempts_file import KeptAttempts, read_attempts, write_attempts
from oneglance.daemon.visit.attempts import ATTACK, MOST_COUNTED, Attempts
from oneglance.errors import ConfigError

CONFIG = AttemptsConfig(
    free=3, first_wait_s=2, longest_wait_s=30, lock_out_after=6, lock_out_minutes=15
)
KEYS = st.sampled_from(["face", "badge", "pin", "badge:one", "badge:two", "pin:one"])


def fail(attempts: Attempts, key: str, times: int, now_s: float = 0.0) -> float:
    for _ in range(times):
        attempts.failed(key, now_s, locks_out=":" in key)
    return attempts.wait_s(key, now_s)


def test_the_wait_doubles_after_the_free_failures_up_to_its_limit() -> None:
    attempts = Attempts(CONFIG)
    assert [fail(attempts, "face", 1) for _ in range(9)] == [0, 0, 0, 2, 4, 8, 16, 30, 30]


def test_who_is_claimed_wrongly_again_and_again_is_locked_out() -> None:
    attempts = Attempts(CONFIG)
    assert [fail(attempts, "badge:x", 1) for _ in range(7)] == [0, 0, 0, 2, 4, 900, 900]


def test_a_presentation_attack_costs_a_wait_from_the_first_and_a_longer_one_in_the_end() -> None:
    attempts = Attempts(CONFIG)
    waits_s = [fail(attempts, ATTACK, 1) for _ in range(10)]
    assert waits_s == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


@given(st.lists(st.floats(0, 60), min_size=1, max_size=400), st.floats(0, 3600))
def test_who_goes_on_showing_pictures_gets_few_tries_an_hour(
    apart_s: list[float], pause_s: float
) -> None:
    attempts, now_s, tried_s = Attempts(AttemptsConfig()), 0.0, list[float]()
    for number, later_s in enumerate(apart_s):
        now_s += attempts.wait_s(ATTACK, now_s) + later_s + (pause_s if number % 9 == 8 else 0.0)
        tried_s.append(now_s)
        attempts.failed(ATTACK, now_s, locks_out=False)
    busiest = max(sum(0 <= other - one < 3600 for other in tried_s) for one in tried_s)
    assert busiest <= 32


def test_a_wait_runs_off_and_a_failure_during_it_never_shortens_it() -> None:
    attempts = Attempts(CONFIG)
    fail(attempts, "pin:x", 6)
    assert attempts.wait_s("pin:x", 899.5) == 0.5
    assert attempts.wait_s("pin:x", 900.0) == 0.0


def test_failures_are_forgotten_when_none_has_come_for_long() -> None:
    attempts = Attempts(CONFIG)
    fail(attempts, "face", 3, now_s=0.0)
    assert fail(attempts, "face", 1, now_s=60 * CONFIG.forget_minutes) == 0.0


def test_success_and_an_administrator_forget_at_once() -> None:
    attempts = Attempts(CONFIG)
    fail(attempts, "badge:x", 6)
    fail(attempts, "pin:y", 6)
    attempts.succeeded("badge:x")
    assert (attempts.wait_s("badge:x", 0.0), attempts.wait_s("pin:y", 0.0)) == (0.0, 900.0)
    attempts.reset()
    assert attempts.wait_s("pin:y", 0.0) == 0.0


@given(st.lists(st.tuples(KEYS, st.floats(0, 600)), max_size=40))
def test_a_failure_costs_its_own_key_only_and_never_less_than_before(
    failures: list[tuple[str, float]],
) -> None:
    attempts, now_s = Attempts(CONFIG), 0.0
    keys = {key for key, _ in failures}
    for key, passed_s in failures:
        now_s += passed_s
        before = {other: attempts.wait_s(other, now_s) for other in keys}
        attempts.failed(key, now_s, locks_out=":" in key)
        for other in keys - {key}:
            assert attempts.wait_s(other, now_s) == before[other]
        assert attempts.wait_s(key, now_s) >= before[key]


@given(st.integers(1, 10_000))
def test_one_more_failure_never_costs_less(failures: int) -> None:
    attempts = Attempts(CONFIG)
    for locks_out in (False, True):
        fewer, more = (
            attempts.wait_after(n, locks_out=locks_out) for n in (failures, failures + 1)
        )
        assert fewer <= more
    assert attempts.wait_after(failures, locks_out=False) <= CONFIG.longest_wait_s


@given(st.integers(0, 300), st.floats(0, 5))
def test_unknown_faces_never_lock_out_a_badge_or_a_pin(faces: int, apart_s: float) -> None:
    attempts = Attempts(CONFIG)
    for number in range(faces):
        attempts.failed("face", apart_s * number, locks_out=False)
    now_s = apart_s * faces
    for key in ("badge", "pin", "badge:x", "pin:x"):
        assert attempts.wait_s(key, now_s) == 0.0


def test_a_flood_of_made_up_badges_fills_no_memory_and_frees_nobody() -> None:
    attempts = Attempts(CONFIG)
    fail(attempts, "badge:locked", 6)
    for number in range(3 * MOST_COUNTED):
        attempts.failed("badge", 1.0, locks_out=False)
        attempts.failed(f"badge:{number}", 1.0, locks_out=True)
    assert len(attempts.dump(1.0)) == MOST_COUNTED
    assert attempts.wait_s("badge:locked", 1.0) == 899.0
    assert attempts.wait_s("badge", 1.0) == CONFIG.longest_wait_s


@given(st.lists(st.tuples(KEYS, st.floats(0, 100)), max_size=20), st.floats(0, 1e6))
def test_a_restart_never_shortens_a_wait(
    failures: list[tuple[str, float]], started_s: float
) -> None:
    attempts, now_s = Attempts(CONFIG), 0.0
    for key, passed_s in failures:
        now_s += passed_s
        attempts.failed(key, now_s, locks_out=":" in key)
    again = Attempts(CONFIG)
    # The monotonic clock begins somewhere else after a restart.
    again.load(json.loads(json.dumps(attempts.dump(now_s))), started_s)
    for key, _ in failures:
        assert again.wait_s(key, started_s) >= attempts.wait_s(key, now_s) - 1e-9
        assert (again.wait_s(key, started_s) > 0) == (attempts.wait_s(key, now_s) > 0)


def test_what_is_kept_changes_only_with_a_failure_or_the_end_of_a_wait() -> None:
    attempts = Attempts(CONFIG)
    fail(attempts, "pin", 5)
    kept = attempts.dump(0.0)
    assert kept == {"pin": [5, 4.0]}
    assert attempts.dump(3.9) == kept
    assert attempts.dump(4.1) == {"pin": [5, 0.0]}
    assert attempts.dump(60 * CONFIG.forget_minutes) == {}


def test_the_file_keeps_what_it_was_given(tmp_path: Path) -> None:
    file = tmp_path / "attempts"
    assert read_attempts(file) == (0, {})
    write_attempts(file, KeptAttempts(3, {"face": [4, 2.0]}))
    assert read_attempts(file) == (3, {"face": [4.0, 2.0]})
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text('{"v":1,"counts":{"pin":[4,2.0]}}')
    assert read_attempts(file) == (0, {"pin": [4.0, 2.0]})


def test_a_file_that_was_cut_off_anywhere_is_damaged_and_never_empty(tmp_path: Path) -> None:
    file = tmp_path / "attempts"
    write_attempts(file, KeptAttempts(1, {"badge:x": [7, 900.0]}))
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(ConfigError, match="damaged"):
            read_attempts(file)


@given(st.binary(max_size=60))
def test_any_bytes_are_attempts_or_damaged(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "attempts"
        file.write_bytes(data)
        with pytest.raises(ConfigError, match="damaged"):
            read_attempts(file)


@pytest.mark.parametrize(
    "text",
    [
        *(
            '{"v":1,"counts":{"a":[1]}}',
            '{"v":3,"generation":1,"counts":{}}',
            '{"v":2,"counts":{}}',
        ),
        *('{"v":2,"generation":true,"counts":{}}', '{"v":2,"generation":-1,"counts":{}}'),
        *('{"v":1,"counts":[]}', "[]", "1e999"),
    ],
)
def test_what_is_not_ours_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "attempts").write_text(text)
    with pytest.raises(ConfigError, match="damaged"):
        read_attempts(tmp_path / "attempts")


@pytest.mark.parametrize("pair", [[0, 1.0], [-1, 0.0], [1, -1.0], [1, float("nan")], [1, 1e99]])
def test_counts_that_cannot_be_are_refused(pair: list[float]) -> None:
    with pytest.raises(ValueError, match="not a count"):
        Attempts(CONFIG).load({"face": pair}, 0.0)
