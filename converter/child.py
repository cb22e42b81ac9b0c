"""Run one conversion in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from oneglance import errors
from oneglance.converter.request import Job

_LAST_LINES = 5


def convert_in_child(job: Job) -> dict[str, Any]:
    """Run the job; returns its report, or raises the OneglanceError that it ended with."""
    child = subprocess.run(
        [sys.executable, "-m", "oneglance.converter", json.dumps(asdict(job))],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        outcome = json.loads(child.stdout.rsplit("\n", 2)[-2])
    except (IndexError, ValueError):
        last = " | ".join(child.stderr.strip().splitlines()[-_LAST_LINES:])
        raise errors.OneglanceError(
            f"the conversion died with exit code {child.returncode}: {last}", where=job.model
        ) from None
    if "error" in outcome:
        told = outcome["error"]
        kind = getattr(errors, told["kind"])
        raise kind(told["what"], where=told["where"], fix=told["fix"])
    report: dict[str, Any] = outcome["done"]
    return report
