"""`oneglance kiosk set-pin`: the way in at a new screen, and the way back when it is forgotten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oneglance.cli.kiosk import app
from oneglance.contract.signing import create_signing_key, load_signing_key
from oneglance.errors import ConfigError
from oneglance.kiosk_ui.admin_attempts import FREE, AdminAttempts
from oneglance.kiosk_ui.admin_secret import opened, read

FORGOTTEN, NEW = "27182818", "16180339"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The screen's machine, with keys that the daemon's machine made."""
    for name in ("hall-admin", "hall-admin-2"):
        create_signing_key(tmp_path / f"{name}.key", tmp_path / f"{name}.pub")
    (tmp_path / "admin.password").write_text("a password\n")
    (tmp_path / "admin.password").chmod(0o600)
    (tmp_path / "state").mkdir()
    if os.geteuid() == 0:
        os.chown(tmp_path / "state", 12345, 12345)
    (tmp_path / "kiosk.toml").write_text('[kiosk]\nadmin_file = "state/admin"\n')
    return tmp_path


def set_pin(machine: Path, key: str, *typed: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        app,
        [
            *("set-pin", "--config", str(machine / "kiosk.toml")),
            *("--key", str(machine / key), "--user", "oneglance-admin"),
            *("--password-file", str(machine / "admin.password")),
        ],
        input="".join(f"{line}\n" for line in typed),
    )
    if isinstance(result.exception, ConfigError):
        return 1, str(result.exception)
    return result.exit_code, result.output


def test_a_forgotten_pin_is_replaced_at_the_machine_with_a_new_key(machine: Path) -> None:
    file = machine / "state" / "admin"
    assert set_pin(machine, "hall-admin.key", FORGOTTEN, FORGOTTEN)[0] == 0
    for now_s in range(FREE + 2):
        AdminAttempts(file.with_name("admin.attempts"), 0.0).begin(float(now_s))
    at_screen = AdminAttempts(file.with_name("admin.attempts"), 0.0)
    assert at_screen.wait_s(1.0) > 0
    code, said = set_pin(machine, "hall-admin-2.key", NEW, NEW)
    assert code == 0
    assert "Delete" in said
    assert NEW not in said
    # The screen runs on: its next try is free, with the new PIN alone, as the new administrator.
    at_screen.refresh(1.0)
    assert at_screen.wait_s(1.0) == 0
    assert opened(read(file), FORGOTTEN) is None
    found = opened(read(file), NEW)
    assert found is not None
    assert (found.key_id, found.user, found.password) == (
        "hall-admin-2",
        "oneglance-admin",
        "a password",
    )
    made = load_signing_key(machine / "hall-admin-2.key")
    assert found.key.private_bytes_raw() == made.private_bytes_raw()
    # Root made it for the screen, whose folder it is.
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_uid == file.parent.stat().st_uid


def test_what_is_no_pin_or_has_no_place_leaves_everything_as_it_was(machine: Path) -> None:
    file = machine / "state" / "admin"
    assert set_pin(machine, "hall-admin.key", FORGOTTEN, FORGOTTEN)[0] == 0
    before = file.read_bytes()
    code, said = set_pin(machine, "hall-admin-2.key", "12345678", "12345678")
    assert code == 1
    assert "8 to 12 digits" in said
    assert set_pin(machine, "gone.key", NEW, NEW)[0] == 1
    assert file.read_bytes() == before
    (machine / "kiosk.toml").write_text("[kiosk]\n")
    code, said = set_pin(machine, "hall-admin.key", NEW, NEW)
    assert code == 1
    assert "kiosk.admin_file" in said
