"""`oneglance doctor`: what is missing for each part, and how to get it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneglance.cli.findings import Finding, Verdict, checked, show
from oneglance.cli.options import ConfigOption, JsonOption, config_is_there
from oneglance.config import DEFAULT_CONFIG, CameraConfig, Config, load_config
from oneglance.config import config_file as find_config
from oneglance.errors import OneglanceError

if TYPE_CHECKING:
    from packaging.requirements import Requirement


_OLDEST_PYTHON = (3, 11)
# Some 150,000 entries of the audit log.
_LEAST_FREE_MIB = 100


# Packages of an extra that are shown with another part: nobody installs faces alone for a door.
_SHOWN_WITH = {"faces": "daemon"}
# Who develops has the Makefile; on a door these would only be noise.
_NOT_SHOWN = {"dev"}


def doctor(
    config: ConfigOption = None,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune", help="Measure the model's variants on this machine and keep the fastest."
        ),
    ] = False,
    running: Annotated[
        bool, typer.Option("--running", help="Ask the service that runs instead.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at this machine: what is missing for each part, and how to get it.

    Without a configuration it looks at Python, packages, the model and the screen; with one
    (`--config`, or where `oneglance --help` says) also at what that file names: the daemon's keys,
    sequence, gallery, audit log, liveness model and cameras, the gallery that it shares with other
    doors, the lock's key, memory and pins, the screen's key, and the broker. Exit code 0 if nothing
    is broken. Parts that are missing, or have an unsuitable version, are not a fault: only those
    who use a part need it.

    `--running` asks the daemon that runs, by its [metrics] port, whether somebody could be let in,
    and the broker what daemon and lock last said; it touches neither cameras nor files.

    `--tune` measures instead: one face with each variant of the configured model, in turn. The
    fastest of those that the manifest allows is recorded beside the gallery, for the daemon's next
    start, and holds as long as model, machine and threads stay the same. Where the model is one of
    oneglance's own, its other models are timed beside it, and the largest that takes at most 33 ms
    is named. Changing to it is your decision: everybody then has to be enrolled again.
    """
    if tune:
        from oneglance.cli.doctor_tune import tune as tune_here

        tune_here(config, as_json)
        return
    if running:
        from oneglance.cli.doctor_running import ask

        findings = list(ask(config))
    else:
        findings = list(examine(config))
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}))  # noqa: T201
    else:
        show(findings)
    if any(finding.verdict is Verdict.BROKEN for finding in findings):
        raise SystemExit(1)


def examine(config_file: Path | None) -> Iterator[Finding]:
    """All findings, part by part."""
    yield _python()
    yield from packages()
    yield from checked("daemon", "face model", _model)
    yield from checked("daemon", "face cascade", _cascade)
    yield _screen()
    yield _photos()
    if config_file is None and not config_is_there():
        yield Finding(
            "config",
            "configuration",
            Verdict.MISSING,
            str(DEFAULT_CONFIG),
            "oneglance init, or name one with --config",
        )
        return
    try:
        config = load_config(config_file)
    except OneglanceError as error:
        yield Finding("config", "configuration", Verdict.BROKEN, str(error), error.fix)
        return
    yield Finding("config", "configuration", Verdict.GOOD, str(find_config(config_file)))
    yield from configured(config)


def configured(config: Config, *, offline: bool = False) -> Iterator[Finding]:
    """What the file names: a machine with only a lock or a screen has no daemon to look at.

    With `offline`, cameras and broker are left out.
    """
    sections = config.model_fields_set
    if sections & {"camera", "signing", "gallery"}:
        yield from _daemon(config, offline=offline)
    # Consumers that only listen, as `oneglance watch`, name the key in [door] and nothing else.
    if "door" in sections:
        yield from checked("door", "public key", partial(_public, config.door.public_key_file))
    if config.door.model_fields_set - {"public_key_file"}:
        yield from checked("door", "memory", partial(_memory, config))
        yield from checked("door", "pin factory", partial(_pin_factory, config))
    if "kiosk" in sections:
        yield from checked("kiosk", "public key", partial(_public, config.kiosk.public_key_file))
        if config.kiosk.key_file is not None:
            yield from checked("kiosk", "key", partial(_command_key, config, config.kiosk.key_file))
    if "assistant" in sections:
        asks = config.assistant
        yield from checked("assistant", "key", partial(_command_key, config, asks.key_file))
        if asks.camera:
            yield from checked("assistant", "public key", partial(_public, asks.public_key_file))
    if config.commands.key_file is not None:
        key_file = config.commands.key_file
        yield from checked("commands", "key", partial(_command_key, config, key_file))
    if not offline:
        yield from _broker(config)


def _daemon(config: Config, *, offline: bool) -> Iterator[Finding]:
    from oneglance.contract.signing import load_signing_key

    def signing() -> str:
        load_signing_key(config.signing.key_file)
        return str(config.signing.key_file)

    yield from checked("daemon", "signing key", signing)
    yield from checked("daemon", "sequence", partial(_sequence, config))
    if config.keyring_file.exists():
        yield from checked("daemon", "may give commands", partial(_keyring, config))
        yield from checked("daemon", "memory of commands", partial(_nonces, config))
    else:
        yield Finding(
            "daemon",
            "may give commands",
            Verdict.MISSING,
            f"nobody: there is no {config.keyring_file}",
            "oneglance keys make administrator",
        )
    yield from checked("daemon", "door's model", partial(_doors_model, config))
    yield _liveness(config)
    yield from checked("daemon", "audit log", partial(_audit, config))
    yield from checked("daemon", "gallery", lambda: _gallery(config))
    yield from checked("daemon", "calibration", partial(_calibration, config))
    yield from checked("daemon", "gallery's witness", partial(_witness, config))
    yield from checked("daemon", "badges and PINs", partial(_credentials, config))
    if config.sharing.receive:
        yield from checked("sharing", "door's key", partial(_sharing_key, config))
        yield from checked("sharing", "who may share", partial(_sharers, config))
        if config.sharing_file.exists():
            yield from checked("sharing", "shared gallery", partial(_shared, config))
        else:
            yield Finding(
                "sharing",
                "shared gallery",
                Verdict.MISSING,
                "nothing was shared with this door yet",
                "oneglance people sync, where people are enrolled: docs/sharing.md",
            )
    if not config.camera:
        yield Finding(
            "daemon",
            "cameras",
            Verdict.MISSING,
            "no [[camera]] in the configuration",
            'add one: [[camera]] name = "front", source = 0',
        )
    if len(config.camera) > 1:
        yield from checked("daemon", "cameras", partial(_distinct, config.camera))
    for camera in () if offline else config.camera:
        yield from checked("daemon", f"camera {camera.name}", partial(camera_size, camera))


def _public(key_file: Path) -> str:
    from datetime import UTC, datetime

    from oneglance.contract.keyring import Role
    from oneglance.contract.keyring_file import read_pins
    from oneglance.errors import ConfigError
    from oneglance.key_files import fingerprint

    keys = read_pins(key_file).valid(Role.DAEMON, datetime.now(UTC))
    if not keys:
        raise ConfigError(
            "no key of a daemon in it counts at this moment",
            where=str(key_file),
            fix="copy the keyring from the daemon's machine here",
        )
    return ", ".join(fingerprint(key.key) for key in keys)


def _keyring(config: Config) -> str:
    """Who may give commands, and whether the daemon's own key, if listed there, is valid."""
    from datetime import UTC, datetime

    from oneglance.contract.keyring import Role, Standing
    from oneglance.contract.keyring_file import read_keyring
    from oneglance.contract.signing import load_signing_key
    from oneglance.errors import ConfigError

    ring, now = read_keyring(config.keyring_file), datetime.now(UTC)
    own = ring.id_of(load_signing_key(config.signing.key_file).public_key())
    entry = None if own is None else ring.find(own)
    if entry is not None and entry.standing(now) is not Standing.VALID:
        raise ConfigError(
            f"the daemon signs with {own!r}, which is {entry.standing(now)}",
            where=str(config.keyring_file),
            fix="make it a new key with 'oneglance keys rotate'",
        )
    counts = [(role, len(ring.valid(role, now))) for role in Role if role is not Role.DAEMON]
    return ", ".join(f"{count} {role}" for role, count in counts if count) or "nobody"


def _command_key(config: Config, key_file: Path) -> str:
    from oneglance.contract.commands import open_writer
    from oneglance.contract.topics import Topics

    writer = open_writer(Topics(config.site.name, config.site.door), key_file)
    return f"{key_file}, as {writer.key_id}"


def _nonces(config: Config) -> str:
    from oneglance.daemon.voice.nonces import NonceFile

    if NonceFile(config.nonce_file).load() is None:
        return f"{config.nonce_file}: damaged; the daemon begins a new one by itself"
    return str(config.nonce_file)


def _sequence(config: Config) -> str:
    from oneglance.daemon.voice.sequence import last_sequence

    last_sequence(config.signing.sequence_file)
    return str(config.signing.sequence_file)


def _memory(config: Config) -> str:
    from oneglance.door.memory import SequenceMemory

    SequenceMemory(config.door.state_file).load()
    return str(config.door.state_file)


def _pin_factory(config: Config) -> str:
    """The pin itself is left alone: a lock that runs is using it."""
    from oneglance.door.lock import factory_name, open_factory

    name = factory_name(config.door.pin_factory)
    open_factory(name).close()
    return f"{name}, for {config.door.pin}" + (" (moves nothing)" if name == "mock" else "")


def _python() -> Finding:
    good = sys.version_info >= _OLDEST_PYTHON
    return Finding(
        "base",
        "python",
        Verdict.GOOD if good else Verdict.BROKEN,
        f"{platform.python_version()} on {platform.machine()}",
        "" if good else "install Python 3.11 or newer",
    )


def packages() -> Iterator[Finding]:
    """Every Python package that oneglance or one of its extras asks for on this machine."""
    from oneglance.cli.extras import extra_names, requirements

    for extra in ("", *extra_names()):
        if extra not in _NOT_SHOWN:
            part = _SHOWN_WITH.get(extra, extra) or "base"
            for requirement in requirements(extra):
                yield _package(part, requirement)


def _package(part: str, requirement: Requirement) -> Finding:
    from oneglance.cli.extras import can_be_imported, fits, installed_version

    package = requirement.name
    fix = f"pip install 'oneglance[{part}]'" if part != "base" else "pip install oneglance"
    found = installed_version(requirement)
    if found is None:
        if can_be_imported(requirement):
            return Finding(part, package, Verdict.GOOD, "installed under another name")
        return Finding(part, package, Verdict.MISSING, "not installed", fix)
    if not fits(requirement, found):
        wanted = f"{found}, but {requirement.specifier} is needed"
        return Finding(part, package, Verdict.MISSING, wanted, fix)
    return Finding(part, package, Verdict.GOOD, found)


def _model() -> str:
    from oneglance.faces.model.face_model import load_model

    return load_model().model_id


def _doors_model(config: Config) -> str:
    from oneglance.faces.model.choice import machine_mark
    from oneglance.faces.model.manifest import read_document
    from oneglance.faces.model.setup import load_configured, model_folder, model_key, pick

    model = load_configured(config)
    picked = pick(
        config, read_document(model_folder(config), public_key=model_key(config)), machine_mark
    )
    aside = f"; {picked.aside}" if picked.aside else ""
    return f"{model.model_id}, variant {model.variant} ({picked.why}){aside}"


def _cascade() -> str:
    from oneglance.faces.find.detect import FaceDetector

    return FaceDetector().cascade


def _gallery(config: Config) -> str:
    from datetime import UTC, datetime

    from oneglance.cli.audit_log import open_gallery
    from oneglance.cli.gallery_fits import gallery_fits
    from oneglance.daemon.build import door_of
    from oneglance.faces.gallery.file import is_there
    from oneglance.faces.gallery.person import UnfitTemplatesError
    from oneglance.faces.gallery.vault import load_key
    from oneglance.faces.model.setup import load_configured

    model = load_configured(config)
    if not is_there(config.gallery.path):
        load_key(config.gallery.key_file)
        return "empty: enrol somebody with 'oneglance people enrol'"
    with open_gallery(config) as gallery:
        try:
            snapshot = gallery.snapshot(model.model_id, datetime.now(UTC))
        except UnfitTemplatesError as error:
            raise error.naming() from None
    decides = gallery_fits(config, model, snapshot, door_of(config, model))
    return f"{len(set(snapshot.person_ids))} people; {decides}"


def _calibration(config: Config) -> str:
    """A door without one is not at fault, but its rate of false accepts was not measured there."""
    from oneglance.faces.calibration.setup import any_door, kept_calibration, stranger_file
    from oneglance.faces.model.setup import load_configured

    model = load_configured(config)
    kept = kept_calibration(config, model)
    waiting = len(stranger_file(config, model).read())
    told = f"; {waiting} strangers are kept for the next" if waiting else ""
    if kept is None:
        lacking = "" if any_door(model) else "; until then this model corrects nothing for doors"
        return f"none: 'oneglance calibrate' holds decision.far at this very door{told}{lacking}"
    return f"from {kept.strangers} strangers, {kept.calibrated_at}{told}"


def _liveness(config: Config) -> Finding:
    """Switched off is not a fault, but must not be overlooked either."""
    policy = config.liveness.policy
    if policy == "off":
        return Finding(
            "daemon",
            "liveness",
            Verdict.MISSING,
            "off: a photograph of somebody enrolled opens this door",
            'set liveness.policy = "passive", or "passive+challenge"',
        )

    def look() -> str:
        from oneglance.faces.liveness.judge import load_liveness

        asks = config.liveness
        load_liveness(asks.folder, threads=config.model.threads)
        return policy

    return next(checked("daemon", "liveness", look))


def _audit(config: Config) -> str:
    """Whether it can be written, is intact from its last signature on, and has room to grow."""
    from datetime import UTC, datetime

    from oneglance.audit.log import Audit
    from oneglance.audit.segments import segments
    from oneglance.contract.keyring_file import daemon_keys
    from oneglance.contract.signing import load_signing_key
    from oneglance.errors import AuditError

    folder = config.audit_folder
    if not segments(folder):
        return f"{folder}: none yet, the daemon begins it"
    key = load_signing_key(config.signing.key_file).public_key()
    keys = [key, *daemon_keys(config.keyring_file)]
    head = Audit(folder, lambda: datetime.now(UTC), keys=keys).head()
    free_mib = shutil.disk_usage(folder).free // 2**20
    if free_mib < _LEAST_FREE_MIB:
        raise AuditError(
            f"only {free_mib} MiB are left on its disk",
            where=str(folder),
            fix="make room: nobody is let in once nothing can be written down",
        )
    return f"{folder}: {head.number} entries, {free_mib} MiB free"


def _witness(config: Config) -> str:
    """Whether an older gallery put back would be noticed; whether one was is checked elsewhere."""
    from oneglance.cli.audit_log import configured_witness
    from oneglance.faces.gallery.file import is_there

    if not is_there(config.gallery.path):
        return "nothing seen yet"
    return f"generation {configured_witness(config).floor()} was seen"


def _credentials(config: Config) -> str:
    from oneglance.cli.audit_log import credentials_log
    from oneglance.faces.gallery.credentials import read_credentials
    from oneglance.faces.gallery.vault import load_key

    path = config.credentials_file
    log = credentials_log(config) if path.exists() else None
    held = read_credentials(path, load_key(config.gallery.key_file), log)
    return f"of {len(held.entries)} people"


def _sharing_key(config: Config) -> str:
    from oneglance.key_files import load_sealing_key

    load_sealing_key(config.sharing.key_file)
    return str(config.sharing.key_file)


def _sharers(config: Config) -> str:
    from datetime import UTC, datetime

    from oneglance.contract.keyring import Role
    from oneglance.contract.keyring_file import read_keyring
    from oneglance.errors import ConfigError

    keys = read_keyring(config.keyring_file).valid(Role.GALLERY, datetime.now(UTC))
    if not keys:
        raise ConfigError(
            "nobody: no key of the role 'gallery' in it counts at this moment",
            where=str(config.keyring_file),
            fix="oneglance keys trust HOUSE.pub --role gallery",
        )
    return ", ".join(key.id for key in keys)


def _shared(config: Config) -> str:
    from datetime import UTC, datetime, timedelta

    from oneglance.daemon.gallery.sharing import read_applied
    from oneglance.errors import GalleryError
    from oneglance.faces.gallery.vault import load_key

    applied = read_applied(config.sharing_file, load_key(config.gallery.key_file))
    if applied.issued_at is None:
        return "cannot be read: the daemon takes it over anew"
    said = f"version {applied.version}, of {applied.issued_at:%Y-%m-%d %H:%M} UTC"
    if datetime.now(UTC) - applied.issued_at > timedelta(days=config.sharing.stale_days):
        raise GalleryError(
            f"no news since {said}",
            where="sharing.stale_days",
            fix="oneglance people sync, where people are enrolled: docs/sharing.md",
        )
    return said


def _broker(config: Config) -> Iterator[Finding]:
    """Whether it takes us, and how long anybody can still connect to it."""
    (connection,) = checked("broker", "connection", partial(_connection, config))
    yield connection
    if config.mqtt.tls and connection.verdict is Verdict.GOOD:
        yield _certificate(config)


def _certificate(config: Config) -> Finding:
    from datetime import UTC, datetime

    from oneglance.certificate import NOTICE, shown_until

    try:
        ends = shown_until(config.mqtt)
    except OSError as error:
        return Finding("broker", "certificate", Verdict.BROKEN, f"cannot be seen: {error}")
    near = ends - datetime.now(UTC) <= NOTICE
    return Finding(
        "broker",
        "certificate",
        Verdict.MISSING if near else Verdict.GOOD,
        f"until {ends:%Y-%m-%d}",
        "make a new one, and take it to every machine: docs/broker.md" if near else "",
    )


def _connection(config: Config) -> str:
    from oneglance.link import Link

    link = Link(config.mqtt, f"oneglance-doctor-{os.getpid()}")
    link.start()
    try:
        link.must_connect(3.0)
    finally:
        link.stop()
    return f"{config.mqtt.host}:{config.mqtt.port}" + (", TLS" if config.mqtt.tls else "")


def _distinct(cameras: tuple[CameraConfig, ...]) -> str:
    from oneglance.daemon.camera.devices import check_distinct

    check_distinct(cameras)
    return f"{len(cameras)}, each its own"


def camera_size(camera: CameraConfig) -> str:
    """What to say about a camera: the size of its picture, and a more lasting name, if it has one.

    Raises CameraError if it delivers no picture.
    """
    from oneglance.cli.camera import early_picture
    from oneglance.daemon.camera.devices import lasting_name

    frame = early_picture(camera, 1)
    lasting = lasting_name(camera.source)
    advice = "" if lasting is None else f'; its name may change, source = "{lasting}" stays'
    return f"{frame.shape[1]}x{frame.shape[0]}{advice}"


def _screen() -> Finding:
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return Finding("kiosk", "screen", Verdict.GOOD, "a display is there")
    if Path("/dev/dri").exists():
        return Finding("kiosk", "screen", Verdict.GOOD, "no desktop, but a graphics device")
    if shutil.which("Xvfb"):
        return Finding("kiosk", "screen", Verdict.GOOD, "none, but Xvfb can stand in")
    return Finding(
        "kiosk", "screen", Verdict.MISSING, "no display", "apt install xvfb libgl1-mesa-dri"
    )


def _photos() -> Finding:
    from oneglance.cli.photos import photos_ready

    if photos_ready():
        return Finding("demo", "photographs", Verdict.GOOD)
    return Finding(
        "demo", "photographs", Verdict.MISSING, "not fetched yet", "oneglance demo --fetch"
    )
