"""Labelled pictures: who is in which picture, read from CSV files beside the pictures."""

from __future__ import annotations

import csv
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from oneglance.errors import ConfigError, os_fix
from oneglance.faces.pictures import Pictures

_log = logging.getLogger(__name__)
_NAMED = 3


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """One picture of one known person; persons of different sources never share a name."""

    pictures: Pictures
    name: str
    person: str


def labelled_pictures(
    images: Path, people: Path, folds: Collection[int] | None = None
) -> list[LabelledPicture]:
    """The pictures of a folder or zip that a CSV file assigns to people, by name.

    The CSV has either one row per person (columns person, fold: the person's pictures lie in a
    folder of that name) or one row per picture (columns image, identity). `folds` keeps only the
    people of these folds. Rows whose pictures are missing are counted and named in a warning.
    Raises ConfigError that names the line of a bad row, ImageError for bad pictures.
    """
    pictures = Pictures(images)
    rows = _rows(people)
    columns = set(rows[0][1])
    if {"person", "fold"} <= columns:
        kept = {row["person"] for line, row in rows if _in_folds(people, line, row, folds)}
        found = [(name, name.rsplit("/", 1)[0]) for name in pictures.names if "/" in name]
        chosen = [(name, person) for name, person in found if person in kept]
        missing = sorted(kept - {person for _, person in chosen})
    elif {"image", "identity"} <= columns:
        if folds is not None:
            raise ConfigError("it has no column fold", where=str(people), fix="leave folds out")
        chosen = [(row["image"], row["identity"]) for _, row in rows if row["image"] in pictures]
        missing = [row["image"] for _, row in rows if row["image"] not in pictures]
    else:
        raise ConfigError(
            "unknown columns", where=str(people), fix="use person,fold or image,identity"
        )
    if not chosen:
        raise ConfigError(f"it names no picture of {images}", where=str(people))
    if missing:
        _log.warning("%s: not in %s, left out: %s", people, images, counted(missing))
    return [LabelledPicture(pictures, name, f"{people.stem}/{who}") for name, who in chosen]


def pictures_by_folder(images: Path) -> list[LabelledPicture]:
    """The pictures of a folder or zip, each belonging to the folder that it lies in.

    Raises ImageError if the source does not exist, ConfigError if no picture lies in a folder.
    """
    pictures = Pictures(images)
    found = [(name, name.rpartition("/")[0]) for name in pictures.names if "/" in name]
    if not found:
        raise ConfigError(
            "no picture lies in a person's folder",
            where=str(images),
            fix="put each person's pictures in a folder of their own, or name a CSV as people",
        )
    return [LabelledPicture(pictures, name, f"{images.stem}/{who}") for name, who in found]


def counted(names: Sequence[str]) -> str:
    """How many, and the first few by name: "5 (a, b, c, ...)"."""
    more = ", ..." if len(names) > _NAMED else ""
    return f"{len(names)} ({', '.join(names[:_NAMED])}{more})"


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = []
            for row in reader:
                if None in row or None in row.values():
                    raise ConfigError(
                        "not as many fields as the header", where=f"{path}:{reader.line_num}"
                    )
                rows.append((reader.line_num, row))
    except OSError as error:
        raise ConfigError(
            f"cannot read it: {error.strerror}", where=str(path), fix=os_fix(error)
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"not a CSV file in UTF-8: {error}", where=str(path)) from error
    if not rows:
        raise ConfigError("the file has no rows", where=str(path))
    return rows


def _in_folds(path: Path, line: int, row: dict[str, str], folds: Collection[int] | None) -> bool:
    try:
        return folds is None or int(row["fold"]) in folds
    except ValueError as error:
        raise ConfigError(
            f"fold is {row['fold']!r}, not a number", where=f"{path}:{line}"
        ) from error
