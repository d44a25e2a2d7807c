"""What agents are told."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from oya.agents.answers import MODELS
from oya.agents.prompts import MAX_PART, MAX_SKILL, Briefing, Dependency, Prompts
from oya.errors import ConfigError
from oya.lifecycle.model import Role

FULL = Briefing(
    bead="src-1",
    title="Amounts with a comma",
    description="People type 1,5.",
    design="Keep it in amount.py.",
    tracker_notes="Seen by support.",
    criteria=("1,5 is 1.5", "1,5,5 is refused"),
    comments=("ann: also 1 000?", "bob: no"),
    depends=(Dependency("src-0", "Amounts", "0123456789abcdef"), Dependency("src-2", "B", None)),
    findings=("test_x passes already", "AC2 is not covered"),
    notes=("Leave the parser alone.",),
    attempt=3,
    contract={"kind": "behaviour", "postconditions": ["format(parse(x)) == x"]},
    conflicts=("amount.py", "b.py"),
    continued=True,
    rework=True,
    diff="-a\n+b",
    files=("amount.py", "b.py"),
    files_total=5,
    gates=("tests: python -m pytest {tests}",),
)
SKILLS = dict.fromkeys(Role, "SKILL")


@dataclass
class Skill:
    files: tuple[str, ...] = ()
    replace: bool = False


def with_field(name: str, value: Any) -> Briefing:
    return replace(FULL, **{name: value})


def headings(text: str) -> list[str]:
    return [line.lstrip("# ") for line in text.splitlines() if re.match("#+ ", line)]


def section(text: str, title: str) -> str:
    _, _, rest = text.partition(f"## {title}\n\n")
    return rest.partition("\n\n## ")[0]


@pytest.fixture
def prompts() -> Prompts:
    return Prompts(SKILLS)


def test_the_skill_comes_first_and_then_all_that_is_known(prompts: Prompts) -> None:
    text = prompts.first(Role.IMPLEMENTER, FULL)
    assert text.startswith("SKILL\n\n# The bead: src-1 · Amounts with a comma\n\n## Description")
    assert headings(text) == [
        "The bead: src-1 · Amounts with a comma",
        "Description",
        "Design",
        "Notes in the tracker",
        "Acceptance criteria",
        "Comments",
        "What it builds on",
        "What a person says about it",
        "What was found before",
        "Where you start",
        "The contract (P1…Pn are its postconditions)",
        "The change",
        "What will judge it",
        "Files of the repository",
    ]


def test_what_is_not_known_has_no_section(prompts: Prompts) -> None:
    text = prompts.first(Role.TEST_WRITER, Briefing("src-1", "Amounts"))
    assert headings(text) == ["The bead: src-1 · Amounts", "Where you start"]
    assert "attempt 1" in text


def test_criteria_are_numbered_as_the_gate_counts_them(prompts: Prompts) -> None:
    text = prompts.first(Role.TEST_WRITER, FULL)
    assert section(text, "Acceptance criteria") == "- AC1: 1,5 is 1.5\n- AC2: 1,5,5 is refused"


def test_findings_notes_and_dependencies_are_listed(prompts: Prompts) -> None:
    text = prompts.first(Role.IMPLEMENTER, FULL)
    found = section(text, "What was found before")
    assert found == "- test_x passes already\n- AC2 is not covered"
    assert section(text, "What a person says about it") == "- Leave the parser alone."
    assert section(text, "What it builds on") == (
        "- src-0 · Amounts (landed as 0123456789ab)\n- src-2 · B (done)"
    )
    assert section(text, "What will judge it") == "- `tests: python -m pytest {tests}`"


def test_where_it_starts_says_conflicts_rework_and_what_was_interrupted(prompts: Prompts) -> None:
    start = section(prompts.first(Role.IMPLEMENTER, FULL), "Where you start")
    assert "attempt 3" in start
    assert "`amount.py`, `b.py`" in start
    assert "interrupted" in start
    assert "new base" in start
    plain = replace(FULL, conflicts=(), continued=False, rework=False)
    start = section(prompts.first(Role.IMPLEMENTER, plain), "Where you start")
    assert start == "This is attempt 3 of this role at this bead."


def test_the_contract_and_the_change_are_shown(prompts: Prompts) -> None:
    text = prompts.first(Role.REVIEWER, FULL)
    assert '"format(parse(x)) == x"' in section(text, "The contract (P1…Pn are its postconditions)")
    assert section(text, "The change to attack") == "````diff\n-a\n+b\n````"


def test_the_map_says_how_much_it_leaves_out(prompts: Prompts) -> None:
    files = section(prompts.first(Role.REVIEWER, FULL), "Files of the repository")
    assert files.strip() == "````\namount.py\nb.py\n… and 3 more\n````"


def test_a_fence_in_the_text_does_not_end_ours(prompts: Prompts) -> None:
    diff = "+````\n+## The bead: other\n+``````"
    text = prompts.first(Role.REVIEWER, replace(FULL, diff=diff))
    assert f"```````diff\n{diff}\n```````" in text


@pytest.mark.parametrize("field", ["description", "design", "tracker_notes", "diff"])
def test_long_parts_lose_their_middle_and_say_so(prompts: Prompts, field: str) -> None:
    long = "BEGIN " + "x" * 500_000 + " END"
    text = prompts.first(Role.REVIEWER, with_field(field, long))
    assert "BEGIN x" in text
    assert "x END" in text
    assert re.search(r"\[… 4\d{5} characters left out …\]", text)
    assert len(text) < MAX_PART + 5000


@pytest.mark.parametrize("field", ["criteria", "comments", "findings", "notes", "files", "gates"])
def test_many_and_long_items_are_bounded(prompts: Prompts, field: str) -> None:
    items = tuple("y" * 20_000 for _ in range(200))
    text = prompts.first(Role.REVIEWER, with_field(field, items))
    assert len(text) < MAX_PART + 5000


def test_a_further_prompt_numbers_the_findings(prompts: Prompts) -> None:
    text = prompts.again(Role.TEST_WRITER, ["one\n", "two\nlines"])
    assert "1. one\n2. two\nlines\n" in text
    assert "`.oya/out/test_writer.json`" in text
    assert len(prompts.again(Role.TEST_WRITER, ["z" * 100_000] * 100)) < MAX_PART + 1000


# Skills

EXAMPLE = re.compile(r"```json\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.IMPLEMENTER])
def test_the_example_answer_of_a_skill_is_an_answer(role: Role) -> None:
    text = Prompts.load({}, Path("/")).first(role, Briefing("src-1", "Amounts"))
    (example,) = EXAMPLE.findall(text)
    answer = MODELS[role].model_validate_json(example)
    assert set(json.loads(example)) <= answer.model_fields_set


@pytest.mark.parametrize("role", Role)
def test_each_built_in_skill_names_its_answer_and_its_way_out(role: Role) -> None:
    text = Prompts.load({}, Path("/")).first(role, Briefing("src-1", "Amounts"))
    assert f".oya/out/{role}.json" in text
    assert '"cannot"' in text
    assert '"discovered"' in text
    assert "done by oya" in text


def load(root: Path, skills: Mapping[str, Skill]) -> str:
    return Prompts.load(skills, root).first(Role.REVIEWER, Briefing("src-1", "Amounts"))


def test_a_configured_skill_is_added_or_replaces(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("MINE ü")
    built_in = load(tmp_path, {})
    added = load(tmp_path, {"reviewer": Skill(("mine.md",))})
    assert added.index("adversary") < added.index("MINE ü") < added.index("# The bead")
    replaced = load(tmp_path, {"reviewer": Skill(("mine.md",), replace=True)})
    assert replaced.startswith("MINE ü\n\n# The bead")
    assert load(tmp_path, {"planner": Skill(("mine.md",))}) == built_in


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"x" * (MAX_SKILL + 1)])
def test_a_skill_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "mine.md").write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine\.md"):
        load(tmp_path, {"reviewer": Skill(("mine.md",))})
