"""Commands that ask how the house is, and the test of the lock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from oneglance.audit.entry import Signer
from oneglance.audit.log import Audit
from oneglance.config import Config
from oneglance.contract.keyring import Role
from oneglance.contract.messages import MAX_REPLY_TEXT
from oneglance.daemon.house import hottest_c, house_verbs
from oneglance.daemon.standing import Notice, Standing
from oneglance.daemon.voice.lock_test import VERDICT, LockTest
from oneglance.daemon.voice.verbs import CommandRefusedError, Sender
from oneglance.faces.gallery.vault import load_key

SENDER = Sender("administrator", Role.ADMINISTRATOR)


@pytest.fixture
def asked(
    house: Callable[..., Config], tmp_path: Path
) -> tuple[Callable[..., str], Notice, Audit, Any]:
    config = house(tmp_path / "none.mp4")
    audit = Audit(
        *(config.audit_folder, lambda: datetime.now(UTC)),
        signer=Signer.of(Ed25519PrivateKey.generate()),
        sealer=load_key(config.gallery.key_file),
    )
    watch: Any = SimpleNamespace(snapshot=None)
    notice = Notice()
    verbs = house_verbs(config, watch, notice, "mobileface-2 int8", tmp_path / "thermal")
    assert {verb.roles for verb in verbs.values()} == {frozenset({Role.ADMINISTRATOR})}

    def ask(verb: str, **args: Any) -> str:
        return verbs[verb].run(args, SENDER)

    return ask, notice, audit, watch


def test_the_system_tells_of_model_cameras_machine_and_people(asked: Any, tmp_path: Path) -> None:
    ask, notice, _, watch = asked
    lines = ask("system").splitlines()
    assert "model  mobileface-2 int8" in lines
    assert "people  0" in lines
    assert any(line.startswith("disk  ") for line in lines)
    assert not any(line.startswith(("temperature", "camera")) for line in lines)
    notice.standing = Standing(("camera_lost:side", "gallery_empty"), (), ("front", "side"), True)
    watch.snapshot = SimpleNamespace(people={"ada": 1, "bob": 2}, names={})
    for number, degrees in enumerate(("41200\n", "57900\n", "-274000\n", "hot")):
        zone = tmp_path / "thermal" / f"thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "temp").write_text(degrees)
    lines = ask("system").splitlines()
    for line in (
        *("people  2", "temperature  57.9"),
        *("camera  front  ok", "camera  side  camera_lost"),
    ):
        assert line in lines
    with pytest.raises(CommandRefusedError, match="no arguments"):
        ask("system", more=True)


def test_the_test_of_the_lock_lets_nobody_in_and_is_an_administrators() -> None:
    test = LockTest()
    assert test.verb.roles == {Role.ADMINISTRATOR}
    assert not test.take()
    with pytest.raises(CommandRefusedError):
        test.verb.run({"person_id": "ada"}, SENDER)
    assert not test.take()
    test.verb.run({}, SENDER)
    test.verb.run({}, SENDER)
    assert test.take()
    assert not test.take()
    assert not VERDICT.accepted
    assert VERDICT.score < VERDICT.threshold


def test_a_machine_that_tells_of_no_temperature_has_none(tmp_path: Path) -> None:
    assert hottest_c(tmp_path) is None


def test_the_last_decisions_name_who_is_still_enrolled(asked: Any) -> None:
    ask, _, audit, watch = asked
    assert ask("decisions") == "nobody came yet"
    accepted = {"outcome": "accepted", "reason": "", "factors": ["face", "badge"]}
    audit.append("decision", {"outcome": "rejected", "reason": "ambiguous", "factors": []})
    audit.append("decision", accepted, person_id="ada")
    audit.append("decision", accepted, person_id="bob")
    watch.snapshot = SimpleNamespace(people={}, names={"ada": "Ada  King"})
    newest, second, oldest = (line.split("  ", 3)[1:] for line in ask("decisions").splitlines())
    assert newest == ["accepted", "face+badge"]
    assert second == ["accepted", "face+badge", "Ada  King"]
    assert oldest == ["rejected", "ambiguous"]
    for _ in range(30):
        audit.append("decision", accepted, person_id="ada")
    watch.snapshot.names["ada"] = "A" * 100
    text = ask("decisions")
    assert len(text) <= MAX_REPLY_TEXT
    assert 10 < len(text.splitlines()) <= 20
