"""A thousand doors at one mosquitto, with TLS, passwords and ACL as shipped, over loopback.

python benchmarks/fleet.py [--doors 1000] [--rates 5,10,20,50,100] [--seconds 30] [--plot FILE.png]

Each door is two connections, a daemon's and a lock's; they sign, check and retry with the real code
(`fleet_doors.py`), all in a few processes beside the broker. Decisions come at random times
(Poisson), each after a visit of which the screen is told 15 times. A decision's latency runs from
before it is signed until the lock would open. Then, at the second rate: somebody is deleted at
every door, by one signed command each, and the broker is killed and started again. Percentiles have
95 % intervals (order statistics).
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import platform
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fleet_doors import Counts, Setting, serve
from fleet_house import House

from oneglance.broker import free_port
from oneglance.config import MqttConfig
from oneglance.contract.commands import CommandWriter
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.messages import Reply, parse
from oneglance.contract.topics import ROOT, Topics
from oneglance.link import Arrival, Link

SHIPPED = Path(__file__).resolve().parents[1] / "systemd" / "mosquitto"
SITE = "fleet"
USERS = ("oneglance-daemon", "oneglance-lock", "oneglance-admin")
AWAY_S = 5.0
MEMORY = Path("/dev/shm")  # noqa: S108


class Broker:
    """mosquitto with the shipped configuration; only paths, port and users are its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.passwords = {user: secrets.token_hex(16) for user in USERS}
        self._process: subprocess.Popen[bytes] | None = None
        subprocess.run(
            ["sh", SHIPPED / "certificates.sh", folder, folder, "IP:127.0.0.1"], check=True
        )
        (folder / "passwords").touch(mode=0o600)
        for user, password in self.passwords.items():
            file = folder / f"{user}.password"
            file.touch(mode=0o600)
            file.write_text(password)
            subprocess.run(
                ["mosquitto_passwd", "-b", folder / "passwords", user, password], check=True
            )
        shutil.copy(SHIPPED / "acl", folder / "acl")
        (folder / "acl").chmod(0o600)
        shipped = (SHIPPED / "oneglance.conf").read_text()
        conf = shipped.replace("/etc/mosquitto/oneglance/", f"{folder}/")
        conf = conf.replace("listener 8883", f"listener {self.port} 127.0.0.1")
        root = "user root\n" if os.geteuid() == 0 else ""
        (folder / "mosquitto.conf").write_text(f"{root}log_type none\n{conf}")

    def start(self) -> None:
        """Start it, and wait until it listens."""
        program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        self._process = subprocess.Popen([str(program), "-c", self.folder / "mosquitto.conf"])
        while self._process.poll() is None:
            status = Path(f"/proc/{self._process.pid}/net/tcp").read_text()
            if f"0100007F:{self.port:04X} 00000000:0000 0A" in status:
                return
            time.sleep(0.01)
        raise SystemExit("mosquitto did not start")

    def kill(self) -> None:
        """Kill it, like a power cut."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def cost(self) -> dict[str, float]:
        """Its processor time so far in s, and its memory in MiB."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        mib = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        return {"cpu_s": (int(fields[11]) + int(fields[12])) / ticks, "mib": round(mib, 1)}

    def mqtt(self, user: str) -> MqttConfig:
        """How a user reaches it."""
        return MqttConfig(
            port=self.port,
            host="127.0.0.1",
            tls=True,
            ca_file=self.folder / "ca.crt",
            user=user,
            password_file=self.folder / f"{user}.password",
        )


class Fleet:
    """The processes with the doors, and their answers."""

    def __init__(self, settings: Sequence[Setting]) -> None:
        context = multiprocessing.get_context("fork")
        self._pipes, self._processes = [], []
        self.clients = sum(2 * len(setting.doors) for setting in settings)
        for setting in settings:
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(setting, theirs), daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    def ask(self, what: str) -> list[Any]:
        """Ask each process, and collect the answers."""
        self._tell(what, 0.0)
        return [pipe.recv() for pipe in self._pipes]

    def decide(self, rate: float) -> None:
        """Make this many decisions a second from now on, over all doors."""
        self._tell("rate", rate / len(self._pipes))

    def counts(self) -> Counts:
        """What has happened since the last call."""
        parts = self.ask("counts")
        return Counts(
            sum(part.made for part in parts),
            sum(part.dropped for part in parts),
            sum(part.refused for part in parts),
            [latency for part in parts for latency in part.latencies_s],
            sorted(moment for part in parts for moment in part.back_at_s),
        )

    def wait_connected(self, timeout_s: float = 900.0) -> float:
        """Wait until all are connected; how long it took."""
        began_s = time.monotonic()
        while sum(self.ask("connected")) < self.clients:
            if time.monotonic() - began_s > timeout_s:
                raise SystemExit(f"only {sum(self.ask('connected'))} of {self.clients} connect")
            time.sleep(0.1)
        return time.monotonic() - began_s

    def stop(self) -> None:
        """End them."""
        self._tell("stop", 0.0)
        for process in self._processes:
            process.join(10)

    def _tell(self, what: str, value: float) -> None:
        for pipe in self._pipes:
            pipe.send((what, value))


def percentile(values: Sequence[float], share: float) -> dict[str, float]:
    """The percentile in ms, with its 95 % interval."""
    ordered = sorted(values)
    spread = 1.96 * math.sqrt(len(ordered) * share * (1 - share))

    def at(place: float) -> float:
        return round(1000 * ordered[min(len(ordered) - 1, max(0, int(place)))], 1)

    middle = len(ordered) * share
    return {"ms": at(middle), "low": at(middle - spread), "high": at(middle + spread)}


def load(
    fleet: Fleet, broker: Broker, rate: float, seconds: float, visit_s: float
) -> dict[str, Any]:
    """What becomes of the decisions at one rate."""
    fleet.decide(rate)
    time.sleep(visit_s + 2)
    fleet.counts()
    before, began_s = broker.cost(), time.monotonic()
    time.sleep(seconds)
    counts, after = fleet.counts(), broker.cost()
    took_s = time.monotonic() - began_s
    fleet.decide(0)
    time.sleep(visit_s + 2)
    late = fleet.counts()
    return {
        "asked_per_s": rate,
        "made": counts.made,
        "opened_per_s": round(len(counts.latencies_s) / took_s, 1),
        "dropped": counts.dropped + late.dropped,
        "refused": counts.refused + late.refused,
        "p50": percentile(counts.latencies_s, 0.5),
        "p99": percentile(counts.latencies_s, 0.99),
        "broker_core": round((after["cpu_s"] - before["cpu_s"]) / took_s, 3),
        "broker_mib": after["mib"],
    }


def delete(
    broker: Broker, doors: Sequence[str], key: Ed25519PrivateKey, pace: float
) -> dict[str, Any]:
    """Send one signed command per door, at a fixed rate; when each door has answered.

    Sending as fast as the broker allows would measure how fast one process plays 500 doors.
    """
    sent: dict[str, float] = {}
    answered: dict[str, float] = {}
    codes: dict[str, int] = {}

    def heard(arrival: Arrival) -> None:
        answered.setdefault(arrival.topic.split("/")[3], time.monotonic())
        code = parse(arrival.payload, Reply).code
        codes[code] = codes.get(code, 0) + 1

    replies = f"{ROOT}/{SITE}/+/reply/oneglance-admin"
    user = "oneglance-admin"
    link = Link(broker.mqtt(user), "admin", subscriptions=((replies, 1),), on_message=heard)
    link.start()
    if not link.wait_connected(30):
        raise SystemExit("the administrator cannot connect")
    began_s = time.monotonic()
    for number, door in enumerate(doors):
        time.sleep(max(0.0, began_s + number / pace - time.monotonic()))
        topics = Topics(SITE, door)
        reply_to = topics.reply(user)
        sent[door] = time.monotonic()
        payload = CommandWriter(topics, "administrator", key).write("delete", reply_to, id="ada")
        while not link.publish(
            topics.command("delete"),
            payload,
            qos=1,
            expiry_s=5,
            response_topic=reply_to,
            correlation=b"1",
        ):
            time.sleep(0.001)
    sent_s = time.monotonic()
    while len(answered) < len(doors) and time.monotonic() - sent_s < 30:
        time.sleep(0.01)
    link.stop()
    took_s = [moment - sent[door] for door, moment in answered.items()]
    return {
        "sent_in_s": round(sent_s - began_s, 2),
        "answers": codes,
        "last_s": round(max(answered.values()) - began_s, 2),
        "p50": percentile(took_s, 0.5),
        "p99": percentile(took_s, 0.99),
        "longest_ms": round(1000 * max(took_s), 1),
        "curve_s": sorted(moment - began_s for moment in answered.values()),
    }


def shared(fleet: Fleet, broker: Broker, house: House) -> dict[str, Any]:
    """All doors take over a gallery; a deletion, a restart of the broker, one more deletion."""
    told: dict[str, Any] = {"people": house.people}

    def measure(what: str, do: Callable[[], dict[str, Any]]) -> None:
        told[what] = do()
        print(what, told[what], file=sys.stderr)

    measure("first", house.share)
    measure("deleted", house.delete_one)
    measure("deleted_again", house.delete_one)
    broker.kill()
    time.sleep(AWAY_S)
    broker.start()
    began_s = time.monotonic()
    fleet.wait_connected()
    told["connected_again_s"] = round(time.monotonic() - began_s, 1)
    measure("after_restart", house.delete_one)
    told["broker_mib"] = broker.cost()["mib"]
    return told


def restart(fleet: Fleet, broker: Broker, rate: float) -> dict[str, Any]:
    """Kill the broker, start it again after AWAY_S; when each connection is back."""
    fleet.decide(rate)
    time.sleep(5)
    fleet.counts()
    broker.kill()
    time.sleep(AWAY_S)
    broker.start()
    began_s = time.monotonic()
    fleet.wait_connected()
    time.sleep(10)
    fleet.decide(0)
    time.sleep(6)
    counts = fleet.counts()
    back = [moment - began_s for moment in counts.back_at_s]
    return {
        "away_s": AWAY_S,
        "half_s": round(back[len(back) // 2], 2),
        "p99_s": round(back[int(0.99 * len(back))], 2),
        "last_s": round(back[-1], 2),
        "connections": len(back),
        "made": counts.made,
        "opened": len(counts.latencies_s),
        "dropped": counts.dropped,
        "refused": counts.refused,
        "oldest_opened_s": round(max(counts.latencies_s), 2),
        "curve_s": back,
    }


def plot(results: dict[str, Any], file: Path) -> None:
    """Draw latency over rate, and how a deletion and a restart spread."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    rates = [row["opened_per_s"] for row in results["load"]]
    for share in ("p50", "p99"):
        values = [row[share]["ms"] for row in results["load"]]
        low = [row[share]["ms"] - row[share]["low"] for row in results["load"]]
        high = [row[share]["high"] - row[share]["ms"] for row in results["load"]]
        left.errorbar(rates, values, yerr=[low, high], marker="o", capsize=3, label=share)
    left.set(xscale="log", yscale="log", xlabel="decisions a second", ylabel="ms until it opens")
    left.legend()
    for name, curve in (
        ("deleted", results["deletion"]["curve_s"]),
        ("connected again", results["restart"]["curve_s"]),
    ):
        right.plot(curve, [100 * (at + 1) / len(curve) for at in range(len(curve))], label=name)
    right.set(xlabel="s", ylabel="% of the doors (connections)")
    right.legend()
    figure.suptitle(f"{results['doors']} doors, one mosquitto, TLS, loopback")
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def main() -> None:
    """Measure, print JSON, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--doors", type=int, default=1000)
    parser.add_argument("--rates", default="5,10,20,50,100")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--pace", type=float, default=100.0, help="deletions sent a second")
    parser.add_argument("--visits", type=int, default=15, help="words to the screen, a decision")
    parser.add_argument(
        "--people", type=int, default=0, help="measure only a gallery of so many, shared with all"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    options = parser.parse_args()
    rates = [float(rate) for rate in options.rates.split(",")]
    names = [f"door-{number:04}" for number in range(options.doors)]
    key, house_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    beginning = datetime(2026, 1, 1, tzinfo=UTC)
    ring = Keyring(
        keys=(
            entry("administrator", Role.ADMINISTRATOR, key.public_key(), beginning),
            entry("house", Role.GALLERY, house_key.public_key(), beginning),
        )
    )
    # In memory: a thousand doors have a thousand disks, and this machine has one.
    memory = MEMORY if MEMORY.is_dir() else None
    with TemporaryDirectory(prefix="oneglance-fleet-", dir=memory) as temporary:
        broker = Broker(Path(temporary))
        broker.start()
        house = House(broker, names, house_key, options.people) if options.people else None
        shares = [names[part :: options.processes] for part in range(options.processes)]
        fleet = Fleet(
            [
                Setting(
                    site=SITE,
                    doors=share,
                    port=broker.port,
                    ca_file=broker.folder / "ca.crt",
                    passwords=broker.passwords,
                    keyring=ring,
                    folder=broker.folder,
                    visits=options.visits,
                    seed=number,
                    sharing=options.people > 0,
                )
                for number, share in enumerate(shares)
            ]
        )
        results: dict[str, Any] = {
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "doors": options.doors,
            "machine": {"cores": os.cpu_count(), "system": platform.machine()},
            "load_average_before": os.getloadavg(),
        }
        try:
            results["connect_s"] = round(fleet.wait_connected(), 1)
            visit_s = 0.2 * options.visits
            if house is not None:
                results["sharing"] = shared(fleet, broker, house)
                print(json.dumps(results, indent=1))
                return
            results["load"] = []
            for rate in rates:
                results["load"].append(load(fleet, broker, rate, options.seconds, visit_s))
                print(results["load"][-1], file=sys.stderr)
            gentle = rates[min(1, len(rates) - 1)]
            fleet.decide(gentle)
            time.sleep(visit_s + 2)
            results["deletion"] = delete(broker, names, key, options.pace)
            results["restart"] = restart(fleet, broker, gentle)
            results["load_average_after"] = os.getloadavg()
        finally:
            fleet.stop()
            broker.kill()
    if options.plot is not None:
        plot(results, options.plot)
    text = json.dumps(results, indent=1)
    if options.out is not None:
        options.out.write_text(text)
    for part in ("deletion", "restart"):
        del results[part]["curve_s"]
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
