"""What a conversion is asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """What to convert; paths as texts, so that a child process can be told in JSON."""

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
    about: str | None = None
