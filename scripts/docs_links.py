"""A hook of mkdocs: links that a repository's page can follow and a site's cannot; wide cells.

On the repository's own pages `[the ACL](../systemd/mosquitto/acl)` opens the file and
`[schemas](schemas)` the folder. The site does not hold the source tree and has no listings of
folders: it says which file or folder is meant instead.

A cell that lists tests is marked for the style sheet, as their long names need room, and so is each
figure in a table, as it must not be broken at its minus sign; Markdown's tables cannot say so.
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

    `tests`: a cell that begins with the name of a test; `figure`: a number that must stay whole.
    """
    html = html.replace("<td><code>tests/", '<td class="tests"><code>tests/')
    return _CELL.sub(lambda cell: _FIGURE.sub(r'<span class="figure">\g<0></span>', cell[0]), html)
