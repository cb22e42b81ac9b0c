"""The tones of the screen."""

from __future__ import annotations

import array
import io
import wave
from pathlib import Path

import pytest

from oneglance.kiosk_ui.screen import Kind
from oneglance.kiosk_ui.sounds import NOTES, Sounds, wav


class Tone:
    played = 0
    length = 0.2

    def play(self) -> None:
        self.played += 1


@pytest.mark.parametrize("kind", NOTES)
def test_a_tone_is_short_soft_and_without_a_click(kind: Kind) -> None:
    with wave.open(io.BytesIO(wav(NOTES[kind]))) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        assert file.getnframes() / file.getframerate() < 0.4
        samples = array.array("h", file.readframes(file.getnframes()))
    assert samples[0] == samples[-1] == 0
    assert 0.2 < max(samples) / 32_767 < 0.4


def test_a_yes_sounds_unlike_a_no_and_most_screens_are_silent() -> None:
    tones: list[Tone] = []

    def load(file: str) -> Tone:
        assert Path(file).read_bytes()[:4] == b"RIFF"
        tones.append(Tone())
        return tones[-1]

    sounds = Sounds(load)
    sounds.play(Kind.WELCOME)
    yes = [tone for tone in tones if tone.played]
    sounds.play(Kind.NOT_RECOGNISED)
    sounds.play(Kind.IDLE)
    assert len(yes) == 1
    assert sum(tone.played for tone in tones) == 2
    assert yes[0].played == 1


def test_without_a_loudspeaker_it_is_silent_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(file: str) -> None:
        raise OSError("no audio device")

    empty = Tone()
    empty.length = 0
    for load in (lambda file: None, lambda file: empty, broken):
        caplog.clear()
        Sounds(load).play(Kind.WELCOME)
        (record,) = caplog.records
        assert "this machine plays none" in record.getMessage()
