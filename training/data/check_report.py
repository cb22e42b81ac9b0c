"""A data check as one HTML page with the pictures concerned, and as JSON beside it.

The page holds pictures of people, so only its owner may read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2

from oneglance.errors import ImageError, OneglanceError
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import load_image
from oneglance.training.data.check import MIN_FACE_PX, MIN_SIDE_PX, DataReport, Kind
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

    Needs the extra `report`. Raises OneglanceError if they cannot be written.
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
    # No fsync: a report can be made again.
    with fresh(path, 0o600, durable=False) as draft:
        draft.writelines(part.encode() for part in parts)


def _page(report: DataReport, pictures: Pictures) -> Iterator[str]:
    # Imported here, because a check without a page needs no Jinja2.
    from oneglance.page import data_uri, fill

    def thumbnail(name: str) -> str | None:
        data = _thumbnail(pictures, name)
        return None if data is None else data_uri("image/jpeg", data)

    return fill(
        "oneglance.training.data",
        "check_report.html",
        report=report,
        titles=TITLES,
        findings={kind: [f for f in report.findings if f.kind is kind] for kind in Kind},
        thumbnail=thumbnail,
        shown_a_kind=SHOWN_A_KIND,
        shown_a_finding=SHOWN_A_FINDING,
    )


def _thumbnail(pictures: Pictures, name: str) -> bytes | None:
    try:
        image = load_image(pictures.read(name))
    except ImageError:
        return None
    height, width = image.shape[:2]
    shrink = min(1.0, _THUMB_PX / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return data.tobytes()
