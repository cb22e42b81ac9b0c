"""`oneglance config`: what the configuration says, whether it is valid, and what a key means."""

from __future__ import annotations

import difflib
import json
import re
import socket
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown

from oneglance.cli.findings import Finding, Verdict, checked, show
from oneglance.cli.options import ConfigOption, JsonOption, config_is_there
from oneglance.config import Config, config_file, load_config, parse_config
from oneglance.errors import ConfigError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="The configuration: check it, explain a key, bring an old file up to date.",
)

# A link to docs/configuration.md: the wheel has its text here.
PAGE = Path(__file__).with_name("configuration.md")
# Where a key that is not given gets its value, if that is not its default.
_ELSEWHERE = {
    "commands.keyring_file": "keyring_file",
    "commands.nonce_file": "nonce_file",
    "commands.key_file": "command_key_file",
    "access.attempts.file": "attempts_file",
    "access.credentials_file": "credentials_file",
    "calibration.file": "calibration_file",
    "calibration.strangers_file": "strangers_file",
    "audit.folder": "audit_folder",
}


@dataclass(frozen=True, slots=True)
class Key:
    """What docs/configuration.md says about the key `section.name`: its default and its use."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A key in one configuration: its value in force, and the line that sets it, if any.

    `of` names the camera or rule it belongs to, where a section may appear several times.
    """

    key: Key
    value: str
    line: int | None
    of: str = ""


@app.command()
def check(
    config: ConfigOption = None,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Leave alone what is not on disk: cameras and broker."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read the whole configuration, and check what it names: files, keys, models, ports.

    Starts nothing. Exit code 0 if nothing is broken, 78 if the file itself is not valid (all its
    mistakes are reported at once), otherwise 1. A running daemon keeps a USB camera for itself: use
    `--offline`.

    Example: `oneglance config check -c ~/door --offline`
    """
    from oneglance.cli.doctor import configured

    settings, file = load_config(config), config_file(config)
    found = [Finding("config", "configuration", Verdict.GOOD, str(file))]
    found += [*_named(settings), *configured(settings, offline=offline)]
    if as_json:
        typer.echo(json.dumps({"findings": [asdict(finding) for finding in found]}))
    else:
        show(found)
    if any(finding.verdict is Verdict.BROKEN for finding in found):
        raise SystemExit(1)


@app.command()
def explain(
    key: Annotated[str, typer.Argument(help="A key, e.g. decision.far, or a section.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a key means, its default, where it is set, and the value in force.

    Example: `oneglance config explain decision.far`
    """
    keys = documented()
    wanted = [one for one in keys if one.name == key or one.name.startswith(f"{key}.")]
    if not wanted:
        # A key alone, if no two sections have it.
        wanted = [one for one in keys if one.name.rpartition(".")[2] == key]
    if not wanted:
        near = difflib.get_close_matches(key, [one.name for one in keys], n=3, cutoff=0.5)
        raise ConfigError(
            f"there is no key or section {key!r}",
            fix=f"did you mean {' or '.join(near)}?" if near else "see docs/configuration.md",
        )
    there = config is not None or config_is_there()
    file = config_file(config)
    settings = load_config(config) if there else Config()
    text = file.read_text(encoding="utf-8") if there else ""
    told = [setting for one in wanted for setting in settings_of(one, settings, text)]
    if as_json:
        rows = [asdict(setting) | {"file": str(file) if there else None} for setting in told]
        typer.echo(json.dumps({"keys": rows}))
        return
    console = Console(highlight=False, soft_wrap=True)
    for setting in told:
        where = f"{file}, line {setting.line}" if setting.line else "nowhere: the default counts"
        name = f"{setting.key.name} ({setting.of})" if setting.of else setting.key.name
        console.print(f"[bold]{name}[/] = {setting.value}" if there else f"[bold]{name}[/]")
        console.print(Markdown(setting.key.meaning))
        console.print(f"  default  {setting.key.default}", markup=False)
        console.print(f"  set in   {where}\n", markup=False)


@app.command()
def migrate(
    file: Annotated[Path, typer.Argument(help="The old file.")],
) -> None:
    """Update a file that uses old names of keys; the original is kept beside it.

    Comments and order stay. Nothing is written unless the new file is valid.

    Example: `oneglance config migrate /etc/oneglance/oneglance.toml`
    """
    from oneglance.whole_file import rewrite_whole, write_new

    try:
        old = file.read_text(encoding="utf-8")
        data = tomllib.loads(old)
    except OSError as error:
        raise ConfigError(f"cannot read it: {error.strerror}", where=str(file)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(file)) from None
    new, told = migrated(old)
    if "liveness" not in data and ("camera" in data or "door" in data):
        told.append("liveness.policy is not set: it was off by default once, now it is passive")
    parse_config(tomllib.loads(new), str(file))
    if new == old:
        typer.echo(f"{file} has no former names.")
    else:
        kept = _free(file)
        try:
            write_new(kept, old.encode(), file.stat().st_mode & 0o777)
            # The daemon is to read it afterwards as well, by its group.
            rewrite_whole(file, new.encode())
        except OSError as error:
            raise ConfigError(f"cannot write it: {error.strerror}", where=str(file)) from None
        typer.echo(f"{file} is up to date; as it was, it is kept as {kept}")
    for line in told:
        typer.echo(f"  {line}")


def _named(config: Config) -> Iterator[Finding]:
    """Check the files and the port that a key names, which only the running parts would open."""
    from oneglance.secret_file import read_secret

    mqtt = config.mqtt
    secrets = {"mqtt.key_file": mqtt.key_file, "mqtt.password_file": mqtt.password_file}
    public = {
        "mqtt.ca_file": mqtt.ca_file,
        "mqtt.cert_file": mqtt.cert_file,
        "model.public_key_file": config.model.public_key_file,
    }
    if "reader" in config.model_fields_set:
        secrets["reader.key_file"] = config.reader.key_file
    for camera in config.camera:
        secrets[f"password of {camera.name}"] = camera.password_file
        public[f"authority of {camera.name}"] = camera.tls_ca_file

    def secret(path: Path) -> str:
        read_secret(path, "secret", "write it there, or mend the key that names it")
        return str(path)

    def read(path: Path) -> str:
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"cannot be read: {error.strerror}",
                where=str(path),
                fix="put it there, or mend the key that names it",
            ) from None
        return str(path)

    for names, look in ((secrets, secret), (public, read)):
        for name, path in names.items():
            if path is not None:
                yield from checked("config", name, partial(look, path))
    port = config.metrics.port
    if port is not None:
        with socket.socket() as probe:
            free = probe.connect_ex(("127.0.0.1", port)) != 0
        told = "free" if free else "taken: by the daemon, if it runs"
        yield Finding("config", "metrics.port", Verdict.GOOD, f"{port}, {told}")


def documented() -> list[Key]:
    """All keys of docs/configuration.md, in its order."""
    found, section = [], ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("| ") or line.startswith("| key "):
            continue
        names, default, meaning = (cell.strip() for cell in line.strip()[1:-1].split("|", 2))
        head = re.match(r"\*\*\[{1,2}([a-z_.]+)\]{1,2}\*\* ", names)
        if head:
            section, names = head[1], names[head.end() :]
        several = names.split(", ")
        defaults = default.split(", ")
        for at, name in enumerate(several):
            own = (defaults[at] if len(defaults) == len(several) else default) or "none"
            found.append(Key(f"{section}.{name}", own.replace("`", ""), _plain(meaning)))
    return found


def settings_of(key: Key, config: Config, text: str) -> Iterator[Setting]:
    """The key in each section that has it, once for each camera and rule."""
    *sections, name = key.name.split(".")
    holders: list[tuple[str, Any]] = [("", config)]
    for part in sections:
        holders = [
            (_title(one, at) if isinstance(value, tuple) else of, one)
            for of, holder in holders
            for value in [getattr(holder, part)]
            for at, one in enumerate(value if isinstance(value, tuple) else (value,))
        ]
    lines = list(set_in(text, ".".join(sections), name))
    repeated = any(of for of, _ in holders)
    for at, (of, holder) in enumerate(holders):
        value = getattr(holder, name)
        if value is None and key.name in _ELSEWHERE:
            value = getattr(config, _ELSEWHERE[key.name])
        line = next((line for line, number in lines if not repeated or number == at), None)
        yield Setting(key, _shown(name, value), line, of)


def set_in(text: str, section: str, name: str) -> Iterator[tuple[int, int]]:
    """Each line (from 1) that sets a key, and in which of its section's tables (from 0).

    Anything not written as `[section]` and `name = ...` is not found.
    """
    inside, table = "", -1
    for number, line in enumerate(text.splitlines(), start=1):
        head = re.match(r"\s*(\[{1,2})\s*([\w.-]+)\s*\]{1,2}", line)
        if head:
            inside = head[2]
            table += inside == section
        elif inside == section and re.match(rf"\s*{re.escape(name)}\s*=", line):
            yield number, table


def migrated(text: str) -> tuple[str, list[str]]:
    """The text with today's names, and what was changed, one line each."""
    lines, told = text.splitlines(keepends=True), []
    for number, _ in set_in(text, "decision", "fmr"):
        line = lines[number - 1]
        match = re.match(r"(\s*)fmr(\s*=\s*)(.*?)(\s*(?:#.*)?)$", line.rstrip("\n"))
        if match is not None:
            lines[number - 1] = f"{match[1]}far{match[2]}{match[3]}{match[4]}\n"
            told.append(
                f"line {number}: decision.fmr is now far = {match[3]}, of a whole visit instead of"
                " one comparison: the door is as strict or stricter"
            )
    return "".join(lines), told


def _free(file: Path) -> Path:
    names = (file.with_name(f"{file.name}.old{n or ''}") for n in range(1000))
    return next(name for name in names if not name.exists())


def _title(section: Any, at: int) -> str:
    return str(getattr(section, "name", None) or f"number {at + 1}")


def _shown(name: str, value: Any) -> str:
    if name == "source":
        from oneglance.daemon.camera.sources import shown_name

        # A camera's URL may hold a password.
        return shown_name(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "not set" if value is None else str(value)


def _plain(meaning: str) -> str:
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", meaning)
