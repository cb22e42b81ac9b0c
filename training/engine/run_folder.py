"""The only way to write what the processes of a training share: a run's folder and its cache.

Every process calls these functions; in all but the first they do nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

from oneglance.errors import ConfigError
from oneglance.training.engine import distribute, files

RECIPE_COPY = "recipe.json"


def open_run(folder: Path, recipe: dict[str, Any], *, resume: bool) -> None:
    """Check that the folder is free, or holds this recipe's run to be resumed; else ConfigError."""
    if not distribute.current().writes:
        # The first process may have begun already, in the same folder.
        return
    copy = folder / RECIPE_COPY
    if resume and copy.is_file():
        if _set_keys(json.loads(copy.read_text("utf-8"))) != _set_keys(recipe):
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
    """Make the run's folder and put the recipe in; ConfigError if it cannot be written.

    Call it once all inputs are checked: a failed start must not block the next one.
    """
    try:
        if distribute.current().writes:
            folder.mkdir(parents=True, exist_ok=True)
        write(folder / RECIPE_COPY, (json.dumps(recipe, indent=2) + "\n").encode())
    except OSError as error:
        raise ConfigError(
            f"the run's folder cannot be made ({error.strerror or error})",
            where=str(folder),
            fix="name another one with --out",
        ) from error


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; ConfigError if the system refuses."""
    if distribute.current().writes:
        files.write_atomically(path, data)


def write_cache(path: Path, data: bytes) -> None:
    """Write a file beside the runs, as `write` does, and make its folder if needed."""
    if distribute.current().writes:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(path, data)


def copy_file(source: Path, path: Path) -> None:
    """Copy a file whole or not at all, unless it is already there; ConfigError as for `write`."""
    # In another process the folder of `path` may not exist, and `source` may be relative to it.
    if distribute.current().writes and source.resolve() != path.resolve():
        files.write_atomically(path, source.read_bytes())


def save_model(model: keras.Model, path: Path) -> None:
    """Save a .keras file whole or not at all; ConfigError as for `write`."""
    if distribute.current().writes:
        with files.written(path) as fresh:
            model.save(fresh)


def _set_keys(recipe: Any) -> Any:
    """A recipe without its unset keys: another version may have more keys, or fewer."""
    if isinstance(recipe, dict):
        return {key: _set_keys(value) for key, value in recipe.items() if value is not None}
    return [_set_keys(value) for value in recipe] if isinstance(recipe, list) else recipe
