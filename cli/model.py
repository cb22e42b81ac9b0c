"""`oneglance model`: what a model folder holds, and who vouches for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from oneglance.cli.options import JsonOption

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Look into a model folder; sign it, and check signatures.",
)
FolderArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[FOLDER]", help="A model folder; the shipped one unless given."),
]


@app.command("show")
def show(folder: FolderArgument = None, as_json: JsonOption = False) -> None:
    """Show what is in a model folder: its variants, their ids, files and thresholds.

    Every file is checked against its hash. Exit code 72 if one was changed.
    """
    from oneglance.faces.model.folder import check_files
    from oneglance.faces.model.manifest import model_id, read_document
    from oneglance.models import default_model_dir

    folder = default_model_dir() if folder is None else folder
    document = read_document(folder)
    check_files(folder, document)
    if as_json:
        ids = {name: model_id(document, name) for name in document.variants}
        typer.echo(json.dumps({**document.model_dump(mode="json"), "model_ids": ids}))
        return
    typer.echo(f"{document.name}: templates of {document.template_size} values")
    for name, variant in document.variants.items():
        notes = ["default"] if name == document.default else []
        if name in document.tune_among and len(document.tune_among) > 1:
            notes.append("doctor --tune may choose it")
        told = f" ({', '.join(notes)})" if notes else ""
        size = sum(document.files[file].bytes for file in {variant.encoder, variant.aligner})
        typer.echo(f"{name}{told}: {model_id(document, name)}, {size / 1e6:.1f} MB")
        for rate, row in variant.thresholds.by_fmr.items():
            typer.echo(f"  FMR {rate}: threshold {row.threshold:.3f}, TAR {row.tar:.2%}")
        if not variant.thresholds.by_fmr:
            typer.echo("  no thresholds: no door opens on it")
    typer.echo("signed" if document.signature else "not signed")


@app.command("new-key")
def new_key(
    private: Annotated[Path, typer.Option(help="The private key to make, mode 0600.")],
    public: Annotated[Path, typer.Option(help="The public key to make, for every door.")],
) -> None:
    """Make a model key: its private half signs models, its public half goes to the doors.

    Nothing that exists is overwritten. Keep the private half off the doors.

    Example: `oneglance model new-key --private model.key --public model.pub`
    """
    from oneglance.key_files import create_key_pair, fingerprint, load_public_key

    create_key_pair(private, public)
    typer.echo(f"{public}: {fingerprint(load_public_key(public, ''))}")


@app.command("sign")
def sign(
    folder: Annotated[Path, typer.Argument(help="The model folder.")],
    key: Annotated[Path, typer.Option(help="The private model key, mode 0600.")],
) -> None:
    """Sign a model folder's manifest, and with it the hash of every file in it.

    The files are checked first. A door whose configuration has `[model] public_key_file` loads only
    models signed by that key: the face model and the liveness model.

    Example: `oneglance model sign my-model --key model.key`
    """
    from oneglance.faces.liveness.judge import sign_liveness
    from oneglance.faces.model.folder import sign_folder
    from oneglance.key_files import fingerprint, load_private_key

    private = load_private_key(key, "model key", "make one with 'oneglance model new-key'")
    (sign_liveness if _is_liveness(folder) else sign_folder)(folder, private)
    typer.echo(f"{folder}: signed by {fingerprint(private.public_key())}")


@app.command("verify")
def verify(
    folder: Annotated[Path, typer.Argument(help="The model folder.")],
    key: Annotated[Path, typer.Option(help="The public model key.")],
) -> None:
    """Check a model folder as a door does: signature, manifest, every file.

    Exit code 72 if it was not signed by this key, or changed since.

    Example: `oneglance model verify my-model --key model.pub`
    """
    from oneglance.faces.liveness.judge import load_liveness
    from oneglance.faces.model.folder import check_files
    from oneglance.faces.model.manifest import read_document
    from oneglance.key_files import fingerprint, load_public_key

    public = load_public_key(key, "make one with 'oneglance model new-key'")
    if _is_liveness(folder):
        load_liveness(folder, public_key=public)
    else:
        check_files(folder, read_document(folder, public_key=public))
    typer.echo(f"{folder}: whole, and signed by {fingerprint(public)}")


def _is_liveness(folder: Path) -> bool:
    from oneglance.faces.liveness.manifest import FORMAT
    from oneglance.faces.model.manifest import MANIFEST_NAME, read_json_manifest

    return read_json_manifest(folder / MANIFEST_NAME).get("format") == FORMAT


@app.command("join")
def join(
    folders: Annotated[
        list[Path], typer.Argument(help="Model folders of one network; the first leads.")
    ],
    out: Annotated[Path, typer.Option(help="The model folder to make.", show_default=False)],
    images: Annotated[
        Path, typer.Option(help="Pictures (folder or zip) of people that training never saw.")
    ],
    people: Annotated[
        Path, typer.Option(help="CSV that names them: person,fold or image,identity.")
    ],
    folds: Annotated[str, typer.Option(help="Only people of these folds, e.g. 7,8.")] = "",
    default: Annotated[
        str | None,
        typer.Option(help="The variant loaded where nobody chose; the first folder's unless given"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Put several conversions of one network into one folder, as variants side by side.

    The first folder gives the name and the templates' id. Each other one is compared with it, both
    ways, on all pairs of the pictures: only if they agree well enough do their templates count as
    interchangeable, and only then may `oneglance doctor --tune` switch between them. The first
    folder's `common` directions are kept only if this holds for all.

    Example: `oneglance model join float32-model int8-model --out my-model --images lfw.zip
    --people people.csv --folds 7,8`
    """
    from rich.console import Console

    from oneglance.converter.joining import join_folders

    try:
        chosen = tuple(int(fold) for fold in folds.split(",")) if folds else None
    except ValueError:
        raise typer.BadParameter(f"--folds is {folds!r}, not numbers like 7,8") from None
    if len(folders) < 2:
        raise typer.BadParameter("name two folders at least")
    with Console(stderr=True).status("reading every picture with every variant"):
        joined = join_folders(
            folders, out, images=images, people=people, folds=chosen, default=default
        )
    if as_json:
        rows = [
            {
                "variant": row.variant,
                "interchange": row.interchange and row.interchange.model_dump(mode="json"),
                "objections": row.objections,
            }
            for row in joined
        ]
        typer.echo(json.dumps({"out": str(out), "variants": rows}))
        return
    for row in joined:
        verdict = "templates interchangeable" if not row.objections else "templates do not mix"
        typer.echo(f"{row.variant}: {verdict}")
        for objection in row.objections:
            typer.echo(f"  {objection}")
        if row.interchange is not None:
            for whose, rates in (
                ("its probes", row.interchange.probes_of_this),
                ("the first's probes", row.interchange.probes_of_reference),
            ):
                for rate, mixed in rates.items():
                    typer.echo(
                        f"  {whose} at FMR {rate}: false matches {mixed.fmr:.2e}, TAR "
                        f"{mixed.tar:.2%} (the first alone {mixed.tar_of_reference:.2%})"
                    )
    typer.echo(f"{out}: not signed; see 'oneglance model sign'")
