"""systemd/install.sh, run for real below a prefix."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from mosquitto_fixture import ROLES, Broker, find_binary

from oneglance.config import load_config
from oneglance.contract.commands import open_writer
from oneglance.contract.keyring import Role
from oneglance.contract.keyring_file import read_keyring, read_pins
from oneglance.contract.signing import load_signing_key
from oneglance.contract.topics import Topics
from oneglance.link import Link

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
ALL = tuple(
    part
    for role in ("daemon", "lock", "kiosk", "reader", "assistant", "broker")
    for part in ("--role", role)
)

needs_broker_tools = pytest.mark.skipif(
    find_binary("mosquitto_passwd") is None or shutil.which("openssl") is None,
    reason="mosquitto or openssl is not installed",
)


def install(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        ["sh", str(SYSTEMD / "install.sh"), "--venv", sys.prefix, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(file.relative_to(folder)): (stat.S_IMODE(file.stat().st_mode), file.read_bytes())
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def users(broker: Path) -> list[str]:
    return [line.partition(":")[0] for line in (broker / "passwords").read_text().splitlines()]


def test_a_dry_run_touches_nothing(tmp_path: Path) -> None:
    said = install(*ALL, "--dry-run", "--prefix", str(tmp_path / "root"))
    assert "would make" in said
    assert not (tmp_path / "root").exists()


def test_the_daemons_machine_reads_an_iphones_photographs(tmp_path: Path) -> None:
    def asked(role: str) -> str:
        said = install("--venv", "", "--role", role, "--dry-run", "--prefix", str(tmp_path))
        return next(line for line in said.splitlines() if "/bin/pip install" in line)

    assert asked("daemon").endswith("[daemon,heif]")
    assert asked("lock").endswith("[door]")


def test_a_dry_run_of_the_whole_machine_names_users_and_services() -> None:
    said = install(*ALL, "--dry-run")
    for step in ("systemd-sysusers", "systemd-tmpfiles", "enable oneglance-door.service"):
        assert step in said


def test_what_debian_leaves_out_is_installed_first_and_missed_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tool in ("python3", "apt-get"):
        (tmp_path / tool).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    said = install("--venv", "", "--role", "lock", "--dry-run")
    assert "would install, by apt: python3-venv\n" in said
    root = ("--prefix", str(tmp_path / "root"))
    said = install("--venv", "", "--role", "lock", *root, code=1)
    assert "install it first: python3-venv" in said
    assert not (tmp_path / "root").exists()
    # Who brings an environment of their own needs none of it.
    assert "by apt" not in install("--role", "lock", "--dry-run")


@needs_broker_tools
def test_the_second_run_changes_no_key_password_or_configuration(tmp_path: Path) -> None:
    install(*ALL, "--prefix", str(tmp_path))
    (tmp_path / "etc/oneglance/door.toml").write_text("# mine\n")
    broker = tmp_path / "etc/mosquitto/oneglance"
    ours = users(broker)
    # A user of the owner's own, and what that one may hear.
    with (broker / "passwords").open("a") as file:
        file.write("oneglance-bridge:$7$mine\n")
    (broker / "acl.local").write_text("user oneglance-bridge\ntopic read mine\n")
    before = tree(tmp_path)
    for _ in range(2):
        said = install(*ALL, "--prefix", str(tmp_path), "--site", "other")
    after = tree(tmp_path)
    shipped = (SYSTEMD / "mosquitto/acl").read_text()
    assert (broker / "acl").read_text() == shipped + (broker / "acl.local").read_text()
    assert users(broker) == [*ours, "oneglance-bridge"]
    assert "oneglance-bridge:$7$mine\n" in (broker / "passwords").read_text()
    # Only the salt of the broker's password hashes is new.
    for name in ("passwords", "acl"):
        before.pop(f"etc/mosquitto/oneglance/{name}")
        after.pop(f"etc/mosquitto/oneglance/{name}")
    assert after == before
    assert "kept: " in said


def test_keys_that_are_there_encrypted_only_are_not_made_again(tmp_path: Path) -> None:
    install("--role", "daemon", "--prefix", str(tmp_path))
    etc = tmp_path / "etc/oneglance"
    for name in ("signing.key", "gallery.key"):
        (etc / name).rename(etc / f"{name}.cred")
    before = tree(tmp_path)
    install("--role", "daemon", "--prefix", str(tmp_path))
    assert tree(tmp_path) == before


def test_the_command_is_on_the_path_until_it_is_uninstalled(tmp_path: Path) -> None:
    link = tmp_path / "usr/local/bin/oneglance"
    install("--role", "lock", "--prefix", str(tmp_path))
    assert link.readlink() == Path(sys.prefix) / "bin/oneglance"
    said = subprocess.run([link, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("oneglance ")
    install("--role", "lock", "--prefix", str(tmp_path))
    (tmp_path / "etc/oneglance/signing.key").write_text("kept")
    assert (tmp_path / "usr/local/lib/systemd/catalog/oneglance.catalog").exists()
    # It was told to Home Assistant: that is taken back first, or said.
    (tmp_path / "etc/oneglance/oneglance.toml").write_text("[mqtt]\nport = 1\nkeepalive_s = 0\n")
    (tmp_path / "var/lib/oneglance").mkdir(parents=True)
    (tmp_path / "var/lib/oneglance/home-assistant").touch()
    said = install("--uninstall", "--prefix", str(tmp_path))
    assert "keepalive_s" in said
    assert f"Home Assistant still shows {tmp_path}/etc/oneglance" in said
    assert not (tmp_path / "usr/local/lib/systemd/catalog/oneglance.catalog").exists()
    assert not link.is_symlink()
    assert list((tmp_path / "etc/systemd/system").iterdir()) == []
    assert (tmp_path / "etc/oneglance/signing.key").read_text() == "kept"
    # Somebody's own program of this name is left alone.
    link.write_text("mine")
    assert "is not ours" in install("--role", "lock", "--prefix", str(tmp_path))
    install("--uninstall", "--prefix", str(tmp_path))
    assert link.read_text() == "mine"


@needs_broker_tools
def test_secrets_are_private(tmp_path: Path) -> None:
    install(*ALL, "--prefix", str(tmp_path))
    secret = [name for name in tree(tmp_path) if name.endswith((".key", ".password", "passwords"))]
    assert len(secret) == 15
    for name in secret:
        assert tree(tmp_path)[name][0] == 0o600, name
    words = [(tmp_path / name).read_text() for name in secret if name.endswith(".password")]
    assert len(set(words)) == len(words)
    assert all(len(word.strip()) == 32 for word in words)
    assert list((tmp_path / "etc/oneglance").glob(".new*")) == []


@needs_broker_tools
def test_what_is_installed_works_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_binary("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    install(*ALL, "--prefix", str(tmp_path), "--door", "back", "--camera", "rtsp://camera/1")
    etc = tmp_path / "etc"
    files = {
        role: load_config(etc / "oneglance" / name)
        for role, name in {
            "daemon": "oneglance.toml",
            "lock": "door.toml",
            "kiosk": "kiosk.toml",
            "badge": "reader.toml",
            "assistant": "assistant.toml",
            "admin": "admin.toml",
        }.items()
    }
    assert files["daemon"].camera[0].source == "rtsp://camera/1"
    assert files["daemon"].signing.key_file == etc / "oneglance" / "signing.key"
    ring = read_keyring(files["daemon"].keyring_file)
    assert read_pins(files["lock"].door.public_key_file) == ring
    assert read_pins(files["kiosk"].kiosk.public_key_file) == ring
    topics, kiosk = Topics("home", "back"), files["kiosk"].kiosk.key_file
    assert kiosk is not None
    for key_file in (
        *(kiosk, files["badge"].reader.key_file, files["admin"].command_key_file),
        files["assistant"].assistant.key_file,
    ):
        assert ring.find(open_writer(topics, key_file).key_id) is not None
    wanted = files["assistant"].assistant
    assert (wanted.verify, wanted.lock, wanted.camera) == (True, False, False)
    assert read_pins(wanted.public_key_file) == ring
    server = Broker(tmp_path)
    conf = (etc / "mosquitto/conf.d/oneglance.conf").read_text()
    conf = conf.replace("/etc/mosquitto", f"{etc}/mosquitto").replace(
        "listener 8883", f"listener {server.port} 127.0.0.1"
    )
    user = "user root\n" if os.geteuid() == 0 else ""
    (tmp_path / "mosquitto.conf").write_text(user + conf)
    server.start()
    try:
        for role, config in files.items():
            assert config.site.door == "back"
            assert config.mqtt.user == ROLES[role]
            link = Link(config.mqtt.model_copy(update={"port": server.port}), f"test-{role}")
            link.start()
            assert link.wait_connected(60), link.failure
            link.stop()
    finally:
        server.stop()


def test_a_lock_on_a_machine_of_its_own_is_told_what_it_still_needs(tmp_path: Path) -> None:
    said = install("--role", "lock", "--host", "door.lan", "--prefix", str(tmp_path))
    for file in ("ca.crt", "lock.password", "keyring.json"):
        assert f"still needed: {tmp_path}/etc/oneglance/{file}" in said
    assert "oneglance doctor -c /etc/oneglance/door.toml" in said
    assert "oneglance.toml" not in said
    assert not (tmp_path / "etc/oneglance/signing.key").exists()
    assert load_config(tmp_path / "etc/oneglance/door.toml").mqtt.host == "door.lan"


def test_a_house_from_before_keyrings_gets_one_and_keeps_its_signing_key(tmp_path: Path) -> None:
    install("--role", "daemon", "--prefix", str(tmp_path))
    etc = tmp_path / "etc/oneglance"
    signing = (etc / "signing.key").read_bytes()
    for name in ("keyring.json", "administrator.key", "kiosk.key"):
        (etc / name).unlink()
    install("--role", "daemon", "--prefix", str(tmp_path))
    ring = read_keyring(etc / "keyring.json")
    assert {key.id: key.role for key in ring.keys} == {
        "daemon": Role.DAEMON,
        "administrator": Role.ADMINISTRATOR,
        "kiosk": Role.KIOSK,
    }
    assert ring.id_of(load_signing_key(etc / "signing.key").public_key()) == "daemon"
    assert (etc / "signing.key").read_bytes() == signing


@pytest.mark.parametrize(
    "arguments",
    [
        ("--role", "king"),
        ("--site", 'x"'),
        ("--door", ""),
        ("--host", "a b"),
        ("--what",),
        ("--site",),
    ],
    ids=str,
)
def test_wrong_usage_is_refused_before_anything_is_done(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    install("--prefix", str(tmp_path / "root"), *arguments, code=2)
    assert not (tmp_path / "root").exists()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    scripts = [*SYSTEMD.rglob("*.sh"), *(SYSTEMD / "debian").glob("p*")]
    scripts += (SYSTEMD.parent / "scripts").glob("*.sh")
    subprocess.run(["shellcheck", *map(str, scripts)], check=True)


@needs_broker_tools
def test_a_further_door_has_its_own_keys_state_and_units(tmp_path: Path) -> None:
    install("--prefix", str(tmp_path))
    install("--prefix", str(tmp_path), "--instance", "--door", "back")
    etc, units = tmp_path / "etc/oneglance", tmp_path / "etc/systemd/system"
    front, back = (load_config(folder / "oneglance.toml") for folder in (etc, etc / "back"))
    assert back.site.door == "back"
    assert front.gallery.path != back.gallery.path
    assert (etc / "signing.key").read_bytes() != (etc / "back/signing.key").read_bytes()
    assert (etc / "ca.crt").read_bytes() == (etc / "back/ca.crt").read_bytes()
    for name, folder in (("oneglance", "oneglance-doors"), ("oneglance-door", "oneglance-locks")):
        plain = (units / f"{name}.service").read_text().splitlines()
        template = (units / f"{name}@.service").read_text().splitlines()
        differ = [new for old, new in zip(plain, template, strict=True) if old != new]
        assert all("%i" in line for line in differ)
        assert f"StateDirectory={folder}/%i" in differ
        # What hardens the one hardens the other.
        assert not [line for line in differ if line.startswith(("Protect", "Restrict", "System"))]
    state = (etc / "back/oneglance.toml").read_text()
    assert 'sequence_file = "/var/lib/oneglance-doors/back/sequence"' in state
    # It is administered like the first one, by a key of its own.
    admin = load_config(etc / "back", "admin.toml")
    assert (admin.site.door, admin.mqtt.user) == ("back", "oneglance-admin")
    signer = open_writer(Topics("home", "back"), admin.command_key_file)
    assert read_keyring(back.keyring_file).find(signer.key_id) is not None
    assert read_pins(admin.door.public_key_file) == read_keyring(back.keyring_file)
    install("--instance", "--role", "kiosk", "--prefix", str(tmp_path), code=2)
    install("--instance", "--role", "assistant", "--prefix", str(tmp_path), "--door", "back")
    assistant = load_config(etc / "back/assistant.toml")
    assert (assistant.site.door, assistant.mqtt.user) == ("back", "oneglance-assistant")
    assert read_keyring(etc / "back/keyring.json").find("assistant") is not None
    assert (etc / "back/assistant.password").read_bytes() == (
        etc / "assistant.password"
    ).read_bytes()
    template = (units / "oneglance-assistant@.service").read_text()
    assert "--config /etc/oneglance/%i/assistant.toml" in template
    assert "LoadCredential=assistant.key:/etc/oneglance/%i/assistant.key" in template


def test_a_further_door_goes_by_itself(tmp_path: Path) -> None:
    two = ("--role", "daemon", "--role", "lock")
    install("--prefix", str(tmp_path), *two)
    before = set(tree(tmp_path))
    for door in ("back", "yard"):
        install("--prefix", str(tmp_path), "--instance", "--door", door)
        for folder in ("oneglance-doors", "oneglance-locks"):
            (tmp_path / "var/lib" / folder / door).mkdir(parents=True)
            (tmp_path / "var/lib" / folder / door / "sequence").touch()
    all_three = set(tree(tmp_path))
    gone = ("--prefix", str(tmp_path), "--uninstall", "--instance", "--door")
    assert "no further door 'bakc'" in install(*gone, "bakc", "--purge", code=1)
    install(*gone, "back")
    assert set(tree(tmp_path)) == all_three
    install(*gone, "back", "--purge")
    left = set(tree(tmp_path))
    assert {name for name in all_three - left if "/back/" not in name} == set()
    assert not [name for name in left if "/back/" in name]
    assert before < left
    assert [name for name in left if "/yard/" in name]
    for wrong in (("--instance", "--door", ".."), two):
        install("--prefix", str(tmp_path), "--uninstall", "--purge", *wrong, code=2)
    assert set(tree(tmp_path)) == left


@needs_broker_tools
def test_purge_leaves_nothing_and_uninstall_what_cannot_be_made_again(tmp_path: Path) -> None:
    install(*ALL, "--prefix", str(tmp_path))
    install("--prefix", str(tmp_path), "--instance", "--door", "back")
    secrets = {name for name in tree(tmp_path) if name.endswith((".key", ".password", ".toml"))}
    install("--prefix", str(tmp_path), "--uninstall")
    assert secrets <= set(tree(tmp_path))
    # Home Assistant is told, where the machine is a real one.
    said = install("--prefix", str(tmp_path), "--uninstall", "--dry-run")
    assert f"assistant --withdraw -c {tmp_path}/etc/oneglance/assistant.toml" in said
    install("--prefix", str(tmp_path), "--purge", code=2)
    install("--prefix", str(tmp_path), "--uninstall", "--purge")
    assert tree(tmp_path) == {}


def test_nothing_is_upgraded_where_nothing_is_installed(tmp_path: Path) -> None:
    said = install("--prefix", str(tmp_path), "--upgrade", code=1)
    assert "run it without --upgrade" in said


def program(root: Path) -> Path:
    """An environment that was installed below `root`, with what three cut-off upgrades left."""
    opt = root / "opt/oneglance"
    for name in ("venv.first", "venv.abc123", "venv.def456"):
        (opt / name / "bin").mkdir(parents=True)
        for tool in ("python", "oneglance"):
            (opt / name / "bin" / tool).write_text("#!/bin/sh\n")
            (opt / name / "bin" / tool).chmod(0o755)
    (opt / "units.ghi789").mkdir()
    (opt / "venv").symlink_to("venv.abc123")
    return opt


@pytest.mark.parametrize("how", ["--instance", "--upgrade"])
def test_what_an_upgrade_left_when_the_power_went_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    install("--role", "lock", "--prefix", str(tmp_path))
    opt = program(tmp_path)
    # No environment is really made: an upgrade that comes so far has already taken it away.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "bin/python3").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    again = ("--venv", "", "--role", "lock", "--prefix", str(tmp_path), how)
    with (opt / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another install.sh is at work" in install(*again, code=1)
    assert len(list(opt.glob("venv.*"))) == 3
    said = install(*again, code=0 if how == "--instance" else 1)
    assert said.count("an upgrade that was cut off") == 3
    assert sorted(file.name for file in opt.glob("[!.]*")) == ["venv", "venv.abc123"]


UNDO = "oneglance-put-back.service"


class CutShort:
    """A PATH whose tools that change files work for so many calls; then the power is gone."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.left = folder, folder / "left"
        for tool in ("chmod", "cp", "install", "ln", "mv", "rm"):
            script = (
                f"read -r n <{self.left}; n=$((n-1)); echo $n >{self.left};"
                f' if [ $n -lt 0 ]; then kill -9 $PPID; else exec {shutil.which(tool)} "$@"; fi'
            )
            self._write(tool, script)
        one = "echo '#!/bin/sh' >$3/bin/$t; /bin/chmod +x $3/bin/$t"
        self._write("python3", f"mkdir $3/bin; for t in python pip oneglance; do {one}; done")

    def _write(self, name: str, script: str) -> None:
        (self.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / name).chmod(0o755)

    def run(self, *command: str | Path, calls: int) -> bool:
        """Run it. Whether it came to its end before the power was gone."""
        self.left.write_text(f"{calls}\n")
        path = f"{self.folder}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", *command], env={"PATH": path}, check=False, capture_output=True, timeout=120
        )
        whole = int(self.left.read_text()) >= 0
        assert whole == (done.returncode == 0), done.stderr
        return whole


def put_back_script(root: Path) -> Path | None:
    """What systemd would run at a start of the machine, before the door's services."""
    link = root / "etc/systemd/system/multi-user.target.wants" / UNDO
    if not link.exists():
        return None
    unit = link.read_text()
    (script,) = re.findall(r"^ExecStart=/bin/sh (.*)$", unit, re.M)
    assert f"\nConditionPathExists={script}\n" in unit
    assert "\nBefore=oneglance.service oneglance-door.service oneglance@back.service" in unit
    file = root / script.removeprefix("/")
    return file if file.exists() else None


def version_of(root: Path) -> str:
    """Which one the units and the program are of; both have to be of the same."""
    units = root / "etc/systemd/system"
    files = [file for file in units.glob("oneglance*.service") if file.name != UNDO]
    assert len(files) == 4
    former = {"# former" in file.read_text() for file in files}
    assert os.access(root / "opt/oneglance/venv/bin/oneglance", os.X_OK)
    former.add((root / "opt/oneglance/venv").readlink() == Path("venv.abc123"))
    assert len(former) == 1, "units of one version, the program of another"
    return "former" if former.pop() else "new"


def test_an_upgrade_cut_off_anywhere_leaves_one_whole_version_after_the_next_start(
    tmp_path: Path,
) -> None:
    base, root = tmp_path / "base", tmp_path / "root"
    two = ("--role", "daemon", "--role", "lock", "--prefix", str(base))
    install(*two)
    install(*two, "--instance", "--door", "back")
    # Each re-run fits the further doors' units to the same program, too.
    install(*two)
    units = base / "etc/systemd/system"
    assert f"ExecStart={sys.prefix}/bin/" in (units / "oneglance@.service").read_text()
    (units / "multi-user.target.wants").mkdir()
    for name in ("oneglance", "oneglance-door"):
        (units / f"multi-user.target.wants/{name}@back.service").symlink_to(f"../{name}@.service")
    for file in units.glob("*.service"):
        file.write_text(f"# former\n{file.read_text()}")
    program(base)
    power = CutShort(tmp_path / "bin")
    command = (SYSTEMD / "install.sh", "--prefix", root, "--upgrade")
    undone, calls, whole = 0, 0, False
    while not whole:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(base, root, symlinks=True)
        whole = power.run(*command, calls=calls)
        calls += 1
        if (script := put_back_script(root)) is None:
            version_of(root)
            continue
        # This start may be cut off as well.
        undone += 1
        assert not whole
        shutil.copytree(root, tmp_path / "again", symlinks=True)
        power.run(script, root, calls=undone)
        if (script := put_back_script(root)) is not None:
            assert power.run(script, root, calls=100)
        assert version_of(root) == "former"
        if undone != 4:
            shutil.rmtree(tmp_path / "again")
            continue
        # Or it was not started again: the next run of install.sh takes the upgrade back first.
        shutil.rmtree(root)
        (tmp_path / "again").rename(root)
        said = install("--venv", "", "--role", "lock", "--instance", "--prefix", str(root))
        assert "the former version is back" in said
    assert undone >= 5
    assert version_of(root) == "new"
    assert not (units.parent / UNDO).exists()
    assert len(list((root / "opt/oneglance").glob("[!.]*"))) == 2


@pytest.mark.parametrize(
    ("step", "roles", "mosquitto", "asked"),
    [
        ("configure", "daemon lock broker", "installed", "daemon lock broker"),
        # dpkg configures what is only recommended in any order.
        ("configure", "broker lock", "unpacked", "lock again"),
        ("configure", "lock broker", "", "lock"),
        ("triggered", "lock broker", "installed", "lock broker"),
        ("triggered", "lock", "installed", ""),
        ("configure", "broker", "", ""),
        ("abort-upgrade", "lock", "installed", ""),
    ],
)
def test_a_package_without_mosquitto_makes_the_brokers_part_when_it_comes(
    tmp_path: Path, step: str, roles: str, mosquitto: str, asked: str
) -> None:
    default = f'ROLES="{roles}" SITE=home DOOR=front HOST=broker CAMERA=0\n'
    (tmp_path / "default").write_text(default)
    broker = tmp_path / "mosquitto"
    if mosquitto:
        broker.touch()
    (tmp_path / "install.sh").write_text(f'echo "$*" >{tmp_path}/said\n')
    script = (SYSTEMD / "debian/postinst").read_text()
    for own, there in {
        "/etc/default/oneglance": tmp_path / "default",
        "/usr/share/oneglance/systemd/install.sh": tmp_path / "install.sh",
        "/usr/sbin/mosquitto": broker,
        "/etc/mosquitto": tmp_path / "etc",
    }.items():
        script = script.replace(own, str(there))
    (tmp_path / "bin").mkdir()
    for tool, word in (("dpkg-query", mosquitto), ("dpkg-trigger", "again")):
        (tmp_path / "bin" / tool).write_text(f"#!/bin/sh\necho {word}\n")
        (tmp_path / "bin" / tool).chmod(0o755)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"

    def said() -> str:
        done = subprocess.run(
            ["sh", "-c", script, "postinst", step],
            env={"PATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        file = tmp_path / "said"
        words = file.read_text().split() if file.exists() else []
        file.unlink(missing_ok=True)
        return " ".join(
            [two for one, two in pairwise(words) if one == "--role"] + done.stdout.split()
        )

    assert said() == asked
    # What is there needs no second visit: a new mosquitto must not restart the door.
    (tmp_path / "etc/oneglance").mkdir(parents=True)
    (tmp_path / "etc/oneglance/passwords").touch()
    assert said() == ("" if step == "triggered" else asked)


def test_the_package_names_only_what_each_machine_needs() -> None:
    control = (SYSTEMD.parent / "scripts/deb.sh").read_text()
    (needed,) = re.findall(r"^Depends: (.*)$", control, re.M)
    assert "mosquitto" not in needed
    assert re.findall(r"^Recommends: (.*)$", control, re.M) == ["mosquitto"]
    assert "interest-noawait /usr/sbin/mosquitto" in control
