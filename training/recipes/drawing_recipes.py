"""The recipes of the networks for drawings: `compact` and `koch`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DistortionSection(_Section):
    """Affine distortions: each happens with probability `chance`, drawn evenly from its range."""

    chance: Share
    turn_deg: Annotated[float, Field(ge=0, le=45)]
    shear: Annotated[float, Field(ge=0, lt=1)]
    scale_low: Annotated[float, Field(gt=0, le=1)]
    scale_high: Annotated[float, Field(ge=1, le=2)]
    shift_px: Annotated[float, Field(ge=0, le=30)]


class OmniglotRecipe(_Section):
    """What both have: the drawings (a zip or folder below the data folder) and what validates.

    `validation_alphabets`, of the 30 background alphabets, are never trained on.
    """

    seed: int
    drawings: str
    validation_alphabets: Annotated[tuple[str, ...], Field(min_length=1)]
    epochs: Count
    distortions: DistortionSection


class CompactRecipe(OmniglotRecipe):
    """`compact`: `steps` batches per epoch of `pairs` pairs, `alphabet_pairs` from each alphabet.

    `size`, `strength` and `zoom` are those of the frame that centres and scales the ink.
    """

    kind: Literal["compact"]
    template_size: Annotated[int, Field(ge=8, le=1024)]
    size: Annotated[int, Field(ge=16, le=105)]
    channels: Annotated[tuple[Count, ...], Field(min_length=2, max_length=6)]
    strength: Share
    zoom: Annotated[float, Field(gt=0, le=2)]
    pairs: Annotated[int, Field(ge=2)]
    alphabet_pairs: Annotated[int, Field(ge=2)]
    steps: Count
    learning_rate: Rate
    warmup_epochs: Annotated[float, Field(ge=0)]
    weight_decay: Share
    margin: Annotated[float, Field(ge=0)]
    validation_runs: Count


class _KochRecipe(OmniglotRecipe):
    width: Annotated[float, Field(ge=0.03125, le=1)] = 1.0
    train_drawers: Annotated[int, Field(ge=2, le=18)]
    validation_drawers: Annotated[int, Field(ge=2, le=18)]
    validation_trials: Count
    patience: Count


class KochRecipe(_KochRecipe):
    """`koch`: the paper's network and schedule.

    `pairs` are drawn once, half of them the same character; an epoch shows each undistorted, and
    `copies` times distorted. `learning_rates`, `momenta` (final) and `l2` are by layer, in the
    order conv1, conv2, conv3, conv4, dense, join. Training uses the drawings of the first
    `train_drawers` people, validation those of the next `validation_drawers`; training stops after
    `patience` epochs without improvement. `width` other than 1 is a narrower network than the
    paper's.
    """

    kind: Literal["koch"]
    pairs: Annotated[int, Field(ge=2)]
    copies: Annotated[int, Field(ge=0)]
    batch: Annotated[int, Field(ge=2)]
    learning_rates: Annotated[tuple[Rate, ...], Field(min_length=6, max_length=6)]
    momenta: Annotated[tuple[Share, ...], Field(min_length=6, max_length=6)]
    momentum_epochs: Count
    l2: Annotated[tuple[Share, ...], Field(min_length=6, max_length=6)]


class KochAllPairsRecipe(_KochRecipe):
    """`koch` again, trained on all pairs of each batch, every drawing distorted anew.

    An epoch is `steps` batches of `pairs` characters drawn twice, from as few alphabets as hold
    them. The optimiser is Adam. `precision` is that of the convolutions and poolings; weights,
    templates and loss are float32, and so is the network that remains. People, stop rule and
    `width` are as in KochRecipe.
    """

    kind: Literal["koch-all-pairs"]
    pairs: Annotated[int, Field(ge=2)]
    steps: Count
    learning_rate: Rate
    warmup_epochs: Annotated[float, Field(ge=0)]
    precision: Literal["float32", "mixed_bfloat16"]
