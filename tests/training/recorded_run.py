"""Train as one of several processes, and say which files of the runs this one touched.

Arguments: the folder of the runs, and a JSON file with the recipes by the names of their runs. The
small regression is trained too, into "sum", and what came of it is told.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import small_regression

from oneglance.training.engine.distribute import shared_out
from oneglance.training.engine.progress import silent
from oneglance.training.recipes.recipe import parse_recipe
from oneglance.training.run import run_recipe

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.link", "os.symlink", "os.truncate"}


def changed_below(folder: Path) -> set[str]:
    """A set that grows by the files below `folder` that this process makes, changes or removes."""
    found: set[str] = set()

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            paths = [path] if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else []
        else:
            paths = list(arguments[:2]) if event in _CHANGES else []
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike):
                file = Path(os.fsdecode(path)).absolute()
                if file.is_relative_to(folder) and file != folder:
                    found.add(file.relative_to(folder).as_posix())

    sys.addaudithook(hear)
    return found


if __name__ == "__main__":
    runs = Path(sys.argv[1]).resolve()
    changed = changed_below(runs)
    with shared_out("auto") as spread:
        for name, content in json.loads(Path(sys.argv[2]).read_text()).items():
            recipe = parse_recipe(content, name)
            out = runs / name
            run_recipe(recipe, data_dir=runs.parent, out=out, resume=False, stage=silent)
        weights = small_regression.fit(runs / "sum")
    answer = {
        "processes": spread.processes,
        "index": spread.index,
        "weights": weights.tolist(),
        "changed": sorted(changed),
    }
    sys.stdout.write(json.dumps(answer) + "\n")
