"""Writing: durable, by many at once, over power cuts, full disks and people who interfere."""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from audit_rig import KEY, SEALER, Wall, only_segment, proof_of
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.audit import pseudonyms as pseudonyms_module
from oneglance.audit.entry import MAX_LINE_BYTES, Signer, make_line, read_line
from oneglance.audit.generations import Generations
from oneglance.audit.log import Audit
from oneglance.audit.pseudonyms import PEOPLE_FILE, Pseudonyms
from oneglance.audit.segments import entries, segments
from oneglance.audit.snapshots import Snapshots
from oneglance.errors import AuditError, OneglanceError, TamperedError
from oneglance.faces.gallery.vault import TemplateKey

Opened = Callable[..., Audit]


def texts(folder: Path) -> list[tuple[int, str]]:
    return [(entry.number, entry.kind) for entry in entries(folder)]


def test_entries_are_numbered_chained_private_and_found_again(opened: Opened, folder: Path) -> None:
    audit = opened()
    first = audit.append("start", {"software": "1"})
    second = audit.append("decision", {"score": 1.5, "reason": "unkönnt\n"})
    assert (first.number, second.number, second.prev) == (1, 2, first.hash)
    assert audit.head() == (2, second.hash)
    assert opened().head() == audit.head()
    assert [entry.body for entry in entries(folder)] == [first.body, second.body]
    assert audit.last("start") == first
    assert audit.last("stop") is None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(only_segment(folder).stat().st_mode) == 0o600
    proof = proof_of(folder)
    assert (proof.problem, proof.first, proof.head, proof.unsigned) == (None, 1, second.head, 0)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("gossip", {}),
        ("decision", {"score": float("nan")}),
        ("decision", {"sequence": 2**60}),
        ("decision", {"reason": "x" * MAX_LINE_BYTES}),
        ("decision", {"reason": "\ud800"}),
        ("decision", {"at": datetime(2026, 1, 1, tzinfo=UTC)}),
    ],
)
def test_what_is_no_entry_is_refused_and_nothing_written(
    opened: Opened, kind: str, body: dict[str, object]
) -> None:
    audit = opened()
    audit.append("start", {})
    before = audit.head()
    with pytest.raises(ValueError):  # noqa: PT011
        audit.append(kind, body)
    assert audit.head() == before


def test_who_has_no_key_writes_what_the_daemon_signs_for_later(
    opened: Opened, folder: Path
) -> None:
    daemon, command = opened(), opened(signer=None)
    daemon.append("start", {})
    assert daemon.checkpoint() is None
    command.append("enrolment", {}, person_id="ada-lovelace")
    with pytest.raises(ValueError, match="has to be signed"):
        command.append("decision", {})
    assert proof_of(folder).unsigned == 1
    assert daemon.checkpoint() is not None
    assert proof_of(folder).unsigned == 0
    assert texts(folder) == [(1, "start"), (2, "enrolment"), (3, "checkpoint")]


def test_a_person_has_one_pseudonym_until_forgotten_and_the_log_never_a_name(
    opened: Opened, folder: Path
) -> None:
    daemon, command = opened(), opened(signer=None)
    names = [
        a.append("enrolment", {}, person_id="ada-lovelace").body["person"]
        for a in (command, daemon)
    ]
    other = daemon.append("enrolment", {}, person_id="eve-polastri").body["person"]
    assert names[0] == names[1] != other
    assert re.fullmatch("person-[0-9a-f]{8}", names[0])
    people = Pseudonyms(folder / PEOPLE_FILE, SEALER)
    assert people.people() == {names[0]: "ada-lovelace", other: "eve-polastri"}
    assert stat.S_IMODE((folder / PEOPLE_FILE).stat().st_mode) == 0o600

    command.forget(lambda person_id: person_id == "ada-lovelace")
    assert people.people() == {other: "eve-polastri"}
    assert proof_of(folder).problem is None
    again = daemon.append("decision", {}, person_id="ada-lovelace").body["person"]
    assert again != names[0]
    everything = b"".join(file.read_bytes() for file in folder.iterdir())
    assert b"lovelace" not in everything
    assert b"polastri" not in everything


def test_pseudonyms_sealed_with_another_key_or_changed_are_refused(
    opened: Opened, folder: Path
) -> None:
    opened().append("enrolment", {}, person_id="ada-lovelace")
    file = folder / PEOPLE_FILE
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(AuditError, match="changed, or sealed with another key"):
        opened().append("decision", {}, person_id="ada-lovelace")
    assert texts(folder) == [(1, "enrolment")]


def test_on_a_full_disk_nobody_is_told_to_move_the_pseudonyms_away(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pseudonyms_module, "write_whole_and_wipe", full)
    with pytest.raises(AuditError) as caught:
        opened().append("enrolment", {}, person_id="ada-lovelace")
    assert caught.value.fix == "make room on the disk"


def test_pseudonyms_are_sealed_with_another_key_when_that_is_changed(
    opened: Opened, folder: Path
) -> None:
    audit, other = opened(), TemplateKey(b"o" * 32)
    before = audit.append("enrolment", {}, person_id="ada-lovelace").body["person"]
    audit.reseal(other)
    assert audit.append("decision", {}, person_id="ada-lovelace").body["person"] == before
    assert Pseudonyms(folder / PEOPLE_FILE, other).people() == {before: "ada-lovelace"}
    with pytest.raises(AuditError, match="another key"):
        Pseudonyms(folder / PEOPLE_FILE, SEALER).people()


def test_a_power_cut_at_any_byte_loses_nothing_complete_and_is_told(
    opened: Opened, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audit = opened()
    for kind in ("start", "decision", "stop"):
        audit.append(kind, {"n": kind})
    segment = only_segment(folder)
    whole = segment.read_bytes()
    ends = [match.end() for match in re.finditer(b"\n", whole)]
    for length in range(len(whole) + 1):
        segment.write_bytes(whole[:length])
        complete = sum(end <= length for end in ends)
        torn = whole[([0, *ends])[complete] : length]
        assert proof_of(folder).cut_off_bytes == len(torn)
        caplog.clear()
        opened()
        kept = list(entries(folder))
        assert [entry.number for entry in kept] == list(range(1, complete + bool(torn) + 1))
        assert segment.read_bytes().startswith(whole[: len(whole[:length]) - len(torn)])
        if torn:
            assert kept[-1].kind == "cut_off"
            assert kept[-1].body["bytes"] == len(torn)
            assert base64.b64decode(kept[-1].body["data"]) == torn
            assert "cut off by a power loss" in caplog.text
        proof = proof_of(folder)
        assert (proof.problem, proof.cut_off_bytes) == (None, 0)


def test_blocks_that_were_never_written_are_no_entry(opened: Opened, folder: Path) -> None:
    opened().append("start", {})
    with only_segment(folder).open("ab") as file:
        file.write(bytes(100_000))
    opened()
    (_, cut) = entries(folder)
    assert (cut.kind, cut.body["bytes"]) == ("cut_off", 100_000)


_WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from oneglance.audit.generations import Generations
from oneglance.audit.log import Audit
audit = Audit(Path(sys.argv[1]), lambda: datetime.now(UTC), segment_bytes=4000)
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    audit.append("rename", {"who": sys.argv[2], "n": number})
"""


def test_processes_that_write_at_once_make_one_chain(folder: Path) -> None:
    count = 60
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, folder, who, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in ("one", "two")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.communicate("go\n", timeout=60)
        assert writer.returncode == 0
    found = list(entries(folder))
    assert [entry.number for entry in found] == list(range(1, 2 * count + 1))
    for who in ("one", "two"):
        assert [e.body["n"] for e in found if e.body["who"] == who] == list(range(count))
    assert len(segments(folder)) > 3
    assert proof_of(folder).problem is None


_FULL = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from oneglance.audit.generations import Generations
from oneglance.audit.log import Audit
from oneglance.errors import AuditError
audit = Audit(Path(sys.argv[1]), lambda: datetime.now(UTC))
audit.append("rename", {})
before = audit.head()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
refused = 0
for _ in range(3):
    try:
        audit.append("rename", {"why": "x" * 300})
    except AuditError as error:
        refused += 1
        print(error)
assert refused == 3 and audit.head() == before, (refused, audit.head())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert audit.append("rename", {"why": "x" * 300}).number == before.number + 1
"""


@pytest.mark.parametrize("limit", [240, 300, 400])
def test_a_full_disk_refuses_an_entry_leaves_no_half_and_is_got_over(
    folder: Path, limit: int
) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _FULL, folder, str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "cannot be written" in result.stdout
    assert "make room" in result.stdout
    assert texts(folder) == [(1, "rename"), (2, "rename")]
    assert proof_of(folder).problem is None


def test_many_entries_at_once_are_as_many_alone_and_none_where_one_cannot_be(
    opened: Opened, folder: Path
) -> None:
    audit = opened(segment_bytes=4096)
    audit.append("start", {})
    people = [f"person-{number}" for number in range(40)]
    written = audit.append_all([("enrolment", one, {"templates": 1}) for one in [*people, "ada"]])
    again = audit.append("rename", {}, person_id="ada")
    assert audit.append_all([]) == []
    pseudonyms = [entry.body["person"] for entry in written]
    assert len(set(pseudonyms)) == 41
    assert again.body["person"] == pseudonyms[-1]
    assert list(entries(folder))[1:] == [*written, again]
    # What is written at once stands in one segment, though that becomes longer than others.
    assert len(segments(folder)) == 3
    proof = proof_of(folder)
    assert (proof.problem, proof.head, proof.unsigned) == (None, again.head, 0)
    with pytest.raises(ValueError, match="gossip"):
        audit.append_all([("rename", "ada", {}), ("gossip", "ada", {})])
    assert audit.head() == opened().head() == again.head


def test_a_device_that_takes_nothing_is_no_log(opened: Opened, folder: Path) -> None:
    opened().append("start", {})
    segment = only_segment(folder)
    segment.unlink()
    segment.symlink_to("/dev/full")
    with pytest.raises(AuditError):
        opened()


def test_a_log_that_is_no_file_of_its_owner_alone_is_refused(
    opened: Opened, folder: Path, tmp_path: Path
) -> None:
    audit = opened()
    audit.append("start", {})
    segment = only_segment(folder)
    segment.chmod(0o644)
    for write in (opened, lambda: audit.append("stop", {})):
        with pytest.raises(AuditError, match="only its owner"):
            write()
    segment.unlink()
    os.mkfifo(segment, 0o600)
    with pytest.raises(AuditError):
        opened()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, wall: Wall) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AuditError, match="cannot be written") as raised:
        Audit(tmp_path / "file" / "audit", wall)
    assert raised.value.exit_code == 74


def test_who_waits_too_long_for_the_lock_gives_up(opened: Opened, folder: Path) -> None:
    waited: list[float] = []
    audit = opened(monotonic_s=lambda: sum(waited), pause=lambda _s: waited.append(1.0))
    with (folder / "lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AuditError, match="keeps the audit log busy"):
            audit.append("start", {})
    assert audit.append("start", {}).number == 1


@pytest.mark.parametrize("how", ["cut", "replaced", "removed"])
def test_a_log_that_is_cut_or_changed_while_in_use_is_noticed(
    opened: Opened, folder: Path, how: str
) -> None:
    audit = opened()
    audit.append("start", {})
    audit.append("decision", {})
    segment = only_segment(folder)
    data = segment.read_bytes()
    if how == "cut":
        os.truncate(segment, data.index(b"\n") + 1)
    else:
        segment.rename(folder / "aside")
    if how == "replaced":
        segment.write_bytes(data)
        segment.chmod(0o600)
    with pytest.raises(TamperedError, match=how if how == "removed" else "cut or replaced"):
        audit.append("stop", {})


def test_another_writers_forged_entries_are_not_built_upon(opened: Opened, folder: Path) -> None:
    audit = opened()
    audit.append("start", {})
    segment = only_segment(folder)
    data = segment.read_bytes()
    segment.write_bytes(data + data)
    with pytest.raises(TamperedError, match="does not follow"):
        audit.append("stop", {})
    segment.write_bytes(data + data.replace(b"start", b"stoop"))
    with pytest.raises(TamperedError, match="entry 2 was altered"):
        opened()


def test_a_log_that_somebody_else_signed_in_our_name_is_not_built_upon(
    opened: Opened, folder: Path
) -> None:
    false = Signer(Signer.of(KEY).key_id, Ed25519PrivateKey.generate().sign)
    opened(signer=false).append("start", {})
    before = only_segment(folder).read_bytes()
    # A torn entry behind it must not make us sign, either.
    only_segment(folder).write_bytes(before + b'{"entry":')
    with pytest.raises(TamperedError, match="the signature of entry 1 is wrong"):
        opened()
    assert only_segment(folder).read_bytes() == before


def test_who_is_forgotten_leaves_no_picture_and_no_key(opened: Opened, folder: Path) -> None:
    audit = opened()
    snapshots = Snapshots(folder / "snapshots", SEALER)
    for number, who in enumerate(("ada", "eve", "ada", None)):
        event = f"{number:032x}"
        audit.append("decision", {"event_id": event}, person_id=who)
        snapshots.keep(event, datetime.now(UTC), b"a face")
    pictures = sorted((folder / "snapshots").iterdir(), key=lambda file: file.name[-10:])
    # What a process left that was killed while it wrote one.
    draft = pictures[2].rename(pictures[2].with_name(f".new-{pictures[2].name}"))
    with pictures[0].open("rb") as first, (folder / PEOPLE_FILE).open("rb") as people:
        opened(signer=None).forget("ada".__eq__)
        assert set(first.read()) == set(people.read()) == {0}
    assert [file.exists() for file in (*pictures, draft)] == [False, True, False, True, False]
    assert set(Pseudonyms(folder / PEOPLE_FILE, SEALER).people().values()) == {"eve"}
    audit.forget("nobody".__eq__)
    assert snapshots.events() == {f"{1:032x}", f"{3:032x}"}


def test_the_gallerys_generation_is_found_again(opened: Opened) -> None:
    daemon, command = Generations(opened()), Generations(opened(signer=None))
    assert daemon.highest_generation() is None
    command.note_generation(3)
    assert daemon.highest_generation() == 3
    daemon.note_generation(4)
    assert command.highest_generation() == 4
    audit = opened()
    audit.append("start", {})
    assert Generations(audit).highest_generation() == 4


def test_a_log_whose_end_an_unknown_key_signed_is_not_built_upon(
    opened: Opened, folder: Path
) -> None:
    daemon = opened()
    daemon.append("start", {})
    other = Ed25519PrivateKey.generate()
    Audit(folder, Wall(), signer=Signer.of(other)).append("decision", {"outcome": "accepted"})
    before = only_segment(folder).read_bytes()
    for write in (lambda: daemon.append("decision", {}), daemon.checkpoint, opened):
        with pytest.raises(TamperedError, match=f"unknown key {Signer.of(other).key_id}") as caught:
            write()
    assert "oneglance audit accept-key" in caught.value.fix
    assert only_segment(folder).read_bytes() == before
    both = [KEY.public_key(), other.public_key()]
    assert opened(keys=both).append("start", {}).number == 3
    # Who signs on top has checked it: the former key need not be known for ever.
    assert opened().append("stop", {}).number == 4


def test_a_generation_that_falls_is_not_built_upon_and_named(opened: Opened, folder: Path) -> None:
    daemon = opened(segment_bytes=600)
    Generations(daemon).note_generation(7)
    for _ in range(3):
        # It stands in an older segment than what is read at an opening.
        daemon.append("decision", {})
    place, at = daemon.head(), datetime.now(UTC)
    segment = segments(folder)[-1]
    before = segment.read_bytes()
    for said in (6, -1, True, "8", None):
        line = make_line(place, at, "gallery_generation", {"generation": said}, None)
        segment.write_bytes(before + line)
        # A daemon that runs, also at its second try, one that starts, and a command.
        for read in (
            *[lambda: Generations(daemon).highest_generation()] * 2,
            opened,
            lambda: Generations(opened(signer=None, keys=())).highest_generation(),
        ):
            with pytest.raises(TamperedError, match="entry 5 lowers the gallery_generation"):
                read()
        problem = proof_of(folder).problem
        assert problem is not None
        assert (problem.number, problem.how) == (5, "forged")
    line = make_line(place, at, "gallery_generation", {"generation": 8}, None)
    segment.write_bytes(before + line)
    assert Generations(daemon).highest_generation() == 8
    assert Generations(opened()).highest_generation() == 8


def test_what_is_forged_while_the_daemon_runs_is_not_built_upon(
    opened: Opened, folder: Path
) -> None:
    daemon = opened()
    daemon.append("start", {})
    before = only_segment(folder).read_bytes()
    forger = Signer(Signer.of(KEY).key_id, Ed25519PrivateKey.generate().sign)
    signed = make_line(daemon.head(), datetime.now(UTC), "decision", {}, forger)
    text = re.sub(
        rb'"key":"[^"]*",', b"", signed[len(b'{"entry":') : signed.index(b',"signature"')]
    )
    unsigned = b'{"entry":%s,"sum":"%s"}\n' % (text, hashlib.sha256(text).hexdigest().encode())
    for line, said in ((signed, "the signature of entry 2 is wrong"), (unsigned, "was forged")):
        only_segment(folder).write_bytes(before + line)
        for write in (lambda: daemon.append("decision", {}), opened):
            with pytest.raises(TamperedError, match=said):
                write()
    only_segment(folder).write_bytes(before)
    assert daemon.append("decision", {}).number == 2


def test_an_unknown_signature_hides_no_forged_one_before_it(opened: Opened, folder: Path) -> None:
    opened().append("start", {})
    place = opened().append("decision", {}).head
    other = Ed25519PrivateKey.generate()
    forged = make_line(
        place, datetime.now(UTC), "decision", {}, Signer(Signer.of(KEY).key_id, other.sign)
    )
    after = read_line(forged[:-1]).head
    unknown = make_line(after, datetime.now(UTC), "checkpoint", {}, Signer.of(other))
    with only_segment(folder).open("ab") as file:
        file.write(forged + unknown)
    with pytest.raises(TamperedError, match="the signature of entry 3 is wrong"):
        opened()
    # Even if somebody signs on top of it all the same.
    last = read_line(unknown[:-1]).head
    with only_segment(folder).open("ab") as file:
        file.write(make_line(last, datetime.now(UTC), "stop", {}, Signer.of(KEY)))
    problem = proof_of(folder).problem
    assert problem is not None
    assert (problem.number, problem.how) == (3, "forged")


def test_the_log_goes_on_in_a_new_segment_by_size_and_month(
    opened: Opened, folder: Path, wall: Wall
) -> None:
    audit = opened(segment_bytes=1200)
    for _ in range(9):
        audit.append("decision", {})
    by_size = len(segments(folder))
    assert by_size > 2
    assert all(file.stat().st_size <= 1200 for file in segments(folder))
    wall.now += timedelta(days=31)
    audit.append("decision", {})
    assert len(segments(folder)) == by_size + 1
    again = opened(segment_bytes=1200)
    assert again.head() == audit.head()
    again.append("stop", {})
    assert audit.append("start", {}).number == 12
    assert proof_of(folder).problem is None


def test_old_segments_go_and_a_signed_entry_says_so(
    opened: Opened, folder: Path, wall: Wall
) -> None:
    audit = opened()
    for _ in range(4):
        for _ in range(3):
            audit.append("decision", {})
        wall.now += timedelta(days=32)
    assert len(segments(folder)) == 4
    audit.retain(wall.now - timedelta(days=400))
    assert len(segments(folder)) == 4
    audit.retain(wall.now - timedelta(days=80))
    assert next(entries(folder)).number == 7
    told = audit.last("retention")
    assert told is not None
    assert told.body["through"] == 6
    proof = proof_of(folder)
    assert (proof.problem, proof.first) == (None, 7)
    assert opened().append("stop", {}).number == told.number + 1

    # Nobody else may do the same.
    segments(folder)[0].unlink()
    problem = proof_of(folder).problem
    assert problem is not None
    assert problem.how == "removed"
    assert "no signed entry permits that" in problem.text


def test_a_removal_of_old_segments_that_a_crash_left_half_done_is_whole(
    opened: Opened, folder: Path, wall: Wall
) -> None:
    audit = opened()
    for _ in range(3):
        audit.append("decision", {})
        wall.now += timedelta(days=32)
    last = audit.append("decision", {})
    second, third = segments(folder)[1:3]
    kept = {file: file.read_bytes() for file in (second, third)}
    audit.retain(last.at - timedelta(days=1))
    assert next(entries(folder)).number == 4
    for file, data in kept.items():
        file.write_bytes(data)
        file.chmod(0o600)
    proof = proof_of(folder)
    assert (proof.problem, proof.first) == (None, 2)
    second.unlink()
    third.unlink()
    assert proof_of(folder).problem is None


def test_reading_an_entry_never_fails_otherwise() -> None:
    nested = b'{"a":' * 4000 + b"{}" + b"}" * 4000
    for line in (b"", b"{}", nested, b"\xff" * 100):
        with pytest.raises(ValueError, match="not an entry"):
            read_line(line)


def test_errors_are_one_line(opened: Opened, folder: Path) -> None:
    opened().append("start", {})
    only_segment(folder).write_bytes(b"\x1b[2J\n" * 3)
    with pytest.raises(OneglanceError) as raised:
        opened()
    assert "\n" not in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_the_gallerys_generation_outlives_the_entries_and_never_falls(
    folder: Path, wall: Wall
) -> None:
    audit = Audit(folder, wall, signer=Signer.of(KEY))
    Generations(audit).note_generation(5)
    Generations(Audit(folder, wall)).note_generation(4)
    for _ in range(3):
        wall.now += timedelta(days=31)
        audit.append("command", {})
    audit.retain(wall.now - timedelta(days=40))
    assert next(entries(folder)).number > 1
    assert Generations(Audit(folder, wall)).highest_generation() == 5
    assert proof_of(folder).problem is None
