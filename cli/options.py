"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="The configuration file; /etc/oneglance/oneglance.toml unless given.",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON object on standard output, for scripts.")
]


def default_config_is_there() -> bool:
    """Whether there is one; True as well if this user may not look, so that reading says why."""
    from oneglance.config import DEFAULT_CONFIG

    try:
        return DEFAULT_CONFIG.exists()
    except OSError:
        return True
