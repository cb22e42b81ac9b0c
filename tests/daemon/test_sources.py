from __future__ import annotations

import hashlib
import logging
import re
import shutil
import socketserver
import threading
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.config import CameraConfig
from oneglance.daemon.camera.login import Login
from oneglance.daemon.camera.recordings import FOLDER_FPS
from oneglance.daemon.camera.rtsp import why_not
from oneglance.daemon.camera.sources import is_recording, open_source, shown_name
from oneglance.errors import CameraError


def camera(source: Path | str) -> CameraConfig:
    return CameraConfig(name="cam", source=str(source), read_deadline_s=1.0)


def read_all(source: Path) -> int:
    opened = open_source(camera(source))
    count = 0
    try:
        while opened.read() is not None:
            count += 1
    finally:
        opened.close()
    return count


def test_a_video_is_read_to_its_end_at_its_own_pace(film: Callable[..., Path]) -> None:
    file = film(12)
    assert open_source(camera(file)).fps == pytest.approx(10.0)
    assert read_all(file) == 12


def test_a_truncated_video_ends_cleanly_and_says_at_which_frame(
    film: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = film(30).read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        count = read_all(cut)
    assert 5 < count < 30
    assert f"{cut}: the video is truncated: it ends after frame {count} of 30" in caplog.text


def test_a_whole_video_ends_without_a_warning(
    film: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    read_all(film(30))
    assert caplog.records == []


@pytest.mark.parametrize("content", [b"", b"not a video at all" * 100])
def test_an_unreadable_video_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.mp4"
    file.write_bytes(content)
    with pytest.raises(CameraError, match="not a video, or a damaged one") as caught:
        open_source(camera(file))
    assert caught.value.where == str(file)
    assert caught.value.fix


def test_a_video_cut_off_inside_its_headers_is_an_error(
    film: Callable[..., Path], tmp_path: Path
) -> None:
    cut = tmp_path / "cut.avi"
    cut.write_bytes(film(12).read_bytes()[:4000])
    with pytest.raises(CameraError, match="not a video, or a damaged one"):
        open_source(camera(cut))


def test_a_missing_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="no such camera, video or folder") as caught:
        open_source(camera(tmp_path / "none.mp4"))
    assert caught.value.exit_code == 66
    assert caught.value.fix


@pytest.mark.parametrize("source", ["97", "/dev/video97"])
def test_a_missing_camera_is_an_error_that_names_the_device(source: str) -> None:
    with pytest.raises(CameraError, match="there is no such camera") as caught:
        open_source(camera(source))
    assert caught.value.where == "/dev/video97"
    # No program that nobody has installed.
    assert "'ls /dev/v4l/by-id'" in caught.value.fix


def test_a_device_that_is_no_camera_is_an_error() -> None:
    with pytest.raises(CameraError, match="cannot be opened"):
        open_source(camera("/dev/null"))


def test_a_stream_that_nobody_serves_is_an_error_without_its_password() -> None:
    with pytest.raises(CameraError, match="cannot be opened: no connection") as caught:
        open_source(camera("rtsp://ada:secret@127.0.0.1:1/door?token=secret"))
    assert "secret" not in str(caught.value)
    assert caught.value.where == "rtsp://127.0.0.1:1"


class RtspServer:
    """Answers `status` to who logs in, or where no login is asked for; hears what was asked."""

    def __init__(self, status: str, challenge: str = "") -> None:
        self.heard: list[str] = []
        told = self.heard

        class Rtsp(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                request = ""
                while line := self.rfile.readline().decode():
                    request += line
                    if line != "\r\n":
                        continue
                    told.append(request)
                    known = "Authorization" in request or not challenge
                    number = re.search(r"CSeq: (\d+)", request)
                    assert number is not None
                    reply = f"RTSP/1.0 {status if known else '401 No'}\r\nCSeq: {number[1]}\r\n"
                    reply += f"WWW-Authenticate: {challenge}\r\n" if challenge else ""
                    self.wfile.write(f"{reply}\r\n".encode())
                    request = ""

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Rtsp)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> RtspServer:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def digest_is_right(request: str, password: str) -> bool:
    """Whether a request answers the challenge of realm "cam" and nonce "n0" for ada."""
    said = dict(re.findall(r'(\w+)="?([^",\r]*)"?', request))
    algorithm = hashlib.sha256 if said.get("algorithm") == "SHA-256" else hashlib.md5

    def h(text: str) -> str:
        return algorithm(text.encode()).hexdigest()

    who, what = h(f"ada:cam:{password}"), h(f"{request.split()[0]}:{said['uri']}")
    middle = f"n0:{said['nc']}:{said['cnonce']}:auth" if "qop" in said else "n0"
    return (said["username"], said["response"]) == ("ada", h(f"{who}:{middle}:{what}"))


@pytest.mark.parametrize("written", ["p/s#%w:ö", "p%2Fs%23%25w%3A%C3%B6", None])
def test_an_rtsp_password_of_any_characters_reaches_the_camera_as_it_is(
    written: str | None, tmp_path: Path
) -> None:
    password = "p/s#%w:ö"
    file = tmp_path / "camera.password"
    file.touch(0o600)
    file.write_text(password, encoding="utf-8")
    with RtspServer("404 Not Found", 'Digest realm="cam", nonce="n0"') as server:
        login = "" if written is None else f"ada:{written}@"
        given = {} if written else {"user": "ada", "password_file": file}
        config = CameraConfig(
            name="cam", source=f"rtsp://{login}{server.host}/1", read_deadline_s=2.0, **given
        )
        with pytest.raises(CameraError, match="nothing under this address") as caught:
            open_source(config)
    assert "p/s" not in str(caught.value)
    answers = [request for request in server.heard if "Authorization" in request]
    # FFmpeg's, and that of who asks why.
    assert len(answers) >= 2
    assert all(digest_is_right(answer, password) for answer in answers)


@pytest.mark.parametrize(
    ("status", "challenge", "login", "what"),
    [
        ("401 No", 'Digest realm="cam", nonce="n0"', Login("ada", "ö"), "refuses this user"),
        (
            "401 No",
            'Digest realm="cam", nonce="n0", algorithm=SHA-256, qop="auth", opaque="o"',
            Login("ada", "ö"),
            "refuses this user",
        ),
        ("401 No", 'Basic realm="cam"', Login("ada", "ö"), "refuses this user"),
        ("401 No", 'Basic realm="cam"', None, "asks for a user"),
        ("404 Not Found", "", None, "nothing under this address"),
        ("453 Not Enough Bandwidth", "", None, "no pictures to give now"),
        ("503 Service Unavailable", "", None, "no pictures to give now"),
        ("200 OK", "", None, None),
        ("401 No", 'Bearer realm="cam"', Login("ada", "ö"), None),
        ("401 No", 'Digest realm="cam"', Login("ada", "ö"), None),
        ("no status", "", None, "does not speak RTSP"),
    ],
)
def test_a_streams_server_is_asked_why_it_cannot_be_opened(
    status: str, challenge: str, login: Login | None, what: str | None
) -> None:
    with RtspServer(status, challenge) as server:
        error = why_not(f"rtsp://{server.host}/door?a=b", login, "rtsp://cam")
    if what is None:
        assert error is None
    else:
        assert error is not None
        assert what in error.what
    last = server.heard[-1]
    assert last.startswith(f"DESCRIBE rtsp://{server.host}/door?a=b RTSP/1.0\r\n")
    assert ("Digest " in last) == (what == "refuses this user" and "Digest" in challenge)
    if "Digest " in last:
        assert digest_is_right(last, "ö")
    if "Basic " in last:
        assert f"Basic {b64encode('ada:ö'.encode()).decode()}" in last


def test_a_folder_gives_its_pictures_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        picture = np.full((40, 40, 3), number, np.uint8)
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), picture)
    (tmp_path / "notes.txt").write_text("not a picture")
    source = open_source(camera(tmp_path))
    assert source.fps == FOLDER_FPS
    values = []
    while (pixels := source.read()) is not None:
        values.append(int(pixels[0, 0, 0]))
    assert values == [1, 2, 10]


def test_a_damaged_picture_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 40, 3), np.uint8))
    (tmp_path / "b.png").write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        assert read_all(tmp_path) == 1
    assert "b.png" in caplog.text


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="holds no pictures"):
        open_source(camera(tmp_path))


def test_a_video_that_disappears_while_it_is_read_does_no_harm(film: Callable[..., Path]) -> None:
    file = film(12)
    source = open_source(camera(file))
    shutil.move(file, file.with_name("gone.avi"))
    assert source.read() is not None
    source.close()


@pytest.mark.parametrize(
    ("source", "recording"),
    [
        ("0", False),
        ("/dev/video0", False),
        ("rtsp://camera/1", False),
        ("visit.mp4", True),
        ("pictures", True),
    ],
)
def test_only_files_and_folders_are_recordings(source: str, recording: bool) -> None:
    assert is_recording(camera(source)) is recording


def test_a_plain_path_is_shown_as_it_is() -> None:
    assert shown_name("/films/a.mp4") == "/films/a.mp4"
    assert shown_name(0) == "0"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://cam/door", "rtsp://cam"),
        ("http://192.168.1.4:8080/mjpeg", "http://192.168.1.4:8080"),
        ("rtsp://admin:hunter2@[fe80::1]:554/1", "rtsp://[fe80::1]:554"),
        ("rtsp://admin:p@hunter2@cam/1", "rtsp://cam"),
        ("rtsp://cam:554/user=admin&password=hunter2&ch=1.sdp", "rtsp://cam:554"),
        ("http://cam/?token=hunter2", "http://cam"),
        # Whose @ is it, the password's or the path's? Not certain: no host is shown.
        ("rtsp://admin:hun/ter2@cam/1", "rtsp://..."),
        ("rtsp://admin:hun#ter2@cam/1", "rtsp://..."),
        ("rtsp://admin:hun?ter2@cam/1", "rtsp://..."),
        ("rtsp://admin:hun\\ter2@cam/1", "rtsp://..."),
        ("http://cam/?mail=me@hunter2", "http://..."),
        ("rtsp://admin:hunter2", "rtsp://..."),
        ("rtsp://[hunter2/1", "rtsp://..."),
        ("rtsp://admin:hunter\u21002@cam/1", "rtsp://cam"),
        ("admin:hunter2@cam/x://y", "...://y"),
        ("rtsp:/admin:hunter2@cam/1", "..."),
        ("admin:hunter2@cam/1", "..."),
    ],
)
def test_of_a_url_only_what_certainly_is_no_secret_is_shown(source: str, shown: str) -> None:
    assert shown_name(source) == shown


WORD = st.text(st.sampled_from("abz09"), min_size=1, max_size=5)


@given(st.text(st.sampled_from("/#?@:[]\\&%\u2100\n ;"), max_size=4), WORD, WORD, st.booleans())
def test_no_password_of_a_url_is_ever_shown(
    odd: str, before: str, after: str, in_path: bool
) -> None:
    secret = f"S{before}{odd}{after}S"
    source = f"rtsp://cam/user=u&pass={secret}" if in_path else f"rtsp://u:{secret}@cam/1"
    assert "S" not in shown_name(source)
    assert "\n" not in shown_name(source)


def test_a_mistyped_url_is_not_repeated_in_the_error() -> None:
    with pytest.raises(CameraError, match="no such camera") as caught:
        open_source(camera("rtsp:/admin:hunter2@cam/1"))
    assert "hunter2" not in str(caught.value)
