#!/bin/sh
# An environment with Home Assistant's core and what its MQTT integration needs: the last release for
# Python 3.11. Usage: home-assistant-environment.sh FOLDER
#
# Home Assistant fetches the packages of its parts itself when it first loads them; the test forbids
# that, so they stand here, in the versions that this release names. Without `josepy<2` it does not load.
set -eu

python3 -m venv "$1"
"$1/bin/python" -m pip install --quiet --disable-pip-version-check homeassistant==2024.3.3 \
    'josepy<2' paho-mqtt==1.6.1 aiohttp_cors==0.7.0 aiohttp-fast-url-dispatcher==0.3.0 \
    aiohttp-zlib-ng==0.3.1 janus==1.0.0 numpy==1.26.0 Pillow==10.2.0 PyTurboJPEG==1.7.1
