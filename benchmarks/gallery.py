"""What it costs to find a probe in a gallery of 10 to 100,000 templates, in encoder passes.

python benchmarks/gallery.py [--people 10,100000] [--templates FILE.npz] [--model DIR]

The gallery is drawn from a normal distribution with the spread of real templates where a file of
them is given (`templates`, as known_faces.py writes it), else of equal spread; one person in it is
the probe's own, at a typical genuine distance, or nobody is. Every answer of the fast search is
checked against comparing with everybody; beside it stands the cost of a claim, which compares with
one person alone. One thread; the searches alternate with encoder passes, and the least time of each
counts. One JSON object on stdout, a table on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.daemon.gallery.keeper import GalleryKeeper
from oneglance.daemon.gallery.watch import GalleryWatch
from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.identify import most_alike, with_codes
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.gallery.vault import create_key, load_key
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.model.tail import tail_of

Rows = NDArray[np.float32]
PROBES = 30
ROUNDS = 15
# How far a genuine look lies from its template, in standard deviations of a component.
GENUINE_NOISE = 0.6


def main() -> None:
    """Measure each size, and print."""
    args = _arguments()
    cv2.setNumThreads(1)
    model = load_model(args.model)
    rng = np.random.default_rng(args.seed)
    head = L1Head.behind(model.compare, model.template_size)
    if head is None:
        raise SystemExit("this model's head is no weighted L1: there is no fast search for it")
    draw = _drawer(args.templates, model.template_size, rng)
    # The strictest threshold that the model's figures support, as in any gallery this large.
    tail = tail_of(model.manifest.raw["thresholds"])
    floor = tail.threshold(tail.strictest_fmr)
    rows = []
    for count in (int(part) for part in args.people.split(",")):
        rows.append(_measured(model, head, draw, count, floor, rng))
        _say(json.dumps(rows[-1]))
    figures = {"model": model.model_id, "floor": floor, "seed": args.seed, "rows": rows}
    figures["kept"] = _kept(model, head, draw(args.kept))
    _say(json.dumps(figures["kept"]))
    json.dump(figures, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _measured(
    model: FaceModel,
    head: L1Head,
    draw: Callable[[int], Rows],
    count: int,
    floor: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    templates = draw(count)
    ids = tuple(f"person-{row}" for row in range(count))
    started = time.perf_counter()
    snapshot = with_codes(Snapshot(ids, dict.fromkeys(ids, ""), templates), head)
    prepared_s = time.perf_counter() - started
    chip = rng.integers(0, 255, (1, 112, 112, 3), dtype=np.uint8)
    own = rng.integers(0, count, PROBES)
    noise = GENUINE_NOISE / np.sqrt(model.template_size)
    genuine = _unit(templates[own] + noise * rng.standard_normal((PROBES, model.template_size)))
    row: dict[str, Any] = {"templates": count, "prepare_s": round(prepared_s, 3)}
    for name, probes in (("genuine", genuine), ("impostor", draw(PROBES))):
        searches, passes = [], []
        for probe in probes:
            took_s, pass_s = [], []
            for _ in range(ROUNDS):
                pass_s.append(_timed(lambda: model.encode(chip)))
                took_s.append(
                    _timed(lambda p=probe: most_alike(model, snapshot, p[np.newaxis], floor=floor))
                )
            searches.append(min(took_s))
            passes.append(min(pass_s))
            _check(model, snapshot, probe, floor)
        encode_s = min(passes)
        row |= {
            f"{name}_ms": round(1e3 * float(np.median(searches)), 3),
            f"{name}_p95_ms": round(1e3 * float(np.percentile(searches, 95)), 3),
            f"{name}_over_encode": round(float(np.median(searches)) / encode_s, 3),
        }
        row["encode_ms"] = round(1e3 * encode_s, 3)
    claimed = ids[count // 2]
    row["claim_ms"] = round(
        1e3
        * min(
            _timed(lambda: model.compare(genuine[:1], snapshot.only(claimed).templates))
            for _ in range(ROUNDS)
        ),
        3,
    )
    row["compare_all_ms"] = round(
        1e3 * min(_timed(lambda: model.compare(genuine[:1], templates)) for _ in range(5)), 3
    )
    codes_bytes = 0 if snapshot.codes is None else snapshot.codes.bits.nbytes
    row["memory_mb"] = round((templates.nbytes + codes_bytes) / 1e6, 1)
    return row


def _kept(model: FaceModel, head: L1Head, templates: Rows) -> dict[str, Any]:
    """What one more enrolment in a large gallery costs the loop, which is always encoding."""
    now = datetime.now(UTC)
    with TemporaryDirectory() as folder:
        path, key_file = Path(folder) / "gallery.db", Path(folder) / "gallery.key"
        create_key(key_file)
        key = load_key(key_file)

        def enrol(name: str, rows: Rows) -> None:
            with Gallery.open(path, key, create=not path.exists()) as gallery:
                gallery.enrol(name, rows, model.model_id, consent_at=now, source="benchmark")

        enrol("Everybody", templates)
        watch = GalleryWatch(
            path,
            key,
            model.model_id,
            model.template_size,
            wall=lambda: datetime.now(UTC),
            prepare=lambda snapshot: with_codes(snapshot, head),
        )
        started = time.perf_counter()
        watch.reload()
        watch.close()
        first_s = time.perf_counter() - started
        keeper = GalleryKeeper(watch, time.monotonic)
        keeper.start()
        chip = np.zeros((1, 112, 112, 3), np.uint8)
        usual = [_timed(lambda: model.encode(chip)) for _ in range(500)]
        version = keeper.held.version
        enrolled = time.perf_counter()
        enrol("One More", templates[:1])
        busy = []
        while keeper.held.version == version:
            busy.append(_timed(lambda: model.encode(chip)))
        noticed_s = time.perf_counter() - enrolled
        keeper.stop()
    return {
        "templates": len(templates),
        "first_reading_s": round(first_s, 2),
        "noticed_after_s": round(noticed_s, 2),
        "pass_before_p99_ms": round(1e3 * float(np.percentile(usual, 99)), 2),
        "pass_meanwhile_p99_ms": round(1e3 * float(np.percentile(busy, 99)), 2),
        "pass_meanwhile_longest_ms": round(1e3 * max(busy), 2),
    }


def _check(model: FaceModel, snapshot: Snapshot, probe: Rows, floor: float) -> None:
    """The fast search names everybody at or above the floor that comparing with all names."""
    (found,) = most_alike(model, snapshot, probe[np.newaxis], floor=floor)
    scores = model.compare(probe[np.newaxis], snapshot.templates)[0]
    best = np.argsort(scores)[::-1][:2]
    expected = {snapshot.person_ids[i]: float(scores[i]) for i in best if scores[i] >= floor}
    above = {person: score for person, score in found.items() if score >= floor}
    if above.keys() != expected.keys():
        raise AssertionError(f"the fast search found {above}, comparing with all {expected}")


def _drawer(file: Path | None, size: int, rng: np.random.Generator) -> Callable[[int], Rows]:
    if file is None:
        return lambda count: _unit(rng.standard_normal((count, size)))
    with np.load(file) as kept:
        real = kept["templates"].astype(np.float64)
    spread = np.linalg.cholesky(np.cov(real.T) + 1e-9 * np.eye(size))
    return lambda count: _unit(real.mean(axis=0) + rng.standard_normal((count, size)) @ spread.T)


def _unit(rows: NDArray[np.float64]) -> Rows:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", default="10,1000,10000,100000")
    parser.add_argument("--kept", type=int, default=100_000, help="templates of the kept gallery")
    parser.add_argument("--templates", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
