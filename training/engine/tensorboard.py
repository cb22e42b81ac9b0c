"""Event files for TensorBoard, by its own record writer: the same on every backend.

Nothing here loads TensorFlow. TensorBoard's `EventFileWriter` is not used: its thread would lose
what it has not yet written if the process is killed, and it takes neither a name nor a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from oneglance.training.engine.files import refused


class EventLog:
    """The scalars of one start of a run, appended to a file of their own as they come.

    `clock` gives seconds since 1970. A resumed run writes a new file, whose first event voids
    everything logged at `first_step` or later. Raises ConfigError if the disk is full.
    """

    def __init__(self, folder: Path, first_step: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise refused(folder, error) from error
        starts = len(list(folder.glob("events.out.tfevents.*")))
        # TensorBoard reads the files of a folder in the order of their names.
        self._path = folder / f"events.out.tfevents.{starts:010d}.oneglance"
        self._append(0, file_version="brain.Event:2")
        self._append(first_step, session_log=SessionLog(status=SessionLog.START))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Append values by their tags; they are in the file when this returns.

        Raises ConfigError if the disk is full.
        """
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        self._append(step, summary=Summary(value=values))

    def _append(self, step: int, **content: object) -> None:
        event = Event(wall_time=self._clock(), step=step, **content)
        try:
            with self._path.open("ab") as file:
                RecordWriter(file).write(event.SerializeToString())
        except OSError as error:
            raise refused(self._path, error) from error
