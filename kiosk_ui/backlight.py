"""The panel's backlight, where Linux lets us set it."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)

FOLDER = Path("/sys/class/backlight")


def set_backlight(share: float, folder: Path = FOLDER) -> bool:
    """Set every panel to this share (0 to 1) of its maximum; False if none can be set.

    The minimum is one step, since a panel that is off cannot be read.
    """
    done = False
    for panel in sorted(folder.glob("*/")) if folder.is_dir() else ():
        try:
            most = int((panel / "max_brightness").read_text(encoding="ascii"))
            step = max(1, min(most, round(share * most)))
            (panel / "brightness").write_text(f"{step}\n", encoding="ascii")
        except (OSError, ValueError) as error:
            log.info("%s: the light of this panel stays: %s", panel, error)
            continue
        done = True
    return done
