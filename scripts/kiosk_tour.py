"""Lead the real screen through every state, language and size, and photograph it.

`python scripts/kiosk_tour.py` (make kiosk-tour) starts a real broker, and for each size and
language the real kiosk, full screen under Xvfb without a window manager; sends it what a daemon
and a lock would; and takes what is on the display. Then comes a kiosk that is touched: PIN pad,
live picture, Verify button and every page of the administration (kiosk_tour_staff.py). The
pictures go to build/kiosk-tour/, most of them on two sheets to docs/images/kiosk-tour.jpg and
kiosk-tour-staff.jpg, some English ones of a 7" panel to docs/images/.
"""

from __future__ import annotations

import argparse
import math
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from kiosk_tour_staff import PlayedDaemon, Stage, Touched, touched_kiosk
from kiosk_tour_staff import lead as reach
from kiosk_tour_staff import stops as staff_stops

from oneglance.broker import embedded_broker
from oneglance.config import MqttConfig
from oneglance.contract.messages import (
    LOCK_TEST,
    AccessState,
    Challenge,
    Decision,
    DoorState,
    Factor,
    Hint,
    Liveness,
    LockState,
    Message,
    Mode,
    Outcome,
    Phase,
    ServiceState,
    Status,
    Step,
    VisitState,
    Wait,
)
from oneglance.contract.signing import create_signing_key, load_signing_key, sign
from oneglance.contract.topics import Topics
from oneglance.kiosk_ui.display import virtual_display
from oneglance.kiosk_ui.language import LANGUAGES
from oneglance.link import Link

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
TOPICS = Topics("home", "front")
SIZES = ((800, 480), (1280, 800), (720, 1280))
NAMES = {
    "en": "Ada Lovelace",
    "de": "Jürgen Groß",
    "es": "María Núñez",
    "fr": "Zoë Lefèvre",
    "vi": "Nguyễn Thị Ánh Tuyết",
    "ar": "فاطمة الزهراء",
    "zh": "王小明",
}
DOORS = {
    "en": "Front door",
    "de": "Haustür",
    "es": "Puerta principal",
    "fr": "Entrée",
    "vi": "Cửa chính",
    "ar": "الباب الأمامي",
    "zh": "正门",
}
PARTS = VISITORS, STAFF = "visitors", "staff"
# On the larger sheets: one written from left to right, and one the other way.
_BOTH_WAYS = ("en", "ar")
# By then every entrance has ended and every hint may change.
_SETTLE_S = 1.0
_AGAIN_S = 0.3
_START_S = 120.0
# A challenge lives for five seconds.
_ASK_AGAIN_S = 3.0
# A busy machine draws a screen now and then.
_STOP_S, _SAY_AGAIN_S = 120.0, 15.0
_READS, _READ_AGAIN_S = 4, 0.1
_FULL_LIGHT, _LETTERS_PX = 235, 50

_numbers = count(int(time.time() * 1000))

# Publishes one message at the broker.
Send = Callable[[str, bytes, bool], None]


@dataclass(frozen=True)
class Stop:
    """One place of the tour: the screen's kind, what is sent once, and what again and again."""

    name: str
    kind: str
    once: list[Callable[[], tuple[str, bytes, bool]]] = field(default_factory=list)
    again: list[Callable[[], tuple[str, bytes, bool]]] = field(default_factory=list)


def now() -> datetime:
    """The time of a message."""
    return datetime.now(UTC)


def plain(topic: str, message: Callable[[], Message], *, retain: bool = False) -> Any:
    """An unsigned message, made at the time it is sent."""
    return lambda: (topic, message().to_payload(), retain)


def status(state: ServiceState, *reasons: str, claims: tuple[Factor, ...] = ()) -> Any:
    """The daemon about itself."""
    return plain(
        TOPICS.status,
        lambda: Status(
            issued_at=now(), state=state, reasons=reasons, software="0.1.0", claims=claims
        ),
        retain=True,
    )


def visit(phase: Phase, hint: Hint = Hint.NONE, progress: float = 0.0) -> Any:
    """Somebody stands there."""
    return plain(
        TOPICS.visit,
        lambda: VisitState(
            issued_at=now(), visit_id="v1", phase=phase, hint=hint, progress=progress
        ),
    )


def door(state: LockState, cause: str = "") -> Any:
    """The lock about itself."""
    return plain(
        TOPICS.door_state,
        lambda: DoorState(issued_at=now(), state=state, cause=cause),
        retain=True,
    )


def signed(key: Any, topic: str, make: Callable[[], Message]) -> Any:
    """A message that the daemon's key signs."""
    return lambda: (topic, sign(make(), key), False)  # type: ignore[type-var]


def decision(reason: str = "", name: str | None = None) -> Decision:
    """The decision on one visit."""
    moment = now()
    return Decision(
        issued_at=moment,
        expires_at=moment + timedelta(seconds=5),
        event_id="event-0001",
        site="home",
        door="front",
        visit_id="v0",
        outcome=Outcome.REJECTED if reason else Outcome.ACCEPTED,
        reason=reason,
        person_id=None if reason else "p1",
        person_name=name,
        score=-3.0 if reason else 3.0,
        threshold=1.0,
        model_id="m",
        mode=Mode.IDENTIFY,
        liveness=Liveness.NOT_REQUIRED if reason else Liveness.PASSED,
        factors=() if reason else (Factor.FACE,),
        sequence=next(_numbers),
    )


def challenge(step: Step, time_s: float = 5.0) -> Challenge:
    """One movement that the visitor is asked for, and has so much time for."""
    moment = now()
    return Challenge(
        issued_at=moment,
        expires_at=moment + timedelta(seconds=5),
        challenge_id=f"challenge-{step}-{time_s}",
        site="home",
        door="front",
        visit_id="v1",
        step=step,
        number=1,
        steps=2,
        attempt=1,
        time_s=time_s,
        sequence=next(_numbers),
    )


def stops(key: Any, name: str) -> Iterator[Stop]:
    """The tour. `name` is whom it welcomes."""
    online = status(ServiceState.ONLINE)
    fresh = [status(ServiceState.OFFLINE), online, door(LockState.LOCKED)]

    def answer(reason: str = "", who: str | None = None) -> Any:
        return signed(key, TOPICS.decision, lambda: decision(reason, who))

    yield Stop("starting", "starting", [status(ServiceState.DEGRADED, "starting")])
    yield Stop("idle", "idle", fresh)
    yield Stop("look-here", "look_here", fresh, [visit(Phase.LOOK)])
    for hint in (Hint.COME_CLOSER, Hint.BACKLIT, Hint.UNCOVER_EYES, Hint.ONE_AT_A_TIME):
        slug = str(hint).replace("_", "-")
        yield Stop(f"hint-{slug}", "look_here", fresh, [visit(Phase.LOOK, hint)])
    asks = status(ServiceState.ONLINE, claims=(Factor.BADGE,))
    yield Stop("claim", "claim", [*fresh, asks], [visit(Phase.LOOK)])
    yield Stop("checking", "checking", fresh, [visit(Phase.CHECKING, progress=0.65)])
    for step in (Step.TURN_LEFT, Step.LOOK_UP, Step.COME_CLOSER):
        slug = "" if step is Step.TURN_LEFT else f"-{step}".replace("_", "-")
        asked = signed(key, TOPICS.challenge, lambda step=step: challenge(step))
        yield Stop(f"challenge{slug}", "challenge", [*fresh, asked])
    # Half of its time is over when the picture is taken.
    late = signed(key, TOPICS.challenge, lambda: challenge(Step.TURN_LEFT, time_s=1.6))
    yield Stop("challenge-further", "challenge", [*fresh, late])
    opened = door(LockState.UNLOCKED, "event-0001")
    yield Stop("welcome", "welcome", [*fresh, answer(who=name), opened])
    for slug, kind, reason in (
        ("not-recognised", "not_recognised", "not_recognised"),
        ("not-sure", "not_sure", "presentation_attack"),
        ("badly-seen", "not_sure", "poor_quality"),
        ("not-moved", "not_sure", "challenge_ignored"),
        ("not-now", "not_now", "not_permitted"),
        ("factor-missing", "not_recognised", "factor_missing"),
    ):
        yield Stop(slug, kind, [*fresh, answer(reason)])
    waits = plain(
        TOPICS.access,
        lambda: AccessState(issued_at=now(), waits=(Wait(of=Factor.FACE, seconds=299.0),)),
    )
    yield Stop("wait", "wait", fresh, [waits])
    yield Stop("door-open", "door_open", [*fresh, opened])
    yield Stop("door-fault", "door_fault", [*fresh, door(LockState.FAULT, "connection lost")])
    lost = status(ServiceState.DEGRADED, "camera_lost:front")
    yield Stop("camera-lost", "camera_lost", [*fresh, lost])
    nobody = status(ServiceState.DEGRADED, "gallery_empty")
    yield Stop("maintenance", "maintenance", [*fresh, nobody])
    yield Stop("offline", "offline", [*fresh, status(ServiceState.OFFLINE)])


class Manager:
    """The service manager's end of sd_notify: what the kiosk says it is showing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        # Only what changes is told.
        self.shown = "starting"
        self.ready = False

    def listen(self, seconds: float) -> None:
        """Receive what comes within this time."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._socket.settimeout(left_s)
            try:
                told = self._socket.recv(4096).decode()
            except TimeoutError:
                return
            for line in told.splitlines():
                self.ready = self.ready or line == "READY=1"
                if line.startswith("STATUS=shows "):
                    self.shown = line.removeprefix("STATUS=shows ")

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


@contextmanager
def kiosk(
    folder: Path, mqtt: MqttConfig, language: str, environment: dict[str, str]
) -> Iterator[Manager]:
    """The real program, ready, full screen."""
    config = folder / "kiosk.toml"
    config.write_text(
        f'[mqtt]\nhost = "{mqtt.host}"\nport = {mqtt.port}\n[kiosk]\n'
        f'public_key_file = "signing.pub"\nlanguage = "{language}"\nresult_s = 12.0\n'
        f'door_name = "{DOORS[language]}"\n'
    )
    manager = Manager(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "oneglance.cli.start", "kiosk", "--config", str(config)],
        env={**environment, "NOTIFY_SOCKET": str(manager.path)},
        stderr=subprocess.DEVNULL,
    )
    try:
        begun_s = time.monotonic()
        while not manager.ready:
            manager.listen(0.1)
            if time.monotonic() - begun_s > _START_S:
                raise SystemExit(f"the kiosk ({language}) drew nothing within {_START_S:g} s")
        yield manager
    finally:
        process.terminate()
        process.wait()
        manager.close()
        manager.path.unlink()


def display_picture(file: Path) -> np.ndarray[Any, Any]:
    """What is on the display: uint8 (H, W, 3) BGR, from Xvfb's XWD file."""
    data = file.read_bytes()
    header = struct.unpack_from(">25I", data)
    offset = header[0] + 12 * header[19]
    width, height, line = header[4], header[5], header[12]
    rows = np.frombuffer(data, np.uint8, height * line, offset).reshape(height, line)
    return rows[:, : 4 * width].reshape(height, width, 4)[:, :, :3].copy()


def whole_picture(file: Path, still: Callable[[], None]) -> np.ndarray[Any, Any]:
    """What is on the display, once it reads the same twice: half of it may be the next frame.

    Something that never stops moving is read a few times only; `still` lets some time pass.
    """
    picture = display_picture(file)
    for _ in range(_READS):
        still()
        again = display_picture(file)
        if np.array_equal(picture, again):
            break
        picture = again
    return picture


def has_come_in(picture: np.ndarray[Any, Any]) -> bool:
    """Whether the big text has faded in fully: on a busy machine that may take seconds."""
    return bool((picture.min(axis=2) >= _FULL_LIGHT).sum() >= _LETTERS_PX)


def lead(stop: Stop, send: Send, manager: Manager, display: Path) -> np.ndarray[Any, Any]:
    """Send a stop's messages until the screen shows it and has come to rest; its picture."""
    said_s, settled_s = -math.inf, 0.0
    begun_s = time.monotonic()

    def goes_on(seconds: float) -> None:
        for said in stop.again:
            send(*said())
        manager.listen(seconds)

    while True:
        if time.monotonic() - begun_s > _STOP_S:
            raise SystemExit(f"{stop.name}: the screen shows {manager.shown}, not {stop.kind}")
        if time.monotonic() - said_s > _SAY_AGAIN_S:
            # On a busy machine an answer may be gone before it is drawn.
            for said in stop.once:
                send(*said())
                manager.listen(0.12)
            said_s = time.monotonic()
        goes_on(_AGAIN_S)
        settled_s = settled_s + _AGAIN_S if manager.shown == stop.kind else 0.0
        if settled_s < _SETTLE_S:
            continue
        picture = whole_picture(display, lambda: goes_on(_READ_AGAIN_S))
        if has_come_in(picture) and manager.shown == stop.kind:
            return picture


def touched(
    stage: Stage, environment: dict[str, str], said: dict[str, str], size: tuple[int, int]
) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Pictures of the touched kiosk, each with the name of its stop."""
    display = stage.folder / "Xvfb_screen0"
    with touched_kiosk(stage.folder, environment, said, size) as hands:
        for stop in staff_stops(stage):
            reach(hands, stop, said["language"])

            def goes_on(stop: Touched = stop) -> None:
                stop.say()
                time.sleep(_READ_AGAIN_S)

            if stop.name:
                yield stop.name, whole_picture(display, goes_on)


def at_most_each(seconds: float, do: Callable[[], None]) -> Callable[[], None]:
    """Do something, unless it was done only just before."""
    done_s = -math.inf

    def again() -> None:
        nonlocal done_s
        if time.monotonic() - done_s >= seconds:
            done_s = time.monotonic()
            do()

    return again


def staged(daemon: PlayedDaemon, folder: Path, name: str, send: Send, key: Any) -> Stage:
    """What the stops of a touched kiosk act on."""

    def sends(*said: Any) -> Callable[[], None]:
        def do() -> None:
            for one in said:
                send(*one())

        return do

    def test(event: str) -> None:
        test = decision(LOCK_TEST).model_copy(update={"event_id": event})
        send(*signed(key, TOPICS.decision, lambda: test)())

    asked = signed(key, TOPICS.challenge, lambda: challenge(Step.TURN_LEFT))
    checks = at_most_each(_AGAIN_S, sends(visit(Phase.CHECKING, progress=0.65)))
    asks = at_most_each(_ASK_AGAIN_S, sends(asked))
    online = status(ServiceState.ONLINE)

    def both() -> None:
        checks()
        asks()

    return Stage(
        daemon=daemon,
        folder=folder,
        name=name,
        idle=sends(status(ServiceState.OFFLINE), online, door(LockState.LOCKED)),
        degraded=sends(status(ServiceState.DEGRADED, "camera_lost:side")),
        look=at_most_each(_AGAIN_S, sends(visit(Phase.LOOK))),
        closer=at_most_each(_AGAIN_S, sends(visit(Phase.LOOK, Hint.COME_CLOSER))),
        check=checks,
        challenge=both,
        tested=test,
        locked=lambda event: sends(door(LockState.LOCKED, event))(),
    )


def tour(out: Path, sizes: list[tuple[int, int]], languages: list[str], parts: list[str]) -> None:
    """All pictures, as OUT/WIDTHxHEIGHT/LANGUAGE/PART-NN-STOP.png."""
    with embedded_broker() as mqtt, tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("signing", "kiosk"):
            create_signing_key(folder / f"{name}.key", folder / f"{name}.pub")
        key = load_signing_key(folder / "signing.key")
        daemon = Link(mqtt, "daemon")
        daemon.start()
        while not daemon.connected:
            time.sleep(0.05)

        def send(topic: str, payload: bytes, retain: bool) -> None:
            daemon.publish(topic, payload, qos=1, retain=retain)

        def visitors(
            language: str, environment: dict[str, str]
        ) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
            with kiosk(folder, mqtt, language, environment) as manager:
                for stop in stops(key, NAMES[language]):
                    yield stop.name, lead(stop, send, manager, folder / "Xvfb_screen0")

        def staff(
            language: str, environment: dict[str, str], size: tuple[int, int]
        ) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
            said = {"host": mqtt.host, "port": str(mqtt.port), "language": language}
            said |= {"site": TOPICS.site, "door": TOPICS.door, "door_name": DOORS[language]}
            played = PlayedDaemon(mqtt, TOPICS, key)
            played.start()
            try:
                stage = staged(played, folder, NAMES[language], send, key)
                yield from touched(stage, environment, said, size)
            finally:
                played.stop()

        for size in sizes:
            with virtual_display(size, folder) as environment:
                for language in languages:
                    pictures = out / f"{size[0]}x{size[1]}" / language
                    pictures.mkdir(parents=True, exist_ok=True)
                    for part in parts:
                        for old in pictures.glob(f"{part}-*.png"):
                            old.unlink()
                        taken = (
                            visitors(language, environment)
                            if part == VISITORS
                            else staff(language, environment, size)
                        )
                        for i, (name, picture) in enumerate(taken):
                            file = pictures / f"{part}-{i:02d}-{name}.png"
                            cv2.imwrite(str(file), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
                        sys.stdout.write(f"{pictures}: {i + 1} pictures of {part}\n")
                        sys.stdout.flush()
        daemon.stop()


def sheet(out: Path, part: str, row_px: int) -> np.ndarray[Any, Any]:
    """One row for each stop: every language on a 7" panel, then the other sizes in two of them."""
    columns = [(SIZES[0], language) for language in LANGUAGES]
    columns += [(size, language) for size in SIZES[1:] for language in _BOTH_WAYS]
    first = out / f"{SIZES[0][0]}x{SIZES[0][1]}" / LANGUAGES[0]
    rows = []
    for name in sorted(file.name for file in first.glob(f"{part}-*.png")):
        row = []
        for (width, height), language in columns:
            picture = cv2.imread(str(out / f"{width}x{height}" / language / name))
            thumb = (round(row_px * width / height), row_px)
            small = cv2.resize(picture, thumb, interpolation=cv2.INTER_AREA)
            row.append(cv2.copyMakeBorder(small, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=[70] * 3))
        rows.append(cv2.hconcat(row))
    return cv2.vconcat(rows)


def main() -> None:
    """Make the whole tour or a part of it, and keep the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "kiosk-tour")
    parser.add_argument("--sizes", default=",".join(f"{w}x{h}" for w, h in SIZES))
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    parser.add_argument("--parts", default=",".join(PARTS), help="of both: visitors,staff")
    parser.add_argument("--keep", action="store_true", help="take no picture, only keep the last")
    given = parser.parse_args()
    # Its kiosks and displays end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sizes = [(int(w), int(h)) for w, _, h in (s.partition("x") for s in given.sizes.split(","))]
    languages, parts = given.languages.split(","), given.parts.split(",")
    if not given.keep:
        tour(given.out, sizes, languages, parts)
    if tuple(sizes) == SIZES and tuple(languages) == LANGUAGES and tuple(parts) == PARTS:
        keep(given.out)


def keep(out: Path) -> None:
    """Copy sheets and pictures of a whole tour into the documentation."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 72]
    for part, file, row_px in (
        (VISITORS, "kiosk-tour.jpg", 104),
        (STAFF, "kiosk-tour-staff.jpg", 76),
    ):
        cv2.imwrite(str(IMAGES / file), sheet(out, part, row_px), quality)
    for file in (out / "800x480" / "en").glob("*.png"):
        kept = IMAGES / f"kiosk-{file.stem.split('-', 2)[2]}.png"
        if kept.is_file():
            shutil.copy(file, kept)


if __name__ == "__main__":
    main()
