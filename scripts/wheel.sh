#!/bin/sh
# Build the wheel from the tracked files, twice, in two folders, and keep it only if both are equal.
# usage: scripts/wheel.sh PYTHON FOLDER
set -eu
python=$1
out=$2
# The time of the last commit stands in the archive, instead of now.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for copy in one other; do
    mkdir -p "$work/$copy" "$work/$copy.out"
    git ls-files | tar -cf - --files-from - | tar -xf - -C "$work/$copy"
    "$python" -m build --wheel --outdir "$work/$copy.out" "$work/$copy" >/dev/null
done
wheel=$(basename "$work"/one.out/*.whl)
if ! cmp "$work/one.out/$wheel" "$work/other.out/$wheel"; then
    echo "the wheel is another each time it is built" >&2
    exit 1
fi
mkdir -p "$out"
cp "$work/one.out/$wheel" "$out"
echo "$out/$wheel"
