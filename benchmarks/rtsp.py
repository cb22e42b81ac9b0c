"""A door's camera from a restream (as Frigate's go2rtc gives it) over a network that loses packets.

sudo .venv/bin/python benchmarks/rtsp.py [--seconds 60] [--loss 0,1,5]
    [--transports tcp,udp,udp-only] [--restarts 5] [--json FILE]

A real RTSP server (benchmarks/rtsp_server.py) in one network namespace, the daemon in another, and
between them a cable that loses a share of what the server sends. The film is the demo's, over and
over: two visits by somebody who is enrolled, two by others, one of a photograph. For each run:
pictures a second, the longest pause between two, the age of a picture when it is taken (median and
95th percentile), the share of pictures whose last rows did not arrive whole, how often the camera
was lost, and decisions.

Over tcp (what the daemon asks for), over udp (asked for by OPENCV_FFMPEG_CAPTURE_OPTIONS), and
"udp-only", from a server that refuses tcp.

--restarts: then the server is stopped and started this many times, and made to hang (SIGSTOP): how
long after its return the next picture comes. --logins: instead of all this, whether each of
PASSWORDS logs in, by Digest and by Basic, from a file and as %XX, and what is said about a wrong
one.

Needs root and Debian's gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good
gstreamer1.0-plugins-bad nftables ffmpeg, and the photographs of `oneglance demo --fetch`. Nothing
leaves the namespaces.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import numpy as np
from rtsp_publish import read_stamp

from oneglance.cli.demo.film import COMES, ENROLLED, NOISE_SEED
from oneglance.cli.demo.video import Visitor, write_film
from oneglance.cli.photos import PHOTOS, photo_folder
from oneglance.config import CameraConfig, Config, GalleryConfig, SigningConfig
from oneglance.contract.signing import create_signing_key
from oneglance.daemon.app import Daemon
from oneglance.daemon.camera.sources import open_source
from oneglance.daemon.visit.report import StepReport
from oneglance.errors import CameraError
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import create_key, load_key
from oneglance.faces.model.face_model import load_model
from oneglance.faces.reader import load_image, read_faces, read_one_face
from oneglance.training.liveness.portrait import portrait_of

HERE = Path(__file__).resolve().parent
SERVER, CLIENT = "10.77.0.1", "10.77.0.2"
PORT, RTP_PORT = 8554, 5004
PASSWORDS = (
    *("secret", "p/s#%w:ö@x?&+ =", 'qu"ote\\back', "caf\u00e9€", "100%", "%41", "; drop"),
    120 * "a",
)
_PERSON = {photo.file: photo.person for photo in PHOTOS}


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--loss", default="0,1,5", help="percent of the server's packets")
    parser.add_argument("--transports", default="tcp,udp,udp-only")
    parser.add_argument("--restarts", type=int, default=5)
    parser.add_argument("--logins", action="store_true", help="only these, on this machine")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--watch", help=argparse.SUPPRESS)
    parser.add_argument("--house", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch is not None:
        _watch(options.watch, options.house, options.seconds)
        return
    if options.logins:
        _logins()
        return
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory(prefix="oneglance-rtsp-") as folder, ExitStack() as stack:
        house = Path(folder)
        _prepare(house)
        cable = stack.enter_context(_cable())
        stack.enter_context(_running([*cable.server, *_publisher(house)]))
        for transport in options.transports.split(","):
            for loss in options.loss.split(","):
                cable.lose(float(loss))
                protocols = ["--protocols", "udp"] if transport == "udp-only" else []
                with _running([*cable.server, *_server(), *protocols], "ready"):
                    row = _measured(cable, house, transport, options.seconds)
                row = {"packets_lost": cable.lost()} | row
                rows.append({"transport": transport, "loss_percent": float(loss)} | row)
                print(json.dumps(rows[-1]), flush=True)
        cable.lose(0.0)
        for how in ("stopped", "hangs") if options.restarts else ():
            rows.append({"server": how} | _restarts(cable, house, how, options.restarts))
            print(json.dumps(rows[-1]), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def _logins() -> None:
    """Log in to a real server with each password; print how often that worked."""
    worked = tried = 0
    with TemporaryDirectory(prefix="oneglance-rtsp-") as folder:
        house = Path(folder)
        _film(house / "visits.avi")
        file, wrong = house / "password", house / "wrong"
        for each in (file, wrong):
            each.touch(0o600)
        wrong.write_text("not this one")
        with _running(_publisher(house)):
            for scheme in ("digest", "basic"):
                for password in PASSWORDS:
                    file.write_text(password, encoding="utf-8")
                    login = ["--login", scheme, "--user", "ada", "--password-file", str(file)]
                    with _running([*_server(), *login], "ready"):
                        url = f"127.0.0.1:{PORT}/door"
                        ways = (
                            {"source": f"rtsp://{url}", "user": "ada", "password_file": file},
                            {"source": f"rtsp://ada:{quote(password, safe='')}@{url}"},
                        )
                        for way in ways:
                            tried += 1
                            worked += _opens(way) == ""
                        refusal = _opens(ways[0] | {"password_file": wrong})
                    print(f"{scheme} {password!r:24} {refusal}", flush=True)
    print(f"{worked} of {tried} logins worked")


def _opens(way: dict[str, Any]) -> str:
    """What is said if this camera cannot be opened; nothing if it gives a picture."""
    try:
        source = open_source(CameraConfig(name="front", **way))
        source.read()
        source.close()
    except CameraError as error:
        return str(error)
    return ""


class _Cable:
    """Two namespaces joined by a cable; the client's end can be made to lose packets."""

    def __init__(self) -> None:
        one, other = (f"oneglance-{os.getpid()}-{end}" for end in "sc")
        self.names = (one, other)
        self.server = ["ip", "netns", "exec", one]
        self.client = ["ip", "netns", "exec", other]

    def lose(self, percent: float) -> None:
        rule = f"numgen random mod 10000 < {round(100 * percent)} counter drop;" if percent else ""
        chain = f"chain in {{ type filter hook prerouting priority -300; {rule}\n}}"
        self._nft(f"flush ruleset\ntable ip lossy {{\n{chain}\n}}\n")

    def lost(self) -> int:
        """How many packets were lost since `lose`."""
        rules = subprocess.run(
            [*self.client, "nft", "list", "ruleset"], check=True, capture_output=True, text=True
        )
        counted = re.search(r"counter packets (\d+)", rules.stdout)
        return 0 if counted is None else int(counted[1])

    def _nft(self, rules: str) -> None:
        subprocess.run([*self.client, "nft", "-f", "-"], input=rules.encode(), check=True)


@contextmanager
def _cable() -> Iterator[_Cable]:
    cable = _Cable()
    ends = ("ogs", "ogc")

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    try:
        for name in cable.names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", ends[0], "netns", cable.names[0], "type", "veth", "peer", "name", ends[1])
        ip("link", "set", ends[1], "netns", cable.names[1])
        for name, end, address in zip(cable.names, ends, (SERVER, CLIENT), strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", end)
            # Each packet is lost independently.
            ip("-n", name, "link", "set", end, "gso_max_segs", "1", "up")
        yield cable
    finally:
        for name in cable.names:
            subprocess.run(["ip", "netns", "delete", name], check=False, stderr=subprocess.DEVNULL)


def _server() -> list[str]:
    program = [str(HERE / "rtsp_server.py"), "--port", str(PORT), "--rtp-port", str(RTP_PORT)]
    return ["/usr/bin/python3", *program]


def _publisher(house: Path) -> list[str]:
    program = [str(HERE / "rtsp_publish.py"), str(house / "visits.avi")]
    return [sys.executable, *program, "--rtp-port", str(RTP_PORT)]


@contextmanager
def _running(command: list[str], says: str | None = None) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        if says is not None and process.stdout.readline().strip() != says:
            raise SystemExit(f"{command[4:]} does not run")
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _prepare(house: Path) -> None:
    """Make the demo's film, a gallery of whom it enrols, and keys."""
    _film(house / "visits.avi")
    detector, model = FaceDetector(), load_model()
    create_signing_key(house / "signing.key", house / "signing.pub")
    create_key(house / "gallery.key")
    path = photo_folder() / ENROLLED
    sample = read_one_face(load_image(path), detector, model, where=str(path))
    with Gallery.open(house / "gallery.db", load_key(house / "gallery.key"), create=True) as all_:
        all_.enrol(
            _PERSON[ENROLLED],
            sample.template[np.newaxis],
            model.model_id,
            consent_at=datetime.now(UTC),
            source="photo",
        )


def _film(to: Path) -> None:
    detector, model = FaceDetector(), load_model()
    people = []
    for file, kind in COMES:
        picture = load_image(photo_folder() / file)
        points = read_faces(picture, detector, model)[0].points
        portrait = portrait_of(picture, points, person=_PERSON[file])
        people.append(Visitor(_PERSON[file], portrait, kind))
    write_film(to, people, np.random.default_rng(NOISE_SEED))


def _measured(cable: _Cable, house: Path, transport: str, seconds: float) -> dict[str, Any]:
    with _watcher(cable, house, transport, seconds) as lines:
        *_, last = lines
    row: dict[str, Any] = json.loads(last)
    return row


@contextmanager
def _watcher(cable: _Cable, house: Path, transport: str, seconds: float) -> Iterator[Iterator[str]]:
    url = f"rtsp://{SERVER}:{PORT}/door"
    wish = "OPENCV_FFMPEG_CAPTURE_OPTIONS=rtsp_transport;udp"
    command = [*cable.client, "env", *([wish] if transport == "udp" else [])]
    command += [sys.executable, str(HERE / "rtsp.py"), "--watch", url]
    command += ["--house", str(house), "--seconds", str(seconds)]
    with _running(command) as process:
        assert process.stdout is not None
        yield iter(process.stdout.readline, "")


def _restarts(cable: _Cable, house: Path, how: str, times: int) -> dict[str, Any]:
    """How long after the server's return the next picture comes, in s."""
    waits: list[float] = []
    with _watcher(cable, house, "tcp", 3600.0) as lines, ExitStack() as stack:
        seen = threading.Condition()
        newest = [0.0]

        def follow() -> None:
            for line in lines:
                with seen:
                    newest[0] = float(line)
                    seen.notify_all()

        threading.Thread(target=follow, daemon=True).start()

        def next_picture(after_s: float) -> float:
            with seen:
                if not seen.wait_for(lambda: newest[0] > after_s, 90.0):
                    return float("inf")
                return newest[0] - after_s

        server = ExitStack()
        stack.push(server)
        process = server.enter_context(_running([*cable.server, *_server()], "ready"))
        next_picture(time.monotonic())
        for _ in range(times):
            time.sleep(5.0)
            if how == "stopped":
                server.close()
                time.sleep(10.0)
                process = server.enter_context(_running([*cable.server, *_server()], "ready"))
            else:
                os.killpg(process.pid, signal.SIGSTOP)
                time.sleep(10.0)
                os.killpg(process.pid, signal.SIGCONT)
            waits.append(round(next_picture(time.monotonic()), 2))
    return {"times": times, "first_picture_after_s": waits}


def _watch(url: str, house: Path, seconds: float) -> None:
    """Run the daemon on this camera; print each picture's time, and the results at the end."""
    config = Config(
        signing=SigningConfig(key_file=house / "signing.key", sequence_file=house / "sequence"),
        gallery=GalleryConfig(path=house / "gallery.db", key_file=house / "gallery.key"),
        camera=(CameraConfig(name="front", source=url),),
    )
    at_s: list[float] = []
    ages_ms: list[int] = []
    unread = 0

    def note(report: StepReport) -> None:
        nonlocal unread
        frame = report.frame
        if not at_s:
            threading.Timer(seconds, daemon.stop).start()
        at_s.append(frame.captured_at_s)
        stamp = read_stamp(frame.pixels)
        if stamp is None:
            unread += 1
        else:
            ages_ms.append((int(1000 * frame.captured_at_s) - stamp) % 2**32)
        print(frame.captured_at_s, flush=True)

    daemon = Daemon(config, mqtt=False, on_step=note)
    losses = _Losses()
    logging.getLogger("oneglance.daemon.supervise").addHandler(losses)
    # Give up even if no picture ever comes.
    threading.Timer(seconds + 60.0, daemon.stop).start()
    totals = daemon.run()
    pauses = np.diff(at_s)
    answer = {
        "pictures": len(at_s),
        "dropped": totals.dropped,
        "fps": round(len(at_s) / (at_s[-1] - at_s[0]), 2) if len(at_s) > 1 else 0.0,
        "longest_pause_s": round(float(pauses.max()), 2) if len(pauses) else None,
        "age_ms": [round(float(np.percentile(ages_ms, p))) for p in (50, 95)] if ages_ms else None,
        "not_whole": round(unread / len(at_s), 4) if at_s else None,
        "lost": losses.count,
        "accepted": totals.accepted,
        "rejected": dict(totals.rejected_for),
    }
    print(json.dumps(answer), flush=True)
    os._exit(0)


class _Losses(logging.Handler):
    """Counts how often the daemon says that its camera is lost."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "is lost" in record.getMessage()


if __name__ == "__main__":
    main()
