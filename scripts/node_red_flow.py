"""Write examples/node-red.json: a lock as a Node-RED flow, by the rule of docs/vectors/check.mjs.

    python scripts/node_red_flow.py

Node-RED keeps a function's code as text inside JSON, where nobody should have to edit it: the rule
is taken from the checker that runs the test vectors, and the rest is here.
"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "examples/node-red.json"
CHECKER = ROOT / "docs/vectors/check.mjs"

START = """\
// Keys and the last sequence, before anything is let in. If this fails, nothing opens.
const keyring = JSON.parse(fs.readFileSync(env.get("KEYRING"), "utf8"));
const memory = env.get("MEMORY");
const text = fs.existsSync(memory) ? fs.readFileSync(memory, "utf8") : "0\\n";
if (!/^(0|[1-9]\\d{0,15})\\n$/.test(text))
  throw new Error(`${memory} is damaged: the door stays shut`);
context.set("last_sequence", Number(text));
context.set("trusted_from", 0);
context.set("keys", keyring.keys.filter((key) => key.role === "daemon"));
// Wall and monotonic clock drift apart only if somebody set the wall clock.
const apart = () => Date.now() - perf_hooks.performance.now();
let before = apart();
context.set("watch", setInterval(() => {
  const now = apart();
  if (Math.abs(now - before) > 1_000) context.set("trusted_from", Date.now() + 12_000);
  before = now;
}, 500));
"""

BEFORE = """\
// Made by scripts/node_red_flow.py of oneglance; the rule is docs/vectors/check.mjs.
// First output: the door may open. Second: why not.
const { createPublicKey, verify } = crypto;
const { TextDecoder } = util;

"""

AFTER = """\
// The highest sequence seen is on disk before the door opens: a restart opens nothing twice.
function keep(sequence) {
  const file = env.get("MEMORY");
  const handle = fs.openSync(`${file}.new`, "w", 0o600);
  fs.writeSync(handle, `${sequence}\\n`);
  fs.fsyncSync(handle);
  fs.closeSync(handle);
  fs.renameSync(`${file}.new`, file);
  const folder = fs.openSync(path.dirname(file), "r");
  fs.fsyncSync(folder);
  fs.closeSync(folder);
  context.set("last_sequence", sequence);
}

const [, , site, doorName] = env.get("TOPIC").split("/");
const require_liveness = env.get("REQUIRE_LIVENESS") !== false;
const door = { site, door: doorName, keys: context.get("keys"), require_liveness };
const memory = { last_sequence: context.get("last_sequence") };
const now = Date.now();
try {
  if (now < context.get("trusted_from")) throw new Refused("clock");
  try {
    const decision = check(msg.payload, msg.retain, now, door, memory);
    return [{ ...msg, payload: decision }, null];
  } finally {
    if (memory.last_sequence !== context.get("last_sequence")) keep(memory.last_sequence);
  }
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  return [null, { ...msg, payload: error.message }];
}
"""

TOPIC = "oneglance/v1/home/front/decision"
# `util` is in every function already.
MODULES = ("crypto", "fs", "path", "perf_hooks")
NOTE = """\
In this tab's properties say which TOPIC, where the KEYRING lies (a copy of the daemon's \
keyring.json) and where the MEMORY may be kept; in the broker's, its address, this lock's own user \
and TLS."""


def rule() -> str:
    """The checker's rule, as code inside a function: without imports, exports and its own test."""
    text = CHECKER.read_text(encoding="utf-8")
    begin, end = text.index("const MAX_BYTES"), text.index("export function run(")
    return text[begin:end].replace("export ", "")


def flow() -> list[dict[str, object]]:
    """The nodes, as Node-RED imports them."""
    tab = {"z": "oneglance-tab"}
    settings = {
        "TOPIC": (TOPIC, "str"),
        "KEYRING": ("/etc/oneglance/keyring.json", "str"),
        "MEMORY": ("/var/lib/node-red/oneglance-sequence", "str"),
        "REQUIRE_LIVENESS": ("true", "bool"),
    }
    return [
        {
            "id": "oneglance-tab",
            "type": "tab",
            "label": "oneglance lock",
            "info": NOTE,
            "env": [{"name": k, "value": v, "type": t} for k, (v, t) in settings.items()],
        },
        {
            "id": "oneglance-broker",
            "type": "mqtt-broker",
            "name": "oneglance",
            "broker": "127.0.0.1",
            "port": "1883",
            "protocolVersion": "5",
            "keepalive": "10",
            "cleansession": True,
            "autoConnect": True,
        },
        {
            "id": "oneglance-decisions",
            "type": "mqtt in",
            **tab,
            "name": "decisions",
            "topic": "${TOPIC}",
            "qos": "1",
            "datatype": "buffer",
            "broker": "oneglance-broker",
            "inputs": 0,
            "x": 120,
            "y": 100,
            "wires": [["oneglance-check"]],
        },
        {
            "id": "oneglance-check",
            "type": "function",
            **tab,
            "name": "may it open?",
            "func": BEFORE + rule() + AFTER,
            "outputs": 2,
            "timeout": 0,
            "initialize": START,
            "finalize": 'clearInterval(context.get("watch"));\n',
            "libs": [{"var": name, "module": name} for name in MODULES],
            "x": 310,
            "y": 100,
            "wires": [["oneglance-open"], ["oneglance-refused"]],
        },
        *(
            {
                "id": f"oneglance-{name}",
                "type": "debug",
                **tab,
                "name": label,
                "active": True,
                "tosidebar": True,
                "console": True,
                "complete": shown,
                "targetType": "msg",
                "x": 530,
                "y": y,
                "wires": [],
            }
            for name, label, shown, y in (
                ("open", "open: your relay here, a pulse", "payload.event_id", 80),
                ("refused", "refused", "payload", 140),
            )
        ),
    ]


def text() -> str:
    """The file's text."""
    return json.dumps(flow(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OUT.write_text(text(), encoding="utf-8")
