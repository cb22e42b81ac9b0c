"""Turn a Keras model into .tflite bytes with named signatures and a free batch size."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from oneglance.converter.correct import correct_biases
from oneglance.converter.delegate import only
from oneglance.converter.equalise import equalise
from oneglance.converter.fold import fold
from oneglance.converter.graph import Graph, build_model, read_graph
from oneglance.converter.ranges import AT_ONCE, measure_ranges, quantize_graph
from oneglance.converter.rewrite import rewrite_prelu

PRECISIONS = ("float32", "float16", "int8-weights", "int8")
_BATCH = 16

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done for int8 beyond rounding; each step can be left out, to see what it gains."""

    equalised: bool = True
    corrected: bool = True
    ranges: str = "mse"


@dataclass(frozen=True, slots=True, eq=False)
class Twins:
    """The parts of a Siamese pair: `encoder`, `head` with two inputs (..., d), the input's name."""

    pair: keras.Model
    encoder: keras.Model
    head: Function
    input_name: str

    @property
    def template_size(self) -> int:
        """How many numbers a template has."""
        return int(self.encoder.output_shape[-1])


def convert_twins(twins: Twins, precision: str) -> bytes:
    """The Siamese pair as signatures encode(chips or drawings) and compare(probes, templates).

    `precision` is float32, float16 or int8-weights; for int8 see `convert_prepared`.
    """
    return _pair_bytes(twins, twins.encoder, precision)


def convert_prepared(
    twins: Twins, samples: NDArray[np.uint8], recipe: Recipe
) -> tuple[bytes, bytes]:
    """The pair in int8, and the float file whose rounding it is, tensor by tensor.

    Ranges come from `samples` uint8 (n, ...), the encoder's inputs. The head, and the
    normalisations at both ends of the encoder, stay in float.
    """
    prepared = _pair_bytes(twins, build_model(prepare(twins.encoder, samples, recipe)), "float32")
    return _to_int8(prepared, "encode", samples, recipe.ranges), prepared


def convert_aligner(
    aligner: keras.Model, precision: str = "float32", crops: NDArray[np.uint8] | None = None
) -> bytes:
    """The landmark network as signature align(crops) -> points; int8 is calibrated on `crops`."""
    made = aligner
    if precision == "int8":
        if crops is None:
            raise ValueError("int8 needs samples")
        made = build_model(prepare(aligner, crops, Recipe()))

    def align(crops: Any) -> dict[str, Any]:
        return {"points": made(tf.cast(crops, tf.float32), training=False)}

    archive = keras.export.ExportArchive()
    archive.track(made)
    archive.add_endpoint("align", align, [_images(aligner, "crops")])
    if precision == "int8" and crops is not None:
        return _to_int8(
            convert_archive(archive, ["align"], "float32"), "align", crops, Recipe().ranges
        )
    return convert_archive(archive, ["align"], precision)


def prepare(model: keras.Model, samples: NDArray[np.uint8], recipe: Recipe) -> Graph:
    """A model's graph prepared for int8: the same function, apart from the corrected biases."""
    graph = rewrite_prelu(fold(read_graph(model)))
    if recipe.equalised:
        graph = equalise(graph, lambda: iter(_batches(samples)))
    if recipe.corrected:
        graph = correct_biases(graph, lambda: iter(_batches(samples)))
    return graph


def _to_int8(model: bytes, signature: str, samples: NDArray[np.uint8], method: str) -> bytes:
    batches = [samples[at : at + AT_ONCE] for at in range(0, len(samples), AT_ONCE)]
    ranges = measure_ranges(only(model, signature), batches, method)
    return quantize_graph(model, signature, ranges)


def _pair_bytes(twins: Twins, encoder: keras.Model, precision: str) -> bytes:
    size, name = twins.template_size, twins.input_name

    def encode(**images: Any) -> dict[str, Any]:
        return {"templates": encoder(tf.cast(images[name], tf.float32), training=False)}

    def compare(probes: Any, templates: Any) -> dict[str, Any]:
        return {"scores": twins.head([probes[:, None, :], templates[None, :, :]])}

    archive = keras.export.ExportArchive()
    archive.track(twins.pair)
    archive.track(encoder)
    archive.add_endpoint("encode", _named(encode, name), [_images(encoder, name)])
    vectors = [tf.TensorSpec((None, size), tf.float32, kind) for kind in ("probes", "templates")]
    archive.add_endpoint("compare", compare, vectors)
    return convert_archive(archive, ["encode", "compare"], precision)


def _named(function: Function, name: str) -> Function:
    """The function with its argument given this name, as arguments name a signature's inputs."""
    if name == "chips":
        return lambda chips: function(chips=chips)
    if name == "drawings":
        return lambda drawings: function(drawings=drawings)
    raise ValueError(name)


def _images(model: keras.Model, name: str) -> tf.TensorSpec:
    return tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name)


def _batches(samples: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [samples[at : at + _BATCH] for at in range(0, len(samples), _BATCH)]


def convert_archive(
    archive: keras.export.ExportArchive, signatures: Sequence[str], precision: str
) -> bytes:
    """The signatures of an archive as one .tflite file, in any precision except int8."""
    with tempfile.TemporaryDirectory() as folder:
        saved = str(Path(folder) / "saved")
        archive.write_out(saved, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=list(signatures))
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return bytes(converter.convert())
