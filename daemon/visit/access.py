"""Whether this person may come in here and now, with what was shown. Pure: time is passed in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from oneglance.access_config import AccessConfig, AccessRule, schedule_of
from oneglance.contract.messages import FACTOR_MISSING, NOT_PERMITTED, Factor
from oneglance.daemon.visit.decide import Verdict
from oneglance.schedule import Schedule, zone_of


@dataclass(frozen=True, slots=True)
class Permission:
    """Its `groups` (everybody if None) may come in at `times`, from `first` on and before `end`.

    One of `demands` must have been shown whole.
    """

    groups: frozenset[str] | None
    times: Schedule
    first: date
    end: date
    demands: tuple[frozenset[Factor], ...]

    def covers(self, groups: Collection[str], at: datetime, zone: ZoneInfo) -> bool:
        """Whether somebody in these groups may come in at that moment, if enough is shown."""
        if self.groups is not None and self.groups.isdisjoint(groups):
            return False
        return self.first <= at.astimezone(zone).date() < self.end and self.times.holds(at, zone)


@dataclass(frozen=True, slots=True)
class Policy:
    """What one door permits. A person may enter if at least one permission is fulfilled."""

    permissions: tuple[Permission, ...]
    zone: ZoneInfo

    @classmethod
    def of(cls, access: AccessConfig, timezone: str | None) -> Policy:
        """The policy of a section without mistakes; without rules everybody may enter by face."""
        rules = access.rules or (AccessRule(),)
        permissions = tuple(
            Permission(
                frozenset(rule.groups) if rule.groups else None,
                schedule_of(rule, access.schedules),
                rule.valid_from or date.min,
                rule.valid_until or date.max,
                tuple(_shown(demand) for demand in rule.factors),
            )
            for rule in rules
        )
        return cls(permissions, zone_of(timezone or "UTC"))

    @property
    def always_claims(self) -> bool:
        """Whether nobody may ever enter by face alone, so that no face need be searched for."""
        return all(demand > {Factor.FACE} for one in self.permissions for demand in one.demands)

    @property
    def claims(self) -> tuple[Factor, ...]:
        """By what visitors say who they are, where nobody may enter by face alone; else nothing."""
        if not self.always_claims:
            return ()
        asked = {factor for one in self.permissions for demand in one.demands for factor in demand}
        return tuple(factor for factor in (Factor.BADGE, Factor.PIN) if factor in asked)

    def refusal(self, groups: Collection[str], shown: Collection[Factor], at: datetime) -> str:
        """Why somebody of these groups who has `shown` that much may not enter; '' if they may."""
        covering = [one for one in self.permissions if one.covers(groups, at, self.zone)]
        if not covering:
            return NOT_PERMITTED
        if any(demand <= set(shown) for one in covering for demand in one.demands):
            return ""
        return FACTOR_MISSING


def permitted(verdict: Verdict, policy: Policy, groups: Collection[str], at: datetime) -> Verdict:
    """The verdict itself, or its rejection if the policy does not let that person in now."""
    if not verdict.accepted:
        return verdict
    refusal = policy.refusal(groups, verdict.shown, at)
    return replace(verdict, person_id=None, reason=refusal) if refusal else verdict


def _shown(demand: str) -> frozenset[Factor]:
    return frozenset(Factor(part) for part in demand.split("+"))
