"""Sealed pictures: only the screen that asked reads them, each once, and only the daemon's own."""

from __future__ import annotations

import base64
import dataclasses
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from oneglance.contract.messages import FaceBox
from oneglance.contract.preview import (
    MAX_FRAME_BYTES,
    MAX_JPEG_BYTES,
    Picture,
    PreviewReceiver,
    PreviewSender,
    half_of,
)
from oneglance.contract.topics import Topics
from oneglance.errors import MessageError

TOPICS = Topics("home", "front")
SIGNING = Ed25519PrivateKey.generate()
KEYS = (Ed25519PrivateKey.generate().public_key(), SIGNING.public_key())
JPEG = b"\xff\xd8 a face \xff\xd9"
FACE = FaceBox(x=0.25, y=0.125, width=0.5, height=0.75)


def lease(
    topics: Topics = TOPICS, signing: Ed25519PrivateKey = SIGNING
) -> tuple[PreviewSender, PreviewReceiver]:
    receiver = PreviewReceiver(TOPICS)
    return PreviewSender(topics, signing, half_of(receiver.half)), receiver


def picture(at_ms: int = 0, jpeg: bytes = JPEG, face: FaceBox | None = None) -> Picture:
    return Picture(at_ms, face, jpeg)


def test_what_was_sealed_is_opened_with_face_and_time() -> None:
    sender, receiver = lease()
    for sent in (picture(5, face=FACE), picture(2**40, b"")):
        opened = receiver.open(sender.seal(sent), KEYS)
        assert opened is not None
        assert (opened.captured_ms, opened.jpeg) == (sent.captured_ms, sent.jpeg)
        if sent.face is None:
            assert opened.face is None
        else:
            assert opened.face is not None
            for side, value in sent.face.model_dump().items():
                assert getattr(opened.face, side) == pytest.approx(value, abs=1e-4)


def test_the_largest_picture_fits_and_a_longer_payload_is_refused_unopened() -> None:
    sender, receiver = lease()
    payload = sender.seal(picture(jpeg=bytes(MAX_JPEG_BYTES)))
    assert len(payload) == MAX_FRAME_BYTES
    assert receiver.open(payload, KEYS) is not None
    with pytest.raises(MessageError, match="20001 bytes"):
        receiver.open(sender.seal(picture(jpeg=bytes(MAX_JPEG_BYTES + 1))), KEYS)


def test_nothing_of_a_picture_is_to_be_read_on_its_way() -> None:
    sender, _ = lease()
    one, other = sender.seal(picture(face=FACE)), sender.seal(picture(face=FACE))
    assert JPEG not in one
    assert one[116:] != other[116:]


def test_another_screens_lease_opens_nothing_and_says_nothing() -> None:
    sender, _ = lease()
    _, other = lease()
    assert other.open(sender.seal(picture()), KEYS) is None


def test_a_frame_is_shown_once_and_never_after_a_later_one() -> None:
    sender, receiver = lease()
    first, second = sender.seal(picture(1)), sender.seal(picture(2))
    assert receiver.open(second, KEYS) is not None
    for old in (first, second):
        with pytest.raises(MessageError, match="came before"):
            receiver.open(old, KEYS)


@pytest.mark.parametrize(
    ("topics", "signing"),
    [
        (TOPICS, Ed25519PrivateKey.generate()),
        (Topics("home", "back"), SIGNING),
        (Topics("away", "front"), SIGNING),
    ],
    ids=["another key", "another door", "another site"],
)
def test_only_this_doors_daemon_is_believed(topics: Topics, signing: Ed25519PrivateKey) -> None:
    sender, receiver = lease(topics, signing)
    with pytest.raises(MessageError, match="did not sign"):
        receiver.open(sender.seal(picture()), KEYS)
    # Nor was the lease taken from the true one by that.
    true = PreviewSender(TOPICS, SIGNING, half_of(receiver.half))
    assert receiver.open(true.seal(picture()), KEYS) is not None


def test_a_daemon_that_began_anew_cannot_have_old_frames_shown_again() -> None:
    before, receiver = lease()
    assert receiver.open(before.seal(picture()), KEYS) is not None
    after = PreviewSender(TOPICS, SIGNING, half_of(receiver.half))
    with pytest.raises(MessageError, match="another key"):
        receiver.open(after.seal(picture()), KEYS)
    assert receiver.open(before.seal(picture()), KEYS) is not None


@given(st.data())
def test_a_changed_frame_is_refused_wherever_it_was_changed(data: st.DataObject) -> None:
    sender, receiver = lease()
    whole = sender.seal(picture(face=FACE))
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for payload in (bytes(changed), cut, data.draw(st.binary(max_size=400))):
        with suppress(MessageError):
            assert receiver.open(payload, KEYS) is None
    assert receiver.open(whole, KEYS) is not None


@pytest.mark.parametrize("text", ["", "AAAA", "!", base64.b64encode(bytes(33)).decode(), "é"])
def test_what_is_no_half_of_a_key_is_refused(text: str) -> None:
    with pytest.raises(MessageError, match="X25519"):
        half_of(text)


def test_a_key_that_shares_nothing_is_refused() -> None:
    with pytest.raises(MessageError, match="nothing can be shared"):
        PreviewSender(TOPICS, SIGNING, bytes(32))


def test_no_picture_stands_in_a_log_by_its_repr() -> None:
    assert "face" not in repr(dataclasses.replace(picture(), jpeg=b"a face")).replace("face=", "")
