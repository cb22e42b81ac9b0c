"""A data check as one HTML page with the pictures concerned, and as JSON beside it.

The page holds pictures of people: only its owner may read it.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2

from oneglance.errors import ImageError, OneglanceError
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import load_image
from oneglance.training.data.check import MIN_FACE_PX, MIN_SIDE_PX, DataReport, Finding, Kind
from oneglance.whole_file import fresh

# A page of more pictures than these is slow to open, and nobody looks at them all.
SHOWN_A_KIND = 60
SHOWN_A_FINDING = 8
_THUMB_PX = 112

TITLES = {
    Kind.UNREADABLE: ("Unreadable", "Restore or delete these files."),
    Kind.COPY_ACROSS: (
        "One photograph, different people",
        "One of the identities is wrong. Move or delete the copy.",
    ),
    Kind.OUTLIER: (
        "Unlike the rest of its identity",
        "The first picture does not look like the others. Somebody else, or a poor picture?",
    ),
    Kind.LOOKALIKE: (
        "Two identities that look like one person",
        "Merge them if they are; a split must not put them on different sides.",
    ),
    Kind.COPY: ("The same file more than once", "Keep one."),
    Kind.NEAR_COPY: ("The same photograph in different files", "Keep the best."),
    Kind.NO_FACE: ("No face found", "Training leaves these out. Is there a face?"),
    Kind.SEVERAL_FACES: (
        "Several faces",
        "Training takes the large central one. Is it the right one?",
    ),
    Kind.TINY: (
        "Tiny",
        f"Pictures under {MIN_SIDE_PX} px, or faces under {MIN_FACE_PX:.0f} px: too small to "
        "learn from.",
    ),
    Kind.ONE_PICTURE: (
        "People with one picture",
        "They serve as strangers only: no genuine pair can be made of them.",
    ),
}

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.finding { display: inline-block; vertical-align: top; margin: 0 .8rem .8rem 0; padding: .6rem;
  border: 1px solid #8886; border-radius: .5rem; max-width: 100%; }
figure { display: inline-block; margin: 0 .4rem 0 0; width: 112px; vertical-align: top; }
figure img, .none { width: 112px; height: 112px; object-fit: contain; background: #8883;
  display: block; border-radius: .3rem; }
figcaption { font-size: 11px; overflow-wrap: anywhere; line-height: 1.25; }
.why { font-size: 13px; margin: 0 0 .4rem; max-width: 36rem; }
"""


def as_json(report: DataReport) -> dict[str, Any]:
    """The whole report for scripts: counts by kind, and every finding."""
    return {
        "source": report.source,
        "model_id": report.model_id,
        "pictures": report.pictures,
        "identities": report.identities,
        "clean": not report.findings,
        "counts": report.counts(),
        "findings": [
            {
                "kind": finding.kind.value,
                "pictures": list(finding.pictures),
                "identities": list(finding.identities),
                "detail": finding.detail,
            }
            for finding in report.findings
        ],
    }


def write_report(report: DataReport, pictures: Pictures, page: Path) -> Path:
    """Write the page, and its JSON beside it; returns the JSON's path. Both have mode 0600.

    Raises OneglanceError if they cannot be written.
    """
    listed = page.with_suffix(".json")
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        _write_private(listed, [json.dumps(as_json(report), indent=1), "\n"])
        _write_private(page, _page(report, pictures))
    except OSError as error:
        raise OneglanceError(
            f"the report cannot be written: {error.strerror}",
            where=str(page),
            fix="choose another --report",
        ) from error
    return listed


def _write_private(path: Path, parts: Iterable[str]) -> None:
    # Not durable: a report can be made again.
    with fresh(path, 0o600, durable=False) as draft:
        draft.writelines(part.encode() for part in parts)


def _page(report: DataReport, pictures: Pictures) -> Iterator[str]:
    source = html.escape(report.source)
    yield "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
    yield f"<meta name='viewport' content='width=device-width'><title>Data check: {source}</title>"
    yield f"<style>{_STYLE}</style></head><body>\n<h1>Data check</h1>\n"
    yield f"<p>{source}: {report.pictures} pictures, {report.identities} identities, looked at "
    yield f"with {html.escape(report.model_id)}. It errs too: look before you delete.</p>\n<table>"
    counts = report.counts()
    for kind in Kind:
        link = f"<a href='#{kind}'>{TITLES[kind][0]}</a>" if counts[kind] else TITLES[kind][0]
        yield f"<tr><td>{link}</td><td class='n'>{counts[kind]}</td></tr>\n"
    yield "</table>\n"
    if not report.findings:
        yield "<p>Nothing was found.</p>\n"
    for kind in Kind:
        own = [finding for finding in report.findings if finding.kind is kind]
        if own:
            title, advice = TITLES[kind]
            yield f"<h2 id='{kind}'>{title} ({len(own)})</h2>\n<p>{advice}"
            if len(own) > SHOWN_A_KIND:
                yield f" The first {SHOWN_A_KIND} are shown; the JSON file has all."
            yield "</p>\n"
            for finding in own[:SHOWN_A_KIND]:
                yield from _block(finding, pictures)
    yield "</body></html>\n"


def _block(finding: Finding, pictures: Pictures) -> Iterator[str]:
    yield f"<div class='finding'><p class='why'>{html.escape(finding.detail)}</p>"
    for name in finding.pictures[:SHOWN_A_FINDING]:
        yield f"<figure>{_thumbnail(pictures, name)}"
        yield f"<figcaption>{html.escape(name)}</figcaption></figure>"
    more = len(finding.pictures) - SHOWN_A_FINDING
    yield f"<p class='why'>and {more} more</p></div>\n" if more > 0 else "</div>\n"


def _thumbnail(pictures: Pictures, name: str) -> str:
    try:
        image = load_image(pictures.read(name))
    except ImageError:
        return "<div class='none'></div>"
    height, width = image.shape[:2]
    shrink = min(1.0, _THUMB_PX / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return f"<img alt='' src='data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}'>"
