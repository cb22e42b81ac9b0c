"""The shared gallery on the wire: docs/wire.md's vector read without our code, and its seals."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from wire_examples import DOOR_KEY, GALLERY_VECTOR, KEY, gallery_payload, gallery_vector

from oneglance.contract.sharing import (
    MAX_PART_BYTES,
    MAX_PARTS,
    Contents,
    Part,
    SharedGallery,
    bucket,
    open_contents,
    open_part,
    seal_contents,
    seal_part,
)
from oneglance.contract.signing import check_as
from oneglance.errors import MessageError

ABOUT: Any = {"site": "home", "door": "front", "version": 7}
PARTS = st.builds(Part, st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))


def test_the_vector_is_what_the_page_says() -> None:
    """Read by the words of docs/wire.md alone."""
    vector = json.loads(GALLERY_VECTOR.read_text())
    assert GALLERY_VECTOR.read_text() == gallery_vector(), "python tests/contract/wire_examples.py"
    read = {name: base64.b64decode(text) for name, text in vector["parts"].items()}
    body = json.loads(base64.b64decode(vector["message"]))
    house = Ed25519PublicKey.from_public_bytes(base64.b64decode(vector["house_public_key"]))
    house.verify(base64.b64decode(body.pop("signature")), rfc8785.dumps(body))
    own = X25519PrivateKey.from_private_bytes(base64.b64decode(vector["door_private_key"]))
    half = base64.b64decode(body["half"])
    shared = own.exchange(X25519PublicKey.from_public_bytes(half))
    salt = half + own.public_key().public_bytes_raw()
    key = HKDF(SHA256(), 32, salt, b"oneglance gallery 1").derive(shared)
    about = f"oneglance gallery 1\0{body['site']}\0{body['door']}\0{body['version']}".encode()
    inside = ChaCha20Poly1305(key).decrypt(bytes(12), base64.b64decode(body["sealed"]), about)
    line, _, rest = inside.partition(b"\n")
    assert json.loads(line) == {"model_id": "example-1", "receipt": vector["receipt"]}
    digest, part_key = rest[:32], rest[32:]
    ((topic, payload),) = read.items()
    assert topic == f"oneglance/parts/v1/home/{digest.hex()[:32]}"
    assert hashlib.sha256(payload).digest() == digest
    part = ChaCha20Poly1305(part_key).decrypt(bytes(12), payload, b"oneglance gallery part 1")
    line, _, values = part.partition(b"\n")
    assert [person["id"] for person in json.loads(line)["people"]] == vector["people"]
    assert list(struct.unpack("<4f", values)) == vector["templates"][0]


@given(parts=st.lists(PARTS, max_size=9), model=st.text(max_size=9))
def test_what_is_sealed_opens_for_its_door_and_version_alone(parts: list[Part], model: str) -> None:
    contents = Contents(model, tuple(parts), bytes(32))
    own, other = DOOR_KEY, X25519PrivateKey.generate()
    door_key = own.public_key().public_bytes_raw()
    half, sealed = seal_contents(contents, door_key, X25519PrivateKey.generate(), **ABOUT)
    example = check_as(gallery_payload(), SharedGallery, KEY.public_key())
    message = example.model_copy(update={**ABOUT, "half": half, "sealed": sealed})
    assert open_contents(message, own) == contents
    with pytest.raises(MessageError, match="sealed to another key"):
        open_contents(message, other)
    for change in ({"site": "work"}, {"door": "back"}, {"version": 8}):
        with pytest.raises(MessageError):
            open_contents(message.model_copy(update=change), own)
    for half in ("", "\N{SNOWMAN}", "A" * 43 + "=", base64.b64encode(bytes(32)).decode()):
        with pytest.raises(MessageError):
            open_contents(message.model_copy(update={"half": half}), own)


@given(data=st.binary(max_size=99), place=st.integers(0))
def test_a_part_has_a_key_of_its_content_and_opens_as_it_was_alone(data: bytes, place: int) -> None:
    part, payload = seal_part(data, b"secret")
    assert seal_part(data, b"secret") == (part, payload)
    assert (
        seal_part(data, b"another")[0].key != part.key != seal_part(data + b"x", b"secret")[0].key
    )
    assert open_part(part, payload) == data
    flipped = bytearray(payload)
    flipped[place % len(payload)] ^= 1
    for wrong in (bytes(flipped), payload[:-1], payload + b"x", b""):
        with pytest.raises(MessageError):
            open_part(part, wrong)
    with pytest.raises(MessageError):
        open_part(Part(part.digest, bytes(32)), payload)


def test_nothing_larger_than_the_broker_takes_is_sealed_or_opened() -> None:
    with pytest.raises(MessageError, match="a part of"):
        seal_part(bytes(MAX_PART_BYTES), b"secret")
    many = Contents("m", (Part(bytes(32), bytes(32)),) * (MAX_PARTS + 1), bytes(32))
    door_key = DOOR_KEY.public_key().public_bytes_raw()
    half, sealed = seal_contents(many, door_key, X25519PrivateKey.generate(), **ABOUT)
    example = check_as(gallery_payload(), SharedGallery, KEY.public_key())
    with pytest.raises(MessageError, match="malformed"):
        open_contents(
            example.model_copy(update={**ABOUT, "half": half, "sealed": sealed}), DOOR_KEY
        )


@given(st.text(max_size=9), st.sampled_from([1, 2, 8, 1024]))
def test_a_person_has_one_place_among_the_parts(person_id: str, parts: int) -> None:
    assert 0 <= bucket(person_id, parts) < parts
    assert bucket(person_id, 2 * parts) % parts == bucket(person_id, parts)
