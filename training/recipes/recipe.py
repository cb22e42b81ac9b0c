"""Recipes: TOML files that hold every setting of a training run, so that a name can repeat it."""

from __future__ import annotations

import difflib
import tomllib
import typing
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from oneglance.errors import ConfigError, os_fix
from oneglance.training.recipes.drawing_recipes import (
    CompactRecipe,
    KochAllPairsRecipe,
    KochRecipe,
    OmniglotRecipe,
)
from oneglance.training.recipes.face_sections import SAMPLERS, LossSection, SamplerSection

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSource(_Section):
    """Pictures (folder or zip) and the CSV that says who is in them, below the data folder.

    Without `people` a picture belongs to the folder that it lies in. `split` is a file that
    `oneglance data split` made from these pictures: only people on its side `part` are used.
    """

    images: str
    people: str | None = None
    folds: tuple[int, ...] | None = None
    split: str | None = None
    part: Literal["train", "validation", "test"] | None = None

    @model_validator(mode="after")
    def _whole(self) -> DataSource:
        if (self.split is None) != (self.part is None):
            raise ValueError("split and part belong together")
        if self.folds is not None and (self.people is None or self.split is not None):
            raise ValueError("folds need a people CSV, and cannot be combined with a split")
        return self


class DrawnSource(_Section):
    """Drawn faces, for a machine without data: how many people, and how many pictures of each."""

    people: Annotated[int, Field(ge=4)]
    pictures: Annotated[int, Field(ge=2)]


class _Recipe(_Section):
    seed: int
    drawn: DrawnSource | None = None
    data: tuple[DataSource, ...] = ()
    teacher: str | None = None


class AlignerRecipe(_Recipe):
    """The landmark network. `teacher` is the O-Net file that labels the faces.

    With `patience`, training stops after that many epochs in a row without a smaller error on the
    people held out, and the best epoch's weights are kept.
    """

    kind: Literal["aligner"]
    width: Annotated[float, Field(gt=0, le=4)]
    epochs: Count
    batch: Count
    learning_rate: Rate
    warmup_epochs: Annotated[float, Field(ge=0)]
    held_out: Annotated[float, Field(gt=0, lt=1)]
    passes: Annotated[int, Field(ge=1, le=3)]
    patience: Count | None = None


class SiameseRecipe(_Recipe):
    """The Siamese pair.

    `network` is "three-trunks", "two-trunks" or "mobileface", the last with a `width` and `depth`;
    `start` is the .keras file of a pretrained one (none: random weights); `aligner` is an
    aligner.keras, relative to the run's own folder. `check` are the people on whom candidates are
    compared; faces of `data` whose cosine with one of them is above `screen` are left out.
    `epochs` = 0 trains only the join.
    """

    kind: Literal["siamese"]
    network: Literal["mobileface", "two-trunks", "three-trunks"] = "mobileface"
    start: str | None = None
    width: Annotated[float, Field(gt=0, le=1)] = 1.0
    depth: Annotated[float, Field(gt=0, le=1)] = 1.0
    aligner: str | None = None
    check: tuple[DataSource, ...] = ()
    screen: Annotated[float, Field(gt=0, le=1)] = 1.0
    passes: Annotated[int, Field(ge=1, le=3)]
    template_size: Annotated[int, Field(ge=8, le=1024)]
    join_epochs: Count
    join_batch: Annotated[int, Field(ge=4)]
    join_learning_rate: Rate
    epochs: Annotated[int, Field(ge=0)]
    batch: Annotated[int, Field(ge=4)]
    learning_rate: Rate
    warmup_epochs: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _fitting(self) -> SiameseRecipe:
        if self.network != "mobileface" and (self.width, self.depth) != (1.0, 1.0):
            raise ValueError(f"the width and depth of {self.network} can only be 1")
        return self


class FaceRecipe(_Recipe):
    """Any face network, with any head, sampler and loss.

    `network` is a name in `backbones.NETWORKS` or "applications.NAME" of keras.applications;
    `weights` are what it starts from: a .keras file of the same network below the data folder (for
    `mobileface-slim`, also one of the wide network), for applications also a .h5 file, or
    "imagenet"; none: random. `width` and `depth` scale the networks that can be scaled;
    `template_size` is by default the network's usual one. `aligner` is an aligner.keras, relative
    to the run's own folder; by default the shipped one. `check` are the people on whom each epoch
    is judged; with `screen` under 1, faces of `data` are left out if the `screener`, a .tflite
    encoder, gives them a cosine over `screen` with one of these people. With `patience`, training
    stops after that many epochs in a row without a smaller equal error rate on them, and the best
    epoch's weights are kept.
    """

    kind: Literal["faces"]
    network: str
    weights: str | None = None
    width: Annotated[float, Field(gt=0, le=1)] = 1.0
    depth: Annotated[float, Field(gt=0, le=1)] = 1.0
    template_size: Annotated[int | None, Field(ge=8, le=4096)] = None
    head: Literal["l1", "cosine"]
    sampler: SamplerSection
    loss: LossSection
    aligner: str | None = None
    passes: Annotated[int, Field(ge=1, le=3)] = 2
    check: tuple[DataSource, ...] = ()
    screen: Annotated[float, Field(gt=0, le=1)] = 1.0
    screener: str | None = None
    epochs: Count
    steps: Count
    learning_rate: Rate
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    patience: Count | None = None

    @model_validator(mode="after")
    def _whole(self) -> FaceRecipe:
        fitting = SAMPLERS[self.loss.kind]
        if self.sampler.kind not in fitting:
            raise ValueError(f"loss {self.loss.kind!r} needs the sampler {' or '.join(fitting)!r}")
        if self.screen < 1 and self.screener is None:
            raise ValueError("screen needs a screener")
        return self


Recipe = (
    AlignerRecipe | SiameseRecipe | FaceRecipe | CompactRecipe | KochRecipe | KochAllPairsRecipe
)
_KINDS: dict[str, type[Recipe]] = {
    "aligner": AlignerRecipe,
    "siamese": SiameseRecipe,
    "faces": FaceRecipe,
    "compact": CompactRecipe,
    "koch": KochRecipe,
    "koch-all-pairs": KochAllPairsRecipe,
}


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with oneglance."""
    names = [Path(entry.name) for entry in files("oneglance.training.recipes").iterdir()]
    return sorted(name.stem for name in names if name.suffix == ".toml")


def load_recipe(name_or_file: str) -> Recipe:
    """A shipped recipe by name, or any by file; ConfigError lists all that is wrong with it."""
    if name_or_file.endswith(".toml") or "/" in name_or_file:
        path = Path(name_or_file)
    else:
        path = Path(str(files("oneglance.training.recipes") / f"{name_or_file}.toml"))
        if not path.is_file():
            known = shipped_recipes()
            near = difflib.get_close_matches(name_or_file, known, n=1)
            raise ConfigError(
                f"there is no recipe {name_or_file!r}"
                + (f" (did you mean {near[0]!r}?)" if near else ""),
                fix=f"choose one of {', '.join(known)}, or name a .toml file",
            )
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read it: {error.strerror}", where=str(path), fix=os_fix(error)
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(path)) from error
    return parse_recipe(data, str(path))


def parse_recipe(data: dict[str, Any], where: str) -> Recipe:
    """Check a recipe's content; ConfigError lists every mistake."""
    kind = _KINDS.get(str(data.get("kind")))
    if kind is None:
        raise ConfigError(
            f"kind is {data.get('kind')!r}",
            where=where,
            fix=f"set kind to one of {', '.join(_KINDS)}",
        )
    try:
        recipe: Recipe = TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        mistakes = [_mistake(kind, e["loc"], e["type"], e["msg"]) for e in error.errors()]
        raise ConfigError("; ".join(mistakes), where=where, fix="correct the recipe") from None
    if isinstance(recipe, OmniglotRecipe):
        return recipe
    if bool(recipe.data) == bool(recipe.drawn):
        raise ConfigError("give either [[data]] or [drawn]", where=where)
    if recipe.data and recipe.teacher is None:
        raise ConfigError("[[data]] needs a teacher to label it", where=where)
    if isinstance(recipe, SiameseRecipe) and recipe.data and not (recipe.check and recipe.aligner):
        raise ConfigError("[[data]] needs [[check]] and an aligner", where=where)
    if isinstance(recipe, FaceRecipe) and recipe.data and not recipe.check:
        raise ConfigError("[[data]] needs [[check]]", where=where)
    return recipe


def starting_from(recipe: Recipe, weights: Path) -> FaceRecipe:
    """The recipe with a different file of weights to start from; ConfigError if it takes none."""
    if not isinstance(recipe, FaceRecipe):
        raise ConfigError(
            f"a recipe of kind {recipe.kind!r} takes no weights",
            where="--weights",
            fix="leave it out, or choose a recipe of kind 'faces'",
        )
    return recipe.model_copy(update={"weights": str(weights.resolve())})


def _mistake(model: type[BaseModel], place: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(str(part) for part in place)
    if kind != "extra_forbidden":
        told = message.removeprefix("Value error, ")
        return f"{name}: {told}" if name else told
    sections = [model]
    for part in place[:-1]:
        if isinstance(part, int):
            continue
        # Where a section has several kinds, the location names the kind between field and key.
        of_kind = [section for section in sections if _kind_of(section) == part]
        sections = of_kind or _sections_of(sections[0].model_fields[part].annotation)
    near = difflib.get_close_matches(str(place[-1]), sections[0].model_fields, n=1)
    return f"{name}: unknown key" + (f" (did you mean {near[0]!r}?)" if near else "")


def _kind_of(section: type[BaseModel]) -> str | None:
    field = section.model_fields.get("kind")
    return None if field is None else str(typing.get_args(field.annotation)[0])


def _sections_of(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in typing.get_args(annotation) for found in _sections_of(part)]
