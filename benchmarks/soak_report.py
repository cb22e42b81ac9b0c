"""A soak as a page and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from soak_faults import KINDS
from soak_judge import MEASURES, Slope, Soak, latencies, undisturbed

BEGIN, END = "<!-- begin: make soak -->", "<!-- end: make soak -->"


def table(soak: Soak, found: Sequence[Slope], wrong: Sequence[str]) -> str:
    """The run's results in Markdown."""
    run = soak.run
    lines = [
        f"{soak.seconds / 60:.0f} minutes from {run['began']} on ({run['machine']}, load"
        f" {run['load']:.1f} at the end; seed {run['seed']}, {run['fps']:g} pictures a second):"
        f" {len(soak.visits)} visits, {run['decisions']} decisions, {run['openings']} openings,"
        f" {len(run['wrong'])} of them without a valid fresh decision; {len(soak.faults)} faults,"
        f" {len([fault for fault in soak.faults if fault['outage_s'] is None])} without recovery.",
        "",
        "| fault | times | median outage | longest |",
        "|---|---|---|---|",
    ]
    for kind in KINDS:
        those = [fault for fault in soak.faults if fault["kind"] == kind]
        outages_s = [fault["outage_s"] for fault in those if fault["outage_s"] is not None]
        if outages_s:
            lines.append(
                f"| {kind} | {len(those)} | {median(outages_s):.1f} s | {max(outages_s):.1f} s |"
            )
    lines += [
        "",
        "| what | over | median | growth an hour | 95 % | noise | grows |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.what} | {one.hours * 60:.0f} min | {one.median:.3g} {one.unit} |"
        f" {one.per_hour:+.2g} | {one.lower:+.2g} to {one.upper:+.2g} | {one.noise:.2g} |"
        f" {'**yes**' if one.grows else 'no'} |"
        for one in found
    ]
    verdict = "Passed." if not wrong else "Failed: " + "; ".join(wrong) + "."
    return "\n".join([*lines, "", verdict])


def write_page(soak: Soak, found: Sequence[Slope], wrong: Sequence[str], page: Path | None) -> str:
    """Put the table between the page's marks, if there is a page."""
    text = table(soak, found, wrong)
    if page is not None:
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    return text


def plot(soak: Soak, file: Path) -> None:
    """Memory, descriptors, threads and latency over time; faults in grey."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    began_s = soak.samples[0]["at_s"]
    figure, axes = plt.subplots(len(MEASURES) + 1, 1, sharex=True, figsize=(10, 9))
    for axis, measure in zip(axes, MEASURES, strict=False):
        for service, colour in (("daemon", "#00695c"), ("lock", "#e65100")):
            those = [sample for sample in soak.samples if sample["service"] == service]
            axis.plot(
                [(sample["at_s"] - began_s) / 60 for sample in those],
                [sample[measure.name] for sample in those],
                ".",
                color=colour,
                markersize=2,
                label=service,
            )
        axis.set_ylabel(measure.unit if measure.unit != "MB" else "own MB")
        axis.set_ylim(bottom=0)
    axes[0].legend(loc="lower right")
    told = undisturbed(latencies(soak.visits, soak.decisions, soak.run["known"]), soak.faults)
    minutes = [(at_s - began_s) / 60 for at_s, _ in told]
    axes[-1].plot(minutes, [s for _, s in told], ".", color="#00695c", markersize=3)
    axes[-1].set_ylabel("visit to decision, s")
    axes[-1].set_ylim(bottom=0)
    axes[-1].set_xlabel("minutes; grey: from a fault's beginning until the lock opens again")
    for fault in soak.faults:
        for axis in axes:
            axis.axvspan(
                (fault["began_s"] - began_s) / 60,
                (fault["back_s"] - began_s) / 60,
                color="0.9",
                zorder=0,
            )
    figure.tight_layout()
    figure.savefig(file, dpi=90)
    plt.close(figure)
