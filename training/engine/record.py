"""run.json: what is needed to repeat a run, and every time that it was started."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras

from oneglance import __version__
from oneglance.errors import ConfigError
from oneglance.training.engine import distribute, run_folder
from oneglance.training.engine.files import sha256_of

RECORD = "run.json"
# What can change the numbers that come out.
_PACKAGES = (
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "jax",
    "jaxlib",
    "torch",
    "numpy",
    "opencv-python-headless",
    "ai-edge-litert",
)
_FORMAT = 1


def record_start(
    folder: Path,
    recipe: dict[str, Any],
    inputs: Sequence[Path],
    command: Sequence[str],
    now: datetime | None = None,
) -> None:
    """Write the record in the run's folder, or add to it on a resume; only the first process does.

    `inputs` are the files and folders that the run reads, recorded by name and SHA-256. Raises
    ConfigError if one of them has changed since the run was started: the steps to come would belong
    to a different run.
    """
    if not distribute.current().writes:
        # Hashing all of the data would be for nothing.
        return
    path = folder / RECORD
    hashes = {each.name: sha256_of(each) for each in inputs}
    record = _read(path) or {"format": _FORMAT, "recipe": recipe, "inputs": hashes, "starts": []}
    for name, found in hashes.items():
        if record["inputs"].get(name) != found:
            raise ConfigError(
                f"{name} has changed since the run was started",
                where=str(folder),
                fix="put the old data back, or start a new run with --out",
            )
    record["starts"].append(
        {
            "at": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
            "command": list(command),
            "oneglance": __version__,
            "commit": commit_of(Path(__file__).parent),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "backend": keras.backend.backend(),
            "packages": _versions(),
        }
    )
    run_folder.write(path, (json.dumps(record, indent=2) + "\n").encode())


def command_line() -> list[str]:
    """What was typed, without the program's folder."""
    return [Path(sys.argv[0]).name, *sys.argv[1:]]


def commit_of(folder: Path) -> str | None:
    """The commit of the checkout that `folder` lies in, "+changes" if files differ from it.

    None outside a checkout, as for an installed wheel, or without git.
    """
    git = ("git", "-C", str(folder))
    try:
        # The environment may lie in another project's checkout, whose commit says nothing.
        _said(*git, "ls-files", "--error-unmatch", Path(__file__).name)
        commit = _said(*git, "rev-parse", "HEAD").strip()
        changed = _said(*git, "status", "--porcelain", "--untracked-files=no").strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}+changes" if changed else commit


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(
            "the run's record is damaged", where=str(path), fix="start a new run with --out"
        ) from error
    return record


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
