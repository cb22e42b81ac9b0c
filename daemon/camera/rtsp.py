"""Why a stream cannot be opened: FFmpeg keeps that to itself, so its server is asked once more."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import socket
from email.message import Message
from io import BufferedReader
from urllib.parse import urlsplit
from urllib.request import parse_http_list, parse_keqv_list

from oneglance.daemon.camera.login import Login
from oneglance.daemon.camera.refused import refused
from oneglance.errors import CameraError

_PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935}
# All of it within the time that opening may take longer than a read (reader.OPEN_GRACE_S).
_TIMEOUT_S = 3.0
_MOST_BODY = 65_536


def why_not(url: str, login: Login | None, where: str) -> CameraError | None:
    """Why this stream, of a URL without a login, cannot be opened; None if that is unknown."""
    parts = urlsplit(url)
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if port is None:
        return None
    try:
        connection = socket.create_connection((parts.hostname or "", port), timeout=_TIMEOUT_S)
    except (OSError, UnicodeError):
        return CameraError(
            "the stream cannot be opened: no connection",
            where=where,
            fix="check its address and port, and whether it is on",
        )
    with connection, connection.makefile("rb") as answers:
        if parts.scheme != "rtsp":
            return None
        try:
            status = _status(connection, answers, url, login)
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return None
    if status == 200:
        return None
    if status is None:
        return CameraError(
            "what answers there does not speak RTSP",
            where=where,
            fix="check the port; a camera's web page and snapshots begin with http://",
        )
    return refused(status, with_login=login is not None, where=where)


def _status(
    connection: socket.socket, answers: BufferedReader, url: str, login: Login | None
) -> int | None:
    """What comes of asking what the stream is, if need be with the login; None if no RTSP."""
    connection.sendall(_question(url, 1, ""))
    status, headers = _answer_in(answers)
    if status == 401 and login is not None:
        challenges = headers.get_all("WWW-Authenticate", [])
        login_line = f"Authorization: {_authorization(challenges, url, login)}\r\n"
        connection.sendall(_question(url, 2, login_line))
        status, _ = _answer_in(answers)
    return status


def _question(url: str, number: int, more: str) -> bytes:
    return (
        f"DESCRIBE {url} RTSP/1.0\r\nCSeq: {number}\r\nAccept: application/sdp\r\n{more}\r\n"
    ).encode()


def _answer_in(answers: BufferedReader) -> tuple[int | None, Message]:
    line = re.match(rb"RTSP/\d\.\d (\d{3})\b", answers.readline(1024))
    if line is None:
        return None, Message()
    headers = http.client.parse_headers(answers)
    answers.read(min(int(headers.get("Content-Length", "0")), _MOST_BODY))
    return int(line[1]), headers


def _authorization(challenges: list[str], url: str, login: Login) -> str:
    """What logs in; KeyError if a challenge lacks something, ValueError if it is another kind."""
    digests = [each for each in challenges if each.lower().startswith("digest ")]
    if not digests:
        if any(each.lower().startswith("basic") for each in challenges):
            plain = f"{login.user}:{login.password}".encode()
            return f"Basic {base64.b64encode(plain).decode()}"
        raise ValueError("neither Digest nor Basic")
    # MD5 first: it is what FFmpeg speaks.
    digests.sort(key=lambda each: "sha-256" in each.lower())
    given = parse_keqv_list(parse_http_list(digests[0][len("digest ") :]))
    algorithm = given.get("algorithm", "MD5")

    def hashed(text: str) -> str:
        if algorithm.upper() == "SHA-256":
            return hashlib.sha256(text.encode()).hexdigest()
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    realm, nonce = given["realm"], given["nonce"]
    who = hashed(f"{login.user}:{realm}:{login.password}")
    what = hashed(f"DESCRIBE:{url}")
    said = f'username="{login.user}", realm="{realm}", nonce="{nonce}", uri="{url}"'
    if "auth" in given.get("qop", ""):
        said += ', qop=auth, nc=00000001, cnonce="0a4f113b"'
        response = hashed(f"{who}:{nonce}:00000001:0a4f113b:auth:{what}")
    else:
        response = hashed(f"{who}:{nonce}:{what}")
    if "algorithm" in given:
        said += f", algorithm={algorithm}"
    if "opaque" in given:
        said += f', opaque="{given["opaque"]}"'
    return f'Digest {said}, response="{response}"'
