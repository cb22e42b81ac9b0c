from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.contract.messages import VisitState, parse
from oneglance.errors import ConfigError, MessageError, OneglanceError


def test_an_error_reads_as_where_what_and_the_way_out() -> None:
    error = ConfigError("no such key", where="door.toml", fix="see the docs")
    assert str(error) == "door.toml: no such key. see the docs"
    assert str(OneglanceError("it broke")) == "it broke"


@given(st.text(), st.text(), st.text())
def test_an_error_is_one_printable_line_whatever_is_in_it(what: str, where: str, fix: str) -> None:
    assert str(OneglanceError(what, where=where, fix=fix)).isprintable()


def test_a_hostile_field_name_cannot_drive_a_terminal() -> None:
    payload = b'{"v":1,"kind":"visit","\\u001b[2J":1}'
    with pytest.raises(MessageError) as caught:
        parse(payload, VisitState, "oneglance/v1/a/b/visit")
    assert "\x1b" not in str(caught.value)
