"""The model that a configuration asks for: its folder, its key, and which of its variants."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from oneglance.config import Config
from oneglance.errors import ModelError
from oneglance.faces.model.choice import CHOICE_NAME, machine_mark, read_choice, still_holds
from oneglance.faces.model.document import FaceDocument
from oneglance.faces.model.face_model import FaceModel, open_model
from oneglance.faces.model.manifest import manifest_of, read_document
from oneglance.key_files import load_public_key
from oneglance.models import default_model_dir, model_dir

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picked:
    """A variant and why it is the one: "configured", "tuned" or "default".

    `aside` says why a kept choice was not followed; empty if it was, or if there is none.
    """

    variant: str
    why: str
    aside: str = ""


def load_configured(config: Config, machine: Callable[[], str] = machine_mark) -> FaceModel:
    """Load the configured model and say in the log which variant it is, and why.

    Raises ModelError as `load_model`, ConfigError for a model key that cannot be used.
    """
    folder = model_folder(config)
    document = read_document(folder, public_key=model_key(config))
    picked = pick(config, document, machine)
    manifest = manifest_of(document, picked.variant, where=str(folder))
    if picked.aside:
        log.warning("%s", picked.aside)
    log.info("model %s, variant %s (%s)", manifest.model_id, picked.variant, picked.why)
    return open_model(folder, manifest, threads=config.model.threads)


def pick(config: Config, document: FaceDocument, machine: Callable[[], str]) -> Picked:
    """The configured variant, else the one measured fastest here, else the manifest's default."""
    if config.model.variant is not None:
        return Picked(config.model.variant, "configured")
    try:
        choice = read_choice(choice_file(config))
        if choice is not None:
            still_holds(choice, document, config.model.threads, machine)
    except ModelError as error:
        return Picked(document.default, "default", str(error))
    if choice is None:
        return Picked(document.default, "default")
    return Picked(choice.variant, "tuned")


def model_folder(config: Config) -> Path:
    """The configured folder, or the named model's, or the standard one's."""
    if config.model.folder is not None:
        return config.model.folder
    return default_model_dir() if config.model.name is None else model_dir(config.model.name)


def model_key(config: Config) -> Ed25519PublicKey | None:
    """The key that must have signed the model; None where the configuration names none.

    Raises ConfigError if the key file cannot be used.
    """
    file = config.model.public_key_file
    if file is None:
        return None
    return load_public_key(file, "copy the public key of whoever signs your models here")


def choice_file(config: Config) -> Path:
    """Where the measured choice is kept: beside the gallery unless configured."""
    return config.model.choice_file or config.gallery.path.parent / CHOICE_NAME
