"""What the daemon's tests share: a made-up house, small films of real photographs, fake cameras."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from people_on_stage import face_of, portrait_of

from oneglance.broker import free_port
from oneglance.config import (
    CameraConfig,
    Config,
    DecisionConfig,
    GalleryConfig,
    LivenessConfig,
    MqttConfig,
    SigningConfig,
    SiteConfig,
)
from oneglance.contract.messages import Status, parse
from oneglance.contract.topics import Topics
from oneglance.errors import CameraError
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import create_key, load_key
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.link import Arrival, Link

FILM_FPS = 10.0
FILM_SIZE = (640, 480)


@pytest.fixture(scope="session")
def model() -> FaceModel:
    """The shipped model."""
    return load_model()


@pytest.fixture
def gallery_file(tmp_path: Path, model: FaceModel) -> GalleryConfig:
    """An empty gallery and its key."""
    config = GalleryConfig(path=tmp_path / "gallery.db", key_file=tmp_path / "gallery.key")
    create_key(config.key_file)
    with Gallery.open(config.path, load_key(config.key_file), create=True):
        pass
    return config


@pytest.fixture
def enrol(gallery_file: GalleryConfig, model: FaceModel) -> Callable[..., None]:
    """`enrol(name, templates=... | photo=..., expires_at=...)` into the gallery."""

    def enrol(
        name: str,
        *,
        photo: Path | None = None,
        templates: NDArray[np.float32] | None = None,
        model_id: str = model.model_id,
        expires_at: datetime | None = None,
        groups: tuple[str, ...] = (),
    ) -> None:
        if photo is not None:
            templates = face_of(photo).template[np.newaxis]
        assert templates is not None
        with Gallery.open(gallery_file.path, load_key(gallery_file.key_file)) as gallery:
            gallery.enrol(
                name,
                templates,
                model_id,
                consent_at=datetime(2026, 1, 1, tzinfo=UTC),
                expires_at=expires_at,
                source="test",
                groups=groups,
            )

    return enrol


@pytest.fixture
def house(
    tmp_path: Path, gallery_file: GalleryConfig, key_files: tuple[Path, Path]
) -> Callable[..., Config]:
    """`house(source, ...)`: a whole configuration with real keys and gallery."""

    def house(
        *sources: Path | str,
        mqtt: MqttConfig | None = None,
        pace: str = "every",
        **sections: object,
    ) -> Config:
        cameras = tuple(
            CameraConfig.model_validate({"name": f"cam{i}", "source": str(s), "pace": pace})
            for i, s in enumerate(sources)
        )
        values: dict[str, object] = {
            "site": SiteConfig(name="test", door="front"),
            "mqtt": mqtt or MqttConfig(port=1),
            "signing": SigningConfig(key_file=key_files[0], sequence_file=tmp_path / "sequence"),
            "gallery": gallery_file,
            "camera": cameras,
            "decision": DecisionConfig(patience_s=1.0),
            # Photographs on a stage do not live; tests/daemon/test_alive*.py are about that.
            "liveness": LivenessConfig(policy="off"),
        }
        return Config(**(values | sections))  # type: ignore[arg-type]

    return house


@pytest.fixture
def walk_up(tmp_path: Path, photos: Path) -> Callable[..., Path]:
    """`walk_up("obama2.jpg", ...)`: a film in which each person in turn comes close and leaves."""

    def walk_up(*people: str, frames: int = 24, name: str = "walk.avi") -> Path:
        film = tmp_path / name
        pictures = [picture for who in people for picture in approach(photos / who, frames)]
        write_film(film, pictures)
        return film

    return walk_up


def approach(photo: Path, frames: int) -> list[NDArray[np.uint8]]:
    """One person's visit: an empty hall, the face growing, standing, and the empty hall again."""
    cut = portrait_of(photo, 1.9)
    empty = np.full((FILM_SIZE[1], FILM_SIZE[0], 3), 96, np.uint8)
    pictures = []
    for i in range(frames):
        side = int(160 + 160 * min(1.0, i / (0.6 * frames)))
        person = cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA)
        picture = empty.copy()
        left = (FILM_SIZE[0] - side) // 2 + 2 * (i % 3)
        top = (FILM_SIZE[1] - side) // 2
        picture[top : top + side, left : left + side] = person
        pictures.append(picture)
    return [empty] * 3 + pictures + [empty] * int(1.8 * FILM_FPS)


def write_film(file: Path, pictures: list[NDArray[np.uint8]], fps: float = FILM_FPS) -> None:
    """Motion JPEG in AVI: every frame whole, readable wherever it is cut off."""
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), fps, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture)
    writer.release()


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., Path]:
    """`film(frames)`: a small video of noise without faces."""

    def film(frames: int = 12, name: str = "noise.avi") -> Path:
        rng = np.random.default_rng(7)
        pictures = [rng.integers(0, 255, (120, 160, 3), dtype=np.uint8) for _ in range(frames)]
        write_film(tmp_path / name, pictures)
        return tmp_path / name

    return film


class FakeCamera:
    """A camera that gives blank pictures until told to die or to hang. Stands in for hardware."""

    fps: float | None = None

    def __init__(self) -> None:
        self.dead = False
        self.closed = False
        self.reads = 0
        self._hang = threading.Event()
        self._hang.set()

    def hang(self) -> None:
        """From the next read on, block like a driver that lost its device."""
        self._hang.clear()

    def let_go(self) -> None:
        """End the blocking."""
        self._hang.set()

    def read(self) -> NDArray[np.uint8] | None:
        """An empty picture, 100 a second, with a little noise: no two in a row are the same."""
        self._hang.wait()
        threading.Event().wait(0.01)
        self.reads += 1
        if self.dead:
            raise CameraError("unplugged", where="fake")
        return np.full((48, 64, 3), self.reads % 2, np.uint8)

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


@pytest.fixture
def fake_camera() -> type[FakeCamera]:
    """The class FakeCamera."""
    return FakeCamera


class MjpegServer:
    """A network camera: one JPEG after another over HTTP, until it is switched off.

    `show` changes the picture, `jpegs` are the files that it sends in turn, `period_s` its pace,
    `length_off` by how much it declares a wrong length. `now.set()` sends the next one at once.
    """

    def __init__(self) -> None:
        self.show(np.full((120, 160, 3), 90, np.uint8))
        self.period_s = 0.03
        self.length_off = 0
        self.now = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._on = threading.Event()
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where to watch it."""
        return f"http://127.0.0.1:{self.port}/door.mjpeg"

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Send this picture from now on, a grey level brighter every other time: a live one."""
        brighter = np.minimum(picture, 254) + np.uint8(1)
        self.jpegs = [cv2.imencode(".jpg", p)[1].tobytes() for p in (picture, brighter)]

    def start(self) -> None:
        """Switch it on."""
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=f")
                self.end_headers()
                head = b"--f\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                with suppress(OSError):
                    for number in itertools.count():
                        if not camera._on.is_set():
                            break
                        jpegs = camera.jpegs
                        jpeg = jpegs[number % len(jpegs)]
                        length = len(jpeg) + camera.length_off
                        self.wfile.write(head % length + jpeg + b"\r\n")
                        camera.now.wait(camera.period_s)
                        camera.now.clear()

        self._on.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Switch it off, in the middle of whatever it sends."""
        self._on.clear()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.fixture
def network_camera() -> Iterator[MjpegServer]:
    """A network camera that is on."""
    camera = MjpegServer()
    camera.start()
    yield camera
    camera.stop()


class Listener:
    """Somebody who hears everything about the door, and may send commands."""

    def __init__(self, mqtt: MqttConfig, topics: Topics, name: str) -> None:
        self.heard: list[Arrival] = []
        self.topics = topics
        self.link = Link(
            mqtt,
            name,
            subscriptions=((topics.everything, 1),),
            on_message=self.heard.append,
        )
        self.link.start()
        assert self.link.wait_connected(60)

    def on(self, topic: str) -> list[Arrival]:
        """What was heard on one topic, in its order."""
        return [arrival for arrival in list(self.heard) if arrival.topic == topic]

    def states(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each status heard: state and reasons."""
        found = [parse(a.payload, Status) for a in self.on(self.topics.status)]
        return [(status.state.value, status.reasons) for status in found]


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    """`listen(mqtt, name)`: a Listener at test/front, hung up at the end."""
    listeners: list[Listener] = []

    def listen(mqtt: MqttConfig, name: str = "listener") -> Listener:
        listeners.append(Listener(mqtt, Topics("test", "front"), name))
        return listeners[-1]

    yield listen
    for listener in listeners:
        listener.link.stop()
