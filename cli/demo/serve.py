"""`oneglance demo --serve`: the house keeps running, for whoever develops something beside it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from oneglance.broker import embedded_broker
from oneglance.cli.demo.film import ENROLLED, decision_line, enrol_from_photo, make_film, person_of
from oneglance.cli.demo.house import running
from oneglance.cli.demo.loop import looped
from oneglance.cli.demo.video import FPS
from oneglance.cli.init import make_door
from oneglance.config import load_config
from oneglance.contract.topics import Topics
from oneglance.daemon.app import Daemon
from oneglance.errors import BrokerError
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import load_model
from oneglance.signals import stop_on_signals
from oneglance.whole_file import write_whole

_TOML = """\
# Written anew by each 'oneglance demo --serve'. A door to develop against, and no real one: its
# broker asks nobody for a password.
[site]
name = "demo"
door = "front"

[mqtt]
host = "127.0.0.1"
port = {port}

[signing]
key_file = "signing.key"
sequence_file = "state/sequence"

[commands]
keyring_file = "keyring.json"
key_file = "administrator.key"

[gallery]
path = "state/gallery.db"
key_file = "gallery.key"

[[camera]]
name = "front"
source = "{camera}"

[door]
public_key_file = "keyring.json"
state_file = "state/door/sequence"
pin_factory = "mock"
pulse_s = 1.5

[kiosk]
public_key_file = "keyring.json"
key_file = "kiosk.key"
result_s = 2.5
fullscreen = false
"""


def serve(console: Console, out: Path, port: int) -> None:
    """Run broker, lock, screen and a daemon that watches the looped film, until SIGINT or SIGTERM.

    Keys, gallery and film stay in `out` and are used again next time. Raises BrokerError if the
    port is taken, and whatever the parts raise.
    """
    _check_free(port)
    detector, model = FaceDetector(), load_model()
    film = out / "visits.avi"
    if not film.exists():
        with console.status("Making a film of five visits to a door"):
            make_film(film, detector, model)
    folder = (out / "door").absolute()

    def opened(event_id: str) -> None:
        console.print(f"  the lock opened for {event_id}", markup=False)

    with embedded_broker(port), looped(film, FPS) as camera:
        make_files(folder, port, camera)
        config = load_config(folder)
        enrol_from_photo(config, detector, model)
        topics = Topics(config.site.name, config.site.door)
        with (
            running(
                config,
                folder / "signing.pub",
                lambda decision: console.print(decision_line(decision)),
                opened,
            ),
            _window(console, folder),
        ):
            daemon = Daemon(config)
            for line in _said(folder, port, camera, topics):
                console.print(line, markup=False, soft_wrap=True)
            with stop_on_signals(daemon.stop):
                daemon.run()
    console.print("The house is shut.")


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BrokerError(
                f"no broker can listen there: {error.strerror}",
                where=f"127.0.0.1:{port}",
                fix="end what does, or choose another --port",
            ) from None


def make_files(folder: Path, port: int, camera: str) -> None:
    """Write the door's configuration, and its keys unless they are there. Raises OSError."""
    text = _TOML.format(port=port, camera=camera)
    for private in (folder, folder / "state", folder / "state/door"):
        private.mkdir(mode=0o700, exist_ok=True)
    if (folder / "oneglance.toml").exists():
        write_whole(folder / "oneglance.toml", text.encode(), 0o644, durable=False)
    else:
        make_door(folder, text, private=False)


def _said(folder: Path, port: int, camera: str, topics: Topics) -> Iterator[str]:
    """What somebody who wants to connect needs to know."""
    yield f"The house is running, and {person_of(ENROLLED)} is enrolled; Ctrl-C ends it."
    yield f"  broker      127.0.0.1:{port}, MQTT 5, this machine only, no password"
    yield f"  topics      {topics.base}/#; decisions on {topics.decision}"
    yield f"  public key  {folder}/signing.pub is what a lock checks decisions with"
    yield f"  commands    are signed with {folder}/administrator.key"
    yield f"  camera      {camera} shows the film, again and again, in any browser"
    yield f"  watch it    oneglance watch -c {folder}"
    yield "  your lock   begin with examples/lock.py, in the repository:"
    yield f"              python lock.py 127.0.0.1 {port} {topics.site} {topics.door}"
    yield f"              {folder}/signing.pub memory"


@contextmanager
def _window(console: Console, folder: Path) -> Iterator[None]:
    """The screen in a window of its own, where there is a display."""
    command = ["kiosk", "--windowed", "-c", str(folder)]
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        console.print(
            f"No display here; with one, 'oneglance {' '.join(command)}' shows the screen.",
            soft_wrap=True,
        )
        yield
        return
    # Ctrl-C is for the whole group: the window ends by itself, or else with the house.
    window = subprocess.Popen([sys.executable, "-m", "oneglance.cli.start", *command])
    try:
        yield
    finally:
        window.terminate()
        window.wait()
