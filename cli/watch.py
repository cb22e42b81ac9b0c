"""`oneglance watch`: the messages on the wire, made readable."""

from __future__ import annotations

import json
import math
import queue
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from oneglance.cli.options import ConfigOption

if TYPE_CHECKING:
    from oneglance.cli.wire_text import Line
    from oneglance.config import Config
    from oneglance.contract.keyring_file import PinnedKeys
    from oneglance.link import Arrival

CONNECT_S = 10.0
# Printing is slower than a flood; what does not fit is dropped.
MAX_WAITING = 1000
# What the broker keeps for who subscribes comes at once.
QUIET_S = 3.0


def watch(
    config_file: ConfigOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line on standard output.")
    ] = False,
    count: Annotated[
        int | None, typer.Option(min=1, help="End after that many messages.", show_default=False)
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="End after that many seconds.", show_default=False),
    ] = None,
) -> None:
    """Show every message about this door, and whether decisions are properly signed.

    On an installed door it uses the administrator's /etc/oneglance/admin.toml, as other users may
    not read everything. Ends with Ctrl-C, `--count` or `--seconds`. Exit code 1 if `--seconds`
    passed before `--count` messages came.

    Example: `oneglance watch --json --count 1 --seconds 5` tells a script whether the door says
    anything.
    """
    from oneglance.cli.wire_text import explain
    from oneglance.config import load_config
    from oneglance.contract.topics import Topics

    config = load_config(config_file, "admin.toml")
    topics = Topics(config.site.name, config.site.door)
    pins = _pins(config)
    console = Console(highlight=False, soft_wrap=True)
    shown = 0
    last: tuple[str, ...] = ()
    try:
        for arrived_at, arrival in _arrivals(config, topics.everything, seconds):
            line = explain(
                topics,
                arrival.topic,
                arrival.payload,
                retained=arrival.retained,
                keys=None if pins is None else pins.current(),
                now=arrived_at,
            )
            if as_json:
                sys.stdout.write(_json(arrived_at, arrival, line) + "\n")
                sys.stdout.flush()
            elif line.same_as and line.same_as == last:
                continue
            else:
                console.print(_text(arrived_at, line))
            last = line.same_as or last
            shown += 1
            if shown == count:
                return
    except KeyboardInterrupt:
        return
    if count is not None:
        raise typer.Exit(1)


def _arrivals(
    config: Config, everything: str, seconds: float | None
) -> Iterator[tuple[datetime, Arrival]]:
    """All messages as they come, for `seconds`. BrokerError if there is no broker."""
    from oneglance.link import Link

    waiting: queue.Queue[tuple[datetime, Arrival]] = queue.Queue(MAX_WAITING)

    def arrived(arrival: Arrival) -> None:
        if not waiting.full():
            waiting.put_nowait((datetime.now(UTC), arrival))

    link = Link(
        config.mqtt,
        f"oneglance-watch-{uuid.uuid4().hex[:8]}",
        subscriptions=((everything, 1),),
        on_message=arrived,
    )
    link.start()
    try:
        link.must_connect(CONNECT_S)
        deadline = None if seconds is None else time.monotonic() + seconds
        quiet_until_s = time.monotonic() + QUIET_S
        while deadline is None or time.monotonic() < deadline:
            link.check_heard()
            if time.monotonic() >= quiet_until_s:
                quiet_until_s = math.inf
                _say(_nothing_heard(config))
            left_s = 0.5 if deadline is None else deadline - time.monotonic()
            try:
                heard = waiting.get(timeout=max(0.0, min(0.5, left_s)))
            except queue.Empty:
                continue
            quiet_until_s = math.inf
            yield heard
    finally:
        link.stop()


def _pins(config: Config) -> PinnedKeys | None:
    """Whose decisions the lock believes now, and later: None if there are no keys to check with."""
    from oneglance.contract.keyring_file import PinnedKeys, read_pins
    from oneglance.errors import ConfigError

    try:
        read_pins(config.door.public_key_file)
    except ConfigError as error:
        _say(f"signatures are not checked: {error}")
        return None
    return PinnedKeys(config.door.public_key_file)


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(Text(text, style="yellow"))


def _nothing_heard(config: Config) -> str:
    """What silence means: whoever may read a retained status gets it at once."""
    user = config.mqtt.user
    who = "whoever gives no name" if user is None else f"the user {user!r}"
    return (
        "nothing is heard so far, not even a status that the broker kept: either no daemon has run "
        f"for {config.site.name}/{config.site.door}, or the broker's ACL lets {who} hear nothing; "
        "the administrator's configuration, admin.toml, may"
    )


def _text(arrived_at: datetime, line: Line) -> Text:
    clock = arrived_at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    text = Text(f"{clock}  ", style="dim")
    text.append(f"{line.tail:<11} ", style="bold")
    text.append(line.text, style=line.style)
    return text


def _json(arrived_at: datetime, arrival: Arrival, line: Line) -> str:
    from oneglance.contract.messages import format_time

    return json.dumps(
        {
            "at": format_time(arrived_at),
            "topic": arrival.topic,
            "retained": arrival.retained,
            "text": line.text,
            "signature": line.signature,
            "message": line.message,
            "error": line.error,
        }
    )
