"""One TensorFlow Lite file behind named signatures, whichever runtime is installed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import MissingPartError, ModelError


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


class Signatures:
    """The signatures of one .tflite file: tensors by name, any batch size, safe across threads.

    `wanted` maps each signature that must be there to its (input names, output name).
    Raises ModelError if the file is no model or lacks one of them.
    """

    def __init__(
        self,
        path: Path,
        wanted: dict[str, tuple[tuple[str, ...], str]],
        *,
        threads: int = 1,
        interpreter: Any = None,
    ) -> None:
        self._lock = threading.Lock()
        self._outputs = {name: output for name, (_, output) in wanted.items()}
        make = interpreter or interpreter_class()
        fix = "install the model again, or convert it anew"
        try:
            self._interpreter = make(model_path=str(path), num_threads=threads)
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
        with self._lock:
            result = self._runners[signature](**tensors)[self._outputs[signature]]
            return np.array(result, np.float32)
