"""The real Kivy window, under a virtual display, in a process of its own."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from oneglance.contract.messages import Hint
from oneglance.errors import MissingPartError, OneglanceError
from oneglance.kiosk_ui.display import virtual_display
from oneglance.kiosk_ui.language import LANGUAGES
from oneglance.kiosk_ui.palette import ACCENTS
from oneglance.kiosk_ui.screen import Kind, ScreenState
from oneglance.kiosk_ui.snapshot import render_states
from oneglance.kiosk_ui.words import (
    ASKED,
    HINTS,
    NOT_NOW,
    NOT_SURE,
    PIN_SEND,
    POOR_QUALITY,
    STEPS,
    WELCOME_NAME,
    WORDS,
)

SIZES = [(800, 480), (720, 1280), (480, 320), (1280, 800)]
LONG_NAMES = (
    "Maximiliane Wolkenstein-Trostburg",
    "W" * 40,
    "Nguyễn Thị Minh Khai Đặng Hoàng Phương",
    "A B C D E F G H I J K L M N O P Q R S T",
)
# A letter newer than any font here.
UNDRAWN = "\U00013460"
STATES = [
    *(
        ScreenState(kind, *WORDS[kind], since_s=0.0, left="14:59", note="camera_lost:front")
        for kind in Kind
        if kind is not Kind.WELCOME
    ),
    ScreenState(Kind.CHECKING, *WORDS[Kind.CHECKING], since_s=0.0, progress=0.7),
    *(
        ScreenState(Kind.CHALLENGE, *words, 0.0, 0.6, step=step, number=1, steps=2)
        for step, words in STEPS.items()
    ),
    *(ScreenState(Kind.NOT_RECOGNISED, *said, 0.0) for said in (POOR_QUALITY, NOT_SURE, NOT_NOW)),
    *(ScreenState(Kind.CLAIM, asked, WORDS[Kind.CLAIM][1], 0.0) for asked in ASKED.values()),
    ScreenState(Kind.PIN_PAD, WORDS[Kind.PIN_PAD][0], PIN_SEND, 0.0, digits=12),
    *(
        ScreenState(Kind.LOOK_HERE, words, WORDS[Kind.LOOK_HERE][0], 0.0, hint=hint)
        for hint, words in HINTS.items()
    ),
    *(
        ScreenState(Kind.WELCOME, WELCOME_NAME, WORDS[Kind.WELCOME][1], 0.0, name=name)
        for name in ("Ada", UNDRAWN, *LONG_NAMES)
    ),
]

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None, reason="Xvfb is not installed (apt install xvfb)"
)


@dataclass(frozen=True)
class Drawn:
    """What one child drew: its measures and pictures, in the order of STATES."""

    rows: list[dict[str, Any]]
    said: list[list[Any]]
    squeezed: list[list[Any]]
    loaded: list[str]
    pictures: list[np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def display() -> Iterator[dict[str, str]]:
    with virtual_display() as environment:
        yield environment


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def drawn(
    request: pytest.FixtureRequest,
    display: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Drawn:
    folder = tmp_path_factory.mktemp("window")
    listed = folder / "states.jsonl"
    listed.write_text("".join(state.to_json() + "\n" for state in STATES))
    script = Path(__file__).with_name("measure_window.py")
    size = f"{request.param[0]}x{request.param[1]}"
    result = subprocess.run(
        [sys.executable, str(script), str(listed), str(folder), size],
        env=display,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    pictures = [cv2.imread(row["file"]) for row in told["rows"]]
    assert all(picture is not None for picture in pictures)
    assert {picture.shape[1::-1] for picture in pictures} == {request.param}
    return Drawn(told["rows"], told["said"], told["squeezed"], told["loaded"], pictures)


def test_every_text_is_shown_whole_and_inside_its_box(drawn: Drawn) -> None:
    for state, row in zip(STATES, drawn.rows, strict=True):
        clock = "17:42" if state.kind is Kind.IDLE else ""
        for text, label in ((clock or state.title, row["title"]), (state.line, row["line"])):
            wanted = text.format(name=state.name, left=state.left)
            if state.name == UNDRAWN and text == WELCOME_NAME:
                wanted = "Welcome"
            assert " ".join(label["text"].split()) == wanted


def test_no_text_is_cut_off_in_any_language(drawn: Drawn) -> None:
    assert len(drawn.said) == len(LANGUAGES) * len(STATES)
    for code, *labels in drawn.said:
        for label in labels:
            x, y, width, height = label["ink"]
            assert width <= label["size"][0] + 0.5, (code, label)
            assert height <= label["size"][1] + 0.5, (code, label)
            if label["text"]:
                assert x >= label["pos"][0] - 0.5, (code, label)
                assert y >= label["pos"][1] - 0.5, (code, label)
                assert label["font_px"] >= 8, (code, label)


def test_words_between_a_live_picture_and_the_button_are_whole_and_can_be_read(
    drawn: Drawn,
) -> None:
    shorter = min(drawn.rows[0]["view"])
    assert {code for code, *_ in drawn.squeezed} == set(LANGUAGES)
    for code, title, line in drawn.squeezed:
        for label, least in ((title, 0.06), (line, 0.05)):
            *_, width, height = label["ink"]
            assert width <= label["size"][0] + 0.5, (code, label)
            assert height <= label["size"][1] + 0.5, (code, label)
            assert label["font_px"] >= least * shorter, (code, label)


def test_nothing_overlaps_or_leaves_the_window(drawn: Drawn) -> None:
    for state, row in zip(STATES, drawn.rows, strict=True):
        if state.kind is Kind.PIN_PAD:
            continue
        if state.kind is Kind.IDLE:
            assert row["symbol"][1] >= row["line"]["pos"][1] + row["line"]["size"][1] - 1
            assert row["date"]["pos"][1] >= row["symbol"][1] + row["symbol"][3] - 1
            assert row["door"]["pos"][1] >= row["title"]["ink"][1] + row["title"]["ink"][3]
            continue
        width, height = row["view"]
        x, y, symbol_width, symbol_height = row["symbol"]
        title, line = row["title"], row["line"]
        assert x >= 0
        assert x + symbol_width <= width
        assert y + symbol_height <= height
        assert y >= title["pos"][1] + title["size"][1] - 1
        assert title["pos"][1] >= line["pos"][1] + line["size"][1] - 1
        assert line["pos"][1] >= 0.03 * height


def test_text_can_be_read_from_two_metres_off(drawn: Drawn) -> None:
    # On a 7" panel a tenth of the shorter side is 9 mm; the usual words are never below it.
    shorter = min(drawn.rows[0]["view"])
    for state, row in zip(STATES, drawn.rows, strict=True):
        if state.name not in LONG_NAMES:
            assert row["title"]["font_px"] >= 0.085 * shorter, state.title
            assert row["line"]["font_px"] >= 0.05 * shorter, state.line


def test_every_picture_shows_its_accent_and_leaves_the_border_dark(drawn: Drawn) -> None:
    for state, picture in zip(STATES, drawn.pictures, strict=True):
        if state.kind is Kind.PIN_PAD and not state.digits:
            continue
        if state.kind is Kind.IDLE:
            continue
        accent_bgr = np.array(ACCENTS[state.kind][::-1]) * 255
        near = np.abs(picture - accent_bgr).max(axis=2) < 12
        assert near.mean() > 0.0005, state.kind
        border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert border.max() < 90, state.kind


def test_each_kind_differs_from_each_other_in_grey_too(drawn: Drawn) -> None:
    """Without hue, as some people see, the symbols alone still tell the screens apart."""
    grey = {}
    for state, row, picture in zip(STATES, drawn.rows, drawn.pictures, strict=True):
        if state.kind in (Kind.PIN_PAD, Kind.IDLE):
            continue
        x, y, width, height = (round(value) for value in row["symbol"])
        top = picture.shape[0] - y - height
        symbol = cv2.cvtColor(picture[top : top + height, x : x + width], cv2.COLOR_BGR2GRAY)
        grey.setdefault(state.kind, symbol > 90)
    for one, other in combinations(grey.values(), 2):
        assert (one != other).mean() > 0.03


def test_a_hint_changes_the_picture(drawn: Drawn) -> None:
    by_hint = {
        state.hint: picture
        for state, picture in zip(STATES, drawn.pictures, strict=True)
        if state.kind is Kind.LOOK_HERE
    }
    assert len(by_hint) == len(Hint)
    for one, other in combinations(by_hint.values(), 2):
        assert np.any(one != other)


def test_the_view_needs_no_numpy_no_broker_and_nothing_of_the_daemon(drawn: Drawn) -> None:
    assert drawn.loaded == []


def test_pictures_are_named_after_their_states(tmp_path: Path, display: dict[str, str]) -> None:
    files = render_states(STATES[:2], tmp_path / "new", (480, 320), display)
    assert [file.name for file in files] == ["00-starting.png", "01-idle.png"]
    assert all(file.stat().st_size > 1000 for file in files)


def test_a_logo_that_is_no_picture_or_huge_is_left_out(
    tmp_path: Path, display: dict[str, str]
) -> None:
    (tmp_path / "logo.png").write_text("no picture")
    # What its header claims would take 324 MB.
    size = b"IHDR" + struct.pack(">IIBBBBB", 9_000, 9_000, 8, 6, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + size
    rows = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    (tmp_path / "huge.png").write_bytes(header + struct.pack(">I", zlib.crc32(size)) + rows)
    code = (
        "import sys; from dataclasses import replace; from pathlib import Path\n"
        "from oneglance.kiosk_ui.kivy_window import open_window\n"
        "from oneglance.kiosk_ui.palette import DEFAULT\n"
        "open_window((480, 320), fullscreen=False)\n"
        "from oneglance.kiosk_ui.view import KioskView\n"
        "for name in sys.argv[1:]:\n"
        "    view = KioskView(theme=replace(DEFAULT, logo=Path(name)))\n"
        "    view.size = 640, 400\n"
        "    print(view.logo)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "logo.png"), str(tmp_path / "huge.png")],
        env=display,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "None\nNone\n"), result.stderr
    assert f"the screen has no logo: {tmp_path / 'logo.png'} cannot be read" in result.stderr
    assert "huge.png cannot be read: 9000 x 9000 pixels are too many" in result.stderr


def test_a_display_that_is_not_there_is_one_clear_error(
    tmp_path: Path, display: dict[str, str]
) -> None:
    with pytest.raises(OneglanceError, match=r"the display cannot be used \(x11 :64321\)"):
        render_states(STATES[:1], tmp_path, (480, 320), {**display, "DISPLAY": ":64321"})


def test_without_xvfb_and_display_the_missing_part_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingPartError, match="apt install xvfb"), virtual_display():
        pass
