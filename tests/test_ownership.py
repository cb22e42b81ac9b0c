from __future__ import annotations

import os
from pathlib import Path

import pytest

from oneglance.daemon.voice.sequence import SequenceFile
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.vault import create_key, load_key

SERVICE = 4242


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_what_root_makes_in_a_services_folder_belongs_to_the_service(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, SERVICE, SERVICE)
    with SequenceFile(state / "sequence", lambda: 1) as sequence:
        sequence.next()
    create_key(tmp_path / "gallery.key")
    Gallery.open(state / "gallery.db", load_key(tmp_path / "gallery.key"), create=True).close()
    owners = {file.name: file.stat().st_uid for file in state.iterdir()}
    assert {"sequence", "sequence.lock", "gallery.db"} <= set(owners)
    assert set(owners.values()) == {SERVICE}
