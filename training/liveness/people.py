"""The people in rendered films: Labeled Faces in the Wild, divided by its official folds."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.reader import load_image
from oneglance.training.liveness.portrait import Portrait, read_portrait

# Nobody is in two of them: one part to fit on, one to choose a threshold, one to judge by.
PARTS = {"fit": (1, 2, 3, 4, 5, 6), "threshold": (7,), "judge": (8,)}


def split_people(folds: Path) -> dict[str, tuple[str, ...]]:
    """The names of each of PARTS from a CSV file with the columns person, fold and images."""
    with folds.open(newline="", encoding="utf-8") as file:
        rows = [(row["person"], int(row["fold"])) for row in csv.DictReader(file)]
    return {
        part: tuple(sorted(person for person, fold in rows if fold in numbers))
        for part, numbers in PARTS.items()
    }


class Lfw:
    """The photographs of a zip file with `Name/Name_0001.jpg` in it."""

    def __init__(self, archive: Path) -> None:
        self._zip = zipfile.ZipFile(archive)
        self._files: dict[str, list[str]] = {}
        for name in sorted(self._zip.namelist()):
            if name.endswith(".jpg"):
                self._files.setdefault(Path(name).parent.name, []).append(name)

    def count(self, person: str) -> int:
        """How many photographs there are of this person."""
        return len(self._files.get(person, ()))

    def photo(self, person: str, number: int) -> bytes:
        """The file of one photograph, counting from 0."""
        return self._zip.read(self._files[person][number])

    def portraits(
        self,
        person: str,
        detector: FaceDetector,
        model: FaceModel,
        *,
        first: int = 0,
        most: int = 3,
    ) -> list[Portrait]:
        """Up to `most` portraits of this person, starting with photograph number `first`.

        Photographs in which no face is found are left out.
        """
        found = []
        for number in range(first, min(self.count(person), first + most)):
            image = load_image(self.photo(person, number))
            portrait = read_portrait(image, person=person, detector=detector, model=model)
            if portrait is not None:
                found.append(portrait)
        return found
