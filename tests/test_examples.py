"""examples/: each is run as its reader would run it, where that can be done here."""

from __future__ import annotations

import base64
import json
import re
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
from oneglance.contract.messages import (
    DoorState,
    Factor,
    Hint,
    Liveness,
    LockState,
    Outcome,
    Phase,
    Result,
    ServiceState,
    Status,
    VisitState,
)
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


# What Node-RED 4 gives a function node (nodes/core/function/10-function.js), and nothing else: a
# global of Node's own, such as TextDecoder, is not there.
NODE_RED = """
import { createContext, runInContext } from "node:vm";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import util from "node:util";
const require = createRequire(import.meta.url);
const [flowFile, vectorsFile, keyring, memory] = process.argv.slice(2);
const node = JSON.parse(readFileSync(flowFile)).find((one) => one.type === "function");

async function outcome(vector) {
  const { site, door, keys, require_liveness } = vector.door;
  writeFileSync(keyring, JSON.stringify({ keys: keys.map((key) => ({ ...key, role: "daemon" })) }));
  writeFileSync(memory, `${vector.last_sequence}\\n`);
  const TOPIC = `oneglance/v1/${site}/${door}/decision`;
  const settings = { TOPIC, KEYRING: keyring, MEMORY: memory, REQUIRE_LIVENESS: require_liveness };
  const kept = new Map();
  let now = 0;
  class Clock extends Date {
    static now() { return now; }
  }
  const sandbox = createContext({
    console, util, Buffer, Date: Clock, setInterval, clearInterval, setTimeout, clearTimeout,
    env: { get: (name) => settings[name] },
    context: { get: (name) => kept.get(name), set: (name, value) => kept.set(name, value) },
  });
  for (const { var: name, module } of node.libs) sandbox[name] = require(module);
  const run = (code) => runInContext(`(async function (msg) {\n${code}\n})`, sandbox);
  await run(node.initialize)();
  const results = [];
  for (const step of vector.steps) {
    now = Date.parse(step.now);
    const payload = Buffer.from(step.payload, "base64");
    const sent = await run(node.func)({ topic: TOPIC, payload, retain: step.retained });
    const remembered = Number(readFileSync(memory, "utf8"));
    results.push(sent[0] ? remembered === sent[0].payload.sequence && "opens" : sent[1].payload);
  }
  kept.set("trusted_from", now + 1);
  const last = Buffer.from(vector.steps.at(-1).payload, "base64");
  results.push((await run(node.func)({ topic: TOPIC, payload: last, retain: false }))[1].payload);
  await run(node.finalize)();
  return results;
}

const results = {};
for (const vector of JSON.parse(readFileSync(vectorsFile)))
  results[vector.name] = await outcome(vector);
console.log(JSON.stringify(results));
"""


def test_the_node_red_flow_opens_for_what_the_vectors_say(tmp_path: Path) -> None:
    flow = EXAMPLES / "node-red.json"
    written = subprocess.run(
        [sys.executable, "-c", "import node_red_flow; print(node_red_flow.text(), end='')"],
        cwd=ROOT / "scripts",
        capture_output=True,
        text=True,
        check=True,
    )
    assert flow.read_text() == written.stdout, "run: python scripts/node_red_flow.py"
    nodes = {node["id"]: node for node in json.loads(flow.read_text())}
    assert nodes["oneglance-decisions"]["wires"] == [["oneglance-check"]]
    assert nodes["oneglance-check"]["wires"][0] == ["oneglance-open"]

    files = sorted((ROOT / "docs/vectors").glob("*.json"))
    vectors = [json.loads(file.read_text()) for file in files]
    script, listed = tmp_path / "node-red.mjs", tmp_path / "vectors.json"
    script.write_text(NODE_RED)
    listed.write_text(json.dumps(vectors))
    places = (str(flow), str(listed), str(tmp_path / "keyring.json"), str(tmp_path / "memory"))
    done = subprocess.run(
        ["node", str(script), *places], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        vector["name"]: [*(step["result"] for step in vector["steps"]), "clock"]
        for vector in vectors
    }


def test_the_page_for_automations_names_what_a_door_says() -> None:
    page = (ROOT / "docs/automation.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.partition("## What a door exposes")[2].splitlines()
        if line.startswith("| ") and "`" in line
    ]
    exposed = {(row[1].strip("`"), row[2].strip("`")): row[3] for row in rows}
    kinds = {"result": Result, "visit": VisitState, "status": Status, "door/state": DoorState}
    for topic, key in exposed:
        assert key in kinds[topic].model_fields
    for place, words in {
        ("result", "outcome"): Outcome,
        ("result", "factors"): Factor,
        ("result", "liveness"): Liveness,
        ("visit", "phase"): Phase,
        ("visit", "hint"): Hint,
        ("status", "state"): ServiceState,
        ("door/state", "state"): LockState,
    }.items():
        assert re.findall(r"`(\w+)`", exposed[place]) == [*words]


def test_the_lamp_is_lit_for_whom_is_accepted_now_alone(tmp_path: Path) -> None:
    nodes = {node["id"]: node for node in json.loads((EXAMPLES / "node-red-lamp.json").read_text())}
    assert nodes["oneglance-results"]["topic"] == TOPICS.result
    assert nodes["oneglance-results"]["wires"] == [["oneglance-lit"]]
    assert nodes["oneglance-lit"]["wires"] == [["oneglance-hall"]]
    rejected = make_decision(8, outcome=Outcome.REJECTED, reason="not_recognised")
    said = [Result.of(one, names=False).to_payload() for one in (make_decision(7), rejected)]
    accepted, no = map(json.loads, said)
    messages = [
        {"payload": accepted, "retain": False},
        {"payload": accepted, "retain": True},
        {"payload": no, "retain": False},
        {"payload": None, "retain": False},
        {"payload": {**accepted, "kind": "visit"}, "retain": False},
    ]
    script = tmp_path / "lamp.mjs"
    function = f"new Function('msg', {json.dumps(nodes['oneglance-lit']['func'])})"
    script.write_text(f"console.log(JSON.stringify({json.dumps(messages)}.map({function})))")
    done = subprocess.run(["node", str(script)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [{"payload": {"state": "ON"}}, None, None, None, None]
