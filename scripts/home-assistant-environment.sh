#!/bin/sh
# An environment with Home Assistant's core and what its MQTT integration needs.
# Usage: home-assistant-environment.sh FOLDER [PYTHON]
#
# PYTHON (python3 if not given) is a 3.11, whose last release is 2024.3.3, or a 3.13, for 2025.2.5.
# Home Assistant fetches the packages of its parts itself when it first loads them; the test forbids
# that, so they stand here, in versions that fit. Without `josepy<2` the older one does not load.
set -eu
python=${2:-python3}
case $("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') in
3.11)
    set -- "$1" homeassistant==2024.3.3 'josepy<2' paho-mqtt==1.6.1 aiohttp_cors==0.7.0 \
        aiohttp-fast-url-dispatcher==0.3.0 aiohttp-zlib-ng==0.3.1 janus==1.0.0 numpy==1.26.0 \
        Pillow==10.2.0 PyTurboJPEG==1.7.1
    ;;
3.13)
    set -- "$1" homeassistant==2025.2.5 paho-mqtt==1.6.1 aiohttp_cors==0.7.0 janus==2.0.0 \
        numpy==2.2.6 Pillow==11.1.0 PyTurboJPEG==1.7.5 hassil==3.13.0 \
        home-assistant-intents==2026.11.25 mutagen==1.48.1 ha-ffmpeg==3.2.2 pymicro-vad==2.1.0 \
        pyspeex-noise==2.0.1 zeroconf==0.144.1
    ;;
*)
    echo "home-assistant-environment.sh: $python is neither 3.11 nor 3.13" >&2
    exit 2
    ;;
esac
folder=$1
shift
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
