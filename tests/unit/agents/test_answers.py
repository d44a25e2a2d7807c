"""Answers of backends: what fits, what goes back to them, and what a stranger may try."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folders_kit import nest, without_privilege
from oya.agents.answers import (
    MAX_BYTES,
    MODELS,
    OUT,
    AnswerWrong,
    ImplementerAnswer,
    PlannerAnswer,
    ReviewerAnswer,
    TestWriterAnswer,
    answer_path,
    make_room,
    read_answer,
)
from oya.folders import take_away
from oya.lifecycle.model import Role

PLAN = {"id": "tests/test_a.py::test_b", "kind": "happy"}
BEHAVIOUR = {"kind": "behaviour", "test_plan": [PLAN], "test_files": ["tests/test_a.py"]}
CHECK = {"command": "make lint"}


def read(workspace: Path, role: Role, content: object) -> Any:
    """Write an answer as a backend would, and read it."""
    make_room(workspace, role)
    text = content if isinstance(content, str) else json.dumps(content)
    answer_path(workspace, role).write_bytes(text.encode("utf-8", "surrogatepass"))
    return read_answer(workspace, role, MODELS[role])


def wrong(workspace: Path, role: Role, content: object) -> str:
    """What is said about an answer that does not fit."""
    with pytest.raises(AnswerWrong) as caught:
        read(workspace, role, content)
    said = str(caught.value)
    assert f".oya/out/{role}.json" in said
    assert len(said) < 10_000
    return said


# What fits


@pytest.mark.parametrize(
    "answer",
    [
        BEHAVIOUR,
        {"kind": "check", "checks": [CHECK]},
        {"kind": "preserve", "touches": ["src/a.py"]},
        {"kind": "none", "why": "prose"},
        {"cannot": "already_done", "checks": [CHECK]},
        {"cannot": "unclear", "question": "Which of the two?"},
        {**BEHAVIOUR, "discovered": [{"title": "more"}] * 5, "unknown": {"a": 1}},
    ],
)
def test_answers_of_a_test_writer(tmp_path: Path, answer: dict[str, Any]) -> None:
    found = read(tmp_path, Role.TEST_WRITER, answer)
    assert isinstance(found, TestWriterAnswer)
    assert (found.kind, found.cannot) == (answer.get("kind"), answer.get("cannot"))


def test_a_whole_plan_is_read(tmp_path: Path) -> None:
    item = {**PLAN, "given": "a", "when": "b", "then": "c", "covers": ["AC1", "P1", "TooLarge"]}
    change = {"id": "tests/test_old.py::test_x", "why": "it is meant to"}
    found = read(
        tmp_path,
        Role.TEST_WRITER,
        {**BEHAVIOUR, "test_plan": [item], "changes": [change], "postconditions": ["p"]},
    )
    assert found.test_plan[0].model_dump() == item
    assert found.changes[0].model_dump() == change
    assert found.postconditions == ["p"]


def test_answers_of_the_others(tmp_path: Path) -> None:
    assert isinstance(read(tmp_path, Role.IMPLEMENTER, {}), ImplementerAnswer)
    review = read(tmp_path, Role.REVIEWER, {"challenges": [{"command": "true", "expect": 3}]})
    assert isinstance(review, ReviewerAnswer)
    assert (review.challenges[0].expect, review.challenges[0].contradicts) == (3, None)
    assert read(tmp_path, Role.REVIEWER, {}).challenges == []
    verdict = read(tmp_path, Role.PLANNER, {"verdict": "revise", "findings": ["so"]})
    assert isinstance(verdict, PlannerAnswer)
    assert read(tmp_path, Role.PLANNER, {"cannot": "needs_person"}).cannot == "needs_person"


@pytest.mark.parametrize("path", ["a", "./a/b.py", "a//b", "ä/ü.py", "a b"])
def test_paths_inside(tmp_path: Path, path: str) -> None:
    found = read(tmp_path, Role.TEST_WRITER, {"kind": "preserve", "touches": [path]})
    assert found.touches == [os.path.normpath(path)]


# What goes back


@pytest.mark.parametrize(
    ("role", "answer", "says"),
    [
        (Role.TEST_WRITER, {}, "`kind` is missing"),
        (Role.TEST_WRITER, {"kind": "behavior"}, "kind: Input should be"),
        (Role.TEST_WRITER, {"kind": "behaviour"}, "needs a `test_plan` and `test_files`"),
        (Role.TEST_WRITER, {**BEHAVIOUR, "test_plan": []}, "needs a `test_plan`"),
        (Role.TEST_WRITER, {**BEHAVIOUR, "test_files": []}, "`test_files`"),
        (Role.TEST_WRITER, {"kind": "check"}, "kind check needs `checks`"),
        (Role.TEST_WRITER, {"kind": "preserve"}, "kind preserve needs `touches`"),
        (Role.TEST_WRITER, {"kind": "none", "why": " "}, "kind none needs `why`"),
        (Role.TEST_WRITER, {**BEHAVIOUR, "test_plan": [{"id": "x"}]}, "test_plan.0.kind"),
        (Role.TEST_WRITER, {**BEHAVIOUR, "test_plan": [{**PLAN, "id": ""}]}, "test_plan.0.id"),
        (Role.TEST_WRITER, {**BEHAVIOUR, "test_plan": [{**PLAN, "id": "a\nb"}]}, "one line"),
        (Role.TEST_WRITER, {**BEHAVIOUR, "changes": [{"id": "x"}]}, "changes.0.why"),
        (Role.REVIEWER, {"challenges": [{"expect": 0}]}, "challenges.0.command"),
        (Role.REVIEWER, {"challenges": [{"command": ""}]}, "challenges.0.command"),
        (Role.REVIEWER, {"challenges": [{"command": "a\0b"}]}, "NUL"),
        (Role.REVIEWER, {"challenges": [{"command": "a", "expect": 256}]}, "expect"),
        (Role.REVIEWER, {"challenges": [{"command": "a", "expect": -1}]}, "expect"),
        (Role.REVIEWER, {"challenges": [{"command": "a", "expect": 10**400}]}, "expect"),
        (Role.REVIEWER, '{"challenges": [{"command": "a", "expect": NaN}]}', "expect"),
        (Role.REVIEWER, {"challenges": [CHECK] * 51}, "challenges"),
        (Role.REVIEWER, {"findings": "one"}, "findings"),
        (Role.PLANNER, {}, "`verdict` is missing"),
        (Role.PLANNER, {"verdict": "maybe"}, "verdict"),
        (Role.PLANNER, {"verdict": "revise"}, "needs `findings`"),
        (Role.PLANNER, {"verdict": "accept", "split": [{}]}, "split.0.title"),
        (Role.IMPLEMENTER, {"cannot": "too_hard"}, "cannot"),
        (Role.IMPLEMENTER, {"discovered": [{"title": "x"}] * 6}, "discovered"),
        (Role.IMPLEMENTER, {"summary": 5}, "summary"),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    tmp_path: Path, role: Role, answer: object, says: str
) -> None:
    assert says in wrong(tmp_path, role, answer)


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "..", "a/../../b", "../a", "", ".", "a\0b", "a\nb", ".git/hooks/x", "a/.git"],
)
@pytest.mark.parametrize("field", ["test_files", "stubs", "touches"])
def test_paths_outside_are_refused(tmp_path: Path, field: str, path: str) -> None:
    assert field in wrong(tmp_path, Role.TEST_WRITER, {**BEHAVIOUR, field: [path]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "null",
        "5",
        '"text"',
        '{"verdict": "accept"',
        '{"verdict": "accept"} trailing',
        "\udcff",
        '{"why": "\\ud800"}',
        "[" * 100_000,
        '{"why":' * 100_000,
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_hostile_text_is_wrong_and_no_more(tmp_path: Path, text: str) -> None:
    wrong(tmp_path, Role.PLANNER, text)


def test_many_mistakes_are_named_up_to_a_bound(tmp_path: Path) -> None:
    said = wrong(tmp_path, Role.REVIEWER, {"challenges": [{}] * 50})
    assert said.count("\n") == 10


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    said = wrong(tmp_path, Role.PLANNER, {"verdict": "accept", "why": "x" * MAX_BYTES})
    assert "larger than" in said


def test_a_long_text_is_refused(tmp_path: Path) -> None:
    assert "why" in wrong(tmp_path, Role.PLANNER, {"verdict": "accept", "why": "x" * 20_001})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
KEYS = sorted({name for model in MODELS.values() for name in model.model_fields})


@settings(deadline=None)
@given(st.sampled_from(Role), st.dictionaries(st.sampled_from(KEYS), json_values, max_size=5))
def test_any_json_is_an_answer_or_wrong(
    tmp_path_factory: pytest.TempPathFactory, role: Role, content: dict[str, Any]
) -> None:
    workspace = tmp_path_factory.getbasetemp() / "any"
    workspace.mkdir(exist_ok=True)
    try:
        assert isinstance(read(workspace, role, content), MODELS[role])
    except AnswerWrong as error:
        assert str(error)


# Where it is read from


def test_no_file_is_no_answer(tmp_path: Path) -> None:
    assert read_answer(tmp_path, Role.PLANNER, PlannerAnswer) is None
    make_room(tmp_path, Role.PLANNER)
    assert read_answer(tmp_path, Role.PLANNER, PlannerAnswer) is None


@pytest.mark.parametrize("place", [".oya", ".oya/out", ".oya/out/planner.json"])
def test_no_link_is_followed(tmp_path: Path, place: str) -> None:
    outside, work = tmp_path / "outside", tmp_path / "work"
    for folder in (outside, work):
        folder.mkdir()
        make_room(folder, Role.PLANNER)
        answer_path(folder, Role.PLANNER).write_text('{"verdict": "accept"}')
    (work / place).rename(tmp_path / "away")
    (work / place).symlink_to(outside / place)
    assert read_answer(work, Role.PLANNER, PlannerAnswer) is None
    make_room(work, Role.PLANNER)
    assert not (work / place).is_symlink()
    assert answer_path(outside, Role.PLANNER).read_text() == '{"verdict": "accept"}'


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_only_a_file_is_an_answer(tmp_path: Path, kind: str) -> None:
    make_room(tmp_path, Role.PLANNER)
    path = answer_path(tmp_path, Role.PLANNER)
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    assert read_answer(tmp_path, Role.PLANNER, PlannerAnswer) is None
    make_room(tmp_path, Role.PLANNER)
    assert not path.exists()


@pytest.mark.parametrize("place", ["", "planner.json"])
def test_folders_in_folders_without_an_end_are_no_answer(tmp_path: Path, place: str) -> None:
    make_room(tmp_path, Role.PLANNER)
    folder = tmp_path / OUT / place
    folder.mkdir(exist_ok=True)
    nest(folder)
    assert read_answer(tmp_path, Role.PLANNER, PlannerAnswer) is None
    make_room(tmp_path, Role.PLANNER)
    assert not answer_path(tmp_path, Role.PLANNER).exists()
    take_away(tmp_path / OUT)  # pytest itself cannot


_LOCKED = """
import sys
from pathlib import Path
from oya.agents.answers import OUT, PlannerAnswer, answer_path, make_room, read_answer
from oya.lifecycle.model import Role

work, role = Path(sys.argv[1]), Role.PLANNER
for _ in range(2):
    make_room(work, role)
    answer_path(work, role).write_text('{"verdict": "accept"}')
    print(read_answer(work, role, PlannerAnswer).verdict)
    answer_path(work, role).unlink()
    (answer_path(work, role) / "d").mkdir(parents=True)
    for path in (answer_path(work, role), work / OUT, work / ".oya", work):
        path.chmod(0)
    print(read_answer(work, role, PlannerAnswer))
"""


def test_what_is_locked_is_no_answer_and_gives_room(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    said = without_privilege(_LOCKED, str(tmp_path / "work"))
    assert said.split() == ["accept", "None"] * 2


def test_room_is_made_again_and_other_answers_stay(tmp_path: Path) -> None:
    read(tmp_path, Role.PLANNER, {"verdict": "accept"})
    make_room(tmp_path, Role.REVIEWER)
    assert read_answer(tmp_path, Role.PLANNER, PlannerAnswer) is not None
    make_room(tmp_path, Role.PLANNER)
    assert read_answer(tmp_path, Role.PLANNER, PlannerAnswer) is None


def test_every_role_has_a_schema_that_can_be_printed() -> None:
    assert set(MODELS) == set(Role)
    for model in MODELS.values():
        assert "cannot" in json.dumps(model.model_json_schema())
