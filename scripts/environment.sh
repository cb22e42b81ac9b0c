#!/bin/sh
# Make the virtual environment FOLDER and install oneglance from this checkout with EXTRA into it.
# usage: scripts/environment.sh FOLDER EXTRA
set -eu
folder=$1
extra=$2
python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null 2>&1; then
    sh scripts/debian-packages.sh python3 python3-venv
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "oneglance needs Python 3.11 or newer; this is $("$python" --version)." >&2
    echo "Name another one: make PYTHON=python3.12 ..." >&2
    exit 1
fi
if [ ! -x "$folder/bin/python" ]; then
    "$python" -c 'import ensurepip' 2>/dev/null || sh scripts/debian-packages.sh python3-venv
    echo "Making the environment $folder"
    "$python" -m venv "$folder"
fi
echo "Installing oneglance[$extra]"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extra]"
