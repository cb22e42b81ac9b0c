"""From the keys of the PIN pad to whom the daemon looks for: a real kiosk, broker and desk."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from command_desk import serving
from command_samples import BEGINNING
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from wire_samples import TOPICS

from oneglance.access_config import AccessConfig, AttemptsConfig
from oneglance.audit.entry import Signer
from oneglance.audit.log import Audit
from oneglance.config import Config, KioskConfig, MqttConfig
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.messages import Factor, ServiceState, Status
from oneglance.contract.signing import create_signing_key, load_signing_key
from oneglance.daemon.access.entrance import Entrance
from oneglance.daemon.visit.decide import Verdict
from oneglance.daemon.voice.verbs import Verb
from oneglance.faces.gallery.credentials import Claimed, Credentials
from oneglance.faces.gallery.person import Person, Snapshot
from oneglance.kiosk_ui.app import KioskApp
from oneglance.kiosk_ui.client import KioskClient
from oneglance.kiosk_ui.pad_keys import Key
from oneglance.kiosk_ui.screen import Kind
from oneglance.kiosk_ui.words import CLAIMED, PIN_REFUSED, PIN_WAIT, WORDS
from oneglance.link import Link

Wait = Callable[[Callable[[], bool], str], None]
ENROLLED = datetime(2026, 1, 1, tzinfo=UTC)
PINS = {"ada": "271828", "bob": "314159265358"}
WRONG = "999999"
GALLERY = Snapshot(
    ("ada", "bob"),
    {"ada": "Ada", "bob": "Bob"},
    np.eye(2, dtype=np.float32),
    people={name: Person(name, name.title(), ENROLLED, ENROLLED, None, 1, ("m",)) for name in PINS},
)


class Reader:
    """The PINs of the house, without their file."""

    def __init__(self) -> None:
        self._credentials = Credentials.none()
        for person_id, pin in PINS.items():
            self._credentials = self._credentials.with_pin(person_id, ENROLLED, pin)

    def badge(self, number: str) -> Claimed:
        """Nobody has any."""
        return self._credentials.claimed_by_badge(number)

    def pin(self, pin: str) -> Claimed:
        """As the real one."""
        return self._credentials.claimed_by_pin(pin)


class House:
    """A kiosk's program without its window, and the daemon's desk, on one broker."""

    def __init__(self, config: Config, entrance: Entrance, wait: Wait) -> None:
        self._client = KioskClient(config)
        self.app = KioskApp(config, client=self._client)
        self.entrance = entrance
        self._wait = wait
        self.daemon = Link(config.mqtt, "daemon")
        self.daemon.start()
        self._client.start()
        wait(lambda: self.daemon.connected, "no connection")
        online = Status(issued_at=datetime.now(UTC), state=ServiceState.ONLINE, software="0.1.0")
        assert self.daemon.publish(TOPICS.status, online.to_payload(), qos=1, retain=True)
        self.shows(Kind.IDLE)

    def shows(self, kind: Kind, title: str = "") -> None:
        """Turn by turn, until the screen shows this."""

        def turned() -> bool:
            self.app.turn()
            screen = self.app.state.screen
            return screen.kind is kind and title in screen.title

        self._wait(turned, f"no {kind} {title}")

    def enter(self, pin: str) -> None:
        """Somebody types a PIN."""
        for key in (*pin, Key.SEND):
            self.app.press(key)

    def claimed(self) -> tuple[str, ...] | None:
        """Whom the daemon compares faces with; None if with everybody."""
        standing = self.entrance.turn(GALLERY)
        assert standing.gallery is not None
        return standing.gallery.person_ids if standing.claim is not None else None

    def refused(self, visit_id: str) -> None:
        """The face was not that person's."""
        claim = self.entrance.turn(GALLERY).claim
        assert claim is not None
        assert claim.factor is Factor.PIN
        self.entrance.concluded(Verdict(visit_id, None, -3.0, 2.0, "not_recognised"), claim)

    def tell(self) -> None:
        """The daemon tells its screens of claims and waits."""
        state = self.entrance.say(datetime.now(UTC))
        if state is not None:
            assert self.daemon.publish(TOPICS.access, state.to_payload(), qos=1)

    def close(self) -> None:
        """Stop both."""
        self._client.stop()
        self.daemon.stop()


@pytest.fixture(params=[Role.KIOSK])
def house(
    request: pytest.FixtureRequest,
    broker: MqttConfig,
    key_files: tuple[Path, Path],
    tmp_path: Path,
    wait_until: Wait,
) -> Iterator[House]:
    create_signing_key(tmp_path / "kiosk.key", tmp_path / "kiosk.pub")
    public = load_signing_key(tmp_path / "kiosk.key").public_key()
    ring = Keyring(keys=(entry("kiosk", request.param, public, BEGINNING),))
    kiosk = KioskConfig(public_key_file=key_files[1], key_file=tmp_path / "kiosk.key", pin_pad=True)
    config = Config(mqtt=broker, kiosk=kiosk)
    access = AccessConfig(attempts=AttemptsConfig(free=1, first_wait_s=20))
    signer = Signer.of(Ed25519PrivateKey.generate())
    log = Audit(tmp_path / "audit", lambda: datetime.now(UTC), signer=signer)
    entrance = Entrance(access, tmp_path / "attempts", Reader(), log, time.monotonic)
    verbs = {"claim": Verb(frozenset({Role.KIOSK, Role.READER}), entrance.claim)}
    with serving(broker, verbs, lambda: ring, tmp_path / "commands"):
        house = House(config, entrance, wait_until)
        yield house
        house.close()


def test_a_pin_claims_its_person_and_a_wrong_one_nobody_with_the_same_answer(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        shown = []
        # The second and third follow at once: the pad sends them as soon as the daemon takes them.
        for pin, person in ((PINS["bob"], ("bob",)), (WRONG, ()), (PINS["ada"], ("ada",))):
            house.enter(pin)
            house.shows(Kind.PIN_PAD)
            house.shows(Kind.LOOK_HERE)
            screen = house.app.state.screen
            shown.append((screen.title, screen.line))
            assert house.claimed() == person
    assert set(shown) == {(WORDS[Kind.LOOK_HERE][0], CLAIMED)}
    for secret in (*PINS.values(), WRONG):
        assert secret not in caplog.text
        assert secret not in repr(house.app.state)


def test_after_failures_the_pad_counts_down(house: House) -> None:
    for visit_id in ("v1", "v2"):
        house.enter(WRONG)
        house.shows(Kind.PIN_PAD)
        house.shows(Kind.LOOK_HERE)
        house.refused(visit_id)
    # Before the daemon has told its screens, the answer alone says it.
    house.enter(PINS["ada"])
    house.shows(Kind.PIN_PAD, PIN_WAIT[0])
    assert house.claimed() is None
    house.tell()
    house.shows(Kind.WAIT)
    assert re.fullmatch(r"\d+:\d\d", house.app.state.screen.left)


@pytest.mark.parametrize("house", [Role.ADMINISTRATOR], indirect=True)
def test_what_the_key_may_not_ask_is_said_at_the_pad(house: House) -> None:
    house.enter(PINS["ada"])
    house.shows(Kind.PIN_PAD, PIN_REFUSED[0])
    assert house.claimed() is None
