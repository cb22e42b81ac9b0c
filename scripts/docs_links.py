"""A hook of mkdocs: links that a repository's page can follow and a site's cannot; wide cells.

On the repository's own pages `[the ACL](../systemd/mosquitto/acl)` opens the file and
`[schemas](schemas)` the folder. The site does not hold the source tree and has no listings of
folders: it says which file or folder is meant instead.

Some cells of tables are marked for the style sheet, as Markdown cannot say so: those that list
tests, whose long names need room; those of whole sentences, which should not become a column of one
word a line; and each figure, which must not be broken at its minus sign. A long path may
be broken behind its slashes.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
# To the source tree, or to something without a suffix, as a folder is.
_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+|[a-z][a-z/]*)(?:#[^)]*)?\)")

_CELL = re.compile(r"<td[^>]*>.*?</td>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_LONG_CODE = re.compile(r"(?<=<code>)[^<]{25,}")
_SENTENCE_WORDS = 8
# 1.5e-3, 98.3 %; not within a tag.
_FIGURE = re.compile(r"(?<![\w.#-])\d[\d.]*(?:e-\d+(?: %)?| %)(?![^<]*>)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The page's text with each such link as text and path."""
    folder = posixpath.dirname(f"docs/{page.file.src_uri}")

    def named(link: re.Match[str]) -> str:
        text = link[1]
        path = posixpath.normpath(posixpath.join(folder, link[2]))
        if path.startswith("docs/") and not (_ROOT / path).is_dir():
            return link[0]
        return f"`{path}`" if text.strip("`") in path else f"{text} (`{path}`)"

    return _LINK.sub(named, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """The page's HTML with classes on what the style sheet has to know in tables.

    `tests`: a cell that begins with the name of a test; `words`: one with a sentence; `figure`: a
    number that must stay whole.
    """
    return _CELL.sub(lambda cell: _marked(cell[0]), html)


def _marked(cell: str) -> str:
    if cell.startswith("<td><code>tests/"):
        return cell.replace("<td", '<td class="tests"', 1)
    if len(_TAG.sub("", cell).split()) >= _SENTENCE_WORDS:
        cell = cell.replace("<td", '<td class="words"', 1)
    cell = _LONG_CODE.sub(lambda code: code[0].replace("/", "/<wbr>"), cell)
    return _FIGURE.sub(r'<span class="figure">\g<0></span>', cell)
