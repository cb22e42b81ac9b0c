"""The epochs: steps, validation, a log line and an atomic checkpoint each; exact resume.

Everything random in an epoch is drawn from the recipe's seed and the epoch's number, and the
optimiser's state, its step count included, is part of the checkpoint: a run that was cut short
and resumed does the same steps as one that was not.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError
from oneglance.training.progress import Stage

Batch = tuple[Any, NDArray[Any]]
RECIPE_COPY = "recipe.json"


def open_run(folder: Path, recipe: dict[str, Any], *, resume: bool) -> None:
    """Check that the folder is free, or holds this recipe's run to resume; else ConfigError."""
    copy = folder / RECIPE_COPY
    if resume and copy.is_file():
        if json.loads(copy.read_text("utf-8")) != recipe:
            raise ConfigError(
                "this run was started with another recipe",
                where=str(folder),
                fix="resume with the same recipe and options, or start a new run with --out",
            )
        return
    if resume:
        raise ConfigError("no run to resume", where=str(folder), fix="start it without --resume")
    if copy.exists():
        raise ConfigError(
            "a run is already here", where=str(folder), fix="add --resume, or name another --out"
        )


def begin_run(folder: Path, recipe: dict[str, Any]) -> None:
    """Make the run's folder and put the recipe in; ConfigError if there is no writing there.

    To be called when all inputs are checked: a start that failed must not block the next one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / RECIPE_COPY, (json.dumps(recipe, indent=2) + "\n").encode())
    except OSError as error:
        raise ConfigError(
            f"the run's folder cannot be made ({error.strerror or error})",
            where=str(folder),
            fix="name another one with --out",
        ) from error


def cosine(learning_rate: float, epochs: int, steps: int, warmup_epochs: float) -> Any:
    """A learning rate that rises over the warm-up and then falls to zero along a cosine."""
    warmup = int(warmup_epochs * steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else learning_rate,
        max(1, epochs * steps - warmup),
        warmup_target=learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def train(
    model: keras.Model,
    *,
    folder: Path,
    name: str,
    epochs: int,
    steps: int,
    batches: Callable[[int], Iterator[Batch]],
    validate: Callable[[keras.Model], dict[str, float]],
    stage: Stage,
    enough: Callable[[Sequence[dict[str, Any]]], bool] = lambda log: False,
) -> keras.Model:
    """Train a compiled model to `epochs`, from the last checkpoint in `folder` if there is one.

    `batches(epoch)` yields the `steps` of an epoch, `stage` shows them. Leaves `<name>.csv`, a row
    an epoch, and returns the trained model. Ends early when `enough(log)` is true.
    """
    first, model = _latest(folder, name, model)
    log = [row for row in _read_log(folder / f"{name}.csv") if int(row["epoch"]) <= first]
    if first == 0 and not log:
        log.append({"epoch": 0, "loss": "", **_shown(validate(model))})
    with stage(name, (epochs - first) * steps) as advance:
        for epoch in range(first + 1, epochs + 1):
            if enough(log):
                break
            model.reset_metrics()
            loss = float("nan")
            for inputs, targets in batches(epoch):
                loss = float(model.train_on_batch(inputs, targets, return_dict=True)["loss"])
                advance(f"epoch {epoch}/{epochs}, loss {loss:.4f}")
            if not np.isfinite(loss):
                raise ConfigError(
                    f"the loss became {loss} in epoch {epoch}",
                    where=name,
                    fix="lower learning_rate",
                )
            log.append({"epoch": epoch, "loss": f"{loss:.6f}", **_shown(validate(model))})
            _write_log(folder / f"{name}.csv", log)
            _save(folder, name, epoch, model)
    return model


def done_epochs(folder: Path, name: str) -> int:
    """How many epochs the last checkpoint of `name` holds; 0 without one."""
    return max((int(p.stem.rsplit("-", 1)[1]) for p in folder.glob(f"{name}-*.keras")), default=0)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(data)
    fresh.replace(path)


def save_model(model: keras.Model, path: Path) -> None:
    """Save a .keras file whole or not at all."""
    fresh = path.with_name(f".new-{path.name}")
    model.save(fresh)
    fresh.replace(path)


def _latest(folder: Path, name: str, model: keras.Model) -> tuple[int, keras.Model]:
    epoch = done_epochs(folder, name)
    if epoch == 0:
        return 0, model
    path = folder / f"{name}-{epoch}.keras"
    try:
        return epoch, keras.saving.load_model(path)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            "the checkpoint is damaged", where=str(path), fix="delete it and resume once more"
        ) from error


def _save(folder: Path, name: str, epoch: int, model: keras.Model) -> None:
    save_model(model, folder / f"{name}-{epoch}.keras")
    # The one before stays: should this file be damaged, the run goes on from there.
    for path in folder.glob(f"{name}-*.keras"):
        if int(path.stem.rsplit("-", 1)[1]) < epoch - 1:
            path.unlink()


def _shown(figures: dict[str, float]) -> dict[str, str]:
    return {key: f"{value:.6g}" for key, value in figures.items()}


def _read_log(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write_log(path: Path, rows: list[dict[str, Any]]) -> None:
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[-1]))
        writer.writeheader()
        writer.writerows(rows)
    fresh.replace(path)
