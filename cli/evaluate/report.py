"""An evaluation as one HTML page with its curves and its worst pairs, and as JSON beside it.

The page holds pictures of people: only its owner may read it. Needs the extra `report`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.cli.evaluate.plots import plots
from oneglance.cli.private_file import write_private
from oneglance.faces.evaluation.figures import Comparisons, WorstPairs
from oneglance.faces.evaluation.slices import FACE_TRAITS, PICTURE_TRAITS
from oneglance.page import data_uri, fill

PAGE_NAME = "report.html"
FIGURES_NAME = "figures.json"
_LISTED = 200

_PROTOCOLS = {
    "folds": "each fold's threshold from the other folds; a pair without a face is wrong",
    "one fold": "at the model's own threshold; a pair without a face is wrong",
    "all pairs": "at the model's own threshold, genuine and impostor pairs weighing the same; "
    "a pair without a face is wrong",
}

ChipOf = Callable[[str], NDArray[np.uint8] | None]


def write_report(
    folder: Path,
    figures: dict[str, Any],
    made: Comparisons,
    worst: WorstPairs,
    chip_of: ChipOf,
) -> None:
    """Write the page and the figures into an existing folder, both with mode 0600.

    `chip_of` gives the RGB chip uint8 (112, 112, 3) of a picture by name. Raises OneglanceError
    if a file cannot be written.
    """
    written = figures | {"worst_pairs": asdict(worst)}
    text = json.dumps(written, indent=2, allow_nan=False) + "\n"
    write_private(folder / FIGURES_NAME, text.encode(), "--report")
    page = "".join(_page(figures, made, worst, chip_of))
    write_private(folder / PAGE_NAME, page.encode(), "--report")


def _page(
    figures: dict[str, Any], made: Comparisons, worst: WorstPairs, chip_of: ChipOf
) -> Iterator[str]:
    def chip(name: str) -> str | None:
        pixels = chip_of(name)
        if pixels is None:
            return None
        _, png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        return data_uri("image/png", png.tobytes())

    thresholds = {fmr: row["threshold"] for fmr, row in figures["at_door_thresholds"].items()}
    both = len(made.genuine) and len(made.impostor)
    return fill(
        "oneglance.cli.evaluate",
        "report.html",
        figures=figures,
        rows=_rows(figures),
        plots=plots(made, thresholds) if both else {},
        worst=worst,
        chip=chip,
        data_uri=data_uri,
        face_traits=FACE_TRAITS,
        picture_traits=PICTURE_TRAITS,
        span=_span,
        between=_between,
        listed=_LISTED,
        figures_name=FIGURES_NAME,
    )


def _rows(figures: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    how = _PROTOCOLS[figures["protocol"]]
    error = f"standard error {figures['accuracy_se']:.2%}"
    yield f"accuracy ({how})", f"{figures['accuracy']:.2%}", error
    mix = f"{figures['genuine_pairs']:,} genuine to {figures['impostor_pairs']:,} impostor pairs"
    for name, remark in (("precision", f", {mix}"), ("recall", "")):
        if figures[name] is not None:
            title = f"{name} at the model's own threshold{remark}"
            yield title, f"{figures[name]:.2%}", _between(figures[f"{name}_95"])
    missing = f"{len(figures['not_acquired'])} of {figures['images']:,}"
    yield "pictures without a face", f"{figures['failure_to_acquire']:.2%}", missing
    if figures["eer"] is not None:
        eer, auc = figures["eer_95"], figures["auc_95"]
        sure = f"; {figures['confidence_of_eer_and_auc']}"
        yield (
            "equal error rate",
            f"{figures['eer']:.2%}",
            "" if eer is None else _between(eer) + sure,
        )
        yield (
            "area under the curve",
            f"{figures['auc']:.5f}",
            "" if auc is None else _between(auc, "{:.5f}") + sure,
        )
    for far, tar in figures["tar_at_far"].items():
        yield f"TAR at FAR {far}", f"{tar:.2%}", _between(figures["tar_at_far_95"][far])
    for fmr, row in figures["at_door_thresholds"].items():
        title = f"at the door's threshold for FMR {fmr} ({row['threshold']:.2f})"
        yield f"TAR {title}", f"{row['tar']:.2%}", _between(row["tar_95"])
        yield f"FMR {title}", f"{row['fmr']:.2e}", _between(row["fmr_95"], "{:.1e}")


def _between(interval: Sequence[float], shape: str = "{:.2%}") -> str:
    low, high = interval
    return f"{shape.format(low)} to {shape.format(high)}"


def _span(row: Mapping[str, Any]) -> str:
    low, high = row["from"], row["below"]
    if low is None:
        return f"under {high:g}"
    return f"{low:g} and more" if high is None else f"{low:g} to {high:g}"
