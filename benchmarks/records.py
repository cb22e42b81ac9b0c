"""What the audit log, the gallery and commands cost in processor time, without waiting for a disk.

python benchmarks/records.py [--entries 100000] [--people 1000] [--only audit,gallery,...,shared]

The log is filled as a daemon fills it, every entry signed, and opened, read and proven as the
commands do. The gallery has people with three templates of 192 values each. Commands are checked as
they come from the network: good ones, and each kind of refusal. A shared gallery has people with
three templates of 256 values each; one door takes it over. Medians over several rounds, with the 95
% interval of the median (order statistics).
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from oneglance.audit.entry import EMPTY, Signer, key_id, make_line, read_line
from oneglance.audit.log import SEGMENT_BYTES, Audit
from oneglance.audit.proof import prove
from oneglance.audit.segments import entries_backwards, segment_name
from oneglance.cli.people.shared_plan import SharedDoor, Sharer, plan
from oneglance.clocks import Clocks
from oneglance.config import Config, GalleryConfig, SharingConfig
from oneglance.contract.commands import CommandWriter
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.sharing import part_topic
from oneglance.contract.topics import Topics
from oneglance.daemon.gallery.sharing import Sharing
from oneglance.daemon.voice.authority import Authority
from oneglance.daemon.voice.nonces import NonceFile
from oneglance.daemon.voice.rate import PER_S
from oneglance.daemon.voice.verbs import CommandRefusedError, Verb
from oneglance.faces.gallery.credentials import CredentialFile
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.person import Person
from oneglance.faces.gallery.rows import Record, TemplateNote, to_text
from oneglance.faces.gallery.vault import create_key, load_key
from oneglance.key_files import create_sealing_key, load_sealing_key
from oneglance.link import Arrival

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TOPICS = Topics("bench", "door")
START = datetime(2026, 11, 24, 6, tzinfo=UTC)
TEMPLATES, TEMPLATE_SIZE = 3, 192
Row = tuple[str, list[float]]


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000, help="of the audit log")
    parser.add_argument("--people", type=int, default=1000, help="in the gallery")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--only", default="audit,gallery,commands,shared")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    wanted = options.only.split(",")
    rows: list[Row] = []
    with TemporaryDirectory(prefix="oneglance-records-") as folder:
        if "audit" in wanted:
            rows += audit(Path(folder) / "audit", options.entries, options.rounds)
        if "gallery" in wanted:
            rows += gallery(Path(folder), options.people, options.rounds)
        if "commands" in wanted:
            rows += commands(Path(folder), options.rounds)
        if "shared" in wanted:
            rows += shared(Path(folder), options.people, options.rounds)
    if options.json:
        print(json.dumps({what: told(times) for what, times in rows}, indent=1))
        return
    for what, times in rows:
        figures = told(times)
        print(
            f"{what:52} {figures['median_ms']:10.3f} ms"
            f" ({figures['low_ms']:.3f} to {figures['high_ms']:.3f}, n = {figures['n']})"
        )


def told(times: list[float]) -> dict[str, float]:
    """The median in ms, and its 95 % interval."""
    ordered = sorted(times)
    count = len(ordered)
    # The number of times below the median is binomial; by its normal approximation.
    reach = 0.98 * count**0.5
    low, high = int(count / 2 - reach), int(count / 2 + reach)
    return {
        "median_ms": 1000 * statistics.median(ordered),
        "low_ms": 1000 * ordered[max(0, low)],
        "high_ms": 1000 * ordered[min(count - 1, high)],
        "n": count,
    }


def timed(rounds: int, work: Callable[[], object]) -> list[float]:
    """The processor time of each round, in seconds."""
    times = []
    for _ in range(rounds):
        began_s = time.process_time()
        work()
        times.append(time.process_time() - began_s)
    return times


def audit(folder: Path, count: int, rounds: int) -> Iterator[Row]:
    """A log of `count` signed decisions."""
    folder.mkdir(mode=0o700)
    signer, public = Signer.of(KEY), KEY.public_key()
    place, at = EMPTY, START
    first, lines, size = 1, [], 0
    body = {
        "event_id": "0" * 32,
        "outcome": "accepted",
        "score": 5.125,
        "person": "person-ab12cd34",
    }
    for number in range(1, count + 1):
        kind = "gallery_generation" if number == 1 else "decision"
        said = {"generation": 1} if number == 1 else body | {"sequence": number}
        line = make_line(place, at, kind, said, signer)
        place = read_line(line[:-1]).head
        lines.append(line)
        size += len(line)
        if size > SEGMENT_BYTES - 1000 or number == count:
            _segment(folder / segment_name(first), lines)
            first, lines, size = number + 1, [], 0
        if number % 20_000 == 0:
            sys.stderr.write(f"\r{number} entries")
    sys.stderr.write("\n")

    def opened() -> Audit:
        return Audit(folder, lambda: at, signer=signer, keys=[public])

    log = opened()
    yield f"open a log of {count:,} entries", timed(rounds, opened)
    yield "append a signed entry", timed(rounds, lambda: log.append("decision", body))
    yield "the newest entry of a kind, known", timed(rounds, lambda: log.last("decision"))

    def oldest() -> object:
        return next(entries_backwards(folder, ("gallery_generation",)))

    yield "the oldest entry of all, looked for", timed(min(rounds, 5), oldest)
    yield f"prove {count:,} entries", timed(3, lambda: prove(folder, {key_id(public): public}))


def _segment(file: Path, lines: list[bytes]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as segment:
        segment.writelines(lines)


def gallery(folder: Path, count: int, rounds: int) -> Iterator[Row]:
    """A gallery of `count` people."""
    path, key_file = folder / "gallery.db", folder / "gallery.key"
    create_key(key_file)
    key = load_key(key_file)
    rng = np.random.default_rng(1)

    def templates() -> np.ndarray:
        rows = rng.standard_normal((TEMPLATES, TEMPLATE_SIZE)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def enrol(held: Gallery, name: str) -> None:
        held.enrol(name, templates(), "model", consent_at=START, source="benchmark")

    with Gallery.open(path, key, create=True) as held:
        for number in range(count):
            enrol(held, f"Person {number}")
            if number % 100 == 0:
                sys.stderr.write(f"\r{number} people")
    sys.stderr.write("\n")

    def read() -> object:
        with Gallery.open(path, key) as held:
            return held.snapshot("model", datetime.now(UTC))

    yield f"open and read {count:,} people", timed(rounds, read)
    with Gallery.open(path, key) as held:
        now = datetime.now(UTC)
        yield "read again after a change", timed(rounds, lambda: held.snapshot("model", now))
        yield "list people", timed(rounds, held.list_people)
        names = iter(f"Further {number}" for number in range(rounds))
        yield "enrol", timed(rounds, lambda: enrol(held, next(names)))
        gone = iter(f"further-{number}" for number in range(rounds))
        yield "delete", timed(rounds, lambda: held.delete(next(gone)))
        yield "look for changes", timed(rounds, held.change_mark)
    sys.stderr.write(f"the file: {path.stat().st_size / 1e6:.1f} MB\n")


def commands(folder: Path, rounds: int) -> Iterator[Row]:
    """Commands of every kind, checked as the daemon does."""
    keys = {role: Ed25519PrivateKey.generate() for role in Role}
    ring = Keyring(
        keys=tuple(entry(role, role, key.public_key(), START) for role, key in keys.items())
    )
    now = START + timedelta(days=1)
    administrators = Verb(frozenset({Role.ADMINISTRATOR}), lambda _args, _sender: "")
    elapsed_s = 0.0

    def wall() -> datetime:
        return now + timedelta(seconds=elapsed_s)

    clocks = Clocks(wall, lambda: elapsed_s)
    verbs = {"reload": administrators}
    authority = Authority(TOPICS, lambda: ring, verbs, NonceFile(folder / "commands"), clocks)

    def written(role: Role, **args: str) -> bytes:
        return CommandWriter(TOPICS, role, keys[role], wall).write("reload", **args)

    def tried(payload: bytes) -> None:
        try:
            authority.admit("reload", payload)
        except CommandRefusedError:
            return

    # As often as a key may ask; each is written before, as if it came at its time.
    good = []
    for number in range(rounds):
        elapsed_s = number / PER_S
        good.append((elapsed_s, written(Role.ADMINISTRATOR)))
    due = iter(good)

    def try_next() -> None:
        nonlocal elapsed_s
        elapsed_s, payload = next(due)
        tried(payload)

    yield "check a good command", timed(rounds, try_next)
    replayed = written(Role.ADMINISTRATOR)
    tried(replayed)
    yield "refuse a replayed one", timed(rounds, lambda: tried(replayed))
    kiosk = written(Role.KIOSK)
    yield "refuse one of another role", timed(rounds, lambda: tried(kiosk))
    forged = written(Role.ADMINISTRATOR).replace(b'"args":{}', b'"args":{"a":1}')
    yield "refuse a forged one", timed(rounds, lambda: tried(forged))
    junk = b"\xff" * 4096
    yield "refuse 4 kB of no command at all", timed(rounds, lambda: tried(junk))
    largest = written(Role.ADMINISTRATOR, photos="x" * 190_000)
    forged_photo = largest.replace(b"xxxx", b"xxxy", 1)
    yield "refuse a forged one of 190 kB", timed(rounds, lambda: tried(forged_photo))
    order = authority.admit("reload", written(Role.ADMINISTRATOR))
    yield "remember one on disk", timed(rounds, lambda: authority.confirm(order))


def shared(folder: Path, count: int, rounds: int) -> Iterator[Row]:
    """What sharing costs the house, and what taking over costs a door."""
    rng = np.random.default_rng(7)
    people = [_somebody(rng, number) for number in range(count)]
    create_key(folder / "door.key")
    key = load_key(folder / "door.key")
    public = base64.b64encode(create_sealing_key(folder / "sharing.key")).decode()
    door = SharedDoor(name=TOPICS.door, key=public)
    sharer = Sharer(TOPICS.site, "house", Ed25519PrivateKey.generate(), b"secret")
    beginning = datetime(2026, 1, 1, tzinfo=UTC)
    ring = Keyring(keys=(entry("house", Role.GALLERY, sharer.key.public_key(), beginning),))
    retained: dict[str, bytes] = {}
    version = 0

    def publish() -> None:
        nonlocal version
        version += 1
        ready = plan(people, [door], sharer, version, datetime.now(UTC))
        retained.update(
            {part_topic(TOPICS.site, one): sealed for one, sealed in ready.parts.items()}
        )
        retained[TOPICS.gallery] = ready.doors[TOPICS.door]

    yield f"make the messages for {count} people, one door", timed(rounds, publish)
    elapsed_s = 0.0

    def opened(name: str) -> Sharing:
        config = Config(
            gallery=GalleryConfig(path=folder / name / "gallery.db", key_file=folder / "door.key"),
            sharing=SharingConfig(receive=True, key_file=folder / "sharing.key"),
        )

        def hear(topics: Sequence[str]) -> bool:
            for topic in topics:
                taker.arrived(Arrival(topic, retained[topic], True, None, None))
            return True

        (folder / name).mkdir()
        taker = Sharing(
            config,
            TOPICS,
            load_sealing_key(config.sharing.key_file),
            key,
            CredentialFile(config.credentials_file, key),
            Audit(config.audit_folder, lambda: datetime.now(UTC), sealer=key),
            model_id="test-1",
            template_size=256,
            keys=lambda: ring,
            clocks=Clocks(lambda: datetime.now(UTC), lambda: elapsed_s),
            hear=hear,
            unhear=lambda _topics: None,
            say=lambda _state: True,
            changed=lambda: None,
        )
        return taker

    def take_over(taker: Sharing) -> float:
        """The processor time of all turns until it has the newest version."""
        nonlocal elapsed_s
        elapsed_s += 2.0
        taker.arrived(Arrival(TOPICS.gallery, retained[TOPICS.gallery], True, None, None))
        began_s = time.process_time()
        while taker.version != version:
            elapsed_s += 0.05
            taker.work()
        return time.process_time() - began_s

    first, deleted = [], []
    for number in range(rounds):
        taker = opened(f"door-{number}")
        publish()
        first.append(take_over(taker))
        gone = people.pop(int(rng.integers(len(people))))
        publish()
        deleted.append(take_over(taker))
        people.append(gone)
    yield f"take over {count} people at a door", first
    yield f"take over that one of {count} is deleted", deleted


def _somebody(rng: np.random.Generator, number: int) -> tuple[Record, NDArray[np.float32]]:
    rows = rng.normal(size=(3, 256)).astype(np.float32)
    now = datetime.now(UTC)
    notes = [TemplateNote(secrets.token_bytes(16), "test-1", to_text(now), "made") for _ in rows]
    person = Person(f"person-{number}", f"Person {number}", now, now, None, 3, ())
    return Record.of(person, notes), rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
