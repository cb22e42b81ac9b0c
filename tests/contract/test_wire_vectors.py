"""docs/vectors: our gate, and the checkers in Python, JavaScript and C, agree on every one."""

from __future__ import annotations

import base64
import ctypes
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from wire_samples import TOPICS
from wire_vectors import FOLDER, Vector, files, reordered, vectors

from oneglance.contract.gate import Gate
from oneglance.contract.keyring import Keyring
from oneglance.contract.messages import Outcome
from oneglance.errors import MessageError

ALL = [*vectors(), reordered()]
RESULTS = [
    "opens",
    "retained",
    "malformed",
    "signature",
    "key",
    "place",
    "lifetime",
    "expired",
    "future",
    "replay",
    "rejected",
    "liveness",
]


def test_the_files_are_what_the_code_says() -> None:
    written = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.json")}
    assert written == files(), "run: python tests/contract/wire_vectors.py"


@pytest.mark.parametrize("vector", ALL, ids=lambda vector: vector.name)
def test_our_gate_opens_for_just_these(vector: Vector) -> None:
    ring = Keyring.model_validate_json(
        json.dumps({"keys": [pin | {"role": "daemon"} for pin in vector.keys]})
    )
    # The clock of a gate may not jump: it is one more reason to refuse.
    for step, last in zip(vector.steps, _last_sequences(vector), strict=True):
        gate = Gate(
            TOPICS,
            ring,
            wall=lambda now=step.now: now,  # type: ignore[misc]
            monotonic_s=lambda: 0.0,
            require_liveness=vector.require_liveness,
            last_sequence=last,
        )
        try:
            decision = gate.admit(step.payload, retained=step.retained)
            opens = decision.outcome is Outcome.ACCEPTED
        except MessageError:
            opens = False
        assert opens == (step.result == "opens")


def _last_sequences(vector: Vector) -> list[int]:
    """What the consumer remembers before each step."""
    before, last = [], vector.last_sequence
    for step in vector.steps:
        before.append(last)
        if step.result in ("opens", "rejected"):
            last = max(last, int(json.loads(step.payload)["sequence"]))
    return before


def test_the_checker_in_python_agrees() -> None:
    _agrees([sys.executable, str(FOLDER / "check.py")])


def test_the_checker_in_javascript_agrees() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    _agrees([node, str(FOLDER / "check.mjs")])


@pytest.mark.parametrize("checker", ["check.py", "check.mjs"])
def test_a_checker_that_finds_otherwise_says_so(checker: str, tmp_path: Path) -> None:
    program = sys.executable if checker.endswith("py") else shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    body = json.loads((FOLDER / "expired.json").read_text())
    body["steps"][0]["result"] = "opens"
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(body))
    run = subprocess.run([program, FOLDER / checker, wrong], capture_output=True, text=True)
    assert (run.returncode, run.stdout.strip()) == (1, "FAIL expired expired")


def _agrees(command: list[str]) -> None:
    names = sorted(str(file) for file in FOLDER.glob("*.json"))
    run = subprocess.run([*command, *names], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("ok  ") == len(names) == len(ALL)


class _Key(ctypes.Structure):
    _fields_ = (
        ("raw", ctypes.c_uint8 * 32),
        ("from_ms", ctypes.c_int64),
        ("until_ms", ctypes.c_int64),
    )


_Verify = ctypes.CFUNCTYPE(
    ctypes.c_bool,
    ctypes.POINTER(ctypes.c_uint8),
    ctypes.POINTER(ctypes.c_uint8),
    ctypes.POINTER(ctypes.c_uint8),
    ctypes.c_size_t,
)


class _Door(ctypes.Structure):
    _fields_ = (
        ("site", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("keys", ctypes.POINTER(_Key)),
        ("key_count", ctypes.c_size_t),
        ("require_liveness", ctypes.c_bool),
        ("verify", _Verify),
        ("last_sequence", ctypes.c_uint64),
    )


@_Verify
def _verify(signature, key, message, length):  # type: ignore[no-untyped-def]
    try:
        Ed25519PublicKey.from_public_bytes(bytes(key[:32])).verify(
            bytes(signature[:64]), bytes(message[:length])
        )
    except InvalidSignature:
        return False
    return True


@pytest.fixture(scope="module")
def sketch(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The C header as a library, with the sanitizers' traps for what C leaves undefined."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("sketch")
    source = folder / "sketch.c"
    source.write_text(
        f'#include "{FOLDER / "oneglance_check.h"}"\n'
        "int check(struct og_door *door, const uint8_t *payload, size_t length, bool retained,\n"
        "          int64_t now_ms)\n"
        "{ return og_check(door, payload, length, retained, now_ms); }\n"
    )
    library = folder / "sketch.so"
    flags = "-std=c99 -O2 -Wall -Wextra -Wpedantic -Werror -fPIC -shared -fsanitize=undefined"
    trap = "-fsanitize-undefined-trap-on-error"
    subprocess.run([compiler, *flags.split(), trap, source, "-o", library], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.check.argtypes = (
        ctypes.POINTER(_Door),
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_bool,
        ctypes.c_int64,
    )
    return loaded


def _ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _door(vector: Vector) -> _Door:
    keys = (_Key * len(vector.keys))()
    for slot, pin in zip(keys, vector.keys, strict=True):
        slot.raw[:] = base64.b64decode(pin["public_key"])
        slot.from_ms = _ms(datetime.fromisoformat(pin["not_before"]))
        end = pin["not_after"]
        slot.until_ms = 2**62 if end is None else _ms(datetime.fromisoformat(end))
        if pin["revoked_at"] is not None:
            slot.until_ms = 0
    return _Door(
        b"home", b"front", keys, len(keys), vector.require_liveness, _verify, vector.last_sequence
    )


@pytest.mark.parametrize("vector", ALL, ids=lambda vector: vector.name)
def test_the_sketch_in_c_agrees(sketch: ctypes.CDLL, vector: Vector) -> None:
    door = _door(vector)
    for step in vector.steps:
        result = sketch.check(
            ctypes.byref(door), step.payload, len(step.payload), step.retained, _ms(step.now)
        )
        expected = "malformed" if vector.name == "reordered-members" else step.result
        assert RESULTS[result] == expected


def test_the_sketch_in_c_survives_every_cut_and_every_changed_byte(sketch: ctypes.CDLL) -> None:
    vector = next(v for v in ALL if v.name == "valid")
    (step,) = vector.steps
    payload, now_ms = step.payload, _ms(step.now)
    for end in range(len(payload)):
        cut = payload[:end]
        assert sketch.check(ctypes.byref(_door(vector)), cut, end, False, now_ms) != 0
    for place in range(len(payload)):
        for other in (payload[place] ^ 1, 0x22, 0x5C, 0x00):
            if other == payload[place]:
                continue
            changed = payload[:place] + bytes([other]) + payload[place + 1 :]
            result = sketch.check(ctypes.byref(_door(vector)), changed, len(changed), False, now_ms)
            assert result != 0
