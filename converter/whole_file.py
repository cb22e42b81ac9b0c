"""Read a whole Keras model, of Keras 2 or 3, from .h5 or .keras; or say clearly why not."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import keras

from oneglance.errors import ConfigError

# Keras finds our own layers only if they were imported before.
from oneglance.training.networks import keras_files  # noqa: F401

# What other people call layers that compute |a - b|. Absolute is an operation of keras.ops.
_L1_NAME = re.compile(
    r"(?!absolute$)(l1|manhattan|abs(olute)?)_?(dist(ance)?|diff(erence)?)?(_?layer)?", re.I
)
_MODELS = {"Functional": "functional", "Model": "functional", "Sequential": "sequential"}
_WHOLE = "save the whole model where it was made: model.save('model.keras')"
_TOLD = 200


class AbsoluteDifference(keras.layers.Layer):
    """|a - b|, whether the two come as a list, as two arguments, or by name."""

    def call(self, *inputs: Any, **named: Any) -> Any:
        """The absolute difference of each number, (n, d)."""
        a, b = keras.tree.flatten([inputs, named])
        return keras.ops.abs(a - b)


def read_whole(path: Path, custom_objects: Path | None = None) -> keras.Model:
    """The model in a .keras or .h5 file.

    `custom_objects` is Python code, which is run, and defines the layers that the file names and
    Keras lacks. A layer named like an L1 distance needs none: it is taken for |a - b|. Raises
    ConfigError with the reason and a way out.
    """
    config = _config(path)
    given = {} if custom_objects is None else _defined(custom_objects)
    objects = {}
    try:
        layers = list(_layers(config))
    except (AttributeError, LookupError, TypeError) as error:
        raise _unreadable(path, error) from error
    for name, kind, layer in layers:
        if kind == "Lambda":
            raise ConfigError(
                f"its layer {name!r} is a Lambda, whose code lies in the file and would be run",
                where=str(path),
                fix="replace it by a layer, or by keras.ops, and save the model again",
            )
        if kind in given:
            objects[kind] = given[kind]
        elif not _known(kind, layer):
            objects[kind] = _stand_in(path, name, kind)
    with tempfile.TemporaryDirectory() as scratch:
        file = path
        try:
            if _mend(config):
                file = Path(scratch) / f"mended{'.h5' if h5py.is_hdf5(path) else '.keras'}"
                _rewrite(path, config, file)
            model = keras.saving.load_model(file, custom_objects=objects, compile=False)
        except Exception as error:
            raise _unreadable(path, error) from error
    if not isinstance(model, keras.Model):
        raise ConfigError("holds a layer, not a model", where=str(path), fix=_WHOLE)
    return model


def _config(path: Path) -> dict[str, Any]:
    """The description of the layers that the file holds; ConfigError for any other file."""
    where = str(path)
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            raise ConfigError(
                "a SavedModel folder, of which Keras 3 reads no layers",
                where=where,
                fix="load it with the Keras that saved it, and model.save('model.h5')",
            )
        raise ConfigError("a folder, not a model's file", where=where, fix=_WHOLE)
    if not path.is_file():
        raise ConfigError("there is no such model", where=where, fix="train it first")
    try:
        if zipfile.is_zipfile(path):
            return _zip_config(path)
        if h5py.is_hdf5(path):
            with h5py.File(path) as file:
                if "model_config" in file.attrs:
                    found: dict[str, Any] = json.loads(file.attrs["model_config"])
                    return found
                raise ConfigError("it holds weights only, no layers", where=where, fix=_WHOLE)
        with path.open("rb") as file:
            kind = "a TensorFlow Lite file" if file.read(8)[4:] == b"TFL3" else "no .keras or .h5"
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    raise ConfigError(f"{kind}, so not a Keras model", where=where, fix=_WHOLE)


def _zip_config(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
        if "config.json" in names:
            found: dict[str, Any] = json.loads(file.read("config.json"))
            return found
    pickled = any(name.endswith("data.pkl") for name in names)
    what = "a PyTorch file" if pickled else "a zip without a model's config.json"
    raise ConfigError(f"{what}, so not a Keras model", where=str(path), fix=_WHOLE)


def _layers(config: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Name, class and description of each layer, including those of nested models."""
    inner = config.get("config")
    if not isinstance(inner, Mapping):
        return
    for layer in inner.get("layers", ()):
        kind = str(layer.get("class_name"))
        if kind in _MODELS:
            yield from _layers(layer)
        else:
            yield str(layer.get("name") or layer["config"].get("name")), kind, layer


def _known(kind: str, layer: Mapping[str, Any]) -> bool:
    # Operations of keras.ops are not layers; a .keras file says which module they are from.
    if str(layer.get("module")).startswith(("keras.ops", "keras.src.ops.")):
        return True
    registered = str(layer.get("registered_name") or f"oneglance>{kind}")
    return hasattr(keras.layers, kind) or bool(keras.saving.get_registered_object(registered))


def _stand_in(path: Path, name: str, kind: str) -> type[keras.layers.Layer]:
    if not _L1_NAME.fullmatch(kind):
        raise ConfigError(
            f"its layer {name!r} is of the class {kind}, which is not one of Keras's",
            where=str(path),
            fix="give the file that defines it with --custom-objects FILE.py, which is run; a step"
            " of keras.ops is read from a .keras file only",
        )
    # The file stores its weights, or that there are none, under the name of the class.
    return type(kind, (AbsoluteDifference,), {})


def _defined(file: Path) -> dict[str, type[keras.layers.Layer]]:
    """Run the file; returns the layers that it defines, by name."""
    try:
        found = runpy.run_path(str(file))
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"it fails when it is run ({type(error).__name__}: {error})",
            where=str(file),
            fix="let it define the layers and do nothing else",
        ) from error
    return {
        name: thing
        for name, thing in found.items()
        if isinstance(thing, type) and issubclass(thing, keras.layers.Layer)
    }


def _mend(config: dict[str, Any]) -> bool:
    """Correct in place what Keras 2 wrote differently from what Keras 3 reads; whether it had to.

    The class of a model has moved, and a layer's second input, if passed by name, was among the
    settings of the call.
    """
    changed = False
    kind, module = config.get("class_name"), config.get("module")
    if kind in _MODELS and module is not None and not module.startswith(("keras.src.models",)):
        home = _MODELS[str(kind)]
        config |= {"module": f"keras.src.models.{home}", "class_name": home.capitalize()}
        changed = True
    for calls in config.get("inbound_nodes") or ():
        for call in _calls(calls):
            named = call[3] if len(call) == 4 else {}
            for key in [key for key, value in named.items() if _is_tensor(value)]:
                calls.append([*named.pop(key), {}])
                changed = True
    inner = config.get("config")
    layers = inner.get("layers", ()) if isinstance(inner, dict) else ()
    changed = any([changed, *[_mend(layer) for layer in layers]])
    return _count_calls_from_zero(layers) or changed


def _count_calls_from_zero(layers: Sequence[Mapping[str, Any]]) -> bool:
    """Keras 2 counted making a nested model as its first call; Keras 3 does not."""
    nodes = {layer.get("name"): layer.get("inbound_nodes") or () for layer in layers}
    calls = [call for each in nodes.values() for node in each for call in _calls(node)]
    changed = False
    for layer in layers:
        name = layer.get("name")
        told = [call for call in calls if call[0] == name]
        if layer.get("class_name") in _MODELS and told:
            numbers = [call[1] for call in told]
            if min(numbers) > 0 and max(numbers) >= len(nodes[name]):
                for call in told:
                    call[1] -= 1
                changed = True
    return changed


def _calls(node: object) -> list[Any]:
    """The inputs of one call as Keras 2 wrote them, [layer, call, output, settings] each."""
    return [call for call in node if isinstance(call, list)] if isinstance(node, list) else []


def _is_tensor(value: object) -> bool:
    return isinstance(value, list) and [type(part) for part in value] == [str, int, int]


def _rewrite(path: Path, config: Mapping[str, Any], out: Path) -> None:
    """The same file with a different description."""
    text = json.dumps(config)
    if out.suffix == ".h5":
        shutil.copyfile(path, out)
        with h5py.File(out, "r+") as file:
            file.attrs["model_config"] = text
        return
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, text if name == "config.json" else old.read(name))


def _unreadable(path: Path, error: Exception) -> ConfigError:
    """Keras's own message, whose first line says what is wrong, and the version that it needs."""
    told = str(error).strip().splitlines() or [type(error).__name__]
    return ConfigError(
        f"Keras {keras.__version__} cannot read it ({told[0][:_TOLD]})",
        where=str(path),
        fix="save it again with this version of Keras, or check that the file is complete",
    )
