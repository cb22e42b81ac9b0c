"""The curves of `oneglance evaluate --report`, as PNG. Needs matplotlib (extra `report`)."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from oneglance.faces.evaluation import metrics
from oneglance.faces.evaluation.figures import MIN_FALSE_MATCHES, Comparisons

_SIZE_INCHES = (5.6, 4.2)
_DPI = 110
_POINTS = 400
_BINS = 80
_GENUINE, _IMPOSTOR, _DOOR = "#1b7f4d", "#b8322a", "#666666"


def plots(made: Comparisons, thresholds: Mapping[str, float]) -> dict[str, bytes]:
    """Title and PNG of each plot; `thresholds` are the door's, by false match rate.

    Needs at least one genuine and one impostor score.
    """
    # From below one false match, so that a single impostor pair makes an axis, too.
    fars = np.geomspace(0.5 / len(made.impostor), 1, _POINTS)
    tars = metrics.tars_at(made.genuine, made.impostor, fars)
    return {
        "Detection error trade-off (DET)": _det(made, fars, 1 - tars),
        "Receiver operating characteristic (ROC)": _roc(made, fars, tars),
        "Scores": _histogram(made, thresholds),
        "Errors by threshold": _errors(made, thresholds),
    }


def _det(made: Comparisons, fmr: np.ndarray, fnmr: np.ndarray) -> bytes:
    figure, axes = _axes("false match rate (FMR)", "false non-match rate (FNMR)")
    floor = 0.5 / len(made.genuine)
    _curve(axes, fmr, np.maximum(fnmr, floor), len(made.impostor))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(fmr[0], 1)
    axes.set_ylim(floor, 1)
    low = min(fmr[0], floor)
    axes.plot([low, 1], [low, 1], color=_DOOR, linewidth=0.8, linestyle=":", label="FMR = FNMR")
    axes.legend(loc="lower left")
    return _png(figure)


def _roc(made: Comparisons, fmr: np.ndarray, tar: np.ndarray) -> bytes:
    figure, axes = _axes("false match rate (FMR)", "true match rate (TAR)")
    _curve(axes, fmr, tar, len(made.impostor))
    axes.set_xscale("log")
    axes.set_xlim(fmr[0], 1)
    axes.set_ylim(min(0.9, float(tar.min())) - 0.01, 1.002)
    axes.legend(loc="lower right")
    return _png(figure)


def _histogram(made: Comparisons, thresholds: Mapping[str, float]) -> bytes:
    figure, axes = _axes("score", "density")
    edges = np.linspace(*_span(made), _BINS + 1).tolist()
    for scores, colour, label in (
        (made.impostor, _IMPOSTOR, "impostor"),
        (made.genuine, _GENUINE, "genuine"),
    ):
        axes.hist(scores, bins=edges, density=True, alpha=0.55, color=colour, label=label)
    axes.set_ylim(top=1.3 * axes.get_ylim()[1])
    _door_lines(axes, thresholds)
    axes.legend(loc="upper left")
    return _png(figure)


def _errors(made: Comparisons, thresholds: Mapping[str, float]) -> bytes:
    figure, axes = _axes("threshold", "rate")
    low, high = _span(made)
    steps = np.linspace(low, high, _POINTS)
    fmr = 1 - np.searchsorted(np.sort(made.impostor), steps) / len(made.impostor)
    fnmr = np.searchsorted(np.sort(made.genuine), steps) / len(made.genuine)
    for rates, colour, label in ((fmr, _IMPOSTOR, "FMR"), (fnmr, _GENUINE, "FNMR")):
        # A logarithmic axis has no zero: the curve ends where the sample does.
        axes.plot(steps, np.where(rates > 0, rates, np.nan), color=colour, label=label)
    axes.set_yscale("log")
    axes.set_ylim(top=1)
    _door_lines(axes, thresholds)
    axes.legend(loc="lower left")
    return _png(figure)


def _curve(axes: Axes, fmr: np.ndarray, rates: np.ndarray, impostors: int) -> None:
    sure = fmr * impostors >= MIN_FALSE_MATCHES
    axes.step(fmr, rates, where="post", color=_IMPOSTOR, linewidth=1, linestyle="--", alpha=0.7)
    label = f"at least {MIN_FALSE_MATCHES} false matches"
    axes.step(fmr[sure], rates[sure], where="post", color=_IMPOSTOR, linewidth=1.8, label=label)


def _door_lines(axes: Axes, thresholds: Mapping[str, float]) -> None:
    for fmr, threshold in thresholds.items():
        axes.axvline(threshold, color=_DOOR, linewidth=0.9, linestyle=":")
        axes.annotate(
            fmr,
            (threshold, 0.99),
            xycoords=("data", "axes fraction"),
            rotation=90,
            fontsize=7,
            ha="right",
            va="top",
            color=_DOOR,
        )


def _span(made: Comparisons) -> tuple[float, float]:
    low = float(min(made.genuine.min(), made.impostor.min()))
    high = float(max(made.genuine.max(), made.impostor.max()))
    return (low, high) if low < high else (low - 1, high + 1)


def _axes(horizontal: str, vertical: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.grid(visible=True, alpha=0.25)
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
