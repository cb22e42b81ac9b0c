"""Where a secret may lie, and what is refused instead of read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oneglance.errors import ConfigError, GalleryError
from oneglance.secret_file import MAX_BYTES, read_secret


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("word")
    file.chmod(0o600)
    return file


def test_a_private_file_is_read_whole(secret: Path) -> None:
    assert read_secret(secret, "secret", "") == b"word"
    secret.write_bytes(b"x" * MAX_BYTES)
    assert read_secret(secret, "secret", "") == b"x" * MAX_BYTES


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_secret_that_others_can_reach_is_refused(secret: Path, mode: int) -> None:
    secret.chmod(mode)
    with pytest.raises(ConfigError, match=f"can be read by others .mode {mode:04o}") as caught:
        read_secret(secret, "secret", "")
    assert caught.value.fix == f"run: chmod 600 {secret}"
    assert "word" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o400, 0o440])
def test_a_credential_is_taken_with_the_mode_systemd_chose(
    secret: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    secret.chmod(mode)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(secret.parent))
    assert read_secret(secret, "secret", "") == b"word"


def test_outside_the_credentials_folder_the_mode_still_counts(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(secret.parent / "credentials"))
    secret.chmod(0o440)
    with pytest.raises(ConfigError, match="mode 0440"):
        read_secret(secret, "secret", "")


def test_what_is_no_file_is_refused_without_hanging(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(ConfigError, match="not a regular file"):
            read_secret(path, "secret", "")


def test_what_is_missing_or_huge_is_said_with_the_way_out(tmp_path: Path, secret: Path) -> None:
    with pytest.raises(ConfigError, match=r"the secret is missing\. make one"):
        read_secret(tmp_path / "none", "secret", "make one")
    secret.write_bytes(b"x" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match=r"too large to be the secret\. make one"):
        read_secret(secret, "secret", "make one")


def test_a_path_through_a_file_is_one_clear_error(secret: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the secret: Not a directory"):
        read_secret(secret / "key", "secret", "")


def test_each_caller_gets_its_own_kind_of_error(tmp_path: Path) -> None:
    with pytest.raises(GalleryError):
        read_secret(tmp_path / "none", "secret", "", GalleryError)
