"""The report of a conversion holds and shows what was measured, whatever that was."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneglance.converter.finish import REPORT_NAME, write_report
from oneglance.converter.folder import move_folder
from oneglance.converter.page import parity_page
from oneglance.converter.report import refusals, score_part, template_part
from oneglance.converter.request import Limits
from oneglance.errors import ConfigError


def report_of(wanted: np.ndarray, found: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    return {
        "kind": "faces",
        "name": "tiny",
        "quantize": "float16",
        "calibration": {"source": "lfw.zip", "pictures": 35, "seed": 0},
        "templates": template_part(wanted, found),
        "scores": score_part(np.zeros_like(scores), scores),
        "layers": {
            "errors": [{"layer": f"conv_{n}", "error": n / 10} for n in range(8)],
            "worst": {"layer": "conv_7", "error": 0.7},
        },
        "accuracy": [],
        "thresholds": {"by_fmr": {"1e-3": {"threshold": 4.321, "tar": 0.987}}},
        "graphs": {},
        "limits": Limits().as_dict(),
        "refused": [],
    }


@pytest.mark.parametrize("value", [0.0, -3e5, 1e9, 1e17, 3e38])
def test_scores_of_any_size_have_a_histogram(value: float) -> None:
    scores = np.full((4, 4), value, np.float32)
    told = score_part(np.zeros_like(scores), scores)
    assert sum(told["histogram"]["counts"]) == 12
    assert (np.diff(told["histogram"]["edges"]) > 0).all()


def test_what_is_no_number_is_refused_and_reported(tmp_path: Path) -> None:
    templates = np.eye(4, dtype=np.float32)
    report = report_of(templates, templates * np.nan, np.full((4, 4), np.nan, np.float32))
    report["refused"] = refusals(report, Limits())
    assert "mean cosine nan" in report["refused"][0]
    write_report(tmp_path, report)
    assert json.loads((tmp_path / REPORT_NAME).read_text())["templates"]["mean"] is None


def test_the_page_tells_thresholds_samples_limits_and_the_worst_layers() -> None:
    templates = np.eye(4, dtype=np.float32)
    page = parity_page(report_of(templates, templates, np.zeros((4, 4), np.float32)))
    for told in ("4.321", "98.70%", "35 of lfw.zip, seed 0", "0.30%", "conv_7", "conv_3"):
        assert told in page
    assert "conv_2<" not in page


def test_a_name_is_text_on_the_page_and_never_markup() -> None:
    templates = np.eye(4, dtype=np.float32)
    report = report_of(templates, templates, np.zeros((4, 4), np.float32))
    hostile = '<script src="x">\'&'
    report["name"] = report["calibration"]["source"] = hostile
    report["refused"] = [hostile]
    report["layers"]["errors"][0] = {"layer": hostile, "error": 0.8}
    page = parity_page(report)
    assert "<script" not in page
    # The title twice, the refusal, the source of the samples, the layer.
    assert page.count("&lt;script src=&#34;x&#34;&gt;&#39;&amp;") == 5
    assert set(re.findall(r'src="([^,"]*)', page)) == {"data:image/png;base64"}
    assert "http" not in page


def test_a_full_disk_is_told_in_one_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path, whole: Path) -> None:
        rows = [("a", "b", "[Errno 28] No space left on device"), ("c", "d", "another")]
        raise shutil.Error(rows)

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(ConfigError) as caught:
        move_folder(tmp_path / "made", tmp_path / "out")
    assert caught.value.what.endswith("cannot be made ([Errno 28] No space left on device)")
    assert list(tmp_path.iterdir()) == []
