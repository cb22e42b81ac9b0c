"""Draw who loads whom: docs/images/imports.dot, and by Graphviz docs/images/imports.svg.

usage: python scripts/import_graph.py [--check] [--root FOLDER]

The imports are read from the tree's text, nothing is run; those inside functions and under `if
TYPE_CHECKING` count as well. --check writes nothing. Exits with 1, and says why, if modules, floors
or rooms import each other in a circle, or if --check finds that the stored .dot does not match the
tree.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from html import escape
from pathlib import Path

import grimp

TOP = "oneglance"
DOT = Path("docs/images/imports.dot")
Imports = Mapping[str, set[str]]

# Floors that import another one and so close a circle: to be turned round, and drawn in red.
BACKWARDS: set[tuple[str, str]] = set()
_STYLE = """\
  compound=true newrank=true nodesep=0.2 ranksep=0.45 bgcolor=white pad=0.15
  fontname="DejaVu Sans" fontsize=14
  node [shape=box style="rounded,filled" fillcolor=white color="#9a9a9a" fontname="DejaVu Sans"
    fontsize=12 margin="0.1,0.05" height=0.3]
  edge [color="#666666" arrowsize=0.7]
  labelloc=b label=<<br/><font point-size="12">An arrow: loads. What follows from other arrows is \
left out.%s</font>>
"""
_RED = "#c62828"
_COLOURS = {
    "audit": "#fbe6e3",
    "cli": "#efe6f7",
    "daemon": "#e2f1e2",
    "door": "#e2f1e2",
    "kiosk_ui": "#e2f1e2",
    "contract": "#fbe6e3",
    "converter": "#fdf0d8",
    "training": "#fdf0d8",
    "faces": "#dfecfa",
    "models": "#dfecfa",
}
_OTHER_COLOUR = "#eeeeee"
_GROUND = "The ground of the house: every room stands on it."


class House:
    """The packages of a checkout, the folder of each, and what each module imports."""

    def __init__(self, root: Path) -> None:
        setup = configparser.ConfigParser()
        setup.read(root / "setup.cfg")
        options = setup["options"]
        self.floors = set(options["packages"].split())
        pairs = (line.split(" = ") for line in options["package_dir"].strip().splitlines())
        self._folders = {package: root / folder for package, folder in pairs}
        self.imports: Imports = self._read()

    def floors_of(self, room: str) -> set[str]:
        """A room's own package, and those in it."""
        return {floor for floor in self.floors if room_of(floor) == room}

    def floor_of(self, module: str) -> str:
        """`oneglance.faces.find` of `oneglance.faces.find.align`, and of itself."""
        return module if module in self.floors else module.rpartition(".")[0]

    def told(self, floor: str) -> str:
        """What a package says about itself: the first line of its docstring."""
        room = room_of(floor)
        folder = self._folders[room].joinpath(*floor.split(".")[2:])
        docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
        return (docstring or "").partition("\n")[0]

    def _read(self) -> Imports:
        # The rooms are folders of the checkout, but packages of oneglance: grimp sees links.
        with tempfile.TemporaryDirectory() as scratch:
            top = Path(scratch) / TOP
            top.mkdir()
            for file in self._folders[TOP].glob("*.py"):
                (top / file.name).symlink_to(file.resolve())
            for package, folder in self._folders.items():
                if package != TOP:
                    (top / package.removeprefix(f"{TOP}.")).symlink_to(folder.resolve())
            sys.path.insert(0, scratch)
            try:
                graph = grimp.build_graph(TOP, cache_dir=None)
            finally:
                sys.path.remove(scratch)
        return {m: set(graph.find_modules_directly_imported_by(m)) for m in graph.modules}


def room_of(floor: str) -> str:
    """`oneglance.faces` of `oneglance.faces.find`."""
    return ".".join(floor.split(".")[:2])


def collapsed(house: House) -> dict[str, set[str]]:
    """The floors, and which other floors each one's modules import."""
    floors: dict[str, set[str]] = {floor: set() for floor in house.floors}
    for module, imported in house.imports.items():
        floor = house.floor_of(module)
        floors[floor] |= {house.floor_of(other) for other in imported} - {floor}
    return floors


def circle(graph: Imports) -> list[str]:
    """One circle in a graph, if there is any: each imports the next, and the last the first."""
    try:
        TopologicalSorter({node: sorted(graph[node]) for node in sorted(graph)}).prepare()
    except CycleError as error:
        ring = error.args[1][:0:-1]
        first = ring.index(min(ring))
        return [*ring[first:], *ring[:first]]
    return []


def without_backwards(floors: Imports) -> dict[str, set[str]]:
    """The floors without those imports that are known to be the wrong way round."""
    return {f: {to for to in tos if (f, to) not in BACKWARDS} for f, tos in floors.items()}


def faults(house: House) -> list[str]:
    """What is wrong with the imports, a line each."""
    floors = collapsed(house)
    straight = without_backwards(floors)
    said = []
    for what, graph in (
        ("modules", house.imports),
        ("floors", straight),
        ("rooms", rooms(straight)),
    ):
        if ring := circle(graph):
            said.append(f"{what} in a circle: {' -> '.join([*ring, ring[0]])}")
    ring = circle(straight)
    arrows = set(zip(ring, [*ring[1:], *ring[:1]], strict=True))
    said += [
        f"  {module} imports {to}"
        for module, imported in sorted(house.imports.items())
        for to in sorted(imported)
        if (house.floor_of(module), house.floor_of(to)) in arrows
    ]
    for floor, to in sorted(BACKWARDS):
        if to not in floors.get(floor, ()):
            said.append(f"{floor} imports {to} no more: take that out of BACKWARDS")
    return said


def rooms(floors: Imports) -> dict[str, set[str]]:
    """The rooms, and which other rooms each one's floors import."""
    found: dict[str, set[str]] = {room_of(floor): set() for floor in floors}
    for floor, imported in floors.items():
        found[room_of(floor)] |= {room_of(other) for other in imported} - {room_of(floor)}
    return found


def needed(graph: Imports) -> dict[str, set[str]]:
    """The arrows of a graph without circles that do not follow from others.

    If a loads b and b loads c, an arrow from a to c says nothing new.
    """
    beyond: dict[str, set[str]] = {}
    for node in TopologicalSorter(graph).static_order():
        direct = graph.get(node, set())
        beyond[node] = direct.union(*(beyond[other] for other in direct))
    return {
        node: {to for to in tos if not any(to in beyond[other] for other in tos)}
        for node, tos in graph.items()
    }


def drawn(house: House) -> str:
    """The picture as DOT text: the same text for the same imports."""
    floors = without_backwards(collapsed(house))
    inside = needed(
        {f: {to for to in tos if room_of(to) == room_of(f)} for f, tos in floors.items()}
    )
    between = needed({room: tos - {TOP} for room, tos in rooms(floors).items()})
    tops, bottoms = _ends(inside), _ends(_turned(inside))
    lines = [f"digraph {TOP} {{", _STYLE.rstrip() % _legend()]
    for room in sorted(between):
        lines += _room(house, room)
    for floor, to in _arrows(inside):
        lines.append(f'  "{floor}" -> "{to}"')
    for floor, to in sorted(BACKWARDS):
        lines.append(f'  "{floor}" -> "{to}" [color="{_RED}" constraint=false]')
    for room, to in _arrows(between):
        # One arrow is visible; all of them together put a whole room below the other.
        for low in bottoms[room]:
            for high in tops[to]:
                lines.append(f'  "{low}" -> "{high}" [style=invis]')
        low, high = (ends[len(ends) // 2] for ends in (bottoms[room], tops[to]))
        ends = "".join(
            f'{end}="cluster {one}" '
            for end, one in (("ltail", room), ("lhead", to))
            if {one} != house.floors_of(one)
        )
        lines.append(f'  "{low}" -> "{high}" [{ends}penwidth=2 color="#222222"]')
    for room in sorted(room for room, tos in between.items() if not tos and room != TOP):
        lines += [f'  "{low}" -> "{TOP}" [style=invis]' for low in bottoms[room]]
    return "\n".join([*lines, "}", ""])


def _arrows(graph: Imports) -> list[tuple[str, str]]:
    return sorted((node, to) for node, tos in graph.items() for to in tos)


def _turned(graph: Imports) -> dict[str, set[str]]:
    return {node: {other for other, tos in graph.items() if node in tos} for node in graph}


def _ends(inside: Imports) -> dict[str, list[str]]:
    """For each room, the floors that no other floor of it imports."""
    imported = set().union(*inside.values())
    found: dict[str, list[str]] = {}
    for floor in sorted(inside.keys() - imported):
        found.setdefault(room_of(floor), []).append(floor)
    return found


def _legend() -> str:
    return f'<br/><font color="{_RED}">Red: to be turned round.</font>' if BACKWARDS else ""


def _room(house: House, room: str) -> list[str]:
    """A room without floors is a box; one with floors is a frame around them."""
    name = room.removeprefix(f"{TOP}.")
    told = house.told(room) if room != TOP else _GROUND
    words = "<br/>".join(escape(line) for line in textwrap.wrap(told, 30))
    label = f'<<b>{name}/</b><br/><font point-size="11">{words}</font>>'
    colour = _COLOURS.get(name, _OTHER_COLOUR)
    floors = house.floors_of(room)
    if floors == {room}:
        return [f'  "{room}" [fillcolor="{colour}" color="{colour}" fontsize=14 label={label}]']
    lines = [f'  subgraph "cluster {room}" {{ style="rounded,filled" color="{colour}"']
    lines.append(f"    labelloc=t label={label}")
    for floor in sorted(floors):
        told = f"{name}/*.py" if floor == room else floor.removeprefix(f"{room}.")
        lines.append(f'    "{floor}" [label="{told}" tooltip="{house.told(floor)}"]')
    return [*lines, "  }"]


def main() -> int:
    """0, or 1 if something is wrong with the imports or the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, say what is wrong")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    arguments = parser.parse_args()
    house, kept = House(arguments.root), arguments.root / DOT
    wrong = faults(house)
    # A graph with circles cannot be drawn from top to bottom.
    text = "" if wrong else drawn(house)
    if not wrong and arguments.check and kept.read_text("utf-8") != text:
        wrong = [f"{DOT} is not that of the tree: run 'make graph'"]
    if wrong:
        sys.stderr.write("".join(f"{line}\n" for line in wrong))
        return 1
    if not arguments.check:
        kept.write_text(text, "utf-8")
        subprocess.run(["dot", "-Tsvg", f"-o{kept.with_suffix('.svg')}", str(kept)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
