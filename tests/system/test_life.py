"""Upgrade, further doors, package, removal: under a booted systemd, on machines of their own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import ROOT, Machine, wait_for
from reliability import Ledger
from whole_door import ETC, SERVICES, STATE, Door

INSTALL = "./oneglance/systemd/install.sh"
UNDO = "oneglance-put-back.service"


@pytest.fixture(scope="module")
def door(packages: tuple[Path, Path], photos: Path) -> Iterator[Door]:
    """A machine of its own, with a whole door."""
    door = Door(*packages, photos)
    try:
        door.install()
        yield door
    finally:
        door.machine.remove()


def test_a_strangers_first_commands_make_a_door_with_tls(
    packages: tuple[Path, Path], photos: Path, ledger: Ledger
) -> None:
    """The commands of docs/install.md, as they stand; only the address and answers are ours."""
    block = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/install.md").read_text(), re.DOTALL)[0]
    commands = [line.partition("#")[0].strip() for line in block.splitlines()]
    assert len(commands) <= 5
    door = Door(*packages, photos)
    machine = door.machine
    share = machine.share
    subprocess.run(
        ["git", "clone", "--quiet", "--bare", str(ROOT), str(share / "oneglance.git")], check=True
    )
    subprocess.run(
        [
            *(sys.executable, str(share / "stage.py"), "--film", str(share / "film.avi")),
            *(str(photos / "obama2.jpg"), str(photos / "biden.jpg")),
        ],
        check=True,
    )
    (share / "answers.toml").write_text(
        'camera = "/share/film.avi"\nperson = "Ada Lovelace"\nconsent = true\n'
        'photos = ["photos/astronaut.png"]\ntest_lock = true\n'
    )
    script = "; ".join(commands).replace("URL", "/share/oneglance.git")
    assert script.endswith("sudo oneglance setup")
    try:
        machine.boot()
        began = time.monotonic()
        script = f"mkdir stranger; cd stranger; {script} --answers /share/answers.toml"
        said = machine.run("/bin/sh", "-ec", script, timeout=3600).stdout
        ledger.first_door = (len(commands), time.monotonic() - began)
        assert "Enrolled Ada Lovelace" in said
        assert "lock unlocked" in said
        assert machine.run("oneglance", "doctor", "-c", f"{ETC}/door.toml").returncode == 0
        settings = machine.sh(f"cat {ETC}/oneglance.toml {ETC}/door.toml")
        assert settings.count("tls = true") == settings.count("port = 8883") == 2
        # And a visitor is let in.
        door.finish()
        door.wait_open(door.now())
        assert door.count_openings()[1] == []
    finally:
        machine.remove()


def secrets(machine: Machine) -> str:
    """What must be the same afterwards: each key, password and configuration."""
    return machine.sh(f"cd {ETC}; find . -type f | sort | xargs sha256sum")


def test_running_it_again_changes_nothing_and_stops_nothing_for_long(door: Door) -> None:
    machine = door.machine
    before = secrets(machine)
    machine.run(INSTALL)
    assert secrets(machine) == before
    door.wait_open(door.now())


def test_a_door_takes_over_a_shared_gallery_once_it_has_a_key_for_it(door: Door) -> None:
    """As docs/sharing.md has it: no file of systemd's is touched for it."""
    machine = door.machine
    config = f"{ETC}/oneglance.toml"
    made = machine.run("oneglance", "keys", "door", "-c", config).stdout
    assert 'name = "front"' in made
    machine.sh(f"sed -i 's/^receive = false/receive = true/' {config}")
    since = door.now()
    machine.run("systemctl", "restart", SERVICES[0])
    assert machine.show(SERVICES[0], "ActiveState") == "active"
    said = machine.run("oneglance", "doctor", "--json", "-c", config, check=False).stdout
    found = {one["what"]: one["verdict"] for one in json.loads(said)["findings"]}
    assert (found["door's key"], found["who may share"]) == ("good", "broken")
    # Who was enrolled here goes on being let in.
    door.wait_open(since)
    machine.sh(f"sed -i 's/^receive = true/receive = false/' {config}; rm {ETC}/sharing.key")
    machine.run("systemctl", "restart", SERVICES[0])
    door.wait_open(door.now())


def test_an_answered_setup_shows_enrols_and_tries_the_lock(door: Door) -> None:
    machine = door.machine
    (machine.share / "answers.toml").write_text(
        'camera = "http://127.0.0.1:8090/door"\nperson = "Joe Biden"\nconsent = true\n'
        'photos = ["photos/biden.jpg"]\ntest_lock = true\n'
    )
    said = machine.run("oneglance", "setup", "--answers", "/share/answers.toml").stdout
    for line in ("640 x 480", "Enrolled Joe Biden", "lock unlocked", "lock locked", "Done."):
        assert line in said
    assert machine.sh(f"stat -c '%a %U:%G' {ETC}/oneglance.toml").strip() == "640 root:oneglance"
    door.wait_open(door.now())
    machine.run("oneglance", "people", "delete", "joe-biden", "--yes")


def test_an_upgrade_keeps_everything_and_goes_on(door: Door) -> None:
    machine = door.machine
    before, people = secrets(machine), door.people()
    machine.sh("cd oneglance; sed -i 's/^version = .*/version = 0.2.1/' setup.cfg")
    said = machine.run(INSTALL, "--upgrade").stdout
    assert "upgraded to oneglance 0.2.1" in said
    assert secrets(machine) == before
    assert door.people() == people
    assert len(machine.sh("ls -d /opt/oneglance/venv*").split()) == 2
    door.wait_open(door.now())
    assert door.count_openings()[1] == []


def test_an_upgrade_that_is_interrupted_is_taken_back(door: Door) -> None:
    machine = door.machine
    before = secrets(machine)
    machine.sh("cd oneglance; sed -i 's/^version = .*/version = 0.2.2/' setup.cfg")
    since = door.now()
    version = machine.run("oneglance", "--version").stdout
    # As a lost connection does by SIGHUP, which a test run by nohup could not send.
    said = machine.sh(
        f"before=$(readlink /opt/oneglance/venv); {INSTALL} --upgrade >/dev/null 2>&1 & pid=$!;"
        ' while [ "$(readlink /opt/oneglance/venv)" = "$before" ]; do sleep 0.05; done;'
        " kill -TERM $pid; wait $pid || echo ended $?"
    )
    assert said == "ended 1\n"
    assert machine.run("oneglance", "--version").stdout == version
    assert secrets(machine) == before
    assert len(machine.sh("ls -d /opt/oneglance/*").split()) == 2
    for unit in SERVICES:
        assert machine.show(unit, "ActiveState") == "active"
    door.wait_open(since)


def test_an_upgrade_that_a_power_cut_ends_is_taken_back_by_the_next_start(
    door: Door, ledger: Ledger
) -> None:
    """The new version would not even start, and its unit is another.

    Of the units the disk has only what was synced, of the program the newest.
    """
    machine = door.machine
    machine.cut_power()
    machine.keep_on_disk("/etc/systemd/system")
    machine.boot()
    door.wait_open(door.now())
    row = ledger.row("power cut during an upgrade to a broken version, from its return")
    before, version = secrets(machine), machine.run("oneglance", "--version").stdout
    people = door.people()
    machine.sh(
        "cd oneglance; sed -i 's/^version = .*/version = 0.2.2/' setup.cfg;"
        " cp daemon/app.py systemd/oneglance.service /root;"
        " echo 'raise SystemExit(9)' >>daemon/app.py;"
        " sed -i 's/^Description=.*/Description=another/' systemd/oneglance.service"
    )
    upgrade = subprocess.Popen(
        machine.command(INSTALL, "--upgrade"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: machine.show(SERVICES[0], "Description") == "another", 1800, "not upgraded")
    assert machine.run("oneglance", "--version").stdout == "oneglance 0.2.2\n"
    machine.cut_power()
    assert upgrade.wait() != 0
    since = door.now()
    machine.boot()
    row.tried += 1
    row.outages_s.append(round(door.wait_open(since), 1))
    machine.sh("mv app.py oneglance/daemon; mv oneglance.service oneglance/systemd")
    assert machine.run("oneglance", "--version").stdout == version
    for unit in SERVICES:
        assert machine.show(unit, "NeedDaemonReload") == "no"
    assert machine.show(SERVICES[0], "Description") != "another"
    assert secrets(machine) == before
    assert len(machine.sh("ls -d /opt/oneglance/*").split()) == 2
    assert machine.sh(f"find /etc/systemd -name {UNDO}") == ""
    told = machine.run("journalctl", "--boot", "--no-pager", "--unit", UNDO).stdout
    assert "the former version is back" in told
    wrong = door.count_openings()[1]
    row.lost += len(people - door.people())
    row.wrong_openings += len(wrong)
    assert (row.lost, wrong) == (0, [])


def test_a_version_that_does_not_become_ready_is_taken_back(door: Door) -> None:
    machine = door.machine
    before, version = secrets(machine), machine.run("oneglance", "--version").stdout
    machine.sh(
        "cd oneglance; sed -i 's/^version = .*/version = 0.2.2/' setup.cfg;"
        " cp daemon/app.py /root/app.py; echo 'raise SystemExit(9)' >>daemon/app.py"
    )
    since = door.now()
    done = machine.run(INSTALL, "--upgrade", check=False)
    machine.sh("mv /root/app.py oneglance/daemon/app.py")
    assert done.returncode == 1
    assert "the former version runs again" in done.stderr
    assert machine.run("oneglance", "--version").stdout == version
    assert secrets(machine) == before
    for unit in SERVICES:
        assert machine.show(unit, "ActiveState") == "active"
    door.wait_open(since)
    # One that cannot even be installed is not tried.
    broken = machine.run(INSTALL, "--upgrade", "--package", "/share/answers.toml", check=False)
    assert "nothing was changed" in broken.stderr
    assert len(machine.sh("ls -d /opt/oneglance/*").split()) == 2


def decided(door: Door) -> set[object]:
    """The decisions in its audit log."""
    bodies = [entry["body"] for entry in door.audit() if entry["kind"] == "decision"]
    return {body["event_id"] for body in bodies if isinstance(body, dict)}


def test_a_backup_comes_back_on_another_machine(
    door: Door, packages: tuple[Path, Path], photos: Path
) -> None:
    """The commands of docs/care.md, as they stand; only passphrase and answer are ours."""
    page = (ROOT / "docs/care.md").read_text().partition("## Replace the machine")[2]
    script = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[0]
    script = script.replace("systemd/install.sh", INSTALL)
    asked = " --passphrase-file /share/passphrase"
    script = script.replace("front.backup", f"front.backup{asked}").replace("/media/usb", "/share")
    script = script.replace("accept-restore", "accept-restore --yes")
    away = door.machine.share
    (away / "passphrase").touch(mode=0o600)
    (away / "passphrase").write_text("correct horse battery staple\n")
    door.wait_open(door.now())
    people, told = door.people(), decided(door)
    door.machine.run("oneglance", "backup", "/share/front.backup", *asked.split())
    other = Door(*packages, photos)
    machine = other.machine
    try:
        for name in ("passphrase", "front.backup"):
            shutil.copy2(away / name, machine.share)
        machine.boot()
        machine.run("/bin/sh", "-ec", script)
        other.begin_visits()
        assert other.people() == people
        other.wait_open(other.now())
        # The log goes on where the other machine's had ended.
        assert told
        assert told < decided(other)
        assert other.count_openings()[1] == []
    finally:
        machine.remove()


def test_a_second_door_runs_beside_the_first(door: Door) -> None:
    machine = door.machine
    machine.run(
        *(INSTALL, "--instance", "--door", "back", "--camera", "http://127.0.0.1:8090/door"),
    )
    for unit in ("oneglance@back.service", "oneglance-door@back.service", *SERVICES):
        assert machine.show(unit, "ActiveState") == "active", machine.run("journalctl", "-u", unit)
        scored = machine.run(
            "systemd-analyze", "security", "--no-pager", "--threshold=20", unit, check=False
        )
        assert scored.returncode == 0, scored.stdout[-200:]
        verified = machine.run("systemd-analyze", "verify", "--man=no", unit)
        assert verified.stdout + verified.stderr == ""
    config = f"{ETC}/back/oneglance.toml"
    machine.run(
        *("oneglance", "people", "enrol", "Barack Obama", "/share/photos/obama.jpg"),
        *("--consent", "-c", config),
    )
    assert machine.sh("stat -c %U /var/lib/oneglance-doors/back/gallery.db") == "oneglance\n"
    assert "broken" not in machine.run("oneglance", "doctor", "-c", config, check=False).stdout
    # Its administrator hears it, which the daemon's own broker user may not.
    asked = ("oneglance", "doctor", "--running", "--json", "-c", f"{ETC}/back")
    said = json.loads(machine.run(*asked, check=False).stdout)["findings"]
    heard = {one["what"]: one["verdict"] for one in said}
    assert (heard["status"], heard["lock"]) == ("good", "good")
    # And goes by itself.
    machine.run(INSTALL, "--uninstall", "--purge", "--instance", "--door", "back")
    for unit in ("oneglance@back.service", "oneglance-door@back.service"):
        assert machine.show(unit, "ActiveState") == "inactive"
        assert machine.run("systemctl", "is-enabled", unit, check=False).stdout != "enabled\n"
    assert machine.sh(f"ls -d {ETC}/back {STATE}-*/back 2>/dev/null || true") == ""
    door.wait_open(door.now())


def test_what_asks_for_home_assistant_runs_beside_it(door: Door) -> None:
    machine = door.machine
    program = ("--venv", "/opt/oneglance/venv")
    machine.run(INSTALL, *program, "--role", "broker", "--role", "assistant")
    unit = "oneglance-assistant.service"
    wait_for(
        lambda: (
            "connected to the broker"
            in machine.run("journalctl", "--no-pager", "--output", "cat", "--unit", unit).stdout
        ),
        60,
        "it does not get to the broker",
    )
    assert machine.show(unit, "ActiveState") == "active"
    assert machine.show(unit, "NRestarts") == "0"
    scored = machine.run(
        "systemd-analyze", "security", "--no-pager", "--threshold=20", unit, check=False
    )
    assert scored.returncode == 0, scored.stdout[-200:]
    verified = machine.run("systemd-analyze", "verify", "--man=no", unit)
    assert verified.stdout + verified.stderr == ""
    door.wait_open(door.now())


def test_uninstall_leaves_what_cannot_be_made_again_and_purge_nothing(door: Door) -> None:
    machine = door.machine
    machine.run("systemctl", "disable", "--now", "stage", "ear")
    before = secrets(machine)
    machine.run(INSTALL, "--uninstall")
    assert secrets(machine) == before
    units = machine.sh("systemctl list-unit-files 'oneglance*' --no-legend || true")
    assert units == ""
    assert machine.sh("ls -d /opt/oneglance /usr/local/bin/oneglance 2>/dev/null || true") == ""
    machine.run(INSTALL, "--uninstall", "--purge")
    left = machine.sh(
        f"ls -d {ETC} {STATE}* /etc/mosquitto/oneglance /etc/mosquitto/conf.d/oneglance.conf"
        " /etc/sysusers.d/oneglance.conf 2>/dev/null || true; grep ^oneglance /etc/passwd || true"
    )
    assert left == ""
    assert machine.show("mosquitto.service", "ActiveState") == "active"


def as_older(package: Path, folder: Path) -> Path:
    """The same package as version 0.1.0, with a module that the newer one does not have."""
    tree = folder / "older"
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(tree)], check=True)
    site = next((tree / "opt/oneglance/venv/lib").glob("python*/site-packages"))
    (info,) = site.glob("oneglance-*.dist-info")
    for file in (tree / "DEBIAN/control", info / "METADATA"):
        file.write_text(re.sub(r"^Version: .*$", "Version: 0.1.0", file.read_text(), flags=re.M))
    info.rename(site / "oneglance-0.1.0.dist-info")
    (site / "oneglance/gone.py").touch()
    older = folder / "older.deb"
    build = ("dpkg-deb", "--build", "--root-owner-group", "-Znone", str(tree), str(older))
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return older


def test_the_debian_package_is_installed_upgraded_and_purged(
    packages: tuple[Path, Path], photos: Path
) -> None:
    found = sorted((ROOT / "dist").glob("oneglance_*_amd64.deb"))
    if not found:
        pytest.skip("there is no package; make deb")
    version = found[-1].name.split("_")[1]
    bill = json.loads(found[-1].with_suffix(".cdx.json").read_text())
    door = Door(*packages, photos)
    machine = door.machine
    gone = "/opt/oneglance/venv/lib/python3.11/site-packages/oneglance/gone.py"
    config = f"{ETC}/oneglance.toml"
    try:
        shutil.copy(found[-1], machine.share / "newer.deb")
        as_older(found[-1], machine.share)
        machine.boot()
        (machine.root / "etc/default/oneglance").write_text(
            'ROLES="daemon lock broker"\nSITE="home"\nDOOR="front"\nHOST="127.0.0.1"\n'
            'CAMERA="http://127.0.0.1:8090/door"\n'
        )
        apt = ("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-confold", "-i")
        machine.run(*apt, "/share/older.deb")
        assert machine.run("oneglance", "--version").stdout == "oneglance 0.1.0\n"
        assert machine.run("test", "-e", gone).returncode == 0
        door.finish()
        door.wait_open(door.now())
        before, people = secrets(machine), door.people()
        assert people == {"barack-obama"}
        machine.run(*apt, "/share/newer.deb")
        since = door.now()
        assert machine.run("oneglance", "--version").stdout == f"oneglance {version}\n"
        assert machine.run("test", "-e", gone, check=False).returncode == 1
        assert secrets(machine) == before
        assert door.people() == people
        door.wait_open(since)
        for unit in SERVICES:
            verified = machine.run("systemd-analyze", "verify", "--man=no", unit)
            assert verified.stdout + verified.stderr == ""
        said = machine.run("oneglance", "doctor", "-c", config)
        assert "broken" not in said.stdout
        # What was delivered lies there as it was, but for what the owner of the machine wrote.
        changed = machine.run("dpkg", "--verify", "oneglance", check=False).stdout.splitlines()
        assert [line.split()[-1] for line in changed] == ["/etc/default/oneglance"]
        # And the bill of materials has all of it.
        ask = (
            "import importlib.metadata as m, json;"
            " print(json.dumps({d.name: d.version for d in m.distributions()}))"
        )
        there = json.loads(machine.run("/opt/oneglance/venv/bin/python", "-c", ask).stdout)
        assert there == {one["name"]: one["version"] for one in bill["components"]}
        # A further door, whose units are none of the package's files.
        machine.run(
            *("/usr/share/oneglance/systemd/install.sh", "--instance", "--door", "back"),
            *("--camera", "http://127.0.0.1:8090/door"),
        )
        back = ("oneglance@back.service", "oneglance-door@back.service")
        for unit in back:
            assert machine.show(unit, "ActiveState") == "active"
        for how in ("--upgrade", "--uninstall"):
            refused = machine.run("/usr/share/oneglance/systemd/install.sh", how, check=False)
            assert "apt" in refused.stderr
        refused = machine.run(INSTALL, check=False)
        assert "as a Debian package" in refused.stderr
        before = secrets(machine)
        # It goes on with the program of the package that is there now.
        pids = [machine.show(unit, "MainPID") for unit in back]
        machine.run(*apt, "/share/newer.deb")
        for unit, pid in zip(back, pids, strict=True):
            assert machine.show(unit, "ActiveState") == "active"
            assert machine.show(unit, "MainPID") != pid
        machine.run("systemctl", "disable", "--now", "stage", "ear")
        machine.run("dpkg", "--remove", "oneglance")
        assert secrets(machine) == before
        for unit in (*SERVICES, *back):
            assert machine.show(unit, "LoadState") == "not-found"
        assert machine.sh("find / -xdev -name 'oneglance*.service' -not -path '/root/*'") == ""
        assert machine.sh("ls -d /opt/oneglance /usr/bin/oneglance 2>/dev/null || true") == ""
        # Installed again, it knows who was enrolled.
        machine.run(*apt, "/share/newer.deb")
        assert door.people() == people
        assert machine.run("systemctl", "is-active", *SERVICES).stdout == "active\nactive\n"
        machine.run("dpkg", "--purge", "oneglance")
        left = machine.sh(
            f"ls -d {ETC} {STATE}* /opt/oneglance /usr/share/oneglance /etc/default/oneglance"
            " /etc/mosquitto/conf.d/oneglance.conf /etc/sysusers.d/oneglance.conf"
            " /usr/local/bin/oneglance 2>/dev/null || true;"
            " grep ^oneglance /etc/passwd || true"
        )
        assert left == ""
        failed = machine.run(
            "systemctl", "list-units", "--failed", "--no-legend", "oneglance*"
        ).stdout
        assert failed == ""
    finally:
        machine.remove()
