"""Make the liveness model's folder of the package's file.

    python -m oneglance.converter.liveness fr_liveness.onnx READOUTS.npz ABOUT.json OUT

READOUTS.npz is what oneglance.training.liveness.fit_texture has fitted. ABOUT.json is
models/about-liveness-1.json: what people tell of the model, the cues that are read, and how they
lie. What the judgement over a track is fitted to comes after, into the manifest's `fusion`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from oneglance.converter.folder import tool_versions
from oneglance.converter.tflite import convert_archive
from oneglance.errors import ConfigError, OneglanceError
from oneglance.faces.liveness.manifest import FORMAT, parse_liveness
from oneglance.faces.liveness.texture import WANTED
from oneglance.faces.model.folder import described
from oneglance.faces.model.manifest import MANIFEST_NAME, read_json_manifest
from oneglance.training.liveness.crops import SIDE
from oneglance.training.liveness.texture_files import (
    OUTPUTS,
    read_readouts,
    rebuild,
    with_readouts,
)
from oneglance.whole_file import write_whole

FILE = "minifas-int8-weights.tflite"
# 8-bit weights, float sums: 20 % faster than float32 and a third of its size, cues 0.9998
# correlated. int8 throughout was no faster, and its cues off by 3 for 5 % of the pictures.
_PRECISION = "int8-weights"


def convert(model: keras.Model) -> bytes:
    """A network of crops as .tflite bytes: signature liveness(crops uint8) -> logits."""

    def liveness(crops: Any) -> dict[str, Any]:
        return {"logits": model(tf.cast(crops, tf.float32), training=False)}

    archive = keras.export.ExportArchive()
    archive.track(model)
    shape = (None, *model.input_shape[1:])
    archive.add_endpoint("liveness", liveness, [tf.TensorSpec(shape, tf.uint8, "crops")])
    return convert_archive(archive, ["liveness"], _PRECISION)


def write_folder(out: Path, content: bytes, about: Mapping[str, Any]) -> None:
    """The folder with one network and its manifest.

    Raises ConfigError if it exists, or if `about` does not make a manifest.
    """
    if out.exists():
        raise ConfigError("the output folder exists", where=str(out), fix="name a new one")
    network = {"side": SIDE, "order": "BGR", "range": (0, 255), "outputs": OUTPUTS}
    document = {
        "format": FORMAT,
        "name": "liveness-1",
        "files": {FILE: described(content, WANTED)},
        "networks": {FILE: network},
        "tools": tool_versions(),
        **about,
    }
    try:
        parse_liveness(document)
    except ValueError as error:
        raise ConfigError(
            f"what is told of the model is not of the known shape ({error})"
        ) from None
    out.mkdir(parents=True)
    (out / FILE).write_bytes(content)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(out / MANIFEST_NAME, text.encode(), 0o666, durable=True)


def main() -> None:
    """Make argv[4] of argv[1], argv[2] and argv[3]."""
    if len(sys.argv) != 5:
        sys.exit(
            "usage: python -m oneglance.converter.liveness "
            "fr_liveness.onnx READOUTS.npz ABOUT.json OUT"
        )
    source, readout, about, out = (Path(argument) for argument in sys.argv[1:])
    try:
        told = read_json_manifest(about)
        model, difference = rebuild(source)
        write_folder(out, convert(with_readouts(model, *read_readouts(readout))), told)
    except OneglanceError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(f"{out}: logits differ from the file's by at most {difference:.1e}\n")


if __name__ == "__main__":
    main()
