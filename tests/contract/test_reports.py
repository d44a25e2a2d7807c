"""What every kind of report promises, with its real runner, as the tests gate runs it.

nextest has only recordings (tests/unit/gates/reports): it is seldom installed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from oya.clock import SystemClock
from oya.gates import Evidence, GatesConfig, ProcessRunner, Report
from oya.gates.model import Outcome
from oya.gates.port import Job
from oya.gates.project import project_names
from oya.gates.red import judge_contract
from oya.processes.real import GuardedProcesses
from report_kit import FIXTURES, MODULES, PROJECTS, Project, environment

pytestmark = pytest.mark.timeout(300)  # Maven fetches its plugins the first time

REAL = [kind for kind in PROJECTS if kind != "nextest"]


@dataclass
class Folder:
    path: Path
    index: int = 0


@pytest.fixture(params=REAL)
def project(request: pytest.FixtureRequest) -> Project:
    project: Project = PROJECTS[request.param]
    if project.kind in ("jest", "vitest"):
        if not (MODULES / ".bin" / project.tool).exists():
            pytest.skip(f"{project.tool} is not installed (make real-agents)")
    elif shutil.which(project.tool) is None:
        pytest.skip(f"{project.tool} is not installed")
    return project


async def run(project: Project, tree: str, root: Path, *ids: str, command: str = "") -> Evidence:
    """The tests gate on one tree."""

    @asynccontextmanager
    async def checkout(commit: str, *, urgent: bool = False) -> AsyncIterator[Folder]:
        yield Folder(root / commit)

    if not (root / tree).exists():
        project.make(tree, root / tree)
    config = GatesConfig(
        tests_command=command or project.command, report=project.kind, env=environment()
    )
    runner = ProcessRunner(
        config,
        processes=GuardedProcesses(f"reports-{os.getpid()}"),
        checkout=type("Folders", (), {"checkout": staticmethod(checkout)})(),
        logs=root / "logs",
        clock=SystemClock(),
    )
    job = Job("tests", (config.tests_command or "",), ids, config.report)
    return await runner.run(tree, tree, job, "key", urgent=False)


def report_of(evidence: Evidence) -> Report:
    assert evidence.report is not None, evidence.tail
    return evidence.report


async def test_all_tests_run_or_those_that_are_named(project: Project, tmp_path: Path) -> None:
    evidence = await run(project, "tests", tmp_path)
    assert not evidence.ok
    assert {case.id: case.outcome for case in report_of(evidence).cases} == project.cases
    assert project.says in evidence.tail

    named = report_of(await run(project, "tests", tmp_path, *project.named))
    for id in project.named:
        cases = named.of(id)
        assert cases, id
        assert {case.id: case.outcome for case in cases} == {
            other: outcome
            for other, outcome in project.cases.items()
            if other in {case.id for case in cases}
        }
    for id in project.unnamed:
        assert all(case.outcome is Outcome.SKIPPED for case in named.of(id)), id
    left = {path.suffix for path in (tmp_path / "logs").iterdir()}
    assert left == {".log"}


async def test_what_the_project_lacks_is_red_for_a_right_reason(
    project: Project, tmp_path: Path
) -> None:
    evidence = await run(project, "missing", tmp_path)
    kept = [case for case in report_of(evidence).cases if case.outcome is Outcome.PASSED]
    verdict = judge_contract(
        project.red, Report(tuple(kept)), report_of(evidence), [*project.missing], project_names([])
    )
    assert verdict.findings == ()
    assert verdict.fail_to_pass == project.red


@pytest.mark.parametrize("kind", PROJECTS)
async def test_a_report_that_this_run_did_not_write_is_none(kind: str, tmp_path: Path) -> None:
    """Where an earlier one lies, and the command writes none."""
    project = PROJECTS[kind]
    project.make("tests", tmp_path / "tests")
    earlier = FIXTURES / kind / "tests/checkout"
    if earlier.exists():
        shutil.copytree(earlier, tmp_path / "tests", dirs_exist_ok=True)
    done = await run(project, "tests", tmp_path, command="true {tests} {report}")
    assert not done.ok
    assert done.report is None or done.report.cases == ()


@pytest.mark.parametrize("kind", PROJECTS)
async def test_names_of_an_agent_are_words_and_nothing_else(kind: str, tmp_path: Path) -> None:
    project = PROJECTS[kind]
    hostile = (
        "tests/a.js::'; touch pwned; '",
        "$(touch pwned)::$(touch pwned)",
        "../../x::y",
        "/etc/passwd::x",
        "tests/x.rs::a b",
        "shop/x_test.go::Test|.*",
        "src/test/java/A;B.java::c",
    )
    done = await run(
        project, "missing", tmp_path, *hostile, command="printf '%s\\n' {tests} {report}"
    )
    said = done.log.read_text()
    assert not (tmp_path / "missing/pwned").exists()
    assert "../../x" not in said
    assert "/etc/passwd" not in said
