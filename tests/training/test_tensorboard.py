"""The event files of a run, as TensorBoard itself reads them."""

from __future__ import annotations

import itertools
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from oneglance.errors import ConfigError
from oneglance.training.engine.tensorboard import EventLog


def steps_and_values(folder: Path, tag: str) -> list[tuple[int, float]]:
    """What TensorBoard would draw."""
    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_what_a_resumed_run_does_again_is_drawn_once(tmp_path: Path) -> None:
    first = EventLog(tmp_path, 1, lambda: 1000.0)
    for step in (1, 2, 3, 4):
        first.write(step, {"loss": step + 0.5, "rate": 0.25})
    again = EventLog(tmp_path, 3, lambda: 2000.0)
    again.write(3, {"loss": 30.0})
    assert len(list(tmp_path.iterdir())) == 2
    assert steps_and_values(tmp_path, "loss") == [(1, 1.5), (2, 2.5), (3, 30.0)]
    assert steps_and_values(tmp_path, "rate") == [(1, 0.25), (2, 0.25)]


def test_each_event_has_the_time_of_its_clock(tmp_path: Path) -> None:
    EventLog(tmp_path, 1, itertools.count(1000.0, 0.5).__next__).write(1, {"loss": 1.0})
    events = EventAccumulator(str(tmp_path)).Reload()
    # The version came at 1000, the start at 1000.5.
    assert events.FirstEventTimestamp() == 1000.0
    assert [event.wall_time for event in events.Scalars("loss")] == [1001.0]


def test_a_killed_run_loses_nothing_and_is_quiet_and_loads_no_tensorflow(tmp_path: Path) -> None:
    code = """
import json, os, signal, sys
from pathlib import Path
from oneglance.training.engine.tensorboard import EventLog
log = EventLog(Path(sys.argv[1]), 1, lambda: 1000.0)
for step in range(1, 101):
    log.write(step, {"loss": float(step)})
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (-9, "")
    assert {"tensorflow", "keras"}.isdisjoint(json.loads(run.stdout))
    steps = [step for step, _ in steps_and_values(tmp_path, "loss")]
    assert steps == list(range(1, 101))


@contextmanager
def no_file_beyond(size_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_an_error_of_one_line_at_the_write_that_found_it(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 1, lambda: 1000.0)
    (file,) = tmp_path.iterdir()
    with no_file_beyond(file.stat().st_size), pytest.raises(ConfigError) as caught:
        log.write(1, {"loss": 1.0})
    assert caught.value.where == str(file)
    assert "--resume" in caught.value.fix
    (tmp_path / "in_the_way").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        EventLog(tmp_path / "in_the_way" / "run", 1, lambda: 1000.0)
