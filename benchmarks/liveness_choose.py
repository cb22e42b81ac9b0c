"""Films to choose by: what liveness measures at each look, so that rules can be tried on them.

    python benchmarks/liveness_choose.py --data ../shared/data --films 10 --cases chosen.jsonl

The daemon's own pipeline watches rendered films of people of LFW fold 7, of whom the weights know
nothing, in the two styles of the fit in turn; nobody is let in or turned away before their patience
is over, or before it is clear what any rule would say. Each film is one line of --cases, written as
soon as it is watched; what is there already is not made again. The table shows what thresholds
would do with all these films, and how long visitors would wait.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from attacks import GENUINE_KINDS, PASSIVE, ROUND, Door, Plan, Studio
from numpy.typing import NDArray
from rich.progress import track

from oneglance.faces.liveness.fusion import Fusion, Judgement, Verdict, read_fusion
from oneglance.faces.liveness.judge import Liveness, gathered
from oneglance.faces.liveness.manifest import default_folder, read_liveness
from oneglance.faces.liveness.trace import KEPT_S, MOST_LOOKS, Trace
from oneglance.training.liveness.film import ATTACK_KINDS
from oneglance.training.liveness.styles import FIT, ROUGH

FIRST_SEED = 30000
# On this all rules agree: so many looks in a row beyond these log odds.
SURE_ALIVE, SURE_PICTURE, SURE_LOOKS = 2.6, -2.2, 2
# The thresholds in the table: log odds at which to pass.
PASSES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.45, 1.75, 2.0)
# A visit is judged one last time when its patience is over.
PATIENCE_S = 3.1


@dataclass(frozen=True, slots=True)
class Look:
    """The cues measured at one look; `anew` if earlier looks no longer count.

    `asked` says that the look could have let somebody in: the face was recognised.
    """

    at_s: float
    anew: bool
    asked: bool
    cues: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Watched:
    """One film: the looks of its first visit."""

    seed: int
    kind: str
    style: str
    person: str
    looks: tuple[Look, ...]

    @property
    def attack(self) -> bool:
        """Whether no living person was there."""
        return self.kind in ATTACK_KINDS

    @property
    def matched(self) -> bool:
        """Whether the face was recognised, so that liveness had a say."""
        return any(look.asked for look in self.looks)


class Patient(Liveness):
    """The daemon's judge, which notes each look and never decides; `sure` once all rules agree."""

    def __init__(self, judge: Liveness) -> None:
        super().__init__(judge.texture, judge.fusion)
        self.looks: list[Look] = []
        self._clear = 0

    @property
    def sure(self) -> bool:
        """Whether all rules would say the same."""
        return self._clear >= SURE_LOOKS

    def look(
        self,
        trace: Trace,
        pixels: NDArray[np.uint8],
        points: NDArray[np.floating],
        at_s: float,
    ) -> None:
        """As the daemon's judge does."""
        anew = not trace.looks
        super().look(trace, pixels, points, at_s)
        cues = {k: round(v, 4) for k, v in trace.looks[-1].items() if math.isfinite(v)}
        self.looks.append(Look(round(at_s, 3), anew, False, cues))

    def judge(self, trace: Trace, at_s: float) -> Judgement:
        """Undecided."""
        found = super().judge(trace, at_s)
        if self.looks and not self.looks[-1].asked:
            self.looks[-1] = replace(self.looks[-1], asked=True)
            alive = found.log_odds >= SURE_ALIVE and not self.fusion.held(found.cues)
            clear = alive or found.log_odds <= SURE_PICTURE
            clear = clear and self.fusion.enough(found.cues)
            self._clear = self._clear + 1 if clear else 0
        return Judgement(found.log_odds, Verdict.UNDECIDED, found.cues)


def watch(studio: Studio, style: str, seed: int, kind: str) -> Watched:
    """Watch one film."""
    film, enrolled = studio.film(seed, kind)
    door = Door(enrolled, PASSIVE)
    judge = door.pipeline.liveness
    assert judge is not None
    door.pipeline.liveness = patient = Patient(judge)
    for index, at_s in enumerate(film.at_s.tolist()):
        pixels, _ = film.take(index)
        door.see(pixels, at_s, index)
        if door.outcome.answers or patient.sure:
            break
    return Watched(seed, kind, style, enrolled.names["shown"], tuple(patient.looks))


def read_cases(file: Path) -> dict[int, Watched]:
    """The lines of a file of cases, by seed."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []

    def film(body: dict[str, Any]) -> Watched:
        return Watched(**{**body, "looks": tuple(Look(**look) for look in body["looks"])})

    return {one.seed: one for one in map(film, map(json.loads, lines))}


def make_cases(data: Path, file: Path, plan: Plan) -> None:
    """Make and watch those films of a plan that are missing, while there is time."""
    there = read_cases(file)
    todo = [(seed, kind) for seed, kind in plan.films() if seed not in there]
    if not todo:
        return
    until_s = time.monotonic() + plan.seconds
    studios = [(style.name, Studio(data, "threshold", style)) for style in (FIT, ROUGH)]
    with file.open("a", encoding="utf-8") as out:
        for seed, kind in track(todo, "films", auto_refresh=sys.stdout.isatty()):
            if time.monotonic() > until_s:
                break
            # Each kind is made in either style.
            round_of, place = divmod(seed - plan.first_seed, len(ROUND))
            style, studio = studios[(place + round_of) % 2]
            out.write(json.dumps(asdict(watch(studio, style, seed, kind))) + "\n")
            out.flush()


# --- what rules make of it


def stages(film: Watched, fusion: Fusion) -> Iterator[tuple[float, Judgement]]:
    """The log odds of each look that could have let somebody in, by seconds since the first."""
    held: list[Look] = []
    for look in film.looks:
        kept = [] if look.anew else [one for one in held if look.at_s - one.at_s <= KEPT_S]
        held = [*kept, look][-MOST_LOOKS:]
        if look.asked:
            told = gathered([one.cues for one in held])
            yield look.at_s - film.looks[0].at_s, fusion.weigh(told)


def passed_after(film: Watched, fusion: Fusion, passes: float) -> float:
    """After how many seconds somebody reaches `passes` within their patience; inf if never."""
    for at_s, found in stages(film, fusion):
        if at_s > PATIENCE_S:
            break
        could = fusion.enough(found.cues) and not fusion.held(found.cues)
        if could and found.log_odds >= passes:
            return at_s
        if found.verdict is Verdict.FAILED:
            break
    return math.inf


def table(films: Iterable[Watched], fusion: Fusion) -> str:
    """What rules would do with these films, as a Markdown table."""
    matched = [film for film in films if film.matched]
    visits = [film for film in matched if not film.attack]
    attacks = [film for film in matched if film.attack]
    lines = ["| passes at | visits lost | attacks passed | median, 95 % of visits |"]
    lines.append("|---|---|---|---|")
    for passes in PASSES:
        ends = [passed_after(film, fusion, passes) for film in visits]
        won = sum(passed_after(film, fusion, passes) < math.inf for film in attacks)
        known = [end for end in ends if end < math.inf]
        waits = "{:.2f}, {:.2f} s".format(*np.quantile(known, [0.5, 0.95])) if known else "-"
        lost = f"{len(ends) - len(known)} of {len(ends)}"
        lines.append(f"| {passes} | {lost} | {won} of {len(attacks)} | {waits} |")
    return "\n".join(lines)


def main() -> None:
    """Make the films, print what rules would do with them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with lfw_folds1-8.zip and its people")
    parser.add_argument("--films", type=int, default=10, help="rounds of 21: 15 attacks, 6 visits")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--kinds", default=",".join((*ATTACK_KINDS, *GENUINE_KINDS)))
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no film after so long")
    parser.add_argument("--cases", type=Path, required=True, help="JSON lines; appended to")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    if chosen.data is not None:
        kinds: Sequence[str] = chosen.kinds.split(",")
        plan = Plan(chosen.first_seed, chosen.films, slice(None), kinds, chosen.seconds)
        make_cases(chosen.data, chosen.cases, plan)
    fusion = read_fusion(read_liveness(default_folder()).fusion, "the shipped model")
    print(table(read_cases(chosen.cases).values(), fusion))


if __name__ == "__main__":
    main()
