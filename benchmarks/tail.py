"""How high strangers score: every pair of two people within some sets of faces.

python benchmarks/tail.py --faces lfw.npz --faces celeba.npz --same benchmarks/same_people.csv \
    [--model models/mobileface-2] [--variant int8] [--anew] [--kept FOLDER] \
    [--fit] [--into-manifest]

The files are those of known_faces.py. Pairs of names in same_people.csv (as hashes) belong to one
person, judged by eye, and are left out; the figures with them stand beside. Sets are not compared
with each other: many people are in both. For a variant other than the one that made the templates,
--anew encodes the chips again and keeps its work in FOLDER, so that a run can be continued. With
--fit the other rows are fitted as well, to every pair of the faces of folds 7 and 8, as a
conversion fits them to the faces it finds itself. With --into-manifest everything is put into the
manifest's thresholds, with TAR on the genuine pairs of these folds. One JSON object on stdout.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from known_faces import KnownFaces, encoded_by, load_known

from oneglance.converter.fitting import LabelledFaces, fit_to, with_strict_rows
from oneglance.faces.evaluation.metrics import wilson
from oneglance.faces.evaluation.strangers import (
    SamePeople,
    Strangers,
    collect,
    fit_pareto,
    strict_rows,
)
from oneglance.faces.evaluation.thresholds import all_pairs
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.model.manifest import MANIFEST_NAME
from oneglance.models import default_model_dir

FIT_FOLDS = (7, 8)
RATES = ("1e-3", "1e-4", "1e-5", "1e-6", "1e-7")
_AT_ONCE = 32


def main() -> None:
    """Compare, fit, print."""
    args = _arguments()
    cv2.setNumThreads(1)
    folder = args.model or default_model_dir()
    model = load_model(folder, variant=args.variant)
    manifest = json.loads((folder / MANIFEST_NAME).read_text("utf-8"))
    row = manifest["variants"][args.variant or manifest["default"]]
    same = SamePeople.read(args.same)
    known = [load_known(file) for file in args.faces]
    if args.anew:
        known = [
            encoded_by(model, faces, args.kept and args.kept / f"{file.stem}.npy")
            for file, faces in zip(args.faces, known, strict=True)
        ]
    chosen = _fitted_on(known)
    genuine = all_pairs(chosen.templates, list(chosen.people), model.compare)[0]
    if args.fit:
        row["thresholds"] = _fitted(chosen, model)
    by_fmr = row["thresholds"]["by_fmr"]
    floor = by_fmr["1e-3"]["threshold"]
    told: dict[str, Any] = {"model": model.model_id, "sets": []}
    screened = []
    for file, faces in zip(args.faces, known, strict=True):
        rows = faces.templates
        every = collect(rows, list(faces.people), model.compare, floor)
        some = collect(rows, list(faces.people), model.compare, floor, same)
        screened.append(some)
        told["sets"].append(
            {
                "faces": str(file.stem),
                "people": len(some.pictures),
                "left_out_pairs": every.pairs - some.pairs,
                "screened": _rates(some, by_fmr),
                "all": _rates(every, by_fmr),
                "strict": strict_rows([some], genuine),
                "strict_of_all": strict_rows([every], genuine),
            }
        )
        if (faces.folds > 0).any():
            told["sets"][-1]["by_training"] = _by_training(some, faces, by_fmr)
    told["pareto"] = _pareto(screened)
    labelled = [
        LabelledFaces(file.stem, faces.templates, list(faces.people))
        for file, faces in zip(args.faces, known, strict=True)
    ]
    fitted = with_strict_rows(by_fmr, genuine, labelled, model, same)
    told["pooled"] = {rate: fitted[rate] for rate in RATES if rate in fitted}
    if args.into_manifest:
        row["thresholds"]["by_fmr"] = fitted
        row["thresholds"]["fitted_on"]["strict_rates"] = [faces.told() for faces in labelled]
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        (folder / MANIFEST_NAME).write_text(text, "utf-8")
    json.dump(told, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _rates(found: Strangers, by_fmr: dict[str, Any]) -> dict[str, Any]:
    """How many pairs reach the manifest's thresholds, and the highest scores."""
    rates = {}
    for rate, row in by_fmr.items():
        if row["threshold"] >= found.floor:
            matches = int(np.sum(found.scores >= row["threshold"]))
            rates[rate] = {
                "matches": matches,
                "fmr": matches / found.pairs,
                "fmr_95": wilson(matches, found.pairs),
            }
    highest = np.sort(found.scores)[::-1][:10]
    return {"pairs": found.pairs, "rates": rates, "highest": [float(one) for one in highest]}


def _by_training(found: Strangers, faces: KnownFaces, by_fmr: dict[str, Any]) -> dict[str, Any]:
    """The same rates between people the join was trained on, people it was not, and both."""
    kinds, person = np.unique(faces.people, return_inverse=True)
    unseen = np.zeros(len(kinds), bool)
    unseen[person[np.isin(faces.folds, FIT_FOLDS)]] = True
    pictures = [found.pictures[~unseen].astype(float), found.pictures[unseen].astype(float)]
    within = [(one.sum() ** 2 - (one**2).sum()) / 2 for one in pictures]
    pairs = {"seen": within[0], "both": pictures[0].sum() * pictures[1].sum(), "unseen": within[1]}
    first, second = unseen[found.first], unseen[found.second]
    chosen = {"seen": ~first & ~second, "both": first ^ second, "unseen": first & second}
    told: dict[str, Any] = {}
    for kind, rows in chosen.items():
        scores = found.scores[rows]
        told[kind] = {"pairs": int(pairs[kind])}
        for rate, row in by_fmr.items():
            if row["threshold"] >= found.floor:
                matches = int(np.sum(scores >= row["threshold"]))
                told[kind][rate] = {
                    "fmr": matches / pairs[kind],
                    "fmr_95": wilson(matches, int(pairs[kind])),
                }
    return told


def _pareto(sets: list[Strangers]) -> list[dict[str, float]]:
    """The pooled tail fitted above several thresholds: how much depends on that choice."""
    scores = np.concatenate([one.scores for one in sets])
    pairs = sum(one.pairs for one in sets)
    falling = np.sort(scores)[::-1]
    told = []
    for share in (3e-4, 1e-4, 3e-5, 1e-5):
        above = float(falling[int(share * pairs)])
        fitted = fit_pareto(scores, np.ones(len(scores)), above, pairs)
        told.append(
            {
                "above": above,
                "share": share,
                "shape": fitted.shape,
                "scale": fitted.scale,
                **{rate: fitted.threshold(float(rate)) for rate in ("1e-6", "1e-7", "2.5e-8")},
            }
        )
    return told


def _fitted_on(known: list[KnownFaces]) -> LabelledFaces:
    """The faces of the folds that thresholds are fitted on."""
    for faces in known:
        chosen = np.isin(faces.folds, FIT_FOLDS)
        if chosen.any():
            people = list(faces.people[chosen])
            return LabelledFaces("folds 7 and 8", faces.templates[chosen], people)
    raise SystemExit("none of the files has folds 7 and 8")


def _fitted(chosen: LabelledFaces, model: FaceModel) -> dict[str, Any]:
    """The manifest's thresholds, without strict rows."""
    names = [str(number) for number in range(len(chosen.people))]
    return fit_to(
        dict(zip(names, chosen.templates, strict=True)),
        dict(zip(names, chosen.people, strict=True)),
        model,
        {"images": "lfw_folds1-8.zip", "people": "lfw_people_folds1-8.csv"},
        FIT_FOLDS,
        Path(chosen.source),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, action="append", required=True)
    parser.add_argument("--same", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--variant")
    parser.add_argument("--anew", action="store_true", help="encode the chips anew")
    parser.add_argument("--kept", type=Path, help="a folder for what --anew has encoded")
    parser.add_argument("--fit", action="store_true", help="fit the rates from 1e-2 to 1e-5, too")
    parser.add_argument("--into-manifest", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
