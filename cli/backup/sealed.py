"""A stream of bytes sealed under a passphrase: scrypt (RFC 7914), then AES-256-GCM in pieces.

A file is MAGIC, the cost of scrypt as log2 N (one byte), 16 bytes of salt, 7 random bytes, then
pieces of 64 KiB, each 16 bytes longer for its tag. A piece's nonce is the 7 bytes, its number, and
whether it is the last (the STREAM construction): so missing, moved or truncated pieces are noticed
just like altered ones. The header is authenticated with each piece.
"""

from __future__ import annotations

import secrets
import struct
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from oneglance.errors import OneglanceError

MAGIC = b"oneglance backup 1\n"
PIECE_BYTES = 65_536
# 128 MiB and about half a second: a stolen file is worth a long search.
COST = 17
# What a file may ask of who opens it.
COSTS = range(1, 21)
_TAG_BYTES, _SALT_BYTES, _PREFIX_BYTES = 16, 16, 7
_HEAD_BYTES = len(MAGIC) + 1 + _SALT_BYTES + _PREFIX_BYTES


class BackupError(OneglanceError):
    """A backup cannot be made, opened or restored."""

    exit_code = 73


class SealingWriter:
    """Seals what is written into `file`, which is complete only after `close`."""

    def __init__(self, file: IO[bytes], passphrase: str, cost: int = COST) -> None:
        self._file = file
        self._prefix = secrets.token_bytes(_PREFIX_BYTES)
        salt = secrets.token_bytes(_SALT_BYTES)
        self._head = MAGIC + bytes([cost]) + salt + self._prefix
        self._cipher = _cipher(passphrase, salt, cost)
        self._waiting = bytearray()
        self._number = 0
        file.write(self._head)

    def write(self, data: bytes) -> int:
        """Take any number of bytes."""
        self._waiting += data
        # The last piece may be a full one, so one is always kept back.
        while len(self._waiting) > PIECE_BYTES:
            self._put(bytes(self._waiting[:PIECE_BYTES]), last=False)
            del self._waiting[:PIECE_BYTES]
        return len(data)

    def close(self) -> None:
        """Seal the last piece. The file stays open."""
        self._put(bytes(self._waiting), last=True)

    def _put(self, piece: bytes, *, last: bool) -> None:
        nonce = _nonce(self._prefix, self._number, last=last)
        self._file.write(self._cipher.encrypt(nonce, piece, self._head))
        self._number += 1


class OpeningReader:
    """Reads what a SealingWriter sealed. BackupError for other files, or a wrong passphrase.

    `read` raises BackupError at a piece that was altered, moved or is missing, and returns nothing
    of it.
    """

    def __init__(self, file: IO[bytes], passphrase: str, where: str) -> None:
        self._file, self._where = file, where
        self._head = file.read(_HEAD_BYTES)
        if len(self._head) < _HEAD_BYTES or not self._head.startswith(MAGIC):
            raise BackupError("this is no backup of oneglance", where=where)
        cost = self._head[len(MAGIC)]
        if cost not in COSTS:
            raise BackupError("the backup's head is damaged", where=where)
        self._prefix = self._head[-_PREFIX_BYTES:]
        self._cipher = _cipher(passphrase, self._head[len(MAGIC) + 1 : -_PREFIX_BYTES], cost)
        self._number = 0
        self._sealed = file.read(PIECE_BYTES + _TAG_BYTES)
        self._open = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end."""
        while len(self._open) < size and not self._ended:
            self._open += self._next()
        data, self._open = self._open[:size], self._open[size:]
        return data

    def _next(self) -> bytes:
        following = self._file.read(PIECE_BYTES + _TAG_BYTES)
        nonce = _nonce(self._prefix, self._number, last=not following)
        try:
            piece = self._cipher.decrypt(nonce, self._sealed, self._head)
        except InvalidTag:
            what = "the backup is damaged, or was cut off"
            if self._number == 0:
                what = "the passphrase is wrong, or the backup is damaged"
            raise BackupError(what, where=self._where) from None
        self._ended = not following
        self._number += 1
        self._sealed = following
        return piece


def _cipher(passphrase: str, salt: bytes, cost: int) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=2**cost, r=8, p=1).derive(passphrase.encode()))


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    return prefix + struct.pack(">IB", number, last)
