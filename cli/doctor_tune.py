"""`oneglance doctor --tune`: measure the model's variants here, and keep the fastest."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from oneglance.cli.options import config_is_there
from oneglance.config import Config, load_config


def tune(config_file: Path | None, as_json: bool) -> None:
    """Measure every variant of the configured model, keep the choice where there is a door.

    Without a configuration nothing is kept: there is no state directory to keep it in. Raises
    ModelError for a model that no door would load.
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
    kept = found["kept_in"]
    typer.echo(f"kept in {kept}: it counts from the daemon's next start" if kept else "not kept")


def measured(config: Config, *, keep: bool) -> dict[str, Any]:
    """Load and time all variants, choose, and with `keep` write the choice."""
    import cv2

    from oneglance.faces.model.choice import Choice, folder_digest, machine_mark, write_choice
    from oneglance.faces.model.face_model import open_model
    from oneglance.faces.model.manifest import manifest_of, read_document
    from oneglance.faces.model.setup import choice_file, model_folder, model_key
    from oneglance.faces.model.tune import fastest, measure

    folder, threads = model_folder(config), config.model.threads
    document = read_document(folder, public_key=model_key(config))
    cv2.setNumThreads(threads)
    models = {
        name: open_model(folder, manifest_of(document, name), threads=threads)
        for name in document.variants
    }
    timings = measure(models, time.perf_counter)
    chosen = fastest(timings, document.tune_among, document.default)
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
    }
