"""A finished model folder: its files and manifest, written whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from oneglance.errors import ConfigError
from oneglance.faces.find.align import cutout
from oneglance.faces.model.document import (
    FORMAT,
    VARIANT_PARTS,
    About,
    FaceDocument,
    parse_document,
    parse_part,
)
from oneglance.faces.model.face_model import ALIGNER_SIGNATURES, ENCODER_SIGNATURES, Wanted
from oneglance.faces.model.folder import described, tunable, write_manifest
from oneglance.faces.model.legacy import is_legacy, lift
from oneglance.faces.model.manifest import MANIFEST_NAME, read_json_manifest

# What only a conversion may write: a threshold put in by hand would open doors unmeasured.
_OURS = (
    frozenset(
        (
            *FaceDocument.model_fields,
            *VARIANT_PARTS,
            "encoder",
            "aligner",
            "threshold",
            "training",
        )
    )
    - About.model_fields.keys()
)
_TOOLS = ("oneglance", "tensorflow", "tensorflow-cpu", "keras", "ai-edge-litert", "numpy")


def write_model_folder(
    out: Path,
    *,
    name: str,
    encoder: bytes | Mapping[str, bytes],
    aligner: bytes | Mapping[str, bytes],
    template_size: int,
    passes: int,
    precision: str,
    about: Mapping[str, Any],
    default: str | None = None,
) -> None:
    """Write the model files and manifest.json into a temp folder, then rename.

    For one variant, `encoder` and `aligner` are its bytes and `precision` its name. For several,
    they are maps from variant names (float32, int8, ...) to bytes, with the same names in both, or
    one aligner for all; `precision` then names the reference, whose files give the templates their
    id, and `default` the variant that is loaded if nobody chooses (by default the reference). Equal
    files are written once. A variant's templates are interchangeable with the reference's only once
    its `interchange` has been measured and entered by `update_manifest`. So are `thresholds`: until
    then there are none, so that no door opens on an unmeasured model.

    `about` (see `read_about`) is added to the manifest; keys that have no place there go to
    `notes`. Raises ConfigError if `out` exists or a manifest cannot hold what is asked for,
    ModelError if a file is not such a model, ValueError for variants that do not belong together.
    """
    if out.exists():
        raise ConfigError("the output folder exists", where=str(out), fix="name a new one")
    json.dumps(about, allow_nan=False)
    encoders = {precision: encoder} if isinstance(encoder, bytes) else dict(encoder)
    aligners = dict.fromkeys(encoders, aligner) if isinstance(aligner, bytes) else dict(aligner)
    if encoders.keys() != aligners.keys() or precision not in encoders:
        raise ValueError(f"encoders of {[*encoders]}, aligners of {[*aligners]}, {precision} leads")
    names = {"encoder": _named("encoder", encoders), "aligner": _named("aligner", aligners)}
    contents = {names["encoder"][v]: (data, ENCODER_SIGNATURES) for v, data in encoders.items()}
    contents |= {names["aligner"][v]: (data, ALIGNER_SIGNATURES) for v, data in aligners.items()}
    chosen = precision if default is None else default
    told = {key: value for key, value in about.items() if key in About.model_fields}
    rest = {key: value for key, value in about.items() if key not in told}
    manifest = {
        "format": FORMAT,
        "name": name,
        "template_size": template_size,
        "cutout": cutout(passes),
        "files": _files(contents),
        "variants": {
            variant: {
                "encoder": names["encoder"][variant],
                "aligner": names["aligner"][variant],
                "precision": variant,
                "templates_interchangeable": variant == precision,
                "thresholds": {"by_fmr": {}, "accuracy": None},
            }
            for variant in encoders
        },
        "reference": precision,
        "default": chosen,
        "tune_among": [chosen],
        "tools": tool_versions(),
        **told,
        **({"notes": {**told.get("notes", {}), **rest}} if rest else {}),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        made = Path(scratch) / out.name
        made.mkdir()
        for file, (data, _) in contents.items():
            (made / file).write_bytes(data)
        try:
            write_manifest(made, manifest)
        except ValueError as error:
            raise ConfigError(f"a manifest cannot say this: {error}", where=name) from error
        made.replace(out)


def read_about(path: str | None) -> dict[str, Any]:
    """What a JSON file adds to a manifest; empty without a file.

    Raises ConfigError if it is not a JSON object, or has a key that the conversion itself writes.
    """
    if path is None:
        return {}
    about = read_json_object(Path(path))
    ours = sorted(_OURS & about.keys())
    if ours:
        raise ConfigError(
            f"the conversion itself writes {', '.join(ours)}",
            where=path,
            fix="remove it: --about is for licences, data and whatever else there is to tell",
        )
    try:
        parse_part(About, {key: about[key] for key in about.keys() & About.model_fields.keys()})
    except ValueError as error:
        raise ConfigError(f"not what a manifest says ({error})", where=path) from error
    return about


def read_json_object(path: Path, fix: str = "") -> dict[str, Any]:
    """A JSON file that holds an object; else ConfigError."""
    try:
        document = json.loads(path.read_text("utf-8"), parse_constant=_no_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError("not a readable JSON file", where=str(path), fix=fix) from error
    if not isinstance(document, dict):
        raise ConfigError("not a JSON object", where=str(path), fix=fix)
    return document


def move_folder(folder: Path, out: Path) -> None:
    """Copy beside the destination, then rename: the folder appears whole or not at all.

    Raises ConfigError if that cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as beside:
            whole = Path(beside) / out.name
            shutil.copytree(folder, whole)
            whole.replace(out)
    except OSError as error:
        # A failed tree copy reports every file that failed, with its paths; one reason will do.
        reason = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror
        raise ConfigError(
            f"the model folder cannot be made ({reason or error})",
            where=str(out),
            fix="name another one with --out",
        ) from error


def update_manifest(folder: Path, changes: Mapping[str, Any], variant: str | None = None) -> None:
    """Put entries into a folder's manifest, atomically.

    `thresholds`, `parity`, `calibration`, `interchange` and `evaluation` belong to one variant (by
    default the default one), everything else to the whole. A variant with an `interchange` entry
    counts as interchangeable; None withdraws that. This decides which variants `doctor --tune` may
    choose from. A signature does not survive a change: sign again. Raises ModelError for an invalid
    manifest, ValueError for a change that it cannot hold.
    """
    document = read_json_manifest(folder / MANIFEST_NAME)
    if is_legacy(document):
        document = lift(document)
    name = document["default"] if variant is None else variant
    if name not in document["variants"]:
        raise ValueError(f"the model has no variant {name}")
    own = {key: value for key, value in changes.items() if key in VARIANT_PARTS}
    document.update({key: value for key, value in changes.items() if key not in own})
    entry = {**document["variants"][name], **own}
    if "interchange" in own and name != document["reference"]:
        entry["templates_interchangeable"] = own["interchange"] is not None
    document["variants"] = {**document["variants"], name: entry}
    document.pop("signature", None)
    document["tune_among"] = [document["default"]]
    document["tune_among"] = tunable(parse_document(document))
    write_manifest(folder, document)


def _named(kind: str, contents: Mapping[str, bytes]) -> dict[str, str]:
    """File names by variant: equal contents share a file, and a single file needs no suffix."""
    first: dict[bytes, str] = {}
    for variant, data in contents.items():
        first.setdefault(data, variant)
    if len(first) == 1:
        return dict.fromkeys(contents, f"{kind}.tflite")
    return {variant: f"{kind}-{first[data]}.tflite" for variant, data in contents.items()}


def _files(contents: Mapping[str, tuple[bytes, Wanted]]) -> dict[str, Any]:
    return {file: described(data, wanted) for file, (data, wanted) in contents.items()}


def tool_versions() -> dict[str, str]:
    """The versions of the packages that made a model."""
    found = {}
    for package in _TOOLS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")
