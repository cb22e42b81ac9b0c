"""Make the liveness model's folder from the package's file.

    python -m oneglance.converter.liveness fr_liveness.onnx READOUTS.npz ABOUT.json OUT

READOUTS.npz is what oneglance.training.liveness.fit_texture has fitted. ABOUT.json is
models/about-liveness-1.json: what there is to say about the model, its cues, and their outputs.
What the judgement over a track was fitted to is added later, as the manifest's `fusion`.
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
# 8-bit weights with float sums: 20 % faster than float32 and a third of its size, with cues
# correlated at 0.9998. int8 throughout was no faster, and its cues were off by 3 in 5 % of
# pictures.
_PRECISION = "int8-weights"


def convert(model: keras.Model) -> bytes:
    """A network for crops as .tflite bytes, with the signature liveness(crops uint8) -> logits."""

    def liveness(crops: Any) -> dict[str, Any]:
        return {"logits": model(tf.cast(crops, tf.float32), training=False)}

    archive = keras.export.ExportArchive()
    archive.track(model)
    shape = (None, *model.input_shape[1:])
    archive.add_endpoint("liveness", liveness, [tf.TensorSpec(shape, tf.uint8, "crops")])
    return convert_archive(archive, ["liveness"], _PRECISION)


def write_folder(out: Path, content: bytes, about: Mapping[str, Any]) -> None:
    """The folder with one network and its manifest.

    Raises ConfigError if it exists, or if `about` does not make a valid manifest.
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
    """Make argv[4] from argv[1], argv[2] and argv[3]."""
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
