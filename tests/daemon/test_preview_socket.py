"""The live picture past the broker: real sockets, the screen's real end."""

from __future__ import annotations

import hashlib
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from command_samples import KEYS
from wire_samples import TOPICS

from oneglance.clocks import Clocks
from oneglance.config import PreviewConfig
from oneglance.contract.keyring import Role
from oneglance.contract.preview import HALF_BYTES, MAX_FRAME_BYTES, PreviewReceiver, half_of
from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.visit.report import StepReport
from oneglance.daemon.voice.preview import Preview
from oneglance.daemon.voice.preview_socket import PreviewSocket, users_of
from oneglance.daemon.voice.verbs import Sender
from oneglance.errors import ConfigError
from oneglance.kiosk_ui.preview_socket import LocalPictures

Wait = Callable[..., None]
SIGNING = KEYS[Role.DAEMON]
HALF = bytes(range(HALF_BYTES))


class House:
    """A daemon's preview with a socket, and what it gave to the broker."""

    def __init__(self, path: Path, users: set[int], **options: float) -> None:
        self.now_s = 100.0
        self.by_broker: list[bytes] = []
        self.clear = True
        self.socket = PreviewSocket(path, users, **options)
        self.preview = Preview(
            *(PreviewConfig(), TOPICS, SIGNING),
            send=lambda _topic, payload: self.by_broker.append(payload) is None,
            clear=lambda: self.clear,
            clocks=Clocks(lambda: pytest.fail("no wall clock is needed"), lambda: self.now_s),
            local=self.socket,
        )
        self.preview.start()

    def broker_had(self, screen: PreviewReceiver) -> int:
        """How many frames of this lease."""
        lease = hashlib.sha256(half_of(screen.half)).digest()[:8]
        return sum(payload[4:12] == lease for payload in self.by_broker)

    def looks(self) -> None:
        self.now_s += 1.0
        frame = Frame(np.full((48, 64, 3), 90, np.uint8), self.now_s, 0.0, 0, "one")
        self.preview.offer([StepReport(frame, ())])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "preview"


@pytest.fixture
def house(path: Path) -> Iterator[House]:
    house = House(path, users_of("nobody-of-this-name"))
    yield house
    house.preview.stop()


def asks(house: House, screen: LocalPictures, receiver: PreviewReceiver, wait_until: Wait) -> None:
    """As the screen does: here first, then by the signed command."""
    screen.ask(receiver.half)
    wait_until(lambda: half_of(receiver.half) in house.socket.halves, "the daemon heard no half")
    house.preview.verb.run({"key": receiver.half}, Sender("kiosk", Role.KIOSK))


def test_a_screen_on_this_machine_gets_the_same_sealed_frames_and_the_broker_none(
    house: House, path: Path, wait_until: Wait
) -> None:
    screen, receiver = LocalPictures(path), PreviewReceiver(TOPICS)
    asks(house, screen, receiver, wait_until)
    # A broker that is behind holds up nobody here.
    house.clear = False
    house.looks()

    def came(receiver: PreviewReceiver) -> bool:
        # What is left of an earlier lease may come first, and does not open.
        frame = screen.newest()
        return frame is not None and receiver.open(frame, [SIGNING.public_key()]) is not None

    wait_until(lambda: came(receiver), "no frame came")
    # Another screen of the house has the broker.
    house.clear = True
    other = PreviewReceiver(TOPICS)
    house.preview.verb.run({"key": other.half}, Sender("yard", Role.KIOSK))
    house.looks()
    wait_until(lambda: house.broker_had(other) == 1, "the other screen got none")
    # A screen that begins anew wants nothing of the lease before.
    anew = PreviewReceiver(TOPICS)
    asks(house, screen, anew, wait_until)
    house.looks()
    wait_until(lambda: came(anew), "no frame came under the new lease")
    # A screen that leaves the socket goes on over the broker.
    screen.close()
    wait_until(lambda: half_of(anew.half) not in house.socket.halves, "the daemon did not notice")
    house.looks()
    wait_until(lambda: house.broker_had(anew) == 1, "it did not fall back")
    assert house.broker_had(receiver) == 0


def test_without_a_daemon_there_the_screen_has_the_broker_and_tries_again(
    path: Path, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    screen, receiver = LocalPictures(path), PreviewReceiver(TOPICS)
    screen.ask(receiver.half)
    assert screen.newest() is None
    for _ in range(2):
        # A daemon that was started anew.
        house = House(path, users_of("nobody-of-this-name"))
        asks(house, screen, receiver, wait_until)
        house.preview.stop()
        assert not path.exists()
    screen.ask(receiver.half)
    (line,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "the live picture comes over the broker" in line


def test_without_descriptors_the_socket_rests_says_so_once_and_takes_screens_later(
    path: Path, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(path, users_of("nobody-of-this-name"), rest_s=0.2)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as screen:
        # Every number below three is taken: nothing can be opened.
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            begun_s = time.monotonic()
            screen.connect(str(path))
            wait_until(lambda: house.socket.accepts >= 4, "it does not try again")
            assert time.monotonic() - begun_s >= 0.5, "it tries without end"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        screen.send(HALF)
        wait_until(lambda: HALF in house.socket.halves, "the screen was never taken")
    house.preview.stop()
    (line,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "no screen can connect now" in line


def test_another_user_is_sent_away_with_one_line(
    path: Path, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(path, {os.getuid() + 1})
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
            stranger.connect(str(path))
            stranger.settimeout(20)
            assert stranger.recv(1) == b""
    house.preview.stop()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "preview.socket_user names another" in line
    assert not house.socket.halves


def test_a_screen_that_does_not_read_holds_up_nobody(
    house: House, path: Path, wait_until: Wait
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as screen:
        screen.connect(str(path))
        screen.send(HALF)
        wait_until(lambda: HALF in house.socket.halves, "the daemon heard no half")
        assert all(house.socket.send(HALF, bytes(MAX_FRAME_BYTES)) for _ in range(100))
        screen.send(HALF + b"more")
        wait_until(lambda: not house.socket.halves, "what is no half was not refused")
    assert not house.socket.send(HALF, b"frame")


def test_only_a_socket_makes_way_for_a_socket(path: Path) -> None:
    path.write_text("somebody's notes")
    with pytest.raises(ConfigError, match=r"preview\.socket .*preview"):
        PreviewSocket(path, set())
    assert path.read_text() == "somebody's notes"
    with pytest.raises(ConfigError, match=r"preview\.socket"):
        PreviewSocket(path.parent / "missing" / "preview", set())
