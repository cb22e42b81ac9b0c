"""`oneglance train`: run a recipe."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Spread(StrEnum):
    """What a training is spread over."""

    AUTO = "auto"
    NONE = "none"


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A shipped recipe (aligner, siamese, siamese-small, siamese-large, faces-slim, "
            "faces-koch, omniglot-compact, omniglot-koch, omniglot-koch-cpu, smoke, "
            "smoke-aligner, smoke-angular-margin, smoke-contrastive, smoke-cross-entropy, "
            "smoke-distillation, smoke-triplet) or a file."
        ),
    ],
    data: Annotated[
        Path, typer.Option(help="The folder with the recipe's pictures and teachers.")
    ] = Path("data"),
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; runs/RECIPE unless given.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run was cut short.")
    ] = False,
    distribute: Annotated[
        Spread, typer.Option(help="Share the work over all devices and machines, or use one.")
    ] = Spread.AUTO,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Other than the recipe's count.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="A .keras or .h5 file to start from, other than the recipe's."),
    ] = None,
) -> None:
    """Train a part of the model by a recipe, one TOML file with all settings.

    The shipped model was made by `oneglance train aligner --data DIR`, then `oneglance train
    siamese --data DIR`, then `oneglance convert`. No data at hand? `oneglance train smoke` draws
    faces and takes seconds.

    A checkpoint is written after each epoch and every five minutes; --resume continues exactly as
    if nothing had happened. KERAS_BACKEND=jax or torch trains the same recipe on that backend.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    from rich.console import Console

    from oneglance.training.engine.progress import shown_on
    from oneglance.training.recipes.recipe import load_recipe, starting_from

    chosen = load_recipe(recipe)
    # TensorFlow writes lines of its own to stderr while it is imported: only now, and unheard.
    with _without_stderr():
        from oneglance.training.engine.distribute import shared_out
        from oneglance.training.run import run_recipe

    if weights is not None:
        chosen = starting_from(chosen, weights)
    if epochs is not None:
        chosen = chosen.model_copy(update={"epochs": epochs})
    folder = out or Path("runs") / Path(recipe).stem
    console = Console(stderr=True)
    with shared_out(distribute.value):
        report = run_recipe(
            chosen, data_dir=data, out=folder, resume=resume, stage=shown_on(console)
        )
    for key, value in report.items():
        typer.echo(f"{key}: {value}")
    typer.echo(f"trained: {folder}")


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Send file descriptor 2 to nowhere: what C++ libraries print there is not for the user."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
