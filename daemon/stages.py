"""How long each stage of a step takes, for whoever wants to know."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Called with the name of a stage and the wall time in seconds that it took, in the vision thread.
OnStage = Callable[[str, float], None]

# In the order in which a step goes through them.
STAGES = ("follow", "search", "cut", "encode", "compare", "judge")


@contextmanager
def stage(name: str, on_stage: OnStage | None) -> Iterator[None]:
    """Time what stands in the block, and tell `on_stage`. Nothing is told of what raises."""
    if on_stage is None:
        yield
        return
    start_s = time.perf_counter()
    yield
    on_stage(name, time.perf_counter() - start_s)
