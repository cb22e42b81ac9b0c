"""What the screen says, said aloud for who cannot see it; off unless asked for.

`Script` decides what is said when, and is pure. `Voice` has a program of the system say it, which
gets its words by its standard input: what stands in a command line, all users can read.
"""

from __future__ import annotations

import logging
import math
import shutil
import subprocess
from collections.abc import Callable, Sequence

from oneglance.kiosk_ui.language import Language
from oneglance.kiosk_ui.screen import Kind, ScreenState

log = logging.getLogger(__name__)

# Who is asked to move, or has an answer, hears it at once, whatever is being said.
_AT_ONCE = {
    Kind.CHALLENGE,
    Kind.WELCOME,
    Kind.NOT_RECOGNISED,
    Kind.NOT_SURE,
    Kind.NOT_NOW,
    Kind.WAIT,
}
_SPOKEN = _AT_ONCE | {Kind.LOOK_HERE, Kind.CHECKING, Kind.CLAIM, Kind.PIN_PAD, Kind.DOOR_OPEN}
# The same words again, such as a hint that comes and goes, are left out for so long.
AGAIN_S = 6.0
# Longer than any of it takes: a program that still runs hangs.
_LONGEST_S = 20.0
# espeak-ng's name of a language, where it is another than ours.
_VOICES = {"zh": "cmn"}


class Script:
    """What is to be said of screens, in a language. A name is said where the screen shows it."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._said: dict[tuple[str, ...], float] = {}
        self._shown: tuple[str, ...] = ()

    def due(self, state: ScreenState, now_s: float, *, speaking: bool) -> str:
        """The words to begin with now, "" if there are none; they are taken for said.

        While somebody is `speaking`, only what cannot wait is due. The rest is asked for again.
        """
        # Not the time that is left: it would be said anew each second.
        key = (state.kind, state.title, state.name, state.line)
        if state.kind not in _SPOKEN:
            self._shown = key
            return ""
        if key == self._shown or (speaking and state.kind not in _AT_ONCE):
            return ""
        # Under a title that was said already, only the line is new.
        goes_on = key[:-1] == self._shown[:-1]
        self._shown = key
        last_s = self._said.get(key, -math.inf)
        if now_s - last_s < AGAIN_S and state.kind not in _AT_ONCE:
            return ""
        self._said = {k: s for k, s in self._said.items() if now_s - s < AGAIN_S} | {key: now_s}
        values = {"name": state.name, "left": state.left}
        texts = (state.line,) if goes_on else (state.title, state.line)
        lines = (self._language.say(text, **values) for text in texts)
        return ". ".join(line for line in lines if line)


class Voice:
    """Says one thing at a time, and waits for nothing. Without a program it is silent."""

    def __init__(self, code: str, found: Callable[[str], str | None] = shutil.which) -> None:
        self._command = _command(code, found)
        self._program: subprocess.Popen[bytes] | None = None
        self._begun_s = -math.inf
        if not self._command:
            log.warning(
                "kiosk.speech: neither espeak-ng nor spd-say is installed, so the screen does not"
                " speak (apt install espeak-ng)"
            )

    def speaking(self, now_s: float) -> bool:
        """Whether something is being said; a program that hangs is ended."""
        program = self._program
        if program is None:
            return False
        code = program.poll()
        if code is None:
            if now_s - self._begun_s < _LONGEST_S:
                return True
            self._fail("it did not end")
            return False
        self._program = None
        if code > 0:
            self._fail(f"it ended with {code}: has this machine a loudspeaker?")
        return False

    def say(self, text: str, now_s: float) -> None:
        """Say this now, in place of what is being said."""
        self.stop()
        if not self._command:
            return
        try:
            program = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self._program, self._begun_s = program, now_s
            # A few words fit into the pipe, so that this does not wait.
            if program.stdin is not None:
                program.stdin.write(text.encode() + b"\n")
                program.stdin.close()
        except OSError as error:
            self._fail(str(error))

    def stop(self) -> None:
        """Be silent."""
        if self._program is not None:
            self._program.kill()
            self._program.wait()
            self._program = None

    def _fail(self, why: str) -> None:
        log.warning("kiosk.speech: %s: %s; the screen does not speak", self._command[0], why)
        self.stop()
        self._command = ()


def _command(code: str, found: Callable[[str], str | None]) -> Sequence[str]:
    # It needs no service of its own, so it works for a screen without a desktop too.
    if program := found("espeak-ng"):
        return (program, "-v", _VOICES.get(code, code), "--stdin")
    if program := found("spd-say"):
        return (program, "--wait", "--language", code, "--pipe-mode")
    return ()
