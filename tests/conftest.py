"""What holds for every test: an environment without anybody's settings, and in CI no skips."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator

import pytest
from hypothesis import settings

pytest_plugins = ["server_fixtures", "storage_command", "resuming", "fault_table", "plain_dvc"]

settings.register_profile("default", deadline=None)
settings.register_profile("nightly", deadline=None, max_examples=1000)
settings.load_profile("default")

for _name in [name for name in os.environ if name.startswith(("STORAGE_", "AWS_"))]:
    del os.environ[_name]


@pytest.fixture(autouse=True, scope="session")
def state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Generator[None, None, None]:
    """What is remembered between runs is not the user's, and not another worker's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A user's machine may lack a part that a test needs; where all parts are required, a skip is a failure."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but in CI nothing may be: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The contract's report: what each provider of the matrix keeps, a line each."""
    kept: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "xfailed", "xpassed"):
        for report in terminalreporter.getreports(outcome):
            suite = report.nodeid.split("::")[
                1:-1
            ]  # none of a test that stands alone, and of a file that can't be read
            if "tests/contract/" in report.nodeid and suite and (report.when == "call" or outcome == "error"):
                kept.setdefault(suite[0], Counter())[outcome] += 1
    if kept:
        terminalreporter.section("the contract")
    for suite, counts in sorted(kept.items()):
        gaps = f"{counts['xfailed']} known gaps"
        broken = counts["failed"] + counts["error"]
        terminalreporter.write_line(
            f"{suite:48} {counts['passed'] + counts['xpassed']:4} promises kept, {broken} broken, {gaps}"
        )
