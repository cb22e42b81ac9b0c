"""`oneglance people sync`: share the house's gallery with its doors, and hear which have it."""

from __future__ import annotations

import json
import queue
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneglance.cli.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from oneglance.cli.people.shared_plan import Plan, SharedDoor, Sharer
    from oneglance.config import Config
    from oneglance.contract.sharing import GalleryIndex, GalleryState
    from oneglance.link import Arrival, Link

CONNECT_S = 10.0
# How long one message may take to be taken, and the broker to say what it holds.
TAKEN_S = 30.0
# No clock is ahead so far: a version is its milliseconds, or one more than the last.
FAR_AHEAD_MS = 10 * 366 * 24 * 60 * 60 * 1000
# The shipped broker keeps 100 messages for one client.
WINDOW = 50
WINDOW_S = 2.0
# What it had no room for is asked for again.
AGAIN_S = 10.0
# What a door says whose parts do not come.
MISSES = "sharing_incomplete"


@dataclass(frozen=True, slots=True)
class Shared:
    """What was published, and how each door answered; `version` is the newest."""

    version: int
    parts: int
    new_parts: int
    states: dict[str, GalleryState]
    confirmed: list[str]
    open: list[str]


def sync(
    doors: Annotated[Path, typer.Argument(help="The file that names the doors: docs/sharing.md.")],
    key: Annotated[
        Path, typer.Option(help="ID.key, a key of the role gallery: 'oneglance keys make gallery'.")
    ],
    status: Annotated[
        bool, typer.Option("--status", help="Publish nothing: only say which door has what.")
    ] = False,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Publish all parts again; without it only if a door misses some.",
        ),
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=3600,
            help="Wait at most so long for the doors; 30 s, and 5 s with --status.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, though more than half would be gone.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Share this gallery with all doors of a file: everybody enrolled, changed or deleted here.

    Run it after each change, and from a timer: a door catches up on whatever it has missed, and its
    status says `gallery_stale` if it has heard nothing for long. Exit code 0 if every door has it.

    Example: `oneglance people sync doors.toml --key house.key`

    To see which door has what: `oneglance people sync doors.toml --key house.key --status`
    """
    from oneglance.cli.people.shared_plan import read_doors
    from oneglance.config import load_config

    settings = load_config(config, "admin.toml")
    listed = read_doors(doors)

    def confirm(before: int, now: int) -> None:
        if not yes:
            question = f"{before} people were shared before, and now {now}. Delete the others?"
            typer.confirm(question, abort=True, err=True)

    sharer = open_sharer(settings, key)
    with connected(settings, sharer.site) as broker:
        if status:
            done = ask(settings, listed, sharer, broker, 5.0 if seconds is None else seconds)
        else:
            wait_s = 30.0 if seconds is None else seconds
            done = share(settings, listed, sharer, broker, wait_s, confirm, everything)
    _print(done, len(listed), as_json, status)
    if done.open:
        raise typer.Exit(1)


def open_sharer(settings: Config, key: Path) -> Sharer:
    """Whoever signs with ID.key. ConfigError for a bad key, GalleryError for the gallery's key."""
    from oneglance.cli.people.shared_plan import Sharer
    from oneglance.contract.topics import check_level
    from oneglance.faces.gallery.vault import load_key
    from oneglance.key_files import load_private_key

    private = load_private_key(
        key, "key of who shares the gallery", "make one with 'oneglance keys make gallery'"
    )
    secret = load_key(settings.gallery.key_file).secret(b"sharing")
    return Sharer(settings.site.name, check_level(key.stem, "key"), private, secret)


class Broker:
    """The broker's retained messages, as far as they are asked for."""

    def __init__(self, link: Link, heard: queue.SimpleQueue[Arrival], marker: str) -> None:
        self.link = link
        self._heard = heard
        self._marker = marker
        self.greeted = 0

    def publish(self, topic: str, payload: bytes, *, retain: bool = True) -> None:
        """Publish a message as soon as there is room. Raises BrokerError."""
        from oneglance.errors import BrokerError

        deadline_s = time.monotonic() + TAKEN_S
        while not self.link.publish(topic, payload, qos=1, retain=retain):
            self._check(topic)
            if time.monotonic() >= deadline_s:
                raise BrokerError("it takes nothing", where=topic)
            time.sleep(0.005)

    def until_here(self) -> Iterator[Arrival]:
        """Everything that the broker says before it answers this call. Raises BrokerError."""
        from oneglance.errors import BrokerError

        mark = secrets.token_bytes(8)
        self.publish(self._marker, mark, retain=False)
        deadline_s = time.monotonic() + TAKEN_S
        while True:
            self._check(self._marker)
            # Also while something comes: whoever floods the index does not hold this up for ever.
            if time.monotonic() >= deadline_s:
                raise BrokerError(
                    "it does not let us hear ourselves", where=self._marker, fix="check its ACL"
                )
            arrival = self.next(0.2)
            if arrival is not None and (arrival.topic, arrival.payload) == (self._marker, mark):
                return
            if arrival is not None:
                yield arrival

    def next(self, seconds: float) -> Arrival | None:
        """The next message; None if there is none."""
        try:
            return self._heard.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None

    def _check(self, topic: str) -> None:
        from oneglance.errors import BrokerError

        if self.link.publishes_refused:
            raise BrokerError("the broker does not take it", where=topic, fix="check its ACL")
        if self.greeted > 1:
            raise BrokerError(
                "the connection broke, and the broker may have forgotten what it had",
                where=topic,
                fix="run this again, with --all",
            )


@contextmanager
def connected(settings: Config, site: str) -> Iterator[Broker]:
    """A connection that receives the index. Raises BrokerError, ConfigError."""
    from oneglance.contract.sharing import part_topic
    from oneglance.link import Link

    number = secrets.token_hex(8)
    marker = part_topic(site, f"marker-{number}")
    heard: queue.SimpleQueue[Arrival] = queue.SimpleQueue()

    def greeted() -> None:
        broker.greeted += 1

    link = Link(
        settings.mqtt,
        f"oneglance-sync-{number}",
        subscriptions=((part_topic(site, "index"), 1), (marker, 1)),
        on_message=heard.put,
        on_connected=greeted,
    )
    broker = Broker(link, heard, marker)
    link.start()
    try:
        link.must_connect(CONNECT_S)
        link.check_heard()
        yield broker
    finally:
        link.stop()


def share(
    settings: Config,
    doors: Sequence[SharedDoor],
    sharer: Sharer,
    broker: Broker,
    seconds: float,
    confirm: Callable[[int, int], None] = lambda _before, _now: None,
    everything: bool = False,
) -> Shared:
    """Publish what is new, forget what is old, wait for the doors.

    `confirm` is called if fewer than half of the people shared before are left, judged by the audit
    log here, or else by what the broker retains. If a door says that parts are missing, all are
    published again. Raises GalleryError, AuditError, BrokerError, MessageError.
    """
    from oneglance.audit.entry import key_id
    from oneglance.audit.generations import Versions
    from oneglance.cli.audit_log import open_audit, open_gallery
    from oneglance.cli.people.shared_plan import plan
    from oneglance.errors import ConfigError

    if settings.sharing.receive:
        raise ConfigError(
            "this door takes over a shared gallery, and so has none to share",
            where="sharing.receive",
            fix="share from where people are enrolled",
        )
    with open_gallery(settings) as gallery:
        contents = gallery.contents()
    now = datetime.now(UTC)
    before = _index(broker, sharer)
    log = Versions(open_audit(settings))
    version = next_version(now, log.newest(), before.version if before else 0)
    ready = plan(contents, doors, sharer, version, now)
    shared = log.people()
    if shared is None and before is not None:
        shared = before.people
    if shared is not None and ready.people * 2 < shared:
        confirm(shared, ready.people)
    log.note(key_id(sharer.key.public_key()), version, ready.people)
    had = set(before.parts) if before is not None and not everything else set()
    new = {part_id: ready.parts[part_id] for part_id in sorted(ready.parts.keys() - had)}
    _publish(broker, sharer.site, ready, new, before)
    names = [door.name for door in doors]
    states = hear_doors(broker, sharer, names, seconds, version)
    if len(new) < len(ready.parts) and any(state.problem == MISSES for state in states.values()):
        # What the broker should have, it has not.
        new = ready.parts
        _put(broker, sharer.site, new)
        states |= hear_doors(broker, sharer, names, seconds, version)
    return _shared(sharer, doors, states, version, len(ready.parts), len(new))


def next_version(now: datetime, own: int, left: int) -> int:
    """The version after `own`, this house's newest, and the one `left` at the broker. Pure.

    Raises MessageError if no clock can have given it.
    """
    from oneglance.errors import MessageError

    clock = int(now.timestamp() * 1000)
    if left > max(clock, own) + FAR_AHEAD_MS:
        raise MessageError(
            f"version {left} lies at the broker, which no clock gives: somebody else signs with"
            " this key",
            fix="revoke it at each door and make a new one: docs/keys.md, 'When a key leaks'",
        )
    return max(clock, own + 1, left + 1)


def ask(
    settings: Config,
    doors: Sequence[SharedDoor],
    sharer: Sharer,
    broker: Broker,
    seconds: float,
) -> Shared:
    """What each door says it has; nothing is published."""
    from oneglance.audit.generations import Versions
    from oneglance.cli.audit_log import open_audit

    version = Versions(open_audit(settings)).newest()
    names = [door.name for door in doors]
    states = hear_doors(broker, sharer, names, seconds, None)
    return _shared(sharer, doors, states, version, 0, 0)


def hear_doors(
    broker: Broker,
    sharer: Sharer,
    doors: Sequence[str],
    seconds: float,
    version: int | None,
    *,
    window_s: float = WINDOW_S,
    again_s: float = AGAIN_S,
) -> dict[str, GalleryState]:
    """What the doors say, until all have taken over `version` (None: have said anything).

    Waits at most `seconds` after the last of them was asked. Missing doors are asked again every
    `again_s`: when many doors speak at once, the broker drops some of their messages. So doors are
    asked in groups, `window_s` apart at most.
    """
    from oneglance.contract.messages import parse
    from oneglance.contract.sharing import GalleryState
    from oneglance.contract.topics import Topics
    from oneglance.errors import MessageError

    names = {Topics(sharer.site, door).gallery_state: door for door in doors}
    states: dict[str, GalleryState] = {}
    missing = set(doors)

    def listen(until_s: float, unheard: set[str]) -> None:
        """Listen until nobody is missing or all of `unheard` have been heard."""
        while missing and unheard and (left_s := until_s - time.monotonic()) > 0:
            arrival = broker.next(min(0.2, left_s))
            door = None if arrival is None else names.get(arrival.topic)
            if arrival is None or door is None or not arrival.payload:
                continue
            try:
                state = parse(arrival.payload, GalleryState, arrival.topic)
            except MessageError as error:
                typer.echo(str(error), err=True)
                continue
            states[door] = state
            unheard.discard(door)
            if version is None or (state.version == version and sharer.proves(door, state)):
                missing.discard(door)

    until_s = float("inf")
    while missing and time.monotonic() < until_s:
        topics = [topic for topic, door in names.items() if door in missing]
        for at in range(0, len(topics), WINDOW):
            some = topics[at : at + WINDOW]
            broker.link.hear(some)
            if at + WINDOW < len(topics):
                listen(min(until_s, time.monotonic() + window_s), {names[topic] for topic in some})
        until_s = min(until_s, time.monotonic() + seconds)
        listen(min(until_s, time.monotonic() + again_s), {""})
    return states


def _index(broker: Broker, sharer: Sharer) -> GalleryIndex | None:
    """The index left at the broker last time, if this key signed it."""
    from oneglance.contract.sharing import MAX_INDEX_BYTES, GalleryIndex
    from oneglance.contract.signing import unpack
    from oneglance.errors import MessageError

    found = None
    for arrival in broker.until_here():
        try:
            signed = unpack(arrival.payload, GalleryIndex, arrival.topic, MAX_INDEX_BYTES)
            index = signed.message(GalleryIndex, arrival.topic, MAX_INDEX_BYTES)
            if signed.is_by(sharer.key.public_key()) and index.site == sharer.site:
                found = index
                continue
        except MessageError:
            pass
        typer.echo("what lies at the broker was not left by this key: all is published", err=True)
    return found


def _publish(
    broker: Broker,
    site: str,
    ready: Plan,
    new: dict[str, bytes],
    before: GalleryIndex | None,
) -> None:
    """Publish parts before the messages that list them, and remove old parts only after that."""
    from oneglance.contract.sharing import part_topic
    from oneglance.contract.topics import Topics

    _put(broker, site, new)
    for door, payload in ready.doors.items():
        broker.publish(Topics(site, door).gallery, payload)
    gone = set() if before is None else set(before.doors) - ready.doors.keys()
    for door in sorted(gone):
        broker.publish(Topics(site, door).gallery, b"")
    for _ in broker.until_here():
        pass
    broker.publish(part_topic(site, "index"), ready.index)
    old = set() if before is None else set(before.parts) - ready.parts.keys()
    for part_id in sorted(old):
        broker.publish(part_topic(site, part_id), b"")
    for _ in broker.until_here():
        pass


def _put(broker: Broker, site: str, parts: dict[str, bytes]) -> None:
    from oneglance.contract.sharing import part_topic

    for part_id, payload in parts.items():
        broker.publish(part_topic(site, part_id), payload)


def _shared(
    sharer: Sharer,
    doors: Sequence[SharedDoor],
    states: dict[str, GalleryState],
    version: int,
    parts: int,
    new: int,
) -> Shared:
    names = [door.name for door in doors]
    confirmed = [
        name
        for name in names
        if name in states and states[name].version == version and sharer.proves(name, states[name])
    ]
    left = [name for name in names if name not in confirmed]
    return Shared(version, parts, new, states, confirmed, left)


def _print(done: Shared, doors: int, as_json: bool, status: bool) -> None:
    from oneglance.cli.wire_text import safe

    if as_json:
        told = {
            name: {"version": state.version, "problem": state.problem}
            for name, state in done.states.items()
        }
        typer.echo(
            json.dumps(
                {
                    "version": done.version,
                    "parts": done.parts,
                    "new_parts": done.new_parts,
                    "doors": told,
                    "confirmed": done.confirmed,
                    "open": done.open,
                }
            )
        )
        return
    if not status:
        typer.echo(f"version {done.version}: {done.new_parts} of {done.parts} parts are new")
    for name in done.open:
        state = done.states.get(name)
        if state is None:
            what = "says nothing"
        elif state.version == done.version:
            what = "says that it has it, but cannot prove it"
        else:
            what = f"has version {state.version}" if state.version else "has nothing yet"
        problem = f": {safe(state.problem)}" if state is not None and state.problem else ""
        typer.echo(f"{name}: {what}{problem}")
    typer.echo(f"{len(done.confirmed)} of {doors} doors have version {done.version}")
