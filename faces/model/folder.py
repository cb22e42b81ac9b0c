"""Write a model folder's manifest: as a whole, and never with a signature that no longer holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.errors import ModelError
from oneglance.faces.model.document import FaceDocument, parse_document
from oneglance.faces.model.legacy import is_legacy, lift
from oneglance.faces.model.litert import Signatures
from oneglance.faces.model.manifest import (
    FIX,
    MANIFEST_NAME,
    ModelFile,
    read_json_manifest,
    verified_bytes,
)
from oneglance.faces.model.signature import signed
from oneglance.whole_file import write_whole


def described(content: bytes, wanted: dict[str, tuple[tuple[str, ...], str]]) -> dict[str, Any]:
    """A .tflite file as the manifest's `files` has it: hash, length, and the wanted signatures.

    Raises ModelError if it is no model or lacks one of them.
    """
    offered = Signatures(Path("the converted model"), wanted, content=content).tensors()
    sides = {
        name: {"inputs": inputs, "outputs": outputs} for name, (inputs, outputs) in offered.items()
    }
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "signatures": {
            name: {
                side: [{"name": t.name, "shape": t.shape, "dtype": t.dtype} for t in tensors]
                for side, tensors in both.items()
            }
            for name, both in sides.items()
        },
    }


def tunable(document: FaceDocument) -> list[str]:
    """The variants that may take the default's place: same templates, no threshold missing."""
    rates = document.variants[document.default].thresholds.by_fmr.keys()
    return [
        name
        for name, variant in document.variants.items()
        if document.same_templates(name, document.default)
        and rates <= variant.thresholds.by_fmr.keys()
    ]


def write_manifest(folder: Path, document: Mapping[str, Any]) -> FaceDocument:
    """Check a manifest of format "faces-1", then replace the folder's as a whole.

    Raises ValueError, and writes nothing, if it is not of the known shape.
    """
    checked = parse_document(document)
    _replace(folder, document)
    return checked


def sign_folder(folder: Path, key: Ed25519PrivateKey) -> None:
    """Sign a folder's manifest, after checking every file it names against its hash.

    A manifest of format 1 is lifted first. Raises ModelError for files or a manifest that no
    door would load: nothing is signed then.
    """
    path = folder / MANIFEST_NAME
    document = read_json_manifest(path)
    try:
        if is_legacy(document):
            document = lift(document)
        checked = parse_document(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"the model manifest is not of the known shape ({error})", where=str(path), fix=FIX
        ) from error
    check_files(folder, checked)
    write_signed(folder, document, key)


def write_signed(folder: Path, document: Mapping[str, Any], key: Ed25519PrivateKey) -> None:
    """Replace the folder's manifest by `document`, signed; who calls has checked it.

    Raises ModelError if it cannot be written.
    """
    try:
        _replace(folder, signed(document, key))
    except OSError as error:
        raise ModelError(
            f"the manifest cannot be written ({error.strerror})",
            where=str(folder / MANIFEST_NAME),
            fix="run this as a user who may write there, or sign a copy of the folder",
        ) from error


def check_files(folder: Path, document: FaceDocument) -> None:
    """Raises ModelError unless every file that the manifest names has the hash it names."""
    for name, file in document.files.items():
        verified_bytes(folder, ModelFile(name, file.sha256))


def _replace(folder: Path, document: Mapping[str, Any]) -> None:
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # Without its manifest no door loads the model: after a power cut it must not be an empty file.
    write_whole(folder / MANIFEST_NAME, text.encode(), 0o666, durable=True)
