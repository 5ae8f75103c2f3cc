"""What holds for every test: an environment without anybody's settings, and in CI no skips."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None)
settings.register_profile("nightly", deadline=None, max_examples=1000)
settings.load_profile("default")

for _name in [name for name in os.environ if name.startswith(("STORAGE_", "AWS_"))]:
    del os.environ[_name]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A user's machine may lack a part that a test needs; where all parts are required, a skip is a failure."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but in CI nothing may be: {report.longrepr}"
    return report
