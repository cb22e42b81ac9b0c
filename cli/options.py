"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oneglance.config import Config

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="The configuration, a file or its folder; unless given $ONEGLANCE_CONFIG, that of the "
        "current folder, or /etc/oneglance.",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON object on standard output, for scripts.")
]


def optional_config(config: Path | None) -> Config:
    """The configuration, or the defaults if none is named and none exists.

    Raises ConfigError.
    """
    from oneglance.config import Config, load_config

    return Config() if config is None and not config_is_there() else load_config(config)


def config_is_there() -> bool:
    """Whether a configuration exists in the default place; True if this user may not look there."""
    from oneglance.config import config_file

    try:
        return config_file().exists()
    except OSError:
        return True
