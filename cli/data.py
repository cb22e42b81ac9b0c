"""`oneglance data`: is it fit to train on, and who belongs to training, who to the test?"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneglance.cli.options import JsonOption

if TYPE_CHECKING:
    from oneglance.training.data.check import DataReport

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Check pictures before they are trained on, and split them by person.",
)

SourceArgument = Annotated[
    Path, typer.Argument(help="A folder or zip file of pictures, one folder a person.")
]
PeopleOption = Annotated[
    Path | None,
    typer.Option(
        help="A CSV (image,identity or person,fold) that says who is who, instead of folders.",
        show_default=False,
    ),
]


@app.command()
def check(
    source: SourceArgument,
    people: PeopleOption = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a page with the pictures concerned here, and its JSON beside it.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="The model folder to judge with; the shipped one unless given."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find what would spoil training: copies, bad pictures, mixed-up people.

    Looks for unreadable and tiny pictures, pictures without a face or with several, the same
    photograph twice (even resized or recompressed, even under two names), pictures that do not look
    like their own person, people who look like one another, and people with only one picture.
    Nothing is changed. The page holds pictures of people, and only you may read it; it needs the
    extra `report`.

    Exit code 0 if nothing was found, 1 if something was.

    Example: `oneglance data check faces.zip --report check.html`
    """
    from oneglance.cli.data_progress import stages
    from oneglance.faces.model.face_model import load_model
    from oneglance.faces.pictures import Pictures
    from oneglance.training.data.check import check_data
    from oneglance.training.data.check_report import as_json as report_json
    from oneglance.training.data.check_report import write_report
    from oneglance.training.data.identities import identities

    if report is not None and report.suffix.lower() not in {".html", ".htm"}:
        raise typer.BadParameter("name a file that ends in .html", param_hint="--report")
    if report is not None:
        # A missing Jinja2 shows now, not after the reading of all pictures.
        import_module("oneglance.page")
    pictures = Pictures(source)
    try:
        of = identities(pictures, people)
        with stages() as advance:
            found = check_data(pictures, of, load_model(model), advance)
        if report is not None:
            write_report(found, pictures, report)
    finally:
        pictures.close()
    if as_json:
        typer.echo(json.dumps(report_json(found)))
    else:
        _print(found, report)
    if found.findings:
        raise typer.Exit(1)


@app.command()
def split(
    source: SourceArgument,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("splits.json"),
    people: PeopleOption = None,
    checked: Annotated[
        Path | None,
        typer.Option(
            help="The JSON of a check: who looks like one person there stays on one side.",
            show_default=False,
        ),
    ] = None,
    fractions: Annotated[
        str, typer.Option(help="Shares of train, validation and test, of the people.")
    ] = "0.8,0.1,0.1",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another split.")] = 1,
) -> None:
    """Assign people, never pictures, to training, validation and test, and record it.

    People who share a photograph (a copy, even resized) stay on one side. The file also holds the
    hash of the data, so that training can refuse a split of other data.

    Example: `oneglance data split faces.zip --out splits.json --checked check.json`
    """
    from oneglance.cli.data_progress import stages
    from oneglance.faces.pictures import Pictures
    from oneglance.training.data.identities import identities
    from oneglance.training.data.split_data import make_split
    from oneglance.training.data.splits import parse_fractions, save_split

    shares = parse_fractions(fractions)
    pictures = Pictures(source)
    try:
        of = identities(pictures, people)
        with stages() as advance:
            made = make_split(pictures, of, shares, seed, checked, advance)
    finally:
        pictures.close()
    save_split(made, out)
    counts = ", ".join(f"{len(who)} for {side}" for side, who in made.people.items())
    typer.echo(f"{sum(map(len, made.people.values()))} people: {counts}. Written to {out}")


def _print(found: DataReport, page: Path | None) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from oneglance.training.data.check import Kind
    from oneglance.training.data.check_report import TITLES

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{found.source}: {found.pictures} pictures, {found.identities} identities")
    if not found.findings:
        console.print("Nothing was found.")
        return
    # A name that was cut to fit a terminal could not be looked for.
    table = Table("found", "", Column("for example", overflow="fold"), box=None)
    counts = found.counts()
    for kind in Kind:
        if counts[kind]:
            example = next(finding for finding in found.findings if finding.kind is kind)
            named = " = ".join(example.identities) if kind is Kind.LOOKALIKE else ""
            table.add_row(str(counts[kind]), TITLES[kind][0], named or example.pictures[0])
    console.print(table)
    if page is not None:
        console.print(f"The pictures concerned: {page}")
    else:
        console.print("To see the pictures concerned: --report check.html")
