"""Several processes of one training, each as a machine of its own would start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed

from oneglance.broker import free_port

# A busy machine takes minutes where a free one takes seconds: this ends a deadlock, nothing else.
_PATIENCE_S = 900


def child(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Python with these arguments, one thread, and no other TF_CONFIG than one given."""
    kept = {key: value for key, value in os.environ.items() if key != "TF_CONFIG"}
    quiet = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**kept, **quiet, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    """The last line that a process prints, once it has ended well."""
    try:
        stdout, stderr = process.communicate(timeout=_PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 0, stderr
    return stdout.splitlines()[-1]


def both_said(backend: str, *arguments: str) -> list[str]:
    """What the first and the second of two processes say that share a training."""
    ports = [free_port() for _ in range(2)]
    processes = []
    for index in range(2):
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        task = {"type": "worker", "index": index}
        variables = {
            "tensorflow": {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})},
            "jax": {
                "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{ports[0]}",
                "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
                "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
            },
        }[backend]
        processes.append(child(*arguments, KERAS_BACKEND=backend, **variables))
    # Where one fails the other would wait for it: the first failure ends both.
    with ThreadPoolExecutor(len(processes)) as pool:
        answers = [pool.submit(said, process) for process in processes]
        try:
            for answer in as_completed(answers):
                answer.result()
        finally:
            for process in processes:
                process.kill()
    return [answer.result() for answer in answers]
