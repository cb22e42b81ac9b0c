"""Oneglance with its larger model in the same harness as its peers."""

from __future__ import annotations

from pathlib import Path

from peers_ours import Ours


def build(_data: Path | None) -> Ours:
    """Ready to see."""
    return Ours("mobileface-large")
