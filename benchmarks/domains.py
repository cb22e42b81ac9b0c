"""How often strangers match at doors of one light, camera or crop, before calibration and after.

python benchmarks/domains.py --images DATA/lfw_folds1-8.zip --people DATA/lfw_people_folds1-8.csv \
    [--folds 7,8] [--strangers-folds 1,2,3,4,5,6] [--strangers 100] [--doors "NAME;NAME"] \
    [--model DIR] [--variant NAME] [--seed N] [--into FILE]
python benchmarks/domains.py --faces lfw.npz [...]

The faces of the folds, at most two a person, are cut out by the door's search for stills; with
--faces they are those that known_faces.py found, which takes minutes less. Each made door then
changes all chips in its own way (the light is put on the chip, so its effect on the aligner is not
in the figures). A door is calibrated on other people of other folds at that same door. "In general"
is a door without calibration: the manifest's directions (`common`) are taken out, and templates
that look like bad doors are made longer (`common_stretch`). "Kept" is one calibrated on those same
people as if the daemon had kept them, which changes the thresholds alone.
Every cross-person pair counts; in brackets 95 % by a bootstrap over people. One JSON object on
stdout, a table and progress on stderr. Each door is kept in --into FILE once it is measured, and
not measured again by a run that finds it there.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from known_faces import KnownFaces, load_known
from made_light import Image, Lamp, Plane, relit, shading
from numpy.typing import NDArray

from oneglance.contract.messages import Hint
from oneglance.daemon.sight.quality import picture_hint
from oneglance.faces.calibration.door import Door
from oneglance.faces.calibration.fit import fit
from oneglance.faces.calibration.setup import any_door, common_of, fitted_spread
from oneglance.faces.find.align import CHIP_POINTS, CHIP_SIZE, apply, fit_similarity
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.reader import load_image, read_central_face
from oneglance.training.data.datasets import labelled_pictures

Templates = NDArray[np.float32]
Points = NDArray[np.float64]
# A chip uint8 (112, 112, 3) RGB and the face's points (5, 2) in it, as this door shows them.
Change = Callable[[Image, Points, np.random.Generator], Image]

RATES = ("1e-2", "1e-3", "1e-4", "1e-5")
PICTURES_A_PERSON = 2
_DRAWS = 300
_AT_ONCE = 32
# What a studio's crop leaves of a chip: left, top, right, bottom.
_STUDIO_CROP = (20, 24, 92, 106)


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Chips uint8 (n, 112, 112, 3), the points (n, 5, 2) in them, and whose they are."""

    chips: NDArray[np.uint8]
    points: NDArray[np.float64]
    people: list[str]

    def seen(self, name: str, change: Change, seed: int) -> NDArray[np.uint8]:
        """All chips as a door shows them."""
        of_door = zlib.crc32(name.encode())
        return np.stack(
            [
                change(chip, points, np.random.default_rng([seed, of_door, number]))
                for number, (chip, points) in enumerate(zip(self.chips, self.points, strict=True))
            ]
        )


def as_it_is(chip: Image, _points: Points, _generator: np.random.Generator) -> Image:
    """The photograph."""
    return chip


def in_grey(chip: Image, _points: Points, _generator: np.random.Generator) -> Image:
    """Grey level, by the weights of ITU-R BT.709."""
    grey = chip.astype(np.float32) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return np.dstack([np.clip(np.rint(grey), 0, 255).astype(np.uint8)] * 3)


def cropped(chip: Image, _points: Points, _generator: np.random.Generator) -> Image:
    """A crop so tight that a chip reaches beyond it, and its border is repeated."""
    left, top, right, bottom = _STUDIO_CROP
    inner = np.ascontiguousarray(chip[top:bottom, left:right])
    rest = CHIP_SIZE - bottom, left, CHIP_SIZE - right
    return np.asarray(cv2.copyMakeBorder(inner, top, *rest, cv2.BORDER_REPLICATE), np.uint8)


def by_lamp(
    chip: Image, points: Points, generator: np.random.Generator, *, lamps: Sequence[Lamp]
) -> Image:
    """In grey, lit by one lamp, which is one of `lamps`."""
    lamp = lamps[int(generator.integers(len(lamps)))]
    return in_grey(relit(chip, points, shade_of(lamp), 0.2), points, generator)


def in_studio(
    chip: Image, points: Points, generator: np.random.Generator, *, lamps: Sequence[Lamp]
) -> Image:
    """By one lamp, and cropped."""
    return cropped(by_lamp(chip, points, generator, lamps=lamps), points, generator)


def by_camera(
    chip: Image,
    points: Points,
    generator: np.random.Generator,
    *,
    blur_px: float = 1.6,
    noise: float = 8.0,
    seed: int = 11,
) -> Image:
    """Before one wall, with one lens's blur, pale colours, and noise in grey levels."""
    head = _head()[..., np.newaxis]
    picture = chip.astype(np.float32) * head + _wall(seed) * (1 - head)
    grey = picture.mean(2, keepdims=True)
    picture = cv2.GaussianBlur(grey + 0.6 * (picture - grey), (0, 0), blur_px)
    picture += generator.normal(0, noise, picture.shape).astype(np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def as_jpeg(chip: Image, _points: Points, _generator: np.random.Generator) -> Image:
    """Compressed, quality 40."""
    data = cv2.imencode(".jpg", chip[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[:, :, ::-1])


def from_afar(chip: Image, _points: Points, _generator: np.random.Generator) -> Image:
    """Enlarged from a face whose box is 48 px wide."""
    side = round(48 * 1.106)
    small = cv2.resize(chip, (side, side), interpolation=cv2.INTER_AREA)
    blown_up = cv2.resize(small, (CHIP_SIZE, CHIP_SIZE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(blown_up, np.uint8)


def by_night(chip: Image, points: Points, generator: np.random.Generator) -> Image:
    """In grey, a third as bright, blurred, with much noise."""
    dark = cv2.GaussianBlur(0.35 * in_grey(chip, points, generator).astype(np.float32), (0, 0), 1.2)
    noise = generator.normal(0, 7, dark.shape[:2])[..., np.newaxis]
    return np.clip(dark + noise, 0, 255).astype(np.uint8)


_NEAR = [Lamp(right, up, 0.05) for right in (-22, -9, 8, 20) for up in (0, 18)]
_FAR = [Lamp(side * at, up, 0.03) for at in (28, 42, 57, 70) for side in (1, -1) for up in (0, 25)]
DOORS: dict[str, Change] = {
    "photographs": as_it_is,
    "grey level": in_grey,
    "JPEG 40": as_jpeg,
    "faces of 48 px": from_afar,
    "one lamp, 33 degrees": partial(by_lamp, lamps=[Lamp(33, 18, 0.08)]),
    "one lamp, 62 degrees": partial(by_lamp, lamps=[Lamp(-62, 12, 0.05)]),
    "one camera, one wall": by_camera,
    "tight crop, smeared border": cropped,
    "studio, lamps within 25 degrees": partial(in_studio, lamps=_NEAR),
    "studio, lamps at 28 to 70 degrees": partial(in_studio, lamps=_FAR),
    "dark, blurred, noisy": by_night,
}


def main() -> None:
    """Measure every door."""
    arguments = _arguments()
    cv2.setNumThreads(1)
    model = load_model(arguments.model, variant=arguments.variant)
    judged = read(arguments, arguments.folds, PICTURES_A_PERSON, None)
    passing = read(arguments, arguments.strangers_folds, 1, arguments.strangers)
    photographs = encoded(judged.chips, model)
    about: dict[str, Any] = {
        "model": f"{model.model_id}, {model.variant}",
        "faces": len(judged.people),
        "people": len(set(judged.people)),
        "strangers": len(passing.people),
        "seed": arguments.seed,
    }
    rows = _measured_before(arguments.into, about)
    _say(_head_of_table())
    for name in arguments.doors:
        if name not in rows:
            change = DOORS[name]
            seen = judged.seen(name, change, arguments.seed)
            strangers = encoded(passing.seen(name, change, arguments.seed + 1), model)
            # Of its own, so that a door's figures do not depend on which were measured before it.
            generator = np.random.default_rng([arguments.seed, zlib.crc32(name.encode())])
            rows[name] = _row(judged, seen, photographs, strangers, model, generator)
            if arguments.into is not None:
                arguments.into.write_text(json.dumps(about | {"doors": rows}, indent=1))
        _say(_lines(name, rows[name]))
    json.dump(
        about | {"doors": {name: rows[name] for name in arguments.doors}}, sys.stdout, indent=1
    )


def _measured_before(file: Path | None, about: dict[str, Any]) -> dict[str, Any]:
    """The doors in `file`; those of other faces or another model are refused."""
    if file is None or not file.exists():
        return {}
    kept: dict[str, Any] = json.loads(file.read_text())
    rows: dict[str, Any] = kept.pop("doors")
    if kept != about:
        raise SystemExit(f"{file} is of {kept}, not of {about}: give another file")
    return rows


def read(
    arguments: argparse.Namespace, folds: Sequence[int], a_person: int, most: int | None
) -> Faces:
    """At most `a_person` faces of each person of these folds; of `most` people drawn at random."""
    if arguments.faces is not None:
        return _found_before(load_known(arguments.faces), arguments, folds, a_person, most)
    model, detector = load_model(arguments.model), FaceDetector()
    listed = labelled_pictures(arguments.images, arguments.people, folds)
    wanted = _drawn({picture.person for picture in listed}, most, arguments.seed)
    counted = Counter[str]()
    chips, points, whose = [], [], []
    for number, picture in enumerate(sorted(listed, key=lambda picture: picture.name)):
        if picture.person not in wanted or counted[picture.person] == a_person:
            continue
        sample = read_central_face(load_image(picture.pictures.read(picture.name)), detector, model)
        if sample is None:
            continue
        counted[picture.person] += 1
        chips.append(sample.chip)
        points.append(apply(fit_similarity(sample.points, CHIP_POINTS), sample.points))
        whose.append(picture.person)
        if number % 500 == 0:
            _say(f"read {number} of {len(listed)}")
    return Faces(np.stack(chips), np.stack(points), whose)


def _found_before(
    known: KnownFaces,
    arguments: argparse.Namespace,
    folds: Sequence[int],
    a_person: int,
    most: int | None,
) -> Faces:
    here = np.isin(known.folds, folds)
    wanted, counted = _drawn(set(known.people[here]), most, arguments.seed), Counter[str]()
    rows = []
    for row in np.flatnonzero(here)[np.argsort(known.names[here])]:
        person = str(known.people[row])
        if person in wanted and counted[person] < a_person:
            counted[person] += 1
            rows.append(row)
    points = [apply(fit_similarity(found, CHIP_POINTS), found) for found in known.points[rows]]
    return Faces(known.chips[rows], np.stack(points), [str(name) for name in known.people[rows]])


def _drawn(people: set[str], most: int | None, seed: int) -> set[str]:
    """All of them, or `most` drawn by chance."""
    named = sorted(people)
    if most is None:
        return set(named)
    return {named[place] for place in np.random.default_rng(seed).permutation(len(named))[:most]}


def _row(
    judged: Faces,
    seen: NDArray[np.uint8],
    photographs: Templates,
    strangers: Templates,
    model: FaceModel,
    generator: np.random.Generator,
) -> dict[str, Any]:
    templates = encoded(seen, model)
    hints = [picture_hint(chip, None, p) for chip, p in zip(seen, judged.points, strict=True)]
    usable = np.array([hint is Hint.NONE for hint in hints])
    whose = np.unique(judged.people, return_inverse=True)[1]
    fitted = fit(strangers, model.compare, fitted_spread(model), generator)
    # With draws of its own, so that the other rows do not depend on this one.
    chance = np.random.default_rng(0)
    kept = fit(strangers, model.compare, fitted_spread(model), chance, common_of(model))
    before = Door(np.empty((0, model.template_size), np.float32), *(fitted.door.fitted,) * 2)
    row: dict[str, Any] = {
        "kept_out_by_hints": float(1 - usable.mean()),
        "common": float(np.linalg.norm(templates.mean(0))),
        "before": rates_at(templates, templates, whose, before, model),
        "before_with_hints": rates_at(
            templates[usable], templates[usable], whose[usable], before, model
        ),
        "in_general": rates_at(templates, templates, whose, any_door(model) or before, model),
        "from_kept": rates_at(templates, templates, whose, kept.door, model),
        "after": rates_at(templates, templates, whose, fitted.door, model),
        "photographs_enrolled_before": rates_at(templates, photographs, whose, before, model),
        "photographs_enrolled_in_general": rates_at(
            templates, photographs, whose, any_door(model) or before, model
        ),
        "photographs_enrolled_after": rates_at(templates, photographs, whose, fitted.door, model),
        "settled": asdict(fitted.settled),
        "raw": asdict(fitted.raw),
    }
    return row


def rates_at(
    probes: Templates,
    gallery: Templates,
    whose: NDArray[np.intp],
    door: Door,
    model: FaceModel,
) -> dict[str, Any]:
    """FMR and TAR at the door's thresholds, of all pairs of two pictures, with 95 % over people."""
    scores = model.compare(door.settled(probes), door.settled(gallery))
    same = whose[:, np.newaxis] == whose
    apart = ~np.eye(len(whose), dtype=bool)
    genuine, impostor = same & apart, ~same
    people = int(whose.max()) + 1
    # For every two people: how many pairs of their pictures there are, and how many match.
    draws = np.random.default_rng(0).multinomial(people, np.full(people, 1 / people), _DRAWS)
    sums = {
        kind: _by_person(pairs, whose, people)
        for kind, pairs in (("fmr", impostor), ("tar", genuine))
    }
    rates: dict[str, Any] = {"pairs": int(impostor.sum() // 2)}
    for rate in RATES:
        matched = scores >= door.lifted(model.threshold(rate))
        row: dict[str, Any] = {"threshold": door.lifted(model.threshold(rate))}
        for kind, pairs in (("fmr", impostor), ("tar", genuine)):
            hits = _by_person(matched & pairs, whose, people)
            row[kind] = float(hits.sum() / sums[kind].sum())
            if kind == "fmr":
                drawn = ((draws @ hits) * draws).sum(1) / ((draws @ sums[kind]) * draws).sum(1)
            else:
                drawn = draws @ np.diag(hits) / np.maximum(draws @ np.diag(sums[kind]), 1)
            row[f"{kind}_95"] = [float(end) for end in np.percentile(drawn, [2.5, 97.5])]
        rates[rate] = row
    return rates


def _by_person(
    pairs: NDArray[np.bool_], whose: NDArray[np.intp], people: int
) -> NDArray[np.float64]:
    first, second = np.nonzero(pairs)
    counts = np.bincount(whose[first] * people + whose[second], minlength=people * people)
    return counts.reshape(people, people).astype(np.float64)


def encoded(chips: NDArray[np.uint8], model: FaceModel) -> Templates:
    """Templates of chips, encoded in batches."""
    parts = [model.encode(chips[at : at + _AT_ONCE]) for at in range(0, len(chips), _AT_ONCE)]
    return np.concatenate(parts)


@cache
def shade_of(lamp: Lamp) -> Plane:
    """`made_light.shading`, computed once for each lamp."""
    return shading(lamp)


@cache
def _head() -> Plane:
    """1 where a head and its neck are in a chip, 0 where the wall is."""
    y, x = np.mgrid[0:CHIP_SIZE, 0:CHIP_SIZE].astype(np.float32)
    head = (((x - 56) / 44) ** 2 + ((y - 62) / 58) ** 2 < 1).astype(np.float32)
    head[80:, 30:82] = 1
    return np.asarray(cv2.GaussianBlur(head, (0, 0), 2), np.float32)


@cache
def _wall(seed: int) -> Plane:
    generator = np.random.default_rng(seed)
    colour = generator.uniform(60, 190, 3)
    stains = generator.normal(0, 1, (CHIP_SIZE, CHIP_SIZE)).astype(np.float32)
    stains = cv2.GaussianBlur(stains, (0, 0), 6)
    wall = colour + 12 * (stains / stains.std())[..., np.newaxis]
    frame = int(generator.integers(8, 30))
    wall[:, frame : frame + 3] *= 0.6
    return np.asarray(np.clip(wall, 0, 255), np.float32)


def _head_of_table() -> str:
    rates = " | ".join(f"FMR for {rate}" for rate in RATES)
    first = f"| door | calibrated | kept out by hints | {rates} | TAR at these |"
    return f"{first}\n|---|---|---|{'---|' * (len(RATES) + 1)}"


def _lines(name: str, row: dict[str, Any]) -> str:
    lines = []
    for which, said in (
        ("before", "no"),
        ("in_general", "in general"),
        ("from_kept", "kept"),
        ("after", "yes"),
    ):
        rates = [row[which][rate] for rate in RATES]
        fmr = [f"{r['fmr']:.1e} ({r['fmr_95'][0]:.1e} to {r['fmr_95'][1]:.1e})" for r in rates]
        tar = " / ".join(f"{100 * r['tar']:.1f}" for r in rates)
        hints = f"{100 * row['kept_out_by_hints']:.1f} %"
        lines.append(f"| {name} | {said} | {hints} | {' | '.join(fmr)} | {tar} % |")
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def folds_of(written: str) -> list[int]:
    """Folds as written on the command line: 7,8."""
    return [int(fold) for fold in written.split(",")]


def _doors_of(written: str) -> list[str]:
    """Doors as written on the command line: names separated by semicolons."""
    named = written.split(";")
    if unknown := [name for name in named if name not in DOORS]:
        raise argparse.ArgumentTypeError(f"there is no door {unknown[0]!r}, only {list(DOORS)}")
    return named


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path)
    source.add_argument("--faces", type=Path)
    parser.add_argument("--people", type=Path)
    parser.add_argument("--folds", type=folds_of, default=[7, 8])
    parser.add_argument("--strangers-folds", type=folds_of, default=[1, 2, 3, 4, 5, 6])
    parser.add_argument("--strangers", type=int, default=100)
    parser.add_argument("--doors", type=_doors_of, default=list(DOORS))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--variant")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--into", type=Path)
    arguments = parser.parse_args()
    if arguments.images is not None and arguments.people is None:
        parser.error("--images needs --people")
    return arguments


if __name__ == "__main__":
    main()
