"""The parity report as one HTML page that needs no other file."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from oneglance.page import data_uri, fill

_COLOUR, _OTHER = "#1b5f8d", "#888888"


def parity_page(report: Mapping[str, Any]) -> str:
    """The page for a report of `oneglance.converter.job`; it shows no pictures of people."""
    parts = fill(
        "oneglance.converter",
        "page.html",
        report=report,
        thresholds=(report.get("thresholds") or {}).get("by_fmr", {}),
        counted=_counted,
        drawn_histogram=_histogram,
        drawn_layers=_layers,
        data_uri=data_uri,
    )
    return "".join(parts)


def _counted(names: Iterable[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in Counter(names).items()) or "none"


def _histogram(histogram: Mapping[str, Sequence[float]], title: str) -> bytes:
    figure, axes = _axes(title, "how many")
    axes.stairs(histogram["counts"], histogram["edges"], fill=True, color=_COLOUR)
    return _png(figure)


def _layers(errors: Sequence[Mapping[str, Any]], worst: str) -> bytes:
    figure, axes = _axes("layer, in order", "share lost")
    colours = ["#b8322a" if row["layer"] == worst else _COLOUR for row in errors]
    axes.bar(range(len(errors)), [row["error"] for row in errors], color=colours, width=1.0)
    return _png(figure)


def _axes(horizontal: str, vertical: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.6, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.grid(visible=True, alpha=0.25, color=_OTHER)
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
