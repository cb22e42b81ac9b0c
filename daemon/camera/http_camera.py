"""Cameras that speak HTTP: a stream of JPEG pictures, or one picture an answer."""

from __future__ import annotations

import hashlib
import http.client
import logging
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import requests
import requests.adapters
import requests.auth
import requests.exceptions
import urllib3.exceptions
from numpy.typing import NDArray

from oneglance.config import CameraConfig
from oneglance.daemon.camera.frame_source import BadFrameError, FrameSource
from oneglance.daemon.camera.health import is_sane
from oneglance.daemon.camera.jpegs import MAX_JPEG_BYTES, JpegSplitter
from oneglance.daemon.camera.login import Login
from oneglance.daemon.camera.refused import refused
from oneglance.errors import CameraError, ImageError
from oneglance.faces.decode import decode

# It logs whole addresses, with whatever password a maker puts there, at each odd header.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

_CHUNK = 65_536
_JPEG = b"\xff\xd8\xff"
# Where the first picture begins at the latest, in a stream that does not say what it is.
_HEADERS = 1024
_MOTION_JPEG = {"video/x-motion-jpeg", "video/x-mjpeg", "video/mjpeg"}
_OWN_END = {"image/jpeg", "image/jpg", "image/pjpeg"}
_READ_FAILURES = (urllib3.exceptions.HTTPError, requests.RequestException, OSError, ValueError)


def open_http(
    url: str, login: Login | None, config: CameraConfig, where: str
) -> FrameSource | None:
    """The camera at this URL; None if what it sends is neither JPEG pictures nor a web page.

    Raises CameraError that says what is wrong, without URL or password.
    """
    client = _Client(url, login, config, where)
    response = client.get()
    kind = _kind(response)
    if kind.startswith("multipart/"):
        return _Mjpeg(client, response, b"")
    if kind.startswith("image/"):
        return Snapshots(client, response, config.poll_fps)
    begins = b"" if kind.startswith(("video/", "audio/")) else client.beginning(response)
    if begins.startswith(_JPEG) and _is_one_picture(response):
        # Whatever it calls it: octet-stream, text, nothing at all.
        response.close()
        return Snapshots(client, client.get(), config.poll_fps)
    if _JPEG in begins[:_HEADERS] or kind in _MOTION_JPEG:
        return _Mjpeg(client, response, begins)
    response.close()
    client.close()
    if kind == "text/html":
        raise CameraError(
            "the camera answers with a web page instead of pictures",
            where=where,
            fix="give the address of its stream or of its snapshot: see its manual",
        )
    if url.lower().startswith("https://"):
        # FFmpeg would open it anew, and believe any certificate.
        raise CameraError(
            "the camera sends no JPEG pictures, and of other video no certificate is checked",
            where=where,
            fix="give the address of its MJPEG stream or of its snapshot: see its manual",
        )
    return None


class _Pinned(requests.adapters.HTTPAdapter):
    """Trusts the one certificate of this fingerprint, whoever signed it and for what name."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, assert_fingerprint=self._fingerprint, **kwargs)


class _Digest(requests.auth.HTTPDigestAuth):
    """With a user's name of any characters, and a line for a camera that forgets what it needs."""

    def build_digest_header(self, method: str, url: str) -> str | None:
        try:
            header = super().build_digest_header(method, url)
        except KeyError:
            raise requests.exceptions.InvalidHeader("no realm or nonce") from None
        # What is sent as Latin-1 is then UTF-8.
        return None if header is None else header.encode().decode("latin-1")


class _Client:
    """Asks one camera, and says in one line what went wrong."""

    def __init__(self, url: str, login: Login | None, config: CameraConfig, where: str) -> None:
        self.where = where
        self._url = url
        self._login = login
        self._deadline_s = config.read_deadline_s
        self._auth: requests.auth.AuthBase | None = None
        self._session = requests.Session()
        # A camera is in this house: neither a proxy nor ~/.netrc has to do with it.
        self._session.trust_env = False
        if config.tls_fingerprint is not None:
            self._session.mount("https://", _Pinned(config.tls_fingerprint))
            self._session.verify = False
        elif config.tls_ca_file is not None:
            self._session.verify = _authorities(config.tls_ca_file)

    def get(self) -> requests.Response:
        """An answer with pictures in it, whose body is still to be read. Raises CameraError."""
        response = self._ask()
        if response.status_code == requests.codes.unauthorized and self._login is not None:
            offered = response.headers.get("WWW-Authenticate", "").lower()
            response.close()
            # Digest where there is a choice: it does not send the password itself.
            user, password = self._login.user, self._login.password
            self._auth = (
                _Digest(user, password)
                if "digest" in offered
                else requests.auth.HTTPBasicAuth(user.encode(), password.encode())
            )
            response = self._ask()
        if response.status_code == requests.codes.ok:
            if _kind(response) in _OWN_END or _kind(response).startswith("multipart/"):
                _forget_length(response)
            return response
        response.close()
        raise refused(response.status_code, with_login=self._login is not None, where=self.where)

    def pieces(self, response: requests.Response) -> Iterator[bytes]:
        """The parts of the body as they come, to its end.

        Raises CameraError, also if the body goes on without a picture in it: a caller that sees one
        stops asking.
        """
        until_s = time.monotonic() + self._deadline_s
        while True:
            try:
                data: bytes = response.raw.read1(_CHUNK, decode_content=True)
            except _READ_FAILURES:
                raise CameraError("the camera broke off", where=self.where) from None
            if not data:
                return
            yield data
            if time.monotonic() > until_s:
                raise CameraError(
                    f"no whole picture for {self._deadline_s:g} s",
                    where=self.where,
                    fix="check its network, and what it sends",
                )

    def beginning(self, response: requests.Response) -> bytes:
        """As much of the body as tells whether a JPEG picture is in it. Raises CameraError."""
        begins = b""
        for data in self.pieces(response):
            begins += data
            if len(begins) >= _HEADERS or _JPEG in begins:
                break
        return begins

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _ask(self) -> requests.Response:
        try:
            return self._session.get(
                self._url,
                stream=True,
                timeout=self._deadline_s,
                auth=self._auth,
                allow_redirects=False,
                headers={"Connection": "close"},
            )
        except requests.exceptions.SSLError as error:
            raise self._untrusted(error) from None
        except requests.exceptions.Timeout:
            raise CameraError(
                f"no answer for {self._deadline_s:g} s",
                where=self.where,
                fix="check its address, cable and network",
            ) from None
        except requests.exceptions.ConnectionError as error:
            if _is_no_http(error):
                raise CameraError(
                    "what answers there does not speak HTTP",
                    where=self.where,
                    fix="check the port; a stream at port 554 begins with rtsp://",
                ) from None
            raise CameraError(
                "the stream cannot be opened: no connection",
                where=self.where,
                fix="check its address and port, and whether it is on",
            ) from None
        except _READ_FAILURES:
            raise CameraError(
                "the stream cannot be opened: its answer or its address is not understood",
                where=self.where,
                fix="check its address",
            ) from None

    def _untrusted(self, error: requests.exceptions.SSLError) -> CameraError:
        parts = urlsplit(self._url)
        try:
            address = (parts.hostname or "", parts.port or 443)
            certificate = ssl.get_server_certificate(address, timeout=self._deadline_s)
        except (OSError, ValueError):
            return CameraError(
                "no secure connection", where=self.where, fix="does it speak http:// instead?"
            )
        fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()
        if "Fingerprints did not match" in str(error):
            return CameraError(
                "the camera's certificate is not the one of 'tls_fingerprint'",
                where=self.where,
                fix=f"if the camera got a new one: it has {fingerprint}",
            )
        return CameraError(
            "the camera's certificate is not trusted (self-signed, expired, or for another name)",
            where=self.where,
            fix=f"if its own page shows the same: tls_fingerprint = '{fingerprint}'; or give the"
            " authority that signed it as 'tls_ca_file'",
        )


def _authorities(file: Path) -> str:
    """The file's name, if there are certificates in it: requests would not say that there are not.

    Raises CameraError.
    """
    where = str(file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(where)
    except ssl.SSLError:
        raise CameraError(
            "'tls_ca_file' holds no certificate",
            where=where,
            fix="it begins with -----BEGIN CERTIFICATE-----",
        ) from None
    except OSError as error:
        raise CameraError(
            f"cannot read 'tls_ca_file': {error.strerror}", where=where, fix="check its path"
        ) from None
    return where


def _is_no_http(error: requests.exceptions.ConnectionError) -> bool:
    """Whether somebody was there and answered."""
    aborted = error.args[0] if error.args else None
    why = aborted.args[-1] if isinstance(aborted, urllib3.exceptions.ProtocolError) else None
    # One that hangs up without a word is an OSError as well.
    return isinstance(why, http.client.HTTPException) and not isinstance(why, OSError)


def _kind(response: requests.Response) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _is_one_picture(response: requests.Response) -> bool:
    """Whether the body is said to end, and so soon that it is no stream."""
    length = response.headers.get("Content-Length", "")
    return len(length) <= 9 and length.isdecimal() and int(length) <= MAX_JPEG_BYTES


def _forget_length(response: requests.Response) -> None:
    """Do not believe what length is declared for the body: its pictures have ends of their own."""
    response.raw.length_remaining = None
    http_client = getattr(response.raw, "_fp", None)
    if http_client is not None:
        http_client.length = None


def _picture(data: bytes, where: str) -> NDArray[np.uint8]:
    try:
        pixels = decode(data, where)
    except ImageError as error:
        raise BadFrameError(
            f"the camera sends what is no picture: {error.what}", where=where
        ) from None
    if not is_sane(pixels):
        height, width = pixels.shape[:2]
        raise BadFrameError(f"the camera gives pictures of {width} x {height}", where=where)
    return pixels


class _Mjpeg:
    """A stream of JPEG pictures, with whatever between them."""

    fps: float | None = None

    def __init__(self, client: _Client, response: requests.Response, begins: bytes) -> None:
        self._client = client
        self._response = response
        self._splitter = JpegSplitter()
        self._waiting = deque(self._splitter.feed(begins))

    def read(self) -> NDArray[np.uint8] | None:
        if not self._waiting:
            for data in self._client.pieces(self._response):
                self._waiting += self._splitter.feed(data)
                if self._waiting:
                    break
            else:
                raise CameraError("the camera ended its stream", where=self._client.where)
        jpeg = self._waiting.popleft()
        if jpeg is None:
            raise BadFrameError("the camera tears its pictures", where=self._client.where)
        return _picture(jpeg, self._client.where)

    def close(self) -> None:
        self._response.close()
        self._client.close()


class Snapshots:
    """A camera that gives one picture an answer, asked `fps` times a second."""

    fps: float | None = None

    def __init__(
        self,
        client: _Client,
        first: requests.Response,
        poll_fps: float,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._first: requests.Response | None = first
        self._every_s = 1 / poll_fps
        self._clock_s = clock_s
        self._sleep = sleep
        self._due_s = clock_s()

    def read(self) -> NDArray[np.uint8] | None:
        """The next picture, when it is due."""
        self._sleep(min(max(0.0, self._due_s - self._clock_s()), self._every_s))
        self._due_s = self._clock_s() + self._every_s
        response, self._first = self._first, None
        try:
            return _picture(self._body(response or self._client.get()), self._client.where)
        except BadFrameError:
            raise
        except CameraError as error:
            raise BadFrameError(error.what, where=error.where, fix=error.fix) from None

    def _body(self, response: requests.Response) -> bytes:
        """Until a JPEG picture is whole, or the body ends."""
        splitter, body = JpegSplitter(), b""
        try:
            for data in self._client.pieces(response):
                body += data
                for jpeg in splitter.feed(data):
                    if jpeg is not None:
                        return jpeg
                if len(body) > MAX_JPEG_BYTES:
                    break
        finally:
            response.close()
        return body

    def close(self) -> None:
        """End the connection."""
        if self._first is not None:
            self._first.close()
        self._client.close()
