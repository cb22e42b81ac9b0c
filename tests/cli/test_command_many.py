"""`oneglance command --doors`: each door gets a command of its own, and answers for itself."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from command_desk import serving
from command_samples import KEYS, make_ring
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from oneglance.cli.command_many import read_doors
from oneglance.cli.main import app
from oneglance.config import MqttConfig
from oneglance.contract.commands import Args, Code
from oneglance.contract.keyring import Role
from oneglance.contract.topics import Topics
from oneglance.daemon.voice.verbs import CommandRefusedError, Sender, Verb
from oneglance.errors import ConfigError, GalleryError


def test_a_deletion_reaches_every_door_that_hears_and_names_the_others(
    broker: MqttConfig, tmp_path: Path
) -> None:
    deleted: list[str] = []

    def delete(door: str) -> Verb:
        def run(args: Args, _sender: Sender) -> str:
            if door == "cellar":
                raise GalleryError("nobody has this id")
            if door == "barn" and not deleted.count("barn: asked"):
                deleted.append("barn: asked")
                raise CommandRefusedError(Code.BUSY, "later")
            deleted.append(f"{door}: {args['id']}")
            return "deleted"

        return Verb(frozenset({Role.ADMINISTRATOR}), run)

    key = tmp_path / f"{Role.ADMINISTRATOR}.key"
    pem = KEYS[Role.ADMINISTRATOR].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key.touch(mode=0o600)
    key.write_bytes(pem)
    config = tmp_path / "admin.toml"
    config.write_text(f'[mqtt]\nport = {broker.port}\n[commands]\nkey_file = "{key}"\n')
    doors, left = tmp_path / "doors.txt", tmp_path / "left.txt"
    doors.write_text("front\ncellar # below\n\n# gone:\nattic\nfront\nback\nbarn\n")

    def ask(file: Path) -> tuple[int, dict[str, object]]:
        options = ["--doors", str(file), "--left", str(left), "--seconds", "1"]
        arguments = ["command", "delete", "id=ada", "-c", str(config), "--json", *options]
        ended = CliRunner().invoke(app, arguments)
        return ended.exit_code, json.loads(ended.stdout)

    with ExitStack() as parts:
        for door in ("front", "back", "cellar", "barn", "garden"):
            topics, memory = Topics("home", door), tmp_path / f"{door}.commands"
            verbs = {"delete": delete(door)}
            parts.enter_context(serving(broker, verbs, make_ring, memory, topics))
        code, told = ask(doors)
        assert code == 1
        assert told["silent"] == ["attic"]
        assert told["replies"] == {
            "front": {"ok": True, "code": "ok"},
            "back": {"ok": True, "code": "ok"},
            "cellar": {"ok": False, "code": "gallery_error"},
            "barn": {"ok": False, "code": "busy"},
        }
        assert sorted(deleted) == ["back: ada", "barn: asked", "front: ada"]
        assert left.read_text() == "attic\nbarn\n"
        # It is back: only who is left is asked again.
        topics, memory = Topics("home", "attic"), tmp_path / "attic.commands"
        with serving(broker, {"delete": delete("attic")}, make_ring, memory, topics):
            assert ask(left)[0] == 0
    assert not left.exists()
    assert sorted(deleted) == ["attic: ada", "back: ada", "barn: ada", "barn: asked", "front: ada"]


@pytest.mark.parametrize("text", ["", "# none\n", "front\n+\n", "front/back\n", "\x00"])
def test_a_file_that_names_no_doors_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "doors.txt"
    file.write_text(text)
    with pytest.raises(ConfigError):
        read_doors(file)
