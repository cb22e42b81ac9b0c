"""The child process of a conversion: a job as JSON in, lines of progress and its outcome out.

The converter leaks memory with every call and drags TensorFlow in; a process of its own gives
both back.
"""

from __future__ import annotations

import json
import sys

from oneglance.converter.job import run_job
from oneglance.converter.request import Job
from oneglance.errors import OneglanceError


def main() -> None:
    """Run the job in argv[1]; each line of JSON on standard output is progress or the outcome."""
    job = Job.from_json(json.loads(sys.argv[1]))
    try:
        _say({"done": run_job(job, lambda text: _say({"doing": text}))})
    except OneglanceError as error:
        told = {"what": error.what, "where": error.where, "fix": error.fix}
        _say({"error": {"kind": type(error).__name__, **told}})


def _say(message: dict[str, object]) -> None:
    sys.stdout.write("\n" + json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
