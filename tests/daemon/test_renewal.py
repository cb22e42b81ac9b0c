"""A new configuration takes the place of the old one when nobody is at the door, or not at all."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oneglance.config import Config, DecisionConfig, MqttConfig, parse_config
from oneglance.daemon.app import QUIET_S, Daemon, Quiet
from oneglance.daemon.camera.intake import CameraState
from oneglance.daemon.renewal import Renewal, changed_keys
from oneglance.daemon.totals import Tally
from oneglance.daemon.vision import Vision
from oneglance.errors import BrokerError, ConfigError
from oneglance.link import Link

Wait = Callable[..., None]


def config(far: str) -> Config:
    return parse_config({"decision": {"far": far}}, "x")


class Door:
    """A daemon that works until it is told to end; `broken` ones do not start or not go on."""

    def __init__(self, config: Config, broken: str = "") -> None:
        self.config, self.broken = config, broken
        self.started = False
        self.asked: list[str] = []
        self._end = threading.Event()

    def run(self) -> Any:
        if self.broken == "start":
            raise BrokerError("no broker")
        self.started = True
        self._end.wait(10)
        if self.broken == "later":
            raise BrokerError("no broker")
        return self.config.decision.far

    def stop(self) -> None:
        self.asked.append("stop")
        self._end.set()

    def give_way(self) -> None:
        self.asked.append("give way")
        self._end.set()


class House:
    """Daemons as they are made; `broken` says of which rates they are."""

    def __init__(self, **broken: str) -> None:
        self.made: list[Door] = []
        self.reads: list[Config | ConfigError] = []
        self._broken = broken
        self.renewal = Renewal(config("1e-2"), self._build, self._read)
        self.result: list[object] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _build(self, config: Config) -> Door:
        broken = self._broken.get(f"far{config.decision.far[-1]}", "")
        if broken == "build":
            raise ConfigError("two cameras are one")
        self.made.append(Door(config, broken))
        return self.made[-1]

    def breaks(self, far: str, how: str) -> None:
        self._broken[far] = how

    def _read(self) -> Config:
        what = self.reads.pop(0)
        if isinstance(what, ConfigError):
            raise what
        return what

    def _run(self) -> None:
        try:
            self.result.append(self.renewal.run())
        except BrokerError as error:
            self.result.append(error)

    def reload(self, what: Config | ConfigError) -> None:
        self.reads.append(what)
        self.renewal.reload()

    def rates(self) -> list[str]:
        return [door.config.decision.far for door in self.made]

    def ended(self) -> object:
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self.result[0]


def test_another_configuration_is_taken_and_told(
    wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    house = House()
    house.reload(config("1e-3"))
    assert "decision.far" in caplog.text
    wait_until(lambda: house.rates() == ["1e-2", "1e-3"], "the second daemon", 10)
    assert house.made[0].asked == ["give way"]
    house.renewal.stop()
    assert house.ended() == "1e-3"


def test_what_does_not_hold_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    house.reload(ConfigError("not valid TOML", where="oneglance.toml"))
    assert "refused, the former one goes on: oneglance.toml: not valid TOML" in caplog.text
    assert house.made[0].asked == []
    house.renewal.stop()
    assert house.ended() == "1e-2"
    assert len(house.made) == 1


@pytest.mark.parametrize("broken", ["start", "build"])
def test_after_one_that_does_not_start_the_former_one_works_on(
    broken: str, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(far3=broken)
    house.reload(config("1e-3"))
    wait_until(lambda: "1e-2" in house.rates()[1:], "the former one again", 10)
    wait_until(lambda: house.made[-1].started, "at work", 10)
    assert "refused, the former one goes on" in caplog.text
    # It can be mended and read again.
    house.reload(config("1e-4"))
    wait_until(lambda: house.rates()[-1] == "1e-4", "the mended one", 10)
    house.renewal.stop()
    assert house.ended() == "1e-4"


def test_one_that_fails_later_or_at_first_is_not_glossed_over(wait_until: Wait) -> None:
    house = House(far3="later")
    house.reload(config("1e-3"))
    wait_until(lambda: house.rates()[-1] == "1e-3" and house.made[-1].started, "at work", 10)
    house.renewal.stop()
    assert isinstance(house.ended(), BrokerError)
    assert isinstance(House(far2="start").ended(), BrokerError)


def test_where_the_former_one_starts_no_more_either_that_is_told(wait_until: Wait) -> None:
    house = House(far3="start")
    wait_until(lambda: house.made[0].started, "at work", 10)
    house.breaks("far2", "start")
    house.reload(config("1e-3"))
    assert isinstance(house.ended(), BrokerError)
    assert house.rates() == ["1e-2", "1e-3", "1e-2"]


def test_one_that_is_stopped_while_it_falls_back_ends(wait_until: Wait) -> None:
    house = House(far3="start")
    wait_until(lambda: house.made[0].started, "at work", 10)

    class Stops(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            house.renewal.stop()

    # The signal comes just as the log says that the new one is refused.
    handler = Stops(logging.ERROR)
    logging.getLogger(Renewal.__module__).addHandler(handler)
    try:
        house.reload(config("1e-3"))
        assert house.ended() == "1e-2"
    finally:
        logging.getLogger(Renewal.__module__).removeHandler(handler)
    assert house.made[-1].asked == ["stop"]


def test_only_keys_that_differ_are_named() -> None:
    one = parse_config({"site": {"door": "a"}, "camera": [{"name": "c", "source": 0}]}, "x")
    other = parse_config({"site": {"door": "b"}, "camera": [{"name": "d", "source": 0}]}, "x")
    assert list(changed_keys(one, other)) == ["site.door", "camera"]
    assert list(changed_keys(one, one)) == []


def test_a_visitor_and_a_badge_are_waited_for_but_not_a_lost_camera() -> None:
    now = [0.0]
    front, back = (SimpleNamespace(name=name, state=CameraState.OK) for name in ("front", "back"))
    tally, entrance = Tally(), SimpleNamespace(is_busy=False)
    quiet = Quiet([front, back], tally, entrance, lambda: now[0])  # type: ignore[arg-type, list-item]

    def later(seconds: float) -> bool:
        now[0] += seconds
        return quiet.long_enough()

    assert not later(QUIET_S - 0.1)
    assert later(0.2)
    tally.in_view["back"] = 1
    assert not later(60.0)
    tally.in_view["back"] = 0
    # The visit may not be over yet.
    assert not later(QUIET_S - 0.1)
    entrance.is_busy = True
    assert not later(0.2)
    entrance.is_busy = False
    assert later(QUIET_S)
    tally.in_view["back"] = 1
    assert not later(0.1)
    back.state = CameraState.LOST
    assert later(QUIET_S)


def test_a_real_daemon_is_followed_by_another_in_the_same_process(
    house: Callable[..., Config],
    film: Callable[..., Path],
    broker: MqttConfig,
    wait_until: Wait,
) -> None:
    settings = house(film(600), mqtt=broker)
    (camera,) = settings.camera
    settings = settings.model_copy(update={"camera": (camera.model_copy(update={"pace": "real"}),)})
    shut = settings.model_copy(update={"decision": DecisionConfig(far="1e-4")})
    seen: dict[str, int] = {}

    def build(config: Config) -> Daemon:
        far = config.decision.far
        return Daemon(config, on_step=lambda _: seen.update({far: seen.get(far, 0) + 1}))

    renewal = Renewal(settings, build, lambda: shut)
    thread = threading.Thread(target=renewal.run)
    # In a service it looks for nothing by itself, for days.
    gc.disable()
    thread.start()
    try:
        wait_until(lambda: "1e-3" in seen, "the first daemon sees", 60)
        former = [weakref.ref(it) for it in gc.get_objects() if isinstance(it, Vision | Link)]
        renewal.reload()
        wait_until(lambda: "1e-4" in seen, "the second daemon sees", 60)
        # There is only one at a time: they have one sequence, gallery and log.
        count = seen["1e-3"]
        wait_until(lambda: seen["1e-4"] > 3, "and goes on", 60)
        assert seen["1e-3"] == count
        # Nor does it stay in memory, with its model and its connection.
        assert former
        assert [it for it in former if it() is not None] == []
    finally:
        gc.enable()
        renewal.stop()
        thread.join(60)
    assert not thread.is_alive()
