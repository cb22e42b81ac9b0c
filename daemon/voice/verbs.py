"""The requests a command can make: one `Verb` each, and the helpers that read its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from oneglance.contract.commands import Args, Code
from oneglance.contract.keyring import Role
from oneglance.errors import OneglanceError

MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose signature a command carries."""

    key_id: str
    role: Role


@dataclass(frozen=True, slots=True)
class Verb:
    """Who may ask, and what does it: `run` returns a text for people.

    It runs in the thread that owns the gallery; `at_once`, in one that waits for no other verb, and
    then it may touch nothing of the gallery's. What it raises as OneglanceError becomes the answer,
    CommandRefusedError with a code of its own.
    """

    roles: frozenset[Role]
    run: Callable[[Args, Sender], str]
    at_once: bool = False


class CommandRefusedError(OneglanceError):
    """A command that is not carried out; `code` is stable, for programs.

    `key_id` names the key whose signature it carries; empty while none is proved.
    """

    def __init__(self, code: str, what: str, *, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.code = code
        self.key_id = ""


def only(args: Args, *names: str) -> None:
    """Refuse arguments of other names; CommandRefusedError says which are known."""
    strange = sorted(set(args) - set(names))
    if strange:
        known = ", ".join(names) or "no arguments"
        raise CommandRefusedError(
            Code.BAD_ARGUMENTS, f"{strange[0][:MAX_SHOWN]!r} is none of: {known}"
        )


def text_of(args: Args, name: str, *, longest: int = 200) -> str:
    """The text `name`, 1 to `longest` characters; CommandRefusedError if there is no such."""
    value = args.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise CommandRefusedError(
            Code.BAD_ARGUMENTS, f"{name!r} has to be a text of 1 to {longest} characters"
        )
    return value
