"""What a conversion is asked to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a conversion may lose against the float model, and its other limits.

    `cosine` is the least mean cosine of templates. The losses are shares (0.003 is 0.3 point) of
    the TAR at FAR 1e-3 and of the accuracy; they are measured only if pictures are given for that.
    `partitions` bounds the number of delegate partitions of face networks, for which one is the
    goal.
    """

    cosine: float = 0.98
    tar_loss: float = 0.003
    accuracy_loss: float = 0.002
    partitions: int = 1

    def as_dict(self) -> dict[str, float]:
        """For a report."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Job:
    """What to convert; paths are strings, so that a child process can be told in JSON.

    `quantize` is float32, float16, int8-weights, int8 or auto. `custom_objects` is a file of code
    that is run and defines the layers that Keras lacks.
    """

    model: str
    aligner: str
    out: str
    name: str
    quantize: str
    passes: int
    calibration: str | None = None
    fit_images: str | None = None
    fit_people: str | None = None
    fit_folds: tuple[int, ...] | None = None
    more_images: tuple[str, ...] = ()
    more_people: tuple[str, ...] = ()
    same_people: str | None = None
    pairs: str | None = None
    about: str | None = None
    custom_objects: str | None = None
    limits: Limits = field(default_factory=Limits)

    @staticmethod
    def from_json(fields: dict[str, Any]) -> Job:
        """The job that `dataclasses.asdict` made this of."""
        folds = fields.pop("fit_folds", None)
        for name in ("more_images", "more_people"):
            fields[name] = tuple(fields.get(name, ()))
        limits = Limits(**fields.pop("limits"))
        return Job(**fields, fit_folds=None if folds is None else tuple(folds), limits=limits)
