"""make attack: a whole house is attacked, on the wire and before the camera.

Broker, daemon, lock and kiosk run for real. On the wire every hostile message is one that a
different mistake would let through (hostile_messages.py); each must have been refused by the lock,
which is counted, not assumed. Honest visits come from rendered films of the demo's photographs; the
presentation attacks are made from the same photographs in the style that nothing was fitted to, and
judged as `passive` does, or as the options say: attack_asked.py is the same house with
`passive+challenge` and people who move. A table on stdout; progress on stderr.

Exit code 0 only if nothing hostile opened the lock.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from gpiozero.pins.mock import MockFactory
from hostile_messages import HOSTILE, Capture, Keys
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from oneglance.access_config import AccessConfig, AttemptsConfig
from oneglance.broker import embedded_broker
from oneglance.cli.demo.house import ScreenLogic
from oneglance.cli.demo.video import full_height
from oneglance.cli.photos import PHOTOS, fetch_photos, photo_folder
from oneglance.config import (
    CameraConfig,
    CommandsConfig,
    Config,
    DoorConfig,
    GalleryConfig,
    KioskConfig,
    LivenessConfig,
    MqttConfig,
    SigningConfig,
    SiteConfig,
)
from oneglance.contract.commands import Code, CommandWriter
from oneglance.contract.keyring import KeyEntry, Keyring, Role, entry
from oneglance.contract.keyring_file import write_keyring
from oneglance.contract.messages import DoorState, LockState, Outcome, Reply, parse
from oneglance.contract.signing import check, create_signing_key, load_signing_key
from oneglance.contract.topics import Topics
from oneglance.daemon.app import Daemon
from oneglance.daemon.visit.report import StepReport
from oneglance.door.app import DoorApp
from oneglance.errors import MessageError
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.person import person_id_from
from oneglance.faces.gallery.vault import create_key, load_key
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.reader import load_image, read_one_face
from oneglance.link import Arrival, Link
from oneglance.training.liveness.film import ATTACK_KINDS
from oneglance.training.liveness.portrait import Portrait, read_portrait
from oneglance.training.liveness.render import render
from oneglance.training.liveness.styles import JUDGE

TOPICS = Topics("attacked", "front")
ENROLLED = "obama.jpg"
OF_THE_ENROLLED = ("obama2.jpg", "obama3.jpg")
OTHERS = ("biden.jpg", "astronaut.png")
FPS = 10.0
# Every attempt is judged: none has to wait because of the failures before it.
NO_WAITS = AttemptsConfig(first_wait_s=0.001, longest_wait_s=0.001, longest_attack_wait_s=0.001)
# How long a visitor has patience, and the daemon with them.
VISIT_S = 3.5
# A face that left is forgotten after 1.5 s.
PAUSE_S = 2.0
PULSE_S = 0.05
SHOWN = Console(stderr=True)
PAUSE_FRAMES, VISIT_FRAMES = round(PAUSE_S * FPS), round(VISIT_S * FPS)
# The lock queues this many decisions: more would be dropped unjudged, and prove nothing.
MOST_WAITING = 12
VICTIM = person_id_from(next(p.person for p in PHOTOS if p.file == ENROLLED))
UNSIGNED, OTHER_ROLE = "unsigned", "delete, by the kiosk"
FORGED, REVOKED = "delete, forged", "delete, with a revoked key"
# The answer that each hostile command must get. Any other means that it was carried out, was lost
# on the way, or was stopped by something other than what is wrong with it.
REFUSED_AS = {
    UNSIGNED: Code.NOT_SIGNED,
    OTHER_ROLE: Code.NOT_ALLOWED,
    FORGED: Code.NOT_SIGNED,
    REVOKED: Code.REVOKED,
}


class Ledger(logging.Handler):
    """What the lock made of each message, as its own log says.

    `sent` are the kinds on their way: the lock judges them in their order. `wrong` are those that
    it refused for another reason than what is wrong with them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0
        self.dropped = 0
        self.sent: deque[str] = deque()
        self.wrong: Counter[tuple[str, str]] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count one line."""
        text = record.getMessage()
        if text.startswith("refused:"):
            self.refused += 1
            kind = self.sent.popleft() if self.sent else "never sent"
            if kind not in HOSTILE or not HOSTILE[kind].is_refused_by(text):
                self.wrong[kind, text] += 1
        self.dropped += "is dropped" in text


@dataclass
class Attacker:
    """Hears everything, and answers each accepted decision with every hostile message."""

    mqtt: MqttConfig
    keys: Keys
    ledger: Ledger
    attempts: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    opened_for: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    lock_state: LockState | None = None

    def __post_init__(self) -> None:
        self._former = b""
        self._busy = False
        self._sent_by_us: set[bytes] = set()
        self._heard: list[Capture] = []
        self._stopping = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.link = Link(
            self.mqtt, "attacker", subscriptions=((TOPICS.everything, 1),), on_message=self._hear
        )

    def start(self) -> None:
        """Start listening and attacking."""
        self.link.start()
        if not self.link.wait_connected(20):
            raise SystemExit("the attacker found no broker")
        self._thread.start()

    def stop(self) -> None:
        """Stop attacking, once everything that was heard is answered."""
        self._stopping.set()
        self._news.set()
        self._thread.join()
        self.link.stop()

    @property
    def done(self) -> bool:
        """Whether all that was heard is answered, and every answer judged."""
        return not (self._heard or self._busy or self.waiting or self.unanswered)

    @property
    def waiting(self) -> int:
        """How many hostile messages the lock has not judged yet."""
        return self.attempts.total() - self.ledger.refused - self.ledger.dropped

    @property
    def unanswered(self) -> int:
        """How many hostile commands the daemon has not answered yet."""
        return self.commands.total() - self.answers.total()

    def wait_done(self, timeout_s: float) -> None:
        """Wait until all is done, or for so long."""
        deadline_s = time.monotonic() + timeout_s
        while not self.done and time.monotonic() < deadline_s:
            time.sleep(0.01)

    def _hear(self, arrival: Arrival) -> None:
        try:
            if arrival.topic == TOPICS.door_state and arrival.payload:
                state = parse(arrival.payload, DoorState)
                self.lock_state = state.state
                if state.state is LockState.UNLOCKED:
                    self.opened_for[state.cause] += 1
            elif arrival.topic == TOPICS.reply("attacker"):
                name = (arrival.correlation or b"").decode()
                self.answers[name, parse(arrival.payload, Reply).code] += 1
            elif arrival.topic == TOPICS.decision and arrival.payload not in self._sent_by_us:
                self._judge(arrival.payload)
        except MessageError:
            return

    def _judge(self, payload: bytes) -> None:
        decision = check(payload, self.keys.daemon.public_key())
        if decision.outcome is not Outcome.ACCEPTED:
            self.rejected[decision.reason] += 1
            return
        self.accepted.append(decision.event_id)
        former, self._former = self._former or payload, payload
        self._heard.append(Capture(payload, decision, former, datetime.now(UTC)))
        self._news.set()

    def _work(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            while self._heard:
                self._busy = True
                capture = self._heard.pop(0)
                for name, kind in HOSTILE.items():
                    event_id = f"{name} {len(self.accepted):08d}"
                    self._send(name, kind.make(replace(capture, event_id=event_id), self.keys))
                self.command(capture)
            self._busy = False
            if self._stopping.is_set():
                return

    def _send(self, name: str, payload: bytes) -> None:
        self._sent_by_us.add(payload)
        while self.waiting >= MOST_WAITING and not self._stopping.is_set():
            time.sleep(0.002)
        self.ledger.sent.append(name)
        self._publish(TOPICS.decision, payload)
        self.attempts[name] += 1

    def _publish(self, topic: str, payload: bytes, correlation: bytes | None = None) -> None:
        """Send a message; the link takes no more of them at once than the broker confirms soon."""
        answers = None if correlation is None else TOPICS.reply("attacker")
        while not self.link.publish(
            topic, payload, qos=1, response_topic=answers, correlation=correlation
        ):
            time.sleep(0.005)

    def command(self, capture: Capture) -> None:
        """Send each hostile command once."""

        def now() -> datetime:
            return datetime.now(UTC)

        answers = TOPICS.reply("attacker")
        kiosk = CommandWriter(TOPICS, "kiosk", self.keys.kiosk, now)
        forged = CommandWriter(TOPICS, "administrator", self.keys.stranger, now)
        stolen = CommandWriter(TOPICS, "daemon-old", self.keys.revoked, now)
        for name, verb, payload in (
            (UNSIGNED, "reload", b"{}"),
            (OTHER_ROLE, "delete", kiosk.write("delete", answers, id=VICTIM)),
            (FORGED, "delete", forged.write("delete", answers, id=VICTIM)),
            (REVOKED, "delete", stolen.write("delete", answers, id=VICTIM)),
        ):
            self._publish(TOPICS.command(verb), payload, name.encode())
            self.commands[name] += 1


@dataclass(frozen=True)
class House:
    """A door with its keys, its lock and its screen, and an attacker who hears everything."""

    config: Config
    attacker: Attacker
    factory: MockFactory

    @property
    def openings(self) -> int:
        """How often the pin became active."""
        levels = [state.state for state in self.factory.pin("GPIO17").states]
        return sum(now and not before for before, now in pairwise(levels))


def _ring(keys: Keys) -> Keyring:
    beginning = datetime(2026, 1, 1, tzinfo=UTC)

    def one(name: str, role: Role, key: Ed25519PrivateKey) -> KeyEntry:
        return entry(name, role, key.public_key(), beginning)

    revoked = one("daemon-old", Role.DAEMON, keys.revoked)
    return Keyring(
        keys=(
            one("daemon", Role.DAEMON, keys.daemon),
            revoked.model_copy(update={"revoked_at": beginning}),
            one("kiosk", Role.KIOSK, keys.kiosk),
            one("administrator", Role.ADMINISTRATOR, keys.administrator),
        )
    )


@contextmanager
def house(
    liveness: LivenessConfig, screen_of: Callable[[Config], ScreenLogic] = ScreenLogic
) -> Iterator[House]:
    """Everything but the daemon, which is started later, with its film."""
    with TemporaryDirectory(prefix="oneglance-attack-") as private, embedded_broker() as mqtt:
        folder = Path(private)
        create_signing_key(folder / "signing.key", folder / "signing.pub")
        create_key(folder / "gallery.key")
        create_signing_key(folder / "kiosk.key", folder / "kiosk.pub")
        revoked, administrator, stranger = (Ed25519PrivateKey.generate() for _ in range(3))
        keys = Keys(
            daemon=load_signing_key(folder / "signing.key"),
            revoked=revoked,
            kiosk=load_signing_key(folder / "kiosk.key"),
            administrator=administrator,
            stranger=stranger,
        )
        write_keyring(folder / "keyring.json", _ring(keys))
        config = Config(
            site=SiteConfig(name=TOPICS.site, door=TOPICS.door),
            mqtt=mqtt,
            signing=SigningConfig(
                key_file=folder / "signing.key", sequence_file=folder / "sequence"
            ),
            commands=CommandsConfig(
                keyring_file=folder / "keyring.json", nonce_file=folder / "nonces"
            ),
            gallery=GalleryConfig(path=folder / "gallery.db", key_file=folder / "gallery.key"),
            liveness=liveness,
            access=AccessConfig(attempts=NO_WAITS),
            door=DoorConfig(
                public_key_file=folder / "keyring.json",
                state_file=folder / "door-sequence",
                pin_factory="mock",
                pulse_s=PULSE_S,
                require_liveness=True,
            ),
            kiosk=KioskConfig(
                public_key_file=folder / "keyring.json", key_file=folder / "kiosk.key"
            ),
        )
        ledger = Ledger()
        logger = logging.getLogger("oneglance.door.app")
        logger.addHandler(ledger)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        attacker = Attacker(mqtt, keys, ledger)
        factory = MockFactory()
        lock = DoorApp(config, factory=factory)
        thread = threading.Thread(target=lock.run, daemon=True)
        screen = screen_of(config)
        attacker.start()
        thread.start()
        screen.start()
        try:
            deadline_s = time.monotonic() + 20
            while attacker.lock_state is None:
                if time.monotonic() > deadline_s:
                    raise SystemExit("the lock did not start")
                time.sleep(0.02)
            yield House(config, attacker, factory)
        finally:
            screen.stop()
            attacker.stop()
            lock.stop()
            thread.join(10)
            logger.removeHandler(ledger)
            logger.propagate = True


def enrol(config: Config, model: FaceModel) -> None:
    """Enrol one person by one photograph."""
    photo = photo_folder() / ENROLLED
    sample = read_one_face(load_image(photo), FaceDetector(), model, where=str(photo))
    key = load_key(config.gallery.key_file)
    with Gallery.open(config.gallery.path, key, create=True) as gallery:
        gallery.enrol(
            next(p.person for p in PHOTOS if p.file == ENROLLED),
            sample.template[np.newaxis],
            model.model_id,
            consent_at=datetime.now(UTC),
            source="photo",
        )


def portraits(names: Sequence[str], model: FaceModel) -> list[Portrait]:
    """The demo's photographs, in the form that the renderer takes."""
    detector, found = FaceDetector(), []
    for name in names:
        picture = load_image(photo_folder() / name)
        portrait = read_portrait(picture, person=name, detector=detector, model=model)
        if portrait is None:
            raise SystemExit(f"no face for the renderer in {name}")
        found.append(portrait)
    return found


def write_film(file: Path, kind: str, count: int, model: FaceModel, seed: int) -> None:
    """Write `count` films of one kind one after the other, with an empty picture between them."""
    own, others = portraits(OF_THE_ENROLLED, model), portraits(OTHERS, model)
    rng = np.random.default_rng(seed)
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (640, 480))
    empty = np.full((480, 640, 3), 96, np.uint8)
    for number in track(
        range(count), f"filming {kind}", console=SHOWN, auto_refresh=SHOWN.is_terminal
    ):
        # One photograph a visit: the renderer takes what it is given.
        shown = [own[number % len(own)]]
        film = render(kind, shown, others, JUDGE, rng, seconds=VISIT_S, fps=FPS)
        for _ in range(PAUSE_FRAMES):
            writer.write(empty)
        for frame in film.frames[:VISIT_FRAMES]:
            writer.write(full_height(frame))
    for _ in range(PAUSE_FRAMES):
        writer.write(empty)
    writer.release()


def repeated(film: Path, times: int) -> Path:
    """The same film repeated, without encoding it again."""
    whole = film.with_name(f"repeated-{film.name}")
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise SystemExit("ffmpeg is not installed: apt install ffmpeg")
    command = [ffmpeg, "-v", "error", "-y", "-stream_loop", str(times - 1), "-i", film]
    subprocess.run([*command, "-c", "copy", whole], check=True)
    return whole


def frames_of(count: int) -> int:
    """How many frames a film of so many visits has."""
    return count * (PAUSE_FRAMES + VISIT_FRAMES) + PAUSE_FRAMES


def visit_at(frame: int, different: int) -> int:
    """The visit, from 0 on, that a frame belongs to, in a film that repeats its visits."""
    one = PAUSE_FRAMES + VISIT_FRAMES
    times, inside = divmod(frame, frames_of(different))
    return times * different + min(max(inside - PAUSE_FRAMES, 0) // one, different - 1)


def within_two(accepted: Set[int], visits: int) -> int:
    """How many visits are accepted at once or by coming again, that is, in the next visit."""
    return sum(visit in accepted or visit + 1 in accepted for visit in range(visits))


def watch(
    home: House,
    film: Path,
    visits: int,
    on_step: Callable[[StepReport], None] = lambda _report: None,
) -> None:
    """Let the daemon see a film of so many visits to its end, as fast as it can."""
    camera = CameraConfig(name="front", source=str(film), pace="every")
    with Progress(console=SHOWN, auto_refresh=SHOWN.is_terminal) as bar:
        task = bar.add_task(f"watching {film.stem}", total=frames_of(visits))

        def step(report: StepReport) -> None:
            bar.advance(task)
            on_step(report)

        Daemon(home.config.model_copy(update={"camera": (camera,)}), on_step=step).run()
    time.sleep(4 * PULSE_S)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of attack, or the honest visits."""

    kind: str
    attempted: int
    openings: int


def on_the_wire(
    visits: int, different: int, model: FaceModel, folder: Path, *, liveness: LivenessConfig
) -> list[Row]:
    """Honest visits, each followed by every hostile message and some hostile commands."""
    film = folder / "honest.avi"
    write_film(film, "visit", different, model, seed=7)
    times = max(1, visits // different)
    film = repeated(film, times)
    visits, frames = times * different, times * frames_of(different)
    let_in: set[int] = set()

    def seen(report: StepReport) -> None:
        if any(face.verdict is not None and face.verdict.accepted for face in report.tracks):
            let_in.add(visit_at(report.frame.index, different))

    with house(liveness) as home:
        enrol(home.config, model)
        attacker = home.attacker

        def step(report: StepReport) -> None:
            seen(report)
            if report.frame.index == frames - 1:
                # The film's end is the daemon's, which would answer nobody any more.
                attacker.wait_done(10)

        watch(home, film, visits, step)
        attacker.wait_done(30)
        honest = set(attacker.accepted)
        for_honest = sum(1 for event in honest if attacker.opened_for[event] >= 1)
        twice = sum(
            attacker.opened_for[event] - 1 for event in honest if event in attacker.opened_for
        )
        others = sum(n for event, n in attacker.opened_for.items() if event not in honest)
        unjudged = attacker.attempts.total() - attacker.ledger.refused + attacker.unanswered
        carried_out = sum(
            count
            for (name, code), count in attacker.answers.items()
            if code != REFUSED_AS.get(name)
        )
        by_kind = Counter[str]()
        for event, count in attacker.opened_for.items():
            if event not in honest:
                by_kind[event.rpartition(" ")[0]] += count
        # A replay that opened would bear the event of the honest decision.
        by_kind["replayed"] += twice
        rows = [Row(name, count, by_kind[name]) for name, count in attacker.attempts.items()]
        rows.append(Row("hostile commands", attacker.commands.total(), carried_out))
        print(
            f"honest visits {visits}: accepted {len(honest)},"
            f" rejected {dict(attacker.rejected)}; the lock opened {home.openings} times,"
            f" for {for_honest} of them;"
            f" at the first attempt {len(let_in)}, within two {within_two(let_in, visits)}"
        )
        print(
            f"hostile decisions: refused by the lock {attacker.ledger.refused},"
            f" dropped in a flood {attacker.ledger.dropped}, not judged {unjudged};"
            f" answers to hostile commands {dict(attacker.answers)}"
        )
        # A pulse within another counts as one; more pulses than honest decisions are a hole. An
        # attacker who hears no honest decision has nothing to attack with, and proves nothing.
        unexplained = max(0, home.openings - for_honest - twice - others) + (not honest)
        if unjudged or unexplained:
            rows.append(Row("not judged, or opened unasked", unjudged + unexplained, unexplained))
        for (kind, text), count in attacker.ledger.wrong.items():
            rows.append(Row(f"{kind}: for the wrong reason: {text}", count, count))
        rows.append(Row("HONEST", visits, for_honest))
        rows.append(Row("HONEST, within two attempts", visits, within_two(let_in, visits)))
    return rows


def before_the_camera(
    count: int, model: FaceModel, folder: Path, *, liveness: LivenessConfig
) -> list[Row]:
    """Every kind of presentation attack, by a photograph of the enrolled person."""
    rows = []
    for number, kind in enumerate(ATTACK_KINDS):
        film = folder / f"{kind}.avi"
        write_film(film, kind, count, model, seed=100 + number)
        with house(liveness) as home:
            enrol(home.config, model)
            watch(home, film, count)
            rows.append(Row(kind, count, home.openings))
            attacker = home.attacker
            decided = len(attacker.accepted) + attacker.rejected.total()
            print(
                f"{kind:20} {count} attempts, {home.openings} openings;"
                f" rejected {dict(attacker.rejected)}, without a decision {max(0, count - decided)}"
            )
            if not attacker.accepted and not attacker.rejected["presentation_attack"]:
                rows.append(Row(f"{kind}: never taken for anybody", 1, 1))
        film.unlink()
    return rows


def main() -> None:
    """Read the command line, attack, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=1000, help="honest visits on the wire")
    parser.add_argument("--different", type=int, default=50, help="of them so many are different")
    parser.add_argument("--presentations", type=int, default=20, help="attempts of each kind")
    parser.add_argument(
        "--doubtful",
        action="store_true",
        help='a house with liveness.asks = "doubtful"; nobody here does what it asks',
    )
    parser.add_argument("--out", type=Path, help="also write the table as JSON")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    liveness = LivenessConfig(
        policy="passive+challenge" if options.doubtful else "passive",
        asks="doubtful" if options.doubtful else "everybody",
    )
    fetch_photos()
    model = load_model()
    with TemporaryDirectory(prefix="oneglance-films-") as films:
        different = min(options.different, options.visits)
        folder = Path(films)
        rows = on_the_wire(options.visits, different, model, folder, liveness=liveness)
        if options.presentations:
            rows += before_the_camera(options.presentations, model, folder, liveness=liveness)
    table = Table(title="Attacks")
    for heading in ("what", "attempted", "blocked", "openings"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    hostile = [row for row in rows if not row.kind.startswith("HONEST")]
    for row in rows:
        blocked = str(row.attempted - row.openings) if row in hostile else ""
        table.add_row(row.kind, str(row.attempted), blocked, str(row.openings))
    Console().print(table)
    if options.out:
        body = [{"what": r.kind, "attempted": r.attempted, "openings": r.openings} for r in rows]
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(body, indent=1) + "\n")
    openings = sum(row.openings for row in hostile)
    print(f"hostile messages and presentations: {sum(row.attempted for row in hostile)}")
    print(f"hostile openings: {openings}")
    sys.exit(1 if openings else 0)


if __name__ == "__main__":
    main()
