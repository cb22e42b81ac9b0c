"""The screen's half of the live picture: asked for while it is of use, shown while it is fresh."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_samples import KEYS
from hypothesis import given
from hypothesis import strategies as st
from wire_samples import TOPICS

from oneglance.contract.keyring import Role
from oneglance.contract.messages import FaceBox
from oneglance.contract.preview import LEASE_S, MAX_JPEG_BYTES, Picture, PreviewSender, half_of
from oneglance.contract.preview_jpeg import jpeg_size
from oneglance.contract.preview_lease import (
    BLANK_S,
    BUSY_S,
    REFUSED_S,
    RENEW_S,
    SILENCE_S,
    STALE_S,
    PreviewLease,
)
from oneglance.errors import MessageError
from oneglance.kiosk_ui.display import virtual_display
from oneglance.kiosk_ui.preview_place import head, oval, placed

SIGNING = KEYS[Role.DAEMON]
PUBLIC = [SIGNING.public_key()]
FACE = FaceBox(x=0.25, y=0.25, width=0.25, height=0.375)


def jpeg(width: int = 32, height: int = 24) -> bytes:
    return cv2.imencode(".jpg", np.full((height, width, 3), 120, np.uint8))[1].tobytes()


class Screen:
    """A lease, a daemon that knows its last half, and the time of both, which differ."""

    def __init__(self) -> None:
        self.lease = PreviewLease(TOPICS)
        self.now_s = 1000.0
        self.asked: list[str] = []
        self.sender: PreviewSender | None = None

    def turn(self, *, wanted: bool = True, passed_s: float = 0.0) -> bool:
        """Whether it asks now."""
        self.now_s += passed_s
        half = self.lease.due(wanted, self.now_s)
        if half:
            new = half not in self.asked
            self.asked.append(half)
            if new:
                self.sender = PreviewSender(TOPICS, SIGNING, half_of(half))
        return bool(half)

    def payload(self, data: bytes | None = None, at_s: float | None = None) -> bytes:
        assert self.sender is not None
        taken_s = self.now_s if at_s is None else at_s
        captured_ms = round(1000 * (taken_s - 990))
        return self.sender.seal(Picture(captured_ms, FACE, jpeg() if data is None else data))

    def comes(self, payload: bytes | None = None) -> None:
        self.lease.arrived(payload or self.payload(), PUBLIC, self.now_s)


def test_it_asks_while_wanted_renews_in_time_and_stops_by_itself() -> None:
    screen = Screen()
    assert not screen.turn(wanted=False)
    asks = []
    for tenth in range(10 * int(2 * RENEW_S) + 1):
        if screen.turn(passed_s=0.1):
            asks.append(round(tenth / 10))
        screen.comes()
    assert asks == [0, round(RENEW_S), round(2 * RENEW_S)]
    assert RENEW_S < LEASE_S
    assert len(set(screen.asked)) == 1
    assert screen.lease.shot(screen.now_s) is not None
    assert not screen.turn(wanted=False)
    assert screen.lease.shot(screen.now_s) is None
    # Who comes soon after sees themselves at once; later, it is a new lease under a new key.
    screen.turn(passed_s=1.0)
    assert screen.lease.shot(screen.now_s) is not None
    screen.turn(wanted=False, passed_s=LEASE_S)
    assert screen.turn()
    assert len(set(screen.asked)) == 2


def test_without_a_picture_it_asks_anew_under_another_key_and_ever_more_seldom() -> None:
    screen = Screen()
    asked_s = [screen.now_s for _ in range(3000) if screen.turn(passed_s=0.1)]
    gaps = [round(b - a) for a, b in itertools.pairwise(asked_s)]
    assert gaps[:4] == [SILENCE_S * 2**i for i in range(4)]
    assert max(gaps) == 60
    assert len(set(screen.asked)) == len(screen.asked)
    screen.comes()
    assert screen.lease.shot(screen.now_s) is not None


@pytest.mark.parametrize(("code", "wait_s"), [("busy", BUSY_S), ("unknown_command", REFUSED_S)])
def test_a_refusal_is_taken_for_an_answer(code: str, wait_s: float) -> None:
    screen = Screen()
    assert screen.turn()
    screen.lease.refused(code, screen.now_s)
    assert not screen.turn(passed_s=wait_s - 0.1)
    assert screen.turn(passed_s=0.2)


def test_the_age_is_told_and_a_frozen_picture_is_blanked() -> None:
    screen = Screen()
    screen.turn()
    screen.comes()
    for age_s in (0.0, STALE_S - 0.1, STALE_S + 0.1, BLANK_S - 0.1, BLANK_S):
        shot = screen.lease.shot(screen.now_s + age_s)
        if age_s < BLANK_S:
            assert shot is not None
            assert (shot.age_s, shot.stale) == (pytest.approx(age_s), age_s > STALE_S)
        else:
            assert shot is None


def test_a_picture_that_was_held_back_is_as_old_as_it_came_late() -> None:
    screen = Screen()
    screen.turn()
    screen.comes()
    late = screen.payload(at_s=screen.now_s + 0.1)
    screen.turn(passed_s=1.1)
    screen.comes(late)
    shot = screen.lease.shot(screen.now_s)
    assert shot is not None
    assert shot.age_s == pytest.approx(1.0, abs=0.01)


def test_what_is_no_picture_is_left_out_in_one_line_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    screen = Screen()
    screen.turn()
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            screen.comes(screen.payload(b"a face"))
        screen.comes(screen.payload(jpeg(2000, 3)))
        screen.comes(screen.payload(bytes(MAX_JPEG_BYTES + 1)))
        screen.comes(b"x" * 200)
    assert screen.lease.shot(screen.now_s) is None
    assert [record.message.split(": ")[-1] for record in caplog.records] == [
        "a picture that is no JPEG",
        "a picture of 2000x3 pixels",
        "a frame of 20001 bytes",
        "no frame of a preview",
    ]
    assert "a face" not in caplog.text
    screen.comes()
    assert screen.lease.shot(screen.now_s) is not None


@given(st.binary(max_size=40), st.integers(0, 400))
def test_any_bytes_have_a_size_or_none(junk: bytes, cut: int) -> None:
    whole = jpeg(300, 200)
    assert jpeg_size(whole) == (300, 200)
    for data in (junk, b"\xff\xd8" + junk, whole[:cut], whole[: cut % 20] + junk):
        with suppress(MessageError):
            assert min(jpeg_size(data)) > 0


sizes = st.tuples(st.integers(50, 2000), st.integers(50, 2000))
faces = st.builds(
    lambda x, y, w, h: FaceBox(x=x * (1 - w), y=y * (1 - h), width=w, height=h),
    *(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1), st.floats(0.01, 1)),
)


@given(sizes, sizes, st.none() | faces, st.floats(0, 1))
def test_the_picture_fills_its_place_undistorted(
    picture: tuple[int, int], screen: tuple[int, int], face: FaceBox | None, wanted_y: float
) -> None:
    seen = placed(picture, screen, face, wanted_y)
    assert 0 <= seen.x <= seen.x + seen.width <= 1 + 1e-9
    assert 0 <= seen.y <= seen.y + seen.height <= 1 + 1e-9
    across = seen.width * picture[0] / (screen[0] * seen.across)
    up = seen.height * picture[1] / screen[1]
    assert across == pytest.approx(up)
    assert max(seen.width, seen.height) == pytest.approx(1) or seen.across == pytest.approx(1)


@given(sizes, sizes)
def test_a_low_and_wide_place_is_not_filled_at_the_cost_of_the_head(
    picture: tuple[int, int], screen: tuple[int, int]
) -> None:
    seen = placed(picture, screen, None, 0.5)
    assert seen.height >= 0.6 - 1e-9
    assert seen.across == pytest.approx(1) or seen.height == pytest.approx(0.6)
    assert 0 < seen.across <= 1


def test_the_outline_stands_where_a_narrower_picture_stands() -> None:
    seen = placed((400, 300), (1600, 300), FACE, 0.5)
    assert seen.across == pytest.approx(400 / 0.6 / 1600)
    (x, _), radius_x, radius_y = head(FACE, seen, (1600, 300))
    assert x == pytest.approx(800 + (0.5 - 0.375) * 400 / 0.6)
    alike = head(FACE, placed((400, 300), (400, 300), FACE, 0.5), (400, 300))
    assert (radius_x / radius_y) == pytest.approx(alike[1] / alike[2])


def test_the_outline_is_mirrored_and_follows_the_face() -> None:
    seen = placed((400, 300), (400, 300), FACE, 0.5)
    (x, y), radius_x, radius_y = head(FACE, seen, (400, 300))
    assert (x, y) == (pytest.approx(400 * (1 - 0.375)), pytest.approx(300 * (1 - 0.4375)))
    assert radius_y > radius_x > 0
    half = oval((0, 0), 10, 20, 0.5)
    assert (half[0], half[1]) == (0, 20)
    assert max(half[::2]) > 9
    assert min(half[::2]) == pytest.approx(0)
    assert oval((0, 0), 10, 20, 0.0) == []


@pytest.fixture(scope="module")
def drawn(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed (apt install xvfb)")
    folder = tmp_path_factory.mktemp("preview")
    picture = np.zeros((360, 480, 3), np.uint8)
    picture[:, :240] = (0, 0, 250)
    picture[:, 240:] = (0, 250, 0)
    file = folder / "picture.jpg"
    cv2.imwrite(str(file), picture)
    script = Path(__file__).with_name("draw_preview.py")
    with virtual_display() as environment:
        result = subprocess.run(
            [
                *(sys.executable, str(script), str(folder), "480x800", str(file)),
                *("0.4", "0.3", "0.2", "0.3"),
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("cannot be decoded") == 1
    pictures = {name.stem: cv2.imread(str(name)) for name in folder.glob("*.png")}
    return json.loads(result.stdout), pictures


def test_visitors_see_themselves_as_in_a_mirror_above_the_words(drawn: Any) -> None:
    told, pictures = drawn
    look = pictures["look"].astype(int)
    left, right = look[100, 40], look[100, 440]
    assert left[1] > 180 > 60 > left[2], "green was on the picture's right"
    assert right[2] > 180 > 60 > right[1]
    words = look[int(800 - told["look"]["words_top"]) :]
    assert words[:, :20].max() < 80, "no picture behind words"
    assert (told["look"]["symbol"], told["challenge"]["symbol"]) == (0, 1)
    # Without a graphics card what cannot be seen would be drawn at full cost.
    assert told["look"]["parts_of_symbol"] == 0 < told["challenge"]["parts_of_symbol"]
    assert told["checking"]["outline"][0] < 240 < told["checking"]["outline"][1]


def test_an_old_picture_says_so_and_one_that_is_gone_leaves_nothing(drawn: Any) -> None:
    told, pictures = drawn
    # The same picture goes on growing old.
    assert [told[name]["age"] for name in ("older", "old")] == ["0.8 s", "1.2 s"]
    assert pictures["old"][100, 40].max() < 0.7 * pictures["look"][100, 40].max()
    assert [told[name]["visible"] for name in ("gone", "idle")] == [False, False]
    assert (told["gone"]["age"], told["gone"]["symbol"]) == ("", 1)
    assert pictures["gone"][100, 40].max() < 80
