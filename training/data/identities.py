"""Who is in which picture: from a CSV file, or else from the folders' names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from oneglance.faces.pictures import Pictures
from oneglance.training.data.datasets import labelled_pictures


def identities(pictures: Pictures, people: Path | None = None) -> dict[str, str]:
    """The identity of each picture that has one, by the picture's name.

    `people` is a CSV as `labelled_pictures` reads it; without it a picture belongs to the folder
    that it lies in, and one that lies in none has no known identity.
    Raises ConfigError and ImageError as `labelled_pictures` does.
    """
    if people is None:
        return {name: name.rpartition("/")[0] for name in pictures.names if "/" in name}
    labelled = labelled_pictures(pictures.source, people)
    labelled[0].pictures.close()
    # That prefix tells data sets apart; here there is only one.
    return {row.name: row.person.removeprefix(f"{people.stem}/") for row in labelled}


def by_identity(of: Mapping[str, str], names: Iterable[str]) -> dict[str, list[str]]:
    """The names of each identity's pictures, in the order of `names`."""
    members: dict[str, list[str]] = {}
    for name in names:
        if name in of:
            members.setdefault(of[name], []).append(name)
    return members
