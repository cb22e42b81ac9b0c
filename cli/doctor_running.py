"""`oneglance doctor --running`: what the running service and the broker say about the door."""

from __future__ import annotations

import http.client
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from oneglance.cli.findings import Finding, Verdict, checked
from oneglance.config import Config, load_config
from oneglance.contract.reasons import advice
from oneglance.errors import BrokerError, OneglanceError

if TYPE_CHECKING:
    from oneglance.link import Arrival

TIMEOUT_S = 3.0
MAX_BYTES = 100_000
# A daemon repeats its status every 30 s: two may be lost.
STATUS_SILENCE_S = 75.0


def ask(config_file: Path | None) -> Iterator[Finding]:
    """What the daemon's [metrics] port answers, and what the broker retains of daemon and lock.

    Where there is an admin.toml the broker is asked as the administrator, who may read it all.
    """
    config = load_config(config_file)
    port = config.metrics.port
    if port is None:
        yield Finding(
            "running",
            "daemon",
            Verdict.MISSING,
            "it cannot be asked: the configuration has no [metrics] port",
            "add  [metrics] port = 9464  and restart the daemon",
        )
    else:
        yield from checked("running", "its loop comes round", lambda: _good(port, "healthz"))
        yield from checked("running", "lets people in", lambda: _good(port, "readyz"))
    yield from _heard(load_config(config_file, "admin.toml"))


def _good(port: int, place: str) -> str:
    url = f"http://127.0.0.1:{port}/{place}"
    try:
        # A proxy has no business between two programs of one machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=TIMEOUT_S) as answer:
                told = json.loads(answer.read(MAX_BYTES))
        except urllib.error.HTTPError as error:
            if error.code != http.client.SERVICE_UNAVAILABLE:
                raise
            told = json.loads(error.read(MAX_BYTES))
        words = [str(word) for word in told["reasons"]]
        good, state = bool(told["ok"]), str(told["state"])
    except (OSError, http.client.HTTPException) as error:
        raise OneglanceError(
            f"no answer: {getattr(error, 'reason', error)}",
            where=url,
            fix="is the daemon running, and is this the port of its [metrics]?",
        ) from None
    except (ValueError, KeyError, TypeError):
        raise OneglanceError("another program answers there", where=url) from None
    reasons = ", ".join(words)
    if not good:
        raise OneglanceError(
            f"no: {reasons or 'it hangs'}",
            fix=advice(words) or "what each reason means: docs/status.md; the journal says more",
        )
    return f"{state}: {reasons}" if reasons else state


def _heard(config: Config) -> Iterator[Finding]:
    from oneglance.contract.messages import DoorState, LockState, ServiceState, Status, parse
    from oneglance.contract.topics import Topics

    topics = Topics(config.site.name, config.site.door)
    kept: dict[str, bytes] = {}
    deaf: dict[str, BrokerError] = {}
    try:
        kept, deaf = _kept(config, (topics.status, topics.door_state))
    except OneglanceError as error:
        yield Finding("running", "broker", Verdict.BROKEN, str(error), error.fix)
        return

    def status() -> str:
        said = parse(kept[topics.status], Status, topics.status)
        age_s = (datetime.now(UTC) - said.issued_at).total_seconds()
        reasons = f": {', '.join(said.reasons)}" if said.reasons else ""
        if said.state is ServiceState.OFFLINE:
            told = advice(list(said.reasons)) or "start it, and look at its journal"
            raise OneglanceError(f"offline{reasons}", fix=told)
        if age_s > STATUS_SILENCE_S:
            raise OneglanceError(
                f"{said.state}{reasons}, but silent for {age_s:.0f} s",
                fix="is it connected, and are both clocks right?",
            )
        return f"{said.state}{reasons}, {age_s:.0f} s ago"

    def lock() -> str:
        said = parse(kept[topics.door_state], DoorState, topics.door_state)
        if said.state is LockState.FAULT:
            raise OneglanceError(f"fault: {said.cause}", fix="look at the lock's journal")
        return said.state.value

    for what, topic, look in (
        ("status", topics.status, status),
        ("lock", topics.door_state, lock),
    ):
        if topic in kept:
            yield from checked("running", what, look)
        elif topic in deaf:
            yield Finding("running", what, Verdict.BROKEN, str(deaf[topic]), deaf[topic].fix)
        else:
            yield Finding(
                "running",
                what,
                Verdict.MISSING,
                "nothing is heard: it never spoke, or this broker user may not hear it",
                "name the administrator's configuration, which may: --config admin.toml",
            )


def _kept(
    config: Config, topics: tuple[str, ...]
) -> tuple[dict[str, bytes], dict[str, BrokerError]]:
    """What the broker retains of these topics, and which of them it does not let us read.

    Whatever does not arrive within a moment is missing.
    """
    from oneglance.link import Link

    kept: dict[str, bytes] = {}
    complete = threading.Event()

    def arrived(arrival: Arrival) -> None:
        kept[arrival.topic] = arrival.payload
        if len(kept) == len(topics):
            complete.set()

    link = Link(
        config.mqtt,
        f"oneglance-doctor-{os.getpid()}",
        subscriptions=tuple((topic, 1) for topic in topics),
        on_message=arrived,
    )
    link.start()
    try:
        link.must_connect(TIMEOUT_S)
        complete.wait(TIMEOUT_S / 3)
    finally:
        link.stop()
    return dict(kept), link.deaf
