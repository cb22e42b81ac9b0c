"""The MQTT 5 link that daemon, kiosk and lock share: connect, subscribe, reconnect, say goodbye.

Callbacks run in the link's own thread. Each connection is a fresh client with a clean session:
what we had in flight when a connection broke is never sent again, and what the broker held for us
while we were away never arrives. Both are stale by definition, and stale messages open doors.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from oneglance.broker_words import connect_refusal, subscribe_refusal
from oneglance.certificate import tls_context
from oneglance.config import MqttConfig
from oneglance.errors import BrokerError
from oneglance.events import BROKER_CONNECTED, BROKER_FAILED, BROKER_LOST
from oneglance.secret_file import read_password

log = logging.getLogger(__name__)

# A door must be back within seconds of its broker; a broker that restarts must not be stormed.
RECONNECT_MIN_S = 0.5
RECONNECT_MAX_S = 8.0
CONNECT_TIMEOUT_S = 5.0
# A few decisions in flight are plenty for a door; what waits longer is stale.
MAX_QUEUED = 20
MAX_REMEMBERED = 64
# This many connections in a row that end this soon are no accident: two clients with one name are
# throwing each other out.
MANY_SHORT = 3
SHORT_S = 3.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as it came. `payload` is untrusted."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None
    correlation: bytes | None


@dataclass(frozen=True, slots=True)
class LastWill:
    """What the broker publishes for us if we vanish; retained, QoS 1."""

    topic: str
    payload: bytes


class Link:
    """One standing connection to the broker. `start` returns at once; `stop` ends it.

    `on_message` gets each Arrival and must not block; what it raises is logged, not spread.
    `on_connected` runs after each (re)connection, when subscriptions have been asked for; use it to
    publish retained status. `failure` says why the last attempt to connect failed, `deaf` why the
    broker does not let us hear a topic (by topic), `publishes_refused` how many messages its ACL
    forbade, `refused` the same by topic, and `refusing` where it forbade the last one that had an
    answer. A `password` replaces the file's.

    Raises ConfigError at once when certificates or the password file cannot be used.
    """

    def __init__(
        self,
        config: MqttConfig,
        client_id: str,
        *,
        subscriptions: tuple[tuple[str, int], ...] = (),
        on_message: Callable[[Arrival], None] | None = None,
        on_connected: Callable[[], None] | None = None,
        on_disconnected: Callable[[], None] | None = None,
        last_will: LastWill | None = None,
        password: str | None = None,
    ) -> None:
        self._config = config
        self._client_id = client_id
        self._subscriptions = subscriptions
        self._on_message = on_message
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._last_will = last_will
        self._tls = tls_context(config) if config.tls else None
        self._password = _password(config) if password is None else password
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self.failure: BrokerError | None = None
        self.deaf: dict[str, BrokerError] = {}
        self.publishes_refused = 0
        self.refused: Counter[str] = Counter()
        self.refusing: frozenset[str] = frozenset()
        self._sent: dict[int, str] = {}
        self._overtook: dict[int, ReasonCode] = {}
        self._counting = threading.Lock()
        self._subscribed = False
        self._asked_first: int | None = None
        self._greeted = False
        self._client = self._fresh_client()

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us, the connection is up, and the thread is alive."""
        return self.alive and bool(self._client.is_connected())

    @property
    def clear(self) -> bool:
        """Whether everything published was handed to the network; for callers that may skip
        messages.
        """
        return self.connected and not self._client.want_write()

    @property
    def alive(self) -> bool:
        """Whether the link's thread still works at connecting and listening; for a watchdog."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to connect in the background, and keep trying until `stop`."""
        self._thread.start()

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until connected and subscribed. False if the broker did not answer in time.

        Raises BrokerError as soon as the broker turns us away: waiting would not help.
        """

        def settled() -> bool:
            return self._subscribed or (self.failure is not None and self.failure.refused)

        with self._changed:
            self._changed.wait_for(settled, timeout_s)
        if not self._subscribed and self.failure is not None and self.failure.refused:
            raise self.failure
        return self._subscribed

    def must_connect(self, timeout_s: float) -> None:
        """As `wait_connected`, for commands: BrokerError also without an answer in time."""
        if not self.wait_connected(timeout_s):
            raise self.failure or BrokerError(
                f"no answer within {timeout_s:g} s",
                where=f"{self._config.host}:{self._config.port}",
                fix="is the broker running, and its address right?",
            )

    def check_heard(self, *topics: str) -> None:
        """Raise BrokerError if the broker has refused to let us hear one of these; all by default.

        Some brokers refuse nothing and just keep silent, mosquitto with an ACL file for one.
        """
        deaf = self.deaf
        for topic in topics or tuple(deaf):
            if topic in deaf:
                raise deaf[topic]

    def stop(self, farewell: tuple[str, bytes] | None = None, *, timeout_s: float = 2.0) -> None:
        """Publish `farewell` (topic, payload; retained) if connected, then disconnect for good."""
        self._stopping.set()
        client = self._client
        if farewell is not None and client.is_connected():
            info = client.publish(farewell[0], farewell[1], qos=1, retain=True)
            try:
                info.wait_for_publish(timeout_s)
            except (RuntimeError, ValueError) as error:
                log.warning("the farewell was not delivered: %s", error)
        client.disconnect()
        if self._thread.is_alive():
            self._thread.join(timeout_s + CONNECT_TIMEOUT_S)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool = False,
        expiry_s: int | None = None,
        correlation: bytes | None = None,
        response_topic: str | None = None,
        counted_as: str = "",
    ) -> bool:
        """Hand one message to the network thread. False if not connected: nothing is kept.

        `expiry_s` is MQTT 5's Message Expiry Interval in whole seconds; `response_topic` says where
        an answer is to go. What goes to topics that others choose is `counted_as` something, else
        it would fill `refused` and the log; all other messages as their topic.
        """
        if not self.connected:
            return False
        properties = Properties(PacketTypes.PUBLISH)
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        if correlation is not None:
            properties.CorrelationData = correlation
        if response_topic is not None:
            properties.ResponseTopic = response_topic
        info = self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        # What the client has no room for is never answered.
        if qos > 0 and info.rc == mqtt.MQTT_ERR_SUCCESS:
            self._remember(info.mid, counted_as or topic)
        return info.rc == mqtt.MQTT_ERR_SUCCESS

    def hear(self, topics: Sequence[str]) -> bool:
        """Listen to these topics too, QoS 1, until `unhear` or the end of this connection.

        What is retained there comes anew each time. False if not connected.
        """
        if not self.connected:
            return False
        asked = [(topic, SubscribeOptions(qos=1)) for topic in topics]
        return self._client.subscribe(asked)[0] == mqtt.MQTT_ERR_SUCCESS

    def unhear(self, topics: Sequence[str]) -> None:
        """Listen to these topics no more."""
        if self.connected:
            self._client.unsubscribe(list(topics))

    def _remember(self, mid: int, topic: str) -> None:
        # What is never answered leaves its entry behind, so the oldest ones go.
        self._sent[mid] = topic
        for old in list(self._sent)[:-MAX_REMEMBERED]:
            self._sent.pop(old, None)
        reason = self._overtook.pop(mid, None)
        if reason is not None:
            self._settle(mid, reason)

    def _run(self) -> None:
        delay_s = RECONNECT_MIN_S
        short = 0
        while not self._stopping.is_set():
            self._client = client = self._fresh_client()
            try:
                client.connect(
                    self._config.host, self._config.port, keepalive=self._config.keepalive_s
                )
                abandoned = self._stopping.is_set()
                # Unlike `loop_forever`, `loop` has the pair of sockets by which a `publish` in
                # another thread wakes it: a decision must not wait for the next second.
                # It ends with the connection, after a farewell too.
                self._greeted = False
                began_s = time.monotonic()
                while not abandoned and client.loop(1.0) == mqtt.MQTT_ERR_SUCCESS:
                    pass
                ended_soon = self._greeted and time.monotonic() - began_s < SHORT_S
                short = short + 1 if ended_soon and self.failure is None else 0
                if short == MANY_SHORT:
                    log.warning(
                        "the broker takes us, and lets us go at once, again and again; does "
                        "another client call itself %r, here or on another machine?",
                        self._client_id,
                    )
                if not self._greeted and not self._stopping.is_set():
                    self._failed(
                        "something accepts connections there, but does not answer as a broker",
                        "check mqtt.port, that it wants mqtt.tls, mqtt.cert_file and "
                        "mqtt.websocket_path as they are, and that it speaks MQTT 5",
                    )
            except ssl.SSLCertVerificationError as error:
                self._failed(
                    f"the broker's certificate is not trusted: {error.verify_message}",
                    "check mqtt.ca_file, that mqtt.host is the certificate's name, and the clock",
                )
            except mqtt.WebsocketConnectionError as error:
                self._failed(
                    f"no websocket is spoken there: {error}",
                    "check mqtt.port and mqtt.websocket_path",
                )
            except (OSError, ValueError) as error:
                self._failed(
                    f"cannot connect: {error}", "is the broker running, and its address right?"
                )
            if self.failure is None:
                delay_s = RECONNECT_MIN_S
            self._stopping.wait(delay_s)
            delay_s = min(2 * delay_s, RECONNECT_MAX_S)
        # Link and client hold each other by these. The garbage collector takes such rings apart in
        # any order, and may find the client's sockets still open.
        client = self._client
        client.on_connect = client.on_disconnect = client.on_message = None
        client.on_subscribe = client.on_publish = None

    def _fresh_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=mqtt.MQTTv5,
            transport="tcp" if self._config.websocket_path is None else "websockets",
            reconnect_on_failure=False,
        )
        if self._config.websocket_path is not None:
            client.ws_set_options(path=self._config.websocket_path)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_queued_messages_set(MAX_QUEUED)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._arrived
        client.on_subscribe = self._answered
        # Without a write callback, paho lets `publish` write to the socket from the caller's
        # thread, beside the network thread: two half-written packets would break the stream.
        client.on_socket_register_write = _left_to_the_network_thread
        client.on_publish = self._published
        if self._last_will is not None:
            client.will_set(self._last_will.topic, self._last_will.payload, qos=1, retain=True)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if self._config.user is not None:
            client.username_pw_set(self._config.user, self._password)
        return client

    def _failed(self, what: str, fix: str, *, refused: bool = False) -> None:
        error = BrokerError(
            what, where=f"{self._config.host}:{self._config.port}", fix=fix, refused=refused
        )
        # Only the first failure is news, not its repetitions.
        level = logging.WARNING if str(error) != str(self.failure or "") else logging.DEBUG
        log.log(level, "%s", error, extra=BROKER_FAILED())
        with self._changed:
            self.failure = error
            self._changed.notify_all()

    def _connected(
        self,
        client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._greeted = True
        if reason.is_failure:
            refusal = connect_refusal(reason.value)
            self._failed(
                f"the broker refused us: {refusal.what}{_in_its_words(properties)}",
                refusal.fix,
                refused=refusal.lasting,
            )
            return
        if self._subscriptions:
            asked = [(t, SubscribeOptions(qos=q)) for t, q in self._subscriptions]
            _, self._asked_first = client.subscribe(asked)
        where = self._config.host, self._config.port
        log.info("connected to the broker %s:%d", *where, extra=BROKER_CONNECTED())
        with self._changed:
            self.failure = None
            self._subscribed = not self._subscriptions
            self._changed.notify_all()
        if self._on_connected is not None:
            self._on_connected()

    def _answered(
        self,
        _client: mqtt.Client,
        _userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        if mid != self._asked_first:
            # What `hear` asked for; who waits for it in vain says so.
            return
        deaf = {}
        for (topic, _), reason in zip(self._subscriptions, reasons, strict=False):
            if reason.is_failure:
                refusal = subscribe_refusal(reason.value)
                what = f"the broker does not let us hear it: {refusal.what}"
                told = what + _in_its_words(properties)
                deaf[topic] = BrokerError(told, where=topic, fix=refusal.fix, refused=True)
                log.warning("%s", deaf[topic])
        with self._changed:
            self.deaf = deaf
            self._subscribed = True
            self._changed.notify_all()

    def _published(
        self,
        _client: mqtt.Client,
        _userdata: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        # The answer may have overtaken `_remember`, which then finds it here. Neither waits for
        # the other: paho holds a lock of its own around this.
        self._overtook[mid] = reason
        for old in list(self._overtook)[:-MAX_REMEMBERED]:
            self._overtook.pop(old, None)
        self._settle(mid, reason)

    def _settle(self, mid: int, reason: ReasonCode) -> None:
        """Count what the broker said of a message: once, in whichever thread takes its entry."""
        topic = self._sent.pop(mid, None)
        if topic is None:
            return
        self._overtook.pop(mid, None)
        with self._counting:
            if not reason.is_failure:
                self.refusing -= {topic}
                return
            self.refusing |= {topic}
            self.refused[topic] += 1
            self.publishes_refused += 1
            times = self.refused[topic]
        # The first refusal is news; a message of the same kind comes every few seconds.
        level = logging.WARNING if times == 1 else logging.DEBUG
        log.log(level, "the broker refused a message on %s (%s); check its ACL", topic, reason)

    def _disconnected(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        log.info("disconnected from the broker: %s", reason, extra=BROKER_LOST())
        self._subscribed = False
        if self._on_disconnected is not None:
            self._on_disconnected()

    def _arrived(self, _client: mqtt.Client, _userdata: object, message: Any) -> None:
        if self._on_message is None:
            return
        properties = message.properties
        arrival = Arrival(
            topic=message.topic,
            payload=bytes(message.payload),
            retained=bool(message.retain),
            response_topic=getattr(properties, "ResponseTopic", None),
            correlation=getattr(properties, "CorrelationData", None),
        )
        try:
            self._on_message(arrival)
        except Exception:
            # A bug in a consumer must not end this thread: it would look alive and be deaf.
            log.exception("could not handle a message on %s", arrival.topic)


def _in_its_words(properties: Properties | None) -> str:
    """What the broker itself says, if anything, and the other server that it names, if any."""
    said = (getattr(properties, name, "") for name in ("ReasonString", "ServerReference"))
    return "".join(f" ({text[:200]})" for text in said if text)


def _left_to_the_network_thread(_client: mqtt.Client, _userdata: object, _socket: object) -> None:
    """Nothing to do: the network thread is woken by paho itself."""


def _password(config: MqttConfig) -> str | None:
    if config.password_file is None:
        return None
    return read_password(config.password_file, "MQTT password")
