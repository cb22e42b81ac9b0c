"""From a recipe's data to faces: found, labelled, cached; or drawn."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError
from oneglance.faces import align
from oneglance.faces.reader import load_image
from oneglance.training.datasets import labelled_pictures
from oneglance.training.drawn import draw_people
from oneglance.training.facetable import FaceTable, build_face_table
from oneglance.training.progress import Stage
from oneglance.training.recipe import DataSource
from oneglance.training.siamese import Faces
from oneglance.training.teacher import LandmarkTeacher

# Of the views that the teacher looks at; apart from the recipes' seeds, so that all share labels.
_SEED = 1


@dataclass(frozen=True, slots=True, eq=False)
class FaceSource:
    """Faces and how to see them: `image(i)` is the BGR picture of row i of `table`."""

    table: FaceTable
    people: tuple[str, ...]
    image: Callable[[int], NDArray[np.uint8]]


def real_faces(
    sources: Sequence[DataSource],
    data_dir: Path,
    teacher_file: str,
    cache_dir: Path,
    stage: Stage,
) -> FaceSource:
    """The labelled faces of the sources' pictures; tables that are in `cache_dir` are reused."""
    teacher_path = _existing(data_dir / teacher_file)
    tables, pictures = [], []
    for source in sources:
        images, people = _existing(data_dir / source.images), _existing(data_dir / source.people)
        listed = labelled_pictures(images, people, source.folds)
        marks = [[path.name, path.stat().st_size] for path in (images, people, teacher_path)]
        key = json.dumps([source.model_dump(mode="json"), marks])
        cached = cache_dir / f"faces-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
        if cached.is_file():
            table = FaceTable.load(cached)
        else:
            with stage(f"find faces in {images.name}", len(listed)) as advance:
                table = build_face_table(listed, LandmarkTeacher(teacher_path), _SEED, advance)
            cache_dir.mkdir(parents=True, exist_ok=True)
            table.save(cached)
        tables.append(table)
        pictures += [listed[row] for row in table.row]
    joined = FaceTable(
        np.arange(len(pictures), dtype=np.int32),
        np.concatenate([table.boxes for table in tables]),
        np.concatenate([table.points for table in tables]),
    )

    def image(index: int) -> NDArray[np.uint8]:
        return load_image(pictures[index].pictures.read(pictures[index].name))

    return FaceSource(joined, tuple(picture.person for picture in pictures), image)


def drawn_faces(seed: int, people: Sequence[int], pictures: int) -> FaceSource:
    """Faces of drawn people by their numbers."""
    images, points, boxes, names = draw_people(seed, people, pictures)
    table = FaceTable(np.arange(len(images), dtype=np.int32), boxes, points)
    return FaceSource(table, tuple(names), images.__getitem__)


def cut_faces(
    source: FaceSource, find_points: align.FindPoints | None, passes: int, stage: Stage, name: str
) -> Faces:
    """Each face as the door would cut it and as its label says (the same without an aligner)."""
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


def _existing(path: Path) -> Path:
    if not path.exists():
        raise ConfigError(
            "a file of the recipe is missing", where=str(path), fix="name its folder with --data"
        )
    return path
