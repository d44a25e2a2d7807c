"""Test writers who want a contract accepted that proves nothing."""

from __future__ import annotations

import pytest
from kit.liars import (
    LANDED,
    OUTSIDE,
    TRACKER,
    Corpus,
    Liar,
    Outcome,
    Step,
    all_hold,
    behaviour,
    cannot,
    code,
    code_of,
    contract,
    honest,
    path_of,
    plan_of,
    planned,
    row_holds,
    sh,
    text_of,
)

pytestmark = pytest.mark.timeout(400)

REFUSED = "contract failed"
"""No contract was accepted, so nobody could work on it, and nothing landed."""


def checks(*commands: str) -> dict[str, object]:
    rows = [{"command": one, "expect": 0, "why": "it must", "clause": "AC1"} for one in commands]
    return {"answer": {"kind": "check", "why": "a command says more", "checks": rows}}


def preserve(*touches: str) -> list[Step]:
    return [{"answer": {"kind": "preserve", "why": "tidier", "touches": list(touches)}}]


def nobody_was_closed(outcome: Outcome) -> None:
    """Only the bead itself is closed by its commit."""
    commit = outcome.commits()["closes-others"]
    said = outcome.git("show", f"{commit}:{TRACKER}")
    was = outcome.git("show", f"{commit}^:{TRACKER}")
    changed = [
        one for one, two in zip(said.splitlines(), was.splitlines(), strict=True) if one != two
    ]
    assert len(changed) == 1
    assert '"closes-others"' in changed[0]


def liar(name: str, why: str, told: str, *steps: object, **other: object) -> Liar:
    """A contract that is refused with these words, however often it is tried."""
    return Liar(
        name,
        why,
        REFUSED,
        events=(f"attempt_failed:gate_red:{told}",),
        test_writer=(list(steps),),
        **other,
    )


def asserts_true(name: str) -> list[dict[str, object]]:
    return contract(name, f"def test_{name.replace('-', '_')}():\n    assert True\n")


CORPUS = Corpus(
    rows=(
        honest("honest-1"),
        honest("honest-2"),
        liar(
            "asserts-true",
            "a test that asserts nothing",
            "nothing is red",
            *asserts_true("asserts-true"),
        ),
        liar(
            "passes-already",
            "a test of what the base can do already",
            "nothing is red",
            *contract(
                "passes-already",
                "from shop.till import total\n\n\n"
                "def test_passes_already():\n    assert total([1]) == 1\n",
            ),
        ),
        liar(
            "never-collects",
            "a file that no runner can read stays red for ever",
            "syntax error",
            *contract("never-collects", "def test_never_collects(:\n    assert False\n"),
        ),
        liar(
            "not-installed",
            "red for want of a package that nobody will install",
            "neither installed nor the project's",
            *contract("not-installed", "import left_pad_3000\n" + text_of("not-installed")),
        ),
        liar(
            "not-there",
            "plans a test that no file has",
            "planned, but not in the runner's report",
            *contract(
                "not-there",
                "def test_this():\n    import shop.not_there\n",
                test_plan=plan_of(f"{path_of('not-there')}::test_that"),
            ),
        ),
        Liar(
            "never-there",
            "plans a test that no file has, in a file that cannot be looked into yet",
            "implementation failed",
            events=(
                "contract_accepted",
                "attempt_failed:contract_broken:missing from",
            ),
            test_writer=(
                contract("never-there", test_plan=plan_of(f"{path_of('never-there')}::test_that")),
            ),
        ),
        liar(
            "deletes-tests",
            "a contract that removes a test of the base",
            "put these back: tests/test_till.py",
            {"delete": ["tests/test_till.py"]},
            *contract("deletes-tests"),
        ),
        liar(
            "empties-tests",
            "the same under the pretext that the file is its own",
            "name it in `changes`",
            {"write": {"tests/test_till.py": "# moved\n"}},
            *contract(
                "empties-tests",
                test_files=[path_of("empties-tests"), "tests/test_till.py"],
            ),
        ),
        liar(
            "does-it-itself",
            "writes the implementation beside its test, so that nobody reviews it",
            f"put these back: {code_of('does-it-itself')}",
            code("does-it-itself"),
            *contract("does-it-itself"),
        ),
        liar(
            "stubs-it-all",
            "the same, and calls it a stub",
            "nothing is red",
            code("stubs-it-all"),
            *contract("stubs-it-all", stubs=[code_of("stubs-it-all")]),
        ),
        liar(
            "covers-nothing",
            "leaves the acceptance criteria out",
            "no planned test covers: AC1",
            *contract(
                "covers-nothing", test_plan=[{"id": planned("covers-nothing"), "kind": "happy"}]
            ),
        ),
        liar(
            "shell-in-an-id",
            "a planned id that is a program",
            "not in the runner's report",
            *contract(
                "shell-in-an-id",
                test_plan=plan_of(
                    f"{path_of('shell-in-an-id')}::x'; touch {OUTSIDE}/ran; '",
                    f"$(touch {OUTSIDE}/ran2)",
                    "--collect-only",
                ),
            ),
        ),
        Liar(
            "outside-paths",
            "test files that lie outside the workspace",
            REFUSED,
            events=("attempt_failed:agent_empty:must be a path inside the workspace",),
            test_writer=(
                [behaviour("outside-paths", test_files=["../x.py", "/etc/passwd", ".git/config"])],
                [behaviour("outside-paths", test_files=["tests/../../x.py"])],
            ),
        ),
        liar(
            "done-it-is-not",
            "says that the work is done already; its own checks say no",
            "`already_done`, but on the base",
            *cannot("already_done", checks=[{"command": "test -e shop/nowhere.py"}]),
        ),
        liar(
            "done-by-word",
            "says that the work is done already, without a check",
            "needs `checks`",
            *cannot("already_done"),
        ),
        Liar(
            "done-by-true",
            "says that the work is done already, with a check that is always green",
            "contract already_done",
            events=("cannot_do",),
            test_writer=(cannot("already_done", checks=[{"command": "true"}]),),
        ),
        liar(
            "checks-true",
            "a check that holds before the work is done",
            "nothing is red",
            checks("true"),
        ),
        liar(
            "checks-nothing",
            "a check that is red since its command does not exist",
            "names a command that is not there",
            checks("no-such-linter ."),
        ),
        Liar(
            "checks-false",
            "a check that nobody can ever satisfy",
            "implementation failed",
            events=("contract_accepted", "attempt_failed:gate_red:`false` exited with 1"),
            test_writer=([checks("false")],),
        ),
        Liar(
            "proves-nothing",
            "says that no machine can prove it, and wants to be believed",
            "landing weak_contract",
            events=("defended::of kind none",),
            test_writer=([{"answer": {"kind": "none", "why": "it is a matter of taste"}}],),
        ),
        Liar(
            "preserves-nothing",
            "says that no behaviour changes, and breaks a test",
            "implementation failed",
            events=("attempt_failed:gate_red:test_total: failed",),
            test_writer=(preserve("shop/till.py"),),
            implementer=([{"write": {"shop/till.py": "def total(prices):\n    return 0\n"}}],),
        ),
        Liar(
            "preserves-elsewhere",
            "says that no behaviour changes, and changes another file than it named",
            "implementation failed",
            events=("attempt_failed:gate_red:README.md",),
            test_writer=(preserve("shop/till.py"),),
            implementer=([{"write": {"README.md": "# Preserved\n"}}],),
        ),
        Liar(
            "preserves-by-word",
            "says that no behaviour changes, and changes what no test looks at: a person must",
            "landing weak_contract",
            events=("defended::of kind preserve",),
            test_writer=(preserve("shop/till.py"),),
            implementer=([sh("sed -i 's/RATE = 10/RATE = 11/' shop/till.py")],),
        ),
        Liar(
            "closes-others",
            "closes other beads in the tracker's file on its way",
            LANDED,
            test_writer=(
                [sh(f"sed -i s/open/closed/ {TRACKER}; git add -A"), *contract("closes-others")],
            ),
            implementer=(
                [sh(f"sed -i s/open/closed/ {TRACKER}; git commit -qam x"), code("closes-others")],
            ),
            check=nobody_was_closed,
        ),
    )
)


@pytest.mark.parametrize("row", CORPUS.rows, ids=lambda row: row.name)
def test_a_contract_that_proves_nothing_is_refused(outcome: Outcome, row: Liar) -> None:
    row_holds(outcome, row)


def test_nothing_of_those_contracts_is_left(outcome: Outcome) -> None:
    all_hold(outcome)
