"""Keras model -> .tflite bytes with named signatures and a free batch size."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from oneglance.faces.align import CHIP_SIZE, CROP_SIZE

Samples = Callable[[], Iterable[NDArray[np.uint8]]]


def convert_encoder(
    pair: keras.Model,
    quantize: str,
    samples: Samples | None,
    signatures: Sequence[str] = ("encode", "compare"),
) -> bytes:
    """The Siamese pair as signatures encode(chips) and compare(probes, templates).

    `quantize` is float32, float16 or int8; int8 takes its ranges from `samples`, batches of chips
    uint8 (n, 112, 112, 3). The runtime tells the partitions of a file's first signature only: to
    count those of `encode`, convert it alone.
    """
    encoder, head = pair.get_layer("encoder"), pair.get_layer("head")
    size = encoder.output_shape[-1]

    def encode(chips: Any) -> dict[str, Any]:
        return {"templates": encoder(tf.cast(chips, tf.float32), training=False)}

    def compare(probes: Any, templates: Any) -> dict[str, Any]:
        return {"scores": head([probes[:, None, :], templates[None, :, :]])}

    archive = keras.export.ExportArchive()
    archive.track(pair)
    archive.add_endpoint(
        "encode", encode, [tf.TensorSpec((None, CHIP_SIZE, CHIP_SIZE, 3), tf.uint8, "chips")]
    )
    archive.add_endpoint(
        "compare",
        compare,
        [
            tf.TensorSpec((None, size), tf.float32, "probes"),
            tf.TensorSpec((None, size), tf.float32, "templates"),
        ],
    )
    return convert_archive(archive, signatures, quantize, samples)


def convert_aligner(aligner: keras.Model) -> bytes:
    """The landmark network as signature align(crops) -> points, in float32."""

    def align(crops: Any) -> dict[str, Any]:
        return {"points": aligner(tf.cast(crops, tf.float32), training=False)}

    archive = keras.export.ExportArchive()
    archive.track(aligner)
    archive.add_endpoint(
        "align", align, [tf.TensorSpec((None, CROP_SIZE, CROP_SIZE, 1), tf.uint8, "crops")]
    )
    return convert_archive(archive, ["align"], "float32", None)


def convert_archive(
    archive: keras.export.ExportArchive,
    signatures: Sequence[str],
    quantize: str,
    samples: Samples | None,
) -> bytes:
    """The signatures of an archive as one .tflite file."""
    with tempfile.TemporaryDirectory() as folder:
        saved = str(Path(folder) / "saved")
        archive.write_out(saved, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=list(signatures))
        if quantize != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantize == "int8":
            # Only `encode` is calibrated: what has no statistics, the head, stays in float.
            converter.representative_dataset = lambda: (
                ("encode", {"chips": chips}) for chips in (samples or tuple)()
            )
        return bytes(converter.convert())
