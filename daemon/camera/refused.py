"""The meaning of a camera's refusal: the status codes that HTTP and RTSP share. Pure."""

from __future__ import annotations

from oneglance.errors import CameraError


def refused(status: int, *, with_login: bool, where: str) -> CameraError:
    """The error for a camera that answers with this status, asked with or without a login."""
    what, fix = f"the camera answers with status {status}", "check its address"
    if status == 401:
        what = "the camera refuses this user and password"
        fix = "check them; some cameras lock themselves for minutes after wrong ones"
        if not with_login:
            what = "the camera asks for a user and a password"
            fix = "give them as 'user' and 'password_file' beside 'source'"
    elif status == 403:
        what, fix = "the camera forbids this (status 403)", "give its user the right to watch"
    elif status == 404:
        what = "the camera has nothing under this address (status 404)"
        fix = "check what stands behind its host in 'source': see its manual"
    elif 300 <= status < 400:
        what = f"the camera sends one to another address (status {status})"
        fix = "give that one as 'source', often the same with https://"
    elif status == 453 or status >= 500:
        what = f"the camera has no pictures to give now (status {status})"
        fix = "it may serve too many already, or wait itself for the camera that it restreams"
    return CameraError(what, where=where, fix=fix)
