"""`oneglance command`: ask the daemon for something, signed, and wait for its answer."""

from __future__ import annotations

import base64
import json
import queue
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneglance.cli.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from oneglance.config import Config
    from oneglance.contract.commands import Arg
    from oneglance.contract.messages import Reply
    from oneglance.link import Arrival

CONNECT_S = 10.0
# Plenty for a face, and several such pictures fit into one command.
PHOTO_PX = 640
PHOTO_QUALITY = 85


def command(
    verb: Annotated[str, typer.Argument(help="What to do, e.g. reload, list, rename, delete.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=VALUE]...",
            help="Its arguments. true and false are yes and no, NAME=@FILE is a photograph (made "
            "small enough), NAME:=JSON any other value. A name given twice makes a list.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="Sign with this key, ID.key; the configuration's unless given."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.5, max=600, help="Wait at most so long for the answer.")
    ] = 10.0,
    doors: Annotated[
        Path | None,
        typer.Option(
            help="Ask each door of the site that this file names, one a line.", show_default=False
        ),
    ] = None,
    left: Annotated[
        Path | None,
        typer.Option(
            help="With --doors: write into this file who has to be asked again.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a signed command to the daemon, and print its answer.

    It signs with the administrator's key (`[commands] key_file`), which must be in the daemon's
    keyring: docs/keys.md. docs/wire.md lists the verbs. Exit code 0 if it was done, 1
    if the daemon refused or did not answer, 69 if there is no broker.

    Examples: `oneglance command reload`,
    `oneglance command rename id=ada-lovelace name="Ada King"`,
    `oneglance command enrol name="Ada King" photos=@ada.jpg consent=true`,
    `oneglance command delete id=ada-lovelace --doors doors.txt --left silent.txt`
    """
    from oneglance.config import load_config
    from oneglance.contract.commands import open_writer
    from oneglance.contract.topics import Topics

    settings = load_config(config, "admin.toml")
    topics = Topics(settings.site.name, settings.site.door)
    topic = topics.command(verb)
    writer = open_writer(topics, key or settings.command_key_file)
    args = arguments_of(arguments or [])
    if "pin" in args:
        raise typer.BadParameter(
            "a PIN is never an argument: the shell keeps it, and everybody on this machine sees it."
            " Enter it at the screen"
        )
    if doors is not None:
        from oneglance.cli.command_many import ask_all, read_doors, tell

        def payload(at: Topics, answers: str) -> bytes:
            return open_writer(at, key or settings.command_key_file).write(verb, answers, **args)

        asker = _asker(settings)
        tell(ask_all(settings, verb, read_doors(doors), asker, payload, seconds), left, as_json)
        return
    if left is not None:
        raise typer.BadParameter("--left goes with --doors")
    reply = ask(settings, topic, lambda answers: writer.write(verb, answers, **args), seconds)
    if as_json:
        typer.echo(reply.to_payload().decode())
    else:
        from oneglance.cli.wire_text import safe

        lines = [safe(line, len(line)) for line in reply.text.splitlines()]
        typer.echo("\n".join(lines) if reply.ok else f"{safe(reply.code)}: {' '.join(lines)}")
    if not reply.ok:
        raise typer.Exit(1)


def ask(settings: Config, topic: str, payload: Callable[[str], bytes], seconds: float) -> Reply:
    """Send `payload(response topic)` and wait for the answer.

    Raises BrokerError, or OneglanceError if none comes.
    """
    from oneglance.contract.messages import Reply, parse
    from oneglance.contract.topics import Topics
    from oneglance.errors import BrokerError, OneglanceError
    from oneglance.link import Link

    answers = Topics(settings.site.name, settings.site.door).reply(_asker(settings))
    number = secrets.token_bytes(8)
    heard: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
    link = Link(
        settings.mqtt,
        f"oneglance-command-{number.hex()}",
        subscriptions=((answers, 1),),
        on_message=heard.put,
    )
    link.start()
    try:
        link.must_connect(CONNECT_S)
        link.check_heard()
        # Not before: what waits for a connection would expire.
        link.publish(topic, payload(answers), qos=1, response_topic=answers, correlation=number)
        deadline_s = time.monotonic() + seconds
        while (left_s := deadline_s - time.monotonic()) > 0:
            if link.publishes_refused:
                raise BrokerError(
                    "the broker does not pass it on", where=topic, fix="check its ACL"
                )
            try:
                arrival = heard.get(timeout=min(0.2, left_s))
            except queue.Empty:
                continue
            if arrival.correlation == number and not arrival.retained:
                return parse(arrival.payload, Reply, answers)
    finally:
        link.stop()
    raise OneglanceError(
        f"the daemon did not answer within {seconds:g} s",
        where=topic,
        fix="does it run? 'oneglance watch' shows what it says",
    )


def _asker(settings: Config) -> str:
    """Under whose name to ask: the ACL lets each user read only the answers to its own."""
    from oneglance.topic_level import LEVEL_PATTERN

    user = settings.mqtt.user or ""
    return user if re.fullmatch(LEVEL_PATTERN, user) else "command"


def arguments_of(words: list[str]) -> dict[str, Arg]:
    """The arguments given as NAME=VALUE; raises typer.BadParameter for anything else."""
    arguments: dict[str, Arg] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.strip(":"):
            raise typer.BadParameter(f"{word!r} is not NAME=VALUE")
        value = _json(name, text) if name.endswith(":") else _value(text)
        name = name.removesuffix(":")
        if name in arguments:
            before = arguments[name]
            if not isinstance(value, str) or not isinstance(before, (str, tuple)):
                raise typer.BadParameter(f"{name!r} stands twice, and is no text")
            value = (*((before,) if isinstance(before, str) else before), value)
        arguments[name] = value
    return arguments


def _value(text: str) -> Arg:
    if text in {"true", "false"}:
        return text == "true"
    return _photograph(Path(text[1:])) if text.startswith("@") else text


def _json(name: str, text: str) -> Arg:
    try:
        value = json.loads(text)
    except ValueError:
        raise typer.BadParameter(f"{name}={text!r}: no JSON stands after ':='") from None
    if isinstance(value, dict):
        raise typer.BadParameter(f"{name}={text!r}: an argument is no object")
    return tuple(value) if isinstance(value, list) else value


def _photograph(file: Path) -> str:
    """The base64 of a JPEG of at most PHOTO_PX on its longer side, without the file's EXIF data."""
    import cv2

    from oneglance.faces.reader import load_image

    image: cv2.typing.MatLike = load_image(file)
    scale = PHOTO_PX / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, PHOTO_QUALITY])
    return base64.b64encode(data.tobytes()).decode()
