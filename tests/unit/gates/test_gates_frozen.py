"""What is frozen, and what counts as an edit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from oya.gates import Case, Evidence, Outcome, Report
from oya.gates.frozen import changed, digest, frozen_paths

TREE = [
    "README.md",
    "pyproject.toml",
    "setup.cfg",
    "src/larder/__init__.py",
    "src/larder/data/units.txt",
    "src/larder/test_inline.py",
    "src/larder/__snapshots__/test_inline.ambr",
    "src/larder/fixtures/deep/in.json",
    "src/larder/conftest.py",
    "src/other/fixtures/in.json",
    "tests/conftest.py",
    "tests/data/soup.txt",
    "tests/helpers.py",
    "tests/unit/test_amount.py",
    "docs/tests/notes.md",
]


def report(*files: str) -> Report:
    return Report(tuple(Case(f"{file}::test_a", Outcome.PASSED) for file in files))


def test_tests_what_serves_them_and_the_runners_files_are_frozen() -> None:
    frozen = frozen_paths(
        TREE, [], report("tests/unit/test_amount.py", "src/larder/test_inline.py")
    )
    assert set(TREE) - frozen == {
        "README.md",
        "src/larder/__init__.py",
        "src/larder/data/units.txt",
        "src/other/fixtures/in.json",
        "docs/tests/notes.md",
    }


def test_the_contracts_files_are_frozen_though_nothing_was_collected_from_them() -> None:
    frozen = frozen_paths(TREE, ["README.md"], Report())
    assert "README.md" in frozen
    assert "tests/helpers.py" not in frozen


def test_a_runner_in_a_subfolder_names_files_from_there() -> None:
    frozen = frozen_paths(
        ["back/tests/test_a.py", "front/test_a.py"], [], report("tests/test_a.py")
    )
    assert frozen == {"back/tests/test_a.py"}


DOCTESTS = {
    "pyproject.toml": "[tool.pytest.ini_options]\n"
    'addopts = ["--doctest-modules", "--doctest-glob=*.md"]\n'
    'python_files = ["test_*.py", "tests.py"]\n',
    "README.md": ">>> 1 + 1\n2\n",
    "src/larder/amount.py": 'def one():\n    """One.\n\n    >>> one()\n    1\n    """\n'
    "    return 1\n",
    "src/larder/tests.py": "def test_one(): pass\n",
    "tests/test_amount.py": "def test_two(): pass\n",
    "tests/notes.md": ">>> 1 + 2\n3\n",
}


def test_examples_in_sources_and_documents_do_not_freeze_them(
    run_suite: Callable[[Mapping[str, str]], Evidence],
) -> None:
    evidence = run_suite(DOCTESTS)
    assert evidence.report is not None
    assert len(evidence.report.cases) == 5, "each file is in the report"
    assert set(DOCTESTS) - frozen_paths(DOCTESTS, [], evidence.report) == {
        "README.md",
        "src/larder/amount.py",
    }
    assert "README.md" in frozen_paths(DOCTESTS, ["README.md"], evidence.report)


@pytest.mark.parametrize(
    ("id", "frozen"),
    [
        ("src/amount.ts::adds", False),
        ("src/larder/amount.py::mypy", False),
        ("guide/amount.rst::amount.rst", False),
        ("checks/amount.yaml::adds", True),
        ("lib/test-amount.mjs::adds", True),
        ("lib/amount-test.mjs::adds", True),
        ("lib/amount_tests.py::adds", True),
        ("lib/test.js::adds", True),
        ("src/it/java/a/AmountIT.java::adds", True),
    ],
)
def test_of_what_reports_name_only_what_looks_like_a_test_or_is_no_source_is_frozen(
    id: str, frozen: bool
) -> None:
    path = id.partition("::")[0]
    beside = f"{path.rpartition('/')[0]}/fixtures/in.json"
    report = Report((Case(id, Outcome.PASSED),))
    assert frozen_paths([path, beside], [], report) == ({path, beside} if frozen else set())


def test_what_a_contract_names_is_frozen_by_its_whole_path() -> None:
    assert frozen_paths(["kit.py", "src/kit.py"], ["kit.py"], Report()) == {"kit.py"}


def test_an_exit_code_names_no_file() -> None:
    assert frozen_paths(["ci", "a"], [], Report((Case("ci", Outcome.PASSED),))) == set()


PYPROJECT = b'[project]\nname = "a"\nversion = "1"\n[tool.pytest.ini_options]\naddopts = "-q"\n'


@pytest.mark.parametrize(
    ("now", "edited"),
    [
        (PYPROJECT.replace(b'"1"', b'"2"'), False),
        (PYPROJECT + b"testpaths = []\n", True),
        (PYPROJECT + b"[tool.pytest]\nx = 1\n", True),
        (PYPROJECT.split(b"[tool")[0], True),
        (b"not toml [", True),
        (None, True),
    ],
)
def test_of_pyproject_only_the_runners_tables_are_frozen(now: bytes | None, edited: bool) -> None:
    before = {"pyproject.toml": digest("pyproject.toml", PYPROJECT)}
    after = {} if now is None else {"pyproject.toml": digest("pyproject.toml", now)}
    assert bool(changed(before, after)) is edited


def test_a_pyproject_without_the_runners_tables_may_come_and_go() -> None:
    plain = {"sub/pyproject.toml": digest("sub/pyproject.toml", b"[project]\nname = 'a'\n")}
    assert changed(plain, {}) == changed({}, plain) == ()
    assert changed({}, {"pyproject.toml": digest("pyproject.toml", PYPROJECT)}) != ()


LINK, PROGRAM = "120000", "100755"


def test_a_link_is_no_file_of_the_same_bytes() -> None:
    for path, data in (("tests/in.txt", b"42\n"), ("pyproject.toml", PYPROJECT)):
        assert changed({path: digest(path, data)}, {path: digest(path, data, LINK)}) == (path,)
    assert changed({}, {"pyproject.toml": digest("pyproject.toml", b"a = 1", LINK)}) != ()


def test_what_may_be_run_is_not_what_may_not() -> None:
    was, now = digest("tests/run.sh", b"true"), digest("tests/run.sh", b"true", PROGRAM)
    assert changed({"tests/run.sh": was}, {"tests/run.sh": now}) == ("tests/run.sh",)
    assert digest("pyproject.toml", PYPROJECT, PROGRAM) == digest("pyproject.toml", PYPROJECT)


def test_edits_removals_and_new_runner_files_are_changes() -> None:
    frozen = {"tests/test_a.py": "1", "tests/test_b.py": "1", "tests/conftest.py": "1"}
    now = {
        "tests/test_a.py": "2",
        "tests/conftest.py": "1",
        "tests/unit/conftest.py": "1",
        "pytest.ini": "1",
        "tests/test_new.py": "1",
        "src/a.py": "1",
    }
    assert changed(frozen, now) == (
        "pytest.ini",
        "tests/test_a.py",
        "tests/test_b.py",
        "tests/unit/conftest.py",
    )
    assert changed(frozen, frozen) == ()


MANIFESTS = {
    "package.json": (
        b'{"dependencies": {"a": "1"}, "jest": {"bail": 1}, "scripts": {"test": "jest", "x": "y"}}',
        (b'"1"', b'"2", "b": "1"'),
        (b'"bail": 1', b'"bail": 0, "testPathIgnorePatterns": ["new"]'),
    ),
    "web/package.json": (
        b'{"dependencies": {"a": "1"}, "scripts": {"pretest": "x", "test:unit": "vitest"}}',
        (b'{"pretest"', b'{"build": "tsc", "pretest"'),
        (b'"vitest"', b'"true"'),
    ),
    "Cargo.toml": (
        b'[package]\nname = "a"\n\n[dependencies]\nb = "1"\n\n[[test]]\nname = "t"\n',
        (b'b = "1"', b'b = "1"\nc = "2"'),
        (b'name = "t"', b'name = "t"\nharness = false'),
    ),
    "kit/Cargo.toml": (
        b'[package]\nname = "a"\n\n[lib]\nname = "a"\n',
        (b'name = "a"\n\n', b'name = "a"\nversion = "2"\n\n'),
        (b"[lib]", b"[lib]\ntest = false"),
    ),
    "pom.xml": (
        b'<project xmlns="http://maven.apache.org/POM/4.0.0"><properties><a>1</a></properties>'
        b"<dependencies/><build><plugins><plugin><artifactId>maven-surefire-plugin</artifactId>"
        b"<version>3</version></plugin></plugins></build></project>",
        (b"<dependencies/>", b"<dependencies>\n<dependency/></dependencies>"),
        (
            b"<version>3</version>",
            b"<version>3</version><configuration><skip>true</skip></configuration>",
        ),
    ),
    "core/pom.xml": (
        b"<project><properties><testcontainers.version>1</testcontainers.version></properties>"
        b"</project>",
        (b">1<", b">2<"),
        (b"<properties>", b"<properties><maven.test.skip>true</maven.test.skip>"),
    ),
}


@pytest.mark.parametrize("path", MANIFESTS)
def test_of_a_packages_description_only_what_the_runner_reads_is_frozen(path: str) -> None:
    text, free, held = MANIFESTS[path]
    before = {path: digest(path, text)}
    assert path in frozen_paths([path], [], Report())
    assert free[0] in text
    assert held[0] in text
    assert changed(before, {path: digest(path, text.replace(*free))}) == ()
    assert changed(before, {path: digest(path, text.replace(*held))}) == (path,)
    assert changed(before, {path: digest(path, text[:-9] + b"{<[")}) == (path,)


def test_a_description_that_declares_entities_is_frozen_whole() -> None:
    plain = b"<project><a>1</a></project>"
    entities = b"<!DOCTYPE p [<!ENTITY a 'b'>]>" + plain
    for text in (entities, entities.decode().encode("utf-16")):
        assert digest("pom.xml", text) != digest("pom.xml", plain)
        assert digest("pom.xml", text) != digest("pom.xml", text.replace(b"b", b"c"))


LANGUAGES = [
    ("go", "shop/sum_test.go::TestSum", ["shop/sum_test.go", "shop/helpers_test.go",
     "shop/testdata/in.json", "mill/other_test.go"], ["shop/sum.go", "go.mod", "mill/in.json"]),
    ("rust", "src/lib.rs::tests::inside", ["src/snapshots/a.snap", "src/deep/snapshots/b.snap",
     ".config/nextest.toml", ".cargo/config.toml", "kit/.cargo/config"],
     ["src/lib.rs", "src/deep/mod.rs", "build.rs"]),
    ("rust", "tests/a.rs::x", ["tests/a.rs", "tests/common/mod.rs"], ["src/lib.rs"]),
    ("java", "core/src/test/java/a/BTest.java::c", ["core/src/test/java/a/BTest.java",
     "core/src/test/resources/in.txt", ".mvn/maven.config"], ["core/src/main/java/a/B.java"]),
    ("javascript", "src/amount.test.ts::a > b", ["src/amount.test.ts", "jest.config.mjs",
     "web/vitest.config.ts", "vite.config.js", "vitest.workspace.ts", "src/setupTests.js",
     "src/__snapshots__/amount.test.ts.snap", "src/__mocks__/a.ts", ".mocharc.cjs"],
     ["src/amount.ts", "tsconfig.json", "src/mocks/a.ts"]),
]  # fmt: skip


SOURCES_NAMED_LIKE_TESTS = [
    ("internal/spec/all_test.go::TestAll", [], ["internal/spec/parse.go"]),
    ("test/e2e/all_test.go::TestAll", ["test/e2e/testdata/in.json"], ["test/e2e/kit.go"]),
    ("tests/e2e/all_test.go::TestAll", ["tests/e2e/kit.go"], []),
    ("src/spec/model.test.ts::a", ["src/spec/__snapshots__/a.txt"], ["src/spec/model.ts"]),
    ("src/spec/model.spec.ts::a", [], ["src/spec/model.tsx", "src/spec/types.ts"]),
    ("src/spec/__tests__/model.test.ts::a", ["src/spec/__tests__/kit.ts"], ["src/spec/model.ts"]),
    ("src/specs/__tests__/model.ts::a", ["src/specs/__tests__/kit.ts"], ["src/specs/model.ts"]),
    ("acme/test/test_plan.py::a", [], ["acme/test/plan.py", "acme/test/deep/other.py"]),
    ("acme/spec/tests/test_plan.py::a", ["acme/spec/tests/kit.py"], ["acme/spec/plan.py"]),
    ("spec/plan_spec.js::a", ["spec/kit.js", "spec/deep/in.json"], ["lib/plan.js"]),
    ("test/plan.js::a", ["test/kit.js"], ["lib/plan.js"]),
    ("tests/test_kit.py::a", ["tests/kit.py"], ["src/kit.py"]),
    ("core/src/test/java/a/BTest.java::c", ["core/src/test/java/a/B.java"], []),
]  # fmt: skip


@pytest.mark.parametrize(("id", "frozen", "free"), SOURCES_NAMED_LIKE_TESTS)
def test_a_folder_of_sources_that_has_the_name_of_one_of_tests_is_not_frozen_whole(
    id: str, frozen: list[str], free: list[str]
) -> None:
    report = Report((Case(id, Outcome.PASSED),))
    test = id.partition("::")[0]
    assert frozen_paths([test, *frozen, *free], [], report) == {test, *frozen}


@pytest.mark.parametrize(("language", "id", "frozen", "free"), LANGUAGES)
def test_what_is_frozen_in_other_languages(
    language: str, id: str, frozen: list[str], free: list[str]
) -> None:
    report = Report((Case(id, Outcome.PASSED),))
    assert frozen_paths([*frozen, *free], [], report) == set(frozen)


def test_the_configuration_of_a_runner_may_not_be_added() -> None:
    for path in (".cargo/config.toml", "jest.config.js", ".mvn/maven.config", "a/nextest.toml"):
        assert changed({}, {path: digest(path, b"x")}) == (path,)
