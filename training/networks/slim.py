"""A narrower MobileFaceNet made from a wide one: the channels that matter most are kept.

Block by block, those inner channels are dropped whose loss the block's last convolution can best
make up for, and that convolution is refitted, by least squares, to the output of the wide network's
block. The fit sees the output of the narrow network's earlier blocks, so their errors are made up
for as well. Sources: Luo, Wu, Lin, ThiNet, ICCV 2017 (channels by the error of the next layer);
Hassibi, Stork, Optimal brain surgeon, NIPS 1992 (which to drop next).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError

_BATCH = 32
# Ridge of the fit, in shares of the mean square of a channel.
_RIDGE = 1e-4
# Layers with weights: before the blocks, in each block, and after them.
_STEM, _BLOCK, _TAIL = 5, 5, 5


def slim(wide: keras.Model, narrow: keras.Model, chips: NDArray[np.uint8]) -> None:
    """Give `narrow`, a mobileface with a smaller `inner`, the best of `wide`'s weights.

    Both are made by `face_networks.mobileface` with the same `width`, `depth` and template size.
    `chips` uint8 (n, 112, 112, 3) are faces; a few hundred are enough. Raises ConfigError if the
    networks do not fit.
    """
    source, target = _layers(wide), _layers(narrow)
    if len(source) != len(target) or len(source) < _STEM + _TAIL:
        raise ConfigError("the networks do not have the same blocks", where="start")
    _copy(source[:_STEM], target[:_STEM])
    _copy(source[-_TAIL:], target[-_TAIL:])
    said = _through(source[:_STEM], chips)
    heard = said
    for at in range(_STEM, len(source) - _TAIL, _BLOCK):
        here, there = source[at : at + _BLOCK], target[at : at + _BLOCK]
        wanted = _through(here, said)
        skips = wanted.shape == said.shape
        said = wanted + said if skips else wanted
        _fit_block(here, there, heard, said - heard if skips else said)
        made = _through(there, heard)
        heard = made + heard if skips else made


def _fit_block(
    wide: Sequence[Any], narrow: Sequence[Any], inputs: NDArray[Any], outputs: NDArray[Any]
) -> None:
    """Choose the channels of one block, and fit its last convolution to `outputs`."""
    count = wide[0].kernel.shape[-1] + 1
    gram = np.zeros((count, count))
    cross = np.zeros((count, outputs.shape[-1]))
    for start in range(0, len(inputs), _BATCH):
        inside = _through(wide[:-1], inputs[start : start + _BATCH])
        rows = inside.reshape(-1, count - 1).astype(np.float64)
        rows = np.column_stack([rows, np.ones(len(rows))])
        gram += rows.T @ rows
        cross += rows.T @ outputs[start : start + _BATCH].reshape(len(rows), -1)
    places = outputs[..., 0].size
    kept, kernel, bias = keep_channels(gram / places, cross / places, narrow[0].kernel.shape[-1])
    expand, slopes, depthwise, slopes_after, project = (layer.get_weights() for layer in wide)
    narrow[0].set_weights([expand[0][..., kept], expand[1][kept]])
    narrow[1].set_weights([slopes[0][..., kept]])
    narrow[2].set_weights([depthwise[0][:, :, kept], depthwise[1][kept]])
    narrow[3].set_weights([slopes_after[0][..., kept]])
    del project
    narrow[4].set_weights([kernel[None, None], bias])


def keep_channels(
    gram: NDArray[np.float64], cross: NDArray[np.float64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Which `count` channels to keep, and the least-squares kernel (count, o) and bias (o,).

    `gram` (c + 1, c + 1) are the mean products of c channels and a constant 1 (last), `cross` (c +
    1, o) those with the o outputs. One at a time, the channel is dropped whose loss raises the
    squared error least once the others are refitted.
    """
    size = len(gram)
    ridge = _RIDGE * np.trace(gram[:-1, :-1]) / max(1, size - 1)
    inverse = np.linalg.inv(gram + ridge * np.diag([*np.ones(size - 1), 0.0]))
    weights = inverse @ cross
    alive = np.ones(size, bool)
    for _ in range(size - 1 - count):
        cost = (weights**2).sum(1) / np.maximum(np.diag(inverse), 1e-30)
        cost[~alive] = np.inf
        cost[-1] = np.inf
        worst = int(np.argmin(cost))
        alive[worst] = False
        column = inverse[:, worst] / inverse[worst, worst]
        weights = weights - np.outer(column, weights[worst])
        inverse = inverse - np.outer(column, inverse[worst])
        # What was dropped is exactly zero.
        weights[worst], inverse[worst], inverse[:, worst] = 0, 0, 0
    kept = np.flatnonzero(alive[:-1])
    return kept, weights[kept], weights[-1]


def _layers(model: keras.Model) -> list[Any]:
    return [layer for layer in model.layers if layer.weights]


def _copy(source: Sequence[Any], target: Sequence[Any]) -> None:
    try:
        for here, there in zip(source, target, strict=True):
            there.set_weights(here.get_weights())
    except ValueError as error:
        raise ConfigError(
            "the stem or the last layers of the start have other sizes", where="start"
        ) from error


def _through(layers: Sequence[Any], inputs: NDArray[Any]) -> NDArray[np.float32]:
    """Inputs after these layers, one after another; uint8 chips are brought to -1..1 first."""
    parts = []
    for start in range(0, len(inputs), _BATCH):
        x: Any = inputs[start : start + _BATCH]
        if x.dtype == np.uint8:
            x = (x.astype(np.float32) - 127.5) / 128
        for layer in layers:
            x = layer(x)
        parts.append(np.asarray(x))
    return np.concatenate(parts)
