"""`oneglance home-assistant`: what Home Assistant is told about this door, and withdrawing it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from oneglance.cli.options import ConfigOption

if TYPE_CHECKING:
    from oneglance.config import Config, MqttConfig

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Show or take back what is announced to Home Assistant.",
)

CONNECT_S = 10.0
SEND_S = 10.0


@app.command()
def show(config_file: ConfigOption = None) -> None:
    """Print what the daemon announces under `[home_assistant] discovery`, as JSON keyed by topic.

    Each is a retained message. None contains a name, and none can command anything.
    """
    from oneglance.config import load_config

    told = {topic: json.loads(text) for topic, text in _announcements(load_config(config_file))}
    typer.echo(json.dumps(told, indent=2))


@app.command()
def remove(config_file: ConfigOption = None) -> None:
    """Take the door out of Home Assistant, before oneglance is uninstalled.

    A daemon that runs with `[home_assistant] discovery` announces it again: stop it first. This
    uses the daemon's own user at the broker, so its password has to be readable.
    """
    from oneglance.config import load_config
    from oneglance.contract.discovery import announced

    config = load_config(config_file)
    topics = sorted(
        announced(config.announced_file) | {topic for topic, _ in _announcements(config)}
    )
    take_back(config.mqtt, topics)
    config.announced_file.unlink(missing_ok=True)
    typer.echo(f"{len(topics)} entities were taken back")


def take_back(mqtt: MqttConfig, topics: Sequence[str]) -> None:
    """Empty these retained topics. Raises BrokerError if the broker does not let us, or is away."""
    from oneglance.errors import BrokerError
    from oneglance.link import Link

    link = Link(mqtt, f"oneglance-home-assistant-{os.getpid()}")
    link.start()
    where = f"{mqtt.host}:{mqtt.port}"
    try:
        link.must_connect(CONNECT_S)
        deadline_s = time.monotonic() + SEND_S
        for topic in topics:
            # It takes only so many at once.
            while not link.publish(topic, b"", qos=1, retain=True):
                if time.monotonic() >= deadline_s:
                    raise BrokerError("it does not take what is sent", where=where)
                time.sleep(0.01)
    finally:
        # What is said last is waited for, and all else comes before it.
        link.stop((topics[-1], b""))
    if link.publishes_refused:
        raise BrokerError(
            "it does not let this user take announcements back",
            where=where,
            fix="check its ACL, and [home_assistant] prefix",
        )


def _announcements(config: Config) -> list[tuple[str, Any]]:
    from oneglance.contract.topics import Topics
    from oneglance.daemon.voice.home_assistant import announcements

    topics = Topics(config.site.name, config.site.door)
    names = [camera.name for camera in config.camera]
    return list(announcements(topics, config.home_assistant.prefix, names).items())
