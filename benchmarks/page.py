"""The section "Real time" of docs/benchmarks/speed.md, written from the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from targets import TARGETS

BEGIN = "<!-- written by benchmarks/realtime.py: begin -->"
END = "<!-- written by benchmarks/realtime.py: end -->"
NAMES = {
    "face_recognition": "(a) face_recognition",
    "blazeface": "(b) BlazeFace + MobileFaceNet",
    "tutorial": "(c) the tutorial way",
    "ours": "(d) oneglance",
}


def write_page(results: Mapping[str, Any], file: Path) -> None:
    """Put the tables between the marks in the file. ValueError if it has none."""
    text = file.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{file} lacks the marks between which the tables go")
    file.write_text(f"{before}{BEGIN}\n\n{tables(results)}\n\n{END}{after}")


def tables(results: Mapping[str, Any]) -> str:
    """All tables in Markdown."""
    parts = (_goals, _machine, _frames, _missed, _decisions, _probes, _accuracy, _process)
    return "\n\n".join(part(results) for part in parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _goals(results: Mapping[str, Any]) -> str:
    rows = []
    for name, target in TARGETS.items():
        value = results["goals"][name]
        side = "at least" if target.at_least else "at most"
        shown = "none" if value is None else f"{value:g}"
        verdict = "reached" if target.reached(value) else "**missed**"
        rows.append([f"`{name}`", shown, f"{side} {target.limit:g}", verdict])
    return _table(["goal", "measured", "wanted", ""], rows)


def _machine(results: Mapping[str, Any]) -> str:
    where = results["machine"]
    load = where["load_average_before"][0]
    return (
        f"Made on {results['made_at'][:10]} in {results['minutes']:g} minutes: {where['cpu']}, "
        f"{where['cores']} cores, {where['system']}, Python {where['python']}, OpenCV "
        f"{where['opencv']}; one thread and one core each; load average before: {load:g}."
    )


def _frames(results: Mapping[str, Any]) -> str:
    rows = []
    for clip, found in results["clips"].items():
        for who, figures in found["contenders"].items():
            rows.append(
                [
                    f"{clip}, {found['fps']:g} fps",
                    NAMES[who],
                    f"{figures['cpu_s_per_video_s']:.3f}",
                    f"{figures['ms_per_frame']:.1f}",
                    f"{figures['fps_one_core']:.1f}",
                    "-" if who == "tutorial" else f"{figures['faces_per_frame']:.2f}",
                ]
            )
    head = ["clip", "who", "CPU s a second of film", "ms a frame", "frames/s", "faces a frame"]
    return _table(head, rows)


def _missed(results: Mapping[str, Any]) -> str:
    rows = [
        [
            name,
            str(found["visits"]),
            str(found["missed_visits"]),
            str(found["face_frames"]),
            str(found["missed_face_frames"]),
        ]
        for name, found in results["missed"].items()
    ]
    head = ["clip", "visits that (b) sees", "missed by us", "their face-frames", "missed by us"]
    return _table(head, rows)


def _decisions(results: Mapping[str, Any]) -> str:
    by_whom = {NAMES[who]: found for who, found in results["live"].items()}
    by_whom["(d) as heard on the wire"] = results["service"]["decisions"]
    rows = [
        [name, kind, _ms(found[kind]["p50_ms"]), _ms(found[kind]["p95_ms"]), _of(found[kind])]
        for name, found in by_whom.items()
        for kind in ("frontal", "tilted")
        if found[kind]["visits"]
    ]
    return _table(["first sight to decision", "face", "p50", "p95", "visits decided"], rows)


def _ms(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f} ms"


def _of(found: Mapping[str, Any]) -> str:
    return f"{found['visits'] - found['undecided']} of {found['visits']}"


def _probes(results: Mapping[str, Any]) -> str:
    rows = []
    for who, by_size in results["probes"].items():
        for size, parts in by_size.items():
            compare_ms = 1e3 * parts["compare_s"]
            compared = "-" if who == "tutorial" else f"{compare_ms:.3f}"
            rows.append([NAMES[who], f"{int(size):,}", f"{parts['probes_per_s']:.2f}", compared])
    head = ["one visitor against", "templates", "visitors checked a second", "comparing, ms"]
    return _table(head, rows)


def _accuracy(results: Mapping[str, Any]) -> str:
    rows = [
        [
            NAMES[who],
            f"{100 * found['accuracy']:.2f} % (standard error {100 * found['standard_error']:.2f})",
            f"{found['not_acquired']} of {found['pictures']}",
            f"{found['cpu_ms_per_picture']:.0f}",
        ]
        for who, found in results["accuracy"].items()
    ]
    return _table(["who", "accuracy", "no face found", "CPU ms a picture"], rows)


def _process(results: Mapping[str, Any]) -> str:
    served, encoder = results["service"], results["encoder"]
    rows = [
        [NAMES[who], f"{results['start_s'][who]:.2f}", f"{results['peak_mb'][who]:.0f}"]
        for who in results["start_s"]
    ]
    rows.append(
        ["`oneglance run` (READY=1)", f"{min(served['ready_s']):.2f}", f"{served['peak_mb']:.0f}"]
    )
    whole = (
        "The whole service, reading and decoding Motion JPEG included, takes "
        f"{served['one_face_core_percent']:.1f} % of a core with one face in view and "
        f"{served['empty_hall_core_percent']:.1f} % before an empty hallway, at 15 fps. "
        f"The encoder: {encoder['macs'] / 1e6:.0f} million multiply-accumulates, "
        f"{encoder['encode_ms']:.2f} ms; at the core's peak of "
        f"{encoder['peak_gmacs_per_s']:.0f} billion a second they would take "
        f"{encoder['floor_ms']:.2f} ms."
    )
    return _table(["who", "start, s", "peak memory, MB"], rows) + "\n\n" + whole
