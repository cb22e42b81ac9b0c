"""`oneglance calibrate`: learn from strangers how alike people look at this door."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneglance.cli.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from oneglance.config import Config
    from oneglance.faces.calibration.fit import Fitted
    from oneglance.faces.calibration.strangers import Sifted
    from oneglance.faces.model.face_model import FaceModel

# The rates whose thresholds are told.
SHOWN = ("1e-3", "1e-5")
_TOO_STRICT = (
    "              so strict that many who are enrolled may be turned away: calibrate with more\n"
    "              strangers, and with one picture of each"
)


def calibrate(
    images: Annotated[
        Path | None,
        typer.Option(
            help="Learn from pictures that this door's camera took: a folder or zip file, one "
            "person a picture.",
            show_default=False,
        ),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            help="Learn from who passes before a camera (its name in the configuration, or 0, "
            "/dev/video0, a URL) or in a recording.",
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=0.1, max=10_000, help="How long to watch a live camera.")
    ] = 60.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from strangers how alike people look at this door, and correct scores for it.

    Pictures of one camera, one wall and one lamp are more alike than the photographs on which the
    model's thresholds were fitted. So strangers at a door score higher with each other, and with
    people enrolled there, than the thresholds allow for. This measures by how much, and from its
    next start on the daemon corrects templates and thresholds for it. Thresholds become stricter or
    stay; they never fall below the model's own.

    Without an option it learns from the strangers that the daemon has kept: set `keep_strangers =
    true` under [calibration], wait until a hundred people have come, then run this. Their templates
    are deleted afterwards. Since nobody watched who came, they only change thresholds. Or give
    pictures or a recording of this very door, with its light, by day or by night as it will be
    used:

        oneglance calibrate --images pictures-of-passers-by

    People who are enrolled are recognised and left out, and repeated visits count once. At least
    twenty strangers are needed; the more there are, the less thresholds rise, since more is known.
    Ask people before you keep pictures of them. Exit code 1 if there are too few strangers, 67 if
    the gallery or its key cannot be used.
    """
    if images is not None and camera is not None:
        raise typer.BadParameter("give --images or --camera, not both")
    from oneglance.config import load_config
    from oneglance.faces.calibration.setup import common_of, stranger_file
    from oneglance.faces.model.setup import load_configured

    settings = load_config(config)
    model = load_configured(settings)
    kept = stranger_file(settings, model)
    unusable = 0
    directions: NDArray[np.float32] | None = None
    if images is not None:
        from oneglance.cli.calibrate.sources import from_images

        templates, unusable = from_images(images, model)
    elif camera is not None:
        from oneglance.cli.calibrate.sources import from_camera

        templates = from_camera(
            *(camera, model),
            min_face_px=settings.decision.min_face_px,
            minutes=minutes,
            configured=settings.camera,
        )
    else:
        kept.delete_if_old()
        templates = kept.read()
        # Nobody watched: they may have been sent, to choose what is taken out of everybody.
        directions = common_of(model)
    sifted, fitted = learned(templates, settings, model, directions, unusable)
    if images is None and camera is None:
        kept.delete()
    told = _figures(sifted, fitted, model, unusable) | {"file": str(settings.calibration_file)}
    typer.echo(json.dumps(told) if as_json else _in_words(told))


def learned(
    templates: NDArray[np.float32],
    config: Config,
    model: FaceModel,
    directions: NDArray[np.float32] | None,
    unusable: int = 0,
) -> tuple[Sifted, Fitted]:
    """Leave out enrolled people, fit (see `fit`), and store the result beside the gallery.

    It is written to the audit log first; if it then cannot be stored, another entry says so.
    `unusable` is how many further pictures were of no use, which who has too few is told. Raises
    TooFewStrangersError, ModelError for a model that does not tell how its own strangers scored,
    GalleryError and AuditError.
    """
    from dataclasses import asdict

    import numpy as np

    from oneglance.cli.audit_log import open_audit
    from oneglance.errors import GalleryError
    from oneglance.faces.calibration.file import Kept, write_calibration
    from oneglance.faces.calibration.fit import CONFIDENCE, fit
    from oneglance.faces.calibration.setup import fitted_spread
    from oneglance.faces.calibration.strangers import sifted
    from oneglance.faces.gallery.vault import load_key

    usual = fitted_spread(model)
    found = sifted(templates, _enrolled(config, model), model.compare, usual)
    enough(found, unusable)
    fitted = fit(found.strangers, model.compare, usual, np.random.default_rng(0), directions)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    key, audit = load_key(config.gallery.key_file), open_audit(config)
    said = {
        "model_id": model.model_id,
        "strangers": fitted.strangers,
        "watched": directions is None,
        "here": asdict(fitted.door.here),
    }
    entry = audit.append("calibration", said)
    try:
        write_calibration(
            config.calibration_file,
            Kept(fitted.door, fitted.strangers, CONFIDENCE, at),
            model.model_id,
            key,
        )
    except GalleryError:
        audit.append("calibration", {"failed": entry.number})
        raise
    return found, fitted


def enough(found: Sifted, unusable: int) -> None:
    """Raise TooFewStrangersError, with what was left out, if a door cannot be known from these."""
    from oneglance.faces.calibration.fit import LEAST_STRANGERS, TooFewStrangersError

    left_out = found.enrolled + found.again + unusable
    if left_out and len(found.strangers) < LEAST_STRANGERS:
        raise TooFewStrangersError(
            f"too few strangers: {len(found.strangers)}, since {found.enrolled} were enrolled, "
            f"{found.again} came again and {unusable} pictures show no face that the door would "
            f"use; no door is known from fewer than {LEAST_STRANGERS}",
            fix="let more people pass, or give more pictures; each of another person",
        )


def _enrolled(config: Config, model: FaceModel) -> NDArray[np.float32]:
    import numpy as np

    from oneglance.cli.audit_log import open_gallery
    from oneglance.faces.gallery.file import is_there
    from oneglance.faces.gallery.person import UnfitTemplatesError

    if not is_there(config.gallery.path):
        return np.empty((0, model.template_size), np.float32)
    with open_gallery(config) as gallery:
        try:
            return gallery.snapshot(model.model_id, datetime.now(UTC)).templates
        except UnfitTemplatesError as error:
            raise error.naming() from None


def _figures(sifted: Sifted, fitted: Fitted, model: FaceModel, unusable: int) -> dict[str, Any]:
    from dataclasses import asdict

    from oneglance.faces.calibration.fit import CONFIDENCE

    door = fitted.door
    known = model.manifest.thresholds
    thresholds = {rate: known[rate] for rate in SHOWN if rate in known}
    return {
        "model_id": model.model_id,
        "strangers": fitted.strangers,
        "enrolled_left_out": sifted.enrolled,
        "came_again": sifted.again,
        "unusable": unusable,
        "fitted": asdict(door.fitted),
        "before": asdict(fitted.raw),
        "after": asdict(fitted.settled),
        "after_at_most": asdict(door.here),
        "confidence": CONFIDENCE,
        "thresholds": {
            rate: {"model": score, "door": door.lifted(score)} for rate, score in thresholds.items()
        },
    }


def _in_words(told: dict[str, Any]) -> str:
    def spread(name: str) -> str:
        return f"{told[name]['mean']:.2f} +- {told[name]['sd']:.2f}"

    thresholds = "; ".join(
        f"FMR {rate}: {row['model']:.2f} becomes {row['door']:.2f}"
        for rate, row in told["thresholds"].items()
    )
    lax, strict = (told["thresholds"].get(rate) for rate in SHOWN)
    too_strict = lax and strict and lax["door"] > strict["model"]
    return "\n".join(
        (
            f"strangers     {told['strangers']} ({told['enrolled_left_out']} enrolled and "
            f"{told['came_again']} who came again left out, {told['unusable']} pictures unusable)",
            f"their scores  {spread('before')}; where the model was fitted {spread('fitted')}",
            f"corrected     {spread('after')}, with {told['confidence']:.0%} confidence at most "
            f"{spread('after_at_most')}",
            f"thresholds    {thresholds}",
            *([_TOO_STRICT] if too_strict else []),
            f"kept in       {told['file']}: it counts from the daemon's next start",
            "so it stays   name this as 'file' under [calibration]: then no daemon starts "
            "without it",
        )
    )
