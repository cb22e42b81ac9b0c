"""The child process of a conversion: takes a job as JSON, prints progress and the outcome.

The converter leaks memory with every call and loads TensorFlow; ending the process frees both.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import NoReturn

import tensorflow as tf

from oneglance.converter.child import SCRATCH_PREFIX
from oneglance.converter.job import run_job
from oneglance.converter.request import Job
from oneglance.errors import OneglanceError

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the job in argv[1]; each line of JSON on standard output is progress or the outcome."""
    _end_with_parent()
    job = Job.from_json(json.loads(sys.argv[1]))
    try:
        _say({"done": run_job(job, lambda text: _say({"doing": text}))})
    except OneglanceError as error:
        _fail(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        _fail(_trouble(error.strerror or str(error), str(error.filename or job.model)))
    except tf.errors.ResourceExhaustedError as error:
        _fail(_trouble(error.message, job.model))


def _trouble(reason: str, where: str) -> OneglanceError:
    return OneglanceError(
        f"the conversion cannot read or write a file ({reason})",
        where=where,
        fix="free some space, or name another place for scratch files with TMPDIR",
    )


def _fail(error: OneglanceError) -> None:
    told = {"what": error.what, "where": error.where, "fix": error.fix}
    _say({"error": {"kind": type(error).__name__, **told}})


def _end_with_parent() -> None:
    """Where the kernel can tell us: without a parent, nobody takes the result or clears up."""
    signal.signal(signal.SIGTERM, _leave)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    scratch = Path(tempfile.gettempdir())
    if scratch.name.startswith(SCRATCH_PREFIX):
        shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(128 + number)


def _say(message: dict[str, object]) -> None:
    sys.stdout.write("\n" + json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
