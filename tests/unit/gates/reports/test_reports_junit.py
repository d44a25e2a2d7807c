"""Reports are written by an agent's tests: read well, and believed in nothing."""

from __future__ import annotations

import time
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oya.gates import Outcome
from oya.gates.reports.junit import parse_report
from oya.gates.reports.kind import MESSAGE_LIMIT, Unreadable, read_bytes

ROOT = Path("/nowhere/slot-0")
NO_NAMES = {"larder"}.__contains__


def suite(*cases: str) -> bytes:
    return f"<testsuites><testsuite name='s'>{''.join(cases)}</testsuite></testsuites>".encode()


def case(classname: str, name: str, inner: str = "", file: str = "tests/test_x.py") -> str:
    where = f" file={quoteattr(file)}" if file else ""
    named = f"classname={quoteattr(classname)} name={quoteattr(name)}"
    return f"<testcase {named}{where}>{inner}</testcase>"


def ids(data: bytes, root: Path = ROOT) -> list[str]:
    return [case.id for case in parse_report(data, root, NO_NAMES).cases]


def test_an_inherited_test_belongs_to_the_file_that_collected_it() -> None:
    data = suite(
        case("tests.test_x", "test_own"),
        case("tests.test_x.TestHeir", "test_inherited", file="tests/base.py"),
    )
    assert ids(data)[1] == "tests/test_x.py::TestHeir::test_inherited"


def test_the_file_of_a_class_is_looked_up_where_the_report_names_none(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_x.py").touch()
    data = suite(case("tests.test_x.TestC", "test_a[1.5]", file=""))
    assert ids(data, tmp_path) == ["tests/test_x.py::TestC::test_a[1.5]"]


def test_other_runners_keep_what_they_have() -> None:
    data = suite(
        case("Amount parses", "a comma", file=""),
        case("suite", "in a file", file=f"{ROOT}/test/amount.test.js"),
    )
    assert ids(data) == ["Amount parses::a comma", "test/amount.test.js::in a file"]


def test_packages_of_go_and_classes_of_java_have_files(tmp_path: Path) -> None:
    """As gotestsum and Gradle name them, which write JUnit XML too."""
    for file, text in {
        "go.mod": "module example.com/larder\n",
        "shop/sum_test.go": "package shop\n\nfunc TestSum(t *testing.T) {}\n",
        "core/src/test/java/acme/SumTest.java": "",
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    data = suite(
        case("example.com/larder/shop", "TestSum/a_b", file=""),
        case("acme.SumTest$Inner", "sums(int)[2]", file=""),
        case("tests/sum.test.ts", "sums > two", file=""),
    )
    assert ids(data, tmp_path) == [
        "shop/sum_test.go::TestSum/a_b",
        "core/src/test/java/acme/SumTest.java::Inner::sums[2]",
        "tests/sum.test.ts::sums > two",
    ]


def test_suites_may_be_nested_or_alone() -> None:
    inner = suite(case("tests.test_x", "test_a")).decode().removeprefix("<testsuites>")
    inner = inner.removesuffix("</testsuites>")
    assert ids(f"<testsuite><testsuite>{inner}</testsuite></testsuite>".encode()) == [
        "tests/test_x.py::test_a"
    ]


@pytest.mark.parametrize(
    ("inner", "outcome"),
    [
        ("", Outcome.PASSED),
        ("<system-out>noise</system-out>", Outcome.PASSED),
        ("<skipped/>", Outcome.SKIPPED),
        ("<failure/>", Outcome.FAILED),
        ("<error/>", Outcome.ERROR),
        ("<failure/><error/>", Outcome.ERROR),
    ],
)
def test_outcomes(inner: str, outcome: Outcome) -> None:
    report = parse_report(suite(case("tests.test_x", "t", inner)), ROOT, NO_NAMES)
    assert report.cases[0].outcome is outcome


def test_a_case_reported_twice_counts_at_its_worst() -> None:
    worst, passed = case("tests.test_x", "t", "<failure message='no'/>"), case("tests.test_x", "t")
    for order in ((worst, passed), (passed, worst)):
        report = parse_report(suite(*order), ROOT, NO_NAMES)
        assert [(one.outcome, one.message) for one in report.cases] == [(Outcome.FAILED, "no")]


def test_messages_are_bounded_each_and_together() -> None:
    long = "<failure message='no'>" + "x" * 50_000 + "</failure>"
    cases = [case("tests.test_x", f"test_{n}", long) for n in range(300)]
    report = parse_report(suite(*cases), ROOT, NO_NAMES)
    sizes = [len(one.message) for one in report.cases]
    assert len(sizes) == 300
    assert max(sizes) <= MESSAGE_LIMIT
    assert sum(sizes) < 300_000
    assert report.cases[0].message.startswith("no\n")


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>
<testsuites><testsuite><testcase classname="a" name="&b;"/></testsuite></testsuites>"""


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (LAUGHS, "document type"),
        (LAUGHS.decode().replace('"1.0"', '"1.0" encoding="utf-16"', 1).encode("utf-16"), "type"),
        (b"<a>" * 100_000, "too deep"),
        (b"<testsuites>" + b"<a/>" * 1_000_001, "too many"),
        (b"", "not XML"),
        (b"\xff\xfe\x00", "not XML"),
        (b"<testsuites><testsuite>", "not XML"),
        (b"<html/>", "not JUnit"),
        (b"<?xml version='1.0' encoding='no-such'?><testsuites/>", "not XML"),
    ],
)
def test_hostile_and_broken_xml_is_refused(data: bytes, word: str) -> None:
    with pytest.raises(Unreadable, match=word):
        parse_report(data, ROOT, NO_NAMES)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: suite(text)))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse_report(data, ROOT, NO_NAMES)
    except Unreadable as problem:
        assert str(problem)


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oya.gates.reports.kind.SIZE_LIMIT", 10)
    (tmp_path / "r.xml").write_bytes(suite())
    with pytest.raises(Unreadable, match="larger than"):
        read_bytes(tmp_path / "r.xml")


def test_a_large_suite_is_read_in_reasonable_time() -> None:
    cases = [
        case(f"tests.test_{n % 50}.TestC", f"test_{n}", file=f"tests/test_{n % 50}.py")
        for n in range(5_000)
    ]
    started = time.process_time()
    assert len(ids(suite(*cases))) == 5_000
    assert time.process_time() - started < 5
