"""Judge a soak: openings, recoveries, and whether anything grows. Pure but for `read`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# The lock's log and the audit log use the same clock, read a moment apart.
SLACK_S = 0.5
LIFETIME_S = 5.0
# A visitor comes every few seconds; a watchdog may take 20 s to notice a hanging process.
RECOVERY_S = 120.0
BLOCKS = 24
BOOTSTRAPS = 4000
# How long libraries, caches and the log's first pages may take to fill a process's memory.
WARM_UP_S, WARM_UP_PART = 300.0, 0.25


@dataclass(frozen=True, slots=True)
class Measure:
    """What is watched for growth: its field in a sample, and its unit.

    Less than `resolution`, or than this `share` of the value, is not called growth.
    """

    name: str
    unit: str
    resolution: float
    share: float = 0.0


MEASURES = (
    # Pages that the allocator keeps after a model is loaded again: 25 reloads came to 8 MB, most of
    # them to none.
    Measure("own_mb", "MB", 1.0, share=0.05),
    Measure("fds", "descriptors", 1.0),
    Measure("threads", "threads", 1.0),
)
LATENCY = Measure("latency_s", "s", 0.05)


@dataclass(frozen=True, slots=True)
class Slope:
    """A line through one measure of one process's life: growth an hour with its 95 % interval.

    `noise` is how far the means of blocks scatter around the line, in the measure's unit.
    """

    what: str
    unit: str
    hours: float
    median: float
    per_hour: float
    lower: float
    upper: float
    noise: float
    resolution: float

    @property
    def grows(self) -> bool:
        """Whether it grew by more than noise, with 97.5 % confidence."""
        return self.lower * self.hours > max(self.noise, self.resolution)


def slope(
    what: str, measure: Measure, at_s: Sequence[float], values: Sequence[float], seed: int = 0
) -> Slope | None:
    """The line through `values`; neighbours are alike, so it goes through means of BLOCKS blocks.

    The interval is that of the bootstrap over blocks. None with fewer than two values a block.
    """
    if len(values) < 2 * BLOCKS:
        return None
    hours = np.array(at_s) / 3600.0
    times = np.array([part.mean() for part in np.array_split(hours, BLOCKS)])
    means = np.array([part.mean() for part in np.array_split(np.array(values, float), BLOCKS)])
    line = np.polyfit(times, means, 1)
    chance = np.random.default_rng(seed)
    drawn = chance.integers(0, BLOCKS, (BOOTSTRAPS, BLOCKS))
    x, y = times[drawn], means[drawn]
    x = x - x.mean(1, keepdims=True)
    slopes = (x * y).sum(1) / np.maximum((x * x).sum(1), 1e-12)
    lower, upper = np.quantile(slopes, (0.025, 0.975))
    return Slope(
        what,
        measure.unit,
        float(hours[-1] - hours[0]),
        float(np.median(values)),
        float(line[0]),
        float(lower),
        float(upper),
        float((means - np.polyval(line, times)).std(ddof=2)),
        max(measure.resolution, measure.share * float(np.median(values))),
    )


def longest_life(samples: Sequence[Mapping[str, Any]], service: str) -> list[Mapping[str, Any]]:
    """The samples of the process of `service` that lived longest, without its warm-up."""
    lives: dict[int, list[Mapping[str, Any]]] = {}
    for sample in samples:
        if sample["service"] == service:
            lives.setdefault(sample["pid"], []).append(sample)
    life = max(lives.values(), key=lambda life: life[-1]["at_s"] - life[0]["at_s"], default=[])
    if not life:
        return []
    lived_s = life[-1]["at_s"] - life[0]["at_s"]
    from_s = life[0]["at_s"] + min(WARM_UP_S, WARM_UP_PART * lived_s)
    return [sample for sample in life if sample["at_s"] >= from_s]


def latencies(
    visits: Sequence[Mapping[str, Any]], decisions: Sequence[Mapping[str, Any]], known: str
) -> list[tuple[float, float]]:
    """For each accepted visit of the `known` person: when it began and how long it took, in s."""
    accepted = sorted(d["heard_s"] for d in decisions if d["outcome"] == "accepted")
    starts = [visit["at_s"] for visit in visits]
    found, index = [], 0
    for number, visit in enumerate(visits):
        end = starts[number + 1] if number + 1 < len(starts) else float("inf")
        while index < len(accepted) and accepted[index] < visit["at_s"]:
            index += 1
        if visit["who"] == known and index < len(accepted) and accepted[index] < end:
            found.append((visit["at_s"], accepted[index] - visit["at_s"]))
    return found


def wrong_openings(
    openings: Sequence[tuple[float, str]], audited: Mapping[str, tuple[float, str]]
) -> list[tuple[float, str]]:
    """Openings (wall clock in s, event) without an accepted decision of their own within its life.

    `audited`: of each event of the audit log, when it was decided and the outcome.
    """
    wrong, seen = [], set()
    for at, event in openings:
        decided_at, outcome = audited.get(event, (0.0, ""))
        fresh = -SLACK_S <= at - decided_at <= LIFETIME_S + SLACK_S
        if outcome != "accepted" or not fresh or event in seen:
            wrong.append((at, event))
        seen.add(event)
    return wrong


@dataclass(frozen=True, slots=True)
class Soak:
    """Everything recorded in a run."""

    run: Mapping[str, Any]
    samples: list[dict[str, Any]]
    faults: list[dict[str, Any]]
    visits: list[dict[str, Any]]
    decisions: list[dict[str, Any]]

    @property
    def seconds(self) -> float:
        """How long the run took, by the samples, which even an interrupted run has."""
        return float(self.samples[-1]["at_s"] - self.samples[0]["at_s"]) if self.samples else 0.0


def read(folder: Path) -> Soak:
    """Read a run's folder."""

    def lines(name: str) -> list[dict[str, Any]]:
        file = folder / f"{name}.jsonl"
        text = file.read_text() if file.exists() else ""
        # The last line of an interrupted run may be incomplete.
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    run = json.loads((folder / "run.json").read_text())
    # Runs before 30 November 2026 recorded all resident pages, including those of files.
    samples = [{"own_mb": each.get("rss_mb"), **each} for each in lines("samples")]
    return Soak(run, samples, *(lines(name) for name in ("faults", "visits", "decisions")))


def slopes(soak: Soak) -> list[Slope]:
    """Everything that could grow, in the door's own processes and in its answers.

    Measures with too few values in a short run are left out.
    """
    found: list[Slope | None] = []
    for service in ("daemon", "lock"):
        life = longest_life(soak.samples, service)
        at_s = [sample["at_s"] for sample in life]
        for measure in MEASURES:
            values = [sample[measure.name] for sample in life]
            found.append(slope(f"{service}, {measure.name}", measure, at_s, values))
    quiet = undisturbed(latencies(soak.visits, soak.decisions, soak.run["known"]), soak.faults)
    at_s, values = [at for at, _ in quiet], [value for _, value in quiet]
    found.append(slope("visit to decision", LATENCY, at_s, values))
    return [one for one in found if one is not None]


def undisturbed(
    values: Sequence[tuple[float, float]], faults: Sequence[Mapping[str, Any]]
) -> list[tuple[float, float]]:
    """Those that fall neither into a fault nor within 5 s after one."""
    spans = [(fault["began_s"], fault["back_s"] + 5.0) for fault in faults]
    return [one for one in values if not any(begin <= one[0] <= end for begin, end in spans)]


def complaints(soak: Soak, found: Sequence[Slope]) -> list[str]:
    """Why the run has failed, a line each; empty if it has not."""
    run = soak.run
    said = [f"opened without a valid fresh decision: {event}" for _, event in run["wrong"]]
    said += [f"said on the wire, not in the audit log: {event}" for event in run["unlogged"]]
    said += [f"log: {line}" for line in run["tracebacks"]]
    said += [
        f"{fault['kind']}: no recovery within {RECOVERY_S:g} s"
        for fault in soak.faults
        if fault["outage_s"] is None
    ]
    if not run["audit_verified"]:
        said.append("the audit log does not verify")
    if not run["openings"]:
        said.append("the lock never opened")
    if len(found) < 2 * len(MEASURES) + 1:
        said.append("too short to see whether anything grows")
    said += [
        f"{one.what} grows by {one.per_hour:.3g} {one.unit} an hour"
        f" ({one.lower:.3g} to {one.upper:.3g}), noise {one.noise:.2g}"
        for one in found
        if one.grows
    ]
    return said
