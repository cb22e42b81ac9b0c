"""Draw how Koch's network did from epoch to epoch, on faces and on drawings.

python benchmarks/koch_curves.py --faces runs/faces-koch --drawings runs/omniglot-koch-cpu \
    --out docs/images/koch.png
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator


def read(file: Path, column: str) -> tuple[list[int], list[float]]:
    """The epochs of a run's log that have the column, and its values there."""
    with file.open(encoding="utf-8", newline="") as text:
        rows = [row for row in csv.DictReader(text) if row[column]]
    return [int(row["epoch"]) for row in rows], [float(row[column]) for row in rows]


def drawn(axes: Axes, file: Path, column: str, title: str, chance: float, top: float) -> None:
    """What one run's checks found, in percent up to `top`, and what guessing would."""
    epochs, values = read(file, column)
    axes.plot(epochs, [100 * value for value in values], "o-", color="#00695c", markersize=4)
    axes.axhline(100 * chance, color="#757575", linewidth=1, linestyle=":")
    axes.text(epochs[-1], 100 * chance + 1, "chance", color="#757575", ha="right", fontsize=8)
    axes.set(xlabel="epoch", ylabel="%", ylim=(0, top))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title, fontsize=10)


def main() -> None:
    """Draw both runs side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="the folder of faces-koch's run")
    parser.add_argument("--drawings", type=Path, required=True, help="of an omniglot-koch's run")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    drawn(left, chosen.faces / "faces.csv", "eer", "faces: equal error rate, folds 7-8", 0.5, 55)
    title = "drawings: 20-way one-shot, validation alphabets"
    drawn(right, chosen.drawings / "koch.csv", "one_shot", title, 0.05, 100)
    figure.savefig(chosen.out, dpi=100)


if __name__ == "__main__":
    main()
