"""What each extra installs on this machine, by the installed metadata; imports none of it."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

_OURS = "oneglance"

# Metadata tells no import names of what is not installed. Here are those that are not the
# distribution's own name: each with the distributions that bring it.
_IMPORTED_AS = {
    "PIL": ("pillow",),
    "bidi": ("python-bidi",),
    "cv2": ("opencv-python-headless",),
    "paho": ("paho-mqtt",),
    "tensorflow": ("tensorflow-cpu",),
    "tflite_runtime": ("ai-edge-litert",),
}


def extra_names() -> tuple[str, ...]:
    """All extras, in the order in which they are declared."""
    return tuple(metadata(_OURS).get_all("Provides-Extra") or ())


@cache
def requirements(extra: str = "") -> tuple[Requirement, ...]:
    """What an extra itself requires on this machine, without our other extras.

    Without a name: what is required without any extra. Empty for an unknown extra.
    """
    return tuple(one for one in declared(extra) if one.name != _OURS)


@cache
def brought_by(extra: str) -> frozenset[NormalizedName]:
    """The distributions, by canonical name, that an extra and the extras it includes require."""
    names = {canonicalize_name(one.name) for one in requirements(extra)}
    for one in declared(extra):
        if one.name == _OURS:
            for other in one.extras:
                names |= brought_by(other)
    return frozenset(names)


def extra_for(module: str, wanted: str = "") -> str | None:
    """The extra to install if `module` cannot be imported; None if no extra has it.

    It is `wanted` if that has it, else the one that requires the fewest distributions.
    """
    top = module.partition(".")[0]
    sought = {canonicalize_name(name) for name in (top, *_IMPORTED_AS.get(top, ()))}
    bringing = [name for name in extra_names() if brought_by(name) & sought]
    if wanted in bringing:
        return wanted
    return min(bringing, key=lambda name: len(brought_by(name)), default=None)


def installed_version(requirement: Requirement) -> str | None:
    """The version that is installed, suitable or not; None if the distribution is missing."""
    try:
        return version(requirement.name)
    except PackageNotFoundError:
        return None


def fits(requirement: Requirement, found: str) -> bool:
    """Whether a version is among those required; pre-releases are accepted as well."""
    return requirement.specifier.contains(found, prereleases=True)


def can_be_imported(requirement: Requirement) -> bool:
    """Whether what it provides can be imported, even from a distribution of another name."""
    name = canonicalize_name(requirement.name)
    others = (module for module, names in _IMPORTED_AS.items() if name in names)
    return any(find_spec(module) for module in (name.replace("-", "_"), *others))


@cache
def declared(extra: str) -> tuple[Requirement, ...]:
    """What an extra requires on this machine, our other extras among it."""
    lines = (Requirement(line) for line in requires(_OURS) or ())
    return tuple(
        one
        for one in lines
        if (one.marker is None and not extra)
        or (one.marker is not None and one.marker.evaluate({"extra": extra}))
    )
