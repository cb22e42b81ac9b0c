"""User and password of a camera's URL, whatever characters are in them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from oneglance.errors import CameraError

# A name or IPv4 address, or an IPv6 address in brackets; then a port.
HOST = re.compile(r"([a-z0-9][a-z0-9._-]*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)
_AUTHORITY_END = re.compile(r"[/?#\\]")


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks a camera for its pictures."""

    user: str
    password: str = field(repr=False)


def split_login(url: str) -> tuple[str, Login | None]:
    """The URL without what logs in, and that, decoded; None if there is none.

    A password may hold any character, written as it is or as %XX, as long as only one reading of
    the URL names a host. Raises CameraError, without a word of the URL, if that is not certain.
    """
    scheme, _, rest = url.partition("://")
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    place = len(authority.rpartition("@")[0])
    if "@" in authority and HOST.fullmatch(authority[place + 1 :]):
        return _split(scheme, rest, place)
    if "@" not in authority and HOST.fullmatch(authority):
        return url, None
    ats = [place for place, character in enumerate(rest) if character == "@"]
    hosts = [at for at in ats if HOST.fullmatch(_AUTHORITY_END.split(rest[at + 1 :])[0])]
    if len(hosts) == 1:
        return _split(scheme, rest, hosts[0])
    raise CameraError(
        "it is not certain which part of the URL is the host",
        where=f"{scheme}://...",
        fix="give the login as 'user' and 'password_file' beside 'source', or write each of"
        " / ? # @ : % in the password as %2F %3F %23 %40 %3A %25",
    )


def with_login(url: str, login: Login | None) -> str:
    """The URL with the login in it, each special character as %XX."""
    if login is None:
        return url
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{quote(login.user, safe='')}:{quote(login.password, safe='')}@{rest}"


def _split(scheme: str, rest: str, at: int) -> tuple[str, Login]:
    user, _, password = rest[:at].partition(":")
    return f"{scheme}://{rest[at + 1 :]}", Login(unquote(user), unquote(password))
