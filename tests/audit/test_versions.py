"""The versions of the shared gallery in the audit log: each binds until its key is revoked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.audit.entry import Entry, rises
from oneglance.audit.generations import SHARING, highest, noted

SIGNERS = ("old", "new", "thief")
LAST = 2**53 - 1
STEPS = st.lists(st.tuples(st.sampled_from(SIGNERS), st.integers(1, LAST) | st.just(LAST)))
KEYS = st.sets(st.sampled_from(SIGNERS))


def bodies(steps: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    """The bodies that are written one after the other, {} before the first."""
    written: list[dict[str, Any]] = [{}]
    for signer, version in steps:
        if (body := noted(written[-1], signer, version)) is not None:
            written.append(body)
    return written


def as_entry(body: dict[str, Any]) -> Entry:
    return Entry(1, None, SHARING, body, "", "", b"", "", b"")  # type: ignore[arg-type]


@given(steps=STEPS, counting=KEYS)
def test_what_a_revoked_key_signed_binds_nobody(
    steps: list[tuple[str, int]], counting: set[str]
) -> None:
    """As if whoever holds another key had never spoken, whatever they signed, and when."""
    own = [step for step in steps if step[0] in counting]
    told = highest(bodies(steps)[-1], counting)
    assert told == highest(bodies(own)[-1], counting) == max((v for _, v in own), default=0)


@given(steps=STEPS, change=st.integers(1, LAST))
def test_no_entry_is_below_the_one_before_and_a_lower_one_is_told(
    steps: list[tuple[str, int]], change: int
) -> None:
    written = bodies(steps)
    entries = [as_entry(body) for body in written[1:]]
    for before, after in zip([None, *entries], entries, strict=False):
        assert rises(after, before)
    if entries:
        body = written[-1]
        for signer, version in body["signers"].items():
            lower = {**body["signers"], signer: version - change}
            assert not rises(as_entry({**body, "signers": lower}), entries[-1])
            lower.pop(signer)
            assert not rises(as_entry({**body, "signers": lower}), entries[-1])


@pytest.mark.parametrize("signers", [[], None, "1", {"old": True}, {"old": "8"}, {"old": None}])
def test_what_is_no_number_of_a_key_does_not_rise(signers: object) -> None:
    assert not rises(as_entry({"generation": 8, "signers": signers}), None)
