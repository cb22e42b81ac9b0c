"""Commands that ask how the house is: cameras, model, machine, and who came last. They change
nothing. For administrators.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from oneglance import __version__
from oneglance.audit.entry import Entry
from oneglance.audit.pseudonyms import PEOPLE_FILE, Pseudonyms
from oneglance.audit.segments import entries_backwards
from oneglance.config import Config
from oneglance.contract.commands import Args
from oneglance.contract.keyring import Role
from oneglance.contract.messages import MAX_REPLY_TEXT
from oneglance.daemon.gallery.watch import GalleryWatch
from oneglance.daemon.standing import Notice
from oneglance.daemon.voice.verbs import Sender, Verb, only
from oneglance.faces.gallery.vault import load_key

THERMAL = Path("/sys/class/thermal")
MAX_DECISIONS = 20
_MIB = 2**20


def house_verbs(
    config: Config, watch: GalleryWatch, notice: Notice, model: str, thermal: Path = THERMAL
) -> dict[str, Verb]:
    """The verbs, for the thread that `watch` belongs to. `model` is its id and variant.

    `thermal` is where the machine's temperatures stand, as Linux has them.
    """

    def system(args: Args, _sender: Sender) -> str:
        only(args)
        lines = [f"software  {__version__}", f"model  {model}"]
        people = 0 if watch.snapshot is None else len(watch.snapshot.people)
        lines.append(f"people  {people}")
        standing = notice.standing
        ill = {
            camera: reason
            for reason, _, camera in (reason.partition(":") for reason in standing.reasons)
        }
        lines += [f"camera  {name}  {ill.get(name, 'ok')}" for name in standing.cameras]
        warmest = hottest_c(thermal)
        if warmest is not None:
            lines.append(f"temperature  {warmest:.1f}")
        with suppress(OSError):
            usage = shutil.disk_usage(config.gallery.path.parent)
            lines.append(f"disk  {usage.free // _MIB}  {usage.total // _MIB}")
        return _fitting(lines)

    def decisions(args: Args, _sender: Sender) -> str:
        only(args)
        folder = config.audit_folder
        newest = islice(entries_backwards(folder, {"decision"}), MAX_DECISIONS)
        ids = Pseudonyms(folder / PEOPLE_FILE, load_key(config.gallery.key_file)).people()
        names = {} if watch.snapshot is None else watch.snapshot.names
        lines = [
            _line(entry, names.get(ids.get(entry.body.get("person", ""), ""), ""))
            for entry in newest
        ]
        return _fitting(lines) or "nobody came yet"

    runs: dict[str, Callable[[Args, Sender], str]] = {"system": system, "decisions": decisions}
    return {name: Verb(frozenset({Role.ADMINISTRATOR}), run) for name, run in runs.items()}


def hottest_c(folder: Path) -> float | None:
    """The machine's highest temperature reading, in °C; None if it has none."""
    found = []
    for file in folder.glob("thermal_zone*/temp"):
        with suppress(OSError, ValueError):
            found.append(int(file.read_text(encoding="ascii")) / 1000)
    # Sensors that are not there say -274, or 0.
    return max((degrees for degrees in found if 0 < degrees < 150), default=None)


def _line(entry: Entry, name: str) -> str:
    """When, what it came to, by what or why not, and who, if that person is still enrolled."""
    body = entry.body
    why = "+".join(body.get("factors", ())) or body.get("reason", "")
    at = entry.at.isoformat(timespec="seconds")
    return f"{at}  {body.get('outcome', '')}  {why}  {name}".rstrip()


def _fitting(lines: list[str]) -> str:
    """As many lines as an answer holds."""
    while len(text := "\n".join(lines)) > MAX_REPLY_TEXT:
        lines = lines[:-1]
    return text
