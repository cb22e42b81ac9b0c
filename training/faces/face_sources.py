"""From a recipe's data to faces: found, labelled, cached; or drawn."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError
from oneglance.faces.find import align
from oneglance.faces.reader import load_image
from oneglance.training.data.datasets import (
    LabelledPicture,
    counted,
    labelled_pictures,
    pictures_by_folder,
)
from oneglance.training.data.splits import load_split
from oneglance.training.engine import run_folder
from oneglance.training.engine.files import sha256_of
from oneglance.training.engine.progress import Stage
from oneglance.training.faces.drawn_faces import draw_people
from oneglance.training.faces.face_table import FaceTable, build_face_table
from oneglance.training.faces.landmark_teacher import LandmarkTeacher
from oneglance.training.faces.siamese_training import Faces
from oneglance.training.recipes.recipe import (
    AlignerRecipe,
    DataSource,
    FaceRecipe,
    SiameseRecipe,
)

_log = logging.getLogger(__name__)
# Seeds the views that the teacher sees; not a recipe's seed, so that all recipes share labels.
_SEED = 1


@dataclass(frozen=True, slots=True, eq=False)
class FaceSource:
    """Faces and how to see them: `image(i)` is the BGR picture of row i of `table`.

    `unreadable` is how many of the listed files are not pictures and were left out.
    """

    table: FaceTable
    people: tuple[str, ...]
    image: Callable[[int], NDArray[np.uint8]]
    unreadable: int = 0


def training_faces(
    recipe: AlignerRecipe | SiameseRecipe | FaceRecipe, data_dir: Path, out: Path, stage: Stage
) -> FaceSource:
    """The faces that a recipe trains on: those of `data`, or the first drawn people.

    Raises ConfigError or ImageError as `real_faces` does; its tables lie in `cache` beside `out`.
    """
    if recipe.drawn is not None:
        return drawn_faces(recipe.seed, range(recipe.drawn.people), recipe.drawn.pictures)
    return real_faces(recipe.data, data_dir, str(recipe.teacher), _cache(out), stage)


def checking_faces(
    recipe: SiameseRecipe | FaceRecipe, data_dir: Path, out: Path, stage: Stage
) -> FaceSource:
    """The faces that a recipe is checked on: those of `check`, or as many other drawn people.

    Raises what `training_faces` does.
    """
    if recipe.drawn is not None:
        others = range(recipe.drawn.people, 2 * recipe.drawn.people)
        return drawn_faces(recipe.seed, others, recipe.drawn.pictures)
    return real_faces(recipe.check, data_dir, str(recipe.teacher), _cache(out), stage)


def real_faces(
    sources: Sequence[DataSource],
    data_dir: Path,
    teacher_file: str,
    cache_dir: Path,
    stage: Stage,
) -> FaceSource:
    """The labelled faces of the sources' pictures; tables found in `cache_dir` are reused.

    Raises ConfigError or ImageError for data that does not fit, or is empty.
    """
    teacher_path = _existing(data_dir / teacher_file)
    tables, pictures, unreadable = [], [], 0
    for source in sources:
        listed = listed_pictures(source, data_dir)
        cached = cache_dir / _cache_name(source, data_dir, teacher_path)
        if cached.is_file():
            table = FaceTable.load(cached)
        else:
            with stage(f"find faces in {source.images}", len(listed)) as advance:
                table = build_face_table(listed, LandmarkTeacher(teacher_path), _SEED, advance)
            run_folder.write_cache(cached, table.packed())
        if len(table.unreadable):
            names = [listed[row].name for row in table.unreadable]
            _log.warning(
                "%s: no readable pictures, left out: %s", data_dir / source.images, counted(names)
            )
        unreadable += len(table.unreadable)
        tables.append(table)
        pictures += [listed[row] for row in table.row]
    joined = FaceTable(
        np.arange(len(pictures), dtype=np.int32),
        np.concatenate([table.boxes for table in tables]),
        np.concatenate([table.points for table in tables]),
    )

    def image(index: int) -> NDArray[np.uint8]:
        return load_image(pictures[index].pictures.read(pictures[index].name))

    return FaceSource(joined, tuple(p.person for p in pictures), image, unreadable)


def listed_pictures(source: DataSource, data_dir: Path) -> list[LabelledPicture]:
    """The pictures of one source of a recipe: only those of its folds, or of its side of a split.

    Raises ConfigError or ImageError for data that is not there or does not fit the split.
    """
    images = _existing(data_dir / source.images)
    if source.people is None:
        listed = pictures_by_folder(images)
    else:
        listed = labelled_pictures(images, _existing(data_dir / source.people), source.folds)
    if source.split is None or source.part is None:
        return listed
    path = _existing(data_dir / source.split)
    prefix = f"{(images if source.people is None else data_dir / source.people).stem}/"
    of = {row.name: row.person.removeprefix(prefix) for row in listed}
    chosen = set(load_split(path, listed[0].pictures, of).people[source.part])
    kept = [row for row in listed if of[row.name] in chosen]
    if not kept:
        raise ConfigError(f"nobody is on the side {source.part!r}", where=str(path))
    return kept


def need_pairs(people: Sequence[str], purpose: str) -> int:
    """How many of the people have a single picture, and so serve only as strangers.

    `people` says whose each face is. Raises ConfigError unless there are at least two people, and
    two pictures of at least one.
    """
    counts = Counter(people)
    if not counts:
        raise ConfigError(
            f"no face is left {purpose}",
            fix="raise screen, or add pictures of people who look unlike those in [[check]]",
        )
    if len(counts) < 2:
        raise ConfigError(
            f"all faces {purpose} show one person, but strangers are needed too",
            fix="add pictures of other people",
        )
    lone = sum(count == 1 for count in counts.values())
    if lone == len(counts):
        raise ConfigError(
            f"nobody has two pictures with a readable face {purpose}",
            fix="add a second picture of some of the people",
        )
    return lone


def drawn_faces(seed: int, people: Sequence[int], pictures: int) -> FaceSource:
    """The faces of the drawn people with these numbers."""
    images, points, boxes, names = draw_people(seed, people, pictures)
    table = FaceTable(np.arange(len(images), dtype=np.int32), boxes, points)
    return FaceSource(table, tuple(names), images.__getitem__)


def cut_faces(
    source: FaceSource, find_points: align.FindPoints | None, passes: int, stage: Stage, name: str
) -> Faces:
    """Each face as a door would cut it, and as its label says (the same without an aligner)."""
    count = len(source.people)
    size = align.CHIP_SIZE
    chips = np.empty((count, size, size, 3), np.uint8)
    clean = np.empty_like(chips)
    with stage(f"cut {name}", count) as advance:
        for index in range(count):
            image = source.image(index)
            truth = source.table.points[index]
            clean[index] = align.chip_from_points(image, truth)
            if find_points is not None:
                box = source.table.box(index)
                truth = align.locate(image, [box], find_points, passes).points[0]
            chips[index] = align.chip_from_points(image, truth)
            advance("")
    return Faces(chips, clean, source.people)


def _cache(out: Path) -> Path:
    return out.resolve().parent / "cache"


def _cache_name(source: DataSource, data_dir: Path, teacher: Path) -> str:
    """Differs whenever the source, its files or the teacher differ."""
    files = [data_dir / name for name in (source.images, source.people, source.split) if name]
    marks = [[path.name, _size_of(path)] for path in (*files, teacher)]
    said = {"images": source.images, "people": source.people, "folds": source.folds}
    if source.split is not None:
        said |= {"split": source.split, "part": source.part}
    marked = [*marks, sha256_of(data_dir / source.split)] if source.split else marks
    key = json.dumps([said, marked])
    return f"faces-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"


def _size_of(path: Path) -> int | list[list[Any]]:
    """A file's bytes; for a folder, the names and sizes of all files in it."""
    if not path.is_dir():
        return path.stat().st_size
    files = sorted(part for part in path.rglob("*") if part.is_file())
    return [[part.relative_to(path).as_posix(), part.stat().st_size] for part in files]


def _existing(path: Path) -> Path:
    if not path.exists():
        raise ConfigError(
            "a file of the recipe is missing", where=str(path), fix="name its folder with --data"
        )
    return path
