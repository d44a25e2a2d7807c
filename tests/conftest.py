"""Its being here puts this folder on the path, so that tests can import the kits beside it.

A test that skips has proved nothing: with CI=true it counts as failed. What a test records as
the property `said` is printed at the end.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# How fast the machine is says nothing about the code.
settings.register_profile("oya", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("oya")

MAY_SKIP: tuple[str, ...] = ()
"""How the reason of a skip may begin that is forgiven with CI=true. None is."""


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and _unforgiven(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for report in terminalreporter.stats.get("passed", []):
        for name, words in report.user_properties:
            if name == "said":
                terminalreporter.line(str(words))
    if skips := _unforgiven(config):
        terminalreporter.section("skipped, and CI=true")
        for skip in skips:
            terminalreporter.line(skip)


def _unforgiven(config: pytest.Config) -> list[str]:
    if os.environ.get("CI") != "true":
        return []
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    skips = [(report.nodeid, _reason(report)) for report in reports]
    return [f"{nodeid}: {why}" for nodeid, why in skips if not why.startswith(MAY_SKIP)]


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    where = report.longrepr
    reason = where[2] if isinstance(where, tuple) else str(where)
    return reason.removeprefix("Skipped: ")
