"""What a trunk below the head is worth as evidence: films to fit its table to, and to choose by.

    python benchmarks/liveness_trunk.py films --data ../shared/data --cases trunk_fit.jsonl \\
        --people fit --first-seed 80000 --rounds 6
    python benchmarks/liveness_trunk.py films --data ../shared/data --cases trunk_chosen.jsonl \\
        --people threshold --first-seed 82000 --rounds 5
    python benchmarks/liveness_trunk.py films --data ../shared/data --cases trunk_checks.jsonl \\
        --people threshold --first-seed 126000 --rounds 6 --checks
    python benchmarks/liveness_trunk.py hold --cases trunk_chosen.jsonl
    python benchmarks/liveness_trunk.py fit --cases trunk_fit.jsonl --chosen-on trunk_chosen.jsonl
    python benchmarks/liveness_trunk.py recording --cases ../shared/data/hamilton_clip.mp4

The films are watched as those of liveness_choose.py are. There are screens among them that nobody
holds, heads that were cut out, and visitors who keep calmer than the renderer has them; with
--checks there are only visitors, in checked cloth, which shows whether it moves, and half of them
calm. `hold` shows what films would pass if a face were held back above other values of `still`.
`fit` leaves the tables of all other cues as they are, fits one for `trunk` on top of what they
say, and shows what thresholds would do with the films of --chosen-on; --write puts it into the
model of --folder, for doors with `liveness.strict`.
`recording` tells how much of a real person's trunk moves, and how much of the wall beside it.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from attacks import PASSIVE, Door, Studio
from liveness_choose import Patient, Watched, passed_after, read_cases, stages
from rich.progress import track

from oneglance.daemon.camera.recordings import Video
from oneglance.faces.find.align import MAX_DOUBT, box_around
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.liveness import motion
from oneglance.faces.liveness.fusion import Fusion, read_fusion
from oneglance.faces.liveness.manifest import default_folder, read_liveness
from oneglance.faces.liveness.trace import Trace
from oneglance.faces.model.face_model import load_model
from oneglance.training.liveness.film import PRINT_KINDS
from oneglance.training.liveness.fit import Sample, Shape, fit_tables, write_fusion
from oneglance.training.liveness.render import Scene
from oneglance.training.liveness.styles import FIT, JUDGE, ROUGH
from oneglance.training.liveness.warp import Texture

CUE = "trunk"
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
SHAPE = Shape(rises=True, points=6)
# What each kind of film counts in the fit; all others share the rest. Calm visits judge only.
SHARES = {"phone_standing": 0.075, "tablet_standing": 0.075, "print_cut_out": 0.05}
SHARES |= dict.fromkeys((CALM_KIND, *CHECKED_KINDS), 0.0)
VISITS, OTHERS = 0.5, 0.3
# Of a recording: the smallest face, and how often a line is printed.
RECORDED_PX, RECORDED_EVERY_S = 45.0, 0.2
# The thresholds in the table: log odds at which to pass, and to fail.
PASSES, FAILS = (0.75, 1.0, 1.25), (-0.7, -1.5, -2.5)
# And those of `still` above which nobody passes; 1 holds nobody.
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


def recorded(file: Path) -> Iterator[str]:
    """A line every fifth of a second of a real film: what moved below and beside its largest face.

    A film that pans or cuts has moments only that tell: where `unrest` is small.
    """
    detector, model, camera = FaceDetector(), load_model(), Video(file)
    fps = camera.fps or 25.0
    trace, points, index = Trace(), None, -1
    while (pixels := camera.read()) is not None:
        index += 1
        if points is None:
            trace = Trace()
            boxes = detector.find_still_all(pixels, min_face_px=RECORDED_PX)
            if not boxes:
                continue
            found = model.locate(pixels, [max(boxes, key=lambda box: box.width)])
        else:
            found = model.relocate(pixels, [points])
        points = found.points[0] if found.doubts[0] <= MAX_DOUBT else None
        if points is None:
            continue
        trace.see(pixels, points, index / fps)
        cues = motion.measure(trace.glances)
        if index % round(fps * RECORDED_EVERY_S) == 0 and math.isfinite(cues[CUE]):
            yield (
                f"{index / fps:5.1f} s: face {box_around(points).width:3.0f} px,"
                f" {CUE} {cues[CUE]:.2f}, still {cues['still']:.2f}, unrest {cues['unrest']:.2f}"
            )


# --- the fit


def others(fusion: Fusion) -> Fusion:
    """What all cues but `trunk` say."""
    document = fusion.document
    cues = {name: table for name, table in document.cues.items() if name != CUE}
    return Fusion(document.model_copy(update={"cues": cues}))


def samples_of(films: Iterable[Watched], told_by: Fusion) -> Iterator[Sample]:
    """Every stage of every film that was recognised, with what other cues say of it."""
    matched = [film for film in films if film.matched]
    attacks = sum(_share(film) is None and film.attack for film in matched)
    visits = sum(_share(film) is None and not film.attack for film in matched)
    for film in matched:
        share = _share(film)
        alike = sum(one.kind == film.kind for one in matched)
        each = OTHERS / attacks if film.attack else VISITS / visits
        found = [judged for _, judged in stages(film, told_by)]
        found = [one for one in found if told_by.enough(one.cues)] or found
        weight = (each if share is None else share / alike) / len(found)
        live = film.kind.startswith("visit")
        for one in found if weight else ():
            yield Sample(live, {CUE: one.cues.get(CUE, math.nan)}, weight, one.log_odds)


def _share(film: Watched) -> float | None:
    return SHARES.get(film.kind)


def with_trunk(fusion: Fusion, films: Sequence[Watched]) -> Fusion:
    """The same tables, and one for `trunk` fitted to films on top of them.

    A trunk that cannot be seen says nothing: what the others say is enough then, as it was.
    """
    bare = others(fusion)
    _, tables = fit_tables(list(samples_of(films, bare)), {CUE: SHAPE}, biased=False)
    return _changed(bare, cues=tables)


def _changed(fusion: Fusion, **update: object) -> Fusion:
    document = fusion.document.model_dump(mode="json")
    cues = {**document["cues"], **_mapping(update.pop("cues", {}))}
    return read_fusion({**document, "cues": cues, "strict": None, **update}, "the fit")


def _mapping(value: object) -> Mapping[str, object]:
    assert isinstance(value, Mapping)
    return value


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
    if film.kind in SHARES:
        return {"phone_standing": "3", "tablet_standing": "4"}.get(film.kind, "5") + film.kind
    return "6 other attacks"


def table(films: Sequence[Watched], before: Fusion, after: Fusion) -> str:
    """What thresholds would do with films, as a Markdown table.

    If `before` was fitted with the cue, there is no line of what it did without.
    """
    names = [name[1:].strip() for name in sorted({_group(film) for film in films if film.matched})]
    lines = [f"| passes, fails at | {' | '.join(names)} | visits' median, 95 % |"]
    lines.append("|---" * (len(names) + 2) + "|")

    def line(name: str, fusion: Fusion, passes: float) -> str:
        told, known = judged(films, fusion, passes)
        waits = "{:.2f}, {:.2f} s".format(*np.quantile(known, [0.5, 0.95])) if known else "-"
        return f"| {name} | {told} | {waits} |"

    if CUE not in before.document.cues:
        lines.append(line(f"without `{CUE}`", before, before.document.passes))
    for passes in PASSES:
        for fails in FAILS:
            there = _changed(after, passes=passes, fails=fails)
            lines.append(line(f"{passes}, {fails}", there, passes))
    return "\n".join(lines)


def held_table(films: Sequence[Watched], fusion: Fusion) -> str:
    """What becomes of films if a face is held back above other values of `still`, as Markdown."""
    names = [name[1:].strip() for name in sorted({_group(film) for film in films if film.matched})]
    lines = [f"| held above | {' | '.join(names)} | visits' median, 95 % |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for limit in HOLDS:
        there = _changed(fusion, holds={"still": limit})
        told, known = judged(films, there, fusion.document.passes)
        waits = "{:.2f}, {:.2f} s".format(*np.quantile(known, [0.5, 0.95])) if known else "-"
        lines.append(f"| {limit} | {told} | {waits} |")
    return "\n".join(lines)


def raised(fusion: Fusion, by: float) -> Fusion:
    """With a table for `trunk` that says so much more for a visit wherever a trunk is seen."""
    table = fusion.document.cues[CUE].model_dump(mode="json")
    return _changed(
        fusion, cues={CUE: {**table, "odds": [round(o + by, 3) for o in table["odds"]]}}
    )


def with_strict(before: Fusion, after: Fusion, fails: float, films: int) -> dict[str, object]:
    """The manifest's fusion as before, and the cue's table for doors that are strict."""
    strict = {
        "cues": {CUE: after.document.cues[CUE].model_dump(mode="json")},
        "fails": fails,
        "fitted_on": f"on top of the other tables, on {films} films of people of LFW folds 1-6,"
        " standing screens and cut-out heads among them; fails and the table's level chosen by"
        " those of fold 7 and by visits in the judging style (docs/liveness.md#the-trunk)",
    }
    return {**before.document.model_dump(mode="json"), "strict": strict}


def main() -> None:
    """Make films, or fit to them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("films", "hold", "fit", "recording"))
    parser.add_argument(
        "--cases", type=Path, required=True, help="JSON lines, appended to; or a recording"
    )
    parser.add_argument("--data", type=Path, help="folder with lfw_folds1-8.zip and its people")
    parser.add_argument("--people", default="fit", choices=("fit", "threshold", "judge"))
    parser.add_argument("--first-seed", type=int, default=80000)
    parser.add_argument("--rounds", type=int, default=6, help=f"of {len(ROUND)} films")
    parser.add_argument("--checks", action="store_true", help="only visitors, in checked cloth")
    parser.add_argument("--chosen-on", type=Path, help="films to show what thresholds do with")
    parser.add_argument(
        "--folder", type=Path, default=default_folder(), help="of the model whose other tables stay"
    )
    parser.add_argument("--raised", type=float, default=0.0, help="added to the whole table")
    parser.add_argument("--fails", type=float, help="log odds to fail at, for --write")
    parser.add_argument("--write", action="store_true", help="put the fit into the model")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    if chosen.step == "films":
        make_films(
            *(chosen.data, chosen.people, chosen.first_seed, chosen.rounds, chosen.cases),
            checks=chosen.checks,
        )
        return
    if chosen.step == "recording":
        print("\n".join(recorded(chosen.cases)))
        return
    films = list(read_cases(chosen.cases).values())
    before = read_fusion(read_liveness(chosen.folder).fusion, str(chosen.folder))
    if chosen.step == "hold":
        print(held_table(films, before))
        return
    after = raised(with_trunk(before, films), chosen.raised)
    print(json.dumps({CUE: after.document.cues[CUE].model_dump()}))
    if chosen.chosen_on is not None:
        print(table(list(read_cases(chosen.chosen_on).values()), before, after))
    if chosen.write:
        matched = sum(film.matched for film in films)
        write_fusion(chosen.folder, with_strict(before, after, chosen.fails, matched))


if __name__ == "__main__":
    main()
