"""A lock in its own thread, its mock pin, and an ear on its topics."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from gpiozero.pins.mock import MockFactory
from wire_samples import TOPICS, make_decision

from oneglance.config import Config
from oneglance.contract.messages import Decision, DoorState, parse
from oneglance.contract.signing import load_signing_key, sign
from oneglance.door.app import DoorApp
from oneglance.link import Arrival, Link


class Rig:
    """One lock in its own thread, its pin, and an ear on its topics."""

    def __init__(self, config: Config, signing_key: Path, **clocks: Callable[[], Any]) -> None:
        self.config = config
        self.key = load_signing_key(signing_key)
        self.factory = MockFactory()
        self.states: list[DoorState] = []
        self.error: BaseException | None = None
        self.app = DoorApp(config, factory=self.factory, **clocks)
        self._thread = threading.Thread(target=self._run)
        self.daemon = Link(
            config.mqtt,
            f"test-{uuid.uuid4().hex[:8]}",
            subscriptions=((TOPICS.door_state, 1),),
            on_message=self._heard,
        )

    def _run(self) -> None:
        try:
            self.app.run()
        except Exception as error:
            self.error = error

    def _heard(self, arrival: Arrival) -> None:
        if arrival.payload:
            self.states.append(parse(arrival.payload, DoorState))

    def start(self) -> None:
        self.daemon.start()
        assert self.daemon.wait_connected(60)
        self.start_door()

    def start_door(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stop_door()
        assert not self._thread.is_alive()
        self.daemon.stop()

    def stop_door(self) -> None:
        self.app.stop()
        self._thread.join(20)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def opened(self) -> int:
        """How often the pin became active since it was taken."""
        levels = [state.state for state in self.factory.pin("GPIO17").states]
        return sum(now and not before for before, now in pairwise(levels))

    @property
    def pin_active(self) -> bool:
        pin = self.factory.pin("GPIO17")
        return bool(pin.function == "output" and pin.state)

    def said(self) -> list[str]:
        return [str(state.state) for state in self.states]

    @property
    def opened_for(self) -> list[str]:
        """The events that opened the lock, as it said itself; an extended pulse counts too."""
        return [state.cause for state in self.states if state.state == "unlocked"]

    def send(self, payload: bytes, *, retain: bool = False) -> None:
        # The link refuses more than a few unacknowledged messages at once.
        deadline = time.monotonic() + 20
        while not self.daemon.publish(TOPICS.decision, payload, qos=1, retain=retain):
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def decide(self, sequence: int, **changes: Any) -> Decision:
        decision = make_decision(sequence, **changes)
        self.send(sign(decision, self.key))
        return decision
