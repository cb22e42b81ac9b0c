"""Which people are for training, which for validation and which for the test, kept in a file.

A split is by identity, never by picture, and identities that may be one person stay together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError, ImageError, os_fix
from oneglance.faces.pictures import Pictures
from oneglance.training.data.perceptual import groups
from oneglance.whole_file import write_whole

SIDES = ("train", "validation", "test")
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Split:
    """People by side, and the data that it was made of.

    `sha256` is `data_sha256` of that data; `people` maps each of SIDES to its identities.
    """

    source: str
    sha256: str
    seed: int
    fractions: tuple[float, ...]
    people: Mapping[str, tuple[str, ...]]

    def side_of(self) -> dict[str, str]:
        """The side of each identity."""
        return {who: side for side, people in self.people.items() for who in people}


def data_sha256(pictures: Pictures, of: Mapping[str, str]) -> str:
    """SHA-256 over each picture's name, identity and bytes: it changes when the data does.

    Raises ImageError if a picture cannot be read, since the data is then unknown.
    """
    whole = hashlib.sha256()
    for name in pictures.names:
        content = hashlib.sha256(pictures.read(name)).hexdigest()
        whole.update(json.dumps([name, of.get(name), content]).encode())
    return whole.hexdigest()


def parse_fractions(text: str) -> tuple[float, ...]:
    """The shares of SIDES from "0.8,0.1,0.1"; ConfigError unless there are three and they sum to
    1.
    """
    try:
        fractions = tuple(float(part) for part in text.split(","))
    except ValueError:
        fractions = ()
    good = all(0 <= share <= 1 for share in fractions) and abs(sum(fractions) - 1) < 1e-6
    if len(fractions) != len(SIDES) or not good or fractions[0] == 0:
        raise ConfigError(
            f"{text!r} are no shares for {', '.join(SIDES)}",
            where="--fractions",
            fix="give three numbers that sum to 1, the first above 0, e.g. 0.8,0.1,0.1",
        )
    return fractions


def split_people(
    sizes: Mapping[str, int],
    tied: Sequence[tuple[str, str]],
    fractions: Sequence[float],
    seed: int,
) -> dict[str, tuple[str, ...]]:
    """Deal identities out to SIDES so that each side gets about its share of them.

    `sizes` is how many pictures each identity has; identities that `tied` joins, directly or
    through others, go to the same side. The same input and seed give the same split, whatever the
    order of the identities. Raises ConfigError if a side with a share gets nobody.
    """
    names = sorted(sizes)
    place = {name: index for index, name in enumerate(names)}
    pairs = np.array([(place[a], place[b]) for a, b in tied], np.int64).reshape(-1, 2)
    bundles = _bundles(len(names), pairs)
    # Large bundles first, so that the small ones can even the shares out.
    order = np.random.default_rng(seed).permutation(len(bundles))
    dealt = sorted((bundles[index] for index in order), key=len, reverse=True)
    wanted = np.array(fractions) * len(names)
    counts = np.zeros(len(fractions))
    sides: list[list[str]] = [[] for _ in fractions]
    for bundle in dealt:
        lacking = np.where(wanted > 0, (wanted - counts) / np.maximum(wanted, 1e-9), -np.inf)
        side = int(np.argmax(lacking))
        counts[side] += len(bundle)
        sides[side] += [names[item] for item in bundle]
    for side_name, share, people in zip(SIDES, fractions, sides, strict=True):
        if share > 0 and not people:
            raise ConfigError(
                f"{len(names)} people who are not tied to each other are too few: "
                f"nobody is left for {side_name}",
                fix="collect more people, or give fewer sides a share with --fractions",
            )
    return {name: tuple(sorted(people)) for name, people in zip(SIDES, sides, strict=True)}


def _bundles(count: int, pairs: NDArray[np.int64]) -> list[list[int]]:
    together = groups(count, pairs)
    tied = {item for group in together for item in group}
    return together + [[item] for item in range(count) if item not in tied]


def save_split(split: Split, path: Path) -> None:
    """Write the split as JSON, atomically; ConfigError if that is not possible."""
    data = {
        "format": _FORMAT,
        "source": split.source,
        "sha256": split.sha256,
        "seed": split.seed,
        "fractions": list(split.fractions),
        "people": {side: list(people) for side, people in split.people.items()},
    }
    text = json.dumps(data, indent=1) + "\n"
    try:
        # A new draw would test on people whom some training has already seen.
        write_whole(path, text.encode(), 0o666, durable=True)
    except OSError as error:
        raise ConfigError(
            f"the split cannot be written: {error.strerror}",
            where=str(path),
            fix="choose another --out",
        ) from error


def load_split(path: Path, pictures: Pictures, of: Mapping[str, str]) -> Split:
    """Read a split, and check that it was made from this data and puts nobody on two sides.

    Raises ConfigError otherwise: training with it would test on people it was trained on.
    """
    where = str(path)
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        people = {side: tuple(map(str, data["people"][side])) for side in SIDES}
        split = Split(
            str(data["source"]),
            str(data["sha256"]),
            int(data["seed"]),
            tuple(map(float, data["fractions"])),
            people,
        )
        known = data["format"] == _FORMAT
    except OSError as error:
        raise ConfigError(
            f"the split cannot be read: {error.strerror}", where=where, fix=os_fix(error)
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError("not a split, or a damaged one", where=where, fix=_AGAIN) from error
    if not known:
        raise ConfigError("this version does not know its format", where=where, fix=_AGAIN)
    everybody = [who for side in SIDES for who in people[side]]
    if len(set(everybody)) != len(everybody):
        raise ConfigError("somebody is on two sides", where=where, fix=_AGAIN)
    try:
        found = data_sha256(pictures, of)
    except ImageError as error:
        raise ConfigError(f"its data is not whole: {error}", where=where) from error
    if found != split.sha256:
        raise ConfigError(
            f"it was made of other data than {pictures.source} is now", where=where, fix=_AGAIN
        )
    return split


_AGAIN = "make it again with 'oneglance data split'"
