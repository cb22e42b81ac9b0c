"""One error root, a subclass a layer: each says what is wrong, where, and what to do."""

from __future__ import annotations

import errno

_NO_RIGHT = "try it with sudo, or as the user it belongs to"
_OS_FIXES = {
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EIO: "look after the disk: 'dmesg' says more",
    errno.EISDIR: "name a file, not a folder",
    errno.ENOSPC: "make room on the disk",
    errno.EROFS: "what is mounted there can only be read: name another place",
}


def os_fix(error: OSError) -> str:
    """What to do where the operating system refused a file; empty if only it can tell."""
    return _OS_FIXES.get(error.errno or 0, "")


class OneglanceError(Exception):
    """Base of every error that a user is meant to read.

    `what` went wrong, `where` (a file, a topic, a camera; may be empty) and what to do about it
    (`fix`; may be empty). `exit_code` is what the command line ends with: one of sysexits(3), as
    systemd takes the low ones (4: "no permission") for causes of its own; see docs/daemon.md.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(what, where, fix)

    def __str__(self) -> str:
        """One line: `where: what. fix`. What a hostile message put in cannot drive a terminal."""
        line = f"{self.where}: {self.what}" if self.where else self.what
        line = f"{line}. {self.fix}" if self.fix else line
        return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


class ConfigError(OneglanceError):
    """The configuration, a key file or a recipe cannot be used."""

    exit_code = 78


class StateError(ConfigError):
    """What a service keeps on disk cannot be read or written now: a full disk, a wrong owner.

    Unlike another mistake in the configuration it may mend without a change there.
    """

    exit_code = 73


class CameraError(OneglanceError):
    """A camera, stream, video or image folder cannot be opened or read."""

    exit_code = 66


class ModelError(OneglanceError):
    """A model file, manifest or cascade is missing, changed or unfit."""

    exit_code = 72


class GalleryError(OneglanceError):
    """The gallery cannot be opened, read or changed."""

    exit_code = 67


class BrokerError(OneglanceError):
    """The MQTT broker cannot be reached, or (`refused`) it turned us away."""

    exit_code = 69

    def __init__(self, what: str, *, where: str = "", fix: str = "", refused: bool = False) -> None:
        super().__init__(what, where=where, fix=fix)
        self.refused = refused


class MessageError(OneglanceError):
    """A message is malformed, unsigned, stale or not meant for us."""

    exit_code = 76


class ImageError(OneglanceError):
    """A picture cannot be read, or does not show exactly one usable face."""

    exit_code = 65


class MissingPartError(OneglanceError):
    """An optional part of oneglance (an extra) is not installed."""

    exit_code = 70


class AuditError(OneglanceError):
    """The audit log cannot be read or written, or is not as it was written."""

    exit_code = 74


class TamperedError(AuditError):
    """An entry of the audit log was altered, removed, moved or inserted."""

    exit_code = 77
