"""The units: sound for systemd, tight, and not so tight that the program cannot work."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from wire_samples import TOPICS

from oneglance.cli.main import COMMANDS
from oneglance.config import MqttConfig
from oneglance.link import Arrival, Link

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
SANDBOX = Path(__file__).with_name("sandbox.py")
UNITS = sorted(SYSTEMD.glob("*.service"))

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def has_seccomp() -> bool:
    import ctypes

    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return False
    return True


needs_seccomp = pytest.mark.skipif(not has_seccomp(), reason="libseccomp is not installed")


def settings(unit: Path) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return values


@needs_systemd
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    for unit in UNITS:
        # The programs need not be installed where the tests run.
        text = re.sub(
            r"/opt/oneglance/venv/bin/oneglance|/usr/bin/cage", "/bin/true", unit.read_text()
        )
        (tmp_path / unit.name).write_text(text)
    verify = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.glob("*.service")))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert verify.returncode == 0
    assert verify.stdout + verify.stderr == ""


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_exposure_stays_low(unit: Path) -> None:
    """systemd's own score, 0 (shut) to 100 (open)."""
    scored = subprocess.run(
        [
            *("systemd-analyze", "security", "--no-pager", "--offline=yes"),
            *("--threshold=20", str(unit)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert scored.returncode == 0, scored.stdout[-300:]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_unit_is_watched_restarted_and_unprivileged(unit: Path) -> None:
    values = settings(unit)
    assert values["Type"] == ["notify"]
    assert int(values["WatchdogSec"][0]) <= 20
    # A recording ends with 0: a door goes on with it from its beginning.
    assert values["Restart"] == ["always"]
    assert values["RestartPreventExitStatus"] == ["78"]
    assert values["User"] == [unit.stem]
    assert values["NoNewPrivileges"] == ["yes"]
    assert values["ProtectSystem"] == ["strict"]
    assert values["CapabilityBoundingSet"] == [""]
    assert values["SystemCallFilter"][0] == "@system-service"
    # Each holds a key or pictures in memory, which a crash must not put on the disk.
    assert values["LimitCORE"] == ["0"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_unit_calls_a_command_that_exists(unit: Path) -> None:
    (command,) = settings(unit)["ExecStart"]
    match = re.search(r"/bin/oneglance (\w+) --config (\S+)$", command)
    assert match is not None
    assert match[1] in COMMANDS


def test_only_the_daemon_gets_the_private_keys() -> None:
    credentials = {
        unit.stem: {value.split(":")[0] for value in settings(unit)["LoadCredential"]}
        for unit in UNITS
    }
    assert credentials == {
        "oneglance": {"signing.key", "gallery.key", "daemon.password", "sharing.key"},
        "oneglance-door": {"lock.password"},
        # Its own key, with which nothing is opened.
        "oneglance-kiosk": {"kiosk.password", "kiosk.key"},
        "oneglance-reader": {"reader.password", "reader.key"},
        "oneglance-assistant": {"assistant.password", "assistant.key"},
    }


def test_sysusers_and_units_name_the_same_users(tmp_path: Path) -> None:
    lines = (SYSTEMD / "sysusers.conf").read_text().splitlines()
    users = {line.split()[1] for line in lines if line.startswith("u ")}
    assert users == {unit.stem for unit in UNITS}


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="no systemd-sysusers")
def test_sysusers_accepts_the_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    done = subprocess.run(
        [
            *("systemd-sysusers", "--dry-run", f"--root={tmp_path}", "--inline"),
            *[
                line
                for line in (SYSTEMD / "sysusers.conf").read_text().splitlines()
                if line and not line.startswith("#")
            ],
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for unit in UNITS:
        assert f"'{unit.stem}'" in done.stdout + done.stderr


def sandboxed(unit: str, *command: str) -> list[str]:
    return [sys.executable, str(SANDBOX), str(SYSTEMD / unit), sys.executable, *command]


@needs_systemd
@needs_seccomp
@pytest.mark.parametrize(
    ("attempt", "harmless"),
    [
        ("import mmap; mmap.mmap(-1, 4096, prot=7)", "import mmap; mmap.mmap(-1, 4096, prot=3)"),
        ("import os; os.chown('.', 0, 0)", "import os; os.stat('.')"),
        (
            "import ctypes, os; c = ctypes.CDLL(None, use_errno=True); "
            "c.mount(b'a', b'/', b'b', 0, 0); os._exit(ctypes.get_errno() == 1)",
            "import ctypes, os; c = ctypes.CDLL(None); c.getpid(); os._exit(0)",
        ),
    ],
    ids=["writable code", "chown", "mount"],
)
def test_the_sandbox_of_these_tests_does_forbid(attempt: str, harmless: str) -> None:
    for code, expected in ((attempt, 1), (harmless, 0)):
        done = subprocess.run(
            sandboxed("oneglance.service", "-c", code),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == expected, done.stderr


@needs_systemd
@needs_seccomp
def test_the_daemon_works_under_its_units_rules(tmp_path: Path) -> None:
    """Haar, XNNPACK and all: frames go in, counts come out."""
    import cv2

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    random = np.random.default_rng(1)
    for n in range(5):
        pixels = random.integers(0, 255, (240, 320, 3), np.uint8)
        cv2.imwrite(str(pictures / f"{n}.png"), pixels)
    probe = (
        "import numpy as np\n"
        "from oneglance.faces.model.face_model import load_model\n"
        "model = load_model()\n"
        "print(model.encode(np.zeros((1, 112, 112, 3), np.uint8)).shape)\n"
    )
    for command in (
        ["-c", probe],
        [
            *("-m", "oneglance.cli.start", "run", "--no-mqtt"),
            *("--source", str(pictures), "--pace", "every"),
        ],
    ):
        done = subprocess.run(
            sandboxed("oneglance.service", *command),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr


@needs_systemd
@needs_seccomp
def test_the_lock_works_under_its_units_rules(
    broker: MqttConfig,
    key_files: tuple[Path, Path],
    tmp_path: Path,
    wait_until: Callable[..., None],
) -> None:
    config = tmp_path / "door.toml"
    config.write_text(
        f'[mqtt]\nport = {broker.port}\n[door]\npublic_key_file = "signing.pub"\n'
        'state_file = "state/sequence"\npin_factory = "mock"\n'
    )
    heard: list[Arrival] = []
    ear = Link(broker, "ear", subscriptions=((TOPICS.door_state, 1),), on_message=heard.append)
    ear.start()
    assert ear.wait_connected(60)
    process = subprocess.Popen(
        sandboxed("oneglance-door.service", "-m", "oneglance.cli.start", "door", "-c", str(config)),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(heard) > 0 or process.poll() is not None, "the lock speaks")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    ear.stop()
    assert process.returncode == 0, errors
    assert b'"locked"' in heard[0].payload
    assert (tmp_path / "state" / "sequence").read_text() == "0\n"
