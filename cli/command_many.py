"""`oneglance command --doors`: the same command for many doors, signed for each."""

from __future__ import annotations

import json
import queue
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from oneglance.config import Config
    from oneglance.contract.messages import Reply
    from oneglance.contract.topics import Topics
    from oneglance.link import Arrival

CONNECT_S = 10.0
# Refusals that are over in some seconds; an expired command was too long on its way.
NOT_NOW = {"expired", "busy", "rate_limited", "clock_set"}
# Less than a command lives.
TAKEN_S = 3.0


@dataclass(frozen=True, slots=True)
class Asked:
    """The outcome: each door's answer, and which doors were silent."""

    replies: dict[str, Reply]
    silent: list[str]

    @property
    def open(self) -> list[str]:
        """The doors to ask again: silent ones, and those that could not do it at that moment."""
        later = [door for door, reply in self.replies.items() if reply.code in NOT_NOW]
        return [*self.silent, *later]

    @property
    def refused(self) -> dict[str, Reply]:
        """The answers of the doors that did not do it."""
        return {door: reply for door, reply in self.replies.items() if not reply.ok}


def read_doors(file: Path) -> list[str]:
    """The doors named in a file, one a line; `#` begins a comment.

    Raises ConfigError if it cannot be read, names no door, or holds an invalid name.
    """
    from oneglance.contract.topics import check_level
    from oneglance.errors import ConfigError

    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the doors: {error}", where=str(file)) from None
    names = [line.partition("#")[0].strip() for line in lines]
    doors = list(dict.fromkeys(check_level(name, "door") for name in names if name))
    if not doors:
        raise ConfigError(
            "no door is named there", where=str(file), fix="write one door's name on each line"
        )
    return doors


def ask_all(
    settings: Config,
    verb: str,
    doors: list[str],
    asker: str,
    payload: Callable[[Topics, str], bytes],
    seconds: float,
) -> Asked:
    """Send `payload(topics, response topic)` to each door of the site, and wait for the answers.

    Waits at most `seconds` after the last was sent. A door that is not connected now will never get
    it: a queued command would have expired. Raises BrokerError.
    """
    from oneglance.contract.messages import Reply as AReply
    from oneglance.contract.messages import parse
    from oneglance.contract.topics import ROOT, Topics
    from oneglance.errors import BrokerError, MessageError
    from oneglance.link import Link

    where = f"{settings.mqtt.host}:{settings.mqtt.port}"
    heard: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
    number = secrets.token_bytes(8)
    # Of one user, so that no other's answers are among them.
    answers = f"{ROOT}/{settings.site.name}/+/reply/{asker}"
    link = Link(
        settings.mqtt,
        f"oneglance-command-{number.hex()}",
        subscriptions=((answers, 1),),
        on_message=heard.put,
    )
    by_topic = {Topics(settings.site.name, door).reply(asker): door for door in doors}
    replies: dict[str, Reply] = {}

    def listen(until_s: float) -> None:
        while len(replies) < len(doors) and (left_s := until_s - time.monotonic()) > 0:
            try:
                arrival = heard.get(timeout=min(0.2, left_s))
            except queue.Empty:
                continue
            door = by_topic.get(arrival.topic)
            if door is None or arrival.retained or arrival.correlation != number:
                continue
            try:
                replies.setdefault(door, parse(arrival.payload, AReply, arrival.topic))
            except MessageError as error:
                typer.echo(str(error), err=True)

    link.start()
    try:
        link.must_connect(CONNECT_S)
        link.check_heard()
        for answer, door in by_topic.items():
            topics = Topics(settings.site.name, door)
            # Only now: what is signed for all at once would grow old while others go first.
            sent, deadline_s = payload(topics, answer), time.monotonic() + TAKEN_S
            topic = topics.command(verb)
            while not link.publish(topic, sent, qos=1, response_topic=answer, correlation=number):
                if time.monotonic() >= deadline_s:
                    raise BrokerError(f"it takes nothing since the door {door!r}", where=where)
                time.sleep(0.005)
        listen(time.monotonic() + seconds)
        if link.publishes_refused:
            raise BrokerError("the broker does not pass it on", where=where, fix="check its ACL")
    finally:
        link.stop()
    return Asked(replies, [door for door in doors if door not in replies])


def tell(asked: Asked, left: Path | None, as_json: bool) -> None:
    """Print which doors did it, refused or were silent; those to ask again go into `left`.

    Exits with 1 unless all did it.
    """
    from oneglance.cli.wire_text import safe
    from oneglance.whole_file import write_whole

    if left is not None:
        text = "".join(f"{door}\n" for door in asked.open)
        if text:
            write_whole(left, text.encode(), 0o644, durable=True)
        else:
            left.unlink(missing_ok=True)
    if as_json:
        typer.echo(json.dumps(_as_json(asked)))
    else:
        for door, reply in asked.refused.items():
            typer.echo(f"{door}: {safe(reply.code)}: {safe(reply.text)}")
        for door in asked.silent:
            typer.echo(f"{door}: no answer")
        counts = Counter("done" if reply.ok else "refused" for reply in asked.replies.values())
        typer.echo(
            f"{counts['done']} done, {counts['refused']} refused, {len(asked.silent)} silent"
        )
    if asked.silent or asked.refused:
        raise typer.Exit(1)


def _as_json(asked: Asked) -> Mapping[str, object]:
    return {
        "replies": {door: {"ok": r.ok, "code": r.code} for door, r in asked.replies.items()},
        "silent": asked.silent,
    }
