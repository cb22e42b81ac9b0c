"""Whether a command may be carried out: whose it is, whether it is fresh, and that it is the first.

Cheap questions come first and in the network's thread. What only an authentic command can cost,
a token of its key's rate, a place in memory and a write to disk, is paid after its signature.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from oneglance.clocks import Clocks
from oneglance.contract.commands import (
    MAX_COMMAND_BYTES,
    MAX_COMMAND_LIFE,
    MAX_SHORT_COMMAND_BYTES,
    Args,
    Code,
    Command,
)
from oneglance.contract.gate import MAX_CLOCK_SKEW, ClockGuard
from oneglance.contract.keyring import Keyring, Role, Standing
from oneglance.contract.signing import Signed, unpack
from oneglance.contract.topics import Topics
from oneglance.daemon.voice.nonces import NonceFile, Nonces
from oneglance.daemon.voice.rate import TokenBucket
from oneglance.daemon.voice.verbs import CommandRefusedError, Sender, Verb
from oneglance.errors import AuditError, MessageError

log = logging.getLogger(__name__)

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Order:
    """A command whose sender may give it."""

    verb: str
    args: Args
    sender: Sender
    expires_at: datetime
    nonce: str


class Authority:
    """Judges commands to one door. `admit` and `confirm` may be called from any thread.

    `keys` gives the keyring of this moment. `logged` says up to when commands were carried out, as
    the audit log knows it; what it raises as AuditError stands in the way of all commands until it
    can be asked. Raises StateError if the memory of commands cannot be read. One that is damaged,
    gone, or older than the log is begun anew after a pause in which all that it held expires; the
    log's time makes that true on a clock that was set back, too.
    """

    def __init__(
        self,
        topics: Topics,
        keys: Callable[[], Keyring],
        verbs: Mapping[str, Verb],
        memory: NonceFile,
        clocks: Clocks,
        logged: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        self._topics = topics
        self._keys = keys
        self._verbs = verbs
        self._memory = memory
        self._clocks = clocks
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._rates: dict[tuple[str, bool], TokenBucket] = {}
        self._guard = ClockGuard()
        self._open_from_s = float("-inf")
        self._logged = logged
        self._recalled = False
        kept = memory.load()
        self._is_damaged = kept is None
        self._nonces = Nonces() if kept is None else kept
        self._on_disk = self._nonces.latest
        self._guard.not_before(self._nonces.latest)
        # If the log cannot be asked yet, the first command asks again.
        with suppress(AuditError):
            self._recall()

    @property
    def latest(self) -> datetime | None:
        """The time up to which executed commands are recorded on disk; None before the first."""
        with self._lock:
            return None if self._on_disk == _NEVER else self._on_disk

    def tick(self) -> None:
        """Look at the clocks; call it at least once a second."""
        with self._lock:
            self._clock_is_trusted()

    def admit(self, verb: str, payload: bytes, response_topic: str | None = None) -> Order:
        """The order in a payload that came on the topic of `verb`, which is a known one.

        `response_topic` is that of the message. Raises CommandRefusedError, which says by its code
        why not.
        """
        # To take a payload apart costs 1 us a byte, whoever sent it. The broker lets screens and
        # readers, which hang outside, send no command that may be long.
        is_short = Role.ADMINISTRATOR not in self._verbs[verb].roles
        longest = MAX_SHORT_COMMAND_BYTES if is_short else MAX_COMMAND_BYTES
        signed, sender, standing = self._authentic(payload, longest)
        try:
            return self._order(verb, signed, sender, standing, response_topic or "")
        except CommandRefusedError as refusal:
            refusal.key_id = sender.key_id
            raise

    def confirm(self, order: Order) -> None:
        """Let an admitted order be carried out now: it is on disk that it was.

        Raises CommandRefusedError if it has expired while it waited, StateError if it cannot be
        kept on disk, AuditError if the log cannot be asked; it must not be carried out then.
        """
        if not self._recalled:
            self._recall()
        # Of two threads neither may save what is older than what the other saved.
        with self._saving:
            with self._lock:
                now = self._fresh(None, order.expires_at)
                self._nonces.drop_expired(now)
                latest, data = self._nonces.latest, self._nonces.to_bytes()
            # Not under that lock: a slow disk must not hold up the network.
            self._memory.save(data)
            with self._lock:
                self._on_disk = latest

    def _recall(self) -> None:
        """Hold what was kept against what the log says."""
        seen = self._logged() or _NEVER
        with self._lock:
            self._recalled = True
            kept = self._nonces.latest
            if self._is_damaged or kept < seen:
                pause = MAX_COMMAND_LIFE + MAX_CLOCK_SKEW
                self._open_from_s = self._clocks.monotonic_s() + pause.total_seconds()
                if seen != _NEVER:
                    self._guard.not_before(seen + pause)
        if self._is_damaged or kept < seen:
            what = "damaged" if self._is_damaged else "gone or put back"
            log.warning(
                "%s: %s, so that commands wait until all it held expired", self._memory.path, what
            )
        latest = max(kept, seen)
        if latest > self._clocks.wall() + MAX_CLOCK_SKEW:
            log.warning(
                "the clock is behind %s, when the last command came: commands have to wait for it."
                " If it is right now, stop the daemon and run 'oneglance audit accept-clock'",
                latest.isoformat(timespec="seconds"),
            )

    def _order(
        self, verb: str, signed: Signed, sender: Sender, standing: Standing, response_topic: str
    ) -> Order:
        command = _shaped(signed)
        if command.reply_to != response_topic:
            # First of all, as every further refusal would be told there.
            raise CommandRefusedError(
                Code.MISDIRECTED, "its answer was asked for on another topic than was signed"
            )
        if standing is not Standing.VALID:
            raise _unfit(sender.key_id, standing)
        if sender.role not in self._verbs[verb].roles:
            raise CommandRefusedError(
                Code.NOT_ALLOWED, f"a key of the role {sender.role} may not ask for {verb}"
            )
        if (command.site, command.door, command.verb) != (
            self._topics.site,
            self._topics.door,
            verb,
        ):
            raise CommandRefusedError(Code.WRONG_DOOR, "meant for another door, or another command")
        with self._lock:
            self._fresh(command.issued_at, command.expires_at)
            if command.nonce in self._nonces:
                raise CommandRefusedError(Code.REPLAYED, "this very command came before")
            # Many PINs at a screen must not use up what its answers to challenges need.
            rate = (sender.key_id, self._verbs[verb].at_once)
            bucket = self._rates.setdefault(rate, TokenBucket())
            if not bucket.take(self._clocks.monotonic_s()):
                raise CommandRefusedError(Code.RATE_LIMITED, "too many commands with this key")
            if self._nonces.full:
                raise CommandRefusedError(Code.BUSY, "too many commands at once, try again")
            self._nonces.add(command.nonce, command.expires_at)
        return Order(verb, command.args, sender, command.expires_at, command.nonce)

    def _authentic(self, payload: bytes, longest: int) -> tuple[Signed, Sender, Standing]:
        try:
            signed = unpack(payload, Command, longest=longest)
        except MessageError:
            raise CommandRefusedError(
                Code.NOT_SIGNED, "not a signed command", fix="send it with 'oneglance command'"
            ) from None
        key_id = signed.body.get("key_id")
        entry = self._keys().find(key_id) if isinstance(key_id, str) else None
        if entry is None:
            raise CommandRefusedError(
                Code.UNKNOWN_KEY,
                "this key is not in the daemon's keyring",
                fix="add it there with 'oneglance keys trust', or make one: 'oneglance keys make'",
            )
        if not signed.is_by(entry.key):
            raise CommandRefusedError(Code.NOT_SIGNED, "the signature is not that key's")
        with self._lock:
            now = self._guard.now(self._clocks.wall().astimezone(UTC))
        return signed, Sender(entry.id, entry.role), entry.standing(now)

    def _fresh(self, issued_at: datetime | None, expires_at: datetime) -> datetime:
        """The time by which it is fresh; CommandRefusedError if it is not."""
        if self._clocks.monotonic_s() < self._open_from_s:
            raise CommandRefusedError(
                Code.BUSY, "the memory of commands was damaged", fix="try again in some seconds"
            )
        if not self._clock_is_trusted():
            raise CommandRefusedError(
                Code.CLOCK_SET, "the clock was just set", fix="try again in some seconds"
            )
        wall = self._clocks.wall().astimezone(UTC)
        now = self._guard.now(wall)
        if now >= expires_at:
            raise CommandRefusedError(
                Code.EXPIRED, "expired", fix="if this repeats, compare the clocks"
            )
        if issued_at is not None and issued_at > wall + MAX_CLOCK_SKEW:
            raise CommandRefusedError(
                Code.EXPIRED, "issued in the future", fix="set the clocks of both machines by NTP"
            )
        return now

    def _clock_is_trusted(self) -> bool:
        return self._guard.observe(self._clocks.wall(), self._clocks.monotonic_s())


def _shaped(signed: Signed) -> Command:
    if (signed.body.get("kind"), signed.body.get("v")) == ("command", 1):
        raise CommandRefusedError(
            Code.BAD_ARGUMENTS,
            "a command of version 1, which does not say where its answer goes",
            fix="bring the sender to the daemon's version of oneglance",
        )
    try:
        return signed.message(Command, longest=MAX_COMMAND_BYTES)
    except MessageError as error:
        raise CommandRefusedError(Code.BAD_ARGUMENTS, error.what) from None


def _unfit(key_id: str, standing: Standing) -> CommandRefusedError:
    if standing is Standing.REVOKED:
        return CommandRefusedError(Code.REVOKED, f"the key {key_id} was revoked")
    if standing is Standing.EXPIRED:
        return CommandRefusedError(Code.EXPIRED, f"the key {key_id} has expired")
    return CommandRefusedError(Code.NOT_ALLOWED, f"the key {key_id} does not count yet")
