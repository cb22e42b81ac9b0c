"""One TensorFlow Lite file behind named signatures, whichever runtime is installed."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import MissingPartError, ModelError
from oneglance.faces.model.quiet import without_no_news


def interpreter_class() -> Any:
    """`Interpreter` of ai-edge-litert, or of the older tflite-runtime.

    Raises MissingPartError if neither is installed.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tflite_runtime.interpreter import Interpreter
        except ImportError as error:
            raise MissingPartError(
                "no TensorFlow Lite runtime is installed",
                fix="pip install ai-edge-litert, or in a checkout: pip install -e '.[daemon]'",
            ) from error
    return Interpreter


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor of a signature; -1 in its shape stands for a size that is free."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class Signatures:
    """The signatures of one .tflite file: tensors by name, any batch size, safe across threads.

    `wanted` maps each signature that must be there to its (input names, output name). `content`
    are the file's bytes where they were read already, `path` then only names them.
    Raises ModelError if the file is no model or lacks one of them.
    """

    def __init__(
        self,
        path: Path,
        wanted: dict[str, tuple[tuple[str, ...], str]],
        *,
        threads: int = 1,
        interpreter: Any = None,
        content: bytes | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._has_run = False
        self._outputs = {name: output for name, (_, output) in wanted.items()}
        make = interpreter or interpreter_class()
        fix = "install the model again, or convert it anew"
        try:
            given = {"model_path": str(path)} if content is None else {"model_content": content}
            self._interpreter = make(**given, num_threads=threads)
            offered = self._interpreter.get_signature_list()
        except (ValueError, RuntimeError) as error:
            raise ModelError("not a TensorFlow Lite model", where=str(path), fix=fix) from error
        for name, (inputs, output) in wanted.items():
            found = offered.get(name, {"inputs": [], "outputs": []})
            if sorted(found["inputs"]) != sorted(inputs) or found["outputs"] != [output]:
                raise ModelError(
                    f"the model has no signature {name}({', '.join(inputs)}) -> {output}",
                    where=str(path),
                    fix=fix,
                )
        self._runners = {name: self._interpreter.get_signature_runner(name) for name in wanted}

    def tensors(self) -> dict[str, tuple[list[TensorSpec], list[TensorSpec]]]:
        """Inputs and outputs of each wanted signature, in the order of their names."""
        return {
            name: (_specs(runner.get_input_details()), _specs(runner.get_output_details()))
            for name, runner in self._runners.items()
        }

    def input_details(self, signature: str) -> dict[str, dict[str, Any]]:
        """What the runtime says about each input tensor of a signature."""
        details: dict[str, dict[str, Any]] = self._runners[signature].get_input_details()
        return details

    def output_details(self, signature: str) -> dict[str, Any]:
        """What the runtime says about the output tensor of a signature."""
        details: dict[str, dict[str, Any]] = self._runners[signature].get_output_details()
        return details[self._outputs[signature]]

    def run(self, signature: str, **tensors: NDArray[Any]) -> NDArray[np.float32]:
        """Run one signature once; the result is a copy that the caller may keep."""
        with self._lock, nullcontext() if self._has_run else without_no_news():
            result = self._runners[signature](**tensors)[self._outputs[signature]]
            self._has_run = True
            return np.array(result, np.float32)


def _specs(details: dict[str, dict[str, Any]]) -> list[TensorSpec]:
    return [
        TensorSpec(
            name,
            tuple(int(size) for size in detail["shape_signature"]),
            np.dtype(detail["dtype"]).name,
        )
        for name, detail in sorted(details.items())
    ]
