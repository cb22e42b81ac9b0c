"""The command line as a script sees it: a real process, its output and its exit code."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneglance.cli import main, options
from oneglance.cli.init import init
from oneglance.cli.main import COMMANDS, GROUPS
from oneglance.config import Config, load_config
from oneglance.contract.commands import Command, open_writer
from oneglance.contract.keyring import Role
from oneglance.contract.keyring_file import read_keyring, read_pins
from oneglance.contract.signing import check_as, load_public_key, load_signing_key
from oneglance.contract.topics import Topics
from oneglance.errors import ConfigError, OneglanceError
from oneglance.faces.gallery.vault import load_key

ROOT = Path(__file__).resolve().parents[2]


def oneglance(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "oneglance.cli.start", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env={**os.environ, "HOME": str(home), "COLUMNS": "100"},
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    result = oneglance("--help", home=tmp_path)
    assert result.returncode == 0
    panels = [row.split("─", 2)[1] for row in result.stdout.splitlines() if row.startswith("╭")]
    assert [panel.strip() for panel in panels] == ["Options", *GROUPS]
    rows = re.findall(r"^│ ([a-z][a-z-]*) ", result.stdout, re.MULTILINE)
    assert rows == list(COMMANDS)


def test_no_help_names_an_exit_code_that_no_error_has() -> None:
    known = {0, 1, 2, 130} | {kind.exit_code for kind in _kinds(OneglanceError)}
    said = {
        (str(file.relative_to(ROOT)), int(code))
        for file in (ROOT / "cli").rglob("*.py")
        for sentence in re.findall(r"[Ee]xit codes? \d[^.:]*", file.read_text())
        for code in re.findall(r"(?:code|,|or|and)\s+(\d+)\b", sentence)
    }
    assert ("cli/command.py", 69) in said
    assert {(file, code) for file, code in said if code not in known} == set()


def _kinds(error: type[OneglanceError]) -> Iterator[type[OneglanceError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from _kinds(kind)


def test_a_misspelt_command_gets_a_did_you_mean_and_exit_code_2(tmp_path: Path) -> None:
    result = oneglance("peple", home=tmp_path)
    assert result.returncode == 2
    assert "people" in result.stderr


def test_an_error_is_one_line_on_stderr_with_its_exit_code(tmp_path: Path) -> None:
    result = oneglance("door", "--config", "nowhere.toml", home=tmp_path)
    assert result.returncode == 78
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: nowhere.toml: there is no configuration.")


def test_what_this_user_may_not_look_at_is_one_line_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def export() -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/srv/door/out.jsonl")

    monkeypatch.setattr(main, "app", export)
    with pytest.raises(SystemExit) as caught:
        main.run(lambda: False)
    assert caught.value.code == 1
    line = "error: /srv/door/out.jsonl: Permission denied. try it with sudo, or as the user it"
    assert capsys.readouterr().err.startswith(line)


def test_init_makes_a_door_that_every_part_can_load(tmp_path: Path) -> None:
    house = tmp_path / "house"
    result = oneglance("init", "--dir", str(house), "--door", "back", home=tmp_path)
    assert result.returncode == 0, result.stderr
    config = load_config(house / "oneglance.toml")
    assert (config.site.name, config.site.door) == ("home", "back")
    load_key(config.gallery.key_file)
    private = load_signing_key(config.signing.key_file)
    (pin,) = read_pins(config.door.public_key_file).of_role(Role.DAEMON)
    assert private.public_key() == pin.key == load_public_key(house / "signing.pub")
    assert config.kiosk.key_file is not None
    topics = Topics("home", "back")
    ring = read_keyring(config.keyring_file)
    for secret in (config.kiosk.key_file, config.command_key_file):
        writer = open_writer(topics, secret)
        entry = ring.find(writer.key_id)
        assert entry is not None
        assert check_as(writer.write("reload"), Command, entry.key).key_id == entry.role
    secrets = (config.gallery.key_file, config.signing.key_file, config.kiosk.key_file)
    for secret in (*secrets, config.command_key_file):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_what_init_makes_can_be_changed_by_its_owner_alone(tmp_path: Path) -> None:
    house = tmp_path / "house"
    former = os.umask(0)
    try:
        init(house, None, "home", "front", "0")
    finally:
        os.umask(former)
    for path in (house, *house.rglob("*")):
        assert not path.stat().st_mode & 0o022, path


def test_init_never_replaces_a_key(tmp_path: Path) -> None:
    house = tmp_path / "house"
    assert oneglance("init", "--dir", str(house), home=tmp_path).returncode == 0
    before = {file: file.read_bytes() for file in house.iterdir() if file.is_file()}
    again = oneglance("init", "--dir", str(house), home=tmp_path)
    assert again.returncode == 78
    assert "never overwritten" in again.stderr
    assert {file: file.read_bytes() for file in house.iterdir() if file.is_file()} == before


def test_init_refuses_a_name_that_would_reach_other_topics(tmp_path: Path) -> None:
    result = oneglance("init", "--dir", str(tmp_path / "x"), "--door", "a/b", home=tmp_path)
    assert result.returncode == 78
    assert not (tmp_path / "x").exists()


def test_init_makes_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = tmp_path / "house"
    house.mkdir()
    (house / "ada.jpg").write_bytes(b"hers")
    link = os.link
    for broken in ("gallery.key", "signing.key", "oneglance.toml"):

        def full(source: Path, target: Path, broken: str = broken) -> None:
            if target.name == broken:
                raise OSError(errno.ENOSPC, "No space left on device", str(target))
            link(source, target)

        monkeypatch.setattr(os, "link", full)
        with pytest.raises(ConfigError, match="No space left"):
            init(house, None, "home", "front", "0")
        assert sorted(file.name for file in house.iterdir()) == ["ada.jpg", "state"]
    monkeypatch.undo()
    init(house, None, "home", "front", "0")
    assert load_config(house / "oneglance.toml").camera[0].source == 0


@pytest.mark.parametrize(
    ("camera", "source"),
    [
        ("0", 0),
        ("007", 7),
        ('a "b" \\ {c}.mp4', 'a "b" \\ {c}.mp4'),
        ("rtsp://u:p@cam/1", "rtsp://u:p@cam/1"),
        ("\u0663", "\u0663"),
    ],
)
def test_init_writes_the_camera_as_it_was_given(
    tmp_path: Path, camera: str, source: str | int
) -> None:
    init(tmp_path, None, "home", "front", camera)
    found = load_config(tmp_path / "oneglance.toml").camera[0].source
    assert found in (source, str(tmp_path / str(source)))
    # A URL may carry a password.
    mode = stat.S_IMODE((tmp_path / "oneglance.toml").stat().st_mode)
    assert bool(mode & 0o007) is ("://" not in camera)


@pytest.mark.parametrize("camera", ["0\n[door]", "cam\x7f", "cam\udcff"])
def test_init_refuses_a_camera_that_no_configuration_can_hold(tmp_path: Path, camera: str) -> None:
    with pytest.raises(ConfigError, match="control characters"):
        init(tmp_path / "house", None, "home", "front", camera)
    assert list(tmp_path.iterdir()) == []


def test_init_where_it_may_not_look_is_one_clear_error(tmp_path: Path) -> None:
    # A name too long stands in for a folder that is closed to this user: root may enter all.
    result = oneglance("init", "--dir", str(tmp_path / ("x" * 300)), home=tmp_path)
    assert result.returncode == 78
    assert "cannot write it: File name too long" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_default_configuration_that_may_not_be_looked_for_is_not_taken_for_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEGLANCE_CONFIG", str(tmp_path / "none.toml"))
    assert not options.config_is_there()
    # A name too long stands in for a folder that is closed to this user: root may enter all.
    monkeypatch.setenv("ONEGLANCE_CONFIG", str(tmp_path / ("x" * 300)))
    assert options.config_is_there()


def test_doctor_says_what_is_broken_and_fails_only_then(tmp_path: Path) -> None:
    house = tmp_path / "house"
    oneglance("init", "--dir", str(house), "--camera", str(tmp_path / "gone.avi"), home=tmp_path)
    config = str(house / "oneglance.toml")
    (house / "signing.key").chmod(0o644)
    result = oneglance("doctor", "--config", config, "--json", home=tmp_path)
    assert result.returncode == 1
    findings = {f["what"]: f for f in json.loads(result.stdout)["findings"]}
    assert findings["signing key"]["verdict"] == "broken"
    assert "chmod 600" in findings["signing key"]["fix"]
    assert findings["camera front"]["verdict"] == "broken"
    assert findings["face model"]["verdict"] == "good"
    assert oneglance("doctor", home=tmp_path).returncode == 0


def _keys(model: type, prefix: str = "") -> set[str]:
    keys = set()
    for name, field in model.model_fields.items():  # type: ignore[attr-defined]
        inner = getattr(field.annotation, "__args__", (field.annotation,))[0]
        if hasattr(inner, "model_fields"):
            keys |= _keys(inner, name)
        else:
            keys.add(name)
    return keys


def test_every_configuration_key_is_documented() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    words = {word.strip("`*|,[]") for word in text.split()}
    assert _keys(Config) - words == set()


@pytest.mark.parametrize("section", sorted(Config.model_fields))
def test_every_section_is_documented(section: str) -> None:
    assert f"[{section}]" in (ROOT / "docs/configuration.md").read_text()
