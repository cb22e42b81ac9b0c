"""A Debian machine of its own with a booted systemd, for tests that need one.

The base root is made once by debootstrap and kept in the cache folder, with the packages that pip
needs; each machine is a layer on top of it, in a container of systemd-nspawn without any network
but its own loopback. Needs root.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from configparser import ConfigParser
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "ca-certificates"),
    *("python3", "python3-venv", "mosquitto", "openssl"),
    # What whoever installs has already.
    *("git", "sudo"),
    # For the machine's faults, not for oneglance: clocks that are wrong.
    "faketime",
)
EXTRAS = "daemon,heif,door"
# How this machine reaches the net is copied, so that pip in the root reaches it as well.
NET_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf")
NET_VARIABLES = ("PIP_CERT", "PIP_INDEX_URL", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT_S = 120.0
DISK_BYTES = 256 << 20
# From linux/ext4.h: the file system ends at once, and writes nothing more, not even its journal.
EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2


T = TypeVar("T")


class MachineError(Exception):
    """The machine did not do what was asked of it; the text says what it said."""


def cache_folder() -> Path:
    """Where roots and packages are kept between runs."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "oneglance" / "system"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def base_root() -> Path:
    """The root folder of a Debian machine with PACKAGES, made if it is not there yet."""
    name = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    root = cache_folder() / f"{SUITE}-{name}"
    if not root.exists():
        draft = root.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        subprocess.run(
            [
                *("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
                *(SUITE, str(draft), MIRROR),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        # Its broker starts when it is installed for a door; its journal outlives the power.
        (draft / "var/log/journal").mkdir(parents=True, exist_ok=True)
        draft.rename(root)
    return root


def wheels(base: Path) -> Path:
    """A folder with all that pip needs to install this checkout on such a machine."""
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    wanted = settings["options"]["install_requires"] + str(dict(settings["options.extras_require"]))
    folder = cache_folder() / f"wheels-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    if not folder.exists():
        draft = folder.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        source = draft / "source"
        copy_checkout(source)
        variables = [f"{n}={os.environ[n]}" for n in NET_VARIABLES if n in os.environ]
        variables += [f"{n}={v}" for n, v in os.environ.items() if n.lower().endswith("_proxy")]
        binds = [f"--bind-ro={file}" for file in NET_FILES if Path(file).exists()]
        subprocess.run(
            [
                *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe"),
                *("--resolv-conf=off", "--timezone=off", "--volatile=overlay"),
                *(f"--bind-ro=/{CERTIFICATES}", *binds, f"--bind={draft}:/wheels"),
                *(f"--setenv={variable}" for variable in variables),
                *("-D", str(base), "/bin/sh", "-ec"),
                "python3 -m venv /tmp/v; /tmp/v/bin/pip download --quiet -d /wheels"
                f" '/wheels/source[{EXTRAS}]' 'setuptools>=77' wheel",
            ],
            check=True,
        )
        shutil.rmtree(source)
        draft.rename(folder)
    return folder


def copy_checkout(folder: Path, *, commit: str = "") -> None:
    """What `git clone` gives: the tracked files as they are here, or as a commit has them."""
    folder.mkdir(parents=True)
    if commit:
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", commit], check=True, capture_output=True
        ).stdout
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
        return
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


class Machine:
    """One machine: `boot`, `run` commands on it, `cut_power`, boot it again, `remove` it.

    `share` is a folder that both sides see, there as /share. The checkout lies in /root/oneglance.
    """

    def __init__(self, base: Path, packages: Path | None = None) -> None:
        # Not in pytest's own folder: another pytest that tidies up there would empty the machine.
        self.folder = folder = Path(tempfile.mkdtemp(prefix="oneglance-machine-", dir="/var/tmp"))
        self.root, self.share = folder / "root", folder / "share"
        for name in ("upper", "work", "root", "share"):
            (folder / name).mkdir(parents=True)
        subprocess.run(
            [
                *("mount", "-t", "overlay", "overlay", "-o"),
                f"lowerdir={base},upperdir={folder / 'upper'},workdir={folder / 'work'}",
                str(self.root),
            ],
            check=True,
        )
        self._packages = packages
        self._container: subprocess.Popen[bytes] | None = None
        self._init = 0
        self._on_disk: tuple[str, ...] = ()
        # sudo gives nobody's environment to pip.
        (self.root / "etc/pip.conf").write_text(
            "[global]\nno-index = true\nfind-links = /wheels\ndisable-pip-version-check = true\n"
        )
        copy_checkout(self.root / "root/oneglance")

    def boot(self) -> None:
        """Switch it on; returns when systemd has started all that starts with the machine."""
        binds = [f"--bind={self.share}:/share"]
        if self._packages is not None:
            binds.append(f"--bind-ro={self._packages}:/wheels")
        with (self.folder / "console").open("ab") as console:
            self._container = subprocess.Popen(
                [
                    *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"),
                    *("--private-network", "--console=pipe", *binds, "-D", str(self.root)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        self._init = wait_for(self._find_init, BOOT_S, "no init process")
        wait_for(
            lambda: (
                self.run("systemctl", "is-system-running", check=False).stdout.strip()
                in ("running", "degraded")
            ),
            BOOT_S,
            "systemd does not come up",
        )

    def _find_init(self) -> int:
        assert self._container is not None
        if self._container.poll() is not None:
            raise MachineError((self.folder / "console").read_text(errors="replace")[-2000:])
        number = self._container.pid
        for child in Path(f"/proc/{number}/task/{number}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
        return 0

    def command(self, *words: str, env: Sequence[str] = ()) -> list[str]:
        """The command line, for this machine, of a command on that one."""
        basics = (f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8", "COLUMNS=200")
        return [
            *("nsenter", "-t", str(self._init), "-a", "--wdns=/root", "--"),
            *("env", "-i", *basics, *env, *words),
        ]

    def run(
        self, *words: str, check: bool = True, timeout: float = 600, env: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on it. Raises MachineError with what it said if it fails."""
        done = subprocess.run(
            self.command(*words, env=env),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode != 0:
            raise MachineError(f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def sh(self, script: str, **options: bool) -> str:
        """Run a shell script on it; what it printed."""
        return self.run("/bin/sh", "-ec", script, **options).stdout

    def show(self, unit: str, value: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", "-p", value, "--value", unit).stdout.strip()

    def main_pid(self, unit: str) -> int:
        """The unit's main process, as this machine numbers it; 0 if there is none."""
        inner = self.show(unit, "MainPID")
        if inner == "0":
            return 0
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(
                    line.split(":", 1) for line in status.read_text().splitlines() if ":" in line
                )
                numbers = fields["NSpid"].split()
                same = (status.parent / "ns/pid").readlink() == Path(
                    f"/proc/{self._init}/ns/pid"
                ).readlink()
            except (OSError, KeyError):
                continue
            if same and numbers[-1] == inner:
                return int(status.parent.name)
        return 0

    def keep_on_disk(self, *folders: str) -> None:
        """Give these folders, while it is off, a disk of their own.

        Of that, `cut_power` leaves only what was synced; what merely the kernel had is gone.
        """
        image = self.folder / "disk.img"
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        (self.folder / "disk").mkdir()
        self._attach()
        for folder in folders:
            place = self._place(folder)
            shutil.copytree(self.root / folder.lstrip("/"), place, symlinks=True)
            for path in (place, *place.rglob("*")):
                at = (self.root / folder.lstrip("/") / path.relative_to(place)).lstat()
                os.chown(path, at.st_uid, at.st_gid, follow_symlinks=False)
        self._detach()
        self._on_disk = folders
        self._attach()

    def _place(self, folder: str) -> Path:
        return self.folder / "disk" / Path(folder).name

    def _attach(self) -> None:
        disk = self.folder / "disk"
        subprocess.run(
            ["mount", "-o", "loop", str(self.folder / "disk.img"), str(disk)], check=True
        )
        for folder in self._on_disk:
            target = self.root / folder.lstrip("/")
            subprocess.run(["mount", "--bind", str(self._place(folder)), str(target)], check=True)

    def _detach(self) -> None:
        mounts = [self.root / folder.lstrip("/") for folder in self._on_disk]
        for mount in (*mounts, self.folder / "disk"):
            # The container's own view of it ends a moment after its last process.
            wait_for(
                lambda mount=mount: (
                    subprocess.run(
                        ["umount", str(mount)], check=False, capture_output=True
                    ).returncode
                    == 0
                ),
                30,
                f"{mount} stays in use",
            )

    def cut_power(self) -> None:
        """Every process on it is gone at once, without a word."""
        assert self._container is not None
        if self._on_disk:
            disk = os.open(self.folder / "disk", os.O_RDONLY)
            try:
                fcntl.ioctl(disk, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
            finally:
                os.close(disk)
        os.kill(self._init, signal.SIGKILL)
        self._container.wait(30)
        self._container = None
        if self._on_disk:
            self._detach()
            self._attach()

    def remove(self) -> None:
        """Switch it off and throw it away."""
        if self._container is not None:
            self.cut_power()
        if self._on_disk:
            self._detach()
        subprocess.run(["umount", "--lazy", str(self.root)], check=True)
        shutil.rmtree(self.folder)


def wait_for(ask: Callable[[], T], seconds: float, complaint: str) -> T:
    """Ask until the answer is true; MachineError with the complaint if it never is."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise MachineError(f"{complaint} within {seconds:g} s")
        time.sleep(0.1)
    return answer
