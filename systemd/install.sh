#!/bin/sh
# Install oneglance as system services. Safe to run again: keys, passwords and configuration
# files that exist are never touched.
set -eu

usage() {
    cat <<'TEXT'
Usage: install.sh [options]

  --role ROLE     daemon, lock, kiosk, reader or broker; may be given several times
                  (default: daemon, lock and broker, all on this machine)
  --package SPEC  what pip installs: a wheel file or a requirement (default: this checkout)
  --venv DIR      use this environment, which has oneglance, instead of making one
  --site NAME     name of the house in MQTT topics (default: home)
  --door NAME     name of the door in MQTT topics (default: front)
  --host NAME     the broker's host name or address (default: 127.0.0.1)
  --camera SPEC   the daemon's camera: index, device, URL or file (default: 0)
  --prefix DIR    put everything below DIR and start nothing: to look at, or to package
  --uninstall     stop and remove services and program; keys, gallery and users stay
  --dry-run       only say what would be done
TEXT
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
roles='' package=${here%/*} venv='' site=home door=front host=127.0.0.1 camera=0 prefix='' dry=no uninstall=no

while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) dry=yes ;;
    --uninstall) uninstall=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    --role | --package | --venv | --site | --door | --host | --camera | --prefix)
        if [ $# -lt 2 ]; then
            echo "install.sh: $1 needs a value" >&2
            exit 2
        fi
        case $1 in
        --role) roles="$roles $2" ;;
        --package) package=$2 ;;
        --venv) venv=$2 ;;
        --site) site=$2 ;;
        --door) door=$2 ;;
        --host) host=$2 ;;
        --camera) camera=$2 ;;
        --prefix) prefix=${2%/} ;;
        esac
        shift
        ;;
    *)
        echo "install.sh: unknown option $1" >&2
        usage >&2
        exit 2
        ;;
    esac
    shift
done

roles=${roles:- daemon lock broker}
for role in $roles; do
    case $role in
    daemon | lock | kiosk | reader | broker) ;;
    *)
        echo "install.sh: unknown role $role" >&2
        exit 2
        ;;
    esac
done
for name in "$site" "$door" "$host"; do
    case $name in
    '' | *[!A-Za-z0-9._:-]*)
        echo "install.sh: '$name' cannot be a site, door or host" >&2
        exit 2
        ;;
    esac
done

has_role() {
    case " $roles " in *" $1 "*) return 0 ;; esac
    return 1
}

say() { echo "install.sh: $*"; }

fail() {
    say "$*" >&2
    exit 1
}

run() {
    if [ "$dry" = yes ]; then
        echo "would run: $*"
    else
        "$@"
    fi
}

# Only a real installation has users and running services; below a prefix there are just files.
live() { [ -z "$prefix" ]; }

# write_new FILE MODE: standard input becomes FILE, unless there is one.
write_new() {
    if [ -e "$1" ]; then
        say "kept: $1"
        cat >/dev/null
    elif [ "$dry" = yes ]; then
        echo "would write: $1 (mode $2)"
        cat >/dev/null
    else
        # Private from its first byte; it gets its name when it is whole.
        (umask 077 && cat >"$1.new")
        chmod "$2" "$1.new"
        mv "$1.new" "$1"
        say "wrote: $1"
    fi
}

random_word() { head -c 24 /dev/urandom | base64; }

etc=$prefix/etc/oneglance

case $camera in
*[\"\\]*) fail "'$camera' cannot be a camera" ;;
esac
if live && [ "$dry" = no ] && [ "$(id -u)" != 0 ]; then
    fail "run it as root, or look at it with --dry-run or --prefix"
fi

link=$prefix/usr/local/bin/oneglance

# Whether the link is of our making, and not somebody's own program or link.
link_is_ours() {
    case $(readlink "$link" || true) in */bin/oneglance) return 0 ;; esac
    return 1
}

if [ "$uninstall" = yes ]; then
    for unit in oneglance oneglance-door oneglance-kiosk oneglance-reader; do
        target=$prefix/etc/systemd/system/$unit.service
        [ -e "$target" ] || continue
        if live; then run systemctl disable --now "$unit.service"; fi
        run rm -f "$target"
    done
    if live; then run systemctl daemon-reload; fi
    if link_is_ours; then run rm -f "$link"; fi
    run rm -rf "$prefix/opt/oneglance/venv"
    run rm -f "$prefix/etc/sysusers.d/oneglance.conf" "$prefix/etc/tmpfiles.d/oneglance.conf"
    say "kept: keys, passwords and configuration in $etc, the gallery and the audit log in" \
        "$prefix/var/lib/oneglance, the broker's files in $prefix/etc/mosquitto"
    exit 0
fi
if has_role broker; then
    for program in openssl mosquitto_passwd; do
        command -v "$program" >/dev/null || [ "$dry" = yes ] ||
            fail "$program is missing: apt install mosquitto openssl"
    done
fi

# --- users and folders -----------------------------------------------------------------------
run install -d "$prefix/etc/sysusers.d" "$prefix/etc/tmpfiles.d" "$etc"
run install -m 0644 "$here/sysusers.conf" "$prefix/etc/sysusers.d/oneglance.conf"
run install -m 0644 "$here/tmpfiles.conf" "$prefix/etc/tmpfiles.d/oneglance.conf"
if live; then
    run systemd-sysusers /etc/sysusers.d/oneglance.conf
    run systemd-tmpfiles --create /etc/tmpfiles.d/oneglance.conf
fi

# --- the program -----------------------------------------------------------------------------
if [ -z "$venv" ]; then
    venv=/opt/oneglance/venv
    extras=''
    # People are enrolled on the daemon's machine, from an iPhone's photographs as well.
    if has_role daemon; then extras=$extras,daemon,heif; fi
    if has_role lock || has_role reader; then extras=$extras,door; fi
    if has_role kiosk; then extras=$extras,kiosk; fi
    if [ ! -x "$prefix$venv/bin/python" ]; then
        run python3 -m venv "$prefix$venv"
    fi
    if [ -n "$extras" ]; then
        run "$prefix$venv/bin/pip" install --quiet --upgrade "${package}[${extras#,}]"
    fi
    program=$prefix$venv/bin/oneglance
else
    program=$venv/bin/oneglance
fi
run install -d "$prefix/usr/local/bin"
if link_is_ours || { [ ! -e "$link" ] && [ ! -L "$link" ]; }; then
    run ln -sfn "$venv/bin/oneglance" "$link"
else
    say "kept: $link, which is not ours; the command is $venv/bin/oneglance"
fi

# --- secrets and configuration ---------------------------------------------------------------
mqtt_section() {
    cat <<TEXT
[mqtt]
host = "$host"
port = 8883
tls = true
ca_file = "ca.crt"
user = "oneglance-$1"
password_file = "credential:$1.password"
TEXT
}

site_section() {
    cat <<TEXT
[site]
name = "$site"
door = "$door"
TEXT
}

if has_role daemon; then
    if [ -e "$etc/signing.key" ] || [ -e "$etc/signing.key.cred" ]; then
        say "kept: $etc/signing.key (or encrypted, with .cred)"
    elif [ "$dry" = yes ]; then
        echo "would make: $etc/signing.pub, $etc/signing.key, $etc/gallery.key"
    else
        fresh=$(mktemp -d "$etc/.new.XXXXXX")
        "$program" init --dir "$fresh" --site "$site" --door "$door" >/dev/null
        # A gallery key that is there already opens the gallery that is there already.
        [ -e "$etc/gallery.key" ] || [ -e "$etc/gallery.key.cred" ] || mv "$fresh/gallery.key" "$etc/gallery.key"
        [ -e "$etc/keyring.json" ] || mv "$fresh/administrator.key" "$fresh/kiosk.key" \
            "$fresh/keyring.json" "$etc"
        mv "$fresh/signing.pub" "$etc/signing.pub"
        mv "$fresh/signing.key" "$etc/signing.key"
        rm -r "$fresh"
        say "made: $etc/signing.pub, $etc/signing.key, $etc/gallery.key"
    fi
    # A house from before there was a keyring: its locks and screens go on with signing.pub.
    if [ ! -e "$etc/keyring.json" ]; then
        run "$program" keys trust "$etc/signing.pub" --role daemon --id daemon \
            --keyring "$etc/keyring.json"
        for who in administrator kiosk; do
            run "$program" keys make "$who" --keyring "$etc/keyring.json"
        done
    fi
    if has_role reader && [ ! -e "$etc/reader.key" ]; then
        run "$program" keys make reader --keyring "$etc/keyring.json"
    fi
    case $camera in
    *[!0-9]*) camera="\"$camera\"" ;;
    esac
    # Not for everybody: a camera's URL may carry its password.
    write_new "$etc/oneglance.toml" 0640 <<TEXT
# The daemon. All keys: docs/configuration.md.
# \`credential:NAME\` is what systemd passes to the service, for root the file NAME beside this.
$(site_section)

$(mqtt_section daemon)

[signing]
key_file = "credential:signing.key"
sequence_file = "/var/lib/oneglance/sequence"

[commands]
keyring_file = "keyring.json"

[gallery]
path = "/var/lib/oneglance/gallery.db"
key_file = "credential:gallery.key"

[[camera]]
name = "$door"
source = $camera
TEXT
    if live; then run chown root:oneglance "$etc/oneglance.toml"; fi
fi
if has_role lock; then
    write_new "$etc/door.toml" 0644 <<TEXT
# The lock. All keys: docs/configuration.md; wiring: docs/lock.md.
$(site_section)

$(mqtt_section lock)

[door]
public_key_file = "keyring.json"
state_file = "/var/lib/oneglance-door/sequence"
pin = "GPIO17"
pin_factory = "auto"
pulse_s = 3.0
TEXT
fi
if has_role kiosk; then
    write_new "$etc/kiosk.toml" 0644 <<TEXT
# The screen at the door. All keys: docs/configuration.md.
$(site_section)

$(mqtt_section kiosk)

[kiosk]
public_key_file = "keyring.json"
key_file = "credential:kiosk.key"
# pin_pad = true    # with a touch screen: PINs can be entered at it
TEXT
fi

if has_role reader; then
    write_new "$etc/reader.toml" 0644 <<TEXT
# The badge reader. All keys: docs/configuration.md; wiring: docs/access.md.
$(site_section)

$(mqtt_section reader)

[reader]
kind = "wedge"
# device = "/dev/input/by-id/..."
key_file = "credential:reader.key"
TEXT
fi

# --- the broker ------------------------------------------------------------------------------
if has_role broker; then
    mosquitto=$prefix/etc/mosquitto/oneglance
    run install -d "$prefix/etc/mosquitto/conf.d"
    run install -d -m 0750 "$mosquitto"
    for who in daemon lock kiosk reader admin; do
        random_word | write_new "$etc/$who.password" 0600
    done
    random_word | write_new "$etc/homeassistant.password" 0600
    write_new "$etc/admin.toml" 0644 <<TEXT
# For the administrator: sudo oneglance watch -c /etc/oneglance/admin.toml, and
# sudo oneglance command reload -c /etc/oneglance/admin.toml
$(site_section)

$(mqtt_section admin)

[commands]
key_file = "administrator.key"

[door]
public_key_file = "keyring.json"
TEXT
    if [ ! -e "$etc/ca.crt" ]; then
        case $host in
        *[!0-9.]*) name="DNS:$host" ;;
        *) name="IP:$host" ;;
        esac
        run sh "$here/mosquitto/certificates.sh" "$etc" "$mosquitto" "$name"
    fi
    run install -m 0644 "$here/mosquitto/oneglance.conf" "$prefix/etc/mosquitto/conf.d/"
    run install -m 0600 "$here/mosquitto/acl" "$mosquitto/acl"
    if [ "$dry" = yes ]; then
        echo "would write: $mosquitto/passwords (hashed, mode 0600)"
    else
        (
            umask 077
            for who in daemon lock kiosk reader admin; do
                echo "oneglance-$who:$(cat "$etc/$who.password")"
            done >"$mosquitto/passwords.new"
            echo "homeassistant:$(cat "$etc/homeassistant.password")" >>"$mosquitto/passwords.new"
            mosquitto_passwd -U "$mosquitto/passwords.new"
            mv "$mosquitto/passwords.new" "$mosquitto/passwords"
        )
    fi
    if live; then
        run chown -R mosquitto:mosquitto "$mosquitto"
        run systemctl enable mosquitto.service
        run systemctl restart mosquitto.service
    fi
else
    for role in $roles; do
        key=''
        case $role in kiosk | reader) key=$role.key ;; esac
        for file in ca.crt "$role.password" keyring.json $key; do
            [ -e "$etc/$file" ] ||
                say "still needed: $etc/$file, copied from the machine of the broker and daemon"
        done
    done
fi

# --- services --------------------------------------------------------------------------------
units=''
if has_role daemon; then units="$units oneglance.service"; fi
if has_role lock; then units="$units oneglance-door.service"; fi
if has_role kiosk; then units="$units oneglance-kiosk.service"; fi
if has_role reader; then units="$units oneglance-reader.service"; fi
run install -d "$prefix/etc/systemd/system"
for unit in $units; do
    target=$prefix/etc/systemd/system/$unit
    run install -m 0644 "$here/$unit" "$target"
    if [ "$venv" != /opt/oneglance/venv ]; then
        run sed -i "s#/opt/oneglance/venv#$venv#g" "$target"
    fi
done
if live; then
    run systemctl daemon-reload
    for unit in $units; do
        run systemctl enable "$unit"
        run systemctl restart "$unit"
    done
fi
if has_role daemon; then say "to check it: oneglance doctor -c /etc/oneglance/oneglance.toml"; fi
if has_role lock; then say "to check it: oneglance doctor -c /etc/oneglance/door.toml"; fi
if has_role kiosk; then say "to check it: oneglance doctor -c /etc/oneglance/kiosk.toml"; fi
if has_role reader; then
    say "to check it: stop oneglance-reader, then oneglance reader --learn -c /etc/oneglance/reader.toml"
fi
say "done"
