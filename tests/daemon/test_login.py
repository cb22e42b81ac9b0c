from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from oneglance.daemon.camera.login import Login, split_login, with_login
from oneglance.errors import CameraError

ANY = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
REST = "192.168.1.4:554/cam/1?channel=2"


@given(ANY, ANY)
def test_a_login_written_with_escapes_comes_back_as_it_was(user: str, password: str) -> None:
    login = Login(user, password)
    assert split_login(with_login(f"rtsp://{REST}", login)) == (f"rtsp://{REST}", login)


@given(st.text("aZ7/?#:\\&=! $", min_size=1, max_size=10))
def test_a_password_that_is_written_as_it_is_is_understood(password: str) -> None:
    # Behind "admin:7" comes a path: without any @ this is a host and its port.
    assume(not password[0].isdecimal() and password[0] not in "/?#\\")
    assert split_login(f"rtsp://admin:{password}@{REST}") == (
        f"rtsp://{REST}",
        Login("admin", password),
    )


@pytest.mark.parametrize(
    ("url", "rest", "login"),
    [
        ("rtsp://cam/1", "rtsp://cam/1", None),
        ("http://cam/?mail=me@there", "http://cam/?mail=me@there", None),
        ("rtsp://a:b@cam/1", "rtsp://cam/1", Login("a", "b")),
        ("rtsp://a:p@ss@cam/1", "rtsp://cam/1", Login("a", "p@ss")),
        ("rtsp://a:p/ss#1?@cam:554/1", "rtsp://cam:554/1", Login("a", "p/ss#1?")),
        ("rtsp://a:p:w@[fe80::1]:554/1", "rtsp://[fe80::1]:554/1", Login("a", "p:w")),
        ("rtsp://a:100%25@cam/1", "rtsp://cam/1", Login("a", "100%")),
        ("rtsp://a:100%@cam/1", "rtsp://cam/1", Login("a", "100%")),
        ("rtsp://a@cam/1", "rtsp://cam/1", Login("a", "")),
    ],
)
def test_logins_are_taken_out_of_urls(url: str, rest: str, login: Login | None) -> None:
    assert split_login(url) == (rest, login)


def test_a_login_that_may_be_read_in_two_ways_is_refused_without_it() -> None:
    with pytest.raises(CameraError, match="not certain") as caught:
        split_login("rtsp://admin:hun/ter2@cam/x@hunter2")
    assert "hun" not in str(caught.value)
    assert "hun" not in repr(Login("admin", "hunter2"))
