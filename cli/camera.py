"""`oneglance camera`: see what the door sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneglance.cli.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from oneglance.config import CameraConfig

PICTURE_NAME = "camera.png"
# What a camera needs before its light and its picture have settled.
SETTLING_FRAMES = 10

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Cameras: what they see.",
)


@app.callback()
def camera() -> None:
    """Cameras: what they see."""


@app.command()
def show(
    name: Annotated[
        str | None,
        typer.Argument(
            help="The camera's name in the configuration, or any source (0, a URL, a film);"
            " the first one configured unless given.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to write the picture, as PNG.")] = Path(
        PICTURE_NAME
    ),
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one picture as the door sees it: rotated, flipped and cropped as configured.

    Also says how large the picture and the faces in it are and, if there is no face, whether there
    would be one if the picture were turned. The picture shows people, and only you may read it.

    Example: `oneglance camera show front --out front.png`
    """
    from oneglance.daemon.camera.sources import shown_name

    chosen = _chosen(name, config)
    pixels = early_picture(chosen, SETTLING_FRAMES)
    picture_file(out, pixels)
    height, width = pixels.shape[:2]
    faces_px, turn_deg = faces_in(pixels)
    fault = _fault(pixels)
    if as_json:
        answer = {
            "camera": chosen.name,
            "source": shown_name(chosen.source),
            "width": width,
            "height": height,
            "faces_px": faces_px,
            "turn_deg": turn_deg,
            "fault": fault or None,
            "picture": str(out),
        }
        typer.echo(json.dumps(answer))
        return
    typer.echo(f"{chosen.name} ({shown_name(chosen.source)}): {width} x {height}, in {out}")
    if faces_px:
        typer.echo(f"faces: {', '.join(f'{px} px wide' for px in faces_px)}")
    elif turn_deg:
        rotate = (chosen.rotate + turn_deg) % 360
        typer.echo(f"no face; turned by {turn_deg} degrees there is one: try rotate = {rotate}")
    else:
        typer.echo("no face in it")
    if fault:
        typer.echo(fault)


def _chosen(name: str | None, config: Path | None) -> CameraConfig:
    from oneglance.cli.camera_source import camera_config
    from oneglance.cli.options import optional_config
    from oneglance.errors import ConfigError

    settings = optional_config(config)
    if name is not None:
        return camera_config(name, settings.camera)
    if not settings.camera:
        raise ConfigError(
            "no camera is configured", where="camera", fix="add a [[camera]], or name a source"
        )
    return settings.camera[0]


def early_picture(config: CameraConfig, count: int) -> NDArray[np.uint8]:
    """The last of the camera's first `count` pictures, uint8 (H, W, 3) BGR.

    Read as the daemon reads it: bad pictures are skipped, and a camera that hangs is given up.
    Raises CameraError if it gives none in time.
    """
    from oneglance.daemon.camera.camera import Camera
    from oneglance.daemon.camera.frames import FrameExchange
    from oneglance.daemon.camera.intake import CameraState
    from oneglance.errors import CameraError

    exchange = FrameExchange((config.name,), keep_lost=True)
    camera = Camera(config, exchange[config.name])
    newest = None
    camera.start()
    try:
        while count > 0:
            # Asked before: then what is not there by now never comes.
            ended = camera.state is CameraState.ENDED
            lost = camera.state is CameraState.LOST
            frames = exchange.take(0.2)
            camera.watch()
            newest = frames[-1].pixels if frames else newest
            if newest is None and lost and camera.failure is not None:
                raise camera.failure
            if ended and not frames:
                break
            # A picture that is repeated is not handed on again.
            count -= newest is not None
    finally:
        camera.stop()
    if newest is None:
        raise CameraError("the camera gives no pictures", where=f"camera {config.name}")
    return newest


def picture_file(out: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a picture, uint8 (H, W, 3) BGR, as a PNG that only this user may read."""
    import cv2

    from oneglance.cli.private_file import write_private

    write_private(out, cv2.imencode(".png", pixels)[1].tobytes(), "--out")


def faces_in(pixels: NDArray[np.uint8]) -> tuple[list[int], int]:
    """The faces' widths in px; without a face, how far clockwise to turn the picture to see one."""
    from oneglance.faces.find.detect import FaceDetector
    from oneglance.faces.model.face_model import load_model
    from oneglance.faces.reader import find_faces, upright

    detector, model = FaceDetector(), load_model()
    boxes = find_faces(pixels, detector, model)
    if boxes:
        return [round(box.width) for box in boxes], 0
    found = upright(pixels, detector, model)
    return [], 0 if found is None else found[1]


def _fault(pixels: NDArray[np.uint8]) -> str:
    from oneglance.daemon.camera.health import is_dark

    return "it is black: is there a cap on the lens, or no light?" if is_dark(pixels) else ""
