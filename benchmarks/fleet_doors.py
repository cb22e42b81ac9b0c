"""Doors for `fleet.py`: many daemons and locks in one process, each with its own connection.

Signing, holding back, checking and answering are done by the parts that real doors use; cameras,
faces, disks and threads are left out. A client that was cut off tries again as `oneglance.link`
does.
"""

from __future__ import annotations

import heapq
import queue
import selectors
import ssl
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from oneglance.audit.entry import Signer
from oneglance.audit.log import Audit
from oneglance.clocks import Clocks
from oneglance.config import Config, GalleryConfig, SharingConfig, SiteConfig
from oneglance.contract.gate import Gate
from oneglance.contract.keyring import Keyring
from oneglance.contract.messages import (
    Decision,
    Factor,
    Liveness,
    Mode,
    Outcome,
    Phase,
    Reply,
    ServiceState,
    Status,
    VisitState,
)
from oneglance.contract.signing import sign
from oneglance.contract.topics import Topics
from oneglance.daemon.gallery.keeper import TURN_S
from oneglance.daemon.gallery.sharing import Sharing
from oneglance.daemon.voice.authority import Authority
from oneglance.daemon.voice.nonces import NonceFile
from oneglance.daemon.voice.outbox import Outbox, Outgoing
from oneglance.daemon.voice.publisher import OUTBOX_SIZE, STATUS_EVERY_S
from oneglance.daemon.voice.verbs import Verb
from oneglance.errors import MessageError, OneglanceError
from oneglance.faces.gallery.credentials import CredentialFile
from oneglance.faces.gallery.vault import load_key
from oneglance.key_files import load_sealing_key
from oneglance.link import RECONNECT_MAX_S, RECONNECT_MIN_S, Arrival

LIFETIME_S = 5.0
MODEL_ID, TEMPLATE_SIZE = "fleet-1", 256
# Five a second during a visit.
VISIT_EVERY_S = 0.2
KEEPALIVE_S = 15
# How many connections a process opens at once. With many more, on a busy machine, each takes longer
# than its timeout, and none is ever made.
HANDS = 8
CLOCKS = Clocks(lambda: datetime.now(UTC), time.monotonic)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a process of doors is told at its start."""

    site: str
    doors: Sequence[str]
    port: int
    ca_file: Path
    passwords: dict[str, str]
    keyring: Keyring
    folder: Path
    visits: int
    seed: int
    sharing: bool


@dataclass(slots=True)
class Counts:
    """What has happened since it was asked last."""

    made: int = 0
    dropped: int = 0
    refused: int = 0
    latencies_s: list[float] = field(default_factory=list)
    back_at_s: list[float] = field(default_factory=list)


class Client:
    """One connection, reopened when it breaks."""

    def __init__(
        self,
        hub: Hub,
        name: str,
        user: str,
        topics: tuple[str, ...],
        on_message: Callable[..., None],
        on_connected: Callable[[], None] = lambda: None,
    ) -> None:
        self._hub = hub
        self._name = name
        self._user = user
        self._topics = topics
        self._on_message = on_message
        self._on_connected = on_connected
        self._is_back = False
        self._delay_s = RECONNECT_MIN_S
        self._socket: Any = None
        self.client = self._fresh()

    def _fresh(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._name,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = 5.0
        client.username_pw_set(self._user, self._hub.setting.passwords[self._user])
        client.tls_set_context(self._hub.tls)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._on_message
        return client

    def connect(self) -> None:
        """Try once; if that fails, wait twice as long as last time before the next attempt."""
        self.client = self._fresh()
        # Real doors do this independently: none waits for another's handshake.
        self._hub.aside(self._shake_hands, self._shook_hands)

    def _shake_hands(self) -> bool:
        try:
            self.client.connect("127.0.0.1", self._hub.setting.port, keepalive=KEEPALIVE_S)
        except OSError:
            return False
        return True

    def _shook_hands(self, connected: bool) -> None:
        if not connected:
            self._again()
            return
        self._socket = self.client.socket()
        self._hub.selector.register(self._socket, selectors.EVENT_READ, self)
        self.write()

    def read(self) -> None:
        """Read what has arrived."""
        result = self.client.loop_read()
        while result == mqtt.MQTT_ERR_SUCCESS and self._socket.pending():
            result = self.client.loop_read()
        self.write()
        if self.client.socket() is None:
            self._lost()

    def write(self) -> None:
        """Send what is waiting."""
        while self.client.socket() is not None and self.client.want_write():
            if self.client.loop_write() != mqtt.MQTT_ERR_SUCCESS:
                break

    def misc(self) -> None:
        """Keep it alive."""
        if self._socket is not None:
            self.client.loop_misc()
            self.write()
            if self.client.socket() is None:
                self._lost()

    def publish(self, topic: str, payload: bytes, qos: int, **more: Any) -> bool:
        """Publish; False if it cannot leave now."""
        if not self.client.is_connected():
            return False
        sent = self.client.publish(topic, payload, qos=qos, **more).rc == mqtt.MQTT_ERR_SUCCESS
        self.write()
        return sent

    def _lost(self) -> None:
        with suppress(KeyError, ValueError):
            self._hub.selector.unregister(self._socket)
        self._socket = None
        self._again()

    def _again(self) -> None:
        self._hub.after(self._delay_s, self.connect)
        self._delay_s = min(2 * self._delay_s, RECONNECT_MAX_S)

    def _connected(self, client: mqtt.Client, *_: object) -> None:
        self._delay_s = RECONNECT_MIN_S
        self._is_back = True
        self._on_connected()
        if self._topics:
            client.subscribe([(topic, 1) for topic in self._topics])
        else:
            self._hub.counts.back_at_s.append(time.monotonic())

    def _subscribed(self, *_: object) -> None:
        # Not again for each part of a gallery that it asks for later.
        if self._is_back:
            self._hub.counts.back_at_s.append(time.monotonic())
        self._is_back = False


class Door:
    """A daemon's voice and a lock's ear."""

    def __init__(self, hub: Hub, name: str) -> None:
        self._hub = hub
        self._topics = topics = Topics(hub.setting.site, name)
        self._key = Ed25519PrivateKey.generate()
        self._outbox = Outbox(OUTBOX_SIZE)
        self._gate = Gate(topics, self._key.public_key(), CLOCKS.wall, CLOCKS.monotonic_s)
        self._made_at_s: dict[str, float] = {}
        self._sequence = count(int(time.time() * 1000))
        verbs = {"delete": Verb(frozenset({"administrator"}), lambda *_: "")}  # type: ignore[arg-type]
        memory = NonceFile(hub.setting.folder / f"{name}.commands")
        self._authority = Authority(topics, lambda: hub.setting.keyring, verbs, memory, CLOCKS)
        daemon = f"daemon-{hub.setting.site}-{name}"
        self.sharing = (
            self._open_sharing(hub.setting.folder / name) if hub.setting.sharing else None
        )
        hears = (topics.commands, *((topics.gallery,) if self.sharing is not None else ()))
        self.daemon = Client(hub, daemon, "oneglance-daemon", hears, self._asked, self._connected)
        lock = f"lock-{hub.setting.site}-{name}"
        self.lock = Client(hub, lock, "oneglance-lock", (topics.decision,), self._heard)

    def decide(self) -> None:
        """A visit begins: the screen is told of it until the daemon accepts somebody."""
        for number in range(self._hub.setting.visits):
            self._hub.after(VISIT_EVERY_S * number, self._show)
        self._hub.after(VISIT_EVERY_S * self._hub.setting.visits, self._accept)

    def _show(self) -> None:
        visit = VisitState(issued_at=CLOCKS.wall(), visit_id="v", phase=Phase.CHECKING)
        self.daemon.publish(self._topics.visit, visit.to_payload(), 0)

    def _accept(self) -> None:
        began_s, now = time.monotonic(), CLOCKS.wall()
        decision = Decision(
            issued_at=now,
            expires_at=now + timedelta(seconds=LIFETIME_S),
            event_id=uuid.uuid4().hex,
            site=self._topics.site,
            door=self._topics.door,
            visit_id="v",
            outcome=Outcome.ACCEPTED,
            person_id="ada",
            person_name="Ada Lovelace",
            score=3.5,
            threshold=1.0,
            model_id="fleet-1",
            mode=Mode.IDENTIFY,
            liveness=Liveness.PASSED,
            factors=(Factor.FACE,),
            sequence=next(self._sequence),
        )
        self._made_at_s[decision.event_id] = began_s
        self._hub.counts.made += 1
        self._outbox.put(Outgoing(sign(decision, self._key), began_s + LIFETIME_S))
        self.pump()

    def pump(self) -> None:
        """Send what is waiting, drop what is late."""
        self._outbox.send(
            time.monotonic(),
            lambda message: self.daemon.publish(self._topics.decision, message.payload, 1),
        )
        if len(self._outbox):
            self._hub.after(0.25, self.pump)
        self._hub.counts.dropped += len(self._outbox.take_dropped())

    def say_status(self) -> None:
        """What each daemon says every 30 s."""
        status = Status(issued_at=CLOCKS.wall(), state=ServiceState.ONLINE, software="0")
        self.daemon.publish(self._topics.status, status.to_payload(), 1, retain=True)
        self._hub.after(STATUS_EVERY_S, self.say_status)

    def tick(self) -> None:
        """Look at the clocks, once a second."""
        self._gate.tick()
        self._authority.tick()
        if self.sharing is not None:
            self.sharing.work()

    def _open_sharing(self, folder: Path) -> Sharing:
        """Open what takes over the shared gallery, as in a daemon."""
        setting, door = self._hub.setting, self._topics.door
        config = Config(
            site=SiteConfig(name=setting.site, door=door),
            gallery=GalleryConfig(path=folder / "gallery.db", key_file=folder / "gallery.key"),
            sharing=SharingConfig(receive=True, key_file=folder / "sharing.key"),
        )
        sealer = load_key(config.gallery.key_file)
        audit = Audit(config.audit_folder, CLOCKS.wall, signer=Signer.of(self._key), sealer=sealer)
        return Sharing(
            config,
            self._topics,
            load_sealing_key(config.sharing.key_file),
            sealer,
            CredentialFile(config.credentials_file, sealer),
            audit,
            model_id=MODEL_ID,
            template_size=TEMPLATE_SIZE,
            keys=lambda: setting.keyring,
            clocks=CLOCKS,
            hear=self._hear,
            unhear=lambda topics: self._unhear(topics),
            say=lambda state: self.daemon.publish(
                self._topics.gallery_state, state.to_payload(), 1, retain=True
            ),
            changed=lambda: None,
        )

    def _hear(self, topics: Sequence[str]) -> bool:
        if not self.daemon.client.is_connected():
            return False
        self.daemon.client.subscribe([(topic, 1) for topic in topics])
        self.daemon.write()
        return True

    def _unhear(self, topics: Sequence[str]) -> None:
        if self.daemon.client.is_connected():
            self.daemon.client.unsubscribe(list(topics))
            self.daemon.write()

    def _connected(self) -> None:
        if self.sharing is not None:
            self.sharing.connected()

    def share(self) -> None:
        """Two turns of the gallery's thread: what one does, the next reports."""
        if self.sharing is not None:
            self.sharing.work()
            self._hub.after(TURN_S, self.sharing.work)

    def _heard(self, _client: mqtt.Client, _data: object, message: Any) -> None:
        try:
            decision = self._gate.admit(message.payload, retained=message.retain)
        except MessageError:
            self._hub.counts.refused += 1
            return
        began_s = self._made_at_s.pop(decision.event_id)
        self._hub.counts.latencies_s.append(time.monotonic() - began_s)

    def _asked(self, _client: mqtt.Client, _data: object, message: Any) -> None:
        if self.sharing is not None and not message.topic.startswith(self._topics.commands[:-1]):
            payload = bytes(message.payload)
            self.sharing.arrived(Arrival(message.topic, payload, message.retain, None, None))
            self._hub.after(0, self.share)
            return
        to = message.properties.ResponseTopic
        try:
            order = self._authority.admit("delete", message.payload, to)
            self._authority.confirm(order)
            code = "ok"
        except OneglanceError as error:
            code = getattr(error, "code", "failed")
        reply = Reply(issued_at=CLOCKS.wall(), ok=code == "ok", code=code, text="")
        properties = Properties(PacketTypes.PUBLISH)
        properties.CorrelationData = message.properties.CorrelationData
        self.daemon.client.publish(to, reply.to_payload(), qos=1, properties=properties)


class Hub:
    """All doors of one process, served in turn until it is told to stop."""

    def __init__(self, setting: Setting, pipe: Connection) -> None:
        self.setting = setting
        self.selector = selectors.DefaultSelector()
        self.tls = ssl.create_default_context(cafile=str(setting.ca_file))
        self.counts = Counts()
        self._pipe = pipe
        self._random = Random(setting.seed)  # noqa: S311
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self._rate = 0.0
        self._next_s = float("inf")
        self._doors = [Door(self, name) for name in setting.doors]
        self._stopping = False
        self._pool = ThreadPoolExecutor(HANDS)
        self._done: queue.SimpleQueue[tuple[Callable[[bool], None], bool]] = queue.SimpleQueue()

    def aside(self, work: Callable[[], bool], then: Callable[[bool], None]) -> None:
        """Do `work` in another thread, and `then` in this one with its result."""
        self._pool.submit(lambda: self._done.put((then, work())))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Call this later."""
        when = time.monotonic() + seconds
        heapq.heappush(self._agenda, (when, next(self._number), action))

    def run(self) -> None:
        """Connect all, then serve the pipe, the agenda and the sockets."""
        for door in self._doors:
            for client in (door.daemon, door.lock):
                self.after(0, client.connect)
            self.after(self._random.uniform(0, STATUS_EVERY_S), door.say_status)
        tick_s = time.monotonic() + 1.0
        while not self._stopping:
            now_s = time.monotonic()
            if now_s >= tick_s:
                tick_s = now_s + 1.0
                self._every_second()
            while now_s >= self._next_s:
                self._random.choice(self._doors).decide()
                self._next_s += self._random.expovariate(self._rate)
            while not self._done.empty():
                then, came = self._done.get()
                then(came)
            # A few at a time: what has arrived must not wait behind all of them.
            for _ in range(20):
                if not self._agenda or self._agenda[0][0] > now_s:
                    break
                heapq.heappop(self._agenda)[2]()
            due_s = min(self._next_s, self._agenda[0][0] if self._agenda else now_s + 0.05)
            for key, _ in self.selector.select(max(0.0, min(due_s - time.monotonic(), 0.05))):
                key.data.read()
            if self._pipe.poll():
                self._answer(*self._pipe.recv())

    def _every_second(self) -> None:
        for door in self._doors:
            door.tick()
            door.daemon.misc()
            door.lock.misc()

    def _answer(self, what: str, value: float) -> None:
        if what == "rate":
            self._rate = value
            self._next_s = time.monotonic() + self._random.expovariate(value) if value else 1e18
        elif what == "counts":
            self._pipe.send(self.counts)
            self.counts = Counts()
        elif what == "connected":
            links = [c for door in self._doors for c in (door.daemon, door.lock)]
            self._pipe.send(sum(link.client.is_connected() for link in links))
        elif what == "stop":
            self._stopping = True


def serve(setting: Setting, pipe: Connection) -> None:
    """A process's work."""
    Hub(setting, pipe).run()
