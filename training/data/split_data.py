"""Split a data set: find who must stay together, then deal people out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from oneglance.errors import ConfigError, ImageError
from oneglance.faces.pictures import Pictures
from oneglance.training.data.check import Advance, Kind
from oneglance.training.data.check_copies import exact_copies, near_copies
from oneglance.training.data.check_look import Looked, look_at_all
from oneglance.training.data.identities import by_identity
from oneglance.training.data.splits import Split, data_sha256, split_people

_TYING = {Kind.COPY_ACROSS.value, Kind.LOOKALIKE.value}


def make_split(
    pictures: Pictures,
    of: Mapping[str, str],
    fractions: Sequence[float],
    seed: int,
    checked: Path | None,
    advance: Advance,
) -> Split:
    """Split the people of a data set; `checked` is the JSON of a check of the same data.

    Raises ConfigError if there are too few people or `checked` does not fit, ImageError if a
    picture's file cannot be read.
    """
    sizes = {who: len(names) for who, names in by_identity(of, pictures.names).items()}
    if len(sizes) < 2:
        raise ConfigError(
            "a split needs two people or more"
            if sizes
            else "nothing says who is in these pictures",
            where=str(pictures.source),
            fix="put each person's pictures in a folder of their own, or name a CSV with --people",
        )
    tied = [] if checked is None else ties_of_check(checked, sizes)
    done = 0

    def one() -> None:
        nonlocal done
        done += 1
        advance("Looking for copies", done, len(pictures.names))

    looked = look_at_all(pictures, pictures.names, None, one)
    unread = next((picture for picture in looked if not picture.sha256), None)
    if unread is not None:
        raise ImageError(
            unread.problem, where=f"{pictures.source}:{unread.name}", fix="restore or delete it"
        )
    tied += shared_photographs(looked, of)
    return Split(
        pictures.source.name,
        data_sha256(pictures, of),
        seed,
        tuple(fractions),
        split_people(sizes, tied, fractions, seed),
    )


def shared_photographs(looked: Sequence[Looked], of: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pairs of identities that share a photograph."""
    tied = []
    for group in [*exact_copies(looked), *near_copies(looked)]:
        people = dict.fromkeys(of[looked[p].name] for p in group if looked[p].name in of)
        tied += list(pairwise(people))
    return tied


def ties_of_check(checked: Path, known: Mapping[str, int]) -> list[tuple[str, str]]:
    """Pairs of identities that a check took for one person; ConfigError if it does not fit."""
    where = str(checked)
    fix = "make it with 'oneglance data check ... --report check.html'"
    try:
        data: Any = json.loads(checked.read_text(encoding="utf-8"))
        found = [f["identities"] for f in data["findings"] if f["kind"] in _TYING]
        tied = [(str(a), str(b)) for people in found for a, b in pairwise(people)]
    except OSError as error:
        raise ConfigError(f"it cannot be read: {error.strerror}", where=where, fix=fix) from error
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError("not the JSON of a data check", where=where, fix=fix) from error
    strangers = sorted({who for pair in tied for who in pair} - set(known))
    if strangers:
        raise ConfigError(
            f"it mentions {strangers[0]!r}, who is not in this data",
            where=where,
            fix="run the check on the data that you want to split",
        )
    return tied
