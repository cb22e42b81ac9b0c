"""The tour's second half: what is touched at the screen, answered by a simulated daemon.

The kiosk is `tests/daemon/kiosk_hands.py`: the real one, in whose window fingers and keys are
injected as a panel's driver would. Commands, answers and sealed pictures go over the real broker.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.cli.photos import photo_folder, photos_ready
from oneglance.config import MqttConfig
from oneglance.contract.messages import FaceBox, Reply
from oneglance.contract.preview import MAX_JPEG_BYTES, VERB, Picture, PreviewSender, half_of
from oneglance.contract.signing import sign
from oneglance.contract.topics import Topics
from oneglance.kiosk_ui.admin_attempts import FREE
from oneglance.kiosk_ui.admin_secret import AdminKey, Cost, sealed, write
from oneglance.kiosk_ui.language import language
from oneglance.kiosk_ui.pad_keys import Key
from oneglance.link import Arrival, Link

HANDS = Path(__file__).resolve().parents[1] / "tests" / "daemon" / "kiosk_hands.py"
PIN, WRONG, NEXT_PIN = "27182818", "31415926", "16180339"
PHOTO, FACE = "obama.jpg", FaceBox(x=0.4, y=0.22, width=0.28, height=0.373)
_FRAME_S = 0.12
# By then a page is drawn, and a picture that arrived has its place.
_FRAMES = 4
_WAIT_S, _LOOK_AGAIN_S = 120.0, 0.05

_CONFIG = """
[site]
name = "{site}"
door = "{door}"
timezone = "Europe/Berlin"
[mqtt]
host = "{host}"
port = {port}
[kiosk]
public_key_file = "signing.pub"
key_file = "kiosk.key"
language = "{language}"
door_name = "{door_name}"
pin_pad = true
verify_button = true
admin_file = "admin"
photo_folders = ["media"]
"""
PEOPLE = (
    ("ada", "Ada Lovelace"),
    ("jurgen", "Jürgen Groß"),
    ("maria", "María Núñez"),
    ("zoe", "Zoë Lefèvre"),
    ("tuyet", "Nguyễn Thị Ánh Tuyết"),
    ("fatima", "فاطمة الزهراء"),
    ("xiaoming", "王小明"),
    ("barack", "Barack Obama"),
    ("grace", "Grace Hopper"),
    ("konstantinopoulos", "Maximiliane Konstantinopoulos-Szczepańska"),
)
GROUPS = "+ family\n- cleaning\n- staff\n+ volunteers"
REFUSED = "photo 1: 2 faces were found. use another one"
SYSTEM = (
    "software  0.2.0\nmodel  mobileface-2 float32\npeople  10\ncamera  front  ok\n"
    "camera  side  camera_lost\ntemperature  57.9\ndisk  12345  64321"
)
_RECENT = (
    "accepted  face+badge  Ada Lovelace",
    "accepted  face  王小明",
    "rejected  not_recognised",
    "rejected  presentation_attack",
    "rejected  challenge_not_shown",
    "rejected  factor_missing",
    "rejected  not_permitted",
    "accepted  face  فاطمة الزهراء",
    "rejected  lock_test",
)


def recent() -> str:
    """Decisions of the last hours, as the daemon lists them."""
    at = datetime.now(UTC).replace(second=0, microsecond=0)
    moments = (at - timedelta(minutes=17 * i) for i in range(len(_RECENT)))
    return "\n".join(f"{m.isoformat()}  {said}" for m, said in zip(moments, _RECENT, strict=True))


def visitor_jpeg() -> bytes:
    """What the camera sees: one of the demo's photographs, small enough for a frame."""
    if not photos_ready():
        raise SystemExit("the tour needs a visitor: 'oneglance demo --fetch' gets photographs")
    picture: Any = cv2.imread(str(photo_folder() / PHOTO))
    height, width = picture.shape[:2]
    wide = min(width, height * 4 // 3)
    part = picture[: wide * 3 // 4, (width - wide) // 2 : (width + wide) // 2]
    small = cv2.resize(part, (480, 360), interpolation=cv2.INTER_AREA)
    for quality in (80, 70, 60, 50):
        jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(jpeg) <= MAX_JPEG_BYTES:
            return jpeg
    raise SystemExit(f"{PHOTO}: too large for a frame")


class PlayedDaemon:
    """Answers every command with what `says` holds for its verb, and sends a live picture."""

    def __init__(self, mqtt: MqttConfig, topics: Topics, signing: Ed25519PrivateKey) -> None:
        # Code and text by verb; several are said one after the other, the last one for good.
        self.says: dict[str, list[tuple[str, str] | None]] = {}
        self._topics, self._signing = topics, signing
        self._senders: dict[str, tuple[str, PreviewSender]] = {}
        self._jpeg = visitor_jpeg()
        self._over = threading.Event()
        self._link = Link(
            mqtt, "played-daemon", subscriptions=((topics.commands, 1),), on_message=self._asked
        )
        self._thread = threading.Thread(target=self._send_pictures, daemon=True)

    def start(self) -> None:
        """Connect, and begin."""
        self._link.start()
        if not self._link.wait_connected(_WAIT_S):
            raise SystemExit("the played daemon does not reach the broker")
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._over.set()
        self._thread.join()
        self._link.stop()

    def _asked(self, arrival: Arrival) -> None:
        command = json.loads(arrival.payload)
        verb, args = command["verb"], command["args"]
        if verb == VERB:
            half = args["key"]
            if half not in self._senders:
                topic = self._topics.preview(command["key_id"])
                sender = PreviewSender(self._topics, self._signing, half_of(half))
                self._senders = {half: (topic, sender)}
        answers = self.says.get(verb, [("ok", "done")])
        answer = answers[0]
        if len(answers) > 1:
            answers.pop(0)
        if answer is None or arrival.response_topic is None:
            return
        code, text = answer
        reply = Reply(
            issued_at=datetime.now(UTC),
            ok=code == "ok",
            code=code,
            text=text,
            nonce=command["nonce"],
        )
        payload = sign(reply, self._signing)
        self._link.publish(arrival.response_topic, payload, qos=1, correlation=arrival.correlation)

    def _send_pictures(self) -> None:
        while not self._over.wait(_FRAME_S):
            for topic, sender in list(self._senders.values()):
                picture = Picture(round(1000 * time.monotonic()), FACE, self._jpeg)
                self._link.publish(topic, sender.seal(picture), qos=0)


class Hands:
    """The kiosk, and who touches it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, what: str, **more: Any) -> Any:
        """Have one thing done, and return the answer."""
        told, heard = self._process.stdin, self._process.stdout
        if told is None or heard is None:
            raise SystemExit("the kiosk has no ears")
        told.write(json.dumps({"do": what} | more) + "\n")
        told.flush()
        line = heard.readline()
        if not line:
            raise SystemExit("the kiosk has ended")
        return json.loads(line)

    def until(self, what: str, there: Callable[[], Any], say: Callable[[], None]) -> None:
        """Wait until a condition holds, and go on sending messages meanwhile."""
        end_s = time.monotonic() + _WAIT_S
        while not there():
            if time.monotonic() > end_s:
                raise SystemExit(f"{what}: the screen shows {self.ask('look')}")
            say()
            time.sleep(_LOOK_AGAIN_S)

    def stop(self) -> None:
        """End the kiosk."""
        self.ask("stop")
        if self._process.wait(_WAIT_S) != 0:
            raise SystemExit("the kiosk did not end well")


@contextmanager
def touched_kiosk(
    folder: Path, environment: dict[str, str], said: dict[str, str], size: tuple[int, int]
) -> Iterator[Hands]:
    """The kiosk with everything that can be touched, on the display of the environment.

    `said` are the values for its configuration: site, door, host, port, language, door_name.
    """
    (folder / "media").mkdir(exist_ok=True)
    write(folder / "admin", sealed(admin_key(), PIN, Cost(64, 1, 1)))
    for kept in ("admin.attempts", "admin.screen"):
        (folder / kept).unlink(missing_ok=True)
    config = folder / "touched.toml"
    config.write_text(_CONFIG.format(**said))
    with subprocess.Popen(
        [sys.executable, str(HANDS), str(config), f"{size[0]}x{size[1]}"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            hands = Hands(process)
            yield hands
            hands.stop()
        finally:
            process.kill()


def admin_key() -> AdminKey:
    """A key that the simulated daemon accepts, as it accepts any."""
    return AdminKey("hall-admin", Ed25519PrivateKey.generate())


@dataclass(frozen=True)
class Touched:
    """One place: how to get there from the one before, and how to tell that the screen is there.

    `before` is called first, in this process; then the keys in `touch` are touched, and `type` is
    typed. `say` is called again and again. The place is reached when one of `keys` is visible, the
    screen's `kind` is this one, with a `picture`, and shows the message `text`.
    """

    name: str
    touch: tuple[str, ...] = ()
    type: str = ""
    then: tuple[str, ...] = ()
    keys: str = ""
    kind: str = ""
    text: str = ""
    picture: bool = False
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    say: Callable[[], None] = lambda: None


@dataclass
class Stage:
    """What the stops act on: the simulated daemon, the folder, and what is said at the broker.

    `look`, `check`, `challenge` say what a daemon says while somebody is there, `idle` that nobody
    is, `degraded` that a camera is lost; `tested` sends a signed test of the lock, and `locked` the
    lock's answer to it.
    """

    daemon: PlayedDaemon
    folder: Path
    name: str
    idle: Callable[[], None]
    degraded: Callable[[], None]
    look: Callable[[], None]
    closer: Callable[[], None]
    check: Callable[[], None]
    challenge: Callable[[], None]
    tested: Callable[[str], None]
    locked: Callable[[str], None]


def stops(stage: Stage) -> Iterator[Touched]:
    """Every page that touching leads to, each leading to the next."""
    yield from _visitors(stage)
    yield from _locked_out(stage)
    yield from _people(stage)
    yield from _enrolment(stage)
    yield from _photograph(stage)
    yield from _house(stage)
    yield from _settings()


def _visitors(stage: Stage) -> Iterator[Touched]:
    yield Touched("touch-idle", before=stage.idle, kind="idle", keys="staff")
    yield Touched("pad", touch=(Key.OPEN,), kind="pin_pad", keys=Key.SEND)
    digits = tuple("271828")
    yield Touched("pad-full", touch=digits, kind="pin_pad", text="Now press the tick")
    yield Touched(
        "preview-look", touch=(Key.CLOSE,), say=stage.look, kind="look_here", picture=True
    )
    yield Touched("preview-closer", say=stage.closer, picture=True, text="Come a little closer")
    yield Touched("preview-checking", say=stage.check, text="Checking", picture=True)
    yield Touched("preview-challenge", say=stage.challenge, kind="challenge", picture=True)


def _locked_out(stage: Stage) -> Iterator[Touched]:
    yield Touched("pin", before=stage.idle, touch=("staff",), type=PIN[:5], keys="unlock")
    # Typed instead of the right one, it is a wrong PIN.
    yield Touched("pin-wrong", type=WRONG[5:], then=("unlock",), text="Wrong PIN: try again")
    for _ in range(FREE - 2):
        yield Touched("", type=WRONG, then=("unlock",), text="Wrong PIN: try again")
    waits = "Too many wrong PINs: wait {left}"
    yield Touched("pin-wait", type=WRONG, then=("unlock",), text=waits)

    def forgiven() -> None:
        (stage.folder / "admin.attempts").unlink()

    yield Touched("", before=forgiven, touch=("close", "staff"), keys="unlock")
    yield Touched("menu", type=PIN, then=("unlock",), keys="decisions")


def _people(stage: Stage) -> Iterator[Touched]:
    says = stage.daemon.says
    listed = "\n".join(f"{person_id}  {name}" for person_id, name in PEOPLE)
    says["list"] = [("ok", f"{listed}\nand 3 more: 'oneglance people list'")]
    yield Touched("people", touch=("people",), keys="person ada")

    def found() -> None:
        says["list"] = [("ok", "ada  Ada Lovelace"), ("ok", "")]

    yield Touched("search", touch=("search",), type="ada", keys="done")
    yield Touched("found", before=found, touch=("done",), keys="person ada", text='With "{text}"')
    yield Touched(
        "nobody", touch=("search",), type="zz", then=("done",), text="Nobody has that name"
    )

    def all_again() -> None:
        says["list"] = [("ok", listed)]
        says["groups"] = [("ok", ""), ("ok", GROUPS)]

    yield Touched("", before=all_again, touch=("back", "people"), keys="person ada")
    yield Touched("person", touch=("person ada",), keys="rename")
    yield Touched("no-groups", touch=("groups",), text="This door has no groups: see access.groups")
    yield Touched("groups", touch=("back", "groups"), keys="group family")
    yield Touched("rename", touch=("back", "rename"), keys="done")
    yield Touched("renamed", type=" II", then=("done",), text="From now on: {name}")
    yield Touched("delete", touch=("back", "person ada", "delete"), keys="yes")
    yield Touched("deleted", touch=("yes",), text="{name} is deleted for good")

    def silent() -> None:
        says["list"] = [("gallery_error", "the gallery's file cannot be written: disk full"), None]

    refused = "The door's list of people did not accept it"
    yield Touched("refused", before=silent, touch=("back",), text=refused)
    yield Touched("busy", touch=("back", "people"), text="One moment", keys="close")
    yield Touched("unanswered", text="The daemon did not answer", keys="back")


def _enrolment(stage: Stage) -> Iterator[Touched]:
    says = stage.daemon.says
    yield Touched("enrol", touch=("back", "enrol"), keys="here")
    yield Touched("name", touch=("here",), type=stage.name, keys="done")
    yield Touched("consent", touch=("done",), keys="agree")

    def not_yet() -> None:
        says["enrol-look"] = [("busy", "")]

    def turned_too_little() -> None:
        says["enrol-look"] = [("ok", ""), ("pose", "")]

    def all_taken() -> None:
        says["enrol-look"] = [("ok", "")]

    straight = "Look straight at the camera"
    yield Touched("pose", before=not_yet, touch=("agree",), text=straight, picture=True)
    yield Touched("pose-more", before=turned_too_little, text="A little more", picture=True)
    yield Touched("review", before=all_taken, keys="save", picture=True)
    yield Touched("enrolled", touch=("save",), text="Enrolled")


def _photograph(stage: Stage) -> Iterator[Touched]:
    says = stage.daemon.says
    media = stage.folder / "media"

    def unplug() -> None:
        shutil.rmtree(media, ignore_errors=True)

    yield Touched(
        "no-photos",
        before=unplug,
        touch=("back", "enrol", "photo"),
        keys="again",
        text="Look again",
    )

    def plug_in() -> None:
        stick = media / "STICK" / "DCIM"
        stick.mkdir(parents=True)
        shutil.copy(photo_folder() / PHOTO, stick / "IMG_20261129_174200.JPG")
        (stick / "IMG_20261129_174201.JPG").write_bytes(b"\xff\xd8 no picture")
        for number, file in enumerate(sorted(stick.iterdir())):
            os.utime(file, (1_795_970_000 + number, 1_795_970_000 + number))

    yield Touched("photos", before=plug_in, touch=("again",), keys="photo 0")
    damaged = "This is no JPEG or PNG picture, or a damaged one"
    yield Touched("photo-damaged", touch=("photo 0",), text=damaged)
    yield Touched("photo", touch=("back", "photo 1"), keys="take")
    yield Touched("photo-consent", touch=("take",), type=stage.name, then=("done",), keys="agreed")

    def refuse() -> None:
        says["enrol"] = [("image_error", REFUSED)]

    cannot = "This picture cannot be used: it must show one face, sharp, from the front"
    yield Touched("photo-refused", before=refuse, touch=("agreed",), text=cannot)


def _house(stage: Stage) -> Iterator[Touched]:
    says = stage.daemon.says

    def nothing_yet() -> None:
        says["decisions"] = [("ok", ""), ("ok", recent())]
        says["system"] = [("ok", SYSTEM)]
        stage.degraded()

    yield Touched(
        "no-decisions", before=nothing_yet, touch=("back", "decisions"), text="Nothing yet"
    )
    yield Touched("decisions", touch=("back", "decisions"), text="Not let in")
    yield Touched("system", touch=("back", "system"), text="Works")
    yield Touched("lock", touch=("back", "lock"), keys="test")
    silent = "The lock did not answer"
    yield Touched(
        "lock-silent", touch=("test",), after=lambda: stage.tested("event-0001"), text=silent
    )

    def answered() -> None:
        stage.tested("event-0002")
        stage.locked("event-0002")

    well = "The lock got it, verified it and stayed shut: after {seconds} s"
    yield Touched("lock-well", touch=("back", "lock", "test"), after=answered, text=well)


def _settings() -> Iterator[Touched]:
    yield Touched("screen", touch=("back", "screen"), keys="brightness")
    yield Touched("languages", touch=("language",), keys="de")
    yield Touched("brightness", touch=("back", "brightness"), keys="40")
    yield Touched("picture", touch=("back", "picture"), text="It is starting again")
    rule = "{fewest} to {most} digits, not all the same, no sequence, no date"
    yield Touched("new-pin", touch=("back", "pin"), type="1234", keys="done")
    yield Touched("new-pin-refused", type="5678", then=("done",), text=rule)
    yield Touched("new-pin-once-more", type=NEXT_PIN, then=("done",), text="Once more")
    yield Touched("new-pin-counts", type=NEXT_PIN, then=("done",), text="It counts from now on")


def lead(hands: Hands, stop: Touched, code: str) -> None:
    """Go to a stop, and wait until it is drawn."""

    def touch(key: str) -> None:
        hands.until(f"{stop.name}: no {key!r}", lambda: hands.ask("touch", key=key), stop.say)

    stop.before()
    for key in stop.touch:
        touch(key)
    if stop.type:
        hands.ask("type", text=stop.type)
    for key in stop.then:
        touch(key)
    stop.after()
    said = _longest(language(code).say(stop.text))

    since = None

    def there() -> bool:
        nonlocal since
        look = hands.ask("look")
        if not arrived(look):
            since = None
            return False
        # The touch has been handled, but the frame before may still be on the display.
        since = look["frame"] if since is None else since
        return bool(look["frame"] >= since + _FRAMES)

    def arrived(look: dict[str, Any]) -> bool:
        return (
            look["settled"]
            and (not stop.kind or look["kind"] == stop.kind)
            and (not stop.keys or stop.keys in look["keys"])
            and (not stop.picture or look["picture"])
            and (not said or any(said in _plain(text) for text in look["texts"]))
        )

    hands.until(stop.name, there, stop.say)


def _longest(message: str) -> str:
    """The longest part of a message that holds no placeholder."""
    return max((_plain(part) for part in re.split(r"\{\w*\}", message)), key=len)


def _plain(text: str) -> str:
    # A line may end after any Chinese letter.
    return "".join(text.split())
