"""A hook of mkdocs: links that a repository's page can follow, and a site's cannot.

On the repository's own pages `[the ACL](../systemd/mosquitto/acl)` opens the file and
`[schemas](schemas)` the folder. The site does not hold the source tree and has no listings of
folders: it says which file or folder is meant instead.
"""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+|schemas|vectors)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page's text with each such link as text and path."""

    def named(link: re.Match[str]) -> str:
        text, path = link.groups()
        path = path.removeprefix("../") if path.startswith("../") else f"docs/{path}"
        return f"`{path}`" if text.strip("`") in path else f"{text} (`{path}`)"

    return _OUTSIDE.sub(named, markdown)
