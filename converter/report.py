"""The parity report: everything measured about a conversion, and what is not good enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.converter.delegate import macs_of, only, taken_by_delegate
from oneglance.converter.layers import layer_errors, worst_layer
from oneglance.converter.parity import cosines
from oneglance.converter.ranges import AT_ONCE
from oneglance.converter.request import Limits
from oneglance.converter.speed import PEAK_METHOD, floor_ms, peak_gmacs, times_ms

_BINS = 40
_LAYER_SAMPLES = 16
Encode = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def template_part(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> dict[str, Any]:
    """Cosines of the same faces' templates (n, d): least, mean, and spread."""
    values = cosines(wanted, found)
    return {
        "samples": len(values),
        "mean": float(values.mean()),
        "min": float(values.min()),
        "histogram": _histogram(values),
    }


def score_part(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> dict[str, Any]:
    """Differences between the scores (m, m) of the same pairs, in logits."""
    off = ~np.eye(len(wanted), dtype=bool)
    differences = (found.astype(np.float64) - wanted)[off]
    return {
        "pairs": int(off.sum()),
        "mean": float(differences.mean()),
        "mean_absolute": float(np.abs(differences).mean()),
        "largest": float(np.abs(differences).max()),
        "histogram": _histogram(differences),
    }


def graph_part(
    model: bytes,
    plain: bytes,
    signature: str,
    input_name: str,
    samples: NDArray[np.uint8],
    precision: str,
) -> dict[str, Any]:
    """Size, delegate, layers and times of one signature; `plain` is the float32 file."""
    taken = taken_by_delegate(model, signature)
    integer = precision == "int8"
    rows = times_ms({"converted": model, "float32": plain}, signature, input_name, samples)
    floor = floor_ms(model, signature, integer=integer)
    return {
        "bytes": len(model),
        "bytes_float32": len(plain),
        "delegate": {"partitions": taken.partitions, "outside": list(taken.outside)},
        "macs": macs_of(model, signature),
        "peak_gmacs_one_thread": peak_gmacs(integer),
        "peak_method": PEAK_METHOD,
        "floor_ms_one_thread": floor,
        "speed": [
            {**ours, "ms_float32": theirs["ms"]}
            for ours, theirs in zip(rows["converted"], rows["float32"], strict=True)
        ],
    }


def layer_part(
    prepared: bytes, model: bytes, signature: str, samples: NDArray[np.uint8]
) -> dict[str, Any]:
    """Errors of an int8 graph's layers, compared with the float graph that it was made from."""
    few = samples[:_LAYER_SAMPLES]
    batches = [few[at : at + AT_ONCE] for at in range(0, len(few), AT_ONCE)]
    errors = layer_errors(only(prepared, signature), only(model, signature), batches)
    worst = worst_layer(errors)
    return {
        "errors": [asdict(row) for row in errors],
        "worst": None if worst is None else asdict(worst),
    }


def refusals(report: Mapping[str, Any], limits: Limits) -> list[str]:
    """What is beyond the limits, in words; NaN is beyond every limit."""
    said = []
    worst = (report.get("layers") or {}).get("worst")
    cosine = report["templates"]["mean"]
    if not cosine >= limits.cosine:
        culprit = "" if worst is None else f"; the most is lost in layer {worst['layer']}"
        said.append(f"mean cosine {cosine:.4f} of templates is under {limits.cosine}{culprit}")
    for told in report.get("accuracy", []):
        before, after = told["float32"], told["converted"]
        lost = before["accuracy"] - after["accuracy"]
        if not lost <= limits.accuracy_loss:
            said.append(f"accuracy falls by {lost:.2%} ({told['protocol']})")
        if "1e-3" in before["tar_at_far"]:
            lost = before["tar_at_far"]["1e-3"] - after["tar_at_far"]["1e-3"]
            if not lost <= limits.tar_loss:
                said.append(f"TAR at FAR 1e-3 falls by {lost:.2%} ({told['protocol']})")
    for part, graph in report["graphs"].items():
        partitions = graph["delegate"]["partitions"]
        if report["kind"] == "faces" and not 1 <= partitions <= limits.partitions:
            said.append(
                f"the {part} is {partitions} delegate partitions, not {limits.partitions}; outside "
                f"are {', '.join(sorted(set(graph['delegate']['outside']))) or 'no operations'}"
            )
    return said


def _histogram(values: NDArray[np.floating]) -> dict[str, list[float]]:
    known = values[np.isfinite(values)].astype(np.float64)
    low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
    # Values that differ in the last bit alone have hardly any width, and far from zero the bins
    # must still be wider than that bit.
    width = max(high - low, 1e-6, 1e-6 * max(abs(low), abs(high)))
    counts, edges = np.histogram(known, bins=_BINS, range=(low, low + width))
    return {"edges": edges.tolist(), "counts": counts.tolist()}
