"""`oneglance support-bundle`: the state of a door for whoever helps, and nothing about people.

It is a list of what may go in, not of what must stay out: numbers, fixed words of this program, and
versions. No text of an error or of the log, and no path, address or name from the configuration
gets in.
"""

from __future__ import annotations

import io
import json
import os
import platform
import re
import stat
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel

from oneglance.cli.options import ConfigOption, config_is_there

if TYPE_CHECKING:
    from oneglance.config import Config

LINES = 5000
_WORD = re.compile(r"[a-z][a-z_]{0,39}")
_LOGGER = re.compile(r"oneglance(\.[a-z_]{1,40}){0,6}")
_UNIT = re.compile(r"(oneglance(-[a-z]{1,20})?)(@.*)?\.service")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,30}")
_SAMPLE = re.compile(r"([a-z_]+)(?:\{([^}]*)\})? ([-+0-9.eInfNa]+)")
_LABEL = re.compile(r'([a-z]+)="([^"]*)"')
# Labels and fields whose values are words of ours, or numbers.
_PLAIN_LABELS = {"stage", "outcome", "reason", "le"}
_PLAIN_FIELDS = ("OUTCOME", "REASON", "VERB", "CODE")
README = """\
What `oneglance support-bundle` found out on this machine, to send to whoever helps.

about.json    versions of the system, of Python, of packages
doctor.json   what is good, missing or broken; of an error only its kind
config.json   numbers and choices of the configuration; "set" stands for any text
files.json    size, mode and age of the files that belong to the door
health.json   what the running daemon answers, if it can be asked
metrics.txt   its figures
journal.jsonl the lines of its services: when, how grave, from where in the code, which event

No name, picture, template, key or password is in it, no address, and no text of the log.
Please look through it all the same before you send it.
"""


def support_bundle(
    config_file: ConfigOption = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file to make; it must not be there yet.")
    ] = Path("oneglance-support.tar.gz"),
) -> None:
    """Collect the state of this door in one file that can be sent to whoever helps.

    It contains no name, picture, template, key, password or address: only numbers and choices from
    the configuration, and only kinds of events and their times from the log. Run it as root, so
    that it can read everything.
    """
    from oneglance.config import load_config
    from oneglance.errors import ConfigError, OneglanceError
    from oneglance.whole_file import write_new

    config: Config | None = None
    if config_file is not None or config_is_there():
        # The doctor tells that it is broken; all else is worth telling then, too.
        with suppress(OneglanceError):
            config = load_config(config_file)
    cameras = [camera.name for camera in config.camera] if config is not None else []
    names = Names(cameras)
    parts: dict[str, str] = {"README.txt": README, "about.json": _json(about())}
    parts["doctor.json"] = _json(list(findings(config_file, names)))
    if config is not None:
        parts["config.json"] = _json(choices(config))
        parts["files.json"] = _json(files(config.model_dump()))
        port = config.metrics.port
        if port is not None:
            parts["health.json"] = _json(
                {place: health(_asked(port, place), names) for place in ("healthz", "readyz")}
            )
            parts["metrics.txt"] = "".join(metrics(_asked(port, "metrics"), names))
    lines = [told for line in _journal() if (told := journal_line(line, names)) is not None]
    parts["journal.jsonl"] = "".join(json.dumps(line) + "\n" for line in lines)
    try:
        write_new(out, _packed(parts), 0o600)
    except OSError as error:
        raise ConfigError(
            f"cannot make it: {error.strerror}", where=str(out), fix="name another with --out"
        ) from None
    typer.echo(f"{out}: {', '.join(parts)}. Please look through it before you send it.")


@dataclass(frozen=True, slots=True)
class Names:
    """The configured names of cameras; in the bundle they are numbers."""

    cameras: Sequence[str]

    def reason(self, text: object) -> str:
        """A status reason: the fixed word, and the camera's number."""
        word, _, camera = str(text).partition(":")
        if not _WORD.fullmatch(word):
            return "?"
        return f"{word}:{self.camera(camera)}" if camera else word

    def camera(self, name: str) -> str:
        """The camera's number, in the order of the configuration."""
        return f"#{self.cameras.index(name) + 1}" if name in self.cameras else "?"


def about() -> dict[str, Any]:
    """The machine and what is installed, by version."""
    from oneglance import __version__
    from oneglance.cli.doctor import packages

    known = {
        finding.what: finding.detail if _VERSION.fullmatch(finding.detail) else finding.verdict
        for finding in packages()
    }
    memory_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return {
        "oneglance": __version__,
        "python": platform.python_version(),
        "kernel": re.match(r"[0-9.]*", platform.release())[0],  # type: ignore[index]
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "memory_mib": memory_mib,
        "packages": known,
    }


def findings(config_file: Path | None, names: Names) -> Iterator[dict[str, str]]:
    """What the doctor finds, without its texts."""
    from oneglance.cli.doctor import examine

    for finding in examine(config_file):
        what = finding.what
        if what.startswith("camera "):
            what = f"camera {names.camera(what.removeprefix('camera '))}"
        told = {"part": finding.part, "what": what, "verdict": str(finding.verdict)}
        yield told | ({"error": finding.error} if finding.error else {})


def choices(section: BaseModel) -> dict[str, Any]:
    """Numbers and choices from the configuration; of a text, only that it is set."""
    found = {}
    for name, field in type(section).model_fields.items():
        if name in section.model_fields_set:
            found[name] = _choice(getattr(section, name), field.annotation)
    return found


def _choice(value: object, annotation: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, BaseModel):
        return choices(value)
    if isinstance(value, tuple) and value and all(isinstance(one, BaseModel) for one in value):
        return [choices(one) for one in value if isinstance(one, BaseModel)]
    if isinstance(value, tuple | dict):
        return f"{len(value)} set"
    known = get_args(annotation) if get_origin(annotation) is Literal else ()
    for inner in get_args(annotation):
        known = (*known, *(get_args(inner) if get_origin(inner) is Literal else ()))
    return value if value in known else "set"


def files(values: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """For each configured file: whether it exists, its size, age and mode."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        where = f"{place}.{name}".strip(".")
        if isinstance(value, Mapping) and name != "schedules":
            found |= files(value, where)
        elif isinstance(value, Path):
            found[where] = _file(value)
    return found


def _file(path: Path) -> dict[str, Any] | str:
    try:
        status = path.stat()
    except OSError as error:
        return type(error).__name__
    return {
        "bytes": status.st_size,
        "mode": stat.filemode(status.st_mode),
        "uid": status.st_uid,
        "age_s": round(time.time() - status.st_mtime),
    }


def health(answer: str | None, names: Names) -> dict[str, Any] | None:
    """What the daemon answers on /healthz or /readyz."""
    try:
        told = json.loads(answer or "")
        reasons = [names.reason(reason) for reason in told["reasons"]]
        return {"ok": told["ok"] is True, "reasons": reasons}
    except (ValueError, KeyError, TypeError):
        return None


def metrics(text: str | None, names: Names) -> Iterator[str]:
    """Our own metrics, with cameras by number."""
    for line in (text or "").splitlines():
        sample = _SAMPLE.fullmatch(line)
        if sample is None or not sample[1].startswith(("oneglance_", "process_")):
            continue
        labels = []
        for name, value in _LABEL.findall(sample[2] or ""):
            plain = name in _PLAIN_LABELS and re.fullmatch(r"[a-z_]{1,40}|\+Inf|[0-9.e-]+", value)
            shown = names.camera(value) if name == "camera" else value if plain else "?"
            labels.append(f'{name}="{shown}"')
        told = f"{{{','.join(labels)}}}" if labels else ""
        yield f"{sample[1]}{told} {sample[3]}\n"


def journal_line(line: str, names: Names) -> dict[str, Any] | None:
    """From one line of `journalctl -o json`: time, priority, place in the code, and event."""
    from oneglance.events import EVENTS

    try:
        said = json.loads(line)
    except ValueError:
        return None
    unit = _UNIT.fullmatch(str(said.get("_SYSTEMD_UNIT", ""))) if isinstance(said, dict) else None
    if unit is None:
        return None
    found: dict[str, Any] = {"unit": unit[1]}
    for field, name in (
        ("__REALTIME_TIMESTAMP", "at_us"),
        ("PRIORITY", "priority"),
        ("CODE_LINE", "line"),
    ):
        if str(said.get(field, "")).isdecimal():
            found[name] = int(said[field])
    if _LOGGER.fullmatch(str(said.get("LOGGER", ""))):
        found["logger"] = said["LOGGER"]
    event = next((e for e in EVENTS if e.id == said.get("MESSAGE_ID")), None)
    if event is not None:
        found["event"] = event.name
        for field in _PLAIN_FIELDS:
            value = said.get(f"ONEGLANCE_{field}")
            if value is not None:
                found[field.lower()] = value if _WORD.fullmatch(str(value)) else "?"
        if "CAMERA" in event.fields:
            found["camera"] = names.camera(str(said.get("ONEGLANCE_CAMERA")))
        if "REASONS" in event.fields:
            reasons = str(said.get("ONEGLANCE_REASONS", "")).split(",")
            found["reasons"] = [names.reason(reason) for reason in reasons if reason]
    return found


def _journal() -> Iterable[str]:
    import shutil
    import subprocess

    if shutil.which("journalctl") is None:
        return ()
    asked = ["journalctl", "-u", "oneglance*", "-o", "json", "-n", str(LINES), "--no-pager"]
    told = subprocess.run(asked, capture_output=True, text=True, errors="replace", check=False)
    return told.stdout.splitlines()


def _asked(port: int, place: str) -> str | None:
    """The daemon's answer, whatever its status code; None if there is none."""
    import urllib.error
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        try:
            with opener.open(f"http://127.0.0.1:{port}/{place}", timeout=3) as answer:
                body: bytes = answer.read(1_000_000)
        except urllib.error.HTTPError as error:
            body = error.read(1_000_000)
    except (OSError, ValueError):
        return None
    return body.decode("utf-8", "replace")


def _json(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"


def _packed(parts: Mapping[str, str]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as bundle:
        for name, text in parts.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"oneglance-support/{name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
            bundle.addfile(entry, io.BytesIO(data))
    return held.getvalue()
