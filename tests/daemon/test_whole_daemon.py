"""The whole daemon: real films and streams, the real model, a real broker, real signals."""

from __future__ import annotations

import logging
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from command_samples import ring_file, write
from mosquitto_fixture import Mosquitto, make_certificates
from numpy.typing import NDArray
from scripted_broker import scripted

from oneglance.audit.segments import entries_backwards
from oneglance.broker import embedded_broker, free_port
from oneglance.config import CameraConfig, CommandsConfig, Config, ModelConfig, MqttConfig
from oneglance.contract.keyring import Role
from oneglance.contract.messages import Decision, Phase, Reply, VisitState, parse
from oneglance.contract.signing import check, load_public_key
from oneglance.contract.topics import Topics
from oneglance.daemon.app import Daemon
from oneglance.daemon.camera.frames import FrameExchange
from oneglance.daemon.camera.intake import CameraState
from oneglance.daemon.supervise import supervise
from oneglance.daemon.totals import Totals
from oneglance.daemon.visit.report import StepReport
from oneglance.daemon.voice.nonces import NonceFile
from oneglance.errors import (
    BrokerError,
    CameraError,
    ConfigError,
    GalleryError,
    ModelError,
    OneglanceError,
)
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.model.manifest import read_manifest
from oneglance.models import default_model_dir

TOPICS = Topics("test", "front")
Wait = Callable[..., None]
House = Callable[..., Config]


class Running:
    """A daemon in a thread of its own."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.totals: Totals | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.totals = self.daemon.run()
        except BaseException as error:
            self.error = error

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def stop(self) -> None:
        self.daemon.stop()
        self._thread.join(30)
        assert self.ended


@contextmanager
def running(daemon: Daemon) -> Iterator[Running]:
    run = Running(daemon)
    try:
        yield run
    finally:
        run.stop()


def decisions(listener: Any, public_key: Path) -> list[Decision]:
    key = load_public_key(public_key)
    return [check(arrival.payload, key) for arrival in listener.on(TOPICS.decision)]


def test_from_film_to_signed_decisions(
    house: House,
    walk_up: Callable[..., Path],
    enrol: Callable[..., None],
    photos: Path,
    broker: MqttConfig,
    listen: Callable[..., Any],
    key_files: tuple[Path, Path],
    wait_until: Wait,
) -> None:
    enrol("Barack Obama", photo=photos / "obama.jpg")
    listener = listen(broker)
    film = walk_up("obama2.jpg", "biden.jpg", frames=20)
    totals = Daemon(house(film, mqtt=broker)).run()
    assert (totals.accepted, totals.rejected, totals.dropped) == (1, 1, 0)
    assert totals.rejected_for == {"not_recognised": 1}
    wait_until(lambda: listener.states()[-1][0] == "offline", "no farewell")
    known, unknown = decisions(listener, key_files[1])
    assert (known.outcome, known.person_name) == ("accepted", "Barack Obama")
    assert (unknown.outcome, unknown.reason) == ("rejected", "not_recognised")
    assert unknown.sequence > known.sequence
    assert not any(arrival.retained for arrival in listener.on(TOPICS.decision))
    states = [state for state, _ in listener.states()]
    assert states[0] == "degraded"
    assert "online" in states
    visits = [parse(arrival.payload, VisitState) for arrival in listener.on(TOPICS.visit)]
    assert {Phase.CHECKING, Phase.DONE} <= {visit.phase for visit in visits}


def test_with_every_frame_taken_the_result_does_not_depend_on_speed(
    house: House, walk_up: Callable[..., Path], enrol: Callable[..., None], photos: Path
) -> None:
    enrol("Barack Obama", photo=photos / "obama.jpg")
    config = house(walk_up("obama2.jpg", frames=10))

    def watch(pause_s: float) -> tuple[list[tuple[int, int, float | None]], Totals]:
        seen: list[tuple[int, int, float | None]] = []

        def on_step(report: StepReport) -> None:
            threading.Event().wait(pause_s)
            for view in report.tracks:
                score = None if view.verdict is None else view.verdict.score
                seen.append((report.frame.index, view.track_id, score))

        return seen, Daemon(config, mqtt=False, on_step=on_step).run()

    fast, fast_totals = watch(0.0)
    slow, slow_totals = watch(0.02)
    assert fast == slow
    assert [score for _, _, score in fast if score is not None] != []
    assert replace(fast_totals, seconds=0, fps=0) == replace(slow_totals, seconds=0, fps=0)


def test_an_enrolment_during_a_visit_begins_its_evidence_anew(
    house: House,
    walk_up: Callable[..., Path],
    enrol: Callable[..., None],
    photos: Path,
    wait_until: Wait,
    caplog: pytest.LogCaptureFixture,
) -> None:
    enrol("Barack Obama", photo=photos / "obama.jpg")
    caplog.set_level(logging.DEBUG, "oneglance.daemon.gallery.keeper")
    progress: list[float] = []

    def on_step(report: StepReport) -> None:
        progress.extend(round(3 * view.progress) for view in report.tracks)
        if progress == [1, 2]:
            caplog.clear()
            enrol("Joe Biden", photo=photos / "biden.jpg")
            wait_until(lambda: "was replaced" in caplog.text, "the enrolment was not noticed")

    totals = Daemon(house(walk_up("obama2.jpg", frames=12)), mqtt=False, on_step=on_step).run()
    assert progress[:5] == [1, 2, 1, 2, 3]
    assert totals.accepted == 1


def test_nobody_is_let_in_by_a_gallery_that_was_replaced_while_the_encoder_was_at_work(
    house: House,
    walk_up: Callable[..., Path],
    enrol: Callable[..., None],
    photos: Path,
    broker: MqttConfig,
    listen: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Wait,
    caplog: pytest.LogCaptureFixture,
) -> None:
    enrol("Barack Obama", photo=photos / "obama.jpg")
    caplog.set_level(logging.DEBUG, "oneglance.daemon.gallery.keeper")
    # A busy machine may take its time to notice the enrolment.
    monkeypatch.setattr("oneglance.daemon.pipeline.MAX_FRAME_AGE_S", 60.0)
    encode = FaceModel.encode
    two_looks, replaced = threading.Event(), threading.Event()

    def slow(model: FaceModel, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        # This look is the third, which accepts.
        if two_looks.is_set() and not replaced.is_set():
            replaced.set()
            caplog.clear()
            enrol("Joe Biden", photo=photos / "biden.jpg")
            wait_until(lambda: "was replaced" in caplog.text, "the enrolment was not noticed")
        return encode(model, chips)

    monkeypatch.setattr(FaceModel, "encode", slow)
    accepted: list[int] = []

    def on_step(report: StepReport) -> None:
        for view in report.tracks:
            if round(3 * view.progress) == 2:
                two_looks.set()
            if view.verdict is not None:
                accepted.append(report.frame.index)

    listener = listen(broker)
    config = house(walk_up("obama2.jpg", frames=16), mqtt=broker)
    totals = Daemon(config, on_step=on_step).run()
    assert len(accepted) == 2
    assert accepted[1] - accepted[0] >= 3
    assert totals.accepted == 1
    wait_until(lambda: len(listener.on(TOPICS.decision)) == 1, "the decision did not arrive")


def test_a_visit_whose_decision_could_not_be_numbered_is_looked_at_again(
    house: House,
    walk_up: Callable[..., Path],
    enrol: Callable[..., None],
    photos: Path,
    broker: MqttConfig,
    caplog: pytest.LogCaptureFixture,
) -> None:
    enrol("Barack Obama", photo=photos / "obama.jpg")
    config = house(walk_up("obama2.jpg", frames=20), mqtt=broker)
    sequence = config.signing.sequence_file
    verdicts: list[str] = []

    def on_step(report: StepReport) -> None:
        for view in report.tracks:
            if view.verdict is not None:
                verdicts.append(view.verdict.visit_id)
                sequence.unlink()
            elif view.progress > 0.5 and not verdicts:
                sequence.write_text("damaged")

    totals = Daemon(config, on_step=on_step).run()
    assert (len(verdicts), len(set(verdicts)), totals.accepted) == (2, 1, 1)
    assert "no decision:" in caplog.text


def test_two_cameras_are_worked_off_together(house: House, film: Callable[..., Path]) -> None:
    config = house(film(6, "a.avi"), film(9, "b.avi"))
    totals = Daemon(config, mqtt=False, gallery=False).run()
    assert totals.frames == 15
    assert totals.dropped == 0


def test_a_lost_camera_degrades_the_status_and_comes_back(
    house: House,
    network_camera: Any,
    broker: MqttConfig,
    listen: Callable[..., Any],
    wait_until: Wait,
) -> None:
    listener = listen(broker)
    with running(Daemon(house(network_camera.url, mqtt=broker))) as daemon:
        here = ("degraded", ("gallery_empty",))
        wait_until(lambda: listener.states()[-1:] == [here], "never ready")
        network_camera.stop()
        lost = ("degraded", ("camera_lost:cam0", "gallery_empty"))
        wait_until(lambda: listener.states()[-1] == lost, "the loss was not told")
        network_camera.start()
        wait_until(lambda: listener.states()[-1] == here, "it did not come back")
    assert daemon.error is None
    assert daemon.totals is not None
    wait_until(lambda: listener.states()[-1] == ("offline", ()), "no farewell")


def test_a_keyring_that_is_gone_is_told_of_until_it_is_back(
    house: House,
    tmp_path: Path,
    network_camera: Any,
    broker: MqttConfig,
    listen: Callable[..., Any],
    wait_until: Wait,
) -> None:
    listener = listen(broker)
    keyring = ring_file(tmp_path)
    commands = CommandsConfig(keyring_file=keyring)
    with running(Daemon(house(network_camera.url, mqtt=broker, commands=commands))) as daemon:
        here = ("degraded", ("gallery_empty",))
        wait_until(lambda: listener.states()[-1:] == [here], "never ready")
        away = keyring.rename(tmp_path / "away")
        gone = ("degraded", ("gallery_empty", "keyring_error"))
        wait_until(lambda: listener.states()[-1] == gone, "the loss was not told")
        away.rename(keyring)
        wait_until(lambda: listener.states()[-1] == here, "it did not come back")
    assert daemon.error is None


def test_reload_reads_the_gallery_again_and_answers_only_who_may_ask(
    house: House,
    tmp_path: Path,
    network_camera: Any,
    broker: MqttConfig,
    listen: Callable[..., Any],
    wait_until: Wait,
) -> None:
    listener = listen(broker)
    commands = CommandsConfig(keyring_file=ring_file(tmp_path))
    config = house(network_camera.url, mqtt=broker, commands=commands)
    with running(Daemon(config)):
        wait_until(lambda: listener.states() != [], "never there")
        answers = TOPICS.reply("me")

        def ask(verb: str, payload: bytes, number: bytes) -> Reply:
            topic = TOPICS.command(verb)
            listener.link.publish(topic, payload, qos=1, response_topic=answers, correlation=number)
            wait_until(lambda: listener.on(answers)[-1:] != [], "no answer")
            wait_until(lambda: listener.on(answers)[-1].correlation == number, "no answer")
            return parse(listener.on(answers)[-1].payload, Reply)

        payload = write(TOPICS, Role.ADMINISTRATOR, "reload", reply_to=answers)
        reload = ask("reload", payload, b"1")
        assert (reload.ok, reload.code) == (True, "ok")
        assert "0 people" in reload.text
        assert ask("reload", payload, b"2").code == "replayed"
        assert ask("reload", b"", b"3").code == "not_signed"
        kiosks = write(TOPICS, Role.KIOSK, "reload", reply_to=answers)
        assert ask("reload", kiosks, b"4").code == "not_allowed"
        assert ask("open", payload, b"5").code == "unknown_command"
    # The log vouches for the memory of commands.
    entry = next(entries_backwards(config.audit_folder, ("command",)))
    nonces = NonceFile(config.nonce_file).load()
    assert nonces is not None
    assert entry.body["latest"] == nonces.latest.isoformat()


def test_a_crash_in_the_vision_thread_ends_the_process_after_saying_offline(
    house: House,
    film: Callable[..., Path],
    broker: MqttConfig,
    listen: Callable[..., Any],
    wait_until: Wait,
) -> None:
    listener = listen(broker)

    def crash(_: StepReport) -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        Daemon(house(film(), mqtt=broker), on_step=crash).run()
    wait_until(lambda: listener.states()[-1] == ("offline", ("failed",)), "no farewell")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_network_thread_that_died_ends_the_process(
    house: House,
    network_camera: Any,
    broker: MqttConfig,
    wait_until: Wait,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def bug(_client: object, _timeout_s: float) -> None:
        raise SystemExit

    with running(Daemon(house(network_camera.url, mqtt=broker))) as run:
        wait_until(lambda: run.daemon.connected, "never connected")
        monkeypatch.setattr(mqtt.Client, "loop", bug)
        wait_until(lambda: run.ended, "it goes on, deaf and dumb")
        assert not run.daemon.connected
    assert isinstance(run.error, OneglanceError)
    assert run.error.what == "the network thread has died"


def test_when_it_ends_no_thread_of_it_is_left(house: House, film: Callable[..., Path]) -> None:
    before = set(threading.enumerate())
    Daemon(house(film()), mqtt=False).run()
    assert set(threading.enumerate()) <= before


def test_a_hung_inference_stops_feeding_the_watchdog(
    house: House,
    network_camera: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Wait,
) -> None:
    with notify_socket(tmp_path, monkeypatch) as heard:
        stuck, release = threading.Event(), threading.Event()
        hang = threading.Event()

        def on_step(_: StepReport) -> None:
            if hang.is_set():
                stuck.set()
                release.wait(30)

        daemon = Daemon(house(network_camera.url), mqtt=False, gallery=False, on_step=on_step)
        with running(daemon):
            wait_until(lambda: heard().count("WATCHDOG=1") >= 3, "the watchdog is not fed")
            hang.set()
            assert stuck.wait(20)
            before = heard().count("WATCHDOG=1")
            threading.Event().wait(0.6)
            assert heard().count("WATCHDOG=1") == before
            release.set()
            hang.clear()
            wait_until(lambda: heard().count("WATCHDOG=1") > before, "it did not go on")


def test_a_lost_camera_does_not_stop_the_watchdog(
    house: House,
    network_camera: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Wait,
) -> None:
    daemon = Daemon(house(network_camera.url), mqtt=False, gallery=False)
    with notify_socket(tmp_path, monkeypatch) as heard:
        with running(daemon):
            wait_until(lambda: "READY=1" in heard(), "never ready")
            network_camera.stop()
            wait_until(lambda: "STATUS=camera_lost:cam0" in heard(), "the loss was not told")
            before = heard().count("WATCHDOG=1")
            wait_until(lambda: heard().count("WATCHDOG=1") > before + 2, "the loop stands still")
        assert "STOPPING=1" in heard()


@contextmanager
def notify_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watchdog_s: float = 0.2
) -> Iterator[Callable[[], list[str]]]:
    """A service manager's socket; yields what tells everything heard so far."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", str(int(watchdog_s * 1e6)))
        lines: list[str] = []

        def heard() -> list[str]:
            try:
                while True:
                    lines.extend(manager.recv(4096).decode().splitlines())
            except BlockingIOError:
                return lines

        yield heard


def test_an_unreachable_broker_is_tried_again_and_the_door_is_watched_meanwhile(
    house: House, film: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    totals = Daemon(house(film())).run()
    assert totals.frames == 12
    assert "cannot connect" in caplog.text


def test_a_broker_that_refuses_the_password_ends_the_start(
    house: House, film: Callable[..., Path], mosquitto: Any
) -> None:
    mqtt = mosquitto.mqtt("daemon")
    wrong = mosquitto.folder / "wrong.password"
    wrong.write_text("wrong")
    wrong.chmod(0o600)
    refused = house(film(), mqtt=mqtt.model_copy(update={"password_file": wrong}))
    with pytest.raises(BrokerError, match="refused us") as caught:
        Daemon(refused).run()
    assert caught.value.exit_code == 69


def test_a_broker_that_dies_during_a_visit_gets_no_stale_decision_but_a_fresh_one(
    house: House,
    walk_up: Callable[..., Path],
    enrol: Callable[..., None],
    photos: Path,
    mosquitto: Any,
    listen: Callable[..., Any],
    key_files: tuple[Path, Path],
    wait_until: Wait,
) -> None:
    enrol("Barack Obama", photo=photos / "obama.jpg")
    go_on = threading.Event()
    visits: list[tuple[str, float]] = []

    def on_step(report: StepReport) -> None:
        for view in report.tracks:
            if view.verdict is not None:
                visits.append((view.verdict.visit_id, time.monotonic()))
        if report.frame.index == 4:
            mosquitto.kill()
            wait_until(lambda: not daemon.connected, "the loss was not noticed")
        if report.frame.index == 36:
            # The first visitor has left, the second is about to come.
            assert go_on.wait(30)

    film = walk_up("obama2.jpg", "obama2.jpg", frames=24)
    config = house(film, mqtt=mosquitto.mqtt("daemon"))
    config = config.model_copy(
        update={"decision": config.decision.model_copy(update={"lifetime_s": 1.0})}
    )
    daemon = Daemon(config, on_step=on_step)
    with running(daemon) as run:
        wait_until(lambda: visits and time.monotonic() > visits[0][1] + 1.0, "no first decision")
        back_at = datetime.now(UTC)
        mosquitto.start()
        listener = listen(mosquitto.mqtt("admin"))
        wait_until(lambda: listener.states()[-1:] == [("online", ())], "no fresh status")
        go_on.set()
        wait_until(lambda: run.ended, "the film did not end")

        def delivered() -> list[Decision]:
            return decisions(listener, key_files[1])

        wait_until(
            lambda: [d.visit_id for d in delivered()][-1:] == [visits[-1][0]],
            "the second visitor's decision was not delivered",
        )
    # A first visitor who still stands there may get a new one; the old one must never come.
    assert all(decision.expires_at > back_at for decision in delivered())
    assert len(delivered()) < len(visits)


def test_who_still_stands_there_when_the_broker_is_back_gets_the_one_decision(
    house: House,
    walk_up: Callable[..., Path],
    enrol: Callable[..., None],
    photos: Path,
    listen: Callable[..., Any],
    key_files: tuple[Path, Path],
    wait_until: Wait,
) -> None:
    enrol("Barack Obama", photo=photos / "obama.jpg")
    port = free_port()
    verdicts: list[str] = []
    listeners: list[Any] = []

    def on_step(report: StepReport) -> None:
        for view in report.tracks:
            if view.verdict is not None:
                verdicts.append(view.verdict.visit_id)
                if len(verdicts) == 1:
                    late = time.monotonic() + 1.0
                    wait_until(lambda late=late: time.monotonic() > late, "time stands still")
                    mqtt = broker_life.enter_context(embedded_broker(port))
                    listeners.append(listen(mqtt))
                    wait_until(lambda: daemon.connected, "not connected again")

    config = house(walk_up("obama2.jpg", frames=40), mqtt=MqttConfig(port=port))
    config = config.model_copy(
        update={"decision": config.decision.model_copy(update={"lifetime_s": 1.0})}
    )
    daemon = Daemon(config, on_step=on_step)
    with ExitStack() as broker_life:
        daemon.run()
        (listener,) = listeners
        wait_until(lambda: listener.states()[-1:] == [("offline", ())], "no farewell")
        delivered = [decision.visit_id for decision in decisions(listener, key_files[1])]
    assert len(verdicts) == 2
    assert verdicts[0] == verdicts[1]
    assert delivered == verdicts[1:]


def corrupted_model(tmp_path: Path) -> ModelConfig:
    folder = tmp_path / "model"
    shutil.copytree(default_model_dir(), folder)
    encoder = folder / read_manifest(folder).encoder.name
    data = bytearray(encoder.read_bytes())
    data[len(data) // 2] ^= 1
    encoder.chmod(0o644)
    encoder.write_bytes(data)
    return ModelConfig(folder=folder)


def test_a_changed_model_is_refused(
    house: House, film: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(ModelError):
        Daemon(house(film(), model=corrupted_model(tmp_path))).run()


def test_a_missing_model_is_refused(
    house: House, film: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(ModelError):
        Daemon(house(film(), model=ModelConfig(folder=tmp_path / "none"))).run()


def test_a_missing_signing_key_is_refused(
    house: House, film: Callable[..., Path], key_files: tuple[Path, Path]
) -> None:
    key_files[0].unlink()
    with pytest.raises(ConfigError, match="signing key is missing"):
        Daemon(house(film())).run()


def test_a_missing_gallery_key_is_refused(house: House, film: Callable[..., Path]) -> None:
    config = house(film())
    config.gallery.key_file.unlink()
    with pytest.raises(GalleryError, match="key is missing"):
        Daemon(config).run()


def test_a_damaged_gallery_is_refused_and_left_as_it_is(
    house: House, film: Callable[..., Path]
) -> None:
    config = house(film())
    config.gallery.path.write_bytes(b"damaged" * 500)
    with pytest.raises(GalleryError):
        Daemon(config).run()
    assert config.gallery.path.read_bytes() == b"damaged" * 500


def test_a_damaged_sequence_is_refused(house: House, film: Callable[..., Path]) -> None:
    config = house(film())
    config.signing.sequence_file.write_text("damaged")
    with pytest.raises(ConfigError, match="sequence"):
        Daemon(config).run()


def test_a_second_daemon_of_the_door_is_refused_and_leaves_the_first_alone(
    house: House,
    network_camera: Any,
    film: Callable[..., Path],
    broker: MqttConfig,
    listen: Callable[..., Any],
    wait_until: Wait,
) -> None:
    listener = listen(broker)
    with running(Daemon(house(network_camera.url, mqtt=broker))) as first:
        wait_until(lambda: first.daemon.connected, "never connected")
        with pytest.raises(OneglanceError, match="another daemon"):
            Daemon(house(film(), mqtt=broker)).run()
        assert Daemon(house(film(), mqtt=broker), mqtt=False).run().frames == 12
        assert "offline" not in [state for state, _ in listener.states()]
    assert first.error is None
    assert Daemon(house(film(), mqtt=broker)).run().frames == 12


def test_of_recordings_alone_an_unreadable_one_ends_the_run(
    house: House, film: Callable[..., Path]
) -> None:
    with pytest.raises(CameraError, match="no such camera, video or folder"):
        Daemon(house(film(), "none.mp4"), mqtt=False, gallery=False).run()


def test_cameras_that_fail_at_the_start_are_told_of_and_tried_until_they_come(
    house: House,
    network_camera: Any,
    film: Callable[..., Path],
    broker: MqttConfig,
    listen: Callable[..., Any],
    wait_until: Wait,
) -> None:
    listener = listen(broker)
    network_camera.stop()
    # A camera that is switched off, one that is not there, a recording that is not, and one that
    # works.
    sources = (network_camera.url, "97", "none.mp4", film())
    failing = [f"camera_lost:cam{number}" for number in range(3)]
    with running(Daemon(house(*sources, mqtt=broker))) as daemon:
        told = ("degraded", tuple(sorted([*failing, "gallery_empty"])))
        wait_until(lambda: listener.states()[-1:] == [told], "the failures were not told")
        network_camera.start()
        told_less = ("degraded", tuple(sorted([*failing[1:], "gallery_empty"])))
        wait_until(lambda: listener.states()[-1:] == [told_less], "it was not tried again")
    assert daemon.error is None
    assert daemon.totals is not None
    assert daemon.totals.frames > 0


class Stuck:
    """A camera as its supervisor sees it: lost, and beyond help or not."""

    state = CameraState.LOST
    complaints = ()

    def __init__(self, name: str, *, stuck: bool) -> None:
        self.config = CameraConfig(name=name, source="0")
        self.name, self.stuck = name, stuck
        self.failure = CameraError("hangs again and again", where=name)

    def watch(self) -> None:
        pass


def test_only_where_every_camera_is_stuck_a_new_process_is_asked_for() -> None:
    stopping = threading.Event()
    vision = SimpleNamespace(ended=threading.Event(), problems=())

    def watch_over(*stuck: bool) -> None:
        cameras: Any = [Stuck(f"cam{i}", stuck=one) for i, one in enumerate(stuck)]
        notifier: Any = SimpleNamespace(ready=lambda: None, status=lambda _: stopping.set())
        exchange: Any = FrameExchange(("cam0",))
        supervise(cameras, vision, exchange, None, notifier, stopping)  # type: ignore[arg-type]

    watch_over(True, False)
    stopping.clear()
    with pytest.raises(CameraError, match="cam0: hangs again and again"):
        watch_over(True, True)


def test_no_camera_at_all_is_a_mistake_in_the_configuration(house: House) -> None:
    with pytest.raises(ConfigError, match="no camera is configured"):
        Daemon(house())


def test_decisions_without_a_gallery_are_refused(house: House) -> None:
    with pytest.raises(ConfigError, match="need a gallery"):
        Daemon(house("0"), gallery=False)


@pytest.mark.parametrize(("days", "told"), [(20, True), (22, False)])
def test_the_brokers_certificate_is_told_of_before_it_ends(
    house: Callable[..., Config],
    film: Callable[..., Path],
    mosquitto: Mosquitto,
    caplog: pytest.LogCaptureFixture,
    days: int,
    told: bool,
) -> None:
    caplog.set_level("INFO")
    mosquitto.stop()
    make_certificates(mosquitto.folder, days=days)
    mosquitto.start()
    config = house(film(30), mqtt=mosquitto.mqtt("daemon"), pace="real")
    assert Daemon(config).run().frames > 0
    assert ("certificate_ends" in caplog.text) is told


def test_a_daemon_that_may_not_hear_commands_goes_on_and_says_so(
    house: Callable[..., Config], film: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with scripted(granted=(0x87,)) as mqtt:
        # Long enough to be looked after while it runs.
        config = house(film(30), mqtt=mqtt, pace="real")
        assert Daemon(config).run().frames > 0
    assert "commands_unheard" in caplog.text
    assert "this user may not hear it" in caplog.text


def test_a_daemon_whose_decisions_the_broker_refuses_says_so(
    house: Callable[..., Config],
    walk_up: Callable[..., Path],
    enrol: Callable[..., None],
    photos: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    enrol("Barack Obama", photo=photos / "obama.jpg")
    with scripted(granted=(0,), refuses=TOPICS.decision.encode()) as mqtt:
        # Long enough to be looked after once it has decided.
        config = house(walk_up("biden.jpg", frames=40), mqtt=mqtt, pace="real")
        assert Daemon(config).run().rejected == 1
    assert "status: decisions_refused" in caplog.text
    assert "the broker refused 1 decision(s), and no lock heard them" in caplog.text
