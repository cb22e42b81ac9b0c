"""`oneglance init`: the configuration and the keys of a new door."""

from __future__ import annotations

import os
import tempfile
import tomllib
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from oneglance.config import parse_config
from oneglance.errors import ConfigError

_TOML = """\
# oneglance: one file for daemon, lock and screen. All keys: docs/configuration.md.
# Relative paths are taken from this file's folder.

[site]
name = "{site}"
door = "{door}"

[mqtt]
host = "127.0.0.1"
port = 1883
# tls = true
# ca_file = "ca.crt"
# user = "daemon"
# password_file = "mqtt.password"     # chmod 600

[signing]
key_file = "signing.key"              # stays on this machine
sequence_file = "{state}/sequence"

[commands]
keyring_file = "keyring.json"         # whose signatures count; public
key_file = "administrator.key"        # 'oneglance command' signs with it

[gallery]
path = "{state}/gallery.db"
key_file = "gallery.key"              # stays on this machine

[decision]
far = "1e-3"                          # how many strangers' visits may be let in

[liveness]
policy = "passive"                    # or "passive+challenge": the screen asks for a movement

[[camera]]
name = "{door}"
source = {camera}

[door]
public_key_file = "keyring.json"      # the lock needs only this one
state_file = "{state}/door/sequence"
pin = "GPIO17"

[kiosk]
public_key_file = "keyring.json"
key_file = "kiosk.key"                # the screen signs with it what it asks for
# pin_pad = true                      # with a touch screen: PINs can be entered at it
"""


# The configuration last: with it, the door is made.
_FILES = (
    "gallery.key",
    "administrator.key",
    "kiosk.key",
    "keyring.json",
    "signing.pub",
    "signing.key",
    "oneglance.toml",
)


def init(
    folder: Annotated[Path, typer.Option("--dir", help="Where configuration and keys go.")] = Path(
        "/etc/oneglance"
    ),
    state: Annotated[
        Path | None,
        typer.Option(help="Where the gallery and counters go; DIR/state unless DIR is in /etc."),
    ] = None,
    site: Annotated[str, typer.Option(help="Name of the house, as in MQTT topics.")] = "home",
    door: Annotated[str, typer.Option(help="Name of the door, as in MQTT topics.")] = "front",
    camera: Annotated[
        str, typer.Option(help="Index, /dev/video*, RTSP or HTTP URL, video file or folder.")
    ] = "0",
) -> None:
    """Make a door: a configuration file, its keys, and the keyring that says which count.

    Nothing that exists is overwritten: keys made again would lock everybody out. If it fails,
    no key is left behind.

    Example: `oneglance init --dir ~/door`, then
    `oneglance people enrol "Ada Lovelace" ada.jpg --consent -c ~/door`
    """
    from oneglance.contract.topics import Topics

    Topics(site, door)
    folder = folder.expanduser().absolute()
    default_state = Path("/var/lib/oneglance") if folder.parts[:2] == ("/", "etc") else None
    state = (state or default_state or folder / "state").expanduser().absolute()
    text = _configuration(site, door, state, _lasting(camera))
    try:
        for name in _FILES:
            if (folder / name).exists():
                raise ConfigError(
                    "there is one already, and it is never overwritten",
                    where=str(folder / name),
                    fix="choose another --dir, or move it away first",
                )
        # Whoever may write there replaces the keyring.
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        for private in (state, state / "door"):
            private.mkdir(parents=True, exist_ok=True, mode=0o700)
        make_door(folder, text, private="://" in camera)
    except OSError as error:
        raise ConfigError(
            f"cannot write it: {error.strerror}",
            where=str(error.filename or folder),
            fix="run this as a user who may write there, or choose another --dir",
        ) from None
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"A new door, {site}/{door}, in {folder}:")
    console.print("  oneglance.toml  what you may change; 'oneglance doctor' checks it")
    console.print("  signing.key     signs decisions; never leaves this machine")
    console.print("  administrator.key, kiosk.key")
    console.print("                  sign commands to the daemon: 'oneglance command', the screen")
    console.print("  keyring.json    which of them count, and the daemon's: for lock and screen")
    console.print("  signing.pub     the daemon's alone, for a lock of your own")
    console.print("  gallery.key     seals the templates; without it the gallery is unreadable")
    console.print(f"Next: oneglance people enrol NAME PHOTO --consent -c {folder}")


def _make_keyring(folder: Path) -> None:
    """Make keys for commands beside the daemon's, and the keyring with all of them."""
    from oneglance.contract.keyring import Keyring, Role, entry
    from oneglance.contract.keyring_file import write_keyring
    from oneglance.contract.signing import load_public_key
    from oneglance.key_files import create_key_pair

    now = datetime.now(UTC)
    ring = Keyring().with_entry(
        entry("daemon", Role.DAEMON, load_public_key(folder / "signing.pub"), now)
    )
    for role in (Role.ADMINISTRATOR, Role.KIOSK):
        public = folder / f"{role}.pub"
        create_key_pair(folder / f"{role}.key", public)
        ring = ring.with_entry(entry(role, role, load_public_key(public), now))
    write_keyring(folder / "keyring.json", ring)


def _lasting(camera: str) -> str:
    """A device's lasting name, instead of a number that may be another device's after a restart."""
    from oneglance.daemon.camera.devices import lasting_name

    name = lasting_name(camera) if camera.isascii() and camera.isdecimal() else None
    return camera if name is None else str(name)


def _configuration(site: str, door: str, state: Path, camera: str) -> str:
    """The file's text; ConfigError if it would not be valid."""
    for what, value in (("--state", str(state)), ("--camera", camera)):
        if not value.isprintable():
            raise ConfigError("control characters cannot stand in a configuration", where=what)
    index = camera.isascii() and camera.isdecimal()
    text = _TOML.format(
        site=site,
        door=door,
        state=_toml_text(state),
        camera=int(camera) if index else f'"{_toml_text(camera)}"',
    )
    parse_config(tomllib.loads(text), "init")
    return text


def _toml_text(value: object) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"')


def make_door(folder: Path, text: str, *, private: bool) -> None:
    """Write the configuration `text` and all keys: all files or none, replacing none.

    Half a door could be neither used nor made again. Raises OSError.
    """
    from oneglance.contract.signing import create_signing_key
    from oneglance.faces.gallery.vault import create_key
    from oneglance.whole_file import write_whole

    with tempfile.TemporaryDirectory(prefix=".init.", dir=folder) as draft, ExitStack() as made:
        drafts = Path(draft)
        create_signing_key(drafts / "signing.key", drafts / "signing.pub")
        create_key(drafts / "gallery.key")
        _make_keyring(drafts)
        # Not for everybody: a camera's URL may carry its password.
        mode = 0o640 if private else 0o644
        write_whole(drafts / "oneglance.toml", text.encode(), mode, durable=True)
        for name in _FILES:
            # Unlike a rename, a link never replaces what another process made meanwhile.
            os.link(drafts / name, folder / name)
            made.callback((folder / name).unlink)
        made.pop_all()
