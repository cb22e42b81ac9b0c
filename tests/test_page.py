"""The frame that every HTML page shares."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

jinja2 = pytest.importorskip("jinja2")

from oneglance.page import data_uri, fill  # noqa: E402


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with one template, `own.html`."""
    folder = tmp_path / "package_with_a_page"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "own.html").write_text(
        '{% extends "base.html" %}{% block title %}{{ name }}{% endblock %}'
        '{% block body %}<p class="{{ name }}">{{ self.title() }}</p>{% endblock %}'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, folder.name, raising=False)
    return folder.name


def test_a_page_is_whole_and_carries_its_style(package: str) -> None:
    page = "".join(fill(package, "own.html", name="Ada"))
    assert page.startswith("<!doctype html>\n")
    assert page.endswith("</html>\n")
    assert "color-scheme: light dark" in page
    assert '<p class="Ada">Ada</p>' in page
    assert "src=" not in page
    assert "href=" not in page


def test_what_is_filled_in_is_text_and_never_markup(package: str) -> None:
    page = "".join(fill(package, "own.html", name="\"'><b>&"))
    assert "<b>" not in page
    assert page.count("&#34;&#39;&gt;&lt;b&gt;&amp;") == 3


def test_a_value_that_is_not_given_is_an_error_and_not_a_gap(package: str) -> None:
    with pytest.raises(jinja2.UndefinedError, match="name"):
        "".join(fill(package, "own.html"))


def test_a_picture_stands_in_its_own_address() -> None:
    assert data_uri("image/png", b"\x00\xff") == "data:image/png;base64,AP8="
