"""docs/wire.md: its examples are real, its snippet works."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from command_samples import VERB_ROLES
from cryptography.exceptions import InvalidSignature
from wire_examples import (
    AT,
    DOCUMENT,
    block_names,
    decision_payload,
    examples,
    filled,
    public_pem,
)
from wire_samples import make_decision

from oneglance import errors
from oneglance.contract import messages
from oneglance.contract.commands import Code, Command
from oneglance.contract.messages import (
    Factor,
    Hint,
    Liveness,
    LockState,
    Message,
    Mode,
    Phase,
    ServiceState,
    Step,
)
from oneglance.contract.sharing import GalleryState, SharedGallery
from oneglance.contract.topics import Topics
from oneglance.daemon.visit import decide
from oneglance.errors import OneglanceError

TEXT = DOCUMENT.read_text()


@pytest.fixture(scope="module")
def opens() -> Callable[..., dict[str, Any]]:
    (code,) = re.findall(r"<!-- snippet -->\n```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102
    function: Callable[..., dict[str, Any]] = names["opens"]
    return function


def attempt(opens: Callable[..., dict[str, Any]], **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "payload": decision_payload(),
        "retained": False,
        "public_pem": public_pem(),
        "site": "home",
        "door": "front",
        "last_sequence": 0,
        "now": AT + timedelta(seconds=1),
    }
    return opens(**(arguments | changes))


def test_the_examples_are_what_the_code_says() -> None:
    assert sorted(block_names(TEXT)) == sorted(examples())
    assert filled(TEXT) == TEXT, "run: python tests/contract/wire_examples.py"


def test_the_document_names_every_topic() -> None:
    topics = Topics("s", "d")
    for topic in (
        *(topics.status, topics.visit, topics.access, topics.challenge),
        *(topics.decision, topics.result, topics.door_state),
        *(topics.gallery, topics.gallery_state, topics.ask_lock),
        *(topics.ask_verify, topics.assistant, topics.picture),
    ):
        assert f"| `{topic.removeprefix(topics.base + '/')}` |" in TEXT
    assert "| `command/<verb>` |" in TEXT
    assert "| `reply/<asker>` |" in TEXT


def rows(header: str) -> dict[str, list[str]]:
    """The table under that header: each row's first code word, and its other cells."""
    table = TEXT.split(header + "\n")[1].split("\n\n")[0].splitlines()[1:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table]
    return {name: rest for first, *rest in cells for name in re.findall(r"`([^`]+)`", first)}


def test_the_document_names_every_code_of_an_answer() -> None:
    kinds = {
        name.removesuffix("Error").lower()
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, OneglanceError)
    }
    # What no verb can fail in: it has no camera, broker or extra of its own, and its message came.
    kinds -= {"oneglance", "camera", "broker", "message", "missingpart"}
    assert set(rows("| `code` | what |")) == set(Code) | {f"{kind}_error" for kind in kinds}


def test_the_document_names_every_reason_of_a_rejection() -> None:
    constants = {
        value
        for module in (messages, decide)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and value.isidentifier()
    }
    assert set(rows("| `reason` | the visit was rejected because |")) == constants


def test_the_document_names_every_verb_and_whose_key_may_ask() -> None:
    told = rows("| verb | roles | `args` | what |")
    assert {verb: set(cells[0].split(", ")) for verb, cells in told.items()} == VERB_ROLES


@pytest.mark.parametrize(
    ("kind", "section"),
    [
        (ServiceState, "Status"),
        (Phase, "Visit"),
        (Hint, "Visit"),
        (Mode, "Decision"),
        (Factor, "Decision"),
        (Liveness, "Decision"),
        (Step, "Challenge"),
        (LockState, "Door state"),
    ],
)
def test_the_document_names_every_word_of_a_message(kind: type[StrEnum], section: str) -> None:
    text = TEXT.split(f"\n## {section}\n")[1].split("\n## ")[0]
    assert [word for word in kind if f"`{word}`" not in text] == []


@pytest.mark.parametrize(
    ("message", "section"),
    [
        (messages.Status, "Status"),
        (messages.VisitState, "Visit"),
        (messages.AccessState, "Access"),
        (messages.Decision, "Decision"),
        (messages.Result, "Result"),
        (messages.Challenge, "Challenge"),
        (GalleryState, "The shared gallery"),
        (SharedGallery, "The shared gallery"),
        (messages.DoorState, "Door state"),
        (Command, "Commands and replies"),
        (messages.Reply, "Commands and replies"),
    ],
)
def test_the_document_says_what_each_field_means(message: type[Message], section: str) -> None:
    text = TEXT.split(f"\n## {section}\n")[1].split("\n## ")[0]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    of_all = set(Message.model_fields) | {"kind"}
    assert [
        field for field in message.model_fields if field not in of_all and f"`{field}`" not in prose
    ] == []


def test_the_snippet_takes_the_documents_decision(opens: Callable[..., dict[str, Any]]) -> None:
    assert attempt(opens)["person_id"] == "ada"


@pytest.mark.parametrize(
    "changes",
    [
        {"retained": True},
        {"site": "office"},
        {"door": "back"},
        {"now": AT + timedelta(seconds=5)},
        {"now": AT - timedelta(seconds=2, milliseconds=1)},
        {"last_sequence": 1795500000123},
        {"payload": b"{}"},
        {"payload": b" " * 20_000},
        {"payload": decision_payload().replace(b'"v"', b'"v":1,"v"')},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_snippet_refuses_what_it_must(
    opens: Callable[..., dict[str, Any]], changes: dict[str, Any]
) -> None:
    with pytest.raises((ValueError, KeyError)):
        attempt(opens, **changes)


def test_the_snippet_refuses_changed_and_unsigned_content(
    opens: Callable[..., dict[str, Any]],
) -> None:
    with pytest.raises(InvalidSignature):
        attempt(opens, payload=decision_payload().replace(b"Ada", b"Eve"))
    with pytest.raises(KeyError):
        attempt(opens, payload=make_decision(1).to_payload())


def test_every_link_into_the_repository_exists() -> None:
    for name in ("wire.md", "lock.md", "security.md"):
        document = DOCUMENT.with_name(name)
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{name}: {target}"


def test_a_signed_message_travels_in_the_canonical_form() -> None:
    payload = decision_payload()
    assert rfc8785.dumps(json.loads(payload)) == payload
