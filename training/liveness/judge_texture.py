"""How well each texture cue tells rendered attacks from rendered visits, picture by picture.

    python -m oneglance.training.liveness.judge_texture MODEL_FOLDER DATA

Films in the style JUDGE of people of LFW fold 8: other people, backgrounds and parameters than the
read-out was fitted on. Frames of one film are alike, so the figures are less certain than for the
same number of independent pictures.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import OneglanceError
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.liveness.manifest import read_liveness
from oneglance.faces.liveness.texture import WANTED, log_odds
from oneglance.faces.model.face_model import load_model
from oneglance.faces.model.litert import Signatures
from oneglance.faces.model.manifest import ModelFile, verified_bytes
from oneglance.training.liveness.crops import crop
from oneglance.training.liveness.film import ATTACK_KINDS, Film
from oneglance.training.liveness.people import Lfw, split_people
from oneglance.training.liveness.portrait import Portrait
from oneglance.training.liveness.render import render
from oneglance.training.liveness.styles import JUDGE, Style

PEOPLE = 20
BPCER = 0.03
_SEED = 2
_OTHERS = 8
_FRAMES = 4


def area(live: NDArray[np.floating], attacks: NDArray[np.floating]) -> float:
    """How often a value of `live` (n,) exceeds one of `attacks` (m,): the area under the ROC."""
    above = (live[:, None] > attacks[None]).mean() + 0.5 * (live[:, None] == attacks[None]).mean()
    return float(above)


def apcer(live: NDArray[np.floating], attacks: NDArray[np.floating], bpcer: float = BPCER) -> float:
    """The share of `attacks` (m,) above the value that a share `bpcer` of `live` (n,) is below."""
    return float((attacks >= np.quantile(live, bpcer)).mean())


def made_crops(
    lfw: Lfw, names: list[str], style: Style, rng: np.random.Generator, *, people: int, scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[str]]:
    """BGR crops (n, 128, 128, 3) from films of `people` of those named; which of them show a live
    person; and the kind of film that each is from.

    Each person is filmed in two visits and two attacks; four frames of each film are taken.
    """
    detector, model = FaceDetector(), load_model()
    crops, live, shown = [], [], []
    others: list[Portrait] = []
    filmed = 0
    for name in rng.permutation(np.array(names)):
        portraits = lfw.portraits(str(name), detector, model, most=2)
        if len(others) >= _OTHERS // 2 and portraits:
            kinds = [str(kind) for kind in rng.choice(ATTACK_KINDS, 2, replace=False)]
            kinds += ["visit", "visit_two_photos" if len(portraits) > 1 else "visit"]
            for kind in kinds:
                film = render(kind, portraits, others, style, rng, seconds=1.6, fps=5.0)
                found = _crops(film, rng, scale)
                crops += found
                live += [film.live] * len(found)
                shown += [kind] * len(found)
            filmed += 1
            if filmed == people:
                break
        others = (others + portraits)[-_OTHERS:]
    return np.stack(crops), np.array(live), shown


def _crops(film: Film, rng: np.random.Generator, scale: float) -> list[NDArray[np.uint8]]:
    chosen = rng.choice(len(film.frames), min(_FRAMES, len(film.frames)), replace=False)
    found = []
    for at in chosen:
        picture = crop(film.frames[at], film.points[at], scale)
        if picture is not None:
            found.append(picture)
    return found


def main() -> None:
    """Judge the model folder argv[1] on films made from the data in argv[2]."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m oneglance.training.liveness.judge_texture MODEL_FOLDER DATA")
    folder, data = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        document = read_liveness(folder)
        lfw = Lfw(data / "lfw_folds1-8.zip")
        names = list(split_people(data / "lfw_people_folds1-8.csv")["judge"])
        for cue in document.cues:
            rng = np.random.default_rng(_SEED)
            crops, live, kinds = made_crops(
                lfw, names, JUDGE, rng, people=PEOPLE, scale=cue.crop_scale
            )
            file = ModelFile(cue.file, document.files[cue.file].sha256)
            network = Signatures(folder / cue.file, WANTED, content=verified_bytes(folder, file))
            logits = np.concatenate([network.run("liveness", crops=crop[None]) for crop in crops])
            told = np.array([log_odds(row, cue.live, cue.against) for row in logits])
            for kind in (
                "all",
                *sorted({k for k, real in zip(kinds, live, strict=True) if not real}),
            ):
                chosen = ~live if kind == "all" else np.array(kinds) == kind
                sys.stdout.write(
                    f"{cue.name} {kind}: {live.sum()} live, {chosen.sum()} attacks, "
                    f"AUC {area(told[live], told[chosen]):.3f}, "
                    f"APCER {apcer(told[live], told[chosen]):.3f} at BPCER {BPCER}\n"
                )
    except OneglanceError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
