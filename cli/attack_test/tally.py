"""The result of attempts at a door: APCER by kind and BPCER (ISO/IEC 30107-3). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from oneglance.contract.messages import Liveness
from oneglance.daemon.visit.decide import Verdict
from oneglance.faces.evaluation.metrics import exact_95

FORMAT = "attack-test-1"


class Kind(StrEnum):
    """What is shown to the camera: `visit` is a person, all others are attacks."""

    VISIT = "visit"
    PRINT = "print"
    PHONE = "phone"
    TABLET = "tablet"
    REPLAY = "replay"


class Answer(StrEnum):
    """How the door judged an attempt."""

    PASSED = "passed"
    REFUSED = "refused"
    NOT_RECOGNISED = "not_recognised"
    NO_DECISION = "no_decision"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt: `reason` is the decision's, or empty; `after_s` counts from first sight."""

    kind: Kind
    answer: Answer
    reason: str = ""
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """Attempts of one kind: an error is an attack that passed, or a visitor who did not.

    Only `recognised` attempts count towards the rate: those that matching refused were never judged
    by liveness.
    """

    attempts: int
    recognised: int
    errors: int
    rate: float | None
    rate_95: tuple[float, float]


def answer_of(verdict: Verdict | None) -> Answer:
    """What liveness said, whether or not that person may enter at this time."""
    if verdict is None:
        return Answer.NO_DECISION
    match verdict.liveness:
        case Liveness.PASSED:
            return Answer.PASSED
        case Liveness.FAILED:
            return Answer.REFUSED
        case Liveness.NOT_REQUIRED:
            return Answer.NOT_RECOGNISED


def figures(attempts: Sequence[Attempt], kind: Kind) -> Figures:
    """The figures of one kind."""
    of_kind = [attempt.answer for attempt in attempts if attempt.kind is kind]
    passed, refused = of_kind.count(Answer.PASSED), of_kind.count(Answer.REFUSED)
    recognised = passed + refused
    errors = refused if kind is Kind.VISIT else passed
    low, high = exact_95(errors, recognised)
    return Figures(
        len(of_kind),
        recognised,
        errors,
        round(errors / recognised, 4) if recognised else None,
        (round(low, 4), round(high, 4)),
    )


def report(attempts: Sequence[Attempt], about: dict[str, Any]) -> dict[str, Any]:
    """All results, ready for JSON, without pictures or names.

    `apcer` is that of the kind that passes most often, as the standard defines it.
    """
    shown = [kind for kind in Kind if any(attempt.kind is kind for attempt in attempts)]
    kinds = {kind.value: figures(attempts, kind) for kind in shown}
    rates = [f.rate for name, f in kinds.items() if name != Kind.VISIT and f.rate is not None]
    visits = kinds.get(Kind.VISIT)
    return {
        "format": FORMAT,
        **about,
        "bpcer": None if visits is None else visits.rate,
        "apcer": max(rates, default=None),
        "kinds": {name: asdict(found) for name, found in kinds.items()},
        "attempts": [asdict(attempt) for attempt in attempts],
    }
