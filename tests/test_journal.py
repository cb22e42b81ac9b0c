"""The journal's lines, by a real datagram socket, and systemd's catalog, by its own journalctl."""

from __future__ import annotations

import logging
import os
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance import events
from oneglance.events import EVENTS, Event, catalog
from oneglance.journal import MAX_BYTES, JournalHandler, goes_to_journal

ROOT = Path(__file__).resolve().parents[1]
log = logging.getLogger("oneglance.test")


class Kept(logging.Handler):
    """What could not be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.lines.append(record.getMessage())


def fields(datagram: bytes) -> dict[str, str]:
    """As journald reads it."""
    found = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = struct.unpack("<Q", rest[:8])[0]
            value, rest = rest[8 : 8 + length], rest[8 + length :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        found[name.decode()] = value.decode(errors="replace")
        datagram = rest
    return found


@pytest.fixture(scope="module")
def journald(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[socket.socket, str]]:
    """A socket as journald's, and its address."""
    address = str(tmp_path_factory.mktemp("journal") / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(address)
        yield journald, address


def sent(journald: tuple[socket.socket, str], message: str, **extra: object) -> dict[str, str]:
    """What one line of the log becomes."""
    handler = JournalHandler(Kept(), journald[1])
    record = log.makeRecord("oneglance.x", 30, __file__, 7, message, (), None, "f", extra)
    handler.handle(record)
    return fields(journald[0].recv(200_000))


def test_a_line_has_its_place_its_event_and_nothing_of_another(
    journald: tuple[socket.socket, str],
) -> None:
    told = sent(journald, "gone", **events.CAMERA_LOST(CAMERA="front"))
    assert told == {
        "MESSAGE": "gone",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "oneglance",
        "LOGGER": "oneglance.x",
        "CODE_FILE": __file__,
        "CODE_LINE": "7",
        "CODE_FUNC": "f",
        "MESSAGE_ID": events.CAMERA_LOST.id,
        "ONEGLANCE_EVENT": "CAMERA_LOST",
        "ONEGLANCE_CAMERA": "front",
    }
    assert "MESSAGE_ID" not in sent(journald, "no event")


@given(st.text())
def test_no_message_can_forge_a_field(journald: tuple[socket.socket, str], text: str) -> None:
    told = sent(journald, text, **events.STATUS(REASONS=f"{text}\nPRIORITY=0"))
    assert told["PRIORITY"] == "4"
    assert len(told) == 10
    assert told["MESSAGE"] == text.encode("utf-8", "replace").decode()


def test_what_is_too_long_is_cut_and_what_cannot_be_sent_goes_elsewhere(
    journald: tuple[socket.socket, str], tmp_path: Path
) -> None:
    assert len(sent(journald, "x" * 10 * MAX_BYTES)["MESSAGE"]) == MAX_BYTES
    kept = Kept()
    record = log.makeRecord("oneglance.x", 30, __file__, 7, "%s", ("lost",), None)
    JournalHandler(kept, str(tmp_path / "nobody")).handle(record)
    assert kept.lines == ["lost"]


def test_only_a_file_that_is_the_journals_is_taken_for_it(tmp_path: Path) -> None:
    with (tmp_path / "terminal").open("w") as terminal, socket.socket(socket.AF_UNIX) as journal:
        named = os.fstat(journal.fileno())
        environ = {"JOURNAL_STREAM": f"{named.st_dev}:{named.st_ino}"}
        assert goes_to_journal(environ, journal.fileno())
        assert not goes_to_journal(environ, terminal.fileno())
        assert not goes_to_journal({}, journal.fileno())


def test_the_kept_catalog_is_the_codes_and_journalctl_takes_it(tmp_path: Path) -> None:
    kept = ROOT / "systemd" / "oneglance.catalog"
    assert kept.read_text() == catalog(), f"run: {sys.executable} -m oneglance.events"
    for folder in ("usr/lib/systemd/catalog", "var/lib/systemd/catalog"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "usr/lib/systemd/catalog/oneglance.catalog").write_text(catalog())
    journalctl = ["journalctl", f"--root={tmp_path}"]
    subprocess.run([*journalctl, "--update-catalog"], check=True)
    listed = subprocess.run(
        [*journalctl, "--list-catalog"], check=True, capture_output=True, text=True
    ).stdout
    assert {line.split()[0] for line in listed.splitlines()} == {event.id for event in EVENTS}


def test_the_document_names_every_event_and_its_fields() -> None:
    page = (ROOT / "docs" / "watching.md").read_text()
    told = dict(re.findall(r"^\| `([A-Z_]+)` \| `[0-9a-f]{32}` \| ([^|]*) \|", page, re.MULTILINE))
    assert {name: re.findall("`([A-Z_]+)`", cell) for name, cell in told.items()} == {
        event.name: list(event.fields) for event in EVENTS
    }
    assert all(f"| `{event.name}` | `{event.id}` |" in page for event in EVENTS)


def test_an_event_has_its_own_fields_and_no_others() -> None:
    assert len({event.id for event in EVENTS}) == len(EVENTS)
    event = Event("X", "0" * 32, ("A",), "", "")
    for wrong in ({}, {"B": 1}, {"A": 1, "B": 2}):
        with pytest.raises(ValueError, match="has the fields"):
            event(**wrong)
