"""Feedback, checks, rows of evidence, ids."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folders_kit import nest
from oya.folders import take_away
from oya.gates import Case, Evidence, Outcome, Report
from oya.gates.checks import (
    Check,
    Ran,
    failing_checks,
    judge_check,
    judge_red_checks,
    last_line,
    same_result,
)
from oya.gates.evidence import evidence_key, from_row, to_row
from oya.gates.feedback import clip, excerpt, failures, feedback, gist, plain
from oya.gates.model import Broken, belongs
from oya.gates.project import files_below, project_names

texts = st.text(max_size=60)
reports = st.builds(
    Report,
    st.lists(st.builds(Case, texts, st.sampled_from(Outcome), texts), max_size=6).map(tuple),
    st.lists(st.builds(Broken, texts, texts, st.just("syntax")), max_size=3).map(tuple),
)
evidences = st.builds(
    Evidence,
    key=texts,
    gate=texts,
    tree=texts,
    command=texts,
    exit=st.none() | st.integers(0, 255),
    seconds=st.integers(0, 9).map(float),
    cpu_seconds=st.integers(0, 9).map(float),
    ok=st.booleans(),
    report=st.none() | reports,
    log=st.just(Path("/logs/a.log")),
    tail=texts,
    timed_out=st.booleans(),
    reused=st.just(True),
)


@given(evidences, st.booleans())
def test_a_row_of_json_is_the_evidence_again(evidence: Evidence, prepared: bool) -> None:
    evidence = replace(evidence, prepared=prepared)
    assert from_row(json.loads(json.dumps(to_row(evidence)))) == evidence


@given(evidences, st.data())
def test_a_damaged_row_is_none(evidence: Evidence, data: st.DataObject) -> None:
    row = to_row(evidence)
    del row[data.draw(st.sampled_from([name for name in row if name != "counts"]))]
    assert from_row(row) is None
    assert from_row({**to_row(evidence), "report": "bm8="}) is None


def test_a_row_counts_for_people_and_packs_the_rest() -> None:
    cases = tuple(
        Case(f"tests/unit/test_amount.py::test_{n}", Outcome.PASSED) for n in range(5_000)
    )
    evidence = Evidence("k", "tests", "t", "c", 0, 1.0, 1.0, True, Report(cases), Path("l"), "")
    row = to_row(evidence)
    assert row["counts"] == {"passed": 5_000, "failed": 0, "error": 0, "skipped": 0, "broken": 0}
    assert len(json.dumps(row)) < 60_000


def test_a_key_knows_the_order_of_commands_but_not_of_ids() -> None:
    key = evidence_key("tests", "t", ["a", "b"], ["x", "y"], "f")
    assert key == evidence_key("tests", "t", ["a", "b"], ["y", "x", "y"], "f")
    others = [
        evidence_key("ci", "t", ["a", "b"], ["x", "y"], "f"),
        evidence_key("tests", "u", ["a", "b"], ["x", "y"], "f"),
        evidence_key("tests", "t", ["b", "a"], ["x", "y"], "f"),
        evidence_key("tests", "t", ["a", "b"], ["x"], "f"),
        evidence_key("tests", "t", ["a", "b"], ["x", "y"], "g"),
    ]
    assert len({key, *others}) == 6


def test_cases_belong_to_their_function_and_their_classes() -> None:
    report = Report(
        (Case("t.py::C::D::m[a::b[1]]", Outcome.PASSED), Case("t.py::mm", Outcome.PASSED))
    )
    for id in ("t.py::C::D::m[a::b[1]]", "t.py::C::D::m", "t.py::C::D", "t.py::C"):
        assert report.of(id) == report.cases[:1]
        assert belongs(report.cases[0].id, frozenset({id}))
    for id in ("t.py", "t.py::C::D::m[a", "t.py::C::D::m[a::b[2]]", "t.py::m", "", "t.py::C::D::"):
        assert report.of(id) == ()


@given(st.text(), st.integers(1, 300))
def test_clip_keeps_the_bound(text: str, limit: int) -> None:
    kept = clip(text, limit)
    assert len(kept) <= limit
    assert kept == text or len(text) > limit


@given(st.binary(max_size=3_000), st.booleans())
def test_shown_text_can_be_stored_and_is_bounded(output: bytes, ok: bool) -> None:
    text = plain(output)
    assert text.encode().decode() == text
    assert "\x00" not in text
    assert "\x1b" not in text
    assert len(excerpt(text, ok=ok, limit=1_000)) <= 1_000


@pytest.mark.parametrize("before", [0, 50_000])
def test_an_excerpt_shows_where_trouble_begins_and_the_end(before: int) -> None:
    text = "fine\n" * before + "src/a.c:3: error: no ;\n" + "noise\n" * 50_000 + "make: *** [all]"
    kept = excerpt(text, ok=False, limit=2_000)
    assert kept.startswith("src/a.c:3: error: no ;\n")
    assert kept.endswith("make: *** [all]")
    assert 1_900 < len(kept) <= 2_000


def test_an_excerpt_of_trouble_at_the_end_is_the_end() -> None:
    kept = excerpt("fine\n" * 5_000 + "fatal: no\nbye", ok=False, limit=500)
    assert kept.endswith("fatal: no\nbye")
    assert kept.count("fatal") == 1
    assert len(excerpt("no word\n" * 5_000 + "bye", ok=False, limit=500)) <= 500
    assert excerpt("no word\n" * 5_000 + "bye", ok=False, limit=500).endswith("bye")


def test_failures_tell_the_first_and_name_the_rest() -> None:
    cases = [Case(f"t.py::t{n}", Outcome.FAILED, f"why {n} " + "x" * 9_000) for n in range(40)]
    text = failures(Report(tuple(cases), (Broken("u.py", "E   boom", "other"),)))
    assert len(text) <= 8_000
    assert text.startswith("u.py cannot be collected\nE   boom")
    assert "why 0 " in text
    assert "why 9 " not in text
    assert "t.py::t9 failed" in text
    assert "and 16 more" in text


def test_gist_is_the_exception_in_one_line() -> None:
    assert gist("ValueError: no\n\nlong\nE   other") == "ValueError: no"
    assert gist("Traceback:\nE   first\nE   ImportError: last") == "ImportError: last"
    assert gist("") == ""


def evidence(exit: int | None, *, timed_out: bool = False, command: str = "make") -> Evidence:
    tail = "the tail"
    return Evidence(
        "k", "ci", "t", command, exit, 61.0, 1.0, False, None, Path("l"), tail, timed_out
    )


@pytest.mark.parametrize(
    ("given_evidence", "words"),
    [
        (evidence(2), "`make` exited with 2"),
        (evidence(None, timed_out=True), "was still running after 61 s"),
        (evidence(None), "ended by a signal"),
        (evidence(None, command=""), "not run"),
    ],
)
def test_feedback_says_what_ran_and_how_it_ended(given_evidence: Evidence, words: str) -> None:
    text = feedback(given_evidence)
    assert words in text
    assert text.endswith("the tail")


def test_feedback_says_that_nothing_ran_where_a_tree_is_not_prepared() -> None:
    text = feedback(replace(evidence(2, command="uv sync"), prepared=False))
    assert text.startswith("Gate `ci` could not run: `uv sync` ([workspace] prepare) exited with 2")
    assert text.endswith("the tail")


CUT = Ran(None, "", "", timed_out=True, seconds=30)


def test_a_check_holds_by_its_exit_code_alone() -> None:
    assert judge_check(Ran(1, "no", ""), 1)
    assert not judge_check(Ran(0, "", ""), 1)
    assert not judge_check(CUT, 0)
    assert not judge_check(Ran(0, "", "", timed_out=True), 0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Ran(1, "a", "x"), Ran(1, "a", "y"), True),
        (Ran(1, "a", ""), Ran(2, "a", ""), False),
        (Ran(1, "a", ""), Ran(1, "b", ""), False),
        (Ran(1, "2 failed in 0.31s", ""), Ran(1, "2 failed in 12.07s", ""), True),
        (Ran(1, "2 failed in 0.31s", ""), Ran(1, "3 failed in 0.31s", ""), False),
        (Ran(0, "total 15", ""), Ran(0, "total 16", ""), False),
        (CUT, CUT, False),
        (Ran(None, "", ""), Ran(None, "", ""), False),
    ],
)
def test_the_same_result_is_exit_code_and_last_line(one: Ran, other: Ran, same: bool) -> None:
    assert same_result(one, other) is same


@pytest.mark.parametrize(
    ("output", "last"),
    [
        ("a\n b \n\n", "b"),
        ("--- FAIL: TestSum (0.00s)\nFAIL\nFAIL\tshop\t0.003s\nFAIL\n", "FAIL\tshop\t0.003s"),
        ("# shop\nFAIL\tshop [build failed]\nFAIL\n", "FAIL\tshop [build failed]"),
        ("FAIL\n", "FAIL"),
        ("\n", ""),
    ],
)
def test_a_last_line_says_something(output: str, last: str) -> None:
    """A Go test that fails on the work, and does not compile on its base, is told from that."""
    assert last_line(output) == last


def test_one_check_must_be_red_and_each_must_be_able_to_run() -> None:
    grep = Check("! grep -r old_name src")
    assert judge_red_checks([(grep, Ran(1, "", "")), (grep, Ran(0, "", ""))]) == ()
    assert "nothing is red" in judge_red_checks([(grep, Ran(0, "", ""))])[0]
    assert judge_red_checks([]) == ("no check is named",)
    assert "not there" in judge_red_checks([(grep, Ran(127, "sh: ruf: not found", ""))])[0]
    assert (
        judge_red_checks([(Check("x", 0), Ran(1, "", "")), (Check("y", 127), Ran(127, "", ""))])
        == ()
    )
    assert "still running" in judge_red_checks([(grep, CUT)])[0]


def test_failing_checks_are_told_with_their_output() -> None:
    check = Check("ruff check", 0)
    assert failing_checks([(check, Ran(0, "", ""))]) == ()
    (finding,) = failing_checks([(check, Ran(1, "", "E501 " * 5_000))])
    assert finding.startswith("`ruff check` exited with 1, expected 0\nE501")
    assert len(finding) < 2_000


def test_the_projects_names_come_from_its_own_python_files(tmp_path: Path) -> None:
    for name in (
        "src/larder/a.py",
        "tool.py",
        "tests/helpers.py",
        ".venv/lib/requests/__init__.py",
        "env/pyvenv.cfg",
        "env/lib/numpy/__init__.py",
        "node_modules/x/gyp.py",
        "assets/logo.svg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = project_names(files_below(tmp_path))
    asked = ("larder", "larder.b.c", "tool", "a", "helpers", "tests", "requests", "numpy", "gyp")
    assert [name for name in asked if names(name)] == ["larder", "larder.b.c", "tool", "a"]
    assert not names("assets")
    assert not names("")


def test_folders_in_folders_without_an_end_hold_nobody_up(tmp_path: Path) -> None:
    nest(tmp_path)
    (tmp_path / "d" / "tool.py").touch()
    assert list(files_below(tmp_path)) == ["d/tool.py"]
    take_away(tmp_path / "d")  # pytest itself cannot
