"""The end of a conversion: write its report, and put its folder in place, or aside if refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from oneglance.converter.folder import move_folder
from oneglance.converter.page import parity_page
from oneglance.errors import OneglanceError

REPORT_NAME, PAGE_NAME = "parity.json", "parity.html"


def finish(
    report: dict[str, Any], folder: Path, out: Path, id_of: Callable[[Path], str]
) -> dict[str, Any]:
    """Move the folder to `out`; if it was refused, beside `out`, and raise OneglanceError."""
    if report["refused"]:
        aside = free_beside(out)
        move_folder(folder, aside)
        raise OneglanceError(
            f"the converted model is not the same: {'; '.join(report['refused'])}",
            where=report["model"],
            fix=f"its files and {PAGE_NAME} are kept in {aside}; try another --quantize, other "
            "--calibration, or set the limit",
        )
    move_folder(folder, out)
    return {**report, "model_id": id_of(out), "out": str(out)}


def free_beside(out: Path) -> Path:
    """A free name beside the output folder for what was refused."""
    aside, number = out.with_name(f"{out.name}-refused"), 1
    while aside.exists():
        number += 1
        aside = out.with_name(f"{out.name}-refused-{number}")
    return aside


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """The report as JSON and as a page; NaN becomes null in JSON."""
    text = json.dumps(_finite(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / REPORT_NAME).write_text(text, "utf-8")
    (folder / PAGE_NAME).write_text(parity_page(report), "utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
