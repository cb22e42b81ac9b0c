"""The parts of a recipe of kind `faces`: its sampler and its loss."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Weight = Annotated[float, Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PairsSection(_Section):
    """`samplers.PairSampler`: pairs per batch, and the share of them that is genuine."""

    kind: Literal["pairs"]
    pairs: Annotated[int, Field(ge=2)]
    genuine: Annotated[float, Field(gt=0, lt=1)] = 0.5


class PeopleSection(_Section):
    """`samplers.PeopleSampler`: people per batch, and pictures of each."""

    kind: Literal["people"]
    people: Annotated[int, Field(ge=2)]
    pictures: Annotated[int, Field(ge=2)]


class CrossEntropySection(_Section):
    """Koch's loss: cross-entropy of the pair's logit, and `l2` times each kernel squared.

    `layers` gives individual layers, by name, a penalty of their own.
    """

    kind: Literal["cross-entropy"]
    l2: Weight = 0.0
    layers: dict[str, Weight] = {}


class ContrastiveSection(_Section):
    """`losses.contrastive`: impostors are pushed `margin` apart."""

    kind: Literal["contrastive"]
    margin: Annotated[float, Field(gt=0)]


class TripletSection(_Section):
    """`losses.batch_hard_triplet`: the nearest stranger should be `margin` further away."""

    kind: Literal["triplet"]
    margin: Annotated[float, Field(gt=0)]


class AngularMarginSection(_Section):
    """`losses.angular_margin`: `margin` in radians; logits are cosines times `scale`."""

    kind: Literal["angular-margin"]
    margin: Annotated[float, Field(ge=0, lt=1.5)]
    scale: Annotated[float, Field(gt=0)]


class DistillationSection(_Section):
    """`losses.Distillation`: toward the templates of `teacher`, a .tflite below the data folder.

    `cosine` weighs the templates themselves, `relational` the distances between them. Without a
    teacher it is the shipped model's encoder.
    """

    kind: Literal["distillation"]
    teacher: str | None = None
    cosine: Weight = 1.0
    relational: Weight = 0.0


SamplerSection = Annotated[PairsSection | PeopleSection, Field(discriminator="kind")]
LossSection = Annotated[
    CrossEntropySection
    | ContrastiveSection
    | TripletSection
    | AngularMarginSection
    | DistillationSection,
    Field(discriminator="kind"),
]
# The samplers that can feed each loss: some losses take pairs, the others several of each person.
SAMPLERS = {
    "cross-entropy": ("pairs",),
    "contrastive": ("pairs",),
    "triplet": ("people",),
    "angular-margin": ("people",),
    "distillation": ("pairs", "people"),
}
