"""Recipes: every shipped one is whole, and a mistake in one is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oneglance.errors import ConfigError
from oneglance.training.recipes.inputs import inputs_of
from oneglance.training.recipes.recipe import (
    load_recipe,
    parse_recipe,
    shipped_recipes,
    starting_from,
)

SMOKE: dict[str, Any] = {
    "kind": "aligner",
    "seed": 1,
    "width": 0.25,
    "epochs": 2,
    "batch": 16,
    "learning_rate": 3e-3,
    "warmup_epochs": 0.0,
    "held_out": 0.2,
    "passes": 2,
    "drawn": {"people": 8, "pictures": 6},
}


def test_every_shipped_recipe_is_whole() -> None:
    assert {"aligner", "siamese", "smoke", "smoke-aligner"} <= set(shipped_recipes())
    for name in shipped_recipes():
        load_recipe(name)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epoch": 3}, "epoch: unknown key (did you mean 'epochs'?)"),
        ({"drawn": {"people": 8, "pictures": 6, "pepole": 1}}, "did you mean 'people'?"),
        ({"epochs": 0}, "epochs: Input should be greater than or equal to 1"),
        ({"epochs": "many"}, "epochs: Input should be a valid integer"),
        ({"drawn": None}, "either [[data]] or [drawn]"),
        ({"kind": "alinger"}, "kind is 'alinger'"),
        ({"data": [{"images": "a.zip", "people": "a.csv"}], "drawn": None}, "needs a teacher"),
    ],
)
def test_a_mistake_is_named_with_its_place(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_recipe({**SMOKE, **change}, "my.toml")
    assert told in caught.value.what
    assert caught.value.where == "my.toml"


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_recipe({**SMOKE, "epochs": 0, "widht": 1.0}, "my.toml")
    assert "epochs" in caught.value.what
    assert "did you mean 'width'" in caught.value.what


def test_an_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'siamese'"):
        load_recipe("siamse")


@pytest.mark.parametrize("content", [None, b"kind = ", b"\xff\xfe"])
def test_a_recipe_file_that_cannot_be_read_is_one_clear_error(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "my.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(path))
    assert caught.value.where == str(path)


def test_other_weights_are_taken_where_a_network_starts_from_some_and_are_an_input() -> None:
    taken = starting_from(load_recipe("faces-slim"), Path("/weights/trunk.h5"))
    data = Path("/data")
    read = set(inputs_of(taken, data, Path("/runs/a")))
    assert Path("/weights/trunk.h5") in read
    assert {data / "onet.tflite", data / "MobileFaceNet.tflite"} <= read
    with pytest.raises(ConfigError, match="kind 'aligner' takes no weights"):
        starting_from(load_recipe("aligner"), Path("trunk.h5"))
