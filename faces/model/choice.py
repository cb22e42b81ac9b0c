"""Which variant of a model this machine runs, as `oneglance doctor --tune` measured and stored it.

The file is in the state directory, for its owner alone. A choice holds for one model, one machine
and one number of threads; if one of them differs, it is set aside.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from oneglance.errors import ModelError
from oneglance.faces.model.document import FaceDocument, Part, Text, VariantName, parse_part
from oneglance.secret_file import read_secret
from oneglance.whole_file import write_whole

CHOICE_NAME = "model-choice.json"
_FIX = "run 'oneglance doctor --tune' again"
Ms = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Timing(Part):
    """What one face costs with a variant: cut out and encoded, batch 1, in milliseconds."""

    min_ms: Ms
    median_ms: Ms
    rounds: Annotated[int, Field(ge=1)]


class Choice(Part):
    """A measured choice: `model` is `folder_digest` of the folder, `machine` is `machine_mark`."""

    format: Literal["model-choice-1"] = "model-choice-1"
    variant: VariantName
    model_id: Text
    model: Text
    machine: Text
    threads: Annotated[int, Field(ge=1)]
    measured_at: Text
    timings: Mapping[VariantName, Timing]


def folder_digest(document: FaceDocument) -> str:
    """Changes with every file of every variant; not with figures, licences or signatures."""
    parts = [
        f"{name}={document.files[variant.encoder].sha256}+{document.files[variant.aligner].sha256}"
        for name, variant in sorted(document.variants.items())
    ]
    return hashlib.sha256("|".join([document.name, *parts]).encode()).hexdigest()[:24]


def machine_mark(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What speed depends on: architecture, processor, cores, and the runtime's version."""
    try:
        lines = cpuinfo.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    told = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    names = {key.strip(): value.strip() for key, value in told.items()}
    processor = names.get("Model") or names.get("model name") or names.get("CPU part") or "unknown"
    return f"{platform.machine()}, {processor}, {os.cpu_count()} cores, {_runtime()}"


def write_choice(file: Path, choice: Choice) -> None:
    """Replace the file as a whole, mode 0600; made by root, it belongs to the folder's owner.

    Raises ModelError if it cannot be kept.
    """
    text = json.dumps(choice.model_dump(mode="json"), indent=2) + "\n"
    try:
        # The file is read at the daemon's start: after a power cut it must not be an empty one.
        write_whole(file, text.encode(), 0o600, durable=True, for_folders_owner=True)
    except OSError as error:
        raise ModelError(
            f"the choice cannot be kept ({error.strerror})",
            where=str(file),
            fix="run this as the user of the service, or as root",
        ) from error


def read_choice(file: Path) -> Choice | None:
    """The stored choice; None if there is none. ModelError if it cannot be read or is damaged."""
    try:
        if not file.exists():
            return None
    except OSError as error:
        raise ModelError(f"cannot look for it: {error.strerror}", where=str(file)) from error
    data = read_secret(file, "choice of the model's variant", _FIX, ModelError)
    try:
        document = json.loads(data)
        if not isinstance(document, dict):
            raise ValueError("not an object")
        return parse_part(Choice, document)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the choice is damaged ({error})", where=str(file), fix=_FIX) from error


def still_holds(
    choice: Choice, document: FaceDocument, threads: int, machine: Callable[[], str]
) -> None:
    """Raises ModelError unless the choice was measured on this model, machine and threads."""
    reason = ""
    if choice.model != folder_digest(document):
        reason = "the model has changed since"
    elif choice.machine != machine():
        reason = "it was measured on another machine or runtime"
    elif choice.threads != threads:
        reason = f"it was measured with threads = {choice.threads}"
    elif choice.variant not in document.tune_among:
        reason = f"the manifest does not let it choose {choice.variant}"
    if reason:
        raise ModelError(f"the choice of {choice.variant} is set aside: {reason}", fix=_FIX)


def _runtime() -> str:
    for package in ("ai-edge-litert", "tflite-runtime"):
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    return "no runtime"
