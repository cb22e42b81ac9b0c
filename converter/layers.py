"""How far each layer of a quantized graph is from the float graph that it was made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.converter.ranges import tensors_of


@dataclass(frozen=True, slots=True)
class LayerError:
    """The share of a layer's signal that is lost: 0 for none, 1 for all of it.

    The mean over channels of the root mean square error, in units of the channel's own standard
    deviation and at most 1 each. So a channel with an extreme range does not hide the others.
    """

    layer: str
    error: float


def layer_errors(
    wanted: bytes, found: bytes, batches: Iterable[NDArray[np.uint8]]
) -> list[LayerError]:
    """The errors of all tensors that both one-signature graphs compute, in their order.

    A layer's error includes what the layers before it caused: the culprit is where it jumps.
    """
    lost: dict[str, list[float]] = {}
    samples = list(batches)
    for ours, theirs in zip(tensors_of(wanted, samples), tensors_of(found, samples), strict=True):
        true = {row["name"]: row for row in ours.get_tensor_details() if _is_value(row)}
        for row in theirs.get_tensor_details():
            if row["name"] not in true or row["dtype"] not in (np.int8, np.float32):
                continue
            values = _read(ours, true[row["name"]])
            if values is None or (other := _read(theirs, row)) is None:
                continue
            if values.shape == other.shape:
                lost.setdefault(row["name"], []).append(_lost(values, other))
    return [LayerError(_short(name), float(np.mean(parts))) for name, parts in lost.items()]


def _lost(values: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    flat, difference = values.reshape(-1, values.shape[-1]), values - other
    error = np.sqrt(np.square(difference).reshape(flat.shape).mean(axis=0))
    spread = flat.std(axis=0)
    living = spread > 0
    return float(np.minimum(error[living] / spread[living], 1).mean()) if living.any() else 0.0


def worst_layer(errors: list[LayerError]) -> LayerError | None:
    """The layer that adds the most error to that of the one before; None without layers."""
    if not errors:
        return None
    before = [0.0] + [row.error for row in errors[:-1]]
    leaps = [row.error - last for row, last in zip(errors, before, strict=True)]
    return errors[int(np.argmax(leaps))]


def _is_value(row: dict[str, Any]) -> bool:
    return bool(row["dtype"] == np.float32 and len(row["shape"]) >= 2)


def _read(net: Any, row: dict[str, Any]) -> NDArray[np.float64] | None:
    try:
        raw = net.get_tensor(row["index"])
    except ValueError:
        return None
    if row["dtype"] == np.float32:
        return np.asarray(raw, np.float64)
    scale, zero = row["quantization"]
    return (raw.astype(np.float64) - zero) * scale if scale else None


def _short(name: str) -> str:
    """The Keras layer in a tensor's many names."""
    last = name.split(";")[0].split("/")
    return last[-2] if len(last) > 1 else last[-1]
