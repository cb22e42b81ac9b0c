"""The liveness model's folder: its manifest.json, read strictly, and the files that it names.

Its form is "liveness-1". Files are described, hashed and signed as those of a face model
(oneglance.faces.model.document); `fusion` is what the judgement over a track was fitted to, and
is only passed on here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, JsonValue, StringConstraints, model_validator

from oneglance.errors import ModelError
from oneglance.faces.model.document import About, Count, File, FileName, Part, parse_part
from oneglance.faces.model.manifest import FIX, MANIFEST_NAME, read_json_manifest
from oneglance.faces.model.signature import check_signature
from oneglance.models import LIVENESS_MODEL, model_dir

FORMAT = "liveness-1"
# Ranges within which a network of this kind lies: a manifest must not make a look cost seconds.
_MOST_SIDE = 512
_MOST_CROP = 8.0

CueName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=40)]


class Network(Part):
    """What one network takes and gives: BGR crops 0..255 of `side` px to `outputs` logits."""

    side: Annotated[int, Field(ge=8, le=_MOST_SIDE)]
    order: Literal["BGR"] = Field(description="colours of the crop, as in a frame")
    range: tuple[Literal[0], Literal[255]] = Field(description="of the crop's values, uint8")
    outputs: Annotated[int, Field(ge=1, le=16)]


class Cue(Part):
    """One column of the witness: a network's file, how much around the face it sees, and how
    its logits are read: log-odds of `live` against all of `against`, or `live` alone.
    """

    name: CueName
    file: FileName
    crop_scale: Annotated[float, Field(ge=0.5, le=_MOST_CROP, allow_inf_nan=False)] = Field(
        description="side of the crop in sides of the detector's box"
    )
    live: Annotated[int, Field(ge=0, lt=16)]
    against: tuple[Annotated[int, Field(ge=0, lt=16)], ...] = ()
    fitted_on: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Spread(Part):
    """Quantiles of a cue's values on one kind of picture."""

    pictures: Count
    p05: Annotated[float, Field(allow_inf_nan=False)]
    median: Annotated[float, Field(allow_inf_nan=False)]
    p95: Annotated[float, Field(allow_inf_nan=False)]


class LivenessDocument(About):
    """The whole manifest of a liveness model.

    `spreads` tell how each cue lies on true faces ("real") and on each kind of attack, by cue and
    kind. `signature` is base64 of an Ed25519 signature over the RFC 8785 form of this object
    without it.
    """

    format: Literal["liveness-1"]
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=100)]
    files: Mapping[FileName, File]
    networks: Mapping[FileName, Network] = Field(description="by the file's name")
    cues: Annotated[tuple[Cue, ...], Field(min_length=1, max_length=8)]
    spreads: Mapping[CueName, Mapping[str, Spread]] = {}
    fusion: Mapping[str, JsonValue] | None = None
    tools: Mapping[str, str] = {}
    signature: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if set(self.networks) != set(self.files):
            raise ValueError("networks and files do not name the same files")
        if {cue.file for cue in self.cues} != set(self.files):
            raise ValueError("cues and files do not name the same files")
        for cue in self.cues:
            read = (cue.live, *cue.against)
            if max(read) >= self.networks[cue.file].outputs or len(set(read)) != len(read):
                raise ValueError(f"cue {cue.name} reads outputs that are not there, or one twice")
        names = [cue.name for cue in self.cues]
        if len(set(names)) != len(names):
            raise ValueError("a cue's name stands twice")
        if not set(self.spreads) <= set(names):
            raise ValueError("spreads are told of a cue that is not there")
        return self


def default_folder() -> Path:
    """The folder of the liveness model that is used where none is named."""
    return model_dir(LIVENESS_MODEL)


def read_liveness(
    folder: Path | None = None, *, public_key: Ed25519PublicKey | None = None
) -> LivenessDocument:
    """Read and check a folder's manifest (None: the shipped one), but for its files.

    With a key, only a manifest that carries its signature is read. Raises ModelError, one line,
    for one that is missing, unreadable, of an unknown version or form, or not so signed.
    """
    path = (default_folder() if folder is None else folder) / MANIFEST_NAME
    document = read_json_manifest(path)
    if public_key is not None:
        check_signature(document, public_key, str(path))
    try:
        return parse_liveness(document)
    except ValueError as error:
        raise ModelError(
            f"the liveness manifest is not of the known shape ({error})", where=str(path), fix=FIX
        ) from error


def parse_liveness(document: Mapping[str, Any]) -> LivenessDocument:
    """The typed manifest from parsed JSON; ValueError says which place is wrong and why."""
    known = document.get("format")
    if known != FORMAT:
        told = json.dumps(known)[:40]
        raise ValueError(f"format is {told}, this version reads {json.dumps(FORMAT)}")
    return parse_part(LivenessDocument, document)
