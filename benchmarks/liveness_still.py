"""What keeping still below the head is worth as a reason to hold a face back.

    python benchmarks/liveness_still.py films --data ../shared/data --cases still_fit.jsonl \\
        --people fit --first-seed 80000 --rounds 6
    python benchmarks/liveness_still.py films --data ../shared/data --cases still_chosen.jsonl \\
        --people threshold --first-seed 82000 --rounds 5
    python benchmarks/liveness_still.py films --data ../shared/data --cases still_checks.jsonl \\
        --people threshold --first-seed 126000 --rounds 6 --checks
    python benchmarks/liveness_still.py hold --cases still_chosen.jsonl

The films are watched as those of liveness_choose.py are. There are screens among them that nobody
holds, heads that were cut out, and visitors who keep calmer than the renderer has them; with
--checks there are only visitors, in checked cloth, which shows whether it moves, and half of them
calm. `hold` shows what films would pass if a face were held back above other values of `still`.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from attacks import PASSIVE, Door, Studio
from liveness_choose import Patient, Watched, passed_after, read_cases
from rich.progress import track

from oneglance.faces.liveness.fusion import Fusion, read_fusion
from oneglance.faces.liveness.manifest import default_folder, read_liveness
from oneglance.training.liveness.film import APART_KINDS, PRINT_KINDS
from oneglance.training.liveness.render import Scene
from oneglance.training.liveness.styles import FIT, JUDGE, ROUGH
from oneglance.training.liveness.warp import Texture

# A visit whose body moves by less than a third as far as the renderer has it.
CALM_KIND, CALM = "visit_calm", 0.3
# In cloth of which every part would be seen to keep still, unlike the renderer's own.
CHECKED_KINDS = ("visit_checked", "visit_calm_checked")
CALM_KINDS = (CALM_KIND, CHECKED_KINDS[1])
CHECKED_ROUND = (*CHECKED_KINDS, *reversed(CHECKED_KINDS))
_CLOTH_BELOW = 1.8
_PRINT = "one print after the other"
ROUND = (
    *("visit", "phone_standing", "tablet_standing", "visit", "phone_replay", "print_cut_out"),
    *("visit_two_photos", "tablet_standing", _PRINT, "visit", "phone_standing", "tablet_replay"),
    *("visit", "phone_photo", "print_cut_out", "visit_two_photos", "phone_replay", _PRINT),
    *("tablet_standing", CALM_KIND, "tablet_replay", "phone_standing", "tablet_photo", CALM_KIND),
)
# Nobody is watched for longer than this after the first look.
WATCHED_S = 3.2
# Values of `still` above which nobody passes; 1 holds nobody.
HOLDS = (1.0, 0.3, 0.2, 0.15, 0.1, 0.05, 0.02)


def planned(number: int, *, checks: bool = False) -> str:
    """The kind of the film with this number, counted from the first."""
    if checks:
        return CHECKED_ROUND[number % len(CHECKED_ROUND)]
    round_of, place = divmod(number, len(ROUND))
    if ROUND[place] != _PRINT:
        return ROUND[place]
    second = place > ROUND.index(_PRINT)
    return PRINT_KINDS[(2 * round_of + second) % len(PRINT_KINDS)]


def calmed(film: Scene) -> None:
    """Let the body of a visitor keep nearly still; the head turns as before."""
    head = film.head
    assert head is not None
    head.calm(CALM)


def dressed(film: Scene, rng: np.random.Generator) -> None:
    """Put a visitor into checked cloth, which moves as their body does."""
    head = film.head
    assert head is not None
    whole = head.portrait.person_only
    layers = whole.levels[0].astype(np.float32)
    rows, columns = np.indices(layers.shape[:2]) / whole.unit_px
    down, right = rows - whole.origin[1] / whole.unit_px, columns - whole.origin[0] / whole.unit_px
    side, depth = rng.uniform(0.25, 0.8), rng.uniform(0.12, 0.3)
    checks = np.sign(np.sin(2 * np.pi * right / side)) + np.sign(np.sin(2 * np.pi * down / side))
    shades = 1 + depth * checks * np.clip((down - _CLOTH_BELOW) / 0.2, 0, 1)
    layers[..., :3] *= shades[..., None]
    texture = Texture(np.clip(layers, 0, 255).astype(np.uint8), whole.origin, whole.unit_px)
    head.portrait = replace(head.portrait, person_only=texture)


def watch(studio: Studio, style: str, seed: int, kind: str) -> Watched:
    """Watch one film for as long as a visitor has patience."""
    made = "visit" if kind in (CALM_KIND, *CHECKED_KINDS) else kind
    film, enrolled = studio.film(seed, made)
    if kind in CALM_KINDS:
        calmed(film)
    if kind in CHECKED_KINDS:
        dressed(film, np.random.default_rng([seed, 3]))
    door = Door(enrolled, PASSIVE)
    judge = door.pipeline.liveness
    assert judge is not None
    door.pipeline.liveness = patient = Patient(judge)
    for index, at_s in enumerate(film.at_s.tolist()):
        pixels, _ = film.take(index)
        door.see(pixels, at_s, index)
        looks = patient.looks
        if door.outcome.answers or (looks and 1 + at_s - looks[0].at_s > WATCHED_S):
            break
    return Watched(seed, kind, style, enrolled.names["shown"], tuple(patient.looks))


def make_films(
    data: Path, part: str, first_seed: int, rounds: int, file: Path, *, checks: bool = False
) -> None:
    """Make and watch those films that are missing, and append a line for each."""
    length = len(CHECKED_ROUND if checks else ROUND)
    there = read_cases(file)
    styles = (JUDGE,) if part == "judge" else (FIT, ROUGH)
    studios = [(style.name, Studio(data, part, style)) for style in styles]
    numbers = [n for n in range(rounds * length) if first_seed + n not in there]
    with file.open("a", encoding="utf-8") as out:
        for number in track(numbers, "films", auto_refresh=sys.stdout.isatty()):
            # Each kind is made in either style.
            round_of, place = divmod(number, length)
            style, studio = studios[(place + round_of) % len(studios)]
            kind = planned(number, checks=checks)
            film = watch(studio, style, first_seed + number, kind)
            out.write(json.dumps(asdict(film)) + "\n")
            out.flush()


def judged(films: Iterable[Watched], fusion: Fusion, passes: float) -> tuple[str, list[float]]:
    """What becomes of films: of each group how many passed, and the seconds visits took."""
    groups: dict[str, list[float]] = {}
    for film in films:
        if film.matched:
            groups.setdefault(_group(film), []).append(passed_after(film, fusion, passes))
    told = [
        f"{sum(end < math.inf for end in ends)} of {len(ends)}"
        for _, ends in sorted(groups.items())
    ]
    known = [end for end in groups.get(_VISITS, []) if end < math.inf]
    return " | ".join(told), known


_VISITS = "1 visits"


def _group(film: Watched) -> str:
    """In the order of the table."""
    if film.kind.startswith("visit"):
        return "2 calm visits" if film.kind in CALM_KINDS else _VISITS
    if film.kind in APART_KINDS:
        return {"phone_standing": "3", "tablet_standing": "4"}.get(film.kind, "5") + film.kind
    return "6 other attacks"


def held_table(films: Sequence[Watched], fusion: Fusion) -> str:
    """What becomes of films if a face is held back above other values of `still`, as Markdown."""
    names = [name[1:].strip() for name in sorted({_group(film) for film in films if film.matched})]
    lines = [f"| held above | {' | '.join(names)} | visits' median, 95 % |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for limit in HOLDS:
        there = Fusion(fusion.document.model_copy(update={"holds": {"still": limit}}))
        told, known = judged(films, there, fusion.document.passes)
        waits = "{:.2f}, {:.2f} s".format(*np.quantile(known, [0.5, 0.95])) if known else "-"
        lines.append(f"| {limit} | {told} | {waits} |")
    return "\n".join(lines)


def main() -> None:
    """Make films, or show what limits do with them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("films", "hold"))
    parser.add_argument("--cases", type=Path, required=True, help="JSON lines, appended to")
    parser.add_argument("--data", type=Path, help="folder with lfw_folds1-8.zip and its people")
    parser.add_argument("--people", default="fit", choices=("fit", "threshold", "judge"))
    parser.add_argument("--first-seed", type=int, default=80000)
    parser.add_argument("--rounds", type=int, default=6, help=f"of {len(ROUND)} films")
    parser.add_argument("--checks", action="store_true", help="only visitors, in checked cloth")
    parser.add_argument(
        "--folder", type=Path, default=default_folder(), help="of the model that judges"
    )
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    if chosen.step == "films":
        make_films(
            *(chosen.data, chosen.people, chosen.first_seed, chosen.rounds, chosen.cases),
            checks=chosen.checks,
        )
        return
    films = list(read_cases(chosen.cases).values())
    fusion = read_fusion(read_liveness(chosen.folder).fusion, str(chosen.folder))
    print(held_table(films, fusion))


if __name__ == "__main__":
    main()
