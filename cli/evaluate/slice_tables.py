"""The tables of an evaluation report that say where the errors are."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from oneglance.faces.evaluation.slices import FACE_TRAITS, PICTURE_TRAITS, Trait

Rows = Mapping[str, Sequence[dict[str, Any]]]

STYLE = """
.slices { table-layout: fixed; width: 52rem; max-width: 100%; }
.slices th { font-weight: 600; border-bottom: 1px solid #8886; vertical-align: bottom; }
.slices td.n, .slices th.n { text-align: right; } .slices td.i { font-size: 12px; opacity: .75; }
.slices caption { text-align: left; padding: 1.2rem 0 .2rem; font-weight: 600; }
"""


def pair_tables(slices: Rows, threshold: float | None) -> Iterator[str]:
    """HTML tables of `slices.pair_slices`; nothing without a threshold."""
    if threshold is None:
        return
    yield "<h2>Pairs by their worse picture</h2>\n<p>At the model's own threshold "
    yield f"({threshold:.2f}), both faces found: the share of genuine pairs that do not match "
    yield "(FNMR) and of impostor pairs that do (FMR), with Wilson's 95 % intervals.</p>\n"
    head = ("genuine pairs", "FNMR", "", "impostor pairs", "FMR", "")
    yield from _tables(FACE_TRAITS, slices, head, _of_pairs)


def picture_tables(slices: Rows) -> Iterator[str]:
    """HTML tables of `slices.picture_slices`."""
    yield "<p>Where no face was found there is no tilt and no chip: here the whole picture is "
    yield "measured.</p>\n"
    head = ("pictures", "without a face", "share", "")
    yield from _tables(PICTURE_TRAITS, slices, head, _of_pictures)


def _tables(
    traits: Sequence[Trait],
    slices: Rows,
    head: Sequence[str],
    cells: Callable[[Mapping[str, Any]], str],
) -> Iterator[str]:
    for trait in traits:
        yield f"<table class='slices'><caption>{html.escape(trait.title)}</caption><tr><th></th>"
        yield "".join(f"<th class='n'>{title}</th>" for title in head)
        yield "</tr>\n"
        for row in slices[trait.name]:
            yield f"<tr><td>{_span(row)}</td>{cells(row)}</tr>\n"
        yield "</table>\n"


def _of_pairs(row: Mapping[str, Any]) -> str:
    genuine = _count(row["genuine_pairs"]) + _share(row, "fnmr", "{:.2%}")
    return genuine + _count(row["impostor_pairs"]) + _share(row, "fmr", "{:.1e}")


def _of_pictures(row: Mapping[str, Any]) -> str:
    counts = _count(row["pictures"]) + _count(row["not_acquired"])
    return counts + _share(row, "failure_to_acquire", "{:.2%}")


def _span(row: Mapping[str, Any]) -> str:
    low, high = row["from"], row["below"]
    if low is None:
        return f"under {high:g}"
    return f"{low:g} and more" if high is None else f"{low:g} to {high:g}"


def _count(number: int) -> str:
    return f"<td class='n'>{number:,}</td>"


def _share(row: Mapping[str, Any], name: str, shape: str) -> str:
    if row[name] is None:
        return "<td></td><td></td>"
    low, high = (shape.format(end) for end in row[f"{name}_95"])
    return f"<td class='n'>{shape.format(row[name])}</td><td class='i'>{low} to {high}</td>"
