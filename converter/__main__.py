"""The child process of a conversion: a job as JSON in, its outcome as JSON out.

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
    """Run the job in argv[1]; the last line of standard output is the outcome."""
    fields = json.loads(sys.argv[1])
    folds = fields.pop("fit_folds", None)
    job = Job(**fields, fit_folds=None if folds is None else tuple(folds))
    try:
        outcome = {"done": run_job(job)}
    except OneglanceError as error:
        told = {"what": error.what, "where": error.where, "fix": error.fix}
        outcome = {"error": {"kind": type(error).__name__, **told}}
    sys.stdout.write("\n" + json.dumps(outcome) + "\n")


if __name__ == "__main__":
    main()
