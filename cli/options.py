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
        help="The configuration, a file or its folder; unless given $ONEGLANCE_CONFIG, that of the "
        "current folder, or /etc/oneglance.",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON object on standard output, for scripts.")
]


def config_is_there() -> bool:
    """Whether there is one where no option names it; also True if this user may not look."""
    from oneglance.config import config_file

    try:
        return config_file().exists()
    except OSError:
        return True
