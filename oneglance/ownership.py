"""What an administrator makes by hand in a service's folder belongs to the service."""

from __future__ import annotations

import os
from pathlib import Path


def give_to_folders_owner(descriptor: int, folder: Path) -> None:
    """Give an open file to the owner and group of `folder`, if we are root.

    A first enrolment or a trial run by root would otherwise lock the service out of its own
    files. Raises OSError.
    """
    if os.geteuid() != 0:
        return
    wanted, now = folder.stat(), os.fstat(descriptor)
    if (wanted.st_uid, wanted.st_gid) != (now.st_uid, now.st_gid):
        os.fchown(descriptor, wanted.st_uid, wanted.st_gid)
