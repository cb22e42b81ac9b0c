"""Run one conversion in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from oneglance import errors
from oneglance.converter.request import Job

SCRATCH_PREFIX = "oneglance-convert-"
_LAST_LINES = 5


def convert_in_child(job: Job, tell: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Run the job; returns its report, or raises the OneglanceError with which it ended.

    `tell` is called with what the child is doing. Whatever happens to the child, its scratch files
    are removed; if this process itself is killed, the child removes them and ends.
    """
    with (
        tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX) as scratch,
        tempfile.TemporaryFile("w+") as trouble,
    ):
        child = subprocess.Popen(
            [sys.executable, "-m", "oneglance.converter", json.dumps(asdict(job))],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TMPDIR": scratch},
            stdout=subprocess.PIPE,
            stderr=trouble,
            text=True,
        )
        with child:
            try:
                outcome = _listen(child, tell)
            except BaseException:
                child.kill()
                raise
        if outcome is None:
            trouble.seek(0)
            last = " | ".join(trouble.read().strip().splitlines()[-_LAST_LINES:])
            raise errors.OneglanceError(
                f"the conversion died with exit code {child.returncode}: {last}", where=job.model
            )
    if "error" in outcome:
        told = outcome["error"]
        kind = getattr(errors, told["kind"])
        raise kind(told["what"], where=told["where"], fix=told["fix"])
    report: dict[str, Any] = outcome["done"]
    return report


def _listen(child: subprocess.Popen[str], tell: Callable[[str], None]) -> dict[str, Any] | None:
    """Pass progress on; returns the outcome, or None if the child ended without one."""
    outcome: dict[str, Any] | None = None
    for line in child.stdout or ():
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict) and "doing" in message:
            tell(message["doing"])
        elif isinstance(message, dict) and ("done" in message or "error" in message):
            outcome = message
    return outcome
