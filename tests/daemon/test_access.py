"""Who may enter when, and with what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.config import parse_config
from oneglance.contract.messages import Factor, Liveness
from oneglance.daemon.visit.access import Policy, permitted
from oneglance.daemon.visit.decide import Verdict

FACE = (Factor.FACE,)
BADGE = (Factor.FACE, Factor.BADGE)
PIN = (Factor.FACE, Factor.PIN)

HOUSE = {
    "site": {"timezone": "Europe/Berlin"},
    "access": {
        "groups": ["family", "cleaners", "guests"],
        "schedules": {"office": ["mon-fri 07:00-19:00"], "night": ["daily 22:00-06:00"]},
        "rules": [
            {"groups": ["family"]},
            {"groups": ["cleaners"], "when": ["office"], "factors": ["badge+face", "pin+face"]},
            {
                "groups": ["guests"],
                "valid_from": datetime(2026, 12, 24).date(),
                "valid_until": datetime(2026, 12, 27).date(),
            },
        ],
    },
}


def policy(data: dict[str, object] | None = None) -> Policy:
    config = parse_config(HOUSE if data is None else data, "test")
    return Policy.of(config.access, config.site.timezone)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"))


MONDAY_NOON = berlin("2026-11-30T12:00")
SUNDAY = berlin("2026-11-29T12:00")


@pytest.mark.parametrize(
    ("groups", "shown", "at", "refusal"),
    [
        ({"family"}, FACE, SUNDAY, ""),
        ({"family"}, BADGE, SUNDAY, ""),
        (set(), FACE, MONDAY_NOON, "not_permitted"),
        ({"strangers"}, PIN, MONDAY_NOON, "not_permitted"),
        ({"cleaners"}, FACE, MONDAY_NOON, "factor_missing"),
        ({"cleaners"}, BADGE, MONDAY_NOON, ""),
        ({"cleaners"}, PIN, MONDAY_NOON, ""),
        ({"cleaners"}, BADGE, SUNDAY, "not_permitted"),
        ({"cleaners", "family"}, FACE, MONDAY_NOON, ""),
        ({"guests"}, FACE, berlin("2026-12-23T23:59"), "not_permitted"),
        ({"guests"}, FACE, berlin("2026-12-24T00:00"), ""),
        ({"guests"}, FACE, berlin("2026-12-26T23:59"), ""),
        ({"guests"}, FACE, berlin("2026-12-27T00:00"), "not_permitted"),
    ],
)
def test_a_door_lets_its_groups_in_at_their_times(
    groups: set[str], shown: tuple[Factor, ...], at: datetime, refusal: str
) -> None:
    assert policy().refusal(groups, shown, at) == refusal


def test_without_rules_everybody_enrolled_may_enter_with_a_face() -> None:
    assert policy({}).refusal((), FACE, SUNDAY) == ""


def test_times_are_those_of_the_door_wherever_the_daemon_runs() -> None:
    # 06:30 in UTC is 07:30 in Berlin in winter, 08:30 in summer.
    for text, refusal in (
        ("2026-11-30T05:59+00:00", "not_permitted"),
        ("2026-11-30T06:00+00:00", ""),
        ("2026-07-06T04:59+00:00", "not_permitted"),
        ("2026-07-06T05:00+00:00", ""),
    ):
        assert policy().refusal({"cleaners"}, BADGE, datetime.fromisoformat(text)) == refusal


@given(
    st.sets(st.sampled_from(["family", "cleaners", "guests", "others"])),
    st.sampled_from([FACE, BADGE, PIN]),
    st.integers(0, 2 * 366 * 24 * 60),
)
def test_more_shown_or_one_more_group_never_shuts_a_door(
    groups: set[str], shown: tuple[Factor, ...], minute: int
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    door = policy()
    if door.refusal(groups, FACE, at) == "":
        assert door.refusal(groups, shown, at) == ""
    if door.refusal(groups, shown, at) == "":
        assert door.refusal(groups | {"family"}, shown, at) == ""


def test_who_may_not_enter_is_rejected_and_named_by_nobody() -> None:
    verdict = Verdict("v1", "ada", 5.0, 2.0, liveness=Liveness.PASSED)
    refused = permitted(verdict, policy(), {"cleaners"}, SUNDAY)
    assert (refused.person_id, refused.reason) == (None, "not_permitted")
    assert refused.liveness is Liveness.PASSED
    assert permitted(verdict, policy(), {"family"}, SUNDAY) is verdict


def test_who_was_rejected_already_keeps_the_reason() -> None:
    verdict = Verdict("v1", None, 1.0, 2.0, "not_recognised")
    assert permitted(verdict, policy(), (), SUNDAY) is verdict


@pytest.mark.parametrize(
    ("rules", "claims"),
    [
        ([], ()),
        ([{"factors": ["badge+face"]}], (Factor.BADGE,)),
        ([{"factors": ["pin+face", "badge+face"]}], (Factor.BADGE, Factor.PIN)),
        ([{"groups": ["guests"], "factors": ["badge+face"]}, {"groups": ["family"]}], ()),
    ],
)
def test_a_door_always_claims_if_no_rule_lets_anybody_in_by_face_alone(
    rules: list[dict[str, object]], claims: tuple[Factor, ...]
) -> None:
    access = {"groups": ["family", "guests"], "rules": rules} if rules else {}
    assert policy({"access": access}).always_claims == bool(claims)
    assert policy({"access": access}).claims == claims
