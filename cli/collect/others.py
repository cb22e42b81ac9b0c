"""What `oneglance collect --negatives` does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import typer

from oneglance.cli.data_progress import stages
from oneglance.errors import ImageError
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import load_model
from oneglance.faces.pictures import Pictures
from oneglance.training.data.collect_negatives import Tally, collect_negatives
from oneglance.training.data.identities import identities

_EXAMPLES = 5


def collect_others(
    source: Path, out: Path, people: Path | None, *, origin: str, several: bool
) -> None:
    """Copy the usable pictures of `source` to `out`, and say what was left out and why."""
    model = load_model()
    pictures = Pictures(source)
    try:
        of = identities(pictures, people)
        total, done = len(pictures.names), 0
        with stages() as advance:

            def one() -> None:
                nonlocal done
                done += 1
                advance("Looking for faces", done, total)

            tally = collect_negatives(
                pictures,
                of,
                out,
                FaceDetector(),
                model,
                origin=origin,
                several=several,
                now=lambda: datetime.now(UTC),
                advance=one,
            )
    finally:
        pictures.close()
    _tell(tally, out)
    if not tally.kept and not tally.known:
        raise ImageError(
            "none of the pictures shows one face", where=str(source), fix="try with --several"
        )


def _tell(tally: Tally, out: Path) -> None:
    known = f", {tally.known} were there already" if tally.known else ""
    typer.echo(f"{tally.kept} pictures of {len(tally.people)} people kept in {out}{known}")
    for name, why in list(tally.left_out.items())[:_EXAMPLES]:
        typer.echo(f"left out: {name}: {why}", err=True)
    more = len(tally.left_out) - _EXAMPLES
    if more > 0:
        typer.echo(f"left out: {more} more", err=True)
