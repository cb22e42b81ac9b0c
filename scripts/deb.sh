#!/bin/sh
# Build a Debian 12 package of daemon, lock and badge reader, with all that they need from PyPI inside.
# usage: scripts/deb.sh PYTHON WHEEL FOLDER ARCHITECTURE
#
# ARCHITECTURE is amd64 or arm64; either machine builds both, as nothing is compiled. PYTHON has the
# `dev` extra. FOLDER gets the package and its bill of materials (CycloneDX).
set -eu
python=$1 wheel=$2 out=$3 architecture=$4
# Debian 12's own interpreter runs it.
version=3.11
case $architecture in
amd64) machine=x86_64 more='' ;;
# pip reads markers as of the machine it runs on, so what only a Raspberry Pi needs is named here.
arm64) machine=aarch64 more='lgpio>=0.2.2' ;;
*)
    echo "deb.sh: $architecture is neither amd64 nor arm64" >&2
    exit 2
    ;;
esac
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
# What Python compiles in passing bears the time of its source, which is changed below: it would be
# written anew at the first start, and dpkg would find it altered.
export PYTHONDONTWRITEBYTECODE=1
umask 022
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 0755 "$root"
number=$(basename "$wheel" | cut -d- -f2)
venv=$root/opt/oneglance/venv
packages=$venv/lib/python$version/site-packages

mkdir -p "$packages" "$venv/bin"
platforms="--platform manylinux2014_$machine"
# All that the C library of Debian 12, 2.36, can load.
for minor in 17 24 26 27 28 31 34 35 36; do
    platforms="$platforms --platform manylinux_2_${minor}_$machine"
done
# shellcheck disable=SC2086  # lists of words are meant
"$python" -m pip install --quiet --disable-pip-version-check --no-compile --target "$packages" \
    --only-binary :all: --python-version "$version" --implementation cp $platforms \
    "${wheel}[daemon,heif,door]" $more
# Their launchers begin with the path of the interpreter that built them; ours is below.
rm -rf "${packages:?}/bin"
# Says where the wheel lay that day.
find "$packages" -name direct_url.json -delete
cat >"$venv/pyvenv.cfg" <<TEXT
home = /usr/bin
include-system-site-packages = false
version = $version
executable = /usr/bin/python$version
TEXT
ln -s "/usr/bin/python$version" "$venv/bin/python"
ln -s python "$venv/bin/python3"
cat >"$venv/bin/oneglance" <<'TEXT'
#!/opt/oneglance/venv/bin/python
import sys

from oneglance.cli.start import main

if __name__ == "__main__":
    sys.exit(main())
TEXT
chmod 0755 "$venv/bin/oneglance"

share=$root/usr/share/oneglance
mkdir -p "$root/usr/bin" "$root/lib/systemd/system" "$root/usr/lib/sysusers.d" \
    "$root/usr/lib/tmpfiles.d" "$root/usr/lib/systemd/catalog" "$share/systemd" "$root/usr/share/doc/oneglance" \
    "$root/etc/default" "$root/DEBIAN"
ln -s /opt/oneglance/venv/bin/oneglance "$root/usr/bin/oneglance"
for unit in oneglance oneglance-door oneglance-reader oneglance-assistant; do
    install -m 0644 "$here/systemd/$unit.service" "$root/lib/systemd/system"
done
install -m 0644 "$here/systemd/sysusers.conf" "$root/usr/lib/sysusers.d/oneglance.conf"
install -m 0644 "$here/systemd/tmpfiles.conf" "$root/usr/lib/tmpfiles.d/oneglance.conf"
install -m 0644 "$here/systemd/oneglance.catalog" "$root/usr/lib/systemd/catalog"
(cd "$here/systemd" && git ls-files | grep -v '^debian/' | tar -cf - --files-from -) |
    tar -xf - -C "$share/systemd"
install -m 0644 "$here/LICENSE" "$root/usr/share/doc/oneglance/copyright"
install -m 0644 "$here/systemd/debian/default" "$root/etc/default/oneglance"
echo /etc/default/oneglance >"$root/DEBIAN/conffiles"
# So that the broker's part is made when mosquitto comes after us, in the same run or years later.
echo "interest-noawait /usr/sbin/mosquitto" >"$root/DEBIAN/triggers"
for script in preinst postinst prerm postrm; do
    install -m 0755 "$here/systemd/debian/$script" "$root/DEBIAN/$script"
done
cat >"$root/DEBIAN/control" <<TEXT
Package: oneglance
Version: $number
Architecture: $architecture
Maintainer: oneglance <oneglance@localhost>
Section: misc
Priority: optional
Installed-Size: $(du -sk "$root" | cut -f1)
Depends: python3 (>= $version), python3 (<< 3.12), systemd, openssl
Recommends: mosquitto
Description: Open face verification for a real door
 The daemon that watches a camera and publishes signed decisions, and the lock
 and badge reader that listen to it. /etc/default/oneglance says which of them
 this machine has.
TEXT
# What is inside, for whoever looks for a vulnerable version.
mkdir -p "$out"
"$python" -m cyclonedx_py environment "$venv/bin/python" --output-reproducible --of JSON \
    --output-file "$out/oneglance_${number}_$architecture.cdx.json" 2>/dev/null
find "$root" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
package=$out/oneglance_${number}_$architecture.deb
dpkg-deb --build --root-owner-group -Zzstd "$root" "$package" >/dev/null
echo "$package"
