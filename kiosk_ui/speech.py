"""What the screen says, spoken aloud for people who cannot see it; off by default.

`Script` decides what is said when, and is pure. `Voice` has one of the system's programs say it,
and passes the words on standard input, since any user can read a command line.
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

# Somebody who is asked to move or gets an answer hears it at once, whatever is being said.
_AT_ONCE = {
    Kind.CHALLENGE,
    Kind.WELCOME,
    Kind.NOT_RECOGNISED,
    Kind.NOT_SURE,
    Kind.NOT_NOW,
    Kind.WAIT,
}
_SPOKEN = _AT_ONCE | {Kind.LOOK_HERE, Kind.CHECKING, Kind.CLAIM, Kind.PIN_PAD, Kind.DOOR_OPEN}
# The same words, such as a hint that comes and goes, are not repeated within this time.
AGAIN_S = 6.0
# Longer than any text takes: a program that still runs is stuck.
_LONGEST_S = 20.0
# espeak-ng's name for a language, where it differs from ours.
_VOICES = {"zh": "cmn"}


class Script:
    """What to say about screens, in one language. A name is said if the screen shows it."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._said: dict[tuple[str, ...], float] = {}
        self._shown: tuple[str, ...] = ()

    def due(self, state: ScreenState, now_s: float, *, speaking: bool) -> str:
        """The words to begin now, which then count as said; "" if there are none.

        While `speaking`, only what cannot wait is due. The rest will be asked for again.
        """
        # Not the time left, which would be repeated every second.
        key = (state.kind, state.title, state.name, state.line)
        if state.kind not in _SPOKEN:
            self._shown = key
            return ""
        if key == self._shown or (speaking and state.kind not in _AT_ONCE):
            return ""
        # If the title was already said, only the line is new.
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
    """Says one thing at a time, and never blocks. Without a program it is silent."""

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
        """Whether something is being said; a program that is stuck is ended."""
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
            # A few words fit into the pipe, so this does not block.
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
    # It needs no service of its own, so it also works for a screen without a desktop.
    if program := found("espeak-ng"):
        return (program, "-v", _VOICES.get(code, code), "--stdin")
    if program := found("spd-say"):
        return (program, "--wait", "--language", code, "--pipe-mode")
    return ()
