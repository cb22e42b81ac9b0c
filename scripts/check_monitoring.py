"""Have promtool check and try the alert rules, and check each query of the Grafana dashboard.

python scripts/check_monitoring.py [PROMTOOL]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SYSTEMD = Path(__file__).resolve().parents[1] / "systemd"


def main() -> None:
    """Exit with promtool's code at the first fault."""
    promtool = sys.argv[1] if len(sys.argv) > 1 else "promtool"
    dashboard = json.loads((SYSTEMD / "grafana/oneglance.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    # Grafana fills these in itself; promtool reads a query only as part of a rule.
    rules = [
        {"record": f"query:{at}", "expr": query.replace("$__rate_interval", "1m")}
        for at, query in enumerate(queries)
    ]
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "dashboard.yml"
        written.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
        prometheus = SYSTEMD / "prometheus"
        for arguments in (
            ("check", "rules", prometheus / "alerts.yml"),
            ("test", "rules", prometheus / "alerts-test.yml"),
            ("check", "rules", written),
        ):
            subprocess.run([promtool, *arguments], check=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
