"""manifest.json, version 1 ("faces-1"): what a face model's folder says about itself.

The types here are the document: `schema()` exports them as JSON Schema (docs/schemas). Reading,
hashes and the choice of a variant are in `manifest` and `choice`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    model_validator,
)

FORMAT = "faces-1"
# No network has a threshold beyond this logit: a manifest must not open a door to everybody.
MOST_LOGIT = 1000.0
# Interchangeable templates: what a mixed comparison may lose against the reference alone.
LEAST_COSINE = 0.95

FileName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100),
    Field(description="a plain name inside the model's folder"),
]
VariantName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
ModelName = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", min_length=1, max_length=100)
]
# At most 64 directions of 512 components.
Directions = Annotated[str, StringConstraints(min_length=4, max_length=200_000)]
Rate = Annotated[str, StringConstraints(pattern=r"^[1-9](\.[0-9]+)?e-[1-9]$")]
Logit = Annotated[float, Field(ge=-MOST_LOGIT, le=MOST_LOGIT, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


class Part(BaseModel):
    """The base of all parts: strict, frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


P = TypeVar("P", bound=Part)


class Tensor(Part):
    """A tensor of a signature; -1 stands for a size that is free, the batch."""

    name: Text
    shape: tuple[Annotated[int, Field(ge=-1, lt=2**31)], ...]
    dtype: Literal["uint8", "int8", "float32"]


class Signature(Part):
    """A named function of a .tflite file: its tensors are found by name, never by position."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class File(Part):
    """A file of the folder: the bytes it must have and the functions it offers."""

    sha256: Digest
    bytes: Count
    signatures: Mapping[str, Signature] = Field(
        default={}, description="checked against the file where given"
    )


class Threshold(Part):
    """A threshold and what it was measured to do.

    `_95` are Wilson's bounds for independent pairs; `_95_people`, where told, those of a bootstrap
    over people, which are honest about pairs that share faces.
    """

    threshold: Logit = Field(description="templates match at or above this score, a logit")
    fmr: Fraction
    fmr_95: tuple[Fraction, Fraction]
    tar: Fraction
    tar_95: tuple[Fraction, Fraction]
    fmr_95_people: tuple[Fraction, Fraction] | None = None
    tar_95_people: tuple[Fraction, Fraction] | None = None
    impostor_pairs: Count | None = Field(
        default=None, description="that the rate stands on, where they are not all the table's"
    )
    fmr_elsewhere: Fraction | None = Field(
        default=None,
        description="the highest that the rate may be (95 %) in any set of fitted_on.strict_rates",
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        for name, rate, (low, high) in (
            ("fmr", self.fmr, self.fmr_95),
            ("tar", self.tar, self.tar_95),
        ):
            if not low <= rate <= high:
                raise ValueError(f"{name}_95 does not enclose {name}")
        return self


class FewestErrors(Part):
    """The threshold with the fewest errors where genuine and impostor pairs weigh the same."""

    threshold: Logit


class ImpostorScores(Part):
    """Mean and standard deviation of the scores of all impostor pairs that thresholds rest on."""

    mean: Logit
    sd: Annotated[float, Field(gt=0, le=MOST_LOGIT, allow_inf_nan=False)]


class Thresholds(Part):
    """Thresholds fitted on people that training never saw; empty: no door opens on it."""

    by_fmr: Mapping[Rate, Threshold] = Field(
        description='by the false match rate of one comparison, as written: "1e-3"'
    )
    accuracy: FewestErrors | None
    genuine_pairs: Count = 0
    impostor_pairs: Count = 0
    eer: Fraction | None = None
    impostors: ImpostorScores | None = Field(
        default=None, description="what a door's own impostor scores are held against"
    )
    tested_in: tuple[Text, ...] = Field(
        default=(),
        description="kinds of doors where, once calibrated, the false match rates were found kept",
    )
    fitted_on: Mapping[str, JsonValue] = {}

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        rows = sorted(self.by_fmr.items(), key=lambda item: -float(item[0]))
        if len({float(rate) for rate in self.by_fmr}) != len(self.by_fmr):
            raise ValueError("a false match rate stands twice")
        for (laxer, low), (stricter, high) in pairwise(rows):
            if high.threshold < low.threshold:
                raise ValueError(f"the threshold of {stricter} lies below that of {laxer}")
        for rate, row in rows:
            if row.fmr > float(rate) * (1 + 1e-9):
                raise ValueError(f"the threshold of {rate} has a false match rate of {row.fmr}")
        return self


NO_THRESHOLDS = Thresholds(by_fmr={}, accuracy=None)


class Calibration(Part):
    """Where an integer variant's ranges come from."""

    source: Text
    pictures: Annotated[int, Field(ge=1)]
    seed: int | None = None


class Parity(Part):
    """How alike the converted variant is to the network it was made from; more may be told."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    cosine_mean: Annotated[float, Field(ge=-1, le=1.001, allow_inf_nan=False)]
    cosine_min: Annotated[float, Field(ge=-1, le=1.001, allow_inf_nan=False)]
    score_difference: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Mixed(Part):
    """One direction of a mixed comparison, at one false match rate of the probe's variant."""

    fmr: Fraction
    tar: Fraction
    tar_of_reference: Fraction


class Interchange(Part):
    """Probes of one variant against templates of the reference, and the other way round.

    Measured by `oneglance.faces.model.interchange`, which also says when that is good enough.
    """

    faces: Annotated[int, Field(ge=2)]
    cosine_mean: Annotated[float, Field(ge=LEAST_COSINE, le=1.001, allow_inf_nan=False)]
    probes_of_this: Mapping[Rate, Mixed]
    probes_of_reference: Mapping[Rate, Mixed]


class Variant(Part):
    """One way to run the model: an encoder and an aligner, with the thresholds fitted to both."""

    encoder: FileName
    aligner: FileName
    precision: Text
    templates_interchangeable: bool = Field(
        description="with the reference's: measured, so that a gallery survives the switch"
    )
    thresholds: Thresholds = NO_THRESHOLDS
    calibration: Calibration | None = None
    parity: Parity | None = None
    interchange: Interchange | None = None
    evaluation: Mapping[str, JsonValue] = {}


# What is measured of one variant, and so put in after the folder was written.
VARIANT_PARTS = frozenset(("thresholds", "parity", "calibration", "interchange", "evaluation"))


class Origin(Part):
    """Something of somebody else's that is in the model."""

    what: Text
    source: Text
    licence: Text
    note: str = ""


class CommonStretch(Part):
    """How much longer a template gets the more it looks like the pictures of bad doors.

    For u, the template at length 1, it gets longer by `base` + `by` (u . `along`) + the sum of
    `squares`_i (u . `directions`_i)^2 of its length, if that is above 0. For heads of the L1 kind,
    which score longer templates lower.
    """

    base: Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]
    along: Directions = Field(description="as `common`, of one row")
    by: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
    directions: Directions = Field(description="as `common`")
    squares: tuple[Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)], ...] = Field(
        min_length=1, max_length=64, description="one for each row of `directions`"
    )


class About(Part):
    """What people say about a model: licences, other people's work, data, how it was made."""

    licence: str = ""
    origins: tuple[Origin, ...] = ()
    trained_on: Mapping[str, JsonValue] = {}
    made_by: tuple[str, ...] = ()
    notes: Mapping[str, JsonValue] = {}


class FaceDocument(About):
    """The whole manifest.

    `variants` share one `reference`, whose files give the id to all interchangeable ones;
    `default` is loaded where nobody chose; `tune_among` are those that `oneglance doctor --tune`
    may choose from. `signature` is base64 of an Ed25519 signature over the RFC 8785 form of this
    object without it.
    """

    format: Literal["faces-1"]
    name: ModelName
    template_size: Annotated[int, Field(ge=1, le=65_536)]
    cutout: Mapping[str, int | float | bool] = Field(
        description="the geometry of the chip; another one makes other templates"
    )
    files: Mapping[FileName, File]
    variants: Annotated[Mapping[VariantName, Variant], Field(min_length=1, max_length=16)]
    reference: VariantName
    default: VariantName
    tune_among: Annotated[tuple[VariantName, ...], Field(min_length=1)]
    tools: Mapping[str, str] = Field(default={}, description="versions, by package")
    common: Annotated[str, StringConstraints(max_length=200_000)] | None = Field(
        default=None,
        description="base64 of little-endian float32 (k, template_size), rows of length 1 and at "
        "right angles: what pictures of one light or camera have in common, and a door takes out "
        "of templates before it compares them; empty where nothing is to be taken out",
    )
    common_stretch: CommonStretch | None = Field(
        default=None,
        description="by how much a door that is not calibrated makes a template longer",
    )
    signature: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name in (self.reference, self.default, *self.tune_among):
            if name not in self.variants:
                raise ValueError(f"there is no variant {name}")
        for name, variant in self.variants.items():
            for file in (variant.encoder, variant.aligner):
                if file not in self.files:
                    raise ValueError(f"variant {name} names {file}, which files does not have")
            is_reference = name == self.reference
            if is_reference and not variant.templates_interchangeable:
                raise ValueError("the reference's templates are not interchangeable with its own")
            if not is_reference and variant.templates_interchangeable and not variant.interchange:
                raise ValueError(f"variant {name} was not measured to be interchangeable")
        passes = self.cutout.get("passes")
        if type(passes) is not int or not 1 <= passes <= 3:
            raise ValueError(f"passes is {passes!r}, expected a whole number from 1 to 3")
        if self.common_stretch is not None and self.common is None:
            # Without the one, the other would be ignored, and the door laxer than promised.
            raise ValueError("common_stretch is there without common")
        self._tunable()
        return self

    def _tunable(self) -> None:
        default = self.variants[self.default]
        for name in self.tune_among:
            other = self.variants[name]
            if not self.same_templates(name, self.default):
                raise ValueError(f"to tune to {name} would make the gallery useless")
            if set(default.thresholds.by_fmr) - set(other.thresholds.by_fmr):
                raise ValueError(f"variant {name} lacks thresholds that the default has")

    def same_templates(self, one: str, other: str) -> bool:
        """Whether two variants' templates may stand in one gallery."""
        both = self.variants[one], self.variants[other]
        return one == other or all(variant.templates_interchangeable for variant in both)


def parse_document(document: Mapping[str, Any]) -> FaceDocument:
    """The typed manifest from parsed JSON; ValueError says which place is wrong and why."""
    return parse_part(FaceDocument, document)


def parse_part(kind: type[P], document: Mapping[str, Any]) -> P:
    """One typed part from parsed JSON; ValueError says which place is wrong and why."""
    try:
        return kind.model_validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:100]
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a face model's manifest."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **FaceDocument.model_json_schema(),
    }


def export(folder: Path) -> Path:
    """Write the schema into `folder`; returns the file."""
    file = folder / "model-manifest.schema.json"
    file.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    return file


if __name__ == "__main__":
    export(Path("docs/schemas"))
