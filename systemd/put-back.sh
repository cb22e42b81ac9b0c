#!/bin/sh
# Program and units as they were before an upgrade that did not come to its end.
# usage: put-back.sh [PREFIX]
#
# install.sh --upgrade lays it beside the units that it keeps, and calls it where the new version
# does not become ready. If the power goes meanwhile, oneglance-put-back.service calls it at the next
# start, before the door's services. It may be cut off itself, and run again.
set -eu
kept=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) prefix=${1:-}
opt=${kept%/*} units=$prefix/etc/systemd/system
# The former environment and the new one.
former='' fresh=''
# shellcheck disable=SC1091  # install.sh has written it
. "$kept/names"

if [ -n "$former" ] && [ -x "$opt/$former/bin/python" ]; then
    ln -sfn "$former" "$opt/.venv.new"
    mv -T "$opt/.venv.new" "$opt/venv"
    for file in "$kept"/*.service; do
        cp -p "$file" "$units/.oneglance.new"
        mv "$units/.oneglance.new" "$units/${file##*/}"
    done
fi
if [ -z "$prefix" ]; then
    systemctl daemon-reload
    sync
fi
rm -f "$units/multi-user.target.wants/oneglance-put-back.service" \
    "$units/oneglance-put-back.service"
rm -f "$kept/put-back.sh"
if [ -n "$fresh" ]; then rm -rf "${opt:?}/$fresh"; fi
rm -rf "$kept"
echo "oneglance: an upgrade did not come to its end; the former version is back"
