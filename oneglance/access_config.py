"""The section [access]: who may enter when, and what they must show.

Contradictions are mistakes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from oneglance.schedule import Schedule, text_of
from oneglance.section import Section
from oneglance.topic_level import Level

Demand = Literal["face", "badge+face", "pin+face"]
Group = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class AccessRule(Section):
    """One rule about who may enter: its groups (or everybody enrolled) at its times (or always).

    One of `factors` is enough. It holds from the day `valid_from` on and before `valid_until`.
    """

    groups: tuple[Group, ...] = ()
    when: tuple[Level, ...] = ()
    factors: Annotated[tuple[Demand, ...], Field(min_length=1)] = ("face",)
    valid_from: date | None = None
    valid_until: date | None = None


class AttemptsConfig(Section):
    """What failures cost.

    After `free` failures each further one costs a wait, twice as long each time, from
    `first_wait_s` up to `longest_wait_s`; a presentation attack costs one from the first on, up to
    `longest_attack_wait_s`. A person who was claimed wrongly `lock_out_after` times cannot be
    claimed for `lock_out_minutes`. What failed is forgotten after `forget_minutes` without another
    failure.
    """

    free: Annotated[int, Field(ge=1, le=20)] = 3
    first_wait_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    longest_wait_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    longest_attack_wait_s: Annotated[float, Field(gt=0, le=3600)] = 300.0
    lock_out_after: Annotated[int, Field(ge=2, le=100)] = 6
    lock_out_minutes: Annotated[float, Field(gt=0, le=1440)] = 15.0
    forget_minutes: Annotated[float, Field(gt=0, le=1440)] = 15.0
    file: Path | None = None


class AccessConfig(Section):
    """Who may enter when; without any rule everybody enrolled may, with a face alone.

    A claim is good for `claim_s`. With `on_request` nobody is compared with anybody until a screen
    asks for it (`verify-now`) or somebody is claimed.
    """

    groups: tuple[Group, ...] = ()
    schedules: dict[Level, tuple[str, ...]] = Field(default_factory=dict)
    rules: tuple[AccessRule, ...] = ()
    claim_s: Annotated[float, Field(ge=3, le=60)] = 15.0
    on_request: bool = False
    credentials_file: Path | None = None
    attempts: AttemptsConfig = AttemptsConfig()

    @field_validator("schedules")
    @classmethod
    def _readable(cls, schedules: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        wrong = []
        for name, lines in schedules.items():
            try:
                Schedule.of(lines)
            except ValueError as error:
                wrong.append(f"{name}: {error}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return schedules


def schedule_of(rule: AccessRule, schedules: dict[str, tuple[str, ...]]) -> Schedule:
    """When a rule holds, as minutes of the week; its schedules are known."""
    if not rule.when:
        return Schedule.always()
    return Schedule.any_of(Schedule.of(schedules[name]) for name in rule.when)


def access_mistakes(access: AccessConfig, timezone: str | None) -> list[str]:
    """What does not fit together, one text for each mistake; empty if everything does."""
    mistakes = []
    if (access.schedules or _dated(access)) and timezone is None:
        mistakes.append("access: times and dates need site.timezone, e.g. 'Europe/Berlin'")
    for place, rule in enumerate(access.rules):
        name = f"access.rules.{place}"
        mistakes += [
            f"{name}: the group {group!r} is not among access.groups"
            for group in rule.groups
            if group not in access.groups
        ]
        mistakes += [
            f"{name}: there is no schedule {when!r} in access.schedules"
            for when in rule.when
            if when not in access.schedules
        ]
        if rule.valid_from and rule.valid_until and rule.valid_until <= rule.valid_from:
            mistakes.append(f"{name}: valid_until is not after valid_from")
    if (access.groups or access.schedules) and not access.rules:
        mistakes.append(
            "access: groups and schedules keep nobody out without access.rules: everybody enrolled"
            " may enter"
        )
    attempts = access.attempts
    for name in ("longest_wait_s", "longest_attack_wait_s"):
        longest_s = getattr(attempts, name)
        if longest_s < attempts.first_wait_s:
            mistakes.append(f"access.attempts: {name} is shorter than first_wait_s")
        if longest_s > 60 * attempts.forget_minutes:
            mistakes.append(
                f"access.attempts: {name} is longer than forget_minutes, after which failures are"
                " forgotten"
            )
    if attempts.lock_out_after <= attempts.free:
        mistakes.append("access.attempts: lock_out_after must be more than free")
    return mistakes or list(_contradictions(access))


def _dated(access: AccessConfig) -> bool:
    return any(rule.valid_from or rule.valid_until for rule in access.rules)


def _contradictions(access: AccessConfig) -> Iterator[str]:
    """Two rules that ask different things of the same people at the same time."""
    times = [schedule_of(rule, access.schedules) for rule in access.rules]
    for (one, rule), (two, other) in combinations(enumerate(access.rules), 2):
        if set(rule.factors) == set(other.factors) or not _days_in_common(rule, other):
            continue
        shared = set(rule.groups) & set(other.groups)
        if rule.groups and other.groups and not shared:
            continue
        minute = times[one].common(times[two])
        if minute is not None:
            named = sorted(shared or set(rule.groups) | set(other.groups))
            whom = named[0] if named else "everybody"
            yield (
                f"access.rules.{one} and access.rules.{two} contradict each other on"
                f" {text_of(minute)} for {whom}: {' or '.join(rule.factors)} there,"
                f" {' or '.join(other.factors)} here"
            )


def _days_in_common(one: AccessRule, other: AccessRule) -> bool:
    first = max(one.valid_from or date.min, other.valid_from or date.min)
    end = min(one.valid_until or date.max, other.valid_until or date.max)
    return first < end
