"""The shipped model files and their manifests."""

from importlib.resources import files
from pathlib import Path

DEFAULT_MODEL = "mobileface-1"


def default_model_dir() -> Path:
    """The folder of the model that is used where none is named."""
    return Path(str(files(__name__))) / DEFAULT_MODEL
