"""Cameras plugged into this machine, and the names that stay theirs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from oneglance.config import CameraConfig
from oneglance.errors import ConfigError

# What udev calls each: by its maker and serial number, and by its socket.
BY_ID, BY_PATH = Path("/dev/v4l/by-id"), Path("/dev/v4l/by-path")


def device_path(source: str | int) -> Path | None:
    """The device that a source names by index, path or link; None for any other source."""
    text = str(source)
    if text.isdecimal():
        return Path(f"/dev/video{int(text)}")
    if not text.startswith("/dev/"):
        return None
    try:
        return Path(text).resolve()
    except (OSError, RuntimeError):
        return Path(text)


def is_same_source(one: str | int, other: str | int) -> bool:
    """Whether two sources are one: written alike, or the same device under two names."""
    device = device_path(one)
    return str(one) == str(other) or (device is not None and device == device_path(other))


def check_distinct(cameras: Sequence[CameraConfig]) -> None:
    """Raise ConfigError that names two cameras with one device: only one of them can have it."""
    for one, other in combinations(cameras, 2):
        if device_path(one.source) is not None and is_same_source(one.source, other.source):
            raise ConfigError(
                f"cameras {one.name!r} and {other.name!r} are the same device"
                f" ({one.source} and {other.source})",
                where="camera",
                fix="give each its own, or remove one",
            )


def lasting_name(source: str | int, folders: Sequence[Path] = (BY_ID, BY_PATH)) -> Path | None:
    """The name that a device keeps when others are plugged in or the machine restarts.

    None if it has none, or if `source` is that name already, or not a device.
    """
    text = str(source)
    device = device_path(source)
    folders = _that_last(folders)
    if device is None or Path(text).parent in folders:
        return None
    for folder in folders:
        try:
            links = sorted(folder.iterdir())
        except OSError:
            continue
        for link in links:
            if link.resolve() == device:
                return link
    return None


def plugged_in(
    folders: Sequence[Path] = (BY_ID, BY_PATH), devices: Path = Path("/dev")
) -> list[Path]:
    """The cameras of this machine, by the name that lasts longest.

    Of a camera that has several devices the first, which is the one that gives pictures.
    """
    found: dict[Path, Path] = {}
    for folder in _that_last(folders):
        for link in sorted(folder.glob("*-video-index0")):
            found.setdefault(link.resolve(), link)
    return list(found.values()) or sorted(devices.glob("video[0-9]"))


def _that_last(folders: Sequence[Path]) -> Sequence[Path]:
    """Without the first, by-id, where two cameras of one make have no serial number.

    They share one name there, which may be the other's after the next start: a camera in a USB
    socket that has no name is known by it.
    """
    by_id, *others = folders
    named = {link.resolve() for link in by_id.glob("*")}
    sockets = [link for folder in others for link in folder.glob("*usb*")]
    return others if any(link.resolve() not in named for link in sockets) and named else folders
