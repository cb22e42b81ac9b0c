"""The gallery that the configuration names."""

from __future__ import annotations

from oneglance.config import GalleryConfig
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.gallery.witness import GenerationLog, Witness


def configured_witness(config: GalleryConfig, log: GenerationLog | None = None) -> Witness:
    """The witness that the gallery's generation is checked against."""
    beside = config.path.with_name("gallery-generation")
    return Witness(config.generation_file or beside, log)


def open_configured(
    config: GalleryConfig, *, create: bool = False, log: GenerationLog | None = None
) -> Gallery:
    """Open the gallery, or make it with `create`, held against its witness.

    Raises GalleryError, as `load_key` and `Gallery.open` do.
    """
    key = load_key(config.key_file)
    return Gallery.open(config.path, key, create=create, witness=configured_witness(config, log))
