"""A picture's appearance in 64 bits, to find copies of it among many thousands."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

BITS = 64
_SIDE = 32
_LOW = 8
# Rows per block: keeps memory to some tens of MB for 20,000 pictures.
_BLOCK = 512


def dct_hash(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """64 bits (64,) that stay the same when a picture is resized, recompressed or brightened.

    Whether each of the 8 x 8 lowest frequencies of the grey 32 x 32 picture, without the constant
    row and column, lies above their median. Source: Zauner, Implementation and benchmarking of
    perceptual image hash functions, 2010 (pHash).
    """
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(small.astype(np.float32))[1 : 1 + _LOW, 1 : 1 + _LOW].ravel()
    return np.asarray(waves > np.median(waves), np.bool_)


def look(image_bgr: NDArray[np.uint8], side: int = 16) -> NDArray[np.float32]:
    """The picture as (side * side,) grey values of mean 0 and length 1, to confirm a hash."""
    grey = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    return np.asarray(small / max(float(np.linalg.norm(small)), 1e-6), np.float32)


def close_pairs(hashes: NDArray[np.bool_], max_bits: int) -> NDArray[np.int64]:
    """All pairs (k, 2), i < j, of hashes bool (n, 64) that differ in at most `max_bits` bits.

    Every pair is compared, with one matrix product per block of rows: exact, and about a second for
    20,000 pictures.
    """
    signs = np.where(hashes, np.float32(1), np.float32(-1))
    # Two rows of +-1 have the product 64 - 2 * (differing bits).
    enough = np.float32(BITS - 2 * max_bits - 1)
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(signs), _BLOCK):
        alike = signs[start : start + _BLOCK] @ signs[start:].T > enough
        rows, columns = np.nonzero(np.triu(alike, k=1))
        found.append(np.stack([rows, columns], axis=1) + start)
    return np.concatenate(found)


def groups(count: int, pairs: NDArray[np.int64]) -> list[list[int]]:
    """Connected groups of two or more among `count` items, sorted, as are the items within each."""
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for first, second in pairs.tolist():
        one, other = sorted((root(first), root(second)))
        parent[other] = one
    members: dict[int, list[int]] = {}
    for item in range(count):
        members.setdefault(root(item), []).append(item)
    return [group for group in members.values() if len(group) > 1]
