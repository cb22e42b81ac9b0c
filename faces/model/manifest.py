"""A model folder's manifest.json, read strictly, and the one variant of it that is used."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from oneglance.errors import ModelError
from oneglance.faces.model.document import FORMAT, FaceDocument, Thresholds, parse_document
from oneglance.faces.model.legacy import is_legacy, lift
from oneglance.faces.model.signature import check_signature

MANIFEST_NAME = "manifest.json"
_MOST_BYTES = 1 << 20
FIX = "install the model again, or convert it anew"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of the model folder and the SHA-256 (hex) it must have."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one variant of a model folder is.

    `model_id` changes whenever templates of the old and the new model must not be mixed; all
    interchangeable variants of a folder share one. `thresholds` maps a false match rate as
    written ("1e-3") to the score at or above which two templates match; `accuracy_threshold` is
    the score with the fewest errors on the fitting pairs, None where nothing was fitted. `cutout`
    names the geometry of the chip (crop scale, passes of the aligner). `document` is the whole
    manifest, other variants and licences included.
    """

    name: str
    variant: str
    model_id: str
    encoder: ModelFile
    aligner: ModelFile
    template_size: int
    passes: int
    cutout: Mapping[str, Any]
    thresholds: Mapping[str, float]
    accuracy_threshold: float | None
    document: FaceDocument

    @property
    def fitted(self) -> Thresholds:
        """The variant's thresholds with what they were measured to do."""
        return self.document.variants[self.variant].thresholds

    @property
    def raw(self) -> Mapping[str, Any]:
        """The whole manifest as JSON, and at its top what it says of this variant."""
        whole = self.document.model_dump(mode="json")
        return {**whole, **whole["variants"][self.variant]}


def read_manifest(
    folder: Path, variant: str | None = None, *, public_key: Ed25519PublicKey | None = None
) -> Manifest:
    """Read and check `folder`/manifest.json; ModelError says what is wrong with it.

    `variant` is the one to use, the folder's default unless given. With a key, only a manifest
    that carries its signature is read.
    """
    document = read_document(folder, public_key=public_key)
    return manifest_of(document, variant, where=str(folder / MANIFEST_NAME))


def read_document(folder: Path, *, public_key: Ed25519PublicKey | None = None) -> FaceDocument:
    """The whole manifest, checked but for its files. Raises ModelError as `read_manifest`."""
    path = folder / MANIFEST_NAME
    document = read_json_manifest(path)
    if public_key is not None:
        check_signature(document, public_key, str(path))
    try:
        known = document.get("format")
        if is_legacy(document):
            document = lift(document)
        elif known != FORMAT:
            raise ValueError(f"format is {known!r}, this version reads {FORMAT!r}")
        return parse_document(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        wrong = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f"the model manifest is not of the known shape ({wrong})", where=str(path), fix=FIX
        ) from error


def read_json_manifest(path: Path) -> dict[str, Any]:
    """A manifest's JSON object; ModelError for one with a member twice, or NaN, or too long."""
    try:
        if path.exists() and not path.is_file():
            raise ValueError("not a file")
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ValueError("longer than 1 MiB")
        document = json.loads(
            data.decode("utf-8"),
            parse_constant=_no_constant,
            parse_float=_finite,
            object_pairs_hook=_no_repeats,
        )
        if not isinstance(document, dict):
            raise ValueError("not an object")
    except FileNotFoundError as error:
        raise ModelError("the model manifest is missing", where=str(path), fix=FIX) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"the model manifest is unreadable or not JSON ({_told(error)})",
            where=str(path),
            fix=FIX,
        ) from error
    return document


def manifest_of(document: FaceDocument, variant: str | None = None, *, where: str = "") -> Manifest:
    """One variant of a manifest, the default unless named; ModelError if there is none such."""
    name = document.default if variant is None else variant
    chosen = document.variants.get(name)
    if chosen is None:
        raise ModelError(
            f"the model has no variant {name!r}",
            where=where,
            fix=f"choose one of {', '.join(document.variants)}",
        )
    thresholds = chosen.thresholds
    return Manifest(
        name=document.name,
        variant=name,
        model_id=model_id(document, name),
        encoder=_file(document, chosen.encoder),
        aligner=_file(document, chosen.aligner),
        template_size=document.template_size,
        passes=int(document.cutout["passes"]),
        cutout=document.cutout,
        thresholds={rate: row.threshold for rate, row in thresholds.by_fmr.items()},
        accuracy_threshold=None if thresholds.accuracy is None else thresholds.accuracy.threshold,
        document=document,
    )


def model_id(document: FaceDocument, variant: str) -> str:
    """The id of a variant's templates: interchangeable ones have that of the reference."""
    own = document.variants[variant]
    named = document.variants[document.reference] if own.templates_interchangeable else own
    digests = [document.files[name].sha256 for name in (named.encoder, named.aligner)]
    parts = [*digests, json.dumps(dict(document.cutout), sort_keys=True)]
    return f"{document.name}:{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:12]}"


def verified_bytes(folder: Path, file: ModelFile) -> bytes:
    """A model file's bytes, which are those the manifest names; else ModelError.

    To load these and not the file again leaves no moment in which it could be exchanged.
    """
    path = folder / file.name
    try:
        # A FIFO in its place would hang for ever.
        data = path.read_bytes() if path.is_file() else None
    except OSError:
        data = None
    if data is None:
        raise ModelError("the model file is missing", where=str(path), fix=FIX)
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        raise ModelError(
            f"the model file was changed or damaged: its SHA-256 is {digest[:12]}..., "
            f"the manifest says {file.sha256[:12]}...",
            where=str(path),
            fix=FIX,
        )
    return data


def _file(document: FaceDocument, name: str) -> ModelFile:
    return ModelFile(name, document.files[name].sha256)


def _told(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "unreadable"
    return "too deep" if isinstance(error, RecursionError) else str(error)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is beyond all numbers")
    return value


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("a member stands twice")
    return body
