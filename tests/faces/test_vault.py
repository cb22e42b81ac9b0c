"""The template key: where it may lie, and what it seals."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.errors import GalleryError
from oneglance.faces.gallery.vault import KEY_BYTES, TemplateKey, create_key, load_key

SEALS = TemplateKey(bytes(range(KEY_BYTES)))


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@given(plaintext=st.binary(max_size=4096), context=st.binary(max_size=200))
def test_what_was_sealed_opens_again_under_the_same_context(
    plaintext: bytes, context: bytes
) -> None:
    blob = SEALS.seal(plaintext, context)
    assert SEALS.open(blob, context) == plaintext
    assert len(blob) == len(plaintext) + 28


@given(plaintext=st.binary(min_size=1), at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(plaintext: bytes, at: int, bit: int) -> None:
    blob = bytearray(SEALS.seal(plaintext, b"row 1"))
    blob[at % len(blob)] ^= 1 << bit
    with pytest.raises(GalleryError, match="changed"):
        SEALS.open(bytes(blob), b"row 1")


@given(st.integers(0, 60))
def test_a_shortened_blob_is_noticed(length: int) -> None:
    blob = SEALS.seal(b"x" * 33, b"")
    with pytest.raises(GalleryError):
        SEALS.open(blob[:length], b"")


def test_a_blob_opens_under_no_other_context_and_no_other_key() -> None:
    blob = SEALS.seal(b"template", b"ada")
    with pytest.raises(GalleryError):
        SEALS.open(blob, b"bob")
    with pytest.raises(GalleryError):
        TemplateKey(b"\xff" * KEY_BYTES).open(blob, b"ada")


def test_the_same_plaintext_is_never_sealed_alike() -> None:
    assert SEALS.seal(b"same", b"") != SEALS.seal(b"same", b"")


def test_a_new_key_file_is_private_and_loads(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "gallery.key"
    create_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert len(path.read_bytes()) == KEY_BYTES
    assert load_key(path).open(load_key(path).seal(b"a", b"b"), b"b") == b"a"


def test_a_new_key_file_is_private_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_key(tmp_path / "open.key")
        os.umask(0o777)
        create_key(tmp_path / "shut.key")
    finally:
        os.umask(before)
    for name in ("open.key", "shut.key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_an_old_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "gallery.key"
    create_key(path)
    before = path.read_bytes()
    with pytest.raises(GalleryError, match="already") as caught:
        create_key(path)
    assert path.read_bytes() == before
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused_with_the_way_out(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "gallery.key"
    create_key(path)
    path.chmod(mode)
    with pytest.raises(GalleryError, match=f"mode {mode:04o}") as caught:
        load_key(path)
    assert caught.value.fix == f"run: chmod 600 {path}"


@pytest.mark.parametrize("size", [0, 16, 31, 33, 5000])
def test_a_key_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "gallery.key"
    path.write_bytes(b"k" * size)
    path.chmod(0o600)
    with pytest.raises(GalleryError, match=f"{size} bytes instead of 32"):
        load_key(path)


def test_a_missing_key_is_said_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="missing") as caught:
        load_key(tmp_path / "gallery.key")
    assert "oneglance init" in caught.value.fix


def test_what_is_no_file_is_refused_without_hanging(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path in (tmp_path / "fifo", tmp_path):
        with pytest.raises(GalleryError, match="not a regular file"):
            load_key(path)


def test_a_systemd_credential_is_taken_with_the_mode_that_systemd_gave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gallery.key"
    create_key(path)
    blob = load_key(path).seal(b"a", b"b")
    path.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_key(path).open(blob, b"b") == b"a"


def test_outside_the_credentials_folder_the_mode_still_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    create_key(tmp_path / "gallery.key")
    (tmp_path / "gallery.key").chmod(0o440)
    with pytest.raises(GalleryError, match="mode 0440"):
        load_key(tmp_path / "gallery.key")


def test_the_key_never_shows_itself(tmp_path: Path) -> None:
    secret = bytes(range(100, 132))
    key = TemplateKey(secret)
    assert repr(key) == str(key) == "TemplateKey(hidden)"
    with pytest.raises(TypeError):
        pickle.dumps(key)
    path = tmp_path / "gallery.key"
    path.write_bytes(secret + b"!")
    path.chmod(0o600)
    with pytest.raises(GalleryError) as caught:
        load_key(path)
    assert "defg" not in str(caught.value)
