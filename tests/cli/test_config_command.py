"""`oneglance config`: judged without starting, each key explained, old files brought up to date."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

from oneglance.cli.config import check, documented, explain, migrate, migrated, set_in
from oneglance.cli.init import init
from oneglance.config import parse_config
from oneglance.errors import ConfigError


@pytest.fixture
def house(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    init(tmp_path / "house", None, "home", "front", "rtsp://ada:hunter2@camera/1")
    capsys.readouterr()
    return tmp_path / "house" / "oneglance.toml"


def test_each_key_has_a_meaning_and_a_value(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = documented()
    assert len(keys) > 100
    assert all(key.meaning and key.default for key in keys)
    for section in dict.fromkeys(key.name.split(".")[0] for key in keys):
        explain(section, house, as_json=True)
        told = json.loads(capsys.readouterr().out)["keys"]
        # Rules and cameras that are not there have no values.
        wanted = {k.name for k in keys if k.name.startswith(f"{section}.")}
        found = {row["key"]["name"] for row in told}
        assert {name for name in wanted - found if not name.startswith("access.rules.")} == set()


def test_a_key_is_told_with_its_line_and_no_password(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = '\n[[camera]]\nname = "back"\nsource = 1\nrotate = 90\n'
    house.write_text(house.read_text() + second)
    explain("camera.rotate", house, as_json=True)
    front, back = json.loads(capsys.readouterr().out)["keys"]
    assert (front["of"], front["value"], front["line"]) == ("front", "0", None)
    lines = house.read_text().splitlines()
    assert (back["of"], back["value"]) == ("back", "90")
    assert lines[back["line"] - 1] == "rotate = 90"
    explain("source", house)
    told = capsys.readouterr().out
    assert "rtsp://camera" in told
    assert "hunter2" not in told
    # What is not given, and lies beside something else.
    explain("access.credentials_file", house)
    assert str(house.parent / "state" / "credentials") in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"did you mean decision\.frames"):
        explain("decision.frame", house)


def test_what_a_key_names_is_judged_without_starting(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(house, offline=True)
    text = house.read_text()
    assert "✗" not in capsys.readouterr().out
    password = house.parent / "camera.password"
    password.touch(0o644)
    house.write_text(
        text.replace("ada:hunter2@", "").replace(
            "[[camera]]", '[[camera]]\nuser = "ada"\npassword_file = "camera.password"'
        )
        + "[assistant]\ncamera = true\n"
    )
    with pytest.raises(SystemExit):
        check(house, offline=True, as_json=True)
    broken = {
        f"{finding['part']}: {finding['what']}": finding["detail"]
        for finding in json.loads(capsys.readouterr().out)["findings"]
        if finding["verdict"] == "broken"
    }
    assert set(broken) == {"config: password of front", "assistant: key"}
    assert "can be read by others" in broken["config: password of front"]
    # All mistakes of the file itself at once.
    house.write_text(text.replace("[site]", "[sit]").replace("[door]", "[dor]"))
    with pytest.raises(ConfigError, match=r"sit: unknown key.*dor: unknown key"):
        check(house, offline=True)


def test_an_old_file_gets_its_new_names_and_stays_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "oneglance.toml"
    old = '[door]\n# fmr = 1\n\n[decision]   # strict\n  fmr = "1e-3"  # of old\nframes = 4'
    file.write_text(old)
    file.chmod(0o640)
    if os.geteuid() == 0:
        # The daemon's group, by which it reads the file.
        os.chown(file, -1, 65534)
    before = file.stat()
    migrate(file)
    assert file.read_text() == old.replace("  fmr", "  far")
    after = file.stat()
    assert (after.st_mode, after.st_gid) == (before.st_mode, before.st_gid)
    assert (tmp_path / "oneglance.toml.old").read_text() == old
    told = capsys.readouterr().out
    assert "line 5: decision.fmr is now far" in told
    assert "liveness.policy is not set" in told
    assert parse_config(tomllib.loads(file.read_text()), "x").decision.far == "1e-3"
    # Again there is nothing to do, and what does not hold is left as it is.
    migrate(file)
    assert "has no former names" in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == [file, tmp_path / "oneglance.toml.old"]
    bad = old.replace("frames", "framez")
    file.write_text(bad)
    with pytest.raises(ConfigError, match="did you mean 'frames'"):
        migrate(file)
    assert file.read_text() == bad


def test_only_the_section_that_is_meant_is_searched() -> None:
    text = "a = 1\n[x]\na = 2\n[x.y]\na = 3\n[[c]]\nb = 1\n[[c]]\na = 4\n"
    assert list(set_in(text, "x", "a")) == [(3, 0)]
    assert list(set_in(text, "x.y", "a")) == [(5, 0)]
    assert list(set_in(text, "c", "a")) == [(9, 1)]
    assert migrated(text) == (text, [])
