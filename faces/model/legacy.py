"""Manifests of format 1, from before a folder could hold several variants, lifted to "faces-1"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT = 1
_TOLD = ("licence", "origins", "trained_on", "made_by")
_STRUCTURE = frozenset(
    ("format", "name", "encoder", "aligner", "cutout", "thresholds", "parity", "evaluation")
)


def is_legacy(document: Mapping[str, Any]) -> bool:
    """Whether this is a manifest of format 1; true is no 1."""
    return type(document.get("format")) is int and document["format"] == FORMAT


def lift(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same manifest as "faces-1", with one variant; its model id stays what it was.

    Raises KeyError, TypeError or AttributeError for a document of another shape; what the new
    form does not allow is for its own reader to refuse.
    """
    encoder, aligner = document["encoder"], document["aligner"]
    name = encoder.get("precision", "float32")
    variant = {
        "encoder": encoder["file"],
        "aligner": aligner["file"],
        "precision": name,
        "templates_interchangeable": True,
        "thresholds": document["thresholds"],
        "parity": document.get("parity"),
        "evaluation": document.get("evaluation", {}),
    }
    known = {key: document[key] for key in _TOLD if key in document}
    rest = {k: v for k, v in document.items() if k not in known and k not in _STRUCTURE}
    return {
        "format": "faces-1",
        "name": document["name"],
        "template_size": encoder["template_size"],
        "cutout": document["cutout"],
        "files": {
            row["file"]: {"sha256": row["sha256"], "bytes": row["bytes"]}
            for row in (encoder, aligner)
        },
        "variants": {name: variant},
        "reference": name,
        "default": name,
        "tune_among": [name],
        **known,
        **({"notes": rest} if rest else {}),
    }
