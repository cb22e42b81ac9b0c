"""Every parser that reads what comes from outside, and what it may do with it.

A target takes any bytes. It returns, or raises an OneglanceError of a kind that its callers expect;
whatever else it does is a finding. `scripts/fuzz.py` feeds them for as long as it is told to; what
it finds is kept in `found/TARGET/`, and tests feed that again.
"""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from command_samples import make_command, make_ring
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from wire_samples import TOPICS, make_decision

from oneglance.audit.entry import Signer, key_id
from oneglance.audit.log import Audit
from oneglance.audit.proof import prove
from oneglance.audit.segments import segments
from oneglance.cli.wire_text import explain
from oneglance.config import parse_config
from oneglance.contract.commands import Command
from oneglance.contract.gate import Gate
from oneglance.contract.keyring import parse_keyring
from oneglance.contract.messages import (
    DoorState,
    LockState,
    Message,
    Phase,
    Reply,
    ServiceState,
    Status,
    VisitState,
    parse,
)
from oneglance.contract.schemas import MESSAGES
from oneglance.contract.sharing import (
    SharedGallery,
    open_part,
    packed,
    read_contents,
    seal_part,
)
from oneglance.contract.signing import sign, unpack
from oneglance.daemon.access.attempts_file import KeptAttempts, read_attempts, write_attempts
from oneglance.daemon.camera.recordings import Video
from oneglance.daemon.voice.nonces import NonceFile, Nonces
from oneglance.door.reader.wedge import WedgeDecoder
from oneglance.door.reader.wiegand import number_of
from oneglance.errors import (
    AuditError,
    CameraError,
    ConfigError,
    GalleryError,
    ImageError,
    MessageError,
    ModelError,
)
from oneglance.faces.gallery.credentials import Credentials, read_credentials, write_credentials
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.shared import read_part
from oneglance.faces.gallery.vault import TemplateKey
from oneglance.faces.liveness.fusion import read_fusion
from oneglance.faces.liveness.manifest import default_folder, read_liveness
from oneglance.faces.model.manifest import read_document
from oneglance.faces.model.signature import check_signature
from oneglance.faces.reader import load_image
from oneglance.key_files import load_private_key, load_public_key
from oneglance.models import default_model_dir
from oneglance.number_file import read_number

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(b"an example key, it guards no one")
GALLERY_KEY = TemplateKey(b"a key of 32 bytes, for no secret")


@dataclass(frozen=True)
class Target:
    """`seeds` are inputs to begin with; `run` is fed them and whatever they are made into."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]


def samples() -> list[Message]:
    """One message of each kind."""
    return [
        Status(issued_at=NOW, state=ServiceState.DEGRADED, software="0.1.0", reasons=("a",)),
        VisitState(issued_at=NOW, visit_id="v", phase=Phase.LOOK),
        make_decision(7, issued_at=NOW, expires_at=NOW + timedelta(seconds=5)),
        DoorState(issued_at=NOW, state=LockState.LOCKED),
        Reply(issued_at=NOW, ok=True, code="ok", text="done"),
    ]


def _message(data: bytes) -> None:
    for kind in MESSAGES.values():
        with suppress(MessageError):
            parse(data, kind)


@cache
def genuine() -> bytes:
    """A payload that a gate lets through."""
    decision = make_decision(
        7, issued_at=NOW, expires_at=NOW + timedelta(seconds=5), event_id="event-0007"
    )
    return sign(decision, SIGNING_KEY)


def _gate(data: bytes) -> None:
    gate = Gate(TOPICS, SIGNING_KEY.public_key(), lambda: NOW, lambda: 0.0)
    try:
        decision = gate.admit(data, retained=False)
    except MessageError:
        return
    # Order and spaces are not signed; what it says is.
    assert sign(decision, SIGNING_KEY) == genuine()


def _shown(data: bytes) -> None:
    for topic in (TOPICS.status, TOPICS.visit, TOPICS.decision, TOPICS.door_state):
        line = explain(TOPICS, topic, data, retained=False, keys=make_ring(), now=NOW)
        assert line.text.isprintable()


def _config(data: bytes) -> None:
    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return
    with suppress(ConfigError):
        parse_config(document, "fuzzed")


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="oneglance-fuzz-", dir=os.environ.get("FUZZ_DIR")))


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def _manifest(data: bytes) -> None:
    path = _file("manifest.json", data)
    with suppress(ModelError):
        read_document(path.parent)
    with suppress(ValueError, RecursionError):
        document = json.loads(data)
        if isinstance(document, dict):
            with suppress(ModelError):
                check_signature(document, SIGNING_KEY.public_key(), "fuzzed")


def _keys(data: bytes) -> None:
    path = _file("key.pem", data)
    with suppress(ConfigError):
        load_public_key(path, "fix")
    with suppress(ConfigError):
        load_private_key(path, "key", "fix")
    with suppress(ValueError):
        read_number(path)


def _keyring(data: bytes) -> None:
    with suppress(ConfigError):
        parse_keyring(data)


def _command(data: bytes) -> None:
    with suppress(MessageError):
        unpack(data, Command, "topic").message(Command, "topic")


def _audit(data: bytes) -> None:
    folder = _folder() / "audit"
    folder.mkdir(mode=0o700, exist_ok=True)
    (file,) = _audit_files()
    for other in folder.iterdir():
        other.unlink()
    (folder / file.name).write_bytes(data)
    key = SIGNING_KEY.public_key()
    with suppress(AuditError):
        proof = prove(folder, {key_id(key): key})
        if proof.problem is None and proof.signed_through:
            # Nothing but a part of what was written is ever taken for proven.
            assert file.read_bytes().startswith(data[: data.rfind(b"\n") + 1])
    with suppress(AuditError):
        Audit(folder, lambda: NOW, keys=[key]).head()


@cache
def _audit_files() -> list[Path]:
    folder = _folder() / "audit-seed"
    audit = Audit(folder, lambda: NOW, signer=Signer.of(SIGNING_KEY))
    for kind, body in (("start", {"software": "1"}), ("decision", {"score": 1.5}), ("stop", {})):
        audit.append(kind, body)
    return segments(folder)


def _kept(data: bytes) -> None:
    path = _file("kept", data)
    with suppress(ConfigError):
        kept = read_attempts(path)
        assert kept.generation >= 0
        assert all(np.isfinite(pair).all() for pair in kept.counts.values())
    NonceFile(path).load()
    with suppress(GalleryError):
        read_credentials(path, GALLERY_KEY)


def _kept_seeds() -> Sequence[bytes]:
    path = _folder() / "attempts"
    write_attempts(path, KeptAttempts(5, {"face": [3.0, 2.5], "badge": [0.0, 0.0]}))
    credentials = _folder() / "credentials"
    write_credentials(credentials, GALLERY_KEY, Credentials.none())
    nonces = Nonces({"0" * 32: NOW}, NOW).to_bytes()
    return [path.read_bytes(), credentials.read_bytes(), nonces]


def _liveness(data: bytes) -> None:
    path = _file("manifest.json", data)
    with suppress(ModelError):
        document = read_liveness(path.parent)
        read_fusion(document.fusion, "fuzzed")


def _badge(data: bytes) -> None:
    bits = [byte & 1 for byte in data]
    number = number_of(bits)
    assert number is None or (number.isdecimal() and len(bits) in (26, 34))
    decoder = WedgeDecoder()
    for place, byte in enumerate(data):
        read = decoder.feed(byte >> 7, byte & 127, 1, place / 100)
        assert read is None or (set(read) <= set("0123456789ABCDEF") and len(read) <= 32)


@cache
def _gallery_seed() -> bytes:
    path = _folder() / "seed.db"
    with Gallery.open(path, GALLERY_KEY, create=True) as gallery:
        for name in ("Ada", "Grace"):
            template = np.eye(1, 8, len(name), dtype=np.float32)
            gallery.enrol(name, template, "fuzz-1", consent_at=NOW, source="photo")
    return path.read_bytes()


def _gallery(data: bytes) -> None:
    path = _file("gallery.db", data)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with suppress(GalleryError), Gallery.open(path, GALLERY_KEY) as gallery:
        gallery.list_people()
        gallery.snapshot("fuzz-1", NOW)


def _image(data: bytes) -> None:
    with suppress(ImageError):
        picture = load_image(data)
        assert picture.dtype == np.uint8
        assert picture.ndim == 3


def _picture(extension: str) -> bytes:
    rows, columns = np.mgrid[0:24, 0:32]
    picture = np.dstack([rows * 8, columns * 7, rows * columns]).astype(np.uint8)
    return cv2.imencode(extension, picture)[1].tobytes()


def _pictures() -> Sequence[bytes]:
    return [_picture(extension) for extension in (".jpg", ".png", ".webp", ".bmp", ".tiff")]


def _video(data: bytes) -> None:
    path = _file("film.avi", data)
    with suppress(CameraError):
        video = Video(path)
        try:
            for _ in range(3):
                if video.read() is None:
                    break
        finally:
            video.close()


@cache
def _film() -> bytes:
    path = _folder() / "seed.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for level in range(3):
        writer.write(np.full((48, 64, 3), 60 * level, np.uint8))
    writer.release()
    return path.read_bytes()


def _public_pem() -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return SIGNING_KEY.public_key().public_bytes(encoding, form)


PERSON = {
    "id": "ada",
    "name": "Ada",
    "created_at": "2026-11-24T05:00:00+00:00",
    "consent_at": "2026-11-24T05:00:00+00:00",
    "valid_from": None,
    "expires_at": None,
    "groups": ["family"],
    "templates": [["0" * 32, "example-1", "2026-11-24T05:00:00+00:00", "photo"]],
}
PART, SEALED_PART = seal_part(b"nobody", b"secret")


def _shared_seeds() -> list[bytes]:
    message = SharedGallery(
        issued_at=NOW, site="home", door="front", key_id="house", version=1, half="", sealed=""
    )
    person = packed({"people": [PERSON], "size": 4}, np.eye(1, 4, dtype="<f4").tobytes())
    contents = packed({"model_id": "m", "receipt": "0" * 64}, bytes(64))
    return [sign(message, SIGNING_KEY), SEALED_PART, person, contents]


def _sharing(data: bytes) -> None:
    """What is published for many doors, what a part of it holds, and what is sealed to a door."""
    with suppress(MessageError):
        unpack(data, SharedGallery).message(SharedGallery)
    with suppress(MessageError):
        open_part(PART, data)
    with suppress(MessageError):
        read_contents(data)
    with suppress(GalleryError):
        read_part(data, "example-1", 4, lambda _person_id: True)


TARGETS: dict[str, Target] = {
    "message": Target(_message, lambda: [m.to_payload() for m in samples()]),
    "gate": Target(_gate, lambda: [genuine()]),
    "shown": Target(_shown, lambda: [genuine(), *(m.to_payload() for m in samples())]),
    "config": Target(
        _config,
        lambda: [
            b'[site]\nname = "home"\n[decision]\nfar = "1e-3"\nframes = 3\n[[camera]]\n'
            b'name = "front"\nsource = 0\n[mqtt]\nhost = "127.0.0.1"\nport = 1883\n'
        ],
    ),
    "manifest": Target(_manifest, lambda: [(default_model_dir() / "manifest.json").read_bytes()]),
    "keys": Target(_keys, lambda: [_public_pem(), b"1795500000123\n"]),
    "sharing": Target(_sharing, _shared_seeds),
    "keyring": Target(_keyring, lambda: [make_ring().to_text().encode()]),
    "command": Target(_command, lambda: [sign(make_command(NOW), SIGNING_KEY)]),
    "audit": Target(_audit, lambda: [file.read_bytes() for file in _audit_files()]),
    "kept": Target(_kept, _kept_seeds),
    "liveness": Target(_liveness, lambda: [(default_folder() / "manifest.json").read_bytes()]),
    "badge": Target(_badge, lambda: [bytes([0, 1] * 13), bytes([130, 131, 156] * 9)]),
    "gallery": Target(_gallery, lambda: [_gallery_seed()]),
    "image": Target(_image, _pictures),
    "video": Target(_video, lambda: [_film()]),
}
