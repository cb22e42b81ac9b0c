"""`oneglance doctor --tune`: measure the model's variants here, and keep the fastest."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from oneglance.cli.options import config_is_there
from oneglance.config import Config, load_config

if TYPE_CHECKING:
    from oneglance.faces.model.face_model import FaceModel

_STRICT = "1e-5"


def tune(config_file: Path | None, as_json: bool) -> None:
    """Time every variant of the configured model, and keep the choice if there is a door.

    Without a configuration nothing is kept: there is no state directory. Raises ModelError for a
    model that no door would load.
    """
    door = config_file is not None or config_is_there()
    config = load_config(config_file) if door else Config()
    with Console(stderr=True).status("measuring, some seconds"):
        found = measured(config, keep=door)
    if as_json:
        typer.echo(json.dumps(found))
        return
    for name, row in found["timings"].items():
        notes = [] if name in found["among"] else ["not to choose from: see docs/model.md"]
        notes += ["default"] if name == found["default"] else []
        told = f"  ({', '.join(notes)})" if notes else ""
        typer.echo(f"{name:14}{row['min_ms']:8.2f} ms, median {row['median_ms']:.2f} ms{told}")
    typer.echo(f"chosen: {found['chosen']}, on {found['machine']}, threads {found['threads']}")
    if found["configured"] not in (None, found["chosen"]):
        typer.echo(f"but [model] variant = {found['configured']!r} in the configuration goes first")
    _tell_models(found)
    kept = found["kept_in"]
    typer.echo(f"kept in {kept}: it counts from the daemon's next start" if kept else "not kept")


def _tell_models(found: dict[str, Any]) -> None:
    """Print what each bundled model costs and gains, where it may be chosen."""
    for name, row in found["models"].items():
        tar = f", TAR {row['tar']:.1%} at FMR {_STRICT}" if row["tar"] is not None else ""
        typer.echo(f"model {name:18}{row['min_ms']:8.2f} ms{tar}")
    if found["advised"] not in (None, found["model"]):
        typer.echo(
            f"better here: [model] name = {found['advised']!r}, the largest that takes at most "
            f"{found['most_ms']:.0f} ms a face. Its templates are others: everybody enrols anew, "
            "and a calibration is made anew"
        )


def measured(config: Config, *, keep: bool) -> dict[str, Any]:
    """Load and time all variants, choose one, and write down the choice if `keep` is set.

    Where the configuration leaves it to oneglance, its other models are timed beside them, and the
    largest that is fast enough is advised. No other model is ever chosen: the gallery would be
    useless with it.
    """
    import cv2

    from oneglance.faces.model.choice import Choice, folder_digest, machine_mark, write_choice
    from oneglance.faces.model.face_model import open_model
    from oneglance.faces.model.manifest import manifest_of, read_document
    from oneglance.faces.model.setup import choice_file, model_folder, model_key
    from oneglance.faces.model.tune import MOST_MS, fastest, largest_bearable, measure
    from oneglance.models import FACE_MODELS

    folder, threads = model_folder(config), config.model.threads
    document = read_document(folder, public_key=model_key(config))
    cv2.setNumThreads(threads)
    models = {
        name: open_model(folder, manifest_of(document, name), threads=threads)
        for name in document.variants
    }
    others = _others(config, document.name)
    taken = measure({**models, **{f"{name}/": m for name, m in others.items()}}, time.perf_counter)
    timings = {name: taken[name] for name in models}
    chosen = fastest(timings, document.tune_among, document.default)
    compared = {document.name: (models[chosen], timings[chosen])}
    compared |= {name: (model, taken[f"{name}/"]) for name, model in others.items()}
    in_order = [name for name in FACE_MODELS if others and name in compared]
    choice = Choice(
        variant=chosen,
        model_id=models[chosen].model_id,
        model=folder_digest(document),
        machine=machine_mark(),
        threads=threads,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        timings=timings,
    )
    if keep:
        write_choice(choice_file(config), choice)
    return {
        "chosen": chosen,
        "default": document.default,
        "configured": config.model.variant,
        "among": list(document.tune_among),
        "model_id": choice.model_id,
        "machine": choice.machine,
        "threads": threads,
        "timings": {name: row.model_dump() for name, row in timings.items()},
        "kept_in": str(choice_file(config)) if keep else None,
        "most_ms": MOST_MS,
        "model": document.name,
        "models": {
            name: {"min_ms": compared[name][1].min_ms, "tar": _tar(compared[name][0])}
            for name in in_order
        },
        "advised": largest_bearable([(name, compared[name][1].min_ms) for name in in_order]),
    }


def _others(config: Config, configured: str) -> dict[str, FaceModel]:
    """The default variant of every other model that `[model] name` could name, if it may change.

    If a folder or a public key is configured, the choice of model is somebody else's.
    """
    from oneglance.faces.model.face_model import load_model
    from oneglance.models import FACE_MODELS, model_dir

    if config.model.folder is not None or config.model.public_key_file is not None:
        return {}
    return {
        name: load_model(model_dir(name), threads=config.model.threads)
        for name in FACE_MODELS
        if name != configured
    }


def _tar(model: FaceModel) -> float | None:
    row = model.manifest.fitted.by_fmr.get(_STRICT)
    return None if row is None else row.tar
