"""What everyday looks cost: masks, sunglasses, hats, beards, grey and night cameras, motion.

python benchmarks/everyday.py --faces lfw.npz --images DATA/lfw_folds1-8.zip --folds 7,8 \
    [--model DIR] [--probes N] [--workers N] [--keep FILE.npz] [--seed N]

`--faces` is a file made by known_faces.py. Up to N pictures of everybody with two or more are
changed (looks.py) and shown to the daemon's own search as a still film of up to 2 s; what it finds
is compared with the unchanged pictures of the same person (up to 5) and with one unchanged picture
of everybody else. TAR counts a face that is not found as not recognised; FMR is over found faces.
`hinted` counts found faces for which the daemon would show a hint: those with a hint other than
`uncover_eyes` and `uncover_mouth` would not be compared at a door; here they are. Intervals: 95 %,
a bootstrap over people (TAR), Wilson (found). `--keep` keeps the chips found. One JSON object on
stdout, a table on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fusion import scores_of
from known_faces import KnownFaces, load_known
from looks import LOOKS
from numpy.typing import NDArray

from oneglance.contract.messages import Hint
from oneglance.daemon.sight.covered import covered_hint
from oneglance.daemon.sight.quality import picture_hint
from oneglance.daemon.sight.search import door_detector
from oneglance.daemon.sight.watcher import Watcher
from oneglance.daemon.visit.evidence import Visit
from oneglance.faces.evaluation.metrics import wilson
from oneglance.faces.find.align import chip_from_points
from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import central, load_image

RATES = ("1e-3", "1e-4")
DOOR_FACE_PX = 80
# 2 s give each angle its turn.
FILM_FRAMES, FILM_FPS = 20, 10.0
MOST_ENROLLED = 5
_BOOTSTRAPS = 1000
_PER_TASK = 20


@dataclass(frozen=True, slots=True)
class Task:
    """Some pictures for one process: their names, and where the face is in each, (5, 2) px."""

    images: Path
    model: Path | None
    names: tuple[str, ...]
    points: tuple[NDArray[np.float64], ...]
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the door saw in one picture: the chip, and the hint it would have shown."""

    chip: NDArray[np.uint8]
    hint: Hint


def _visit() -> Visit:
    return Visit(frames_needed=3, lifetime_s=5.0, patience_s=1.0)


def see(image: NDArray[np.uint8], model: FaceModel) -> Found | None:
    """The first sighting of the middle face in a film of equal frames; None if there is none."""
    watcher = Watcher(door_detector(), model, DOOR_FACE_PX, _visit)
    for frame in range(FILM_FRAMES):
        seen = watcher.see(image, frame / FILM_FPS)
        points = {one.track.box: one.points for one in seen}
        box = central(image, list(points))
        if box is not None:
            chip = chip_from_points(image, points[box])
            hint = picture_hint(chip, image, points[box])
            return Found(chip, covered_hint(chip) if hint is Hint.NONE else hint)
    return None


def read(task: Task) -> dict[str, list[Found | None]]:
    """Each look's pictures in the task's order."""
    cv2.setNumThreads(1)
    pictures, model = Pictures(task.images), load_model(task.model)
    found: dict[str, list[Found | None]] = {look: [] for look in LOOKS}
    for name, points in zip(task.names, task.points, strict=True):
        image = load_image(pictures.read(name))
        for look, change in LOOKS.items():
            # By name, so that neither the order nor the number of processes changes a picture.
            rng = np.random.default_rng([task.seed, zlib.crc32(f"{look}/{name}".encode())])
            found[look].append(see(change(image, points, rng), model))
    pictures.close()
    return found


def figures(
    found: list[Found | None],
    probes: NDArray[np.intp],
    faces: KnownFaces,
    model: FaceModel,
    head: L1Head,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Detection rate, TAR and FMR of one look at the manifest's thresholds."""
    seen = [i for i, one in enumerate(found) if one is not None]
    chips = [one.chip for one in found if one is not None]
    parts = [model.encode(np.stack(chips[i : i + 32])) for i in range(0, len(chips), 32)]
    templates = np.full((len(found), model.template_size), np.inf, np.float32)
    if parts:
        templates[seen] = np.concatenate(parts)
    # Unlike everybody, so not recognised.
    scores = scores_of(head, templates, faces.templates)
    same = faces.people[probes][:, np.newaxis] == faces.people
    own = same.copy()
    own[np.arange(len(probes)), probes] = False
    # The first pictures of a person, and one of everybody else.
    own &= np.cumsum(own, axis=1) <= MOST_ENROLLED
    first = np.zeros(len(faces.people), bool)
    first[np.unique(faces.people, return_index=True)[1]] = True
    others = (~same & first)[seen]
    owner = np.unique(faces.people[probes], return_inverse=True)[1]
    asked = np.bincount(owner, own.sum(axis=1))
    weights = rng.multinomial(len(asked), np.full(len(asked), 1 / len(asked)), _BOOTSTRAPS)
    hints = [one.hint for one in found if one is not None]
    row: dict[str, Any] = {
        "probes": len(probes),
        "found": len(seen),
        "found_95": wilson(len(seen), len(probes)),
        "hinted": {
            str(hint): hints.count(hint) for hint in sorted(set(hints)) if hint != Hint.NONE
        },
        "genuine": int(own.sum()),
        "impostor": int(others.sum()),
    }
    for rate in RATES:
        match = scores >= model.threshold(rate)
        accepted = np.bincount(owner, (match & own).sum(axis=1))
        share = (weights @ accepted) / (weights @ asked)
        false = int((match[seen] & others).sum())
        row[f"tar_{rate}"] = float(accepted.sum() / asked.sum())
        row[f"tar_{rate}_95"] = [float(v) for v in np.percentile(share, [2.5, 97.5])]
        row[f"found_tar_{rate}"] = float((match & own)[seen].sum() / max(1, own[seen].sum()))
        row[f"fmr_{rate}"] = false / max(1, int(others.sum()))
        row[f"fmr_{rate}_95"] = wilson(false, int(others.sum()))
    return row


def table(measured: dict[str, dict[str, Any]]) -> str:
    """The same in Markdown."""
    head = [
        "look",
        "found",
        *(f"TAR {r}" for r in RATES),
        "of the found",
        *(f"FMR {r}" for r in RATES),
    ]
    lines = [[*head, "asked for better"], ["---"] * (len(head) + 1)]
    for look, row in measured.items():
        low, high = row["found_95"]
        cells = [f"{_percent(row['found'] / row['probes'])} ({100 * low:.1f} to {100 * high:.1f})"]
        for rate in RATES:
            low, high = row[f"tar_{rate}_95"]
            cells.append(f"{_percent(row[f'tar_{rate}'])} ({100 * low:.1f} to {100 * high:.1f})")
        cells.append(" / ".join(_percent(row[f"found_tar_{rate}"]) for rate in RATES))
        for rate in RATES:
            low, high = row[f"fmr_{rate}_95"]
            cells.append(f"{row[f'fmr_{rate}']:.1e} ({low:.1e} to {high:.1e})")
        cells.append(", ".join(f"{n} {hint}" for hint, n in row["hinted"].items()) or "-")
        lines.append([look, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _chosen(faces: KnownFaces, most: int) -> NDArray[np.intp]:
    """The rows of the last pictures, up to `most` each, of everybody with two or more."""
    rows = []
    for person in np.unique(faces.people):
        of = np.flatnonzero(faces.people == person)
        if len(of) > 1:
            rows += list(of[-most:])
    return np.array(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="what known_faces.py left")
    parser.add_argument("--images", type=Path, required=True, help="the same pictures")
    parser.add_argument("--folds", default="7,8")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--probes", type=int, default=1, help="pictures a person that are changed")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keeps the chips that were found")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model = load_model(args.model)
    head = L1Head.behind(model.compare, model.template_size)
    if head is None:
        parser.error("this model has no L1 head")
    faces = load_known(args.faces).in_folds(tuple(int(fold) for fold in args.folds.split(",")))
    probes = _chosen(faces, args.probes)
    tasks = [
        Task(
            args.images,
            args.model,
            tuple(faces.names[rows]),
            tuple(faces.points[rows]),
            args.seed,
        )
        for rows in np.split(probes, range(_PER_TASK, len(probes), _PER_TASK))
    ]
    found: dict[str, list[Found | None]] = {look: [] for look in LOOKS}
    with ProcessPoolExecutor(args.workers) as pool:
        for done, part in enumerate(pool.map(read, tasks), start=1):
            for look, these in part.items():
                found[look] += these
            print(f"{done} of {len(tasks)} parts", file=sys.stderr, flush=True)
    rng = np.random.default_rng(args.seed)
    measured = {
        look: figures(these, probes, faces, model, head, rng) for look, these in found.items()
    }
    print(table(measured), file=sys.stderr)
    if args.keep is not None:
        kept = {look: [one.chip for one in these if one] for look, these in found.items()}
        np.savez_compressed(args.keep, **{k: np.array(v, np.uint8) for k, v in kept.items()})
    on = {"faces": args.faces.name, "folds": args.folds, "people": len(set(faces.people[probes]))}
    json.dump({"model": model.model_id, "on": on, "looks": measured}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
