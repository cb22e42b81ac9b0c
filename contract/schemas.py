"""JSON Schemas of every message, as kept in docs/schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oneglance.contract.commands import Command
from oneglance.contract.messages import (
    AccessState,
    Challenge,
    Decision,
    DoorState,
    Message,
    Reply,
    Result,
    Status,
    VisitState,
)
from oneglance.contract.sharing import GalleryIndex, GalleryState, SharedGallery

MESSAGES: dict[str, type[Message]] = {
    "status": Status,
    "visit": VisitState,
    "access": AccessState,
    "decision": Decision,
    "result": Result,
    "challenge": Challenge,
    "door_state": DoorState,
    "reply": Reply,
    "command": Command,
    "gallery": SharedGallery,
    "gallery_state": GalleryState,
    "gallery_index": GalleryIndex,
}
# Messages that count only with the signature that their sender adds.
SIGNED = {"decision", "challenge", "command", "gallery", "gallery_index"}


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one message as it is on the wire."""
    body = MESSAGES[kind].model_json_schema(mode="serialization")
    if kind in SIGNED:
        body["properties"]["signature"] = {
            "type": "string",
            "contentEncoding": "base64",
            "description": "Ed25519 over the RFC 8785 form of this object without `signature`",
        }
        body["required"].append("signature")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body}


def export(folder: Path) -> list[Path]:
    """Write all schemas into `folder`; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for kind in MESSAGES:
        file = folder / f"{kind}.schema.json"
        file.write_text(json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n")
        files.append(file)
    return files


if __name__ == "__main__":
    export(Path("docs/schemas"))
