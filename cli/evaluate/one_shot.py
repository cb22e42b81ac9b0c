"""What `oneglance evaluate --one-shot` does: Lake's trials on drawn characters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

VERIFICATION_PAIRS = 20_000
VERIFICATION_SEED = 2015


def evaluate_one_shot(
    trials: Path, verification: Path | None, model: Path | None, *, as_json: bool
) -> None:
    """Print one-shot accuracy on `trials`, and on pairs of `verification` if it is given.

    Needs neither TensorFlow nor a face model.
    """
    import numpy as np
    from rich.console import Console

    from oneglance.faces.drawings.drawing_model import load_drawing_model
    from oneglance.faces.drawings.one_shot_trials import (
        one_shot_figures,
        read_pairs_of_drawings,
        read_runs,
        verification_figures,
    )

    loaded = load_drawing_model(model)
    runs = read_runs(trials)
    pairs = None
    if verification is not None:
        pairs = read_pairs_of_drawings(verification, VERIFICATION_PAIRS, VERIFICATION_SEED)
    with Console(stderr=True).status("comparing drawings"):
        figures: dict[str, Any] = one_shot_figures(
            runs, lambda a, b: loaded.compare(loaded.encode(a), loaded.encode(b))
        )
        if pairs is not None:
            templates = loaded.encode(pairs.drawings)
            scores = np.array(
                [loaded.compare(templates[[a]], templates[[b]])[0, 0] for a, b in pairs.rows]
            )
            threshold = loaded.manifest.threshold
            figures |= verification_figures(scores, pairs.same, threshold)
            figures["verification_seed"] = VERIFICATION_SEED
    figures["model"] = loaded.model_id
    if as_json:
        typer.echo(json.dumps(figures, indent=2, allow_nan=False))
    else:
        _print_table(figures)


def _print_table(figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{figures['trials']} one-shot trials, {figures['ways']}-way")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_row("accuracy", f"{figures['accuracy']:.2%} +- {figures['accuracy_se']:.2%}")
    if "verification_pairs" in figures:
        accuracy, error = figures["verification_accuracy"], figures["verification_accuracy_se"]
        table.add_row(
            f"same or different, {figures['verification_pairs']} pairs",
            f"{accuracy:.2%} +- {error:.2%}",
        )
    table.add_row("model", figures["model"])
    Console().print(table)
