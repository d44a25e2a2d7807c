"""What an agent's tests write is read, bounded, or refused: never followed, never trusted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folders_kit import nest
from oya.folders import take_away
from oya.gates.model import BrokenKind, Outcome, Report
from oya.gates.reports import kind as limits
from oya.gates.reports.kind import Draft, Unreadable, Written, named
from oya.gates.reports.kinds import KINDS
from report_kit import FIXTURES, PROJECTS

PASSED, FAILED = Outcome.PASSED, Outcome.FAILED
READERS = [name for name in KINDS if name != "junit"]  # see test_reports_junit.py


def read(kind: str, root: Path, data: bytes | str) -> Report:
    """The report where both the file and the output say this."""
    for name in ("report", "output"):
        path = root / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return KINDS[kind].read(Written(root, root / "report", root / "output", lambda name: False))


KEYS = re.findall(
    r"\w+",
    "Action Package Test Output reason message target spans children level code testResults "
    "assertionResults name type nesting file error status",
)
LINES = [
    line
    for project in PROJECTS
    for file in sorted((FIXTURES / project).rglob("*"))
    if file.is_file()
    for line in file.read_text().splitlines()[:40]
]


@pytest.mark.parametrize("kind", READERS)
def test_any_words_are_read_or_refused(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("root")
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(KEYS),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    )
    text = st.lists(st.sampled_from(LINES) | values.map(json.dumps), max_size=6).map("\n".join)

    @given(st.binary(max_size=100) | text)
    def any_words(data: bytes | str) -> None:
        try:
            report = read(kind, root, data)
        except Unreadable as problem:
            assert str(problem)
        else:
            assert report.counts()

    any_words()


@pytest.mark.parametrize("kind", READERS)
def test_a_link_is_not_followed(kind: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("{}")
    for name in ("report", "output"):
        (tmp_path / name).symlink_to(secret)
    with pytest.raises(Unreadable):
        KINDS[kind].read(
            Written(tmp_path, tmp_path / "report", tmp_path / "output", lambda name: False)
        )


@pytest.mark.parametrize("kind", READERS)
def test_more_than_the_limit_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SIZE_LIMIT", 10)
    with pytest.raises(Unreadable, match="larger than"):
        read(kind, tmp_path, "{}\n" * 10)


@pytest.mark.parametrize("kind", READERS)
def test_json_as_deep_as_can_be_is_no_json(kind: str, tmp_path: Path) -> None:
    deep = '{"a":' * 200_000
    try:
        assert read(kind, tmp_path, deep).cases == ()
    except Unreadable as problem:
        assert str(problem)


def test_reports_and_the_folders_of_reports_are_not_followed_out(tmp_path: Path) -> None:
    """Neither read nor removed: the agent's tree may hold links."""
    outside = tmp_path / "outside/surefire-reports"
    outside.mkdir(parents=True)
    xml = '<testsuite><testcase classname="a.B" name="c"/></testsuite>'
    (outside / "TEST-a.xml").write_text(xml)
    root = tmp_path / "root"
    (root / "module/target").mkdir(parents=True)
    (root / "target").symlink_to(outside.parent)
    (root / "module/target/surefire-reports").symlink_to(outside)
    KINDS["surefire"].clear(root)
    assert (outside / "TEST-a.xml").read_text() == xml
    assert read("surefire", root, "BUILD SUCCESS").cases == ()


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("surefire", "target/surefire-reports/x"),
        ("nextest", "target/nextest/ci/junit.xml"),
    ],
)
def test_reports_of_before_go_from_among_folders_without_an_end(
    tmp_path: Path, kind: str, place: str
) -> None:
    for folder in (place, "src"):
        (tmp_path / folder).mkdir(parents=True)
        nest(tmp_path / folder)
    KINDS[kind].clear(tmp_path)
    assert not (tmp_path / place).exists()
    take_away(tmp_path / "src")  # pytest itself cannot


def test_a_test_told_twice_counts_at_its_worst_whoever_tells(tmp_path: Path) -> None:
    events = [("pass", "TestA"), ("fail", "TestA"), ("pass", "TestA")]
    said = "\n".join(
        json.dumps({"Action": action, "Package": "x", "Test": test}) for action, test in events
    )
    assert [case.outcome for case in read("go-json", tmp_path, said).cases] == [FAILED]
    messages = '{"reason": "x"}\n     Running tests/a.rs (target/a)\n'
    lines = ["test one ... FAILED", "test one ... ok", "test result: FAILED."]
    report = read("cargo", tmp_path, messages + "\n".join(lines))
    assert [(case.id, case.outcome) for case in report.cases] == [("tests/a.rs::one", FAILED)]


def test_what_parts_lines_in_other_texts_may_stand_in_a_message() -> None:
    names = ["a\u2028b", "a\x85b", "a\x0cb"]
    said = "\r\n".join(json.dumps({"name": name}, ensure_ascii=False) for name in names[:2])
    said += f"\n{json.dumps({'name': names[2]})}\nwords\n"
    read = list(limits.objects(said))
    assert [message.get("name") for _, message in read] == [*names, None]
    assert [line for line, _ in read][-1] == "words"


def test_a_program_that_ends_before_its_tests_are_through_is_broken(tmp_path: Path) -> None:
    running = '{"reason": "x"}\n     Running tests/a.rs (target/a)\n'
    red = "error: test failed, to rerun pass `--test a`\n"
    for words in ("\nrunning 2 tests\ntest one ... ok\n", f"\nrunning 1 test\n{red}", red):
        report = read("cargo", tmp_path, running + words)
        assert [broken.file for broken in report.broken] == ["tests/a.rs"], words
    said = "\n".join(
        json.dumps({"Action": action, "Package": "x", **more})
        for action, more in [("run", {"Test": "TestA"}), ("fail", {})]
    )
    report = read("go-json", tmp_path, said)
    assert [(case.id, case.outcome) for case in report.cases] == [
        ("x/*_test.go::TestA", Outcome.ERROR)
    ]


def test_a_program_with_words_of_its_own_is_broken_only_if_it_fails(tmp_path: Path) -> None:
    """`harness = false`: cargo says how it ended, and nobody else does."""
    running = '{"reason": "x"}\n     Running tests/a.rs (target/a)\n1 scenario\n'
    after = "     Running tests/b.rs (target/b)\n\nrunning 0 tests\n\ntest result: ok. 0 passed\n"
    assert read("cargo", tmp_path, running + after).broken == ()
    red = (
        "error: test failed, to rerun pass `--test a`\n\nCaused by:\n"
        "  process didn't exit successfully: `target/a` (exit status: 3)\n"
    )
    assert [b.file for b in read("cargo", tmp_path, running + red + after).broken] == ["tests/a.rs"]


def test_one_error_that_stays_makes_a_file_one_that_nobody_can_mend(tmp_path: Path) -> None:
    one: list[BrokenKind] = ["missing_project_name", "syntax"]
    for kinds in (one, one[::-1]):
        draft = Draft(tmp_path)
        for kind in kinds:
            draft.broken("a/x_test.go", f"{kind} it is", kind, "a/*")
            draft.broken("a/x_test.go", f"{kind} it is", kind)
        (broken,) = draft.report().broken
        assert (broken.kind, broken.unit) == ("syntax", "a/*")
        assert broken.message.splitlines() == [f"{kind} it is" for kind in kinds]


def test_messages_ids_and_the_number_of_tests_are_bounded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    draft = Draft(tmp_path)
    for number in range(300):
        draft.case(f"{number}" + "i" * 5_000, FAILED, "m" * 50_000)
    for _ in range(100):
        draft.broken("file", "b" * 3_000, "other")
    report = draft.report()
    assert max(len(case.id) for case in report.cases) <= 2_000
    assert sum(len(case.message) for case in report.cases) < 300_000
    assert len(report.broken[0].message) <= limits.MESSAGE_LIMIT
    monkeypatch.setattr(limits, "CASES_LIMIT", 3)
    with pytest.raises(Unreadable, match="more than 3"):
        for number in range(5):
            Draft.case(draft, f"{number}", PASSED)


@pytest.mark.parametrize("id", ["/etc/x::y", "../x::y", "a/../../x::y", "-x::y", "::y", ""])
def test_files_outside_the_checkout_are_not_asked_for(id: str) -> None:
    assert named(id) is None
