"""A badge system that says whose badge was shown: the daemon then looks for that face alone.

    oneglance keys make reader --id turnstile     # at the daemon's; take turnstile.key along
    pip install oneglance-*.whl paho-mqtt         # the wheel that `make wheel` leaves in dist/
    echo 04A2B7C1 | python badge.py BROKER PORT SITE DOOR turnstile.key

One number a line on standard input, from whatever reads your badges.
"""

import sys
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes

from oneglance.contract.commands import COMMAND_LIFE, CommandWriter
from oneglance.contract.signing import load_signing_key
from oneglance.contract.topics import Topics

host, port, site, door, key = sys.argv[1:]
topics = Topics(site, door)
writer = CommandWriter(topics, Path(key).stem, load_signing_key(Path(key)))
properties = mqtt.Properties(PacketTypes.PUBLISH)
properties.MessageExpiryInterval = int(COMMAND_LIFE.total_seconds())  # never delivered late

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
# client.tls_set("ca.crt"); client.username_pw_set("turnstile", "its password")
client.connect(host, int(port))
client.loop_start()
for number in map(str.strip, sys.stdin):
    claim = writer.write("claim", badge=number.upper())
    client.publish(topics.command("claim"), claim, qos=1, properties=properties).wait_for_publish()
client.disconnect()
client.loop_stop()
