"""Which of several conversions to use on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneglance.errors import OneglanceError

# A tenth of a point of the float model's accuracy, and of its TAR at the rates that doors use,
# since quantization costs more at strict thresholds than in accuracy.
ACCURACY_LOSS = 0.001
TAR_LOSS = 0.001
STRICT_RATES = ("1e-3", "1e-4")


def choose(reports: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """The fastest of those that are not refused and lose at most 0.1 point; and why, as a sentence.

    That is 0.1 point of accuracy, and of TAR at FAR 1e-3 and 1e-4 if there are enough pairs. Times
    are in ms for a single face on one thread. Raises OneglanceError if none is left.
    """
    left = {
        name: _time_ms(report)
        for name, report in reports.items()
        if not report["refused"]
        and _loss(report) <= ACCURACY_LOSS
        and all(_tar_loss(report, rate) <= TAR_LOSS for rate in STRICT_RATES)
    }
    if not left:
        reasons = "; ".join(f"{name}: {_reason(row)}" for name, row in reports.items())
        raise OneglanceError(f"no conversion is the same model ({reasons})")
    best = min(left, key=lambda name: left[name])
    times = ", ".join(f"{name} {ms:.2f} ms" for name, ms in sorted(left.items(), key=_second))
    out = [f"{name} is out ({_reason(row)})" for name, row in reports.items() if name not in left]
    measured = any(report["accuracy"] for report in reports.values())
    basis = (
        "within 0.1 point of float32's accuracy and TAR"
        if measured
        else "accuracy was not measured"
    )
    return best, "; ".join([f"fastest for one face on one thread, {basis}: {times}", *out])


def _time_ms(report: Mapping[str, Any]) -> float:
    rows = report["graphs"]["encoder"]["speed"]
    return float(next(r["ms"] for r in rows if (r["batch"], r["threads"]) == (1, 1)))


def _loss(report: Mapping[str, Any]) -> float:
    losses = [r["float32"]["accuracy"] - r["converted"]["accuracy"] for r in report["accuracy"]]
    return max(losses, default=0.0)


def _tar_loss(report: Mapping[str, Any], rate: str) -> float:
    losses = [
        row["float32"]["tar_at_far"][rate] - row["converted"]["tar_at_far"][rate]
        for row in report["accuracy"]
        if rate in row["float32"]["tar_at_far"]
    ]
    return max(losses, default=0.0)


def _reason(report: Mapping[str, Any]) -> str:
    if report["refused"]:
        return "; ".join(report["refused"])
    if _loss(report) > ACCURACY_LOSS:
        return f"accuracy falls by {_loss(report):.2%}"
    rate = max(STRICT_RATES, key=lambda rate: _tar_loss(report, rate))
    return f"TAR at FAR {rate} falls by {_tar_loss(report, rate):.2%}"


def _second(row: tuple[str, float]) -> float:
    return row[1]
