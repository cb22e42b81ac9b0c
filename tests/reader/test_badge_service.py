"""The reader's service: a real broker, a real key, badges as a test shows them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oneglance.cli.main import app as command_line
from oneglance.config import Config, MqttConfig, ReaderConfig, SiteConfig
from oneglance.contract.commands import Command
from oneglance.contract.messages import Reply
from oneglance.contract.signing import check_as, load_public_key
from oneglance.contract.topics import Topics
from oneglance.door.reader import app as module
from oneglance.door.reader.app import ReaderApp
from oneglance.errors import ConfigError, OneglanceError
from oneglance.key_files import create_key_pair
from oneglance.link import Link

TOPICS = Topics("test", "front")


class Badges:
    """Badges that a test shows."""

    def __init__(self, *numbers: str) -> None:
        self.numbers = list(numbers)
        self.closed = False
        self.unplugged = False

    def read(self, timeout_s: float) -> str | None:
        """What was shown."""
        if self.unplugged:
            raise OneglanceError("the badge reader is gone")
        if self.numbers:
            return self.numbers.pop(0)
        threading.Event().wait(min(timeout_s, 0.02))
        return None

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


@pytest.fixture
def config(tmp_path: Path, broker: MqttConfig) -> Config:
    create_key_pair(tmp_path / "reader.key", tmp_path / "reader.pub")
    return Config(
        site=SiteConfig(name="test", door="front"),
        mqtt=broker,
        reader=ReaderConfig(key_file=tmp_path / "reader.key"),
    )


@contextmanager
def running(reader: ReaderApp) -> Iterator[None]:
    thread = threading.Thread(target=reader.run)
    thread.start()
    try:
        yield
    finally:
        reader.stop()
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def daemon(config: Config, heard: list[Any]) -> Iterator[Link]:
    link = Link(
        config.mqtt, "daemon", subscriptions=((TOPICS.commands, 1),), on_message=heard.append
    )
    link.start()
    assert link.wait_connected(60)
    try:
        yield link
    finally:
        link.stop()


def test_a_badge_becomes_one_signed_claim_and_no_number_reaches_the_log(
    config: Config, wait_until: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    badges = Badges()
    heard: list[Any] = []
    with caplog.at_level(logging.DEBUG), daemon(config, heard) as link:
        reader = ReaderApp(config, badges)
        with running(reader):
            wait_until(lambda: reader.connected, "no connection")
            badges.numbers.append("4711AB")
            wait_until(lambda: bool(heard), "no claim")
            (arrival,) = heard
            reply = Reply(issued_at=datetime.now(UTC), ok=False, code="wait", text="wait 5 s")
            link.publish(arrival.response_topic, reply.to_payload(), qos=1)
            link.publish(arrival.response_topic, b"nonsense", qos=1)
            wait_until(lambda: "the daemon answers: wait" in caplog.text, "no answer")
            wait_until(lambda: "not an answer" in caplog.text, "nonsense is not told")
    key = load_public_key(config.reader.key_file.with_suffix(".pub"))
    command = check_as(arrival.payload, Command, key)
    assert (command.verb, command.args, command.key_id) == ("claim", {"badge": "4711AB"}, "reader")
    assert not arrival.retained
    assert "4711AB" not in caplog.text
    assert badges.closed


def test_a_badge_that_is_shown_without_a_broker_is_dropped(
    config: Config, caplog: pytest.LogCaptureFixture, wait_until: Callable[..., None]
) -> None:
    away = config.model_copy(update={"mqtt": MqttConfig(port=1)})
    with (
        caplog.at_level(logging.INFO),
        running(ReaderApp(away, Badges("1", "2"), first_connect_s=0.0)),
    ):
        wait_until(lambda: caplog.text.count("no broker: dropped") == 2, "nothing was told")


def test_an_unplugged_reader_ends_the_service(config: Config) -> None:
    badges = Badges()
    badges.unplugged = True
    with pytest.raises(OneglanceError, match="is gone"):
        ReaderApp(config, badges).run()
    assert badges.closed


def test_a_missing_key_is_a_mistake_of_the_configuration(config: Config) -> None:
    config.reader.key_file.unlink()
    with pytest.raises(ConfigError, match="key for commands"):
        ReaderApp(config, Badges())


def test_learn_prints_the_next_number_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    badges = Badges("0042")
    monkeypatch.setattr(module, "open_source", lambda _: badges)
    file = tmp_path / "reader.toml"
    file.write_text("")
    done = CliRunner().invoke(command_line, ["reader", "--learn", "-c", str(file)])
    assert done.exit_code == 0
    assert done.stdout == "0042\n"
    assert badges.closed
