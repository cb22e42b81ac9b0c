"""Of the processes that share a run, the first alone writes into its folder."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import recorded_run
import small_regression
from several_processes import both_said

from oneglance.training import run as run_module
from oneglance.training.engine import run_folder
from oneglance.training.engine.distribute import OneDevice, sharing
from oneglance.training.engine.record import record_start
from oneglance.training.networks.face_networks import landmarks

# TensorFlow's variables do not know NumPy 2's `copy` yet; saving a model says so.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

DRAWN = {"people": 4, "pictures": 2}
# One epoch of one step. What the other kinds of recipe write, they write by the same functions:
# no other is called anywhere, as the last test here says.
RECIPES: dict[str, dict[str, Any]] = {
    "faces": {
        "kind": "faces",
        "seed": 1,
        "network": "compact",
        "width": 0.125,
        "template_size": 8,
        "head": "cosine",
        "aligner": "../../aligner.keras",
        "passes": 1,
        "epochs": 1,
        "steps": 1,
        "learning_rate": 1e-3,
        "sampler": {"kind": "pairs", "pairs": 4},
        "loss": {"kind": "contrastive", "margin": 1.0},
        "patience": 1,
        "drawn": DRAWN,
    },
}
# What a run leaves, besides checkpoints and event files.
LEFT = {
    "faces": {"siamese.keras", "aligner.keras", "faces-best.keras", "faces.csv"},
}


def test_of_two_processes_that_train_what_one_trains_the_first_alone_writes(
    tmp_path: Path,
) -> None:
    landmarks(0.125).save(tmp_path / "aligner.keras")
    wanted = tmp_path / "recipes.json"
    wanted.write_text(json.dumps(RECIPES))
    runs = tmp_path / "runs"
    (runs / "sum").mkdir(parents=True)
    told = both_said("tensorflow", str(recorded_run.__file__), str(runs), str(wanted))
    first, second = (json.loads(line) for line in told)
    assert [(each["processes"], each["index"]) for each in (first, second)] == [(2, 0), (2, 1)]
    for kind, files in LEFT.items():
        for name in {*files, "recipe.json", "run.json", "report.json"}:
            assert (runs / kind / name).is_file()
            assert f"{kind}/{name}" in first["changed"]
    assert {file for file in first["changed"] if file.startswith("sum/")} > {
        "sum/sum-1.keras",
        "sum/sum-2.keras",
        "sum/sum-best.keras",
    }
    assert second["changed"] == []
    alone = small_regression.fit(tmp_path)
    for each in (first, second):
        assert each["weights"] == pytest.approx(alone, abs=1e-5)


class SecondProcess(OneDevice):
    index = 1


def test_in_another_process_the_verbs_neither_write_nor_need_what_the_first_makes(
    tmp_path: Path,
) -> None:
    with sharing(SecondProcess()):
        out = tmp_path / "run"
        run_folder.open_run(out, {"seed": 1}, resume=True)
        run_folder.begin_run(out, {"seed": 1})
        record_start(out, {"seed": 1}, [tmp_path / "gone"], ["oneglance"])
        run_folder.write(out / "report.json", b"{}")
        run_folder.write_cache(tmp_path / "cache" / "faces.npz", b"")
        run_folder.copy_file(out / ".." / "aligner.keras", out / "aligner.keras")
        run_folder.save_model(landmarks(0.125), out / "siamese.keras")
    assert not list(tmp_path.iterdir())


# What writes without asking which process it is in: modules, and names wherever they come from.
UNGUARDED_MODULES = {
    "oneglance.training.engine.files",
    "oneglance.training.engine.checkpoints",
    "oneglance.training.engine.tensorboard",
    "oneglance.whole_file",
    "shutil",
}
UNGUARDED_NAMES = {
    *("written", "write_atomically", "write_whole", "write_new", "EventLog", "fresh"),
    *("write_whole_and_wipe", "wipe"),
    *("write_bytes", "write_text", "mkdir", "touch", "rename", "unlink", "symlink_to"),
    *("save", "save_weights", "export", "imwrite", "dump"),
}


def unguarded_writes(source: str) -> set[str]:
    """What of a module's text could write into a run's folder in every process.

    Modules that write unasked, however they are imported, and names that do, wherever they are
    taken from; `save_model` is the guarded one only where it is the run folder's.
    """
    tree = ast.parse(source)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {each.name for each in node.names}
            found |= {node.module} & {"oneglance.whole_file", "shutil"}
            found |= {name for name in names if f"{node.module}.{name}" in UNGUARDED_MODULES}
            found |= names & UNGUARDED_NAMES
            if node.module != "oneglance.training.engine.run_folder":
                found |= names & {"save_model"}
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names} & UNGUARDED_MODULES
        elif isinstance(node, ast.Attribute):
            guarded = isinstance(node.value, ast.Name) and node.value.id == "run_folder"
            found |= {node.attr} & (UNGUARDED_NAMES | (set() if guarded else {"save_model"}))
        elif isinstance(node, ast.Call) and _opens_to_write(node):
            found.add("open")
    return found


def _opens_to_write(call: ast.Call) -> bool:
    by_name = isinstance(call.func, ast.Name) and call.func.id == "open"
    by_path = isinstance(call.func, ast.Attribute) and call.func.attr == "open"
    modes = [
        each.value
        for each in [*call.args, *(word.value for word in call.keywords)]
        if isinstance(each, ast.Constant)
    ]
    return (by_name or by_path) and any(
        isinstance(mode, str) and set(mode) & set("wax+") and len(mode) <= 3 for mode in modes
    )


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("from oneglance.training.engine.files import written", {"written"}),
        ("from oneglance.whole_file import fresh", {"oneglance.whole_file", "fresh"}),
        ("from oneglance.training.engine import checkpoints", {"checkpoints"}),
        ("import oneglance.training.engine.files", {"oneglance.training.engine.files"}),
        ("from oneglance import whole_file", {"whole_file"}),
        ("from oneglance.training.engine.loop import save", {"save"}),
        ("from keras.saving import save_model", {"save_model"}),
        ("run_folder.files.write_atomically(out, b'')", {"write_atomically"}),
        ("(out / 'report.json').write_text('{}')", {"write_text"}),
        ("pair.save(out / 'siamese.keras')", {"save"}),
        ("keras.saving.save_model(pair, out)", {"save_model"}),
        ("open(out, 'w')", {"open"}),
        ("out.open(mode='ab')", {"open"}),
        ("run_folder.save_model(pair, out)", set()),
        ("from oneglance.training.engine.run_folder import save_model, write", set()),
        ("out.open('rb').read()", set()),
    ],
)
def test_an_unguarded_write_is_found(source: str, told: set[str]) -> None:
    assert unguarded_writes(source) == told


def test_outside_the_engine_nothing_that_trains_can_write_unguarded() -> None:
    training = Path(run_module.__file__).parent
    # These are commands of one process each, with files of their own.
    apart = {
        *(training / "data" / n for n in ("check_report.py", "collect_store.py", "splits.py")),
        *(training / "liveness" / n for n in ("fit.py", "fit_texture.py")),
    }
    modules = [
        path
        for path in training.rglob("*.py")
        if training / "engine" not in path.parents and path not in apart
    ]
    assert training / "run.py" in modules
    found = {path.name: unguarded_writes(path.read_text("utf-8")) for path in modules}
    assert {name: writes for name, writes in found.items() if writes} == {}
