"""The story of the demo is complete, well-formed, and true on real git and real tests."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from oya.agents.answers import MODELS, TestWriterAnswer
from oya.beads import parse
from oya.demo.story import SAMPLE, backlog, scenario, troubles
from oya.demo.story.play import Workspace
from oya.demo.story.plot import Story, Untrue
from oya.demo.story.prove import contract_is_red, covered, land, prove, review_is_fair
from oya.lifecycle.model import Role
from oya.testing.scenario import problems


@pytest.fixture(scope="module")
def story() -> Story:
    return Story()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "sample", scenario())


def turns(entry: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return [entry["steps"], *entry["fixes"]]


def test_the_backlog_is_one_that_a_tracker_reads() -> None:
    read = parse((SAMPLE / ".beads" / "issues.jsonl").read_text("utf-8"))

    assert len(read.beads) == 26
    for bead in backlog():
        assert bead["title"] and bead["description"] and bead["acceptance_criteria"]
        assert bead["issue_type"] in {"feature", "bug", "docs", "chore", "task"}
        assert bead["status"] == "open" and 0 <= bead["priority"] <= 3


def test_twenty_five_land_in_a_graph_that_is_deep_and_wide(story: Story) -> None:
    levels = story.levels()

    assert sum(map(len, levels)) == 25
    assert len(levels) >= 4
    assert max(map(len, levels)) >= 6


def test_every_bead_has_its_sessions(story: Story) -> None:
    for bead in story.needs:
        story.entry(bead, "test_writer", 1)
    for bead in story.landing:
        for role in ("planner", "implementer", "reviewer"):
            story.entry(bead, role, 1)


def test_attempts_are_counted_from_one_without_a_gap() -> None:
    found: dict[tuple[str, str], list[int]] = {}
    for entry in scenario()["entries"]:
        found.setdefault((entry["bead"], entry["role"]), []).append(entry["attempt"])

    assert all(attempts == list(range(1, len(attempts) + 1)) for attempts in found.values())


def test_it_is_a_scenario_of_the_recorded_agent() -> None:
    assert list(problems(scenario())) == []


def test_nothing_is_played_after_a_session_has_ended() -> None:
    for entry in scenario()["entries"]:
        for steps in turns(entry):
            names = [name for step in steps for name in step]
            assert not {"hang", "crash", "error"} & set(names[:-1])


def test_every_answer_fits_its_schema() -> None:
    for entry in scenario()["entries"]:
        answers = [step["answer"] for steps in turns(entry) for step in steps if "answer" in step]
        for answer in answers:
            read = MODELS[Role(entry["role"])].model_validate(answer)
            assert set(answer) <= set(type(read).model_fields), "no key that nobody reads"


def test_every_contract_covers_its_criteria_by_name(story: Story) -> None:
    for bead in story.landing:
        covered(story, bead)

    kinds = Counter(TestWriterAnswer(**story.contract(bead)).kind for bead in story.landing)
    assert kinds == {"behaviour": 24, "check": 1}


def test_each_bead_has_a_test_file_of_its_own(story: Story) -> None:
    files = [name for bead in story.landing for name in story.contract(bead)["test_files"]]

    assert len(files) == len(set(files)) == 24
    assert not [name for name in files if (SAMPLE / name).exists()]


def test_all_kinds_of_trouble_come_each_at_its_own_bead() -> None:
    kinds = Counter(trouble.kind for trouble in troubles())
    beads = Counter(trouble.bead for trouble in troubles())

    ones = ("wrong", "empty", "crash", "hang", "frozen", "limit", "survivor", "green", "done")
    assert kinds == {**dict.fromkeys(ones, 1), "conflict": 2}
    assert set(beads.values()) == {1}


def test_the_trouble_is_no_meltdown() -> None:
    counted = Counter(t.role for t in troubles() if t.kind in ("crash", "hang", "empty"))

    assert max(counted.values()) < 3


def test_the_two_that_conflict_are_under_way_at_the_same_time(story: Story) -> None:
    roots = [bead for bead in backlog() if not story.needs[bead["id"]]]
    roots.sort(key=lambda bead: (bead["priority"], bead["created_at"]))
    first_four = {bead["id"] for bead in roots[:4]}

    assert {t.bead for t in troubles() if t.kind == "conflict"} <= first_four


def assert_the_end_is_green(story: Story, workspace: Workspace, tips: dict[str, str]) -> None:
    workspace.at(list(tips.values())[-1])
    green, red = workspace.tests()

    planned = {item["id"] for b in story.landing for item in story.contract(b)["test_plan"]}
    assert not red
    assert planned <= green
    assert workspace.git("rev-list", "--count", "HEAD") == "26"


def test_all_land_in_any_order_and_the_end_is_green(story: Story, workspace: Workspace) -> None:
    tips, reworked = land(story, workspace, story.order(seed=1))

    assert_the_end_is_green(story, workspace, tips)
    assert len(reworked) == 1, "the second of the two that conflict, and no other"


def test_level_by_level_every_contract_is_red_before_and_green_at_the_end(
    story: Story, workspace: Workspace
) -> None:
    levels = story.levels(seed=3)
    tips, reworked = land(story, workspace, [bead for level in levels for bead in level])
    bases = [workspace.start, *(tips[level[-1]] for level in levels)]

    for base, level in zip(bases, levels, strict=False):
        workspace.at(base)
        for bead in level:
            workspace.play(bead, "test_writer")
        files = {name for bead in level for name in story.contract(bead)["test_files"]}
        _, red = workspace.tests(*files)
        assert {name.partition("::")[0] for name in red} == files

    assert_the_end_is_green(story, workspace, tips)
    assert len(reworked) == 1


@pytest.mark.parametrize(
    ("bead", "trouble"),
    [
        ("larder-06", "frozen"),
        ("larder-13", "done"),
        ("larder-16", "survivor"),
    ],
)
def test_a_bead_goes_its_way_as_told(
    story: Story, workspace: Workspace, bead: str, trouble: str
) -> None:
    assert prove(story, workspace, bead) == trouble


def spoilt(bead: str, role: str, old: str, new: str) -> Story:
    """The story with other words in the last session of a role."""
    story = Story()
    entry = story.entry(bead, role)
    written = json.dumps(entry["steps"])
    assert old in written
    entry["steps"] = json.loads(written.replace(old, new))
    return story


def test_the_proof_notices_work_that_is_wrong(tmp_path: Path) -> None:
    story = spoilt("larder-17", "implementer", "minutes_in(step)", "1")

    with pytest.raises(Untrue, match="red after the work"):
        prove(story, Workspace(tmp_path / "sample", story.scenario), "larder-17")


def test_the_proof_notices_a_challenge_that_says_the_same_on_the_base(workspace: Workspace) -> None:
    story = spoilt("larder-17", "reviewer", "PYTHONPATH=src python", "true")

    with pytest.raises(Untrue, match="the same on the base"):
        review_is_fair(story, workspace, "larder-17", workspace.start, workspace.start)


def test_the_proof_notices_a_contract_that_is_green_before_the_work(
    story: Story, workspace: Workspace
) -> None:
    workspace.play("larder-02", "implementer")

    with pytest.raises(Untrue, match="green before the work"):
        contract_is_red(story, workspace, "larder-02")
