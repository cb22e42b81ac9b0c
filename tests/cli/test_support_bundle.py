"""`oneglance support-bundle`: names and keys are planted everywhere, and none comes out."""

from __future__ import annotations

import base64
import json
import re
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from typer.testing import CliRunner

from oneglance.broker import free_port
from oneglance.cli.audit_log import open_gallery
from oneglance.cli.init import init
from oneglance.cli.main import app
from oneglance.cli.support_bundle import Names, health, journal_line, metrics
from oneglance.config import MqttConfig, load_config
from oneglance.daemon.metrics import served
from oneglance.daemon.standing import Notice, Standing
from oneglance.events import CAMERA_LOST, COMMAND, DECISION, STATUS
from oneglance.faces.model.face_model import load_model

# No word of any program: wherever it stands, it was planted.
PLANTED = "quetzal"
NAMES = Names(["front", f"{PLANTED}-cam"])


def made(config: Path, out: Path) -> dict[str, str]:
    """The bundle's files."""
    ended = CliRunner().invoke(app, ["support-bundle", "-c", str(config), "-o", str(out)])
    assert ended.exit_code == 0, ended.output
    assert out.stat().st_mode & 0o777 == 0o600
    with tarfile.open(out) as bundle:
        return {
            Path(member.name).name: bundle.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in bundle.getmembers()
        }


def test_nothing_that_was_planted_is_in_the_bundle(tmp_path: Path, broker: MqttConfig) -> None:
    folder = tmp_path / f"{PLANTED}-house"
    init(folder, None, PLANTED, f"{PLANTED}2", f"http://{PLANTED}:{PLANTED}@127.0.0.1:1/{PLANTED}")
    file, port = folder / "oneglance.toml", free_port()
    text = re.sub(r"(?m)^port = 1883$", f"port = {broker.port}", file.read_text())
    text = re.sub(r'(?m)^(door = "quetzal2")$', r'\1\ntimezone = "Europe/Berlin"', text)
    file.write_text(
        f'{text}\n[metrics]\nport = {port}\n[access]\ngroups = ["{PLANTED}s"]\n'
        f'[access.schedules]\n{PLANTED}-times = ["mon-fri 08:00-18:00"]\n'
        f'[[access.rules]]\ngroups = ["{PLANTED}s"]\nwhen = ["{PLANTED}-times"]\n'
    )
    config, model = load_config(file), load_model()
    assert PLANTED in config.camera[0].name
    with open_gallery(config, create=True) as gallery:
        gallery.enrol(
            f"Xochitl {PLANTED.title()}",
            np.eye(1, model.template_size, dtype=np.float32),
            model.model_id,
            consent_at=datetime(2026, 1, 1, tzinfo=UTC),
            source=PLANTED,
        )
    notice = Notice()
    notice.standing = Standing(reasons=(f"camera_lost:{config.camera[0].name}",))
    parts: Any = SimpleNamespace(vision=SimpleNamespace(turned_at_s=0.0), notice=notice)
    with served(parts, port, lambda: 1.0):
        bundle = made(file, tmp_path / "bundle.tar.gz")

    everything = json.dumps(bundle).lower()
    assert PLANTED not in everything
    assert "xochitl" not in everything
    assert "127.0.0.1" not in everything
    assert str(tmp_path) not in everything
    for secret in (*folder.glob("*.key"), *folder.glob("*.pub"), *folder.glob("*.password")):
        held = secret.read_bytes()
        for form in (held.hex(), base64.b64encode(held).decode(), *held.decode("latin-1").split()):
            assert len(form) < 8 or form.lower() not in everything, secret.name

    # And yet it tells what is wrong.
    assert json.loads(bundle["health.json"])["readyz"]["reasons"] == ["camera_lost:#1"]
    told = {(one["part"], one["what"]): one for one in json.loads(bundle["doctor.json"])}
    assert told["daemon", "camera #1"]["error"] == "CameraError"
    assert told["broker", "connection"]["verdict"] == "good"
    assert told["daemon", "gallery"]["verdict"] == "good"
    chosen = json.loads(bundle["config.json"])
    assert (chosen["mqtt"]["port"], chosen["site"]["name"]) == (broker.port, "set")
    assert chosen["access"] == {
        "groups": "1 set",
        "schedules": "1 set",
        "rules": [{"groups": "1 set", "when": "1 set"}],
    }
    assert json.loads(bundle["files.json"])["gallery.key_file"]["mode"] == "-rw-------"
    assert json.loads(bundle["about.json"])["packages"]["pydantic"][0].isdigit()


def test_it_is_made_without_a_door_and_never_over_another_file(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text(f"[{PLANTED}]\n")
    bundle = made(broken, tmp_path / "bundle.tar.gz")
    assert PLANTED not in json.dumps(bundle)
    found = json.loads(bundle["doctor.json"])[-1]
    assert (found["what"], found["verdict"]) == ("configuration", "broken")
    out = tmp_path / "mine"
    out.write_text("mine")
    ended = CliRunner().invoke(app, ["support-bundle", "-o", str(out), "-c", str(broken)])
    assert ended.exit_code != 0
    assert out.read_text() == "mine"


def test_of_a_line_of_the_journal_no_text_stays() -> None:
    def line(**fields: object) -> dict[str, Any] | None:
        said = {
            "_SYSTEMD_UNIT": f"oneglance@{PLANTED}.service",
            "PRIORITY": "4",
            "MESSAGE": PLANTED,
            "CODE_FILE": PLANTED,
            "CODE_FUNC": PLANTED,
            "_PID": "77",
            "_HOSTNAME": PLANTED,
            "CODE_LINE": "12",
            "__REALTIME_TIMESTAMP": "17",
        }
        return journal_line(json.dumps(said | fields), NAMES)

    plain = {"unit": "oneglance", "priority": 4, "line": 12, "at_us": 17}
    assert line() == plain
    assert line(LOGGER=f"oneglance.{PLANTED}9") == plain
    assert line(LOGGER="oneglance.link") == plain | {"logger": "oneglance.link"}
    decided = {"ONEGLANCE_OUTCOME": "rejected", "ONEGLANCE_REASON": f"Dr. {PLANTED}"}
    assert line(MESSAGE_ID=DECISION.id, ONEGLANCE_EVENT_ID=PLANTED, **decided) == plain | {
        "event": "DECISION",
        "outcome": "rejected",
        "reason": "?",
    }
    reasons = f"clock_set,camera_lost:{PLANTED}-cam,camera_dark:{PLANTED}"
    told = line(MESSAGE_ID=STATUS.id, ONEGLANCE_REASONS=reasons)
    assert told == plain | {
        "event": "STATUS",
        "reasons": ["clock_set", "camera_lost:#2", "camera_dark:?"],
    }
    told = line(MESSAGE_ID=CAMERA_LOST.id, ONEGLANCE_CAMERA=f"{PLANTED}-cam")
    assert told == plain | {"event": "CAMERA_LOST", "camera": "#2"}
    told = line(MESSAGE_ID=COMMAND.id, ONEGLANCE_KEY=PLANTED, ONEGLANCE_CODE="ok")
    assert told == plain | {"event": "COMMAND", "code": "ok"}
    assert line(_SYSTEMD_UNIT=f"{PLANTED}.service") is None
    assert [journal_line(text, NAMES) for text in ("", "[]", "nonsense")] == [None] * 3


def test_of_the_figures_only_ours_stay_and_cameras_are_numbers() -> None:
    text = f"""# HELP oneglance_frames_total {PLANTED}
oneglance_frames_total{{camera="{PLANTED}-cam"}} 7.0
oneglance_frames_total{{camera="{PLANTED}"}} 8.0
oneglance_rejections_total{{reason="{PLANTED.title()} 1"}} 1.0
oneglance_stage_seconds_bucket{{le="0.1",stage="encode"}} 3.0
process_open_fds 5.0
{PLANTED}_total 1.0
"""
    assert list(metrics(text, NAMES)) == [
        'oneglance_frames_total{camera="#2"} 7.0\n',
        'oneglance_frames_total{camera="?"} 8.0\n',
        'oneglance_rejections_total{reason="?"} 1.0\n',
        'oneglance_stage_seconds_bucket{le="0.1",stage="encode"} 3.0\n',
        "process_open_fds 5.0\n",
    ]
    assert health(json.dumps({"ok": PLANTED, "reasons": [PLANTED.title()]}), NAMES) == {
        "ok": False,
        "reasons": ["?"],
    }
    assert [health(text, NAMES) for text in (None, "", "[]", "{}")] == [None] * 4
