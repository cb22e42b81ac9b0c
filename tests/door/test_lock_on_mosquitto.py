"""The lock on the shipped mosquitto configuration, each in its role."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from door_rig import Rig
from mosquitto_fixture import Mosquitto
from wire_samples import TOPICS, make_decision

from oneglance.config import Config
from oneglance.contract.messages import DoorState, parse
from oneglance.contract.signing import sign
from oneglance.link import Arrival, Link

Wait = Callable[..., None]


def test_the_lock_serves_over_tls_and_survives_its_broker(
    mosquitto: Mosquitto, door_config: Config, key_files: tuple[Path, Path], wait_until: Wait
) -> None:
    # Open for long enough that the broker dies meanwhile.
    door = door_config.door.model_copy(update={"pulse_s": 1.0})
    config = door_config.model_copy(update={"mqtt": mosquitto.mqtt("lock"), "door": door})
    rig = Rig(config, key_files[0])
    states: list[DoorState] = []

    def hear(arrival: Arrival) -> None:
        states.append(parse(arrival.payload, DoorState))

    admin = Link(
        mosquitto.mqtt("admin"), "ear", subscriptions=((TOPICS.door_state, 1),), on_message=hear
    )
    daemon = Link(mosquitto.mqtt("daemon"), "mouth")
    kiosk = Link(mosquitto.mqtt("kiosk"), "screen")
    for link in (admin, daemon, kiosk):
        link.start()
        assert link.wait_connected(60)
    rig.start_door()
    try:
        wait_until(lambda: [s.state for s in states] == ["locked"], "locked")
        # A kiosk that was taken over, with a stolen fresh decision: the broker stops it.
        kiosk.publish(TOPICS.decision, sign(make_decision(1), rig.key), qos=1)
        wait_until(lambda: kiosk.publishes_refused == 1, "refused")
        daemon.publish(TOPICS.decision, sign(make_decision(2), rig.key), qos=1)
        # It may have shut again before anybody looks.
        wait_until(lambda: "unlocked" in [s.state for s in states], "open")
        mosquitto.kill()
        wait_until(lambda: not rig.pin_active, "relocked by itself")
        wait_until(lambda: not admin.connected, "the broker is gone")
        states.clear()
        mosquitto.start()
        wait_until(lambda: [s.state for s in states] == ["locked"], "back, and says locked")
        wait_until(lambda: daemon.connected, "the daemon is back")
        daemon.publish(TOPICS.decision, sign(make_decision(3), rig.key), qos=1)
        wait_until(lambda: rig.opened == 2, "opens again")
    finally:
        rig.stop_door()
        for link in (admin, daemon, kiosk):
            link.stop()
    assert not rig.running
    assert not rig.pin_active
