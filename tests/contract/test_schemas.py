"""docs/schemas: fresh, and true of what is really sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_samples import write
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from json_schema import validator_of
from test_messages import SAMPLES
from wire_samples import TOPICS, make_challenge, make_decision

from oneglance.contract.keyring import Role
from oneglance.contract.messages import Challenge, Decision, Message, Outcome
from oneglance.contract.schemas import MESSAGES, export, schema
from oneglance.contract.signing import sign

KEPT = Path(__file__).resolve().parents[2] / "docs" / "schemas"


def test_the_kept_schemas_are_the_exported_ones(tmp_path: Path) -> None:
    fresh = {file.name: file.read_text() for file in export(tmp_path)}
    kept = {file.name: file.read_text() for file in KEPT.glob("*.json")}
    kept.pop("model-manifest.schema.json")
    assert kept == fresh, "run: python -m oneglance.contract.schemas"


@pytest.mark.parametrize("kind", MESSAGES)
def test_each_schema_is_a_schema(kind: str) -> None:
    validator_of(schema(kind))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_real_signed_decision_is_valid(outcome: Outcome) -> None:
    payload = sign(make_decision(1, outcome=outcome), Ed25519PrivateKey.generate())
    validator_of(schema("decision")).validate(json.loads(payload))


def test_a_real_signed_command_is_valid_and_nothing_more() -> None:
    args = {"name": "Ada", "photos": ("YQ==",), "consent": True, "n": 1.5, "none": None}
    body = json.loads(write(TOPICS, Role.ADMINISTRATOR, "enrol", **args))
    validator = validator_of(schema("command"))
    validator.validate(body)
    for name in body:
        assert not validator.is_valid({k: v for k, v in body.items() if k != name})
    for change in ({"surprise": 1}, {"nonce": "1234"}, {"args": {"x": {}}}, {"verb": "a/b"}):
        assert not validator.is_valid(body | change)


def test_a_real_signed_challenge_is_valid() -> None:
    payload = sign(make_challenge(1), Ed25519PrivateKey.generate())
    validator_of(schema("challenge")).validate(json.loads(payload))


def test_an_unsigned_decision_is_not_valid() -> None:
    unsigned = json.loads(make_decision(1).to_payload())
    (error,) = validator_of(schema("decision")).iter_errors(unsigned)
    assert error.message == "'signature' is a required property"


@pytest.mark.parametrize(
    "message",
    [m for m in SAMPLES if not isinstance(m, Decision | Challenge)],
    ids=lambda m: m.kind,
)
def test_what_is_sent_is_valid_and_nothing_more(message: Message) -> None:
    kind = message.kind  # type: ignore[attr-defined]
    body = json.loads(message.to_payload())
    validator = validator_of(schema(kind))
    validator.validate(body)
    assert not validator.is_valid(body | {"surprise": 1})
    for name in body:
        assert not validator.is_valid({k: v for k, v in body.items() if k != name})
