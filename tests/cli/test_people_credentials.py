"""`oneglance people badge` and `pin`: a real gallery, a real sealed file."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from oneglance.audit.segments import entries
from oneglance.cli.audit_log import open_gallery
from oneglance.cli.init import init
from oneglance.cli.people.command import app
from oneglance.config import load_config
from oneglance.errors import GalleryError
from oneglance.faces.gallery.credentials import Credentials, read_credentials
from oneglance.faces.gallery.vault import load_key

NOW = datetime.now(UTC)


@pytest.fixture
def door(tmp_path: Path) -> Path:
    """A door at which ada and bob are enrolled."""
    folder = tmp_path / "door"
    init(folder, None, "home", "front", "0")
    with open_gallery(load_config(folder / "oneglance.toml"), create=True) as gallery:
        for number, name in enumerate(("Ada", "Bob")):
            row = np.eye(2, dtype=np.float32)[[number]]
            gallery.enrol(name, row, "m", consent_at=NOW - timedelta(days=1), source="test")
    return folder


def people(door: Path, *arguments: str, answer: str | None = None) -> Result:
    command = [*arguments, "--config", str(door / "oneglance.toml")]
    return CliRunner().invoke(app, command, input=answer)


def held(door: Path) -> Credentials:
    config = load_config(door / "oneglance.toml")
    return read_credentials(config.credentials_file, load_key(config.gallery.key_file))


def test_a_badge_is_given_changed_and_taken_away(door: Path) -> None:
    assert people(door, "badge", "ada", "0012ab").exit_code == 0
    assert held(door).claimed_by_badge("12AB").person_id == "ada"
    assert people(door, "badge", "ada", "77").exit_code == 0
    assert held(door).claimed_by_badge("12AB").person_id is None
    assert people(door, "badge", "ada", "--none").exit_code == 0
    assert held(door).has("ada") == (False, False)


def test_who_has_what_is_shown_without_it(door: Path) -> None:
    assert people(door, "badge", "ada", "77").exit_code == 0
    told = json.loads(people(door, "show", "ada", "--json").stdout)
    assert (told["has_badge"], told["has_pin"]) == (True, False)
    assert people(door, "pin", "ada", answer="246813\n246813\n").exit_code == 0
    shown = people(door, "show", "ada").stdout
    assert "has_pin" in shown
    assert "246813" not in shown
    file = load_config(door / "oneglance.toml").credentials_file
    file.write_bytes(b"damaged")
    result = people(door, "show", "ada", "--json")
    assert result.exit_code == 0
    assert "has_pin" not in json.loads(result.stdout)
    assert "Badge and PIN cannot be told" in result.stderr


def test_a_badge_that_was_taken_away_does_not_come_back_with_an_older_file(door: Path) -> None:
    config = load_config(door / "oneglance.toml")
    assert people(door, "badge", "ada", "A1").exit_code == 0
    older = config.credentials_file.read_bytes()
    assert people(door, "badge", "ada", "--none").exit_code == 0
    config.credentials_file.write_bytes(older)
    refused = people(door, "badge", "bob", "B2")
    assert isinstance(refused.exception, GalleryError)
    assert "accept-restore" in refused.exception.fix
    assert people(door, "accept-restore", "--yes").exit_code == 0
    assert people(door, "badge", "bob", "B2").exit_code == 0
    assert held(door).claimed_by_badge("A1").person_id == "ada"


def test_a_pin_is_asked_for_twice_and_shown_nowhere(door: Path) -> None:
    result = people(door, "pin", "ada", answer="271828\n271828\n")
    assert result.exit_code == 0, result.output
    assert "271828" not in result.output
    assert held(door).claimed_by_pin("271828").person_id == "ada"
    assert people(door, "pin", "ada", "--none").exit_code == 0
    assert held(door).claimed_by_pin("271828").person_id is None


def test_what_is_changed_of_a_person_is_logged_without_what_it_was(door: Path) -> None:
    people(door, "badge", "ada", "4711471147")
    people(door, "pin", "ada", answer="271828\n271828\n")
    people(door, "pin", "ada", "--none")
    assert people(door, "badge", "bob", "4711471147").exit_code != 0
    changed = people(
        *(door, "edit", "ada", "--name", "Ada King", "--group", "countess"),
        *("--from", "2026-01-01", "--expires", "2027-01-01"),
    )
    assert changed.exit_code == 0, changed.exception
    assert people(door, "edit", "eve", "--name", "Eve").exit_code != 0
    folder = load_config(door / "oneglance.toml").audit_folder
    found = [e for e in entries(folder) if not e.kind.endswith("_generation")]
    ada, bob = found[0].body["person"], found[3].body["person"]
    assert [(entry.kind, entry.body) for entry in found] == [
        ("credential_change", {"badge": "given", "person": ada}),
        ("credential_change", {"pin": "given", "person": ada}),
        ("credential_change", {"pin": "taken away", "person": ada}),
        ("credential_change", {"badge": "given", "person": bob}),
        ("credential_change", {"failed": found[3].number}),
        ("rename", {"person": ada}),
        ("group_change", {"person": ada}),
        ("expiry_change", {"of": ["expires_at", "valid_from"], "person": ada}),
    ]
    everything = b"".join(file.read_bytes() for file in folder.iterdir())
    for secret in (b"4711471147", b"271828", b"Ada King", b"countess", b"2027-01-01"):
        assert secret not in everything


def test_a_pin_is_never_an_argument(door: Path) -> None:
    assert people(door, "pin", "ada", "271828").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "answer", "told"),
    [
        (("badge", "eve", "1"), None, "nobody has the id 'eve'"),
        (("pin", "eve"), "123456\n123456\n", "nobody has the id 'eve'"),
        (("badge", "ada", "xyz"), None, "no badge's number"),
        (("pin", "ada"), "1234\n1234\n", "6 to 12 digits"),
        (("badge", "bob", "B0B"), None, "another person has this badge"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_stored(
    door: Path, arguments: tuple[str, ...], answer: str | None, told: str
) -> None:
    people(door, "badge", "ada", "B0B")
    before = held(door)
    result = people(door, *arguments, answer=answer)
    assert isinstance(result.exception, GalleryError)
    assert told in str(result.exception)
    assert held(door) == before


def test_a_badge_needs_a_number_or_none(door: Path) -> None:
    assert people(door, "badge", "ada").exit_code == 2
    assert people(door, "badge", "ada", "1", "--none").exit_code == 2


def test_who_is_deleted_or_has_expired_leaves_no_badge(door: Path) -> None:
    for person, number in (("ada", "1"), ("bob", "2")):
        people(door, "badge", person, number)
    assert people(door, "delete", "ada", "--yes").exit_code == 0
    with open_gallery(load_config(door / "oneglance.toml")) as gallery:
        gallery.edit("bob", expires_at=datetime.now(UTC))
    assert people(door, "purge", "--yes").exit_code == 0
    assert held(door).entries == {}


@pytest.mark.parametrize("command", [("delete", "ada"), ("purge",)])
def test_an_older_file_of_badges_keeps_nobody_in_the_gallery(
    door: Path, command: tuple[str, ...]
) -> None:
    config = load_config(door / "oneglance.toml")
    assert people(door, "badge", "ada", "A1").exit_code == 0
    older = config.credentials_file.read_bytes()
    assert people(door, "badge", "bob", "B2").exit_code == 0
    config.credentials_file.write_bytes(older)
    if command == ("purge",):
        with open_gallery(config) as gallery:
            gallery.edit("ada", expires_at=datetime.now(UTC))
    told = people(door, *command, "--yes").exception
    assert isinstance(told, GalleryError)
    assert "deleted from the gallery for good, but not from the badges and PINs" in str(told)
    assert "accept-restore" in told.fix
    with open_gallery(config) as gallery:
        assert [person.person_id for person in gallery.list_people()] == ["bob"]
    assert config.credentials_file.read_bytes() == older
    *_, deletion, left = [
        (entry.kind, entry.body | {"person": ""})
        for entry in entries(config.audit_folder)
        if not entry.kind.endswith("_generation")
    ]
    assert deletion == ("deletion", {"person": ""})
    assert left == ("credential_change", {"left": True, "person": ""})
    assert people(door, "accept-restore", "--yes").exit_code == 0
    assert held(door).entries == {}


def test_a_person_learns_that_a_badge_and_a_pin_are_stored(door: Path) -> None:
    people(door, "badge", "ada", "1")
    stored = json.loads(people(door, "export", "ada", "--json").stdout)
    assert (stored["has_badge"], stored["has_pin"]) == (True, False)


def test_a_new_gallery_key_opens_the_badges_and_the_old_one_no_more(door: Path) -> None:
    people(door, "badge", "ada", "1")
    config = load_config(door / "oneglance.toml")
    old = load_key(config.gallery.key_file)
    assert people(door, "rekey", "--yes").exit_code == 0
    assert held(door).claimed_by_badge("1").person_id == "ada"
    with pytest.raises(GalleryError):
        read_credentials(config.credentials_file, old)


def test_a_pin_by_a_pipe_is_taken_without_a_word_about_terminals(door: Path) -> None:
    command = [sys.executable, "-m", "oneglance.cli.start", "people", "pin", "ada"]
    told = subprocess.run(
        [*command, "--config", str(door / "oneglance.toml")],
        input="480213\n480213\n",
        capture_output=True,
        text=True,
        # Without a terminal of its own, as a script of a timer is.
        start_new_session=True,
        check=True,
    )
    assert held(door).has("ada") == (False, True)
    assert "Warning" not in told.stderr
    assert "480213" not in told.stdout + told.stderr


def test_without_any_input_no_pin_is_given_and_no_traceback_shown(door: Path) -> None:
    command = f"{sys.executable} -m oneglance.cli.start people pin ada --config oneglance.toml"
    told = subprocess.run(
        ["sh", "-c", f"exec {command} <&-"], cwd=door, capture_output=True, text=True, check=False
    )
    assert told.returncode != 0
    assert told.stderr.splitlines()[-1] == "Aborted."
    assert held(door).has("ada") == (False, False)
