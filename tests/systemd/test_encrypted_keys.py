"""Keys that systemd encrypts: the commands of docs/gallery.md, run by the real systemd-creds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from oneglance.contract.signing import create_signing_key, load_signing_key
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.rekey import rekey
from oneglance.faces.gallery.vault import create_key, load_key
from oneglance.faces.gallery.witness import Witness

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "systemd" / "oneglance.service"
DROP_IN = ROOT / "systemd" / "encrypted-keys.conf"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LOADED = re.compile(r"^LoadCredential(Encrypted)?=(\S+?):(\S+)$", re.MULTILINE)


def documented(beginning: str) -> str:
    """The command of the page that begins so, up to the end of its line or its quotes."""
    text = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    command = re.search(rf"{re.escape(beginning)}[^`\n]*", text)
    assert command is not None
    return command[0]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Where systemd-creds finds a host key of this test's own; skips where it cannot have one."""
    if shutil.which("systemd-creds") is None:
        pytest.skip("systemd-creds is not installed")
    environment = {
        "PATH": os.environ["PATH"],
        "SYSTEMD_CREDENTIAL_SECRET": str(tmp_path / "credential.secret"),
        "SYSTEMD_LOG_LEVEL": "err",
    }
    setup = subprocess.run(
        ["systemd-creds", "setup"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if setup.returncode != 0 or not (tmp_path / "credential.secret").exists():
        pytest.skip(f"systemd-creds makes no host key here: {setup.stderr.strip()}")
    return environment


def shell(command: str, folder: Path, environment: dict[str, str]) -> None:
    # A machine of tests may have a TPM2 that is not ours to use.
    program = f'systemd-creds() {{ command systemd-creds --with-key=host "$@"; }}; {command}'
    subprocess.run(["bash", "-ec", program], cwd=folder, env=environment, check=True)


def test_the_documented_commands_give_the_service_its_keys_again(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    create_key(etc / "gallery.key")
    create_signing_key(etc / "signing.key", etc / "signing.pub")
    plain = {name: (etc / name).read_bytes() for name in ("gallery.key", "signing.key")}
    with Gallery.open(tmp_path / "gallery.db", load_key(etc / "gallery.key"), create=True) as made:
        made.enrol("Ada", np.eye(1, 192), "m", consent_at=NOON, source="photo")
    shell(documented("for key in"), etc, environment)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for encrypted, name, source in LOADED.findall(DROP_IN.read_text()):
        if not encrypted:
            continue
        file = etc / Path(source).name
        assert plain[name] not in file.read_bytes()
        # As the service manager does it.
        done = subprocess.run(
            ["systemd-creds", "decrypt", f"--name={name}", str(file), str(credentials / name)],
            env=environment,
            check=True,
        )
        assert done.returncode == 0
        (credentials / name).chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    load_signing_key(credentials / "signing.key")
    with Gallery.open(tmp_path / "gallery.db", load_key(credentials / "gallery.key")) as gallery:
        assert [person.person_id for person in gallery.list_people()] == ["ada"]


def test_a_changed_or_renamed_credential_is_not_decrypted(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    for name in ("gallery.key", "signing.key"):
        (tmp_path / name).write_bytes(b"k" * 32)
    shell(documented("for key in"), tmp_path, environment)
    (tmp_path / "signing.key.cred").write_bytes((tmp_path / "gallery.key.cred").read_bytes())
    for name in ("signing.key", "gallery.key"):
        if name == "gallery.key":
            changed = (tmp_path / "gallery.key.cred").read_bytes()[:-8] + b"AAAAAA=="
            (tmp_path / "gallery.key.cred").write_bytes(changed)
        done = subprocess.run(
            ["systemd-creds", "decrypt", f"--name={name}", f"{name}.cred", "out"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert done.returncode != 0
        assert not (tmp_path / "out").exists()


def test_a_new_key_is_made_and_encrypted_again(tmp_path: Path, environment: dict[str, str]) -> None:
    create_key(tmp_path / "gallery.key")
    (tmp_path / "signing.key").write_bytes(b"s" * 32)
    gallery = tmp_path / "gallery.db"
    Gallery.open(gallery, load_key(tmp_path / "gallery.key"), create=True).close()
    encrypt, decrypt = documented("for key in"), documented("systemd-creds decrypt")
    shell(encrypt, tmp_path, environment)
    (tmp_path / "gallery.key").unlink()
    shell(f"umask 077; {decrypt}", tmp_path, environment)
    rekey(gallery, tmp_path / "gallery.key", Witness(tmp_path / "generation"))
    key = (tmp_path / "gallery.key").read_bytes()
    shell(f"umask 077; {encrypt}; rm gallery.key; {decrypt}", tmp_path, environment)
    assert (tmp_path / "gallery.key").read_bytes() == key
    with Gallery.open(gallery, load_key(tmp_path / "gallery.key")) as again:
        assert again.list_people() == []


def test_the_drop_in_gives_all_that_the_unit_gives_and_the_keys_encrypted_only() -> None:
    unit = {name for _, name, _ in LOADED.findall(UNIT.read_text())}
    text = DROP_IN.read_text()
    given = {name: bool(encrypted) for encrypted, name, _ in LOADED.findall(text)}
    assert given.keys() == unit
    assert {name for name, encrypted in given.items() if encrypted} == {
        "signing.key",
        "gallery.key",
    }
    # The plain ones of the unit would come first else, and fail when they are gone.
    assert text.index("\nLoadCredential=\n") < text.index("LoadCredentialEncrypted=")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_drop_in(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/oneglance/venv/bin/oneglance", "/bin/true"))
    folder = tmp_path / f"{UNIT.name}.d"
    folder.mkdir()
    for extra, complaint in (("", ""), ("Nonsense=1\n", "Nonsense")):
        (folder / DROP_IN.name).write_text(DROP_IN.read_text() + extra)
        verify = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(unit)],
            capture_output=True,
            text=True,
            check=True,
        )
        said = verify.stdout + verify.stderr
        assert complaint in said
        assert bool(said) == bool(complaint)
