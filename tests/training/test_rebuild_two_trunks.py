"""Two networks, rebuilt side by side, say together what each says alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from oneglance.errors import ConfigError, ModelError
from oneglance.models import default_model_dir
from oneglance.training.engine.run_folder import save_model
from oneglance.training.networks.face_networks import mobileface
from oneglance.training.networks.rebuild_two_trunks import rebuild

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# Inside the first block of a stage, inside the others, out, and how many others.
STAGES = ((128, 128, 64, 4), (256, 256, 128, 6), (512, 256, 128, 2))


def low_rank(rows: int, columns: int, rank: int, rng: np.random.Generator) -> NDArray[np.float32]:
    product = rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, columns))
    return (product / np.sqrt(rank * rows)).astype(np.float32)


class OnnxFile:
    """A MobileFaceNet in PyTorch's manner, with random weights, layer after layer."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.nodes, self.values = rng, list[Any](), list[Any]()
        self.at, self.count = "chips", 0

    def conv(
        self, into: int, out: int, size: int = 1, stride: int = 1, *, each: bool = False
    ) -> None:
        shape = (out, 1 if each else into, size, size)
        kernel = self.rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
        pad = size // 2 if size < 7 else 0
        self.add_conv(kernel.astype(np.float32), stride, pad, into if each else 1)

    def add_conv(self, kernel: NDArray[np.float32], stride: int, pad: int, groups: int) -> None:
        bias = (0.1 * self.rng.normal(size=len(kernel))).astype(np.float32)
        self._node(
            "Conv", [kernel, bias], strides=[stride] * 2, pads=[pad] * 4, group=groups,
            kernel_shape=list(kernel.shape[2:]), dilations=[1, 1],
        )  # fmt: skip

    def prelu(self, channels: int) -> None:
        self._node("PRelu", [self.rng.uniform(-1, 1, (channels, 1, 1)).astype(np.float32)])

    def _node(self, kind: str, values: list[NDArray[np.float32]], **options: Any) -> None:
        names = []
        for value in values:
            names.append(f"value{len(self.values)}")
            self.values.append(numpy_helper.from_array(value, names[-1]))
        self.count += 1
        out = f"out{self.count}"
        self.nodes.append(helper.make_node(kind, [self.at, *names], [out], **options))
        self.at = out

    def add(self, earlier: str) -> None:
        self.count += 1
        self.nodes.append(helper.make_node("Add", [earlier, self.at], [f"out{self.count}"]))
        self.at = f"out{self.count}"

    def save(self, path: Path) -> None:
        shape = numpy_helper.from_array(np.array([-1, 512], np.int64), "shape")
        self.nodes.append(helper.make_node("Reshape", [self.at, "shape"], ["templates"]))
        kind = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "face",
            [helper.make_tensor_value_info("chips", kind, [1, 3, 112, 112])],
            [helper.make_tensor_value_info("templates", kind, [1, 512])],
            [*self.values, shape],
        )
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), path)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder, rng = tmp_path_factory.mktemp("networks"), np.random.default_rng(5)
    keras.utils.set_random_seed(5)
    encoder = mobileface()
    weights = encoder.get_weights()
    weights[-2] = low_rank(512, 192, 64, rng)[None, None]
    encoder.set_weights(weights)
    save_model(encoder, folder / "first.keras")

    file = OnnxFile(rng)
    file.conv(3, 64, 3, 2)
    file.prelu(64)
    file.conv(64, 64, 3, each=True)
    file.prelu(64)
    before = 64
    for first, inner, out, others in STAGES:
        for block in range(1 + others):
            earlier, wide = file.at, inner if block else first
            file.conv(before, wide)
            file.prelu(wide)
            file.conv(wide, wide, 3, 1 if block else 2, each=True)
            file.prelu(wide)
            file.conv(wide, out)
            if block:
                file.add(earlier)
            before = out
    file.conv(128, 512)
    file.prelu(512)
    file.conv(512, 512, 7, each=True)
    file.add_conv(low_rank(512, 512, 192, rng)[:, :, None, None], 1, 0, 1)
    file.save(folder / "second.onnx")
    return folder / "first.keras", folder / "second.onnx"


def test_the_template_of_both_is_what_each_says_side_by_side(networks: tuple[Path, Path]) -> None:
    encoder, difference = rebuild(*networks)
    assert encoder.output_shape == (None, 256)
    assert 0 < difference < 2e-3
    # The second network counts: without it the templates are others.
    chips = np.random.default_rng(1).integers(0, 256, (2, 112, 112, 3)).astype(np.float32)
    whole = np.asarray(encoder.predict_on_batch(chips))
    join = encoder.get_layer("join")
    kernel, bias = join.get_weights()
    kernel[:, :, 512:] = 0
    join.set_weights([kernel, bias])
    assert np.abs(np.asarray(encoder.predict_on_batch(chips)) - whole).max() > 0.01


def test_files_that_are_no_such_networks_are_refused(
    networks: tuple[Path, Path], tmp_path: Path
) -> None:
    first, second = networks
    with pytest.raises(ModelError) as caught:
        rebuild(first, default_model_dir() / "manifest.json")
    assert "faceplugin" in caught.value.fix
    with pytest.raises(ConfigError):
        rebuild(tmp_path / "none.keras", second)
    with pytest.raises(ModelError, match="there is no such file"):
        rebuild(first, tmp_path / "fr_feature.onnx")
    graph = onnx.load(second)
    del graph.graph.node[3:]
    onnx.save(graph, tmp_path / "short.onnx")
    with pytest.raises(ModelError):
        rebuild(first, tmp_path / "short.onnx")
