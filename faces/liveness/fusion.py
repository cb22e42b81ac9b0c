"""Weighs the cues of one face together: log odds, by the weights in the manifest.

Each cue adds what the manifest's table says for its value; the tables were fitted together on
rendered films (docs/liveness.md), as the terms of one logistic model. A cue that could not be
measured adds nothing. By some cues a face is held back instead, for as long as they last. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from oneglance.errors import ModelError
from oneglance.faces.model.document import Part, parse_part
from oneglance.faces.model.manifest import FIX

# No table may say more than this for one cue: one witness alone must not outweigh all others.
MOST_ODDS = 8.0

CueName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=40)]
Number = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Odds = Annotated[float, Field(ge=-MOST_ODDS, le=MOST_ODDS, allow_inf_nan=False)]


class Table(Part):
    """What a cue adds to the log odds: straight lines between points, constant beyond the ends."""

    at: Annotated[tuple[Number, ...], Field(min_length=2, max_length=16)] = Field(
        description="values of the cue, rising"
    )
    odds: Annotated[tuple[Odds, ...], Field(min_length=2, max_length=16)] = Field(
        description="what each of them adds; positive speaks for a living face"
    )

    @model_validator(mode="after")
    def _a_curve(self) -> Self:
        if len(self.at) != len(self.odds):
            raise ValueError("at and odds are of different lengths")
        if any(b <= a for a, b in zip(self.at, self.at[1:], strict=False)):
            raise ValueError("at does not rise")
        return self


class FusionDocument(Part):
    """The manifest's `fusion`: tables by cue, and the log odds that pass or fail a face."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["fusion-1"]
    bias: Number = Field(description="the log odds where nothing could be measured")
    cues: Annotated[Mapping[CueName, Table], Field(min_length=1, max_length=64)]
    needs: Annotated[tuple[CueName, ...], Field(max_length=16)] = Field(
        description="cues without which no face passes, whatever the others say"
    )
    holds: Annotated[Mapping[CueName, Number], Field(max_length=16)] = Field(
        default={}, description="while a cue is above this, no face passes; nor does it fail by it"
    )
    passes: Number = Field(description="at or above these log odds a face is taken for alive")
    fails: Number = Field(
        description="at or below these it is taken for a picture, once it could have passed"
    )
    fitted_on: Mapping[str, JsonValue]

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if not self.fails < self.passes:
            raise ValueError("fails does not lie below passes")
        if not self.passes > self.bias:
            raise ValueError("a face of which nothing was measured would pass")
        if not set(self.needs) <= set(self.cues):
            raise ValueError("needs names a cue that has no table")
        return self


class Verdict(Enum):
    """What the evidence so far amounts to."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The log odds of a living face against a picture of one, and what that comes to.

    `cues` holds what was measured, by name, NaN where nothing was; for logs and figures.
    """

    log_odds: float
    verdict: Verdict
    cues: Mapping[str, float]

    @property
    def passed(self) -> bool:
        """Whether a living face was seen: nothing else may open a door."""
        return self.verdict is Verdict.PASSED


class Fusion:
    """The tables of one manifest, ready to weigh cues."""

    def __init__(self, document: FusionDocument) -> None:
        self.document = document
        self._tables = {
            name: (np.asarray(table.at), np.asarray(table.odds))
            for name, table in document.cues.items()
        }

    @property
    def cues(self) -> frozenset[str]:
        """The names of the cues that it weighs or holds by."""
        return frozenset({*self._tables, *self.document.holds})

    def evidence(self, cues: Mapping[str, float]) -> dict[str, float]:
        """What each cue adds to the log odds; 0 for one that is missing or not a number."""
        return {name: self._of(name, cues.get(name, math.nan)) for name in self._tables}

    def weigh(self, cues: Mapping[str, float]) -> Judgement:
        """The judgement that follows from the cues. A cue without a table does not count."""
        log_odds = self.document.bias + math.fsum(self.evidence(cues).values())
        if not self.enough(cues):
            verdict = Verdict.UNDECIDED
        elif log_odds >= self.document.passes:
            verdict = Verdict.UNDECIDED if self.held(cues) else Verdict.PASSED
        elif log_odds <= self.document.fails:
            verdict = Verdict.FAILED
        else:
            verdict = Verdict.UNDECIDED
        return Judgement(log_odds, verdict, dict(cues))

    def enough(self, cues: Mapping[str, float]) -> bool:
        """Whether everything that passing requires was measured."""
        return all(math.isfinite(cues.get(name, math.nan)) for name in self.document.needs)

    def held(self, cues: Mapping[str, float]) -> bool:
        """Whether a cue is so high that no face passes by all the others yet."""
        return any(cues.get(name, math.nan) > most for name, most in self.document.holds.items())

    def _of(self, name: str, value: float) -> float:
        if not math.isfinite(value):
            return 0.0
        return float(np.interp(value, *self._tables[name]))


def read_fusion(document: Mapping[str, Any] | None, where: str) -> Fusion:
    """The fusion of a manifest's `fusion` object; ModelError, naming `where`, for any other."""
    if document is None:
        raise ModelError(
            "the liveness model has no fusion: it judges nothing", where=where, fix=FIX
        )
    try:
        return Fusion(parse_part(FusionDocument, document))
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(
            f"the fusion of the liveness model is not of the known shape ({error})",
            where=where,
            fix=FIX,
        ) from error
