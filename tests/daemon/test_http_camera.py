"""Cameras that speak HTTP in their own ways: real servers on this machine."""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
import re
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from oneglance.cli import doctor
from oneglance.config import CameraConfig
from oneglance.daemon.camera import http_camera
from oneglance.daemon.camera.frame_source import BadFrameError, FrameSource
from oneglance.daemon.camera.frames import Frame, FrameExchange
from oneglance.daemon.camera.http_camera import Snapshots
from oneglance.daemon.camera.intake import Intake
from oneglance.daemon.camera.sources import open_source
from oneglance.errors import CameraError

JPEGS = [
    bytes(cv2.imencode(".jpg", np.full((48, 64, 3), grey, np.uint8))[1]) for grey in (60, 120, 180)
]
Answer = Callable[[BaseHTTPRequestHandler], None]
USER, PASSWORD = "hausmeisterżö", "p@s/s#%w:ö€"


class Camera:
    """A web server that answers as `answer` says, with TLS if it has a certificate."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.answer: Answer = lambda handler: None
        self.asked = 0
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                camera.asked += 1
                with suppress(OSError):
                    camera.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.daemon_threads = True
        # A refused handshake is what some tests want.
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._scheme = "http" if certificate is None else "https"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def open(self, **options: object) -> FrameSource:
        url = f"{self._scheme}://{self.host}/door.cgi?secret=S3"
        data = {"name": "cam", "source": url, "read_deadline_s": 20.0, **options}
        return open_source(CameraConfig.model_validate(data))

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def web_camera() -> Iterator[Camera]:
    camera = Camera()
    yield camera
    camera.stop()


def greys(source: FrameSource, count: int) -> list[int]:
    """The mean grey of the next pictures, bad frames as -1."""
    found = []
    try:
        for _ in range(count):
            try:
                pixels = source.read()
            except BadFrameError:
                found.append(-1)
            else:
                assert pixels is not None
                assert pixels.shape == (48, 64, 3)
                found.append(round(float(pixels.mean())))
    finally:
        source.close()
    return found


def stream(
    handler: BaseHTTPRequestHandler,
    *,
    kind: str | None = "multipart/x-mixed-replace; boundary=f",
    boundary: bytes = b"--f\r\nContent-Type: image/jpeg\r\n",
    wrong: int | None = None,
    whole_length: int | None = None,
) -> None:
    handler.send_response(200)
    if kind is not None:
        handler.send_header("Content-Type", kind)
    if whole_length is not None:
        handler.send_header("Content-Length", str(whole_length))
    handler.end_headers()
    for jpeg in JPEGS * 2:
        length = b"" if wrong is None else b"Content-Length: %d\r\n" % (len(jpeg) + wrong)
        # As two packets, as some cameras do.
        handler.wfile.write(boundary + length + b"\r\n")
        handler.wfile.write(jpeg + b"\r\n")


ALL = [60, 120, 180]


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (stream, ALL),
        (lambda h: stream(h, wrong=0), ALL),
        (lambda h: stream(h, kind="multipart/x-mixed-replace"), ALL),
        (lambda h: stream(h, boundary=b"", kind="multipart/x-mixed-replace; boundary=zzz"), ALL),
        (lambda h: stream(h, boundary=b"", kind=None), ALL),
        (lambda h: stream(h, kind=None, wrong=-200), [-1, 60, -1, 120, -1, 180]),
        (lambda h: stream(h, kind="application/octet-stream"), ALL),
        (lambda h: stream(h, kind="video/x-motion-jpeg"), ALL),
        (lambda h: stream(h, whole_length=10), ALL),
        (lambda h: stream(h, whole_length=10**9), ALL),
        (lambda h: stream(h, wrong=-200), [-1, 60, -1, 120, -1, 180]),
        (lambda h: stream(h, wrong=200), [60, -1, 120, -1, 180]),
    ],
    ids=[
        *(
            "plain",
            "lengths",
            "boundary-not-named",
            "other-boundary",
            "no-type",
            "no-type-part-too-short",
            "octets",
            "motion",
        ),
        *("whole-too-short", "whole-too-long", "part-too-short", "part-too-long"),
    ],
)
def test_a_stream_is_read_whatever_it_says_of_its_lengths_and_boundaries(
    web_camera: Camera, answer: Answer, seen: list[int]
) -> None:
    web_camera.answer = answer
    assert greys(web_camera.open(), len(seen)) == seen


def test_doctor_is_not_put_off_by_a_bad_first_answer(web_camera: Camera) -> None:
    web_camera.answer = lambda h: stream(h, wrong=-200)
    config = CameraConfig(name="cam", source=f"http://{web_camera.host}")
    assert doctor.camera_size(config) == "64x48"


def test_a_picture_counts_though_its_camera_is_gone_before_anybody_looks(
    web_camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, gone, take = Intake.lost, threading.Event(), FrameExchange.take

    def lose(intake: Intake, failure: CameraError) -> None:
        lost(intake, failure)
        gone.set()

    def look_late(exchange: FrameExchange, timeout_s: float) -> list[Frame]:
        assert gone.wait(20)
        return take(exchange, timeout_s)

    monkeypatch.setattr(Intake, "lost", lose)
    monkeypatch.setattr(FrameExchange, "take", look_late)
    web_camera.answer = stream
    config = CameraConfig(name="cam", source=f"http://{web_camera.host}")
    assert doctor.camera_size(config) == "64x48"


def test_doctor_does_not_wait_for_ever_for_the_end_of_headers(
    web_camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oneglance.daemon.camera.reader.OPEN_GRACE_S", 0.0)
    done = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        while not done.wait(0.02):
            handler.wfile.write(b"H")

    web_camera.answer = answer
    source = f"http://{web_camera.host}"
    try:
        with pytest.raises(CameraError, match=r"no answer for 0\.2 s"):
            doctor.camera_size(CameraConfig(name="cam", source=source, read_deadline_s=0.2))
    finally:
        done.set()


def test_the_end_of_a_stream_is_told(web_camera: Camera) -> None:
    web_camera.answer = stream
    source = web_camera.open()
    with pytest.raises(CameraError, match="ended its stream"):
        greys(source, 7)


def snapshot(handler: BaseHTTPRequestHandler, jpeg: bytes, length: int) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Content-Type", "image/jpeg")
    handler.send_header("Content-Length", str(length))
    handler.end_headers()
    handler.wfile.write(jpeg)


@pytest.mark.parametrize("wrong", [0, -200, 200])
def test_a_camera_of_one_picture_an_answer_is_asked_again_and_again(
    web_camera: Camera, wrong: int
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        jpeg = JPEGS[web_camera.asked % 3]
        snapshot(handler, jpeg, len(jpeg) + wrong)

    web_camera.answer = answer
    assert greys(web_camera.open(poll_fps=30), 5) == [120, 180, 60, 120, 180]
    assert web_camera.asked == 5


@pytest.mark.parametrize("kind", ["application/octet-stream", "text/plain", None])
def test_a_snapshot_that_is_not_called_a_picture_is_asked_for_again(
    web_camera: Camera, kind: str | None
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        jpeg = JPEGS[web_camera.asked % 3]
        handler.send_response(200)
        if kind is not None:
            handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(jpeg)))
        handler.end_headers()
        handler.wfile.write(jpeg)

    web_camera.answer = answer
    assert greys(web_camera.open(poll_fps=30), 4) == [180, 60, 120, 180]


def test_a_snapshot_that_fails_now_and_then_is_a_bad_frame(web_camera: Camera) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if web_camera.asked == 2:
            handler.send_error(503)
        else:
            snapshot(handler, b"torn" if web_camera.asked == 3 else JPEGS[0], len(JPEGS[0]))

    web_camera.answer = answer
    assert greys(web_camera.open(poll_fps=30), 4) == [60, -1, -1, 60]


def test_a_snapshot_of_another_format_is_read(web_camera: Camera) -> None:
    png = bytes(cv2.imencode(".png", np.full((48, 64, 3), 90, np.uint8))[1])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "image/png")
        handler.end_headers()
        handler.wfile.write(png)

    web_camera.answer = answer
    assert greys(web_camera.open(poll_fps=30), 2) == [90, 90]


def test_snapshots_are_asked_for_at_their_rate() -> None:
    now_s, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))
        now_s[0] += seconds

    class Client:
        where = "cam"
        pieces = staticmethod(lambda _response: iter([JPEGS[0]]))
        get = staticmethod(lambda: Response())

    class Response:
        def close(self) -> None:
            # An answer takes a while, at one time longer than the pace.
            now_s[0] += 0.5 if len(slept) == 3 else 0.05

    source = Snapshots(
        Client(),  # type: ignore[arg-type]
        Response(),  # type: ignore[arg-type]
        5.0,
        clock_s=lambda: now_s[0],
        sleep=sleep,
    )
    for _ in range(5):
        assert source.read() is not None
    assert slept == [0.0, 0.15, 0.15, 0.0, 0.15]


def unauthorised(handler: BaseHTTPRequestHandler, *ways: str) -> None:
    handler.send_response(401)
    for way in ways:
        handler.send_header("WWW-Authenticate", way)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def digest(algorithm: str) -> Answer:
    hashed = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm]

    def h(text: str) -> str:
        return hashed(text.encode()).hexdigest()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        given = handler.headers.get("Authorization", "")
        assert not given.startswith("Basic"), "the password itself crossed the network"
        if not given:
            way = f'Digest realm="cam", nonce="n0", qop="auth", algorithm={algorithm}'
            unauthorised(handler, 'Basic realm="cam"', way)
            return
        said = {key: quoted or plain for key, quoted, plain in _SAID.findall(given)}
        ha1, ha2 = h(f"{USER}:cam:{PASSWORD}"), h(f"GET:{handler.path}")
        wanted = h(f"{ha1}:n0:{said['nc']}:{said['cnonce']}:auth:{ha2}")
        # What is on the line are bytes; to this server they look like Latin-1.
        user = said["username"].encode("latin-1").decode()
        if (said["response"], said["uri"], user) == (wanted, handler.path, USER):
            snapshot(handler, JPEGS[0], len(JPEGS[0]))
        else:
            unauthorised(handler, 'Digest realm="cam", nonce="n0", qop="auth"')

    return answer


_SAID = re.compile(r'(\w+)=(?:"([^"]*)"|([^,\s]+))')


def basic(handler: BaseHTTPRequestHandler) -> None:
    from base64 import b64encode

    wanted = "Basic " + b64encode(f"{USER}:p@ss/w#rd?ż".encode()).decode()
    if handler.headers.get("Authorization") == wanted:
        stream(handler)
    else:
        unauthorised(handler, 'Basic realm="cam"')


def password_file(tmp_path: Path, password: str) -> str:
    file = tmp_path / "camera.password"
    file.touch(0o600)
    file.write_text(password + "\n", encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_digest_login_is_answered_and_preferred(
    web_camera: Camera, algorithm: str, tmp_path: Path
) -> None:
    web_camera.answer = digest(algorithm)
    login = {"user": USER, "password_file": password_file(tmp_path, PASSWORD)}
    assert greys(web_camera.open(poll_fps=30, **login), 3) == [60, 60, 60]


@pytest.mark.parametrize("written", ["p@ss/w#rd?ż", "p%40ss%2Fw%23rd%3F%C5%BC"])
def test_a_basic_login_in_the_url_is_answered_or_the_way_out_said(
    web_camera: Camera, written: str
) -> None:
    web_camera.answer = basic
    source = f"http://{USER}:{written}@{web_camera.host}/1"
    if "%" in written:
        assert greys(web_camera.open(source=source), 3) == ALL
        return
    # As it stands, this names the host ss.
    with pytest.raises(CameraError, match="best given as 'password_file'") as caught:
        web_camera.open(source=source)
    assert "w#rd" not in str(caught.value)
    assert greys(web_camera.open(source=source.replace("p@ss", "p%40ss")), 3) == ALL


@pytest.mark.parametrize(
    ("answer", "login", "said"),
    [
        (basic, "", "asks for a user and a password"),
        (basic, "admin:S3@", "refuses this user and password"),
        (digest("MD5"), "admin:S3@", "refuses this user and password"),
        (lambda h: h.send_error(404), "", "nothing under this address"),
        (lambda h: h.send_error(403), "", "forbids this"),
        (lambda h: h.send_error(500), "", "status 500"),
        (lambda h: (h.send_response(302), h.end_headers())[0], "", "sends one to another address"),
        (lambda h: h.wfile.write(b"RTSP/1.0 200 OK\r\n\r\n"), "", "does not speak HTTP"),
        (lambda h: unauthorised(h, 'Digest realm="cam"'), "admin:S3@", "not understood"),
        (lambda _: None, "", "no connection"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_without_password_or_path(
    web_camera: Camera, answer: Answer, login: str, said: str
) -> None:
    web_camera.answer = answer
    with pytest.raises(CameraError, match=said) as caught:
        web_camera.open(source=f"http://{login}{web_camera.host}/S3?token=S3")
    assert caught.value.where == f"http://{web_camera.host}"
    assert caught.value.fix
    assert "S3" not in str(caught.value)


def test_a_camera_with_odd_headers_is_read_without_its_address_in_the_log(
    web_camera: Camera, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "image/jpeg")
        handler.end_headers()
        handler.wfile.write(JPEGS[0])

    def odd(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\nno colon\r\n\r\n")
        handler.wfile.write(JPEGS[0])

    caplog.set_level("DEBUG")
    for web_camera.answer in (answer, odd):
        assert greys(web_camera.open(poll_fps=30), 2) == [60, 60]
    assert "S3" not in caplog.text


def test_a_web_page_is_not_taken_for_a_camera(web_camera: Camera) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html; charset=utf-8")
        handler.end_headers()
        handler.wfile.write(b"<html>Please log in</html>")

    web_camera.answer = answer
    with pytest.raises(CameraError, match="a web page instead of pictures"):
        web_camera.open()


def test_a_video_over_http_is_left_to_ffmpeg_and_over_https_refused(
    web_camera: Camera, certificate: tuple[Path, Path, str], tmp_path: Path
) -> None:
    film = tmp_path / "film.ts"
    source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10", "-t", "1"]
    subprocess.run(["ffmpeg", "-loglevel", "error", *source, str(film)], check=True, timeout=60)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "video/mp2t")
        handler.end_headers()
        handler.wfile.write(film.read_bytes())

    web_camera.answer = answer
    assert len(greys(web_camera.open(), 3)) == 3
    assert web_camera.asked >= 2
    # FFmpeg believes any certificate.
    camera = Camera(certificate[:2])
    camera.answer = answer
    try:
        with pytest.raises(CameraError, match="no certificate is checked"):
            camera.open(tls_fingerprint=certificate[2])
        assert camera.asked == 1
    finally:
        camera.stop()


def test_a_camera_that_does_not_answer_is_told_by_its_deadline(web_camera: Camera) -> None:
    done = threading.Event()
    web_camera.answer = lambda _: done.wait(20) and None
    with pytest.raises(CameraError, match=r"no answer for 0\.2 s"):
        web_camera.open(read_deadline_s=0.2)
    done.set()


@pytest.mark.parametrize("kind", ["multipart/x-mixed-replace", "image/jpeg", ""])
def test_a_camera_that_sends_without_an_end_but_no_picture_is_told_by_its_deadline(
    web_camera: Camera, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()
    # Half a minute from one look at the clock to the next: no single read takes 20 s.
    clock = SimpleNamespace(monotonic=itertools.count(0.0, 30.0).__next__)
    monkeypatch.setattr(http_camera, "time", clock)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.end_headers()
        # A byte now and then keeps each single read alive.
        while not done.wait(0.02):
            handler.wfile.write(b".")

    web_camera.answer = answer
    try:
        with pytest.raises(CameraError, match=r"no whole picture for 20 s"):
            web_camera.open().read()
    finally:
        done.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A self-signed certificate for 127.0.0.1 and its key, as files; and its SHA-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "camera")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "camera.pem", folder / "camera.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return *files, made.fingerprint(hashes.SHA256()).hex()


def test_a_certificate_that_nobody_signed_counts_only_when_it_is_named(
    certificate: tuple[Path, Path, str],
) -> None:
    file, key, fingerprint = certificate
    camera = Camera((file, key))
    camera.answer = stream
    try:
        with pytest.raises(CameraError, match="is not trusted") as caught:
            camera.open()
        assert f"tls_fingerprint = '{fingerprint}'" in caught.value.fix
        shown = ":".join(re.findall("..", fingerprint.upper()))
        assert greys(camera.open(tls_fingerprint=shown), 3) == ALL
        assert greys(camera.open(tls_ca_file=file), 3) == ALL
        with pytest.raises(CameraError, match="not the one of 'tls_fingerprint'") as caught:
            camera.open(tls_fingerprint="00" * 32)
        assert fingerprint in caught.value.fix
    finally:
        camera.stop()


def test_files_of_a_camera_that_are_not_there_or_wrong_are_named(
    web_camera: Camera, tmp_path: Path
) -> None:
    https = f"https://{web_camera.host}/"
    for file, said in (("gone.pem", "No such file"), (__file__, "no certificate"), ("", "read")):
        where = str(tmp_path / file)
        with pytest.raises(CameraError, match=said) as caught:
            web_camera.open(source=https, tls_ca_file=where)
        assert caught.value.where == where
    for file, said in (("gone", "is missing"), (__file__, "can be read by others")):
        with pytest.raises(CameraError, match=said):
            web_camera.open(user="admin", password_file=str(tmp_path / file))


def test_what_speaks_no_tls_is_said(web_camera: Camera) -> None:
    with pytest.raises(CameraError, match="no secure connection") as caught:
        web_camera.open(source=f"https://{web_camera.host}/")
    assert "http://" in caught.value.fix
