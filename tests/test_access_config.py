"""The section [access]: what contradicts itself is told, all of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneglance.config import Config, load_config
from oneglance.errors import ConfigError

WHOLE = """
[site]
timezone = "Europe/Berlin"
[access]
groups = ["family", "cleaners"]
[access.schedules]
office = ["mon-fri 07:00-19:00", "sat 08:00-12:00"]
[[access.rules]]
groups = ["family"]
[[access.rules]]
groups = ["cleaners"]
when = ["office"]
factors = ["badge+face", "pin+face"]
valid_from = 2026-12-01
valid_until = 2027-06-01
"""


def loaded(folder: Path, text: str) -> Config:
    file = folder / "oneglance.toml"
    file.write_text(text)
    return load_config(file)


def mistakes(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    assert caught.value.exit_code == 78
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_whole_section_is_read(tmp_path: Path) -> None:
    access = loaded(tmp_path, WHOLE).access
    assert [rule.groups for rule in access.rules] == [("family",), ("cleaners",)]
    assert access.rules[1].factors == ("badge+face", "pin+face")


def test_files_are_taken_from_the_configurations_folder(tmp_path: Path) -> None:
    access = loaded(tmp_path, '[access]\ncredentials_file = "c"\nattempts.file = "a"\n').access
    assert (access.credentials_file, access.attempts.file) == (tmp_path / "c", tmp_path / "a")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[site]\ntimezone = "Europe/Brelin"', "site.timezone: 'Europe/Brelin' is no"),
        ('[access.schedules]\nx = ["mon 07:00-08:00"]', "need site.timezone"),
        ("[[access.rules]]\nvalid_until = 2027-01-01", "need site.timezone"),
        ('[access]\ngroups = ["family"]', "keep nobody out without access.rules"),
        ('[[access.rules]]\ngroups = ["staff"]', "'staff' is not among access.groups"),
        ('[[access.rules]]\nwhen = ["noon"]', "no schedule 'noon'"),
        ('[[access.rules]]\nfactors = ["iris"]', "'face', 'badge+face' or 'pin+face'"),
        ('[[access.rules]]\nfactors = ["badge"]', "'face', 'badge+face' or 'pin+face'"),
        ("[[access.rules]]\nfactors = []", "access.rules.0.factors"),
        ('[[access.rules]]\nfactor = "face"', "access.rules.0.factor: unknown key, did you mean"),
        ("[access]\nattempts.fre = 1", "access.attempts.fre: unknown key, did you mean 'free'"),
        ("[access]\nattempts.lock_out_after = 3", "must be more than free"),
        ("[access]\nattempts.longest_wait_s = 1", "longest_wait_s is shorter than first_wait_s"),
        ("[access]\nattempts.longest_attack_wait_s = 1", "attack_wait_s is shorter than first"),
        ("[access]\nattempts.longest_attack_wait_s = 901", "attack_wait_s is longer than forget_"),
        ("[access]\nattempts.forget_minutes = 4.9", "attack_wait_s is longer than forget_minutes"),
        (
            '[site]\ntimezone = "UTC"\n[[access.rules]]\nvalid_from = 2027-01-01\n'
            "valid_until = 2027-01-01",
            "valid_until is not after valid_from",
        ),
        (
            '[access.schedules]\na = ["mon 07:00-09:00", "mon 08:00-10:00"]\nb = ["x"]',
            "overlap on mon 08:00; b: 'x' is not like",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    assert told in mistakes(tmp_path, text)


def test_a_wrong_factor_is_one_mistake(tmp_path: Path) -> None:
    text = mistakes(tmp_path, '[[access.rules]]\nfactors = ["badge"]')
    assert text.count("access.rules") == 1
    assert "'badge+face'" in text
    assert "at least 1" in mistakes(tmp_path, "[[access.rules]]\nfactors = []")


def test_all_mistakes_of_the_rules_are_told_at_once(tmp_path: Path) -> None:
    text = mistakes(
        tmp_path,
        """
        [[access.rules]]
        groups = ["staff"]
        when = ["noon"]
        [[access.rules]]
        groups = ["guests"]
        [access.attempts]
        lock_out_after = 2
        """,
    )
    for told in ("'staff'", "'noon'", "'guests'", "lock_out_after"):
        assert told in text


def rules(*lines: str) -> str:
    head = WHOLE.partition("[[access.rules]]")[0]
    return head + "\n".join(f"[[access.rules]]\n{line}" for line in lines)


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ('groups = ["family"]', 'factors = ["badge+face"]', "mon 00:00 for family"),
        ('groups = ["family"]', 'factors = ["badge+face"]\nwhen = ["office"]', "mon 07:00"),
        ("", 'factors = ["pin+face"]', "mon 00:00 for everybody"),
        ('factors = ["badge+face"]', 'factors = ["badge+face", "pin+face"]', "mon 00:00"),
    ],
)
def test_rules_that_ask_different_things_at_one_time_contradict_each_other(
    tmp_path: Path, one: str, other: str, told: str
) -> None:
    text = mistakes(tmp_path, rules(one, other))
    assert "access.rules.0 and access.rules.1 contradict each other" in text
    assert told in text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('groups = ["family"]', 'groups = ["cleaners"]\nfactors = ["badge+face"]'),
        ('groups = ["family"]', 'when = ["office"]'),
        ("valid_until = 2027-01-01", 'valid_from = 2027-01-01\nfactors = ["badge+face"]'),
        (
            'factors = ["badge+face", "pin+face"]',
            'factors = ["pin+face", "badge+face"]\nwhen = ["office"]',
        ),
    ],
)
def test_rules_that_agree_or_never_meet_are_no_contradiction(
    tmp_path: Path, one: str, other: str
) -> None:
    assert len(loaded(tmp_path, rules(one, other)).access.rules) == 2
