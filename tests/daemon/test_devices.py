"""Cameras plugged into this machine keep their names, and none is taken twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneglance.cli.init import init
from oneglance.config import CameraConfig, load_config
from oneglance.daemon.app import Daemon
from oneglance.daemon.camera import devices
from oneglance.daemon.camera.devices import is_same_source, lasting_name, plugged_in
from oneglance.errors import ConfigError


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """What udev makes of two cameras, of which only the second has a serial number."""
    by_id, by_path = tmp_path / "by-id", tmp_path / "by-path"
    for folder, links in (
        (by_id, {"usb-Maker_Cam_1234-video-index0": "video2"}),
        (by_path, {"platform-csi-video-index0": "video0", "pci-usb-0:2-video-index0": "video2"}),
    ):
        folder.mkdir()
        for name, device in links.items():
            (folder / name).symlink_to(Path("/dev") / device)
    return by_id, by_path


def test_a_device_is_known_by_its_serial_number_else_by_its_socket(
    folders: tuple[Path, Path],
) -> None:
    by_id, by_path = folders
    assert lasting_name(2, folders) == by_id / "usb-Maker_Cam_1234-video-index0"
    assert lasting_name("/dev/video0", folders) == by_path / "platform-csi-video-index0"
    for source in (1, "rtsp://cam/1", "film.mp4", str(by_path / "platform-csi-video-index0")):
        assert lasting_name(source, folders) is None
    assert lasting_name(2, (Path("/nowhere"),)) is None


def test_two_of_one_make_without_serial_numbers_are_known_by_their_sockets(
    folders: tuple[Path, Path],
) -> None:
    by_id, by_path = folders
    assert plugged_in(folders) == [
        by_id / "usb-Maker_Cam_1234-video-index0",
        by_path / "platform-csi-video-index0",
    ]
    # The other one's link of the same name was overwritten.
    (by_path / "pci-usb-0:3-video-index0").symlink_to("/dev/video4")
    for source, socket in ((2, "0:2"), (4, "0:3")):
        assert lasting_name(source, folders) == by_path / f"pci-usb-{socket}-video-index0"
    assert plugged_in(folders) == sorted(by_path.iterdir())


def test_one_device_has_many_names() -> None:
    assert is_same_source(0, "/dev/video0")
    assert is_same_source("07", 7)
    # /dev/stdin is a link, as what stands in /dev/v4l/by-id is.
    assert is_same_source("/dev/stdin", "/dev/fd/0")
    assert not is_same_source(0, 1)
    assert is_same_source("rtsp://cam/1", "rtsp://cam/1")
    assert not is_same_source("rtsp://cam/1", "rtsp://cam/2")


def test_two_cameras_of_one_device_are_refused_by_name(house: object) -> None:
    cameras = [CameraConfig(name=name, source=s) for name, s in (("a", 0), ("b", "/dev/video0"))]
    config = house("x.mp4").model_copy(update={"camera": tuple(cameras)})  # type: ignore[operator]
    with pytest.raises(ConfigError, match=r"cameras 'a' and 'b' are the same device \(0 and"):
        Daemon(config)
    # A network camera may be asked twice.
    twice = [CameraConfig(name=name, source="rtsp://cam/1") for name in "ab"]
    Daemon(config.model_copy(update={"camera": tuple(twice)}))


def test_a_new_door_takes_the_name_that_lasts(
    tmp_path: Path, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices.lasting_name, "__defaults__", (folders,))
    for number, source in ((2, str(folders[0] / "usb-Maker_Cam_1234-video-index0")), (7, "7")):
        folder = tmp_path / f"door{number}"
        init(folder, None, "home", "front", str(number))
        assert str(load_config(folder / "oneglance.toml").camera[0].source) == source
