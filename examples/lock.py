"""A lock in a few lines: it opens for a fresh, signed decision about its own door, once.

    pip install oneglance-*.whl paho-mqtt     # the wheel that `make wheel` leaves in dist/
    python lock.py BROKER PORT SITE DOOR signing.pub memory

It ends when the broker is lost; let systemd start it again. `oneglance door` is the grown-up one.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt

from oneglance.contract.gate import Gate
from oneglance.contract.messages import Outcome
from oneglance.contract.signing import load_public_key
from oneglance.contract.topics import Topics
from oneglance.errors import MessageError
from oneglance.number_file import read_number, write_number

host, port, site, door, key, memory = sys.argv[1:]
gate = Gate(
    Topics(site, door),
    load_public_key(Path(key)),
    wall=lambda: datetime.now(UTC),
    monotonic_s=time.monotonic,
    require_liveness=True,
    last_sequence=read_number(Path(memory)),
)


def decided(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
    try:
        decision = gate.admit(message.payload, retained=message.retain)
    except MessageError as error:
        print("refused:", error, flush=True)
        return
    write_number(Path(memory), decision.sequence)  # on disk first: a restart opens nothing twice
    if decision.outcome is Outcome.ACCEPTED and gate.is_fresh(decision):
        print("open", flush=True)  # your relay here: a pulse, never a state


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
# client.tls_set("ca.crt"); client.username_pw_set("front-lock", "its password")
client.on_message = decided
client.on_connect = lambda *_: client.subscribe(gate.topics.decision, qos=1)
client.on_subscribe = lambda *_: print("listening", flush=True)
client.connect(host, int(port), keepalive=10)
while client.loop(0.5) == mqtt.MQTT_ERR_SUCCESS:
    gate.tick()  # notices a clock that was set, after which nothing is fresh for a while
sys.exit("the broker is gone")
