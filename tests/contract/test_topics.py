"""The topic tree."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.contract.topics import Topics, check_level
from oneglance.errors import ConfigError


def test_the_topics_of_a_door() -> None:
    topics = Topics("home", "front")
    assert topics.status == "oneglance/v1/home/front/status"
    assert topics.visit == "oneglance/v1/home/front/visit"
    assert topics.access == "oneglance/v1/home/front/access"
    assert topics.decision == "oneglance/v1/home/front/decision"
    assert topics.result == "oneglance/v1/home/front/result"
    assert topics.challenge == "oneglance/v1/home/front/challenge"
    assert topics.door_state == "oneglance/v1/home/front/door/state"
    assert topics.command("reload") == "oneglance/v1/home/front/command/reload"
    assert topics.commands == "oneglance/v1/home/front/command/+"
    assert topics.reply("kiosk-1") == "oneglance/v1/home/front/reply/kiosk-1"
    assert topics.everything == "oneglance/v1/home/front/#"


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "Front", "a b", "é", "-a", "a" * 33, "a\n"])
def test_a_name_that_could_reach_other_topics_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="lower-case letters"):
        Topics("home", name)
    with pytest.raises(ConfigError, match="lower-case letters"):
        Topics(name, "front")
    with pytest.raises(ConfigError, match="lower-case letters"):
        Topics("home", "front").command(name)


@given(st.text(max_size=40))
def test_only_harmless_levels_pass(name: str) -> None:
    try:
        check_level(name, "door")
    except ConfigError:
        return
    assert re.fullmatch(r"[a-z0-9_-]{1,32}", name)
