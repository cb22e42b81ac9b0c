"""`oneglance predict`: do these two pictures show the same person?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneglance.cli.options import JsonOption

if TYPE_CHECKING:
    from oneglance.faces.find.detect import FaceDetector
    from oneglance.faces.model.face_model import FaceModel
    from oneglance.faces.reader import FaceSample

PICTURE_NAME = "chips.png"


def predict(
    image_a: Annotated[Path, typer.Argument(help="A picture of one person.")],
    image_b: Annotated[Path, typer.Argument(help="Another picture.")],
    fmr: Annotated[
        str,
        typer.Option(help="The false match rate whose threshold decides, as the model lists it."),
    ] = "1e-4",
    model: Annotated[
        Path | None,
        typer.Option(help="A model folder; the shipped one unless given.", show_default=False),
    ] = None,
    central: Annotated[
        bool,
        typer.Option(
            "--central", help="Of whatever faces a picture shows, take the large central one."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help=f"Write the two faces as the network saw them to {PICTURE_NAME} in this folder.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether two pictures show the same person, with the score and the threshold.

    Each picture goes through the door's own parts: find the face (Haar), align, encode, compare.
    The two templates are compared as they are, at the model's own threshold for one comparison:
    unlike at a door, no calibration, no second picture of a person and no further look counts. The
    picture that `--out` writes shows people, and only you may read it.

    Exit code 0 for the same person, 1 for different ones, 65 for a picture with no face, with
    several, or with one that is not in the middle.

    Example: `oneglance predict ann.jpg visitor.jpg --fmr 1e-3`
    """
    from oneglance.cli.private_file import private_folder, write_private
    from oneglance.faces.find.detect import FaceDetector
    from oneglance.faces.model.face_model import load_model

    loaded = load_model(model)
    threshold = loaded.threshold(fmr)
    detector = FaceDetector()
    a, b = (_face(path, detector, loaded, central=central) for path in (image_a, image_b))
    score = float(loaded.compare(a.template[None], b.template[None])[0, 0])
    same = score >= threshold
    seen = None
    if out is not None:
        private_folder(out, "--out")
        seen = out / PICTURE_NAME
        write_private(seen, _side_by_side(a, b), "--out")
    if as_json:
        answer = {
            "same": same,
            "score": score,
            "threshold": threshold,
            "fmr": fmr,
            "faces": [_seen(path, face) for path, face in ((image_a, a), (image_b, b))],
            "chips": None if seen is None else str(seen),
            "model": loaded.model_id,
        }
        typer.echo(json.dumps(answer, allow_nan=False))
    else:
        typer.echo("same" if same else "different")
        sign = "at or above" if same else "below"
        typer.echo(f"score {score:.3f}, {sign} the threshold {threshold:.3f} (FMR {fmr})")
        if seen is not None:
            typer.echo(f"the faces compared: {seen}")
    if not same:
        raise typer.Exit(1)


def _face(path: Path, detector: FaceDetector, model: FaceModel, *, central: bool) -> FaceSample:
    from oneglance.errors import ImageError
    from oneglance.faces.reader import load_image, read_central_face, read_one_face_turned

    image = load_image(path)
    if not central:
        try:
            sample, turned_deg = read_one_face_turned(image, detector, model, where=str(path))
        except ImageError as error:
            fix = f"{error.fix}; --central takes the large central face"
            raise ImageError(error.what, where=error.where, fix=fix) from None
        if turned_deg:
            typer.echo(f"{path}: turned by {turned_deg} degrees, as no face was upright", err=True)
        return sample
    face = read_central_face(image, detector, model)
    if face is None:
        raise ImageError(
            "no face was found",
            where=str(path),
            fix="use a sharp, well lit picture from the front",
        )
    return face


def _side_by_side(a: FaceSample, b: FaceSample) -> bytes:
    import cv2
    import numpy as np

    gap = np.full((a.chip.shape[0], 8, 3), 255, np.uint8)
    both = np.hstack([a.chip, gap, b.chip])
    _, png = cv2.imencode(".png", cv2.cvtColor(both, cv2.COLOR_RGB2BGR))
    return png.tobytes()


def _seen(path: Path, face: FaceSample) -> dict[str, object]:
    box = face.box
    return {
        "image": str(path),
        "box_px": [box.x, box.y, box.width, box.height],
        "sharpness": face.sharpness,
        "brightness": face.brightness,
    }
