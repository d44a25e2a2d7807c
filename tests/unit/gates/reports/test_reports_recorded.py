"""What real runners have said, read: the recordings of tests/fixtures/reports."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from oya.gates import Evidence
from oya.gates.evidence import from_row, to_row
from oya.gates.model import Case, Outcome, Report
from oya.gates.project import project_names
from oya.gates.red import judge_contract
from oya.gates.reports.golang import Modules, whose
from oya.gates.reports.java import Error, Sources
from oya.gates.reports.javascript import of_file
from oya.gates.reports.kind import Written
from oya.gates.reports.kinds import KINDS
from report_kit import FIXTURES, PROJECTS, Project

Said = Callable[[str], Report]


@pytest.fixture(params=PROJECTS)
def project(request: pytest.FixtureRequest) -> Project:
    return PROJECTS[request.param]


@pytest.fixture
def said(project: Project, tmp_path: Path) -> Said:
    def said(tree: str) -> Report:
        recorded, root, out = FIXTURES / project.kind / tree, tmp_path / tree, tmp_path / "out"
        project.make(tree, root)
        out.mkdir(exist_ok=True)
        for file in (path for path in recorded.rglob("*") if path.is_file()):
            name = file.relative_to(recorded)
            place = root / Path(*name.parts[1:]) if name.parts[0] == "checkout" else out / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(file.read_text().replace("@ROOT@", str(root)))
        written = Written(root, out / "report", out / "output", lambda name: False)
        report = KINDS[project.kind].read(written)
        shutil.rmtree(out)
        return report

    return said


def test_every_kind_but_junit_is_held_to_this() -> None:
    assert set(KINDS) - set(PROJECTS) == {"junit"}


def test_each_test_has_its_id_and_its_outcome(project: Project, said: Said) -> None:
    report = said("tests")
    assert {case.id: case.outcome for case in report.cases} == project.cases
    assert [broken.file for broken in report.broken] == [*project.ended]


def test_a_red_test_says_why_and_a_green_one_nothing(
    project: Project, said: Said, tmp_path: Path
) -> None:
    report = said("tests")
    assert any(project.says in case.message for case in report.cases)
    assert all(case.message for case in report.cases if case.red)
    assert not any(case.message for case in report.cases if case.outcome is Outcome.PASSED)
    assert not any(str(tmp_path) in case.message for case in report.cases)


def test_a_file_that_asks_for_names_of_the_project_is_red_for_a_right_reason(
    project: Project, said: Said
) -> None:
    base = Report(tuple(case for case in said("tests").cases if case.id in project.kept))
    assert len(base.cases) == len(project.kept)
    report = said("missing")
    files = [*project.missing]
    verdict = judge_contract(project.red, base, report, files, project_names([]))
    assert verdict.findings == ()
    assert verdict.fail_to_pass == project.red
    assert set(verdict.pass_to_pass) == set(project.kept)


def test_what_is_red_for_a_wrong_reason_is_a_finding(project: Project, said: Said) -> None:
    report = said("wrong")
    assert {b.file: b.kind for b in report.broken} == project.broken
    planned = [f"{file}::it" for file in project.broken]
    verdict = judge_contract(planned, Report(), report, [*project.wrong], project_names([]))
    told = {finding.partition(": ")[0] for finding in verdict.findings}
    assert set(project.broken) <= told
    assert verdict.fail_to_pass == ()


def test_what_is_told_first_is_the_error(project: Project, said: Said) -> None:
    """A finding shows one line: never a head, a line of source, or a stack."""
    for broken in said("missing").broken:
        head = broken.message.partition("\n")[0]
        assert re.search(
            r"undefined|no required module|unresolved import|Cannot find module|does not provide"
            r"|does not exist|cannot find symbol|Failed to resolve",
            head,
        ), head


def test_evidence_keeps_what_a_broken_file_takes_along(project: Project, said: Said) -> None:
    report = said("missing")
    evidence = Evidence("k", "tests", "t", "c", 1, 1.0, 1.0, False, report, Path("log"), "")
    kept = from_row(json.loads(json.dumps(to_row(evidence))))
    assert kept is not None
    assert kept.report == report
    assert any(broken.unit for broken in report.broken) is bool(project.unit)


def test_what_is_lost_with_a_broken_file_comes_back_with_it_and_nothing_else_does(
    project: Project, said: Said
) -> None:
    """A test that the contract removed is not forgiven because a file elsewhere is broken."""
    report = said("missing")
    gone = "elsewhere/gone_test.txt::test"
    base = Report(tuple(case for case in said("tests").cases if case.id in project.kept))
    taken = report.broken_file(gone) is not None
    assert taken is (project.unit == "**")
    for case in base.cases:
        assert report.of(case.id) or report.broken_file(case.id)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("export", "missing_project_name"),
        ("member", "missing_project_name"),
        ("call", "missing_project_name"),
        ("follows", "missing_project_name"),
        ("own", "other"),
        ("matcher", "other"),
        ("untyped", "other"),
        ("source", "other"),
        ("foreign", "missing_third_party"),
        ("package", "missing_third_party"),
        ("helper", "missing_third_party"),
        ("syntax", "syntax"),
    ],
)
def test_whose_the_errors_of_typescript_are(tmp_path: Path, file: str, kind: str) -> None:
    """As ts-jest tells them of the project that lies beside its report."""
    report = tmp_path / "report"
    recorded = (FIXTURES / "ts-jest/report").read_text()
    report.write_text(recorded.replace("@ROOT@", str(tmp_path)))
    read = KINDS["jest"].read(Written(tmp_path, report, tmp_path / "output", lambda name: False))
    assert [case.id for case in read.cases] == ["tests/old.test.ts::one"]
    broken = {broken.file: broken for broken in read.broken}[f"tests/{file}.test.ts"]
    assert broken.kind == kind
    assert re.match(r"(?:tests|src)/\w+(?:\.test)?\.ts:\d+:\d+ - error TS\d+: ", broken.message)


def test_what_typescript_says_in_one_line_each_is_read_too(tmp_path: Path) -> None:
    said = (
        """tests/a.test.ts(1,10): error TS2305: Module '"../src/a"' has no exported member 'b'."""
    )
    assert of_file(said, "tests/a.test.ts") == "missing_project_name"
    assert of_file(f"{said}\ntests/a.test.ts(2,1): error TS2304: x", "tests/a.test.ts") == "other"


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("par", "panic: bang"),
        ("sub", "panic: assignment to entry in nil map"),
        ("gor", "panic: in a goroutine"),
        ("quits", "did not end"),
    ],
)
def test_a_test_that_ends_its_package_is_one_finding_and_the_tests_it_takes_are_none(
    tmp_path: Path, package: str, said: str
) -> None:
    shutil.copytree(FIXTURES / "go-panics", tmp_path, dirs_exist_ok=True)
    written = Written(tmp_path, tmp_path / "report", tmp_path / "output", lambda name: False)
    read = KINDS["go-json"].read(written)
    contract = Report(
        tuple(case for case in read.cases if case.id.startswith(f"{package}/")),
        tuple(broken for broken in read.broken if broken.takes(f"{package}/z_test.go")),
    )
    others = ("z_test.go::TestZ", *(["slow_test.go::TestSlow"] if package == "par" else []))
    base = Report(tuple(Case(f"{package}/{id}", Outcome.PASSED) for id in others))
    file = f"{package}/new_test.go"
    verdict = judge_contract([f"{file}::TestNew"], base, contract, [file], project_names([]))
    (finding,) = verdict.findings
    assert finding.startswith(f"{file}: cannot be collected: TestNew ended the other tests")
    assert "t.Fatal" in finding
    assert said in finding


def test_a_panic_that_takes_no_other_test_is_a_red_test(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "go-panics", tmp_path, dirs_exist_ok=True)
    written = Written(tmp_path, tmp_path / "report", tmp_path / "output", lambda name: False)
    read = KINDS["go-json"].read(written)
    (case,) = read.of("alone/new_test.go::TestNew")
    assert case.outcome is Outcome.FAILED
    assert read.broken_file(case.id) is None


def test_what_does_not_run_with_all_tests_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example.com/larder\n")
    names = ("TestOne", "Test_two", "FuzzIt", "TestMain", "Testing", "ExampleIt", "BenchmarkIt")
    text = "".join(f"func {name}(t any) {{}}\n" for name in names)
    (tmp_path / "a_test.go").write_text(f"package larder\n\n{text}")
    (tmp_path / "b_test.go").write_text(
        "//go:build slow\n\npackage larder\n\nfunc TestB(t any) {}\n"
    )
    assert Modules.of(tmp_path).running("") == {"TestOne", "Test_two", "FuzzIt"}


GO = """package shop_test

import (
	"testing"

	"example.com/larder/shop"
	kit "example.org/kit/v2"
)

type fake struct{}

func helper(word string) {}

func TestIt(t *testing.T) {}
"""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("undefined: shop.Sum", "missing_project_name"),
        ("undefined: kit.Sum", "other"),
        ("undefined: errors.Sum", "other"),
        ("undefined: helper", "other"),
        ("b.Sum undefined (type *shop.Basket has no field or method Sum)", "missing_project_name"),
        ("k.Sum undefined (type kit.Kit has no field or method Sum)", "other"),
        ("too many arguments in call to shop.Sum", "missing_project_name"),
        ("not enough arguments in call to kit.Sum", "other"),
        ("assignment mismatch: 2 variables but shop.Sum returns 1 value", "missing_project_name"),
        ("unknown field X in struct literal of type shop.Basket", "missing_project_name"),
        ("unknown field X in struct literal of type kit.Kit", "other"),
        ("package example.com/larder/mill is not in std", "missing_project_name"),
        ("package larder/mill is not in std (/go/src/larder/mill)", "missing_third_party"),
        ("sum.Sq does not implement", "other"),
        (
            "cannot use shop.Sq{} (value of struct type shop.Sq) as shop.Shape value in variable "
            "declaration: shop.Sq does not implement shop.Shape (missing method Area)",
            "missing_project_name",
        ),
        (
            "cannot use shop.New() (value of type *shop.Sq) as error value in assignment: "
            "*shop.Sq does not implement error (missing method Error)",
            "missing_project_name",
        ),
        (
            "cannot use fake{} (value of struct type fake) as io.Reader value in argument to "
            "kit.Read: fake does not implement io.Reader (missing method Read)",
            "other",
        ),
        (
            'cannot use "1" (untyped string constant) as int value in argument to shop.Add',
            "missing_project_name",
        ),
        (
            'cannot use "1" (untyped string constant) as int value in argument to basket.Add',
            "missing_project_name",
        ),
        ('cannot use "a" (untyped string constant) as int value in argument to kit.Add', "other"),
        (
            "cannot use err (variable of type error) as string value in argument to t.Fatalf",
            "other",
        ),
        ("cannot use err (variable of type error) as string value in argument to append", "other"),
        ("cannot use err (variable of type error) as string value in argument to helper", "other"),
        ('cannot use "a" (untyped string constant) as int value in variable declaration', "other"),
        (
            "cannot use shop.Add(1, 2) (value of type int) as string value in assignment",
            "missing_project_name",
        ),
        ("shop.Run() (no value) used as value", "missing_project_name"),
        ("basket.Run() (no value) used as value", "missing_project_name"),
        ("kit.Run() (no value) used as value", "other"),
        ("t.Run() (no value) used as value", "other"),
        (
            'invalid operation: shop.Add(1, 2) != "3" (mismatched types int and untyped string)',
            "missing_project_name",
        ),
        ('invalid operation: n != "3" (mismatched types int and untyped string)', "other"),
        ("too many values in struct literal of type shop.Sq", "missing_project_name"),
        ("not enough arguments in call to t.Fatalf", "other"),
        ("syntax error: unexpected newline", "syntax"),
        ("missing return", "other"),
    ],
)
def test_whose_an_error_of_go_is(tmp_path: Path, error: str, kind: str) -> None:
    (tmp_path / "go.mod").write_text("module example.com/larder\n")
    (tmp_path / "a_test.go").write_text(GO)
    assert whose(error, "a_test.go", Modules.of(tmp_path)) == kind


JAVA = """package acme.larder;

class NewTest {
    void it(List<Amount> many) {
        Amount a = new Amount();
        assertEquals(1, a.scale(1));
        assertEquals(1, Amount.scale("1"));
        "a".substring("b");
        String text = 3;
        for (var one : many) {}
    }
}
"""


@pytest.mark.parametrize(
    ("line", "said", "kind"),
    [
        (
            7,
            "no suitable method found for scale(java.lang.String); method acme.larder.Amount."
            "scale(int,int) is not applicable; (actual and formal argument lists differ in length)",
            "missing_project_name",
        ),
        (
            7,
            "no suitable constructor found for Amount(no arguments); constructor acme.larder."
            "Amount.Amount(int) is not applicable",
            "missing_project_name",
        ),
        (
            7,
            "no suitable method found for assertTrue(java.lang.String,int,int); method org.junit."
            "jupiter.api.Assertions.<T>assertTrue(boolean,T) is not applicable",
            "other",
        ),
        (
            8,
            "incompatible types: acme.larder.Amount cannot be converted to acme.larder.Shape",
            "missing_project_name",
        ),
        (8, "incompatible types: acme.larder.Amount.Unit cannot be converted to int", None),
        (8, "incompatible types: java.lang.String cannot be converted to int", "other"),
        (9, "incompatible types: int cannot be converted to java.lang.String", "other"),
        (7, "incompatible types: java.lang.String cannot be converted to int", None),
        (6, "'void' type not allowed here", None),
        (9, "'void' type not allowed here", "other"),
        (6, "int cannot be dereferenced", None),
        (10, "for-each not applicable to expression type; required: array; found: int", None),
        (8, "variable a is already defined in method it()", "other"),
    ],
)
def test_whose_an_error_of_java_is(tmp_path: Path, line: int, said: str, kind: str | None) -> None:
    test, main = "src/test/java/acme/larder/NewTest.java", "src/main/java/acme/larder/Amount.java"
    for file, text in ((test, JAVA), (main, "package acme.larder;\n\npublic class Amount {}\n")):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(text)
    error = Error(test, str(line), said)
    assert Sources(tmp_path).whose(error) == (kind or "missing_project_name")
