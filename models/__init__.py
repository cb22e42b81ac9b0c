"""The shipped model files and their manifests."""

from importlib.resources import files
from pathlib import Path

DEFAULT_MODEL = "mobileface-3"
# Those of faces, each more accurate and slower than the one before.
FACE_MODELS = ("mobileface-small", "mobileface-3", "mobileface-large")
LIVENESS_MODEL = "liveness-1"


def default_model_dir() -> Path:
    """The folder of the model that is used where none is named."""
    return model_dir(DEFAULT_MODEL)


def model_dir(name: str) -> Path:
    """The folder of a shipped model."""
    return Path(str(files(__name__))) / name
