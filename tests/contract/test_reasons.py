"""Every reason of a status is explained, as the code that gives and takes them sees it."""

from __future__ import annotations

import re
from pathlib import Path

from oneglance.contract.reasons import REASONS, Effect, advice, filled, find
from oneglance.daemon.standing import Standing
from oneglance.kiosk_ui.reducer import NO_CLAIMS, SEES_NOTHING, STILL_SEES

ROOT = Path(__file__).resolve().parents[2]
# Of a status, and what else in the daemon's code looks like a reason and is none.
WORDS = (
    "attempts|audit|camera|certificate|clock|commands|credentials|decisions|far|gallery|keyring"
    "|liveness|sequence|sharing"
)
OTHERS = {"gallery_generation", "credentials_generation", "challenge_id"}
LIFE = {"starting", "vanished", "failed"}


def named(effect: Effect) -> set[str]:
    return {reason.name for reason in REASONS if reason.effect is effect}


def test_each_reason_that_the_daemon_can_give_is_explained_and_no_other() -> None:
    code = "\n".join(file.read_text() for file in sorted(ROOT.glob("daemon/**/*.py")))
    given = set(re.findall(rf'"((?:{WORDS})_[a-z]+)(?:"|:\{{)', code)) - OTHERS
    assert given | LIFE == {reason.name for reason in REASONS}
    assert all(f'"{word}"' in code for word in LIFE)


def test_the_page_is_what_the_code_says() -> None:
    page = (ROOT / "docs/status.md").read_text(encoding="utf-8")
    assert page == filled(page), "run: python -m oneglance.contract.reasons"
    assert all(f"| `{reason.name}" in page for reason in REASONS)


def test_who_is_let_in_is_what_screen_and_daemon_make_of_it() -> None:
    assert named(Effect.OTHER_CAMERAS) == SEES_NOTHING
    assert named(Effect.NO_CLAIMS) == NO_CLAIMS
    seen = named(Effect.EVERYBODY) | named(Effect.UNSEEN)
    assert seen - {"commands_unheard"} == STILL_SEES
    for reason in REASONS:
        if reason.name.startswith("camera_"):
            lost = Standing((f"{reason.name}:front",), (), ("front",), connected=True)
            assert lost.ready is (reason.effect is Effect.EVERYBODY)


def test_advice_is_one_line_about_what_is_known() -> None:
    told = advice(["camera_lost:front", "of a later version", "clock_set"])
    assert re.fullmatch(r"camera_lost: [^\n`]+; clock_set: [^\n`]+", told)
    assert advice([]) == ""
    assert find("camera_dark:back") is not None
    assert find("camera") is None
