"""An evaluation as one HTML page with its curves and its worst pairs, and as JSON beside it.

The page holds pictures of people: only its owner may read it.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.cli.evaluate import slice_tables
from oneglance.cli.evaluate.plots import plots
from oneglance.cli.private_file import write_private
from oneglance.faces.evaluation.figures import Comparisons, ScoredPair, WorstPairs

PAGE_NAME = "report.html"
FIGURES_NAME = "figures.json"
_LISTED = 200

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; } td, th { padding: .2rem 1.2rem .2rem 0; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.plot { display: inline-block; margin: 0 1rem 1rem 0; width: 560px; max-width: 100%; }
.plot img { width: 100%; background: #fff; border-radius: .3rem; }
.pair { display: inline-block; vertical-align: top; margin: 0 .8rem .8rem 0; width: 240px; }
.pair img { width: 112px; height: 112px; border-radius: .3rem; margin-right: 4px; }
.pair p { font-size: 12px; margin: .2rem 0 0; overflow-wrap: anywhere; line-height: 1.3; }
"""

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
    """Write the page and the figures into a folder that is there, both with mode 0600.

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
    model = html.escape(figures["model"])
    yield "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
    yield f"<meta name='viewport' content='width=device-width'><title>Evaluation: {model}</title>"
    yield f"<style>{_STYLE}{slice_tables.STYLE}</style></head><body>\n"
    yield f"<h1>Evaluation of {model}</h1>\n"
    yield f"<p>{figures['images']:,} pictures, {figures['genuine_pairs']:,} genuine and "
    yield f"{figures['impostor_pairs']:,} impostor pairs. Intervals: {figures['confidence']}; "
    yield "pairs share faces, so the true ones are wider.</p>\n<table>"
    for name, value, interval in _rows(figures):
        yield f"<tr><td>{html.escape(name)}</td><td class='n'>{value}</td>"
        yield f"<td>{interval}</td></tr>\n"
    yield "</table>\n"
    if len(made.genuine) and len(made.impostor):
        thresholds = {fmr: row["threshold"] for fmr, row in figures["at_door_thresholds"].items()}
        yield "<h2>Curves</h2>\n<p>Dotted lines: the door's thresholds, by false match rate. "
        yield "Dashed: fewer than ten false matches, mostly chance.</p>\n"
        for title, png in plots(made, thresholds).items():
            yield f"<figure class='plot'>{_image(png, title)}"
            yield f"<figcaption>{title}</figcaption></figure>\n"
    slices = figures["slices"]
    yield from slice_tables.pair_tables(slices["pairs"], figures["shipped_threshold"])
    yield from _pairs("Genuine pairs with the lowest scores", worst.genuine, chip_of)
    yield from _pairs("Impostor pairs with the highest scores", worst.impostor, chip_of)
    missed = figures["not_acquired"]
    yield f"<h2>Pictures without a face ({len(missed)})</h2>\n"
    yield from slice_tables.picture_tables(slices["pictures"])
    yield "<ul>"
    yield from (f"<li>{html.escape(name)}</li>\n" for name in missed[:_LISTED])
    yield "</ul>\n"
    if len(missed) > _LISTED:
        yield f"<p>The first {_LISTED}; {FIGURES_NAME} has all.</p>\n"
    yield "</body></html>\n"


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


def _pairs(title: str, pairs: Sequence[ScoredPair], chip_of: ChipOf) -> Iterator[str]:
    yield f"<h2>{title}</h2>\n"
    for pair in pairs:
        yield "<div class='pair'>"
        for name in (pair.image_a, pair.image_b):
            chip = chip_of(name)
            if chip is not None:
                _, png = cv2.imencode(".png", cv2.cvtColor(chip, cv2.COLOR_RGB2BGR))
                yield _image(png.tobytes(), name)
        names = f"{html.escape(pair.image_a)}<br>{html.escape(pair.image_b)}"
        yield f"<p><b>{pair.score:.2f}</b><br>{names}</p></div>\n"


def _image(png: bytes, title: str) -> str:
    data = base64.b64encode(png).decode()
    return f"<img alt='{html.escape(title)}' src='data:image/png;base64,{data}'>"
