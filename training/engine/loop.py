"""The epochs: steps, validation, log lines and atomic checkpoints; exact resume.

Everything random in an epoch is drawn from the recipe's seed and the epoch's number, and the
optimiser's state, its step count included, is part of the checkpoint. A run that was interrupted at
any step and resumed takes the same steps as one that was not.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np

from oneglance.errors import ConfigError
from oneglance.training.engine import distribute, run_folder
from oneglance.training.engine.checkpoints import Place, load_latest, places, save
from oneglance.training.engine.early import EarlyStop
from oneglance.training.engine.progress import Stage
from oneglance.training.engine.stream import Batch, Stream
from oneglance.training.engine.tensorboard import EventLog

__all__ = ["Batch"]
# The most that a power cut can cost.
SAVE_EVERY_S = 300.0
_POINTS_AN_EPOCH = 20


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
    batches: Callable[[int], Iterator[Batch]] | Stream,
    validate: Callable[[keras.Model], dict[str, float]],
    stage: Stage,
    stop: EarlyStop | None = None,
    save_every_s: float = SAVE_EVERY_S,
    clock: Callable[[], float] = time.monotonic,
) -> keras.Model:
    """Train a compiled model to `epochs`, from the last checkpoint in `folder` if there is one.

    `batches(epoch)` yields the `steps` of an epoch and `stage` shows them. To resume within an
    epoch, the steps already done are drawn and dropped, unless `batches` is a Stream, which can
    start anywhere. A checkpoint is written after each epoch, and every `save_every_s` within one.
    Leaves `<name>.csv`, one row per epoch, and event files in `tensorboard/<name>`. With `stop` the
    training may end early, and the model of the best epoch is returned, uncompiled (it is in
    `<name>-best.keras`); without it, the model of the last.

    Raises ConfigError for a checkpoint that is damaged or of another network, a loss that is NaN or
    infinite, and a full disk.
    """
    spread = distribute.current()
    place, model = load_latest(folder, name, model)
    _need_one_view(spread, folder, place)
    # Its variables are made here: where the first step made them, TensorFlow traced it twice.
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    log = [row for row in _read_log(folder / f"{name}.csv") if int(row["epoch"]) <= place.epochs]
    model = spread.placed(model)

    def look(epoch: int, loss: str) -> dict[str, float]:
        here = spread.local(model)
        figures = spread.agreed(validate(here))
        log.append({"epoch": epoch, "loss": loss, **_shown(figures)})
        if stop is not None and stop.best(log) == len(log) - 1:
            run_folder.save_model(here, folder / f"{name}-best.keras")
        _write_log(folder / f"{name}.csv", log)
        return figures

    if place == Place() and not log:
        look(0, "")
    done = place.epochs * steps + place.steps
    events = None
    if spread.writes:
        events = EventLog(folder / "tensorboard" / name, done + 1, time.time)
    saved_at = clock()
    with stage(name, epochs * steps - done) as advance:
        while place.epochs < epochs and not (stop and place.steps == 0 and stop.enough(log)):
            epoch = place.epochs + 1
            if place.steps == 0:
                model.reset_metrics()
            for step, batch in enumerate(_from(batches, epoch, place.steps), place.steps + 1):
                loss = spread.step(model, batch)
                if not np.isfinite(loss):
                    raise ConfigError(
                        f"the loss became {loss} in epoch {epoch}",
                        where=name,
                        fix="lower learning_rate",
                    )
                advance(f"epoch {epoch}/{epochs}, loss {loss:.4f}")
                done += 1
                if events and step % max(1, steps // _POINTS_AN_EPOCH) == 0:
                    events.write(done, {"loss": loss})
                if spread.saves_alone and step < steps and clock() - saved_at >= save_every_s:
                    save(folder, name, Place(epoch - 1, step), model)
                    saved_at = clock()
            figures = look(epoch, f"{loss:.6f}")
            place = Place(epoch)
            if events:
                events.write(done, {**figures, "learning_rate": _rate(model), "epoch": epoch})
            with spread.folder_of_checkpoints(folder) as mine:
                if mine is not None:
                    save(mine, name, place, model)
            saved_at = clock()
    if stop is None:
        return spread.local(model)
    spread.agreed({"written": 1.0})
    return _best(folder, name)


def done_epochs(folder: Path, name: str) -> int:
    """How many whole epochs the last checkpoint of `name` holds; 0 without one."""
    found = places(folder, name)
    return found[-1][0].epochs if found else 0


def _from(
    batches: Callable[[int], Iterator[Batch]] | Stream, epoch: int, done: int
) -> Iterator[Batch]:
    if isinstance(batches, Stream):
        return batches.start(epoch, done)
    return islice(batches(epoch), done, None)


def _need_one_view(spread: distribute.OneDevice, folder: Path, place: Place) -> None:
    """ConfigError unless this process is at the same step as the first one, which writes."""
    here = {"epochs": float(place.epochs), "steps": float(place.steps)}
    if spread.agreed(here) != here:
        raise ConfigError(
            "the machines see different checkpoints",
            where=str(folder),
            fix="let --out be one folder that all of them share",
        )


def _best(folder: Path, name: str) -> keras.Model:
    path = folder / f"{name}-best.keras"
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            "the best epoch's weights are missing or damaged",
            where=str(path),
            fix="start a new run with --out",
        ) from error


def _rate(model: keras.Model) -> float:
    return float(np.asarray(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))


def _shown(figures: dict[str, float]) -> dict[str, str]:
    return {key: f"{value:.6g}" for key, value in figures.items()}


def _read_log(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write_log(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[-1]))
    writer.writeheader()
    writer.writerows(rows)
    run_folder.write(path, text.getvalue().encode())
