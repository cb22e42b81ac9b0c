// A lock in Node: it opens for a fresh, signed decision about its own door, once.
//
//   npm install mqtt
//   node lock.mjs BROKER_URL SITE DOOR keyring.json memory
//
// BROKER_URL is mqtt://127.0.0.1:1883, or mqtts://USER:PASSWORD@host:8883. The rule itself is
// ../docs/vectors/check.mjs. It ends when the broker is lost; let systemd start it again.

import {
  closeSync, existsSync, fsyncSync, openSync, readFileSync, realpathSync, renameSync, writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { check, Refused } from "../docs/vectors/check.mjs";

const UNTRUSTED_MS = 12_000; // as long as a decision lives, and two seconds of skew

// Acts on one arrival: returns the decision that opens, or throws Refused.
export function arrived(lock, payload, retained, now) {
  if (now < lock.trustedFrom) throw new Refused("clock");
  const before = lock.memory.last_sequence;
  try {
    return check(payload, retained, now, lock.door, lock.memory);
  } finally {
    if (lock.memory.last_sequence !== before) keep(lock.file, lock.memory.last_sequence);
  }
}

// The highest sequence seen is on disk before the door opens: a restart opens nothing twice.
export function keep(file, sequence) {
  const handle = openSync(`${file}.new`, "w", 0o600);
  writeSync(handle, `${sequence}\n`);
  fsyncSync(handle);
  closeSync(handle);
  renameSync(`${file}.new`, file);
  const folder = openSync(dirname(file), "r");
  fsyncSync(folder);
  closeSync(folder);
}

export function remembered(file) {
  if (!existsSync(file)) return 0;
  const text = readFileSync(file, "utf8");
  if (!/^(0|[1-9]\d{0,15})\n$/.test(text)) throw new Error(`${file} is damaged: the door stays shut`);
  return Number(text);
}

async function main([url, site, door, keyring, file]) {
  const { default: mqtt } = await import("mqtt");
  const keys = JSON.parse(readFileSync(keyring, "utf8")).keys.filter((key) => key.role === "daemon");
  const lock = {
    door: { site, door, keys, require_liveness: true },
    memory: { last_sequence: remembered(file) },
    file,
    trustedFrom: 0,
  };
  // Wall and monotonic clock drift apart only if somebody set the wall clock.
  let apart = Date.now() - performance.now();
  setInterval(() => {
    const now = Date.now() - performance.now();
    if (Math.abs(now - apart) > 1_000) lock.trustedFrom = Date.now() + UNTRUSTED_MS;
    apart = now;
  }, 500);
  const client = mqtt.connect(url, { protocolVersion: 5, reconnectPeriod: 0 });
  client.on("connect", () => client.subscribe(`oneglance/v1/${site}/${door}/decision`, { qos: 1 }));
  client.on("message", (_topic, payload, packet) => {
    try {
      arrived(lock, payload, packet.retain, Date.now());
      console.log("open"); // your relay here: a pulse, never a state
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      console.log("refused:", error.message);
    }
  });
  client.on("error", (error) => console.error("broker:", error.message));
  client.on("close", () => process.exit(1));
}

const isProgram = process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
if (isProgram) await main(process.argv.slice(2));
