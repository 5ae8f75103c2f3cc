"""The table of the faults: what the tests of tests/faults did and found, at the end of their output, and in a file if asked.

The file is named by LADING_FAULT_TABLE.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

PROPERTY = "faults"
KILLS = int(os.environ.get("LADING_KILLS") or 20)
NIGHTLY = KILLS > 20
"""Whether there is time for more cases, and for larger files."""
SEED = int(os.environ.get("LADING_FAULT_SEED") or 4)


@dataclass
class Tally:
    """What was done and what was found.

    Attributes:
        runs: commands that came to harm, and those after them in peace.
        faults: how often each kind happened.
        checked: objects and files that were read in full and compared with what they have to be.
        losses: what was not so, a sentence each.
    """

    runs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    losses: list[str] = field(default_factory=list)

    def add(self, other: dict[str, Any]) -> None:
        """Count another's as well, given as a dict."""
        self.runs += other["runs"]
        self.faults.update(other["faults"])
        self.checked += other["checked"]
        self.losses += other["losses"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each test file and kind of fault."""
    rows: dict[str, Tally] = {}
    for report in (one for reports in terminalreporter.stats.values() for one in reports):
        found = dict(getattr(report, "user_properties", ())).get(PROPERTY)
        if found and report.when == "teardown":
            name = Path(report.nodeid.partition("::")[0]).stem.removeprefix("test_")
            rows.setdefault(name, Tally()).add(found)
    if not rows:
        return
    terminalreporter.section("the faults")
    for name, row in sorted(rows.items()):
        found = f"{row.checked:10,} objects checked {len(row.losses):3} losses"
        terminalreporter.write_line(f"{name:14} {row.runs:5,} runs {row.faults.total():6,} faults {found}")
    if path := os.environ.get("LADING_FAULT_TABLE"):
        table = {name: vars(row) for name, row in sorted(rows.items())}
        Path(path).write_text(json.dumps(_about() | {"rows": table}, indent=1) + "\n")


def _about() -> dict[str, Any]:
    asked = subprocess.run(["radosgw", "--version"], capture_output=True, text=True, check=False)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
        "server": " ".join(asked.stdout.split()[:3]),
        "command": f"pytest {' '.join(sys.argv[1:])}",
        "versions": {name: version(name) for name in ("lading", "boto3", "pycurl")},
        "kills": KILLS,
        "seed": SEED,
    }
