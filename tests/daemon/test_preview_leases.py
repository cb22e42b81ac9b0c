"""The live picture: only for who asked, small enough, and never in anybody's way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from command_samples import KEYS
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from wire_samples import TOPICS

from oneglance.clocks import Clocks
from oneglance.config import PreviewConfig
from oneglance.contract.keyring import Role
from oneglance.contract.messages import Hint, Phase
from oneglance.contract.preview import LEASE_S, MAX_FRAME_BYTES, Picture, PreviewReceiver
from oneglance.daemon.camera.frames import Frame
from oneglance.daemon.visit.report import StepReport, TrackView
from oneglance.daemon.voice.preview import SWITCH_AFTER_S, Preview
from oneglance.daemon.voice.preview_jpeg import LONGER_SIDE_PX, WORST, PreviewEncoder
from oneglance.daemon.voice.verbs import CommandRefusedError, Sender
from oneglance.faces.find.boxes import Box

Wait = Callable[..., None]
SIGNING = KEYS[Role.DAEMON]
NOISE = np.random.default_rng(3).integers(0, 255, (480, 640, 3), dtype=np.uint8)


def report(*boxes: Box, camera: str = "one", grey: int = 90, index: int = 0) -> StepReport:
    views = tuple(
        TrackView(i, "v", box, Hint.NONE, Phase.LOOK, 0.0, None, None)
        for i, box in enumerate(boxes)
    )
    return StepReport(
        Frame(np.full((48, 64, 3), grey, np.uint8), index / 10, 0.0, index, camera), views
    )


class Bench:
    """A preview at work, its clock, and what it sent; `open_gate` lets its thread send."""

    def __init__(self, **config: object) -> None:
        self.now_s = 100.0
        self.sent: list[tuple[str, bytes]] = []
        self.clear = True
        self.gate = threading.Event()
        self.gate.set()
        clocks = Clocks(lambda: pytest.fail("no wall clock is needed"), lambda: self.now_s)
        self.preview = Preview(
            *(PreviewConfig.model_validate(config), TOPICS, SIGNING),
            self._send,
            lambda: self.clear,
            clocks,
        )

    def _send(self, topic: str, payload: bytes) -> bool:
        self.gate.wait(20)
        self.sent.append((topic, payload))
        return True

    def ask(self, key_id: str = "kiosk", receiver: PreviewReceiver | None = None) -> object:
        receiver = receiver or PreviewReceiver(TOPICS)
        self.preview.verb.run({"key": receiver.half}, Sender(key_id, Role.KIOSK))
        return receiver

    def opened(self, receiver: object) -> list[Picture]:
        assert isinstance(receiver, PreviewReceiver)
        found = [receiver.open(payload, [SIGNING.public_key()]) for _, payload in self.sent]
        return [picture for picture in found if picture is not None]


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    bench = Bench(**getattr(request, "param", {}))
    bench.preview.start()
    yield bench
    bench.gate.set()
    bench.preview.stop()


def test_a_picture_comes_with_its_face_and_its_time(bench: Bench, wait_until: Wait) -> None:
    screen = bench.ask()
    bench.preview.offer([report(Box(0, 0, 8, 8), Box(16, 12, 32, 24), index=7)])
    wait_until(lambda: len(bench.sent) == 1, "no picture")
    assert bench.sent[0][0] == TOPICS.preview("kiosk")
    (picture,) = bench.opened(screen)
    shown = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (48, 64, 3)
    assert abs(int(shown.mean()) - 90) <= 2
    assert picture.captured_ms == 700
    assert picture.face is not None
    assert picture.face.x == pytest.approx(0.25, abs=1e-3)
    assert picture.face.height == pytest.approx(0.5, abs=1e-3)


def test_no_key_but_a_screens_may_ask_unless_the_owner_allows_it() -> None:
    assert Bench().preview.verb.roles == {Role.KIOSK}
    assert Bench(assistant=True).preview.verb.roles == {Role.KIOSK, Role.ASSISTANT}


def test_without_a_lease_nothing_is_encoded_and_with_one_only_until_it_lapses(
    bench: Bench, wait_until: Wait
) -> None:
    def show(frames: int) -> None:
        for _ in range(frames):
            bench.now_s += 1.0
            bench.preview.offer([report()])

    show(50)
    screen = bench.ask()
    show(1)
    wait_until(lambda: len(bench.sent) == 1, "no picture")
    bench.now_s += LEASE_S - 2
    bench.ask(receiver=screen)  # type: ignore[arg-type]
    show(1)
    wait_until(lambda: len(bench.sent) == 2, "the lease was not renewed")
    bench.now_s += LEASE_S
    show(50)
    other = bench.ask()
    show(1)
    wait_until(lambda: len(bench.sent) == 3, "no picture")
    assert len(bench.opened(other)) == 1
    assert bench.preview.encoded == 3


def test_who_asks_anew_sees_no_frame_from_before_that() -> None:
    # Without the thread: it has no turn until the next screen has asked.
    bench = Bench()
    bench.ask()
    bench.preview.offer([report(index=1)])
    bench.now_s += LEASE_S
    screen = bench.ask()
    bench.preview.turn()
    bench.preview.offer([report(index=2)])
    bench.preview.turn()
    assert [picture.captured_ms for picture in bench.opened(screen)] == [200]
    assert bench.preview.encoded == 1


def test_the_vision_thread_never_waits_and_the_newest_frame_wins(
    bench: Bench, wait_until: Wait
) -> None:
    screen = bench.ask()
    bench.gate.clear()
    for index in range(10):
        # It returns though the network takes nothing.
        bench.now_s += 1.0
        bench.preview.offer([report(index=index)])
        if index == 0:
            wait_until(lambda: bench.preview.encoded == 1, "nothing was encoded")
    bench.gate.set()
    wait_until(lambda: len(bench.sent) == 2, "the newest did not come")
    bench.preview.stop()
    assert [picture.captured_ms for picture in bench.opened(screen)] == [0, 900]


def test_a_frame_is_left_out_while_the_last_is_still_on_its_way(
    bench: Bench, wait_until: Wait
) -> None:
    bench.ask()
    bench.clear = False
    bench.preview.offer([report()])
    wait_until(lambda: bench.preview.dropped == 1, "it was not dropped")
    assert (bench.preview.encoded, bench.sent) == (0, [])


@pytest.mark.parametrize("bench", [{"fps": 5}], indirect=True)
def test_there_are_no_more_pictures_a_second_than_allowed(bench: Bench, wait_until: Wait) -> None:
    bench.ask()
    for index in range(100):
        bench.now_s += 0.01
        bench.preview.offer([report()])
        due = 1 + index // 20
        wait_until(lambda due=due: len(bench.sent) >= due, "too few")
    bench.preview.stop()
    assert bench.preview.encoded == 5


def test_each_screen_has_its_own_lease_and_no_more_watch_than_allowed(
    bench: Bench, wait_until: Wait
) -> None:
    hall, yard = bench.ask("hall"), bench.ask("yard")
    with pytest.raises(CommandRefusedError, match="2 other screens") as refused:
        bench.ask("cellar")
    assert refused.value.code == "busy"
    again = bench.ask("yard")
    bench.preview.offer([report()])
    wait_until(lambda: len(bench.sent) == 2, "not both")
    assert bench.preview.encoded == 1
    assert {topic for topic, _ in bench.sent} == {TOPICS.preview("hall"), TOPICS.preview("yard")}
    assert [len(bench.opened(screen)) for screen in (hall, yard, again)] == [1, 0, 1]
    bench.now_s += LEASE_S
    bench.ask("cellar")


def test_no_screen_takes_the_places_or_the_lease_of_another(bench: Bench, wait_until: Wait) -> None:
    first, second = bench.ask("hall"), bench.ask("hall")
    yard = bench.ask("yard")
    with pytest.raises(CommandRefusedError, match="another screen's") as refused:
        bench.ask("hall", yard)  # type: ignore[arg-type]
    assert refused.value.code == "bad_arguments"
    bench.preview.offer([report()])
    wait_until(lambda: len(bench.sent) == 2, "not both")
    assert [len(bench.opened(screen)) for screen in (first, second, yard)] == [0, 1, 1]


@pytest.mark.parametrize("args", [{}, {"key": "AAAA"}, {"key": 7}, {"key": "", "more": 1}])
def test_what_is_no_key_begins_no_lease(bench: Bench, args: dict[str, object]) -> None:
    with pytest.raises(CommandRefusedError) as refused:
        bench.preview.verb.run(args, Sender("kiosk", Role.KIOSK))  # type: ignore[arg-type]
    assert refused.value.code == "bad_arguments"


def test_of_two_cameras_it_stays_with_the_one_that_sees_the_visitor(
    bench: Bench, wait_until: Wait
) -> None:
    screen = bench.ask()
    small, large = Box(0, 0, 10, 10), Box(0, 0, 40, 40)
    steps = [
        [report(camera="one", index=1), report(camera="two", index=2)],
        [report(camera="two", index=3)],
        [report(camera="one", index=4), report(small, camera="two", index=5)],
        [report(large, camera="one", index=6), report(small, camera="two", index=7)],
        [report(large, camera="one", index=8)],
    ]
    for step in steps:
        bench.now_s += SWITCH_AFTER_S / 2
        sent = len(bench.sent)
        bench.preview.offer(step)
        if step[-1].frame.index not in (3, 8):
            wait_until(lambda s=sent: len(bench.sent) > s, "no picture")
    bench.now_s += SWITCH_AFTER_S
    bench.preview.offer(steps[-1])
    wait_until(lambda: len(bench.sent) == 4, "no picture")
    assert [picture.captured_ms for picture in bench.opened(screen)] == [100, 500, 700, 800]


@settings(max_examples=30)
@given(
    st.integers(1, 900), st.integers(1, 900), st.integers(0, 3), st.integers(4_000, MAX_FRAME_BYTES)
)
def test_every_picture_is_small_enough(height: int, width: int, blur: int, longest: int) -> None:
    pixels = np.resize(NOISE, (height, width, 3))
    for _ in range(blur):
        pixels = cv2.blur(pixels, (9, 9))
    encoder = PreviewEncoder(longest)
    for _ in range(2):
        jpeg = encoder.encode(np.asarray(pixels, np.uint8))
        assert jpeg is not None
        assert len(jpeg) <= longest
    shape = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape
    assert max(shape[:2]) <= LONGER_SIDE_PX


def test_the_quality_follows_what_there_is_to_see() -> None:
    def quality_after(pixels: NDArray[np.uint8], frames: int) -> int:
        for _ in range(frames):
            encoder.encode(pixels)
        return encoder.quality

    encoder = PreviewEncoder(20_000)
    best = encoder.quality
    assert quality_after(NOISE, 1) == WORST
    assert quality_after(np.full((480, 640, 3), 90, np.uint8), 5) == WORST + 10
    assert quality_after(np.full((480, 640, 3), 90, np.uint8), 50) == best
