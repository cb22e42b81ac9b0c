"""Whether the audit log is as it was written, and the first thing in it that is not. Only reads.

What the chain and the signatures prove ends at the last signed entry: after it come at most a few
entries by commands that do not have the daemon's key. And a log that was cut off behind any signed
entry is complete in itself: only a `Head` that was noted elsewhere reveals it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from oneglance.audit.entry import EMPTY, RISING_KINDS, SIGNED_KINDS, Entry, Head, read_line, rises
from oneglance.audit.segments import Line, first_number, lines, segments

How = Literal["altered", "removed", "moved", "duplicated", "inserted", "forged", "cut"]
TOLD_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Problem:
    """The first thing that is not as it was written: the number of an entry, and what became of it.

    altered: its text is another. removed: it is missing. moved: it stands elsewhere. duplicated:
    it stands there twice. inserted: something stands before it that was never written there.
    forged: it needs a signature and has none, or a wrong one, or says what nobody would have
    written. cut: the log was cut off before it.
    """

    number: int
    how: How
    text: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What became of a log. `first` and `head` are the first and the last entry that were read.

    `signed_through` is the last entry for which a signature of a given key vouches, 0 if there is
    none; `unproven` says what no given key vouches for although it should, "" if nothing.
    `cut_off_bytes` is the size of an incomplete last entry, as a power cut leaves it.
    """

    first: int
    head: Head
    signed_through: int
    unproven: str
    cut_off_bytes: int
    problem: Problem | None

    @property
    def unsigned(self) -> int:
        """How many entries come after the last signature."""
        return self.head.number - self.signed_through


def prove(
    folder: Path,
    keys: Mapping[str, Ed25519PublicKey],
    noted: Head | None = None,
    on_progress: Callable[[int], None] = lambda _bytes: None,
) -> Proof:
    """Check a whole log; `keys` by their `key_id`, `noted` a place that was written down elsewhere.

    `on_progress` is told now and then how many bytes were read since. Raises AuditError if a
    segment cannot be read.
    """
    reading = _Reading()
    done = 0
    for count, line in enumerate(_all_lines(folder), 1):
        done += len(line.data) + 1
        if count % TOLD_EVERY == 0:
            on_progress(done)
            done = 0
        if not reading.take(line, noted):
            break
    on_progress(done)
    problem = _chain_problem(folder, reading, keys)
    problem = _earlier(problem, _cut_before(reading, noted) if problem is None else None)
    signed_through = 0
    unknown: dict[str, int] = {}
    for entry in reading.signed:
        if entry.key not in keys:
            unknown[entry.key] = entry.number
        elif entry.is_signed_by(keys[entry.key]):
            signed_through = max(signed_through, entry.number)
        else:
            wrong = Problem(entry.number, "forged", "its signature is wrong")
            problem = _earlier(problem, wrong)
    if problem is None:
        problem = _missing_beginning(reading, signed_through)
    return Proof(
        first=reading.first.number if reading.first is not None else 0,
        head=reading.head,
        signed_through=signed_through,
        unproven=_unproven(unknown, signed_through, reading.first, noted),
        cut_off_bytes=reading.cut_off_bytes,
        problem=problem,
    )


@dataclass(slots=True)
class _Reading:
    """Everything read up to the first line that does not follow the one before."""

    # The number of the next entry.
    number: int = 1
    first: Entry | None = None
    last: Entry | None = None
    # The last signed entry, and those after which another key signed: a signature vouches for what
    # is before it only as far as its own key did so.
    signed: list[Entry] = field(default_factory=list)
    anchors: list[Entry] = field(default_factory=list)
    # The newest entry of each of RISING_KINDS.
    risen: dict[str, Entry] = field(default_factory=dict)
    cut_off_bytes: int = 0
    stray: Entry | None = None
    problem: Problem | None = None

    @property
    def head(self) -> Head:
        return EMPTY if self.last is None else self.last.head

    def take(self, line: Line, noted: Head | None) -> bool:
        """Read one more line; False if it cannot be told whether anything after it follows."""
        if self.last is None:
            self.number = first_number(line.segment)
        number = self.number
        if self.cut_off_bytes:
            # There is something behind what should be the end.
            self.problem = Problem(number, "altered", "it is not complete, and more follows")
            return False
        if not line.complete:
            self.cut_off_bytes = len(line.data)
            return True
        try:
            entry = read_line(line.data)
        except ValueError:
            self.problem = Problem(number, "altered", "it is not as it was written")
            return False
        # The entry before the first that is left is gone, so its hash is unknown.
        follows = entry.prev if self.last is None and number > 1 else self.head.hash
        if (entry.number, entry.prev) != (number, follows):
            self.stray = entry
            return False
        if not entry.key and entry.kind in SIGNED_KINDS:
            self.problem = Problem(entry.number, "forged", "only the daemon writes such an entry")
            return False
        if entry.kind in RISING_KINDS:
            if not rises(entry, self.risen.get(entry.kind)):
                self.problem = Problem(entry.number, "forged", f"it lowers the {entry.kind}")
                return False
            self.risen[entry.kind] = entry
        self.first = self.first or entry
        self.last = entry
        self.number += 1
        if entry.key:
            if self.signed and self.signed[-1].key == entry.key:
                self.signed.pop()
            self.signed.append(entry)
        if entry.kind == "retention":
            self.anchors.append(entry)
        if noted is not None and noted.number == entry.number and noted.hash != entry.hash:
            self.problem = Problem(
                entry.number, "altered", "another one was noted under its number"
            )
            return False
        return True


def _chain_problem(
    folder: Path, reading: _Reading, keys: Mapping[str, Ed25519PublicKey]
) -> Problem | None:
    """What is wrong where reading stopped; the log is read again for it."""
    stray, last, number = reading.stray, reading.last, reading.number
    if stray is None:
        return reading.problem
    if stray.number == number:
        key = None if last is None else keys.get(last.key)
        if last is None or (key is not None and last.is_signed_by(key)):
            return Problem(number, "altered", "it was written to follow another entry")
        return Problem(last.number, "altered", "the entry after it follows another one")
    numbers: set[int] = set()
    twins = 0
    for line in _all_lines(folder):
        try:
            entry = read_line(line.data)
        except ValueError:
            continue
        numbers.add(entry.number)
        twins += entry.hash == stray.hash
    if twins > 1:
        return Problem(stray.number, "duplicated", "it stands there more than once")
    if stray.number < number:
        return Problem(
            number, "inserted", f"before it stands another one that calls itself {stray.number}"
        )
    if number in numbers:
        return Problem(number, "moved", f"entry {stray.number} stands in its place")
    return Problem(number, "removed", f"entry {stray.number} stands in its place")


def _cut_before(reading: _Reading, noted: Head | None) -> Problem | None:
    if noted is None or noted.number <= reading.head.number:
        return None
    behind = "" if reading.last is None or not reading.last.key else ", behind a signature"
    return Problem(
        reading.head.number + 1,
        "cut",
        f"the log ends before it{behind}, but entry {noted.number} was noted",
    )


def _missing_beginning(reading: _Reading, signed_through: int) -> Problem | None:
    """Entries before the first may be missing only if a signed entry says so."""
    first = reading.first
    if first is None or first.number == 1:
        return None
    for anchor in reading.anchors:
        through = anchor.body.get("through")
        if anchor.number > signed_through or not isinstance(through, int):
            continue
        # A crash may have left some of what was to be removed.
        if through >= first.number or (
            through == first.number - 1 and anchor.body.get("hash") == first.prev
        ):
            return None
    return Problem(
        1, "removed", f"the log begins with entry {first.number}, and no signed entry permits that"
    )


def _unproven(
    unknown: dict[str, int], signed_through: int, first: Entry | None, noted: Head | None
) -> str:
    if first is not None and noted is not None and noted.number < first.number:
        return f"entry {noted.number} is older than what is kept"
    if unknown:
        told = (f"the key {key} signed up to entry {number}" for key, number in unknown.items())
        return f"{', '.join(told)}: give its public key with --key"
    return "" if signed_through else "no entry is signed"


def _earlier(one: Problem | None, other: Problem | None) -> Problem | None:
    problems = [problem for problem in (one, other) if problem is not None]
    return min(problems, key=lambda problem: problem.number, default=None)


def _all_lines(folder: Path) -> Iterator[Line]:
    for segment in segments(folder):
        yield from lines(segment)
