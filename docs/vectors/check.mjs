// May this payload open the door? The whole rule in one file without packages; and its own test.
//
// `node check.mjs *.json` runs the vectors in this folder (Node 18 or newer). What a vector cannot
// hold is left to you: keep the last sequence on disk before you act, and act on nothing for 10
// seconds after your clock was set (docs/wire.md).

import { createPublicKey, verify } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";

const MAX_BYTES = 16384;
const FIELDS = ["door", "event_id", "expires_at", "factors", "issued_at", "kind", "liveness", "mode",
  "model_id", "outcome", "person_id", "person_name", "reason", "score", "sequence", "site",
  "threshold", "v", "visit_id"];

export class Refused extends Error {}

// memory.last_sequence is brought up to date; keep it before you act.
export function check(payload, retained, now, door, memory) {
  if (retained) throw new Refused("retained");
  const [body, signature] = parsed(payload);
  verifyBy(door.keys, Buffer.from(canonical(body), "utf8"), signature, now);
  if (Object.keys(body).sort().join() !== FIELDS.join() || body.v !== 2 || body.kind !== "decision")
    throw new Refused("malformed");
  if (body.site !== door.site || body.door !== door.door) throw new Refused("place");
  const issued = time(body.issued_at), expires = time(body.expires_at);
  if (expires - issued > 10_000) throw new Refused("lifetime");
  if (now >= expires) throw new Refused("expired");
  if (issued > now + 2_000) throw new Refused("future");
  if (!Number.isSafeInteger(body.sequence)) throw new Refused("malformed");
  if (body.sequence <= memory.last_sequence) throw new Refused("replay");
  memory.last_sequence = body.sequence;
  if (body.outcome !== "accepted") throw new Refused("rejected");
  if (door.require_liveness && body.liveness !== "passed") throw new Refused("liveness");
  return body;
}

function parsed(payload) {
  try {
    if (payload.length > MAX_BYTES) throw new Error("too long");
    // Node would drop a byte order mark, and replace what is no UTF-8.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload);
    noRepeats(text);
    const { signature: spelt, ...body } = JSON.parse(text);
    const signature = Buffer.from(spelt, "base64");
    if (signature.toString("base64") !== spelt) throw new Error("another spelling");
    return [body, signature];
  } catch {
    throw new Refused("malformed");
  }
}

// JSON.parse keeps the last of two members of one name. A decision has no object inside it, so
// every string before a colon is a member of the one object.
function noRepeats(text) {
  const names = [...text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?/g)]
    .filter((match) => match[2]).map((match) => JSON.parse(match[1]));
  if (new Set(names).size !== names.length) throw new Error("a member stands twice");
}

// RFC 8785: its order of members and its numbers are JavaScript's own.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${members.join()}}`;
}

function verifyBy(keys, bytes, signature, now) {
  for (const key of keys) {
    const x = Buffer.from(key.public_key, "base64").toString("base64url");
    const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    if (!verify(null, bytes, publicKey, signature)) continue;
    // The date of a revocation is for people: a revoked key counts at no time.
    const ended = key.not_after !== null && now >= time(key.not_after);
    if (key.revoked_at !== null || ended || now < time(key.not_before)) throw new Refused("key");
    return;
  }
  throw new Refused("signature");
}

function time(text) {
  const at = Date.parse(text);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text) || Number.isNaN(at))
    throw new Refused("malformed");
  return at;
}

export function run(vector) {
  const memory = { last_sequence: vector.last_sequence };
  return vector.steps.map((step) => {
    try {
      const payload = Buffer.from(step.payload, "base64");
      check(payload, step.retained, time(step.now), vector.door, memory);
      return "opens";
    } catch (error) {
      if (error instanceof Refused) return error.message;
      throw error;
    }
  });
}

function main(files) {
  let wrong = files.length === 0 ? 1 : 0;
  for (const file of files) {
    const vector = JSON.parse(readFileSync(file, "utf8"));
    const got = run(vector), expected = vector.steps.map((step) => step.result);
    const right = got.join() === expected.join();
    console.log(right ? "ok  " : "FAIL", vector.name, ...got);
    if (!right) wrong += 1;
  }
  process.exitCode = wrong ? 1 : 0;
}

// Who imports `check` runs no vectors.
if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
