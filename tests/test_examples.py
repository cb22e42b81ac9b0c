"""examples/: each is run as its reader would run it, where that can be done here."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from command_desk import serving
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from wire_samples import TOPICS, make_decision

from oneglance.config import MqttConfig
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.messages import Outcome
from oneglance.contract.signing import load_public_key, load_signing_key, sign
from oneglance.daemon.voice.verbs import Args, Verb
from oneglance.link import Link
from oneglance.number_file import read_number

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


@contextmanager
def publishing(mqtt: MqttConfig) -> Iterator[Callable[[bytes], object]]:
    link = Link(mqtt, "daemon")
    link.start()
    try:
        assert link.wait_connected(20)
        yield lambda payload: link.publish(TOPICS.decision, payload, qos=1, expiry_s=5)
    finally:
        link.stop()


def test_the_python_lock_opens_once_and_only_for_what_the_daemon_signed(
    broker: MqttConfig, key_files: tuple[Path, Path], tmp_path: Path
) -> None:
    key, memory = load_signing_key(key_files[0]), tmp_path / "memory"
    place = (broker.host, str(broker.port), "home", "front")
    command = [sys.executable, str(EXAMPLES / "lock.py"), *place, str(key_files[1]), str(memory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as lock:
        try:
            assert lock.stdout is not None
            assert lock.stdout.readline() == "listening\n"
            first = sign(make_decision(7), key)
            with publishing(broker) as publish:
                for payload in (
                    sign(make_decision(6), Ed25519PrivateKey.generate()),
                    first,
                    first,
                    sign(make_decision(8, outcome=Outcome.REJECTED, reason="not_recognised"), key),
                    sign(make_decision(9, door="back"), key),
                    sign(make_decision(10), key),
                ):
                    publish(payload)
                said = [lock.stdout.readline().partition(":")[0].strip() for _ in range(5)]
        finally:
            lock.kill()
    assert said == ["refused", "open", "refused", "refused", "open"]
    assert read_number(memory) == 10


def test_the_badge_system_claims_who_stands_there(
    broker: MqttConfig,
    key_files: tuple[Path, Path],
    tmp_path: Path,
    wait_until: Callable[..., None],
) -> None:
    key_file = key_files[0].rename(tmp_path / "turnstile.key")
    began = datetime.now(UTC) - timedelta(minutes=1)
    key = entry("turnstile", Role.READER, load_public_key(key_files[1]), began)
    claims: list[tuple[Args, str]] = []

    def claim(args: Args, sender: object) -> str:
        claims.append((args, getattr(sender, "key_id", "")))
        return ""

    verbs = {"claim": Verb(frozenset({Role.READER}), claim)}
    place = (broker.host, str(broker.port), "home", "front")
    with serving(broker, verbs, lambda: Keyring(keys=(key,)), tmp_path / "nonces"):
        subprocess.run(
            [sys.executable, str(EXAMPLES / "badge.py"), *place, str(key_file)],
            input="04a2b7c1\n",
            text=True,
            check=True,
            timeout=60,
        )
        # The badge system has only the broker's word that its claim is on its way.
        wait_until(lambda: bool(claims), "no claim arrived")
        claimed = [args for args, _ in claims]
    assert claimed == [{"badge": "04A2B7C1"}]


def test_the_node_lock_keeps_what_it_saw_before_it_opens(tmp_path: Path) -> None:
    vector = json.loads((ROOT / "docs" / "vectors" / "valid.json").read_text())
    script = tmp_path / "script.mjs"
    script.write_text(
        f"""
import {{ arrived, remembered }} from {json.dumps((EXAMPLES / "lock.mjs").as_uri())};
const file = {json.dumps(str(tmp_path / "memory"))}, door = {json.dumps(vector["door"])};
const now = Date.parse({json.dumps(vector["steps"][0]["now"])});
const payload = Buffer.from({json.dumps(vector["steps"][0]["payload"])}, "base64");
function started(trustedFrom) {{
  const lock = {{ door, memory: {{ last_sequence: remembered(file) }}, file, trustedFrom }};
  try {{
    arrived(lock, payload, false, now);
    return "opens";
  }} catch (error) {{
    return error.message;
  }}
}}
console.log(JSON.stringify([started(now + 1), started(0), remembered(file), started(0)]));
"""
    )
    done = subprocess.run(["node", str(script)], capture_output=True, text=True, check=True)
    sequence = json.loads(base64.b64decode(vector["steps"][0]["payload"]))["sequence"]
    assert json.loads(done.stdout) == ["clock", "opens", sequence, "replay"]
