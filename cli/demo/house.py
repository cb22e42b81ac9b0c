"""A door for the length of a demo: keys, gallery, broker, lock, screen logic, daemon."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from oneglance.broker import embedded_broker
from oneglance.config import (
    CameraConfig,
    Config,
    DoorConfig,
    GalleryConfig,
    KioskConfig,
    SigningConfig,
    SiteConfig,
)
from oneglance.contract.gate import Gate
from oneglance.contract.messages import Decision, DoorState, LockState, parse
from oneglance.contract.signing import create_signing_key, load_public_key
from oneglance.contract.topics import Topics
from oneglance.door.app import DoorApp
from oneglance.errors import BrokerError, MessageError, OneglanceError
from oneglance.faces.gallery.vault import create_key
from oneglance.kiosk_ui.client import KioskClient
from oneglance.kiosk_ui.reducer import KioskState, Tick, initial, reduce
from oneglance.kiosk_ui.screen import Kind, ScreenState
from oneglance.link import Arrival, Link

SETTLE_S = 10.0


@dataclass(frozen=True, slots=True)
class Heard:
    """One decision as a consumer heard it (monotonic seconds), its signature checked."""

    decision: Decision
    at_s: float


@dataclass(slots=True)
class Listener:
    """What a bystander hears on the wire: decisions with a valid signature, and the lock."""

    topics: Topics
    gate: Gate
    on_decision: Callable[[Decision], None]
    on_opened: Callable[[str], None]
    decisions: list[Heard] = field(default_factory=list)
    opened_for: list[str] = field(default_factory=list)
    lock_state: LockState | None = None

    def hear(self, arrival: Arrival) -> None:
        """Take one message; those that do not pass the gate are not counted."""
        try:
            if arrival.topic == self.topics.decision:
                decision = self.gate.admit(arrival.payload, retained=arrival.retained)
                self.decisions.append(Heard(decision, time.monotonic()))
                self.on_decision(decision)
            elif arrival.topic == self.topics.door_state:
                state = parse(arrival.payload, DoorState, arrival.topic)
                self.lock_state = state.state
                if state.state is LockState.UNLOCKED:
                    self.opened_for.append(state.cause)
                    self.on_opened(state.cause)
        except MessageError:
            return


class ScreenLogic:
    """The kiosk without its window: the real client and reducer, and every screen they showed."""

    def __init__(self, config: Config) -> None:
        self._state: KioskState = initial(time.monotonic(), config.kiosk.result_s)
        self._client = KioskClient(config)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
        self.shown: dict[tuple[str, str], ScreenState] = {}

    def start(self) -> None:
        """Start listening."""
        self._client.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._stopping.set()
        self._thread.join()
        self._client.stop()

    @property
    def ready(self) -> bool:
        """Whether the screen has left its start-up message."""
        return self._state.screen.kind is not Kind.STARTING

    @property
    def now(self) -> ScreenState:
        """What is shown at this moment."""
        return self._state.screen

    def _run(self) -> None:
        while not self._stopping.wait(0.02):
            for event in (*self._client.drain(), Tick()):
                self._state = reduce(self._state, event, time.monotonic())
                screen = self._state.screen
                self.shown[screen.title, screen.name] = screen


@dataclass(slots=True)
class House:
    """The running parts beside the daemon."""

    config: Config
    listener: Listener
    screen: ScreenLogic


@contextmanager
def house(camera: CameraConfig, on_decision: Callable[[Decision], None]) -> Iterator[House]:
    """A door that runs: keys and empty gallery in a private folder, broker, lock, screen logic.

    All of it is gone when the block ends. Raises what its parts raise.
    """
    with TemporaryDirectory(prefix="oneglance-demo-") as private, embedded_broker() as mqtt:
        folder = Path(private)
        create_signing_key(folder / "signing.key", folder / "signing.pub")
        create_key(folder / "gallery.key")
        config = Config(
            site=SiteConfig(name="demo", door="front"),
            mqtt=mqtt,
            signing=SigningConfig(
                key_file=folder / "signing.key", sequence_file=folder / "sequence"
            ),
            gallery=GalleryConfig(path=folder / "gallery.db", key_file=folder / "gallery.key"),
            camera=(camera,),
            door=DoorConfig(
                public_key_file=folder / "signing.pub",
                state_file=folder / "door-sequence",
                pin_factory="mock",
                pulse_s=1.5,
            ),
            kiosk=KioskConfig(public_key_file=folder / "signing.pub", result_s=2.5),
        )
        with running(config, folder / "signing.pub", on_decision) as parts:
            yield parts


@contextmanager
def running(
    config: Config,
    public_key_file: Path,
    on_decision: Callable[[Decision], None],
    on_opened: Callable[[str], None] = lambda _cause: None,
) -> Iterator[House]:
    """Lock, screen logic and a bystander at the broker of `config` while the block runs.

    The bystander checks decisions with the daemon's public key. Raises what the parts raise.
    """
    topics = Topics(config.site.name, config.site.door)
    gate = Gate(
        topics,
        load_public_key(public_key_file),
        lambda: datetime.now(UTC),
        time.monotonic,
    )
    listener = Listener(topics, gate, on_decision, on_opened)
    bystander = Link(
        config.mqtt,
        "demo-bystander",
        subscriptions=((topics.decision, 1), (topics.door_state, 1)),
        on_message=listener.hear,
    )
    screen = ScreenLogic(config)
    lock = DoorApp(config)
    failures: list[OneglanceError] = []
    lock_thread = threading.Thread(target=_run_lock, args=(lock, failures), daemon=True)
    bystander.start()
    lock_thread.start()
    screen.start()
    try:
        _wait(lambda: bystander.connected and bool(failures or listener.lock_state))
        if failures:
            raise failures[0]
        yield House(config, listener, screen)
    finally:
        screen.stop()
        lock.stop()
        lock_thread.join(SETTLE_S)
        bystander.stop()


def _run_lock(lock: DoorApp, failures: list[OneglanceError]) -> None:
    try:
        lock.run()
    except OneglanceError as error:
        failures.append(error)


def _wait(ready: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + SETTLE_S
    while not ready():
        if time.monotonic() > deadline_s:
            raise BrokerError("the demo's parts did not find each other in time")
        time.sleep(0.02)
