#!/bin/sh
# Install oneglance as system services, upgrade it, or remove it. Safe to run again: keys, passwords
# and configuration files that exist are never touched.
set -eu

usage() {
    cat <<'TEXT'
Usage: install.sh [options]

  --role ROLE     daemon, lock, kiosk, reader, assistant (for Home Assistant) or broker; may be given
                  several times
                  (default: daemon, lock and broker, all on this machine)
  --package SPEC  what pip installs: a wheel file or a requirement (default: this checkout)
  --venv DIR      use this environment, which has oneglance, instead of making one
  --instance      a further door on this machine, named by --door: units oneglance@DOOR and
                  oneglance-door@DOOR (oneglance-assistant@DOOR where asked for), its configuration
                  and keys in /etc/oneglance/DOOR
  --site NAME     name of the house in MQTT topics (default: home)
  --door NAME     name of the door in MQTT topics (default: front)
  --host NAME     the broker's host name or address (default: 127.0.0.1)
  --camera SPEC   the daemon's camera: index, device, URL or file (default: 0)
  --packaged      a Debian package has brought program, units and users' files: make the rest, or
                  with --uninstall stop all of it; for the package's own scripts
  --prefix DIR    put everything below DIR and start nothing: to look at, or to package
  --upgrade       install --package beside what runs, then restart on it what was running; if a
                  service does not become ready, the former version is put back (exit code 1)
  --uninstall     stop and remove services and program; keys, gallery and users stay. With
                  --instance only the services of the further door named by --door
  --purge         with --uninstall: remove configuration, keys, gallery, audit log, users and the
                  broker's files as well; with --instance those of that door. Nothing brings them
                  back
  --dry-run       only say what would be done
TEXT
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
roles='' package=${here%/*} venv='' site=home door=front host=127.0.0.1 camera=0 prefix='' dry=no
uninstall=no purge=no upgrade=no instance=no packaged=no

while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) dry=yes ;;
    --uninstall) uninstall=yes ;;
    --purge) purge=yes ;;
    --upgrade) upgrade=yes ;;
    --instance) instance=yes ;;
    --packaged) packaged=yes venv=/opt/oneglance/venv ;;
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

if [ "$purge" = yes ] && [ "$uninstall" = no ]; then
    echo "install.sh: --purge goes with --uninstall" >&2
    exit 2
fi
if [ "$uninstall" = yes ] && [ -n "$roles" ]; then
    echo "install.sh: --uninstall removes every role; to end one: systemctl disable --now UNIT" >&2
    exit 2
fi
if [ "$instance" = yes ]; then
    # One broker serves all doors of the machine, and a screen or reader has one seat.
    roles=${roles:- daemon lock}
    for role in $roles; do
        case $role in
        kiosk | reader | broker)
            echo "install.sh: --instance makes a daemon, a lock or an assistant, no $role" >&2
            exit 2
            ;;
        esac
    done
    case $door in
    .* | -* | *[!A-Za-z0-9._-]*)
        echo "install.sh: '$door' cannot be an instance" >&2
        exit 2
        ;;
    esac
fi
roles=${roles:- daemon lock broker}
for role in $roles; do
    case $role in
    daemon | lock | kiosk | reader | assistant | broker) ;;
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

house=$prefix/etc/oneglance
etc=$house
if [ "$instance" = yes ]; then etc=$house/$door; fi
units=$prefix/etc/systemd/system
undo=oneglance-put-back.service
catalog=$prefix/usr/local/lib/systemd/catalog
opt=$prefix/opt/oneglance

case $camera in
*[\"\\]*) fail "'$camera' cannot be a camera" ;;
esac
if live && [ "$dry" = no ] && [ "$(id -u)" != 0 ]; then
    fail "run it as root, or look at it with --dry-run or --prefix"
fi

if live && [ "$here" = /usr/share/oneglance/systemd ]; then
    if [ "$packaged" = no ] && [ "$instance" = no ] && [ "$uninstall$upgrade" != nono ]; then
        fail "it came as a Debian package: apt remove oneglance, apt purge oneglance, or apt install" \
            "./oneglance_VERSION_ARCHITECTURE.deb"
    fi
    packaged=yes venv=/opt/oneglance/venv
elif live && [ -e /usr/share/oneglance/systemd/install.sh ]; then
    fail "oneglance is here as a Debian package; use /usr/share/oneglance/systemd/install.sh"
fi

link=$prefix/usr/local/bin/oneglance

# Whether the link is of our making, and not somebody's own program or link.
link_is_ours() {
    case $(readlink "$link" || true) in */bin/oneglance) return 0 ;; esac
    return 1
}

# Names of the units of ours that are installed, a line each; of templates the instances in use.
installed_units() {
    if [ "$packaged" = yes ]; then
        printf '%s.service\n' oneglance oneglance-door oneglance-reader oneglance-assistant
    fi
    for file in "$units"/oneglance.service "$units"/oneglance-door.service \
        "$units"/oneglance-kiosk.service "$units"/oneglance-reader.service \
        "$units"/oneglance-assistant.service \
        "$units"/*.wants/oneglance@*.service "$units"/*.wants/oneglance-door@*.service \
        "$units"/*.wants/oneglance-assistant@*.service; do
        if [ -e "$file" ] || [ -L "$file" ]; then echo "${file##*/}"; fi
    done
}

# place_unit FILE SCRIPT...: standard input, edited by sed, becomes a unit in one step: systemd takes
# an empty file, which is what a power cut may leave of another, for a unit that is not to run.
place_unit() {
    target=$units/$1
    shift
    if [ "$venv" != /opt/oneglance/venv ]; then
        set -- "$@" -e "s#/opt/oneglance/venv#$venv#g"
    fi
    if [ "$dry" = yes ]; then
        echo "would write: $target"
        cat >/dev/null
        return 0
    fi
    sed -e '' "$@" >"$target.new"
    chmod 0644 "$target.new"
    mv "$target.new" "$target"
}

# A service per door where a machine has several: the plain unit, with %i in its names.
install_template() {
    case $1 in
    oneglance) folder=oneglance-doors ;;
    oneglance-door) folder=oneglance-locks ;;
    # It keeps nothing.
    oneglance-assistant) folder='' ;;
    esac
    place_unit "$1@.service" \
        -e 's#^\(Description=.*\)#\1 of %i#' \
        -e 's#/etc/oneglance/#/etc/oneglance/%i/#g' \
        -e "s#^StateDirectory=.*#StateDirectory=$folder/%i#" \
        -e 's#^RuntimeDirectory=.*#&/%i#' \
        -e 's#=/run/oneglance-door$#&/%i#' <"$here/$1.service"
}

# install_unit NAME: the plain unit, or with --instance its template.
install_unit() {
    if [ "$instance" = yes ]; then
        install_template "$1"
    else
        place_unit "$1.service" <"$here/$1.service"
    fi
}

install_users() {
    if [ "$packaged" = no ]; then
        run install -d "$prefix/etc/sysusers.d" "$prefix/etc/tmpfiles.d" "$house"
        run install -m 0644 "$here/sysusers.conf" "$prefix/etc/sysusers.d/oneglance.conf"
        run install -m 0644 "$here/tmpfiles.conf" "$prefix/etc/tmpfiles.d/oneglance.conf"
        run install -D -m 0644 "$here/oneglance.catalog" "$catalog/oneglance.catalog"
    fi
    if live; then
        run systemd-sysusers oneglance.conf
        run systemd-tmpfiles --create oneglance.conf
        run journalctl --update-catalog
    fi
}

# extras_of ROLE...: what pip is asked for beside the package itself.
extras_of() {
    wanted=''
    for one in "$@"; do
        case $one in
        # People are enrolled on the daemon's machine, from an iPhone's photographs as well.
        daemon) wanted=$wanted,daemon,heif ;;
        lock | reader | assistant) case $wanted in *,door*) ;; *) wanted=$wanted,door ;; esac ;;
        kiosk) wanted=$wanted,kiosk ;;
        esac
    done
    echo "${wanted#,}"
}

# Make PATH, from now on, the program that the units call; in one step.
use_environment() {
    run ln -sfn "$1" "$opt/.venv.new"
    run mv -T "$opt/.venv.new" "$opt/venv"
}

# What an upgrade that was cut off has left: undone if that was not done at a start of the machine,
# and taken away, which nobody else would do. Only one run at a time may do that.
sweep() {
    [ -d "$opt" ] && [ "$dry" = no ] || return 0
    exec 9>"$opt/.lock"
    flock --nonblock 9 || fail "another install.sh is at work in $opt"
    if [ -L "$units/multi-user.target.wants/$undo" ]; then
        for left in "$opt"/units.*/put-back.sh; do
            if [ -e "$left" ]; then sh "$left" "$prefix"; fi
        done
        for unit in $(installed_units); do
            if live; then timeout 120 systemctl try-restart "$unit" || say "$unit is not ready"; fi
        done
    fi
    rm -f "$units/$undo"
    used=$(readlink -f "$opt/venv" || true)
    for left in "$opt"/venv.* "$opt"/units.*; do
        if [ -e "$left" ] && [ "${left##*/}" != "${used##*/}" ]; then
            rm -rf "$left"
            say "removed: $left, which an upgrade that was cut off had left"
        fi
    done
}

# ready UNIT: whether it says READY and then goes on for some seconds without a fall.
ready() {
    # A unit that is started again and again keeps the job waiting.
    timeout 120 systemctl restart "$1" || return 1
    falls=$(systemctl show -p NRestarts --value "$1")
    sleep 5
    systemctl is-active --quiet "$1" && [ "$(systemctl show -p NRestarts --value "$1")" = "$falls" ]
}

# withdraw STATE FOLDER: while the program is there, else Home Assistant would go on showing a door
# that is gone.
withdraw() {
    [ -e "$1/home-assistant" ] || return 0
    run "${venv:-$opt/venv}/bin/oneglance" home-assistant remove -c "$2/oneglance.toml" ||
        say "Home Assistant still shows $2: the broker did not take that back"
}

# The same of the button, lock and camera; below a prefix nothing was ever announced.
withdraw_assistant() {
    [ -e "$1/assistant.toml" ] || return 0
    if live || [ "$dry" = yes ]; then
        run "${venv:-$opt/venv}/bin/oneglance" assistant --withdraw -c "$1/assistant.toml" ||
            say "Home Assistant still shows what $1 let it ask for: the broker did not take that back"
    fi
}

if [ "$uninstall" = yes ] && [ "$instance" = yes ]; then
    state=$prefix/var/lib/oneglance-doors/$door lock_state=$prefix/var/lib/oneglance-locks/$door
    # A name mistyped must not look as if that door were gone.
    [ -d "$etc" ] || [ -d "$state" ] || [ -d "$lock_state" ] ||
        fail "there is no further door '$door' on this machine"
    for unit in "oneglance@$door.service" "oneglance-door@$door.service" \
        "oneglance-assistant@$door.service"; do
        if live && [ -n "$(find "$units" -name "$unit" -print -quit)" ]; then
            run systemctl disable --now "$unit" || say "could not be stopped: $unit"
        fi
    done
    withdraw "$state" "$etc"
    withdraw_assistant "$etc"
    if [ "$purge" = no ]; then
        say "kept: keys and configuration in $etc, the gallery and the audit log in $state"
        exit 0
    fi
    for folder in "$etc" "$state" "$lock_state" "$units/oneglance@$door.service.d" \
        "$units/oneglance-door@$door.service.d" "$units/oneglance-assistant@$door.service.d"; do
        run rm -rf "$folder"
    done
    if live; then run systemctl daemon-reload; fi
    say "removed: the door '$door'; program, broker and other doors are as they were"
    exit 0
fi

if [ "$uninstall" = yes ]; then
    for unit in $(installed_units); do
        if live; then run systemctl disable --now "$unit" || say "could not be stopped: $unit"; fi
        if [ "$packaged" = no ]; then run rm -f "$units/$unit"; fi
    done
    run rm -f "$units/oneglance@.service" "$units/oneglance-door@.service" \
        "$units/oneglance-assistant@.service" "$units/multi-user.target.wants/$undo" "$units/$undo"
    if live; then run systemctl daemon-reload; fi
    withdraw "$prefix/var/lib/oneglance" "$house"
    for folder in "$house" "$house"/*; do withdraw_assistant "$folder"; done
    for folder in "$prefix"/var/lib/oneglance-doors/*; do withdraw "$folder" "$house/${folder##*/}"; done
    if [ "$packaged" = yes ]; then exit 0; fi
    if link_is_ours; then run rm -f "$link"; fi
    run rm -rf "$opt"
    run rm -f "$prefix/etc/sysusers.d/oneglance.conf" "$prefix/etc/tmpfiles.d/oneglance.conf" \
        "$catalog/oneglance.catalog"
    if live; then run journalctl --update-catalog; fi
    if [ "$purge" = no ]; then
        say "kept: keys, passwords and configuration in $house, the gallery and the audit log in" \
            "$prefix/var/lib/oneglance, the broker's files in $prefix/etc/mosquitto"
        exit 0
    fi
    for folder in "$house" "$prefix/var/lib/oneglance" "$prefix/var/lib/oneglance-door" \
        "$prefix/var/lib/oneglance-kiosk" "$prefix/var/lib/oneglance-doors" \
        "$prefix/var/lib/oneglance-locks" "$prefix/etc/mosquitto/oneglance"; do
        run rm -rf "$folder"
    done
    for unit in oneglance oneglance-door oneglance-kiosk oneglance-reader oneglance-assistant; do
        run rm -rf "$units/$unit.service.d" "$units/$unit@"*.service.d
    done
    if [ -e "$prefix/etc/mosquitto/conf.d/oneglance.conf" ]; then
        run rm -f "$prefix/etc/mosquitto/conf.d/oneglance.conf"
        # Whatever else this broker serves goes on; it may be gone already.
        if live; then run systemctl try-restart mosquitto.service || true; fi
    fi
    if live; then
        for user in oneglance oneglance-door oneglance-kiosk oneglance-reader oneglance-assistant; do
            if id "$user" >/dev/null 2>&1; then run userdel "$user"; fi
        done
    fi
    say "removed: all that it had put on this machine"
    exit 0
fi

# From here on, whatever happens: a start of the machine finds the former program and units, until
# `trust_it`. All that is needed for it must be on the disk before the first change.
keep_former() {
    cp -p "$units"/oneglance*.service "$here/put-back.sh" "$kept"
    echo "former=${former##*/} fresh=${fresh##*/}" >"$kept/names"
    before=$(echo "$found" | tr '\n' ' ')
    place_unit "$undo" <<TEXT
[Unit]
Description=oneglance: an upgrade that was cut off is taken back
Before=$before
ConditionPathExists=${kept#"$prefix"}/put-back.sh

[Service]
Type=oneshot
ExecStart=/bin/sh ${kept#"$prefix"}/put-back.sh
TEXT
    if live; then sync; fi
    install -d "$units/multi-user.target.wants"
    ln -sfn "../$undo" "$units/multi-user.target.wants/$undo"
    if live; then sync; fi
}

# The new version is the one that starts with the machine.
trust_it() {
    rm -f "$units/multi-user.target.wants/$undo" "$units/$undo"
    # Before anything of the former one is taken away.
    if live; then sync; fi
}

# The end of an upgrade that failed: program and units as they were. Nobody may be there to read.
put_back() {
    trap '' HUP INT TERM
    sh "$kept/put-back.sh" "$prefix" >&2 || true
    for unit in $running; do
        timeout 120 systemctl restart "$unit" || say "$unit is not ready" >&2 || true
    done
    say "the former version runs again" >&2 || true
    exit 1
}

if [ "$upgrade" = yes ]; then
    venv=/opt/oneglance/venv
    [ -x "$opt/venv/bin/python" ] || fail "nothing is installed in $opt; run it without --upgrade"
    found=$(installed_units)
    [ -n "$found" ] || fail "no unit is installed; run it without --upgrade"
    asked='' running=''
    for unit in $found; do
        case $unit in
        oneglance.service | oneglance@*) asked="$asked daemon" ;;
        oneglance-door*) asked="$asked lock" ;;
        oneglance-kiosk.service) asked="$asked kiosk" ;;
        oneglance-reader.service) asked="$asked reader" ;;
        oneglance-assistant*) asked="$asked assistant" ;;
        esac
        if live && systemctl is-active --quiet "$unit"; then running="$running $unit"; fi
    done
    if [ "$dry" = yes ]; then
        echo "would install $package beside $opt/venv, then restart:$running"
        exit 0
    fi
    sweep
    former=$(readlink -f "$opt/venv")
    if [ ! -L "$opt/venv" ]; then
        # Made by an older install.sh: a folder where a link belongs.
        former=$(mktemp -d "$opt/venv.XXXXXX")
        mv -T "$opt/venv" "$former"
        ln -s "${former##*/}" "$opt/venv"
    fi
    fresh=$(mktemp -d "$opt/venv.XXXXXX")
    chmod 0755 "$fresh"
    kept=$(mktemp -d "$opt/units.XXXXXX")
    trap 'rm -rf "$fresh" "$kept"' EXIT
    trap 'exit 1' HUP INT TERM
    # shellcheck disable=SC2086  # a list of words is meant
    if ! { python3 -m venv "$fresh" &&
        "$fresh/bin/pip" install --quiet "${package}[$(extras_of $asked)]" &&
        "$fresh/bin/oneglance" --version; }; then
        fail "the new version could not be installed; nothing was changed"
    fi
    keep_former
    # Whatever else ends this before all of it is ready, a lost connection of ssh for one.
    trap put_back EXIT
    install_users
    for name in oneglance oneglance-door oneglance-kiosk oneglance-reader oneglance-assistant; do
        if [ -e "$kept/$name.service" ]; then place_unit "$name.service" <"$here/$name.service"; fi
        if [ -e "$kept/$name@.service" ]; then install_template "$name"; fi
    done
    use_environment "${fresh##*/}"
    failed=''
    if live; then
        systemctl daemon-reload
        for unit in $running; do
            if ! ready "$unit"; then
                failed=$unit
                break
            fi
        done
    fi
    if [ -n "$failed" ]; then
        say "$failed does not become ready; its last words:" >&2
        journalctl --unit "$failed" --lines 5 --no-pager --output cat >&2 || true
        exit 1
    fi
    trust_it
    trap - EXIT HUP INT TERM
    rm -rf "$former" "$kept"
    say "upgraded to $("$opt/venv/bin/oneglance" --version); data and configuration are as they were"
    exit 0
fi

# --- what Debian leaves out --------------------------------------------------------------------
lacking=''
# shellcheck disable=SC2086  # a list of words is meant
if [ -z "$venv" ] && [ -n "$(extras_of $roles)" ] && [ ! -x "$opt/venv/bin/python" ] &&
    ! python3 -c 'import ensurepip' 2>/dev/null; then
    lacking=' python3-venv'
fi
if has_role broker; then
    command -v mosquitto_passwd >/dev/null || lacking="$lacking mosquitto"
    command -v openssl >/dev/null || lacking="$lacking openssl"
fi
if [ -n "$lacking" ] && live && [ "$packaged" = no ] && command -v apt-get >/dev/null; then
    if [ "$dry" = yes ]; then
        echo "would install, by apt:$lacking"
    else
        say "installing, by apt:$lacking"
        apt-get update -qq
        # shellcheck disable=SC2086  # a list of words is meant
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            $lacking >/dev/null
    fi
elif [ -n "$lacking" ] && [ "$dry" = no ]; then
    fail "missing; install it first:$lacking"
fi

# --- users and folders -----------------------------------------------------------------------
install_users
run install -d "$etc"

# --- the program -----------------------------------------------------------------------------
if [ -z "$venv" ]; then
    venv=/opt/oneglance/venv
    sweep
    # shellcheck disable=SC2086  # a list of words is meant
    extras=$(extras_of $roles)
    if [ "$instance" = yes ] && [ -x "$prefix$venv/bin/oneglance" ]; then
        say "kept: $prefix$venv, which all doors of this machine share"
    elif [ -n "$extras" ]; then
        if [ ! -x "$prefix$venv/bin/python" ]; then
            # A link, so that --upgrade can change to another environment in one step.
            run install -d "$opt"
            run python3 -m venv "$opt/venv.first"
            use_environment venv.first
        fi
        run "$prefix$venv/bin/pip" install --quiet --upgrade "${package}[$extras]"
    fi
    program=$prefix$venv/bin/oneglance
else
    program=$venv/bin/oneglance
fi
run install -d "$prefix/usr/local/bin"
if [ "$packaged" = yes ]; then
    say "the command is /usr/bin/oneglance"
elif link_is_ours || { [ ! -e "$link" ] && [ ! -L "$link" ]; }; then
    run ln -sfn "$venv/bin/oneglance" "$link"
else
    say "kept: $link, which is not ours; the command is $venv/bin/oneglance"
fi

# --- secrets and configuration ---------------------------------------------------------------
state=/var/lib/oneglance lock_state=/var/lib/oneglance-door
if [ "$instance" = yes ]; then
    state=/var/lib/oneglance-doors/$door lock_state=/var/lib/oneglance-locks/$door
    # The broker knows the machine's daemons by one password, its locks by another, and so on.
    for file in ca.crt daemon.password lock.password assistant.password admin.password; do
        if [ -e "$house/$file" ] && [ ! -e "$etc/$file" ]; then
            run cp -p "$house/$file" "$etc/$file"
        fi
    done
fi

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

shown=/etc/oneglance
if [ "$instance" = yes ]; then shown=/etc/oneglance/$door; fi

write_admin() {
    write_new "$etc/admin.toml" 0644 <<TEXT
# For the administrator: sudo oneglance watch -c $shown/admin.toml, and
# sudo oneglance command reload -c $shown/admin.toml
$(site_section)

$(mqtt_section admin)

[commands]
key_file = "administrator.key"

[door]
public_key_file = "keyring.json"
TEXT
}

if has_role daemon; then
    if [ -e "$etc/signing.key" ] || [ -e "$etc/signing.key.cred" ]; then
        say "kept: $etc/signing.key (or encrypted, with .cred)"
    elif [ "$dry" = yes ]; then
        echo "would make: $etc/signing.pub, $etc/signing.key, $etc/gallery.key"
    else
        fresh=$(mktemp -d "$etc/.new.XXXXXX")
        "$program" init --dir "$fresh" --state "$fresh/state" --site "$site" --door "$door" >/dev/null
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
sequence_file = "$state/sequence"

[commands]
keyring_file = "keyring.json"

[gallery]
path = "$state/gallery.db"
key_file = "credential:gallery.key"

# true: people whom another machine shares with this door. First: oneglance keys door
[sharing]
receive = false
key_file = "credential:sharing.key"

[[camera]]
name = "$door"
source = $camera
TEXT
    if live; then run chown root:oneglance "$etc/oneglance.toml"; fi
fi
# The machine's broker knows its administrator; the key is this door's own.
if [ "$instance" = yes ] && has_role daemon && [ -e "$etc/admin.password" ]; then write_admin; fi
# On the daemon's machine, where the keyring is made.
if [ -e "$etc/signing.key" ] || [ -e "$etc/signing.key.cred" ] || has_role daemon; then
    for who in reader assistant; do
        if has_role "$who" && [ ! -e "$etc/$who.key" ]; then
            run "$program" keys make "$who" --keyring "$etc/keyring.json"
        fi
    done
fi
if has_role lock; then
    write_new "$etc/door.toml" 0644 <<TEXT
# The lock. All keys: docs/configuration.md; wiring: docs/lock.md.
$(site_section)

$(mqtt_section lock)

[door]
public_key_file = "keyring.json"
state_file = "$lock_state/sequence"
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

if has_role assistant; then
    write_new "$etc/assistant.toml" 0644 <<TEXT
# What asks for Home Assistant. All keys: docs/configuration.md; what each costs: docs/home-assistant.md.
$(site_section)

$(mqtt_section assistant)

[assistant]
verify = true       # a button: whoever stands there is looked at
lock = false        # a lock that it can shut, if door.toml has shut_on_request = true
camera = false      # faces, for the broker to see, if oneglance.toml has [preview] assistant = true
key_file = "credential:assistant.key"
TEXT
fi

# --- the broker ------------------------------------------------------------------------------
if has_role broker; then
    mosquitto=$prefix/etc/mosquitto/oneglance
    run install -d "$prefix/etc/mosquitto/conf.d"
    run install -d -m 0750 "$mosquitto"
    for who in daemon lock kiosk reader assistant admin; do
        random_word | write_new "$etc/$who.password" 0600
    done
    random_word | write_new "$etc/homeassistant.password" 0600
    write_admin
    if [ ! -e "$etc/ca.crt" ]; then
        case $host in
        *[!0-9.]*) name="DNS:$host" ;;
        *) name="IP:$host" ;;
        esac
        run sh "$here/mosquitto/certificates.sh" "$etc" "$mosquitto" "$name"
    fi
    run install -m 0644 "$here/mosquitto/oneglance.conf" "$prefix/etc/mosquitto/conf.d/"
    run install -m 0600 "$here/mosquitto/acl" "$mosquitto/acl"
    if [ -e "$mosquitto/acl.local" ] && [ "$dry" = no ]; then
        cat "$mosquitto/acl.local" >>"$mosquitto/acl"
    fi
    if [ "$dry" = yes ]; then
        echo "would write: $mosquitto/passwords (hashed, mode 0600)"
    else
        (
            umask 077
            for who in daemon lock kiosk reader assistant admin; do
                echo "oneglance-$who:$(cat "$etc/$who.password")"
            done >"$mosquitto/passwords.new"
            echo "homeassistant:$(cat "$etc/homeassistant.password")" >>"$mosquitto/passwords.new"
            mosquitto_passwd -U "$mosquitto/passwords.new"
            # Users who are not ours stay.
            if [ -e "$mosquitto/passwords" ]; then
                grep -Ev '^(oneglance-(daemon|lock|kiosk|reader|assistant|admin)|homeassistant):' \
                    "$mosquitto/passwords" >>"$mosquitto/passwords.new" || true
            fi
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
        case $role in kiosk | reader | assistant) key=$role.key ;; esac
        for file in ca.crt "$role.password" keyring.json $key; do
            [ -e "$etc/$file" ] ||
                say "still needed: $etc/$file, copied from the machine of the broker and daemon"
        done
    done
fi

# --- services --------------------------------------------------------------------------------
services=''
if has_role daemon; then services="$services oneglance"; fi
if has_role lock; then services="$services oneglance-door"; fi
if has_role kiosk; then services="$services oneglance-kiosk"; fi
if has_role reader; then services="$services oneglance-reader"; fi
if has_role assistant; then services="$services oneglance-assistant"; fi
run install -d "$units"
# A further door's template is made here in either way.
if [ "$packaged" = no ] || [ "$instance" = yes ]; then
    for service in $services; do install_unit "$service"; done
fi
suffix=.service
if [ "$instance" = yes ]; then suffix=@$door.service; fi
# Further doors run the program that was just renewed, by a template of the unit that was.
further=''
if [ "$instance" = no ]; then
    for service in oneglance oneglance-door oneglance-assistant; do
        if [ -e "$units/$service@.service" ]; then install_template "$service"; fi
        for file in "$units"/*.wants/"$service"@*.service; do
            if [ -L "$file" ]; then further="$further ${file##*/}"; fi
        done
    done
fi
if live; then
    run systemctl daemon-reload
    # All are enabled before the first is waited for: a camera or broker that is not there yet
    # must not keep the lock from starting with the machine.
    for service in $services; do run systemctl enable "$service$suffix"; done
    for service in $services; do
        run timeout 120 systemctl restart "$service$suffix" ||
            say "not ready yet, and tried again: $service$suffix (systemctl status $service$suffix)"
    done
    for unit in $further; do
        run timeout 120 systemctl restart "$unit" || say "not ready yet, and tried again: $unit"
    done
fi
if has_role daemon; then say "to check it: oneglance doctor -c $shown/oneglance.toml"; fi
if has_role lock; then say "to check it: oneglance doctor -c $shown/door.toml"; fi
if has_role kiosk; then say "to check it: oneglance doctor -c $shown/kiosk.toml"; fi
if has_role reader; then
    say "to check it: stop oneglance-reader, then oneglance reader --learn -c $shown/reader.toml"
fi
say "done"
