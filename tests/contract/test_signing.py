"""Signatures and key files."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest
import rfc8785
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import make_decision

from oneglance.contract.messages import MAX_PAYLOAD_BYTES, Outcome
from oneglance.contract.signing import (
    check,
    create_signing_key,
    load_public_key,
    load_signing_key,
    sign,
)
from oneglance.errors import ConfigError, MessageError
from oneglance.key_files import fingerprint

KEY = Ed25519PrivateKey.generate()
DECISION = make_decision(1, person_name="Zoë Łukasz 李")
SIGNED = sign(DECISION, KEY)


def test_a_signed_decision_comes_back_whole() -> None:
    checked = check(SIGNED, KEY.public_key())
    assert checked.person_name == "Zoë Łukasz 李"
    assert checked.to_payload() == DECISION.to_payload()


def test_a_rejected_decision_is_signed_as_well() -> None:
    rejected = make_decision(2, outcome=Outcome.REJECTED)
    assert check(sign(rejected, KEY), KEY.public_key()).outcome is Outcome.REJECTED


def test_another_key_does_not_fit() -> None:
    with pytest.raises(MessageError, match="signature does not match"):
        check(SIGNED, Ed25519PrivateKey.generate().public_key())


@settings(max_examples=300)
@given(at=st.integers(0, len(SIGNED) - 1), flip=st.integers(1, 255))
def test_any_changed_byte_is_refused_or_says_the_same(at: int, flip: int) -> None:
    changed = SIGNED[:at] + bytes([SIGNED[at] ^ flip]) + SIGNED[at + 1 :]
    try:
        decision = check(changed, KEY.public_key())
    except MessageError:
        return
    assert decision.to_payload() == DECISION.to_payload()


@settings(max_examples=200)
@given(
    field=st.sampled_from(sorted(json.loads(SIGNED))),
    value=st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
)
def test_any_changed_field_is_refused(field: str, value: object) -> None:
    body = json.loads(SIGNED)
    # 2 and 2.0 are one number, with one canonical spelling.
    if body[field] == value and isinstance(body[field], bool) is isinstance(value, bool):
        return
    body[field] = value
    with pytest.raises(MessageError):
        check(json.dumps(body).encode(), KEY.public_key())


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(payload: bytes) -> None:
    with pytest.raises(MessageError):
        check(payload, KEY.public_key())


def test_order_and_spaces_do_not_matter() -> None:
    body = json.loads(SIGNED)
    shuffled = json.dumps(dict(reversed(body.items())), indent=2).encode()
    assert check(shuffled, KEY.public_key()).event_id == DECISION.event_id


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_a_genuine_decision_in_another_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(MessageError, match="not a signed decision"):
        check(SIGNED.decode().encode(encoding), KEY.public_key())


def test_a_signature_has_one_spelling() -> None:
    body = json.loads(SIGNED)
    signature = body["signature"]
    # 64 bytes end in a letter of which only two bits count.
    assert signature[-2:] == "=="
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body["signature"] = signature[:-3] + letters[letters.index(signature[-3]) ^ 1] + "=="
    assert base64.b64decode(body["signature"]) == base64.b64decode(signature)
    with pytest.raises(MessageError, match="not a signed decision"):
        check(json.dumps(body).encode(), KEY.public_key())


def test_a_member_that_stands_twice_is_refused() -> None:
    twice = SIGNED.replace(b'"outcome"', b'"outcome":"rejected","outcome"', 1)
    with pytest.raises(MessageError, match="not a signed decision"):
        check(twice, KEY.public_key())


def test_a_decision_of_the_first_version_is_refused_by_name() -> None:
    body = json.loads(DECISION.to_payload()) | {"v": 1}
    del body["liveness"], body["factors"]
    body["signature"] = base64.b64encode(KEY.sign(rfc8785.dumps(body))).decode()
    with pytest.raises(MessageError, match=r"of version 1, .*the same version"):
        check(json.dumps(body).encode(), KEY.public_key())


def test_a_signed_object_that_is_no_decision_is_refused() -> None:
    body = {"v": 1, "kind": "status", "state": "online"}
    body["signature"] = base64.b64encode(KEY.sign(rfc8785.dumps(body))).decode()
    with pytest.raises(MessageError, match="not a valid Decision"):
        check(json.dumps(body).encode(), KEY.public_key())


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"null", b"{}", b'{"signature":1}', b'{"signature":"!"}', b"[" * 16_000],
)
def test_what_carries_no_signature_is_refused(payload: bytes) -> None:
    with pytest.raises(MessageError, match="not a signed decision"):
        check(payload, KEY.public_key())


def test_a_huge_payload_is_refused_unread() -> None:
    with pytest.raises(MessageError, match="bytes"):
        check(b" " * (MAX_PAYLOAD_BYTES + 1), KEY.public_key())


def test_a_key_pair_is_made_once_and_its_files_have_their_modes(tmp_path: Path) -> None:
    private, public = tmp_path / "signing.key", tmp_path / "signing.pub"
    create_signing_key(private, public)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(public.stat().st_mode) == 0o644
    assert check(sign(DECISION, load_signing_key(private)), load_public_key(public))
    before = private.read_bytes()
    with pytest.raises(ConfigError, match="a key already"):
        create_signing_key(private, public)
    assert private.read_bytes() == before
    private.unlink()
    with pytest.raises(ConfigError, match="a key already"):
        create_signing_key(private, public)
    assert not private.exists()


def test_fingerprints_tell_keys_apart() -> None:
    one, other = KEY.public_key(), Ed25519PrivateKey.generate().public_key()
    assert fingerprint(one) == fingerprint(one) != fingerprint(other)
    assert fingerprint(one).startswith("SHA256:")
    assert len(fingerprint(one)) == 50


def test_missing_or_wrong_keys_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"signing key is missing.*oneglance init"):
        load_signing_key(tmp_path / "none")
    with pytest.raises(ConfigError, match="public key is missing"):
        load_public_key(tmp_path / "none")
    junk = tmp_path / "junk"
    junk.write_text("junk")
    junk.chmod(0o600)
    wrong_kind = ec.generate_private_key(ec.SECP256R1())
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_bytes(
        wrong_kind.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    for file in (junk, wrong):
        with pytest.raises(ConfigError, match="not an Ed25519 private key"):
            load_signing_key(file)
        with pytest.raises(ConfigError, match="not an Ed25519 public key"):
            load_public_key(file)


def test_a_fifo_in_place_of_the_public_key_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "signing.pub"
    os.mkfifo(fifo)
    with pytest.raises(ConfigError, match="not a file"):
        load_public_key(fifo)
