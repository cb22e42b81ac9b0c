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
    compared: dict[str, _Compared] = {}
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
                compared.setdefault(row["name"], _Compared()).add(values, other)
    return [LayerError(_short(name), both.lost()) for name, both in compared.items()]


@dataclass(slots=True, eq=False)
class _Compared:
    """Sums over all batches by channel (c,): of values and their squares about the first one."""

    first: Any = None
    count: int = 0
    values: Any = 0.0
    squares: Any = 0.0
    errors: Any = 0.0

    def add(self, values: NDArray[np.float64], other: NDArray[np.float64]) -> None:
        flat = values.reshape(-1, values.shape[-1])
        if self.first is None:
            self.first = flat[0].copy()
        self.count += len(flat)
        self.errors = self.errors + np.square(other.reshape(flat.shape) - flat).sum(axis=0)
        flat = flat - self.first
        self.values = self.values + flat.sum(axis=0)
        self.squares = self.squares + np.square(flat).sum(axis=0)

    def lost(self) -> float:
        variance = self.squares / self.count - np.square(self.values / self.count)
        living = variance > 0
        if not living.any():
            return 0.0
        share = np.sqrt(self.errors[living] / self.count / variance[living])
        return float(np.minimum(share, 1).mean())


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
