"""Short tones beside the screen's words, for people who do not look at it; off by default.

Rising tones for a yes, one low tone for a no, one high tone for a request.
"""

from __future__ import annotations

import array
import io
import logging
import math
import tempfile
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oneglance.kiosk_ui.screen import Kind

log = logging.getLogger(__name__)

_RATE = 22_050
_LOUDNESS = 0.3
# Without a fade each tone would begin and end with a click.
_FADE_S = 0.012

# (hertz, seconds) one after the other.
Notes = tuple[tuple[float, float], ...]
_YES: Notes = ((660.0, 0.09), (880.0, 0.16))
_NO: Notes = ((311.0, 0.22),)
_ASKED: Notes = ((740.0, 0.08),)
NOTES: dict[Kind, Notes] = {
    Kind.WELCOME: _YES,
    Kind.NOT_RECOGNISED: _NO,
    Kind.NOT_SURE: _NO,
    Kind.NOT_NOW: _NO,
    Kind.WAIT: _NO,
    Kind.CHALLENGE: _ASKED,
    Kind.CLAIM: _ASKED,
}


def wav(notes: Notes) -> bytes:
    """The notes as a WAV file: mono, 16 bits."""
    samples = array.array("h")
    for hertz, seconds in notes:
        count = round(_RATE * seconds)
        fade = round(_RATE * _FADE_S)
        for i in range(count):
            swell = min(1.0, i / fade, (count - 1 - i) / fade)
            value = _LOUDNESS * swell * math.sin(2 * math.pi * hertz * i / _RATE)
            samples.append(round(32_767 * value))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(samples.tobytes())
    return out.getvalue()


class Sounds:
    """Plays the tones of a screen. `load` turns a WAV file into something with `play()`, or None.

    Without a loudspeaker there is one line in the log, and silence.
    """

    def __init__(self, load: Callable[[str], Any]) -> None:
        made: dict[Notes, Any] = {}
        with tempfile.TemporaryDirectory(prefix="oneglance-sounds-") as folder:
            for i, notes in enumerate(dict.fromkeys(NOTES.values())):
                file = Path(folder) / f"{i}.wav"
                file.write_bytes(wav(notes))
                made[notes] = _loaded(load, file)
        self._made = {kind: made[notes] for kind, notes in NOTES.items()}
        if None in made.values():
            log.warning("kiosk.sounds: this machine plays none, so the screen stays silent")

    def play(self, kind: Kind) -> None:
        """Play the tones of this kind of screen, if it has any."""
        sound = self._made.get(kind)
        if sound is not None:
            sound.play()


def _loaded(load: Callable[[str], Any], file: Path) -> Any:
    try:
        sound = load(str(file))
        # Without a loudspeaker, Kivy returns an empty sound.
        return sound if sound is not None and sound.length > 0 else None
    except Exception:
        # SDL reports a missing loudspeaker in many ways.
        return None
