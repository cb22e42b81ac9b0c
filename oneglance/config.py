"""One TOML file, a section a room; all mistakes are reported at once, each with its place."""

from __future__ import annotations

import difflib
import ipaddress
import logging
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
)

from oneglance.access_config import AccessConfig, access_mistakes
from oneglance.errors import ConfigError, os_fix
from oneglance.schedule import Schedule, zone_of
from oneglance.secret_file import check_unchangeable
from oneglance.section import Section
from oneglance.topic_level import Level

DEFAULT_CONFIG = Path("/etc/oneglance/oneglance.toml")
STATE_DIR = Path("/var/lib/oneglance")
ETC_DIR = Path("/etc/oneglance")

log = logging.getLogger(__name__)

# What a camera and an encoder can be counted on for, on the smallest machine.
LOOKS_PER_S = 10
_CREDENTIAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def _secret_file(value: object) -> Path:
    """`credential:NAME` is the file that systemd passed (LoadCredential=NAME:...).

    Outside a unit it is the file NAME beside the configuration, so that an administrator's
    commands and the service share one configuration.
    """
    if not isinstance(value, (str, Path)):
        raise ValueError("the name of a file is expected")
    text = str(value)
    if not text.startswith("credential:"):
        return Path(text)
    name = text.removeprefix("credential:")
    if not _CREDENTIAL.fullmatch(name):
        raise ValueError("a plain name stands after 'credential:', e.g. 'credential:signing.key'")
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) / name if folder else Path(name)


def _camera_source(value: object) -> object:
    # To Python, true is a 1.
    nonsense = isinstance(value, bool) or value == "" or (isinstance(value, int) and value < 0)
    if nonsense:
        raise ValueError("an index (0, 1, ...), device, URL, video file or folder is expected")
    return value


def _host(value: object) -> object:
    """What is often written there, and belongs elsewhere."""
    if isinstance(value, str) and "://" in value:
        raise ValueError("a name or address alone is expected, without what ends in ://")
    if isinstance(value, str) and re.fullmatch(r"[^:]+:[0-9]+", value):
        raise ValueError("the port stands in a key of its own, port")
    return value


def _zone(name: str) -> str:
    zone_of(name)
    return name


def _lines(lines: tuple[str, ...]) -> tuple[str, ...]:
    if lines:
        Schedule.of(lines)
    return lines


Zone = Annotated[str, AfterValidator(_zone)]
Secret = Annotated[Path, BeforeValidator(_secret_file)]
Host = Annotated[
    str,
    BeforeValidator(_host),
    StringConstraints(pattern=r"^[^\s/@]+$", max_length=253),
]
Source = Annotated[str | int, BeforeValidator(_camera_source)]
# As most programs show it, with colons or without.
Fingerprint = Annotated[str, StringConstraints(pattern=r"^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$")]
Start = Annotated[int, Field(ge=0, le=7680)]
Extent = Annotated[int, Field(ge=64, le=7680)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class SiteConfig(Section):
    """Which door this is; both names stand in every topic. `timezone`: where it hangs (IANA)."""

    name: Level = "home"
    door: Level = "front"
    timezone: Zone | None = None


class MqttConfig(Section):
    """The broker. `tls` needs `ca_file`; passwords are read from files only.

    `websocket_path` is where a broker that is reached over websockets takes them, e.g. "/mqtt".
    """

    host: Host = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    websocket_path: Annotated[str, StringConstraints(pattern=r"^/[!-~]*$")] | None = None
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Secret | None = None
    user: str | None = None
    password_file: Secret | None = None
    keepalive_s: Annotated[int, Field(ge=2, le=3600)] = 15


class SigningConfig(Section):
    """The daemon's private key (decisions are signed with it) and where its sequence is kept."""

    key_file: Secret = ETC_DIR / "signing.key"
    sequence_file: Path = STATE_DIR / "sequence"


class GalleryConfig(Section):
    """The enrolled people's templates and the key that seals them.

    `generation_file` (beside the gallery if not given) remembers how far the gallery had come, so
    that an older copy of it is noticed. Who has expired is deleted after `keep_expired_days`.
    """

    path: Path = STATE_DIR / "gallery.db"
    key_file: Secret = ETC_DIR / "gallery.key"
    generation_file: Path | None = None
    keep_expired_days: Annotated[int, Field(ge=0, le=36_500)] = 30


class CommandsConfig(Section):
    """Whose commands the daemon takes, and where it remembers which were carried out.

    `key_file` is the administrator's, with which `oneglance command` signs. What is not given
    stands where a new house has it: see `Config`.
    """

    keyring_file: Path | None = None
    nonce_file: Path | None = None
    key_file: Secret | None = None


class SharingConfig(Section):
    """The gallery that many doors share: docs/sharing.md.

    With `receive` the daemon takes over whom the house shares with this door, sealed to the key in
    `key_file`; `state_file` says how far it has come. Without news for `stale_days` it says so, and
    with `stale = "shut"` nobody is let in until there are.
    """

    receive: bool = False
    key_file: Secret = ETC_DIR / "sharing.key"
    state_file: Path | None = None
    stale_days: Annotated[float, Field(gt=0, le=365)] = 7.0
    stale: Literal["open", "shut"] = "open"


class ModelConfig(Section):
    """The model and the threads it may use: by `name` one that comes with oneglance, or a folder.

    With neither it is the standard one. With `public_key_file` only a folder that this key signed
    is loaded. `variant` names one of the folder's; without it the one that `doctor --tune` wrote to
    `choice_file` is taken.
    """

    name: Literal["mobileface-small", "mobileface-3", "mobileface-large"] | None = None
    folder: Path | None = None
    threads: Annotated[int, Field(ge=1, le=16)] = 1
    variant: Annotated[str, StringConstraints(min_length=1, max_length=40)] | None = None
    public_key_file: Path | None = None
    choice_file: Path | None = None


class DecisionConfig(Section):
    """How much evidence a decision needs; `far` is the rate of strangers' visits let in."""

    far: Literal["1e-2", "1e-3", "1e-4", "1e-5"] = "1e-3"
    frames: Annotated[int, Field(ge=3, le=50)] = 3
    patience_s: Annotated[float, Field(ge=0.5, le=30)] = 3.0
    lifetime_s: Annotated[float, Field(ge=1, le=10)] = 5.0
    min_face_px: Annotated[int, Field(ge=24, le=1000)] = 80


class CalibrationConfig(Section):
    """What this door's own pictures do to scores: docs/calibration.md.

    With `keep_strangers` the daemon keeps templates of visitors whom it did not know, sealed, for
    `oneglance calibrate` to learn from; all of them go `keep_strangers_days` after the first came.
    `file` holds what was learned, `strangers_file` them. No
    decision is made where `file` is given and not there.
    """

    keep_strangers: bool = False
    keep_strangers_days: Annotated[int, Field(ge=1, le=365)] = 30
    file: Path | None = None
    strangers_file: Path | None = None


class LivenessConfig(Section):
    """What is asked of a face besides resembling somebody: docs/liveness.md.

    `passive` looks for a photograph, screen or mask on the way; `passive+challenge` also has the
    kiosk ask for a movement: of everybody, or, if it `asks` the doubtful, only of those who were
    seen to live, but not clearly. With `off` a photograph of an enrolled person opens the door.
    `folder` holds the model that judges; the shipped one if not given.
    """

    policy: Literal["off", "passive", "passive+challenge"] = "passive"
    asks: Literal["everybody", "doubtful"] = "everybody"
    folder: Path | None = None


class CameraConfig(Section):
    """One camera: a V4L2 device or index, an RTSP or HTTP URL, a video file or an image folder.

    `pace` is for files only: "real" plays at the file's own speed and drops what is late,
    "every" hands over each frame and waits for it. `width` and `height` are asked of a device.

    Its pictures are rotated (clockwise), then flipped, then cut to `crop`: left, top, width and
    height in px of the rotated picture.

    For a URL: `user` and `password_file` log in; a camera that gives one picture an answer is asked
    `poll_fps` times a second; with https:// the camera's certificate must be signed by an authority
    in `tls_ca_file` (by default one that is trusted publicly) or have the SHA-256
    `tls_fingerprint`.
    """

    name: Level
    source: Source
    pace: Literal["real", "every"] = "real"
    width: Annotated[int, Field(ge=64, le=7680)] | None = None
    height: Annotated[int, Field(ge=64, le=4320)] | None = None
    rotate: Literal[0, 90, 180, 270] = 0
    flip: Literal["horizontal", "vertical"] | None = None
    crop: tuple[Start, Start, Extent, Extent] | None = None
    read_deadline_s: Seconds = 5.0
    user: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    password_file: Secret | None = None
    poll_fps: Annotated[float, Field(ge=1, le=30)] = 8.0
    tls_ca_file: Path | None = None
    tls_fingerprint: Fingerprint | None = None


class AuditConfig(Section):
    """The log of what happened; in the folder `audit` beside the gallery unless one is given.

    With `snapshots` a sealed picture of each visitor who got a decision is kept as well.
    """

    folder: Path | None = None
    keep_days: Annotated[int, Field(ge=1, le=36_500)] = 365
    snapshots: bool = False
    snapshot_days: Annotated[int, Field(ge=1, le=365)] = 7


class MetricsConfig(Section):
    """The port on 127.0.0.1 where Prometheus may ask; nothing is served unless it is given."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = None


class PreviewConfig(Section):
    """The live picture for a screen that asks: how many screens at once (0: none), how often.

    With `assistant` a key of that role may have it too, and pass it on for the broker to see.
    At `socket` a screen of the user `socket_user` on the same machine gets it past the broker.
    """

    screens: Annotated[int, Field(ge=0, le=4)] = 2
    fps: Annotated[float, Field(ge=1, le=10)] = 10.0
    assistant: bool = False
    socket: Path | None = None
    socket_user: str = "oneglance-kiosk"


class HomeAssistantConfig(Section):
    """Whether Home Assistant is told of the door: docs/home-assistant.md.

    With `names` it hears who was accepted. `prefix` is where it listens for what is announced.
    """

    discovery: bool = False
    names: bool = False
    prefix: Level = "homeassistant"


class AssistantConfig(Section):
    """What asks for Home Assistant, which holds no key: docs/home-assistant.md.

    With `verify` it has a button that has whoever stands at the door looked at, with `lock` an
    entity that shuts a lock (one with door.shut_on_request), with `camera` the live picture (if
    preview.assistant allows it), which the broker then sees. `key_file` is ID.key of the role
    `assistant`, `public_key_file` says whose pictures are believed.
    """

    verify: bool = False
    lock: bool = False
    camera: bool = False
    key_file: Secret = ETC_DIR / "assistant.key"
    public_key_file: Path = ETC_DIR / "keyring.json"


class DoorConfig(Section):
    """The lock: whose signature it trusts, which pin it pulses, where its memory is.

    `require_liveness` refuses who was not seen to be alive; unless it is given, it is on where
    this file's liveness.policy is. With `shut_on_request` whoever the broker lets ask ends a pulse
    early, e.g. Home Assistant; nobody opens it that way.
    """

    public_key_file: Path = ETC_DIR / "signing.pub"
    state_file: Path = STATE_DIR / "door" / "sequence"
    pin: str = "GPIO17"
    pin_factory: Literal["auto", "mock", "lgpio", "rpigpio", "pigpio", "native"] = "auto"
    active_high: bool = True
    pulse_s: Annotated[float, Field(gt=0, le=60)] = 3.0
    require_liveness: bool | None = None
    shut_on_request: bool = False


class ReaderConfig(Section):
    """The badge reader: one that types (`wedge`, at `device`), or one on two pins (`wiegand`).

    `key_file` is ID.key, the key that its claims are signed with.
    """

    kind: Literal["wedge", "wiegand"] = "wedge"
    device: Path | None = None
    d0: str = "GPIO23"
    d1: str = "GPIO24"
    pin_factory: Literal["auto", "mock", "lgpio", "rpigpio", "pigpio", "native"] = "auto"
    key_file: Secret = ETC_DIR / "reader.key"


class KioskConfig(Section):
    """The screen at the door; `public_key_file` says whose decisions it believes.

    With `key_file`, a kiosk's key, it may also ask the daemon for what a screen may ask for.
    `pin_pad` lets a visitor enter a PIN, on a touch screen or with a keyboard. With `preview`
    visitors see themselves while they are looked at; with `verify_button` they can ask to be.
    `admin_file` holds an administrator's key, sealed under the PIN that opens the administration
    here, and `photo_folders` are where sticks with photographs for an enrolment are mounted. A
    `discreet` greeting names nobody. `dim` says when the screen needs less light (by `dim_by`)
    while nobody is there. With `sounds` an answer is heard too, with `speech` hints and answers are
    said aloud, and with `escape` the Escape key closes the screen even where it fills the display.
    """

    public_key_file: Path = ETC_DIR / "signing.pub"
    key_file: Secret | None = None
    fullscreen: bool = True
    pin_pad: bool = False
    verify_button: bool = False
    admin_file: Path | None = None
    photo_folders: tuple[Path, ...] = (Path("/media"), Path("/run/media"))
    preview: bool = True
    result_s: Annotated[float, Field(ge=1.2, le=60)] = 4.0
    greeting: Literal["name", "discreet"] = "name"
    language: Annotated[str, StringConstraints(max_length=40)] = "en"
    door_name: Annotated[str, StringConstraints(max_length=40)] = ""
    theme_file: Path | None = None
    dim: Annotated[tuple[str, ...], AfterValidator(_lines)] = ()
    dim_by: Annotated[float, Field(gt=0, le=0.95)] = 0.6
    sounds: bool = False
    speech: bool = False
    escape: bool = False


class Config(Section):
    """The whole file; every section may be left out."""

    site: SiteConfig = SiteConfig()
    mqtt: MqttConfig = MqttConfig()
    signing: SigningConfig = SigningConfig()
    commands: CommandsConfig = CommandsConfig()
    gallery: GalleryConfig = GalleryConfig()
    sharing: SharingConfig = SharingConfig()
    model: ModelConfig = ModelConfig()
    decision: DecisionConfig = DecisionConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    liveness: LivenessConfig = LivenessConfig()
    access: AccessConfig = AccessConfig()
    camera: tuple[CameraConfig, ...] = ()
    audit: AuditConfig = AuditConfig()
    metrics: MetricsConfig = MetricsConfig()
    preview: PreviewConfig = PreviewConfig()
    home_assistant: HomeAssistantConfig = HomeAssistantConfig()
    assistant: AssistantConfig = AssistantConfig()
    door: DoorConfig = DoorConfig()
    reader: ReaderConfig = ReaderConfig()
    kiosk: KioskConfig = KioskConfig()

    @property
    def requires_liveness(self) -> bool:
        """Whether nothing happens for who was not seen to be alive: at the lock, on the screen.

        `door.require_liveness`, or whether `liveness.policy` is on.
        """
        asked = self.door.require_liveness
        return self.liveness.policy != "off" if asked is None else asked

    @property
    def keyring_file(self) -> Path:
        """`commands.keyring_file`, or keyring.json beside the lock's public key."""
        return self.commands.keyring_file or self.door.public_key_file.with_name("keyring.json")

    @property
    def nonce_file(self) -> Path:
        """`commands.nonce_file`, or `commands` beside the sequence."""
        return self.commands.nonce_file or self.signing.sequence_file.with_name("commands")

    @property
    def attempts_file(self) -> Path:
        """`access.attempts.file`, or `attempts` beside the sequence."""
        return self.access.attempts.file or self.signing.sequence_file.with_name("attempts")

    @property
    def credentials_file(self) -> Path:
        """`access.credentials_file`, or `credentials` beside the gallery."""
        return self.access.credentials_file or self.gallery.path.with_name("credentials")

    @property
    def sharing_file(self) -> Path:
        """`sharing.state_file`, or `shared` beside the gallery."""
        return self.sharing.state_file or self.gallery.path.with_name("shared")

    @property
    def calibration_file(self) -> Path:
        """`calibration.file`, or `calibration` beside the gallery."""
        return self.calibration.file or self.gallery.path.with_name("calibration")

    @property
    def strangers_file(self) -> Path:
        """`calibration.strangers_file`, or `strangers` beside the gallery."""
        return self.calibration.strangers_file or self.gallery.path.with_name("strangers")

    @property
    def command_key_file(self) -> Path:
        """`commands.key_file`, or administrator.key beside the lock's public key."""
        beside = self.door.public_key_file.with_name("administrator.key")
        return self.commands.key_file or beside

    @property
    def announced_file(self) -> Path:
        """What was announced to Home Assistant: `home-assistant` beside the sequence."""
        return self.signing.sequence_file.with_name("home-assistant")

    @property
    def audit_folder(self) -> Path:
        """Where the audit log stands."""
        return self.audit.folder or self.gallery.path.parent / "audit"

    @property
    def snapshot_folder(self) -> Path:
        """Where sealed pictures of visitors are kept, if they are."""
        return self.audit_folder / "snapshots"


def config_file(path: Path | None = None, own: str = "", *, default: Path = DEFAULT_CONFIG) -> Path:
    """Which file is the configuration: `path`, or $ONEGLANCE_CONFIG, each a file or its folder.

    Else oneglance.toml of the current folder, if its owner is this user or root, else `default`. A
    command that has a file of its `own`, e.g. door.toml, prefers it to the folder's oneglance.toml.
    The file need not be there.
    """
    names = tuple(filter(None, (own, default.name)))
    named = path or Path(os.environ.get("ONEGLANCE_CONFIG", "")).expanduser()
    if named != Path():
        return _first(named, names) or named / default.name if _is_folder(named) else named
    return _first(Path(), names, _trusted) or _first(default.parent, names) or default


def _first(
    folder: Path, names: tuple[str, ...], fits: Callable[[Path], bool] = lambda file: True
) -> Path | None:
    files = (folder / name for name in names)
    return next((file for file in files if _there(file) and fits(file)), None)


def _is_folder(path: Path) -> bool:
    """False as well where this user may not look, so that reading says why."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _there(file: Path) -> bool:
    """True as well where this user may not look, so that reading says why."""
    try:
        return file.exists()
    except OSError:
        return True


def _trusted(file: Path) -> bool:
    """Nobody else's: root in somebody's folder must not be led by what lies there."""
    try:
        owner = file.stat().st_uid
    except OSError:
        return False
    # With sudo, whoever called it is meant.
    ours = {str(os.geteuid()), "0", os.environ.get("SUDO_UID", "0")}
    if str(owner) not in ours:
        log.warning("%s is somebody else's, and is not taken unless --config names it", file)
    return str(owner) in ours


def load_config(path: Path | None = None, own: str = "") -> Config:
    """Read the file that `config_file` finds.

    Relative paths in it are taken from the file's own folder, and so are the keys that it does not
    name. Raises ConfigError that lists every mistake, with the nearest known key where one was
    misspelt, or says that everybody on this machine can change the file.
    """
    file = config_file(path, own)
    try:
        with file.open("rb") as opened:
            # It names the keys that count: who can change it owns the door.
            check_unchangeable(opened.fileno(), str(file))
            data = tomllib.load(opened)
    except FileNotFoundError:
        raise ConfigError(
            "there is no configuration",
            where=str(file),
            fix="make one with 'oneglance init', or name another with --config or ONEGLANCE_CONFIG",
        ) from None
    except OSError as error:
        other = "or name another with --config or ONEGLANCE_CONFIG"
        raise ConfigError(
            f"cannot read it: {error.strerror}",
            where=str(file),
            fix=f"{os_fix(error) or 'check the path'}, {other}",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(file)) from None
    log.info("configuration: %s", file)
    config: Config = _anchored(parse_config(data, str(file)), file.absolute().parent)
    return config


def parse_config(data: dict[str, Any], where: str) -> Config:
    """Check what the file said; ConfigError lists all mistakes, one a line."""
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        told = error.errors()
        # A list that has lost all its wrong members is not too short as well.
        places = [e["loc"] for e in told]
        mistakes = [
            _mistake(e["loc"], e["type"], e["msg"])
            for e in told
            if e["type"] != "too_short"
            or all(e["loc"] == p or p[: len(e["loc"])] != e["loc"] for p in places)
        ]
        raise ConfigError(
            "; ".join(mistakes), where=where, fix="see docs/configuration.md"
        ) from None
    mistakes = list(_contradictions(config))
    if mistakes:
        raise ConfigError("; ".join(mistakes), where=where, fix="see docs/configuration.md")
    return config


def _contradictions(config: Config) -> list[str]:
    mistakes = []
    names = [camera.name for camera in config.camera]
    mistakes += [f"camera: the name {n!r} stands twice" for n in set(names) if names.count(n) > 1]
    for camera in config.camera:
        mistakes += [f"camera {camera.name!r}: {text}" for text in _camera_mistakes(camera)]
    mqtt = config.mqtt
    if not mqtt.tls and (mqtt.ca_file or mqtt.cert_file or mqtt.key_file):
        mistakes.append("mqtt: certificate files are given, but tls is false")
    if bool(mqtt.cert_file) != bool(mqtt.key_file):
        mistakes.append("mqtt: cert_file and key_file go together")
    if bool(mqtt.user) != bool(mqtt.password_file):
        mistakes.append("mqtt: user and password_file go together")
    if mqtt.password_file and not mqtt.tls and not _is_this_machine(mqtt.host):
        mistakes.append("mqtt: without tls the password would cross the network readable")
    if config.home_assistant.names and not config.home_assistant.discovery:
        mistakes.append("home_assistant: names are told only with discovery")
    if config.kiosk.pin_pad and config.kiosk.key_file is None:
        mistakes.append("kiosk: pin_pad needs key_file, the key that signs what is entered")
    if config.model.name is not None and config.model.folder is not None:
        mistakes.append("model: give name or folder, not both")
    if config.liveness.asks == "doubtful" and config.liveness.policy != "passive+challenge":
        mistakes.append('liveness: asks is for policy = "passive+challenge"')
    audit = config.audit
    if audit.snapshots and audit.snapshot_days > audit.keep_days:
        mistakes.append(
            "audit: snapshot_days is more than keep_days, so that nobody could tell whose a picture"
            " is when its person is deleted"
        )
    decision = config.decision
    if decision.frames > decision.lifetime_s * LOOKS_PER_S:
        mistakes.append(
            f"decision: {decision.frames} frames within lifetime_s = {decision.lifetime_s:g} are "
            f"more than {LOOKS_PER_S} a second, so hardly anybody would be accepted"
        )
    return mistakes + access_mistakes(config.access, config.site.timezone)


def _camera_mistakes(camera: CameraConfig) -> list[str]:
    mistakes = []
    is_url = "://" in str(camera.source)
    if bool(camera.user) != bool(camera.password_file):
        mistakes.append("user and password_file go together")
    if camera.user and not is_url:
        mistakes.append("user and password_file are for a URL")
    if camera.tls_ca_file and camera.tls_fingerprint:
        mistakes.append("give tls_ca_file or tls_fingerprint, not both")
    is_https = str(camera.source).lower().startswith("https://")
    if (camera.tls_ca_file or camera.tls_fingerprint) and not is_https:
        mistakes.append("tls_ca_file and tls_fingerprint are for an https:// URL")
    return mistakes


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _mistake(place: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(str(part) for part in place)
    if kind != "extra_forbidden":
        return f"{name}: {message.removeprefix('Value error, ')}"
    model: type[BaseModel] = Config
    for part in place[:-1]:
        if isinstance(part, str):
            annotation: Any = model.model_fields[part].annotation
            # Of a tuple of sections: the section.
            model = next(iter(get_args(annotation)), annotation)
    if place == ("decision", "fmr"):
        return (
            "decision.fmr: was the rate of one comparison; now write far, the rate of a whole "
            'visit, e.g. far = "1e-3", or run: oneglance config migrate FILE'
        )
    near = difflib.get_close_matches(str(place[-1]), model.model_fields, n=1)
    return f"{name}: unknown key" + (f", did you mean {near[0]!r}?" if near else "")


def _anchored(section: Any, folder: Path) -> Any:
    """The same section with relative paths taken from `folder`."""
    if isinstance(section, Path):
        return section if section.is_absolute() else folder / section
    if isinstance(section, tuple):
        return tuple(_anchored(item, folder) for item in section)
    if isinstance(section, BaseModel):
        values = {
            name: _anchored(value if name in section.model_fields_set else _beside(value), folder)
            for name, value in section
        }
        if isinstance(section, CameraConfig):
            values["source"] = _anchored_source(section.source, folder)
        moved = section.model_copy(update=values)
        # A default stays one: who looks at a machine asks what the file speaks of.
        moved.model_fields_set.intersection_update(section.model_fields_set)
        return moved
    return section


def _beside(default: Any) -> Any:
    """A key that is not named lies beside the configuration, as in /etc/oneglance."""
    is_key = isinstance(default, Path) and default.parent == ETC_DIR
    return Path(default.name) if is_key else default


def _anchored_source(source: str | int, folder: Path) -> str | int:
    if isinstance(source, int) or source.isdecimal() or "://" in source:
        return source
    return str(folder / Path(source).expanduser())
