"""Globs, and which paths of a change need a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oya.gates.globs import matches, names_all
from oya.gates.protected import protected_paths, runs_package_scripts, scripts_differ


@pytest.mark.parametrize(
    ("pattern", "path", "there"),
    [
        ("a.py", "a.py", True),
        ("a.py", "src/a.py", False),
        ("**/a.py", "a.py", True),
        ("**/a.py", "src/deep/a.py", True),
        ("src", "src/deep/a.py", True),
        ("src/", "src/a.py", True),
        ("./src", "src/a.py", True),
        ("src/**", "src/a.py", True),
        ("src/**", "src", True),
        ("src/*", "src/deep/a.py", True),
        ("src/*.py", "src/deep/a.py", False),
        ("src/*.py", "src/a.py", True),
        ("src/**/a.py", "src/a.py", True),
        ("src/**/a.py", "src/x/y/a.py", True),
        ("src/**/**/a.py", "src/x/a.py", True),
        ("s?c/a.py", "src/a.py", True),
        ("s?c/a.py", "s/c/a.py", False),
        ("src", "srcs/a.py", False),
        ("[id].ts", "[id].ts", True),
        ("[id].ts", "i.ts", False),
        ("A.py", "a.py", False),
        ("*.tar.gz", "x.tar.gz", True),
        ("*a*b*", "xaxxbx", True),
        ("*a*b", "xbxa", False),
        ("", "a.py", False),
        ("/", "a.py", False),
    ],
)
def test_a_pattern_starts_at_the_root(pattern: str, path: str, there: bool) -> None:
    assert matches(path, pattern) is there


@given(st.lists(st.text("ab*?", min_size=1, max_size=4), min_size=1, max_size=4))
def test_a_path_without_wildcards_matches_itself(names: list[str]) -> None:
    path = "/".join(names)
    assert matches(path, path)


def test_a_hostile_pattern_takes_no_time() -> None:
    """One that backtracks into every star would still be at it tomorrow."""
    assert not matches("/".join(["a" * 200] * 20), "/".join(["**", "*a" * 200 + "b"] * 20))


@pytest.mark.parametrize(("pattern", "all_"), [("**", True), ("*/**", True), ("src/**", False)])
def test_a_pattern_may_say_nothing(pattern: str, all_: bool) -> None:
    assert names_all(pattern) is all_


@pytest.mark.parametrize(
    "path",
    [
        ".oya/swarm.toml",
        ".oya",
        ".gitattributes",
        "deep/down/.gitattributes",
        ".gitmodules",
        ".github/workflows/ci.yml",
        ".gitlab-ci.yml",
        ".circleci/config.yml",
        "azure-pipelines.yaml",
        "ops/Jenkinsfile",
    ],
)
def test_what_is_always_protected(path: str) -> None:
    assert protected_paths([path, "src/a.py"], (), ()) == (path,)


def test_what_never_lands_needs_nobody() -> None:
    assert protected_paths([".oya/out/reviewer.json", ".beads/issues.jsonl"], (), ()) == ()


def test_what_a_person_named_is_protected() -> None:
    changed = ["db/schema.sql", "src/db/schema.sql", "db/readme.md"]
    assert protected_paths(changed, ("db/*.sql",), ()) == ("db/schema.sql",)


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("./scripts/ci.sh --fast", "scripts/ci.sh"),
        ("sh check.sh", "check.sh"),
        ("CI=true sh -eu check.sh", "check.sh"),
        ("cd web && ./ci.sh", "web/ci.sh"),
        ("sh -c 'cd web && ./ci.sh'", "web/ci.sh"),
        ("(sh check.sh)", "check.sh"),
        ("sh check.sh; true", "check.sh"),
        ("ruff check --config=conf/ruff.toml", "conf/ruff.toml"),
        ("make test", "Makefile"),
        ("make test", "GNUmakefile"),
        ("/usr/bin/make -C web test", "web/Makefile"),
        ("make -f ci.mk", "ci.mk"),
        ("just ci", "justfile"),
        ("tox -q", "tox.ini"),
        ("test -s a.txt && ./check.sh", "check.sh"),
        ("! ./check.sh", "check.sh"),
        ("if test -s a.txt\nthen ./check.sh; fi", "check.sh"),
        ("{ A=b ./check.sh; }", "check.sh"),
        ("echo `./check.sh`", "check.sh"),
        ('echo "made by $(./check.sh)"', "check.sh"),
        ("env -u HOME A=b ./check.sh", "check.sh"),
        ("timeout -k 5 10m nice -n 10 ./check.sh", "check.sh"),
        ("sudo -u ada bash -o pipefail check.sh", "check.sh"),
        ("python -m tools.check --all", "tools/check.py"),
        ("python -I -m tools", "tools/__main__.py"),
        ("uv run --with pytest python check.py", "check.py"),
        ("npx --no -- tsx check.ts", "check.ts"),
        ("python3.12 -W error check.py", "check.py"),
        ("node --require ./setup.js check.js", "setup.js"),
        ("NODE_OPTIONS='--require ./setup.js' node --test", "setup.js"),
        ("BASH_ENV=env.sh bash -c true", "env.sh"),
        (". ./env.sh && true", "env.sh"),
        ("go run check.go", "check.go"),
        ("java -jar check.jar src", "check.jar"),
        ("bash -euc './check.sh | tee log'", "check.sh"),
        ("sh < check.sh", "check.sh"),
        ("sed s/a/b/ check.sh | bash -o pipefail", "check.sh"),
        ("bash <(cat check.sh)", "check.sh"),
        ("docker run --rm image ./check.sh", "check.sh"),
        ("find . -exec ./check.sh {} +", "check.sh"),
        ("ruff check --config conf/ruff.toml", "conf/ruff.toml"),
        ("pylint --rcfile=conf/rc src", "conf/rc"),
        ("pytest -c ci.ini", "ci.ini"),
        ("tox -c ci.ini", "ci.ini"),
        ("tsc -p conf/ci.json", "conf/ci.json"),
        ("sh 'unfinished check.sh", "check.sh"),
        ("cat 'unfinished check.sh", "check.sh"),
        ("go run ./tools/lint", "tools/lint/main.go"),
        ("python tools", "tools/__main__.py"),
        ("node tools", "tools/index.js"),
        ("sh checks/*.sh", "checks/a.sh"),
        ("bash -e checks/[0-9]*.sh", "checks/1.sh"),
        ('for f in checks/*.sh; do sh "$f"; done', "checks/a.sh"),
        ('for f in checks/*; do\n  "$f" || exit 1\ndone', "checks/a.sh"),
        ("sh -c 'for f in checks/*.sh; do sh -e $f; done'", "checks/a.sh"),
        ("for n in a b; do sh checks/$n.sh; done", "checks/b.sh"),
        ('for f in $(ls checks); do sh "checks/$f"; done', "checks/a.sh"),
        ("ls checks/*.sh | while read -r f; do sh $f; done", "checks/a.sh"),
        ("D=checks; sh ${D}/a.sh", "checks/a.sh"),
        ("sh $CHECKS/a.sh", "checks/a.sh"),
        ('sh "$PWD/check.sh"', "check.sh"),
        ('sh "$(git rev-parse --show-toplevel)/check.sh"', "check.sh"),
        ("cd a && cd b && ./x.sh", "a/b/x.sh"),
        ("cd a && ./y.sh && cd ../b && ./x.sh", "b/x.sh"),
    ],
)
def test_scripts_of_the_gates_are_protected(command: str, path: str) -> None:
    assert protected_paths([path], (), ()) == ()
    assert protected_paths([path, "src/a.py"], (), (command,)) == (path,)


def test_folders_and_options_of_the_gates_are_not() -> None:
    commands = ("pytest tests --cov=src {tests} --junitxml={report}", "ruff check .", "true ../x")
    assert protected_paths(["tests/test_a.py", "src/a.py", "x"], (), commands) == ()


@pytest.mark.parametrize(
    "command",
    [
        "pytest tests",
        "$PYTHON -m pytest tests",
        "uv run --frozen pytest tests",
        "node --test tests",
        "bats tests",
        "sh check.sh tests",
        'pytest tests && sh "$CHECK"',
        "PYTHONPATH=tests python check.py",
        "cd tests && ./check.sh",
        "for f in tests/*; do test -s $f; done",
    ],
)
def test_what_lies_in_a_folder_that_is_only_named_is_not(command: str) -> None:
    changed = ["tests/test_a.py", "tests/check/data.txt", "tests/deep/check.py"]
    assert protected_paths(changed, (), (command,)) == ()


@pytest.mark.parametrize(
    "command",
    [
        "test -s list.txt",
        "[ -f list.txt ] && true",
        "! test -f list.txt",
        "grep -qx 'a|b' list.txt | sort",
        "sort -c list.txt > list.txt",
        "cat < list.txt",
        "mypy list.txt other.txt",
        "timeout 10 ruff check list.txt",
        "uv run python -m pytest list.txt",
        "npx --no -- eslint list.txt",
        "env -- A=b wc -c list.txt",
        "sh -c 'test -s list.txt'",
        "sh check.sh list.txt",
        "python check.py list.txt",
        "git diff --exit-code -- list.txt",
        "pytest --ignore=list.txt",
        "make -f ci.mk list.txt",
        "for f in *.txt; do test -s $f; done",
        "$PYTHON -m pytest *.txt",
        "node --test *.txt",
        "bats *.txt",
        "npx --yes mocha *.txt",
        "uv run --frozen pytest *.txt",
        "PATTERNS=*.txt pytest",
        "find . -name '*.txt' -exec mdl {} +",
        "sh check.sh *.txt",
        "test ! -e list.txt",
        "mypy . list.txt",
        "tree src/ list.txt",
    ],
)
def test_what_a_gate_only_reads_is_work_like_any_other(command: str) -> None:
    assert protected_paths(["list.txt"], (), (command,)) == ()


def test_of_a_package_only_the_scripts_count() -> None:
    assert runs_package_scripts(("npm test",))
    assert not runs_package_scripts(("make npm-test", "node --test"))
    assert not scripts_differ(b'{"scripts": {"test": "a"}}', b'{"scripts":{"test":"a"},"x":1}')
    assert scripts_differ(b'{"scripts": {"test": "a"}}', b'{"scripts": {"test": "true"}}')
    assert scripts_differ(None, b'{"scripts": {"test": "true"}}')
    assert not scripts_differ(None, b"{}")
    assert scripts_differ(b'{"scripts": {"test": "a"}}', None)
    assert scripts_differ(b"{}", b"{")
    assert scripts_differ(b"{}", b"[" * 100_000)
