"""Whatever is done to the log, `prove` names the first entry that it was done to."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from audit_rig import KEY, KEYS, SEALER, Wall, only_segment, proof_of
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, example, given
from hypothesis import strategies as st

from oneglance.audit.entry import EMPTY, Head, Signer, make_line
from oneglance.audit.log import Audit
from oneglance.audit.proof import Problem, Proof, prove
from oneglance.audit.segments import entries

COUNT = 7
Opened = Callable[..., Audit]


@cache
def genuine() -> list[bytes]:
    """The lines of a log whose first and last entry are signed, and some between."""
    with tempfile.TemporaryDirectory() as folder:
        wall = Wall()
        log = Path(folder) / "audit"
        daemon = Audit(log, wall, signer=Signer.of(KEY), sealer=SEALER)
        command = Audit(log, wall, sealer=SEALER)
        daemon.append("start", {"software": "1"})
        command.append("enrolment", {}, person_id="ada")
        command.append("deletion", {"failed": 2})
        for number in range(COUNT - 4):
            daemon.append("decision", {"score": 1.25 * number})
        daemon.append("stop", {})
        return only_segment(log).read_bytes().splitlines(keepends=True)


def proof_of_bytes(data: bytes, noted: Head | None = None) -> Proof:
    with tempfile.TemporaryDirectory() as folder:
        segment = Path(folder) / "audit-0000000000000001.jsonl"
        segment.touch(0o600)
        segment.write_bytes(data)
        return prove(Path(folder), KEYS, noted)


def problem_of(lines: list[bytes], noted: Head | None = None) -> Problem:
    problem = proof_of_bytes(b"".join(lines), noted).problem
    assert problem is not None
    return problem


@example(place=-200, change=1)
@given(place=st.integers(0, 10**6), change=st.integers(1, 255))
def test_any_byte_that_is_changed_names_its_entry(place: int, change: int) -> None:
    data = bytearray(b"".join(genuine()))
    place %= len(data)
    data[place] ^= change
    number = 1 + bytes(b"".join(genuine())[:place]).count(b"\n")
    proof = proof_of_bytes(bytes(data))
    if place == len(data) - 1:
        # The line feed of the last: as if the power had gone before it.
        assert proof.problem is None
        assert proof.cut_off_bytes == len(genuine()[-1])
        assert proof.head.number == COUNT - 1
    else:
        assert proof.problem is not None
        assert proof.problem.number == number
        assert proof.problem.how in ("altered", "forged")


@given(begin=st.integers(0, 10**6), size=st.integers(1, 3000), put=st.binary(max_size=50))
def test_any_piece_that_is_replaced_is_noticed(begin: int, size: int, put: bytes) -> None:
    data = b"".join(genuine())
    begin %= len(data)
    changed = data[:begin] + put + data[begin + size :]
    assume(changed != data)
    proof = proof_of_bytes(changed)
    if data.startswith(changed):
        # Cut off at the end: only a head that was noted shows that, if whole lines are gone.
        assert proof.cut_off_bytes or proof_of_bytes(changed, full_head()).problem is not None
    elif changed != data:
        first = 1 + data[: _common(data, changed)].count(b"\n")
        assert proof.cut_off_bytes or proof.problem is not None
        assert proof.problem is None or proof.problem.number <= first + 1
        # A signature that was changed to another one still stands in an entry.
        assert proof.problem is not None or proof.head.number < COUNT


def _common(one: bytes, other: bytes) -> int:
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))


def full_head() -> Head:
    return proof_of_bytes(b"".join(genuine())).head


@given(first=st.integers(0, COUNT - 1), count=st.integers(1, COUNT))
def test_entries_that_are_removed_are_named(first: int, count: int) -> None:
    lines = genuine()[:first] + genuine()[first + count :]
    noted = full_head()
    problem = problem_of(lines, noted)
    if first + count >= COUNT:
        assert (problem.number, problem.how) == (first + 1, "cut")
        assert proof_of_bytes(b"".join(lines)).problem is None
    else:
        assert (problem.number, problem.how) == (first + 1, "removed")


@given(one=st.integers(0, COUNT - 1), other=st.integers(0, COUNT - 1))
def test_entries_that_change_places_are_named(one: int, other: int) -> None:
    lines = list(genuine())
    one, other = sorted((one, other))
    if one == other:
        return
    lines[one], lines[other] = lines[other], lines[one]
    problem = problem_of(lines)
    assert (problem.number, problem.how) == (one + 1, "moved")


@given(what=st.integers(0, COUNT - 1), where=st.integers(0, COUNT))
def test_an_entry_that_stands_there_twice_is_named(what: int, where: int) -> None:
    lines = list(genuine())
    lines.insert(where, genuine()[what])
    problem = problem_of(lines)
    assert (problem.number, problem.how) == (what + 1, "duplicated")


@given(what=st.integers(1, COUNT - 1))
def test_an_entry_that_was_written_anew_with_its_sums_is_named(what: int) -> None:
    """Who has no key can make a line that fits behind, but not before, its neighbours."""
    lines = list(genuine())
    before = proof_of_bytes(b"".join(lines[:what])).head
    lines[what] = make_line(before, Wall()(), "enrolment", {}, None)
    if what == COUNT - 1:
        # The last: nobody can tell it from an entry by a command, but a noted head can.
        assert proof_of_bytes(b"".join(lines)).unsigned >= 1
        assert problem_of(lines, full_head()).number == COUNT
    else:
        assert problem_of(lines).number in (what + 1, what + 2)
    lines = list(genuine())
    lines.insert(what, make_line(before, Wall()(), "enrolment", {}, None))
    problem = problem_of(lines)
    assert (problem.number, problem.how) == (what + 2, "inserted")


def test_what_only_the_daemon_writes_is_forged_without_its_signature() -> None:
    other = Signer("0" * 16, Ed25519PrivateKey.generate().sign)
    line = make_line(full_head(), Wall()(), "decision", {}, other)
    text = re.sub(rb'"key":"[^"]*",', b"", line[len(b'{"entry":') : line.index(b',"signature"')])
    total = hashlib.sha256(text).hexdigest().encode()
    problem = problem_of([*genuine(), b'{"entry":%s,"sum":"%s"}\n' % (text, total)])
    assert (problem.number, problem.how) == (COUNT + 1, "forged")

    false = Signer(Signer.of(KEY).key_id, other.sign)
    problem = problem_of([*genuine(), make_line(full_head(), Wall()(), "decision", {}, false)])
    assert (problem.number, problem.how) == (COUNT + 1, "forged")


def test_a_whole_log_by_another_key_is_not_proven(folder: Path, wall: Wall) -> None:
    stranger = Ed25519PrivateKey.generate()
    audit = Audit(folder, wall, signer=Signer.of(stranger))
    audit.append("start", {})
    proof = proof_of(folder)
    assert proof.problem is None
    assert Signer.of(stranger).key_id in proof.unproven
    # Who goes on with another key has to know the former one: what was before is unproven else.
    both = {**KEYS, Signer.of(stranger).key_id: stranger.public_key()}
    daemon = Audit(folder, wall, signer=Signer.of(KEY), keys=both.values())
    assert daemon.signed_with == Signer.of(stranger).key_id
    daemon.append("start", {})
    assert proof_of(folder).unproven
    assert prove(folder, both).unproven == ""


def test_a_noted_head_that_is_another_is_named(opened: Opened, folder: Path) -> None:
    audit = opened()
    noted = audit.append("start", {}).head
    audit.append("stop", {})
    assert proof_of(folder, noted=noted).problem is None
    problem = proof_of(folder, noted=Head(1, "0" * 64)).problem
    assert problem is not None
    assert problem.number == 1


def test_a_segment_that_is_missing_or_renamed_is_named(opened: Opened, folder: Path) -> None:
    audit = opened(segment_bytes=600)
    for _ in range(6):
        audit.append("decision", {})
    first, second, third, *_ = sorted(folder.glob("audit-*"))
    data = second.read_bytes()
    second.unlink()
    number = data.count(b"\n")
    problem = proof_of(folder).problem
    assert problem is not None
    assert (problem.number, problem.how) == (1 + first.read_bytes().count(b"\n"), "removed")
    assert number
    third.rename(folder / "audit-0000000000000000.jsonl")
    assert proof_of(folder).problem is not None


def test_an_empty_log_proves_nothing_and_a_noted_head_shows_its_loss(tmp_path: Path) -> None:
    assert (proof_of(tmp_path).problem, proof_of(tmp_path).head) == (None, EMPTY)
    problem = proof_of(tmp_path, noted=Head(3, "0" * 64)).problem
    assert problem is not None
    assert problem.how == "cut"


@given(st.binary(max_size=2000))
def test_any_bytes_at_all_are_read_to_a_verdict(data: bytes) -> None:
    proof = proof_of_bytes(data)
    assert proof.head == EMPTY
    assert (proof.problem is not None) == (b"\n" in data)


@pytest.mark.parametrize("tail", [b"x", b'{"entry":{"at"', bytes(5000)])
def test_an_incomplete_last_entry_is_told_and_no_fault(tail: bytes) -> None:
    proof = proof_of_bytes(b"".join(genuine()) + tail)
    assert (proof.problem, proof.cut_off_bytes) == (None, len(tail))
    assert proof.head == full_head()
    assert list(entries(Path("/nonexistent"))) == []
