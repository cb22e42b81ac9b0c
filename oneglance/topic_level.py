"""What may name a site, a door or a camera: one level of an MQTT topic."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

# `/`, `+` and `#` in a name would reach other doors' topics.
LEVEL_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,31}$"

Level = Annotated[str, StringConstraints(pattern=LEVEL_PATTERN)]
