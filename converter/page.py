"""The parity report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import html
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .2rem 1.2rem .2rem 0; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
figure { display: inline-block; margin: 0 1rem 1rem 0; width: 560px; max-width: 100%; }
img { width: 100%; background: #fff; border-radius: .3rem; }
.no { color: #b8322a; font-weight: 600; }
"""
_LARGEST = 5
_COLOUR, _OTHER = "#1b5f8d", "#888888"


def parity_page(report: Mapping[str, Any]) -> str:
    """The page for a report of `oneglance.converter.job`; it shows no picture of anybody."""
    return "".join(_parts(report))


def _parts(report: Mapping[str, Any]) -> Iterator[str]:
    title = html.escape(f"Parity of {report['name']} ({report['quantize']})")
    yield f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
    yield f"<style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    if report["refused"]:
        yield "<p class='no'>Refused:</p><ul class='no'>"
        yield from (f"<li>{html.escape(text)}</li>" for text in report["refused"])
        yield "</ul>\n"
    else:
        yield "<p>Within its limits.</p>\n"
    yield _asked(report)
    templates, scores = report["templates"], report["scores"]
    yield "<h2>Templates and scores against the float network</h2>\n"
    yield _table(
        [
            ("samples", str(templates["samples"])),
            ("mean cosine", f"{templates['mean']:.5f}"),
            ("least cosine", f"{templates['min']:.5f}"),
            ("mean absolute difference of a score (logit)", f"{scores['mean_absolute']:.4f}"),
            ("largest difference of a score (logit)", f"{scores['largest']:.4f}"),
        ]
    )
    yield _histogram(templates["histogram"], "cosine of templates")
    yield _histogram(scores["histogram"], "difference of scores, logits")
    yield from _accuracy(report["accuracy"])
    yield from _thresholds(report.get("thresholds") or {})
    if report["layers"]:
        yield "<h2>Layers</h2>\n<p>The share of each layer's signal that is lost, 0 to 1; "
        yield "what came in from the layers before is part of it.</p>\n"
        yield _layers(report["layers"])
    for part, graph in report["graphs"].items():
        yield from _graph(part, graph)
    yield "</body></html>\n"


def _accuracy(told: list[dict[str, Any]]) -> Iterator[str]:
    yield "<h2>Decisions on the same pictures</h2>\n"
    if not told:
        yield "<p>Not measured: no pictures of people were given to measure on.</p>\n"
    for row in told:
        before, after = row["float32"], row["converted"]
        yield f"<h3>{html.escape(row['protocol'])}: {before['genuine_pairs']:,} genuine, "
        yield f"{before['impostor_pairs']:,} impostor</h3>\n"
        yield "<table><tr><th></th><th>float32</th><th>converted</th></tr>"
        lines = [(name, before[name], after[name]) for name in ("accuracy", "eer")]
        rates = after["tar_at_far"]
        lines += [(f"TAR at FAR {far}", t, rates[far]) for far, t in before["tar_at_far"].items()]
        for name, a, b in lines:
            yield f"<tr><td>{name}</td><td class='n'>{a:.3%}</td><td class='n'>{b:.3%}</td></tr>"
        yield "</table>\n"


def _asked(report: Mapping[str, Any]) -> str:
    calibration, limits = report["calibration"], report["limits"]
    bounds = [
        ("mean cosine of templates, at least", f"{limits['cosine']:g}"),
        ("TAR at FAR 1e-3 lost, at most", f"{limits['tar_loss']:.2%}"),
        ("accuracy lost, at most", f"{limits['accuracy_loss']:.2%}"),
    ]
    if report["kind"] == "faces":
        bounds.append(("delegate partitions, at most", str(limits["partitions"])))
    source = f"{calibration['pictures']} of {calibration['source']}, seed {calibration['seed']}"
    return _table([("samples to calibrate and compare with", source), *bounds])


def _thresholds(thresholds: Mapping[str, Any]) -> Iterator[str]:
    rows = thresholds.get("by_fmr", {})
    if not rows:
        return
    yield "<h2>Thresholds fitted anew</h2>\n<table><tr><th>FMR</th><th>threshold (logit)</th>"
    yield "<th>TAR</th></tr>"
    for rate, row in rows.items():
        yield f"<tr><td>{html.escape(rate)}</td><td class='n'>{row['threshold']:.3f}</td>"
        yield f"<td class='n'>{row['tar']:.2%}</td></tr>"
    yield "</table>\n"


def _graph(part: str, graph: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2>{html.escape(part)}: size, delegate, speed</h2>\n"
    counted = Counter(graph["delegate"]["outside"])
    outside = ", ".join(f"{count} {name}" for name, count in counted.items()) or "none"
    floor = graph["floor_ms_one_thread"]
    yield _table(
        [
            ("bytes", f"{graph['bytes']:,} (float32: {graph['bytes_float32']:,})"),
            ("delegate partitions", str(graph["delegate"]["partitions"])),
            ("operations no delegate takes", outside),
            ("multiply-accumulates", f"{graph['macs'] / 1e6:.1f} million"),
            ("this core's measured peak", f"{graph['peak_gmacs_one_thread']:.1f} GMAC/s"),
            ("floor on one thread", f"{floor:.3f} ms"),
        ]
    )
    yield f"<p>The peak is the {html.escape(graph['peak_method'])}.</p>\n"
    yield "<table><tr><th>batch</th><th>threads</th><th>ms each</th><th>times the floor</th>"
    yield "<th>float32, ms each</th></tr>"
    for row in graph["speed"]:
        yield f"<tr><td class='n'>{row['batch']}</td><td class='n'>{row['threads']}</td>"
        yield f"<td class='n'>{row['ms']:.3f}</td>"
        yield f"<td class='n'>{row['ms'] * row['threads'] / floor:.1f}</td>"
        yield f"<td class='n'>{row['ms_float32']:.3f}</td></tr>"
    yield "</table>\n"


def _table(rows: list[tuple[str, str]]) -> str:
    lines = (
        f"<tr><td>{html.escape(name)}</td><td class='n'>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table>{''.join(lines)}</table>\n"


def _histogram(histogram: Mapping[str, list[float]], title: str) -> str:
    figure, axes = _axes(title, "how many")
    axes.stairs(histogram["counts"], histogram["edges"], fill=True, color=_COLOUR)
    return _figure(figure, title)


def _layers(layers: Mapping[str, Any]) -> str:
    errors = layers["errors"]
    worst = layers["worst"]["layer"] if layers["worst"] else ""
    figure, axes = _axes("layer, in order", "share lost")
    colours = ["#b8322a" if row["layer"] == worst else _COLOUR for row in errors]
    axes.bar(range(len(errors)), [row["error"] for row in errors], color=colours, width=1.0)
    title = f"error of each layer; the most is added in {worst}"
    largest = sorted(errors, key=lambda row: float(row["error"]), reverse=True)[:_LARGEST]
    rows = [(row["layer"], f"{row['error']:.3f}") for row in largest]
    return f"{_figure(figure, title)}<p>The largest:</p>{_table(rows)}"


def _axes(horizontal: str, vertical: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.6, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.grid(visible=True, alpha=0.25, color=_OTHER)
    return figure, axes


def _figure(figure: Figure, title: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode()
    text = html.escape(title)
    picture = f"<img alt='{text}' src='data:image/png;base64,{data}'>"
    return f"<figure>{picture}<figcaption>{text}</figcaption></figure>\n"
