"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from mosquitto_fixture import Mosquitto, find_binary
from programs import only_known_programs

from oneglance.broker import embedded_broker
from oneglance.cli.photos import photo_folder, photos_ready
from oneglance.config import MqttConfig
from oneglance.contract.signing import create_signing_key

# A busy machine is no failure: time belongs in benchmarks.
settings.register_profile("oneglance", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("oneglance")
sys.addaudithook(only_known_programs)

# Whose files take longest, each for up to a minute: begun last, they would leave other workers
# without work. pytest-xdist would begin with those that have the most tests (Makefile).
LONGEST_FIRST = ("test_wheel.py", "training", "converter", "daemon", "systemd", "kiosk_ui", "cli")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files and folders of LONGEST_FIRST in front, everything else as it was."""
    rank = {name: place for place, name in enumerate(LONGEST_FIRST)}

    def place(item: pytest.Item) -> int:
        folder = rank.get(item.path.parent.name, len(rank))
        return rank.get(item.path.name, folder)

    items.sort(key=place)


@pytest.fixture
def broker() -> Iterator[MqttConfig]:
    """A real MQTT 5 broker on the loopback address, fresh for this test."""
    with embedded_broker() as mqtt:
        yield mqtt


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running mosquitto as systemd/mosquitto configures it: TLS, passwords, ACL by role."""
    if find_binary("mosquitto") is None or find_binary("mosquitto_passwd") is None:
        pytest.skip("mosquitto is not installed; 'apt install mosquitto' brings it")
    server = Mosquitto(tmp_path / "mosquitto")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def key_files(tmp_path: Path) -> tuple[Path, Path]:
    """A fresh signing key: its private and its public file."""
    files = tmp_path / "signing.key", tmp_path / "signing.pub"
    create_signing_key(*files)
    return files


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder with the demo's real photographs (obama.jpg, obama2.jpg, biden.jpg, ...)."""
    if not photos_ready():
        if os.environ.get("CI"):
            pytest.fail("without the demo's photographs half of what matters goes untested")
        pytest.skip("the demo's photographs are not here; 'oneglance demo --fetch' gets them")
    return photo_folder()


@pytest.fixture(scope="session")
def small_photos(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, 480 px on the longer side: searched through five times faster."""
    import cv2

    folder = tmp_path_factory.mktemp("small")
    for file in photos.iterdir():
        image = cv2.imread(str(file))
        scale = 480 / max(image.shape[:2])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / file.name), small)
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The training data beside the checkout, where there is any."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no training data beside the checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], bool], str], None]:
    """`wait_until(condition, what)`: poll until true, fail after 60 s saying what did not come."""

    def wait(condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"after {timeout_s:g} s: {what}")
            time.sleep(0.01)

    return wait
