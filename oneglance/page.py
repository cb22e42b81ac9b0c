"""HTML pages in one file each: the frame and the style sheet that all of them share.

What is filled in is text, never markup. Needs Jinja2 (the extra `report`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def fill(package: str, template: str, **values: object) -> Iterator[str]:
    """The page in parts, as they are produced, from a template in `package`, with `values`.

    The template may extend `base.html`, which brings the style along. Raises
    jinja2.UndefinedError where it names a value that is not given.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("oneglance", ""), PackageLoader(package, "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).generate(**values)


def data_uri(media_type: str, data: bytes) -> str:
    """A picture's address that holds the picture itself; `media_type` is like image/png."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
