"""The gallery that the house shares, as one door takes it over: docs/sharing.md.

Nothing of it counts before all of it is here and proved; then it replaces, in one write, what was
shared before. Who was enrolled at this door alone stays as they are.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from oneglance.audit.entry import key_id
from oneglance.audit.generations import Generations, Versions
from oneglance.clocks import Clocks
from oneglance.config import Config
from oneglance.contract.keyring import Keyring, Role, Standing
from oneglance.contract.sharing import (
    MAX_GALLERY_BYTES,
    MAX_PART_BYTES,
    Contents,
    GalleryState,
    SharedGallery,
    bucket,
    open_contents,
    open_part,
    part_topic,
)
from oneglance.contract.signing import unpack
from oneglance.contract.topics import Topics
from oneglance.daemon.gallery.logged import Log, deletion
from oneglance.errors import GalleryError, MessageError, OneglanceError
from oneglance.faces.gallery.credentials import CredentialFile
from oneglance.faces.gallery.file import is_there
from oneglance.faces.gallery.rows import Record
from oneglance.faces.gallery.setup import open_configured
from oneglance.faces.gallery.shared import Templates, fingerprint, read_part
from oneglance.faces.gallery.vault import TemplateKey
from oneglance.link import Arrival
from oneglance.whole_file import write_whole

log = logging.getLogger(__name__)

REFUSED, REPLAYED = "sharing_refused", "sharing_replayed"
OTHER_MODEL, INCOMPLETE, FAILED = "sharing_model", "sharing_incomplete", "sharing_error"
STALE, SHUT = "gallery_stale", "gallery_shut"
# So many parts are asked for at once: the broker holds no more for one client than it must.
WINDOW = 16
# Whoever floods the topic does not keep the gallery's thread from anything else.
SOON_S = 1.0
# What was refused may be right once a clock or the keyring is; what is missing may be there by now.
AGAIN_S = 10.0
# Parts come within seconds; a door that waits for longer says so.
WAIT_S = 30.0
# Another machine's clock may be ahead a little.
AHEAD = timedelta(minutes=5)
_STATE = b"oneglance shared gallery"


class RefusedError(MessageError):
    """What was published for this door does not count; `reason` is the status's word for why."""

    def __init__(self, reason: str, what: str, *, fix: str = "") -> None:
        super().__init__(what, where="the shared gallery", fix=fix)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Applied:
    """What this door has taken over: which version, by whose key, of which parts."""

    version: int = 0
    issued_at: datetime | None = None
    parts: tuple[str, ...] = ()
    receipt: str = ""
    people: str = ""
    signer: str = ""


@dataclass(slots=True)
class _Target:
    """A newer version, as far as it has come: the people of each part that is not as it was."""

    message: SharedGallery
    signer: str
    contents: Contents
    since_s: float
    missing: dict[str, list[int]]
    warned: bool = False
    people: dict[int, list[tuple[Record, Templates]]] = field(default_factory=dict)


class Sharing:
    """`arrived` and `connected` are for the network's thread, `work` for the gallery's.

    `keys` is the keyring of this moment, `hear` and `unhear` listen to further topics, `say`
    publishes how far it has come, `changed` is called when people were. What is done to people is
    written to `log` before.
    """

    def __init__(
        self,
        config: Config,
        topics: Topics,
        key: X25519PrivateKey,
        sealer: TemplateKey,
        credentials: CredentialFile,
        log: Log,
        *,
        model_id: str,
        template_size: int,
        keys: Callable[[], Keyring],
        clocks: Clocks,
        hear: Callable[[Sequence[str]], bool],
        unhear: Callable[[Sequence[str]], None],
        say: Callable[[GalleryState], bool],
        changed: Callable[[], object],
    ) -> None:
        self._config = config
        self._topics = topics
        self._key = key
        self._sealer = sealer
        self._credentials = credentials
        self._log = log
        self._model_id = model_id
        self._template_size = template_size
        self._keys = keys
        self._clocks = clocks
        self._hear = hear
        self._unhear = unhear
        self._say = say
        self._changed = changed
        self._newest_seen = Versions(log)
        self._lock = threading.Lock()
        self._payload: bytes | None = None
        self._reconnected = True
        self._asked: dict[str, str] = {}
        self._parts: queue.Queue[tuple[str, bytes]] = queue.Queue(2 * WINDOW)
        self._tried_at_s = self._try_at_s = float("-inf")
        self._ask_at_s = self._apply_at_s = float("-inf")
        self._target: _Target | None = None
        self._applied = read_applied(config.sharing_file, sealer)
        self._problem = ""
        self._told: tuple[int, str] | None = None

    @property
    def version(self) -> int:
        """Which version this door has taken over; 0 if none."""
        return self._applied.version

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, as status reasons: the last gallery counts all the same, unless `shut`."""
        stale = self._is_stale() and not self.shut
        return tuple(filter(None, (self._problem, STALE if stale else "")))

    @property
    def shut(self) -> str:
        """Why nobody is to be let in: `gallery_shut`, where the configuration says so."""
        return SHUT if self._config.sharing.stale == "shut" and self._is_stale() else ""

    def arrived(self, arrival: Arrival) -> None:
        """Keep what came for `work`, if it was asked for and is not too long."""
        with self._lock:
            if arrival.topic == self._topics.gallery:
                # The topic is empty now: that is no news, and no reason to forget anybody.
                if arrival.payload:
                    self._payload = arrival.payload[: MAX_GALLERY_BYTES + 1]
                    self._try_at_s = min(self._try_at_s, self._tried_at_s + SOON_S)
            elif arrival.topic in self._asked and len(arrival.payload) <= MAX_PART_BYTES:
                # Of a flood what finds no room is dropped; what is missing is asked for again.
                with suppress(queue.Full):
                    self._parts.put_nowait((self._asked[arrival.topic], arrival.payload))

    def connected(self) -> None:
        """A new connection hears only what it asks for."""
        with self._lock:
            self._reconnected = True

    def work(self) -> None:
        """Take over what is new, as far as it is here; call it often. Never raises OneglanceError.

        What was done in one turn is told in the next: until then decisions are made by what was.
        """
        now_s = self._clocks.monotonic_s()
        with self._lock:
            reconnected, self._reconnected = self._reconnected, False
        if reconnected:
            self._told = None
            self._ask_at_s = float("-inf")
        self._tell()
        try:
            self._turn(now_s)
        except RefusedError as error:
            self._failed(error, error.reason)
        except OneglanceError as error:
            self._failed(error, FAILED)

    def _turn(self, now_s: float) -> None:
        with self._lock:
            payload = self._payload if now_s >= self._try_at_s else None
            if payload is not None:
                self._tried_at_s, self._try_at_s = now_s, now_s + AGAIN_S
        if payload is not None:
            self._admit(payload, now_s)
            with self._lock:
                # Another one may have come meanwhile.
                self._payload = None if self._payload is payload else self._payload
        target = self._target
        if target is None:
            return
        if target.signer not in self._binding():
            self._target = None
            raise RefusedError(REFUSED, "the key that signed it was revoked meanwhile")
        self._collect(target)
        if target.missing:
            self._ask(target, now_s)
            if now_s - target.since_s >= WAIT_S:
                self._problem = INCOMPLETE
            return
        if now_s >= self._apply_at_s:
            # Whatever fails now is tried again, not at once.
            self._apply_at_s = now_s + AGAIN_S
            self._apply(target)
            self._target = None
            self._problem = ""

    def _admit(self, payload: bytes, now_s: float) -> None:
        """Prove a message; what it lists is what has to come about from now on."""
        message, signer = self._proved(payload)
        if message.issued_at > self._clocks.wall() + AHEAD:
            raise RefusedError(REFUSED, "it is from the future", fix="compare the clocks")
        highest, binding = 0, self._binding()
        if self._applied.signer in binding:
            highest = self._applied.version
        highest = max(highest, self._newest_seen.highest(binding))
        if message.version < highest:
            raise RefusedError(
                REPLAYED,
                f"version {message.version}, older than {highest}, which was seen before",
                fix="run 'oneglance people sync' again; if that does not help, somebody else signs"
                " with a key that this door trusts: docs/keys.md, 'When a key leaks'",
            )
        try:
            contents = open_contents(message, self._key)
        except MessageError as error:
            raise RefusedError(REFUSED, error.what, fix=error.fix) from None
        if contents.model_id not in ("", self._model_id):
            raise RefusedError(
                OTHER_MODEL,
                f"templates of {contents.model_id}, and this door has {self._model_id}",
                fix="bring the door and who shares to the same model",
            )
        # Before anything of it counts: what is older is refused from now on.
        self._newest_seen.note(signer, message.version)
        target, which = self._target, (message.version, signer)
        if target is not None and (target.message.version, target.signer) == which:
            return
        intact = self._applied.people == self._people_now()
        if (self._applied.version, self._applied.signer) == which and intact:
            self._target, self._problem = None, ""
            return
        had = self._applied.parts if intact else ()
        missing: dict[str, list[int]] = {}
        for place, part in enumerate(contents.parts):
            if len(had) != len(contents.parts) or had[place] != part.digest.hex():
                missing.setdefault(part.id, []).append(place)
        self._target = _Target(message, signer, contents, now_s, missing)
        self._ask_at_s = self._apply_at_s = float("-inf")

    def _binding(self) -> set[str]:
        """The keys whose versions bind this door: those that are trusted here, and not revoked.

        Expired ones too: else whoever sets the clock could put an older gallery back.
        """
        trusted = self._keys().of_role(Role.GALLERY)
        return {key_id(entry.key) for entry in trusted if entry.revoked_at is None}

    def _proved(self, payload: bytes) -> tuple[SharedGallery, str]:
        """The message, if a key that counts signed it for this door, and which one."""
        try:
            signed = unpack(payload, SharedGallery, longest=MAX_GALLERY_BYTES)
            entry = self._keys().find(str(signed.body.get("key_id")))
            if entry is None or entry.role is not Role.GALLERY or not signed.is_by(entry.key):
                raise RefusedError(
                    REFUSED,
                    "no key of the role 'gallery' in this door's keyring signed it",
                    fix="oneglance keys trust HOUSE.pub --role gallery",
                )
            standing = entry.standing(self._clocks.wall())
            if standing is not Standing.VALID:
                raise RefusedError(REFUSED, f"its key {entry.id!r} does not count: {standing}")
            message = signed.message(SharedGallery, longest=MAX_GALLERY_BYTES)
        except RefusedError:
            raise
        except MessageError as error:
            raise RefusedError(REFUSED, error.what, fix=error.fix) from None
        if (message.site, message.door) != (self._topics.site, self._topics.door):
            raise RefusedError(REFUSED, f"it is for {message.site}/{message.door}")
        return message, key_id(entry.key)

    def _collect(self, target: _Target) -> None:
        """Take in the parts that came; one that is wrong is as good as missing.

        No more than find room at once: who floods the topics would keep this thread here for good.
        """
        parts = target.contents.parts
        for _ in range(self._parts.maxsize):
            try:
                part_id, payload = self._parts.get_nowait()
            except queue.Empty:
                return
            places = target.missing.get(part_id, ())
            try:
                for place in places:
                    plaintext = open_part(parts[place], payload)
                    target.people[place] = read_part(
                        plaintext,
                        target.contents.model_id,
                        self._template_size,
                        _who_stands_at(place, len(parts)),
                    )
            except (MessageError, GalleryError) as error:
                level = logging.DEBUG if target.warned else logging.WARNING
                log.log(level, "the shared gallery: a part is not taken: %s", error)
                target.warned = True
                self._problem = REFUSED
                continue
            target.missing.pop(part_id, None)
            with self._lock:
                self._asked.pop(self._topic(part_id), None)
            self._unhear([self._topic(part_id)])

    def _ask(self, target: _Target, now_s: float) -> None:
        """Listen to the next few parts; anew after a while, as what is retained comes again."""
        wanted = {self._topic(part_id): part_id for part_id in list(target.missing)[:WINDOW]}
        with self._lock:
            fresh = [topic for topic in wanted if topic not in self._asked]
            gone = [topic for topic in self._asked if topic not in wanted]
            self._asked = wanted
        if gone:
            self._unhear(gone)
        if now_s >= self._ask_at_s:
            fresh = list(wanted)
        if fresh and self._hear(fresh):
            self._ask_at_s = now_s + AGAIN_S

    def _apply(self, target: _Target) -> None:
        """Let it count: the audit log first, the gallery in one write, then erase what was there.

        Cut short at any moment, it is begun anew: what has been done already is then no change.
        """
        message, parts = target.message, target.contents.parts
        now = {
            record.person.person_id: (record, rows)
            for part in target.people.values()
            for record, rows in part
        }
        with open_configured(
            self._config.gallery, create=True, log=Generations(self._log)
        ) as gallery:
            before = gallery.records()
            put = [
                (record, rows) for one, (record, rows) in now.items() if before.get(one) != record
            ]
            gone = [
                one
                for one, record in before.items()
                if record.person.shared
                and one not in now
                and (not parts or bucket(one, len(parts)) in target.people)
            ]
            body: dict[str, Any] = {"shared": message.version}
            said = [
                (kind, record.person.person_id, {**more, **body})
                for record, _ in put
                for kind, more in _changes(before.get(record.person.person_id), record)
            ]
            if put or gone:
                with deletion(self._log, gallery, self._credentials, body, gone, said):
                    gallery.replace(gone, put)
            gallery.erase()
            people = fingerprint(gallery.records().values())
        self._changed()
        self._applied = Applied(
            message.version,
            message.issued_at,
            tuple(part.digest.hex() for part in parts),
            target.contents.receipt.hex(),
            people,
            target.signer,
        )
        write_applied(self._config.sharing_file, self._sealer, self._applied)
        log.info(
            "the shared gallery is version %d: %d people new or changed, %d gone",
            *(message.version, len(put), len(gone)),
        )

    def _people_now(self) -> str:
        """What of the shared people stands in the gallery at this moment; nothing without one."""
        if not is_there(self._config.gallery.path):
            return ""
        with open_configured(self._config.gallery, log=Generations(self._log)) as gallery:
            return fingerprint(gallery.records().values())

    def _is_stale(self) -> bool:
        at = self._applied.issued_at
        oldest = self._clocks.wall() - timedelta(days=self._config.sharing.stale_days)
        return at is None or at < oldest

    def _failed(self, error: OneglanceError, reason: str) -> None:
        level = logging.WARNING if reason != self._problem else logging.DEBUG
        log.log(level, "%s", error)
        self._problem = reason

    def _tell(self) -> None:
        now = self._applied.version, self._problem
        if now == self._told:
            return
        state = GalleryState(
            issued_at=self._clocks.wall(),
            version=self._applied.version,
            receipt=self._applied.receipt,
            problem=self._problem,
        )
        if self._say(state):
            self._told = now

    def _topic(self, part_id: str) -> str:
        return part_topic(self._topics.site, part_id)


def _who_stands_at(place: int, parts: int) -> Callable[[str], bool]:
    return lambda person_id: bucket(person_id, parts) == place


def _changes(before: Record | None, after: Record) -> list[tuple[str, dict[str, Any]]]:
    """What the audit log says of one person: the kind of each entry, and what is in it."""
    new, old = after.person, None if before is None else before.person
    if before is None or old is None or not old.shared or before.templates != after.templates:
        said = {"templates": new.templates, "model_id": new.model_ids[0], "source": "shared"}
        return [("enrolment", said)]
    told: list[tuple[str, dict[str, Any]]] = []
    if new.name != old.name:
        told.append(("rename", {}))
    if new.groups != old.groups:
        told.append(("group_change", {}))
    dates = [
        name for name in ("expires_at", "valid_from") if getattr(new, name) != getattr(old, name)
    ]
    return [*told, ("expiry_change", {"of": dates})] if dates or not told else told


def read_applied(file: Path, sealer: TemplateKey) -> Applied:
    """What was stored; if it cannot be read, nothing, so that everything is taken over again."""
    try:
        said = json.loads(sealer.open(file.read_bytes(), _STATE))
        return Applied(
            int(said["version"]),
            datetime.fromisoformat(said["issued_at"]),
            tuple(said["parts"]),
            str(said["receipt"]),
            str(said["people"]),
            str(said["signer"]),
        )
    except FileNotFoundError:
        return Applied()
    except (OSError, ValueError, TypeError, LookupError, GalleryError) as error:
        log.warning("%s cannot be used, the shared gallery is taken over anew: %s", file, error)
        return Applied()


def write_applied(file: Path, sealer: TemplateKey, applied: Applied) -> None:
    """Keep it; GalleryError if that fails."""
    said = {
        "version": applied.version,
        "issued_at": "" if applied.issued_at is None else applied.issued_at.isoformat(),
        "parts": applied.parts,
        "receipt": applied.receipt,
        "people": applied.people,
        "signer": applied.signer,
    }
    try:
        sealed = sealer.seal(json.dumps(said).encode(), _STATE)
        write_whole(file, sealed, 0o600, durable=True, for_folders_owner=True)
    except OSError as error:
        raise GalleryError(
            f"cannot keep how far the shared gallery has come: {error.strerror}",
            where=str(file),
            fix="make room on the disk",
        ) from None
