"""A reviewer's challenges: which are run, which survive, and what becomes of a bead then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from review_kit import Review
from swarm_kit import issue

from oya.agents.answers import Challenge
from oya.gates.checks import Ran
from oya.lifecycle.events import Contested, Defended, Forfeited, ReviewStalled
from oya.lifecycle.model import Check
from oya.swarm.challenges import MOST, Doubts, Tried, names_clause, try_all
from oya.swarm.judgement import failing_checks

HELD: dict[str, str | None] = {"new.py": "def double(n):\n    return n * 2\n", "here.txt": "x\n"}
NONE: dict[str, Any] = {"challenges": []}


@pytest.fixture
async def review(tmp_path: Path) -> AsyncIterator[Review]:
    answer = {"postconditions": ["it doubles"], "invariants": ["old stays"]}
    about = {"answer": {**answer, "error_variants": ["NotANumber"]}}
    async with Review.of(tmp_path, HELD, review="variants = 0", **about) as review:
        yield review


def challenge(command: str, **fields: Any) -> dict[str, Any]:
    return {"command": command, "why": "it has to", "clause": "P1", **fields}


async def tried(review: Review, *challenges: dict[str, Any]) -> Tried:
    made = [Challenge.model_validate(one) for one in challenges]
    return await try_all(review.attempt(), review.contract, made, Doubts(review.contract.hash))


async def test_unexpected_twice_it_survives(review: Review) -> None:
    made = await tried(
        review,
        challenge("test -e here.txt"),
        challenge("test -e here.txt", expect=1),
        challenge("exit 3", expect=3),
        challenge("echo the same; exit 1"),
    )
    assert [(s.challenge.command, s.challenge.expect, s.same) for s in made.survivors] == [
        ("test -e here.txt", 1, False),
        ("echo the same; exit 1", 0, True),
    ]
    assert made.findings == []


@pytest.mark.parametrize("clause", ["", "AC1", "P2", "P0", "whatever", "tests/test_new.py"])
async def test_without_a_clause_of_the_contract_it_is_a_finding(
    review: Review, clause: str
) -> None:
    made = await tried(review, challenge("exit 1", clause=clause))
    assert (made.survivors, made.findings) == (
        [],
        ["not run, names no clause of the contract: it has to"],
    )
    assert review.commands == []


@pytest.mark.parametrize(
    "clause",
    [
        *("P1", "P1: it doubles", "(I1)", "it doubles", " NotANumber ", "old stays"),
        *("tests/test_new.py::test_double", "tests/test_new.py::test_double[0] too"),
    ],
)
async def test_what_may_be_named(review: Review, clause: str) -> None:
    assert await names_clause(review.attempt(), review.contract, clause)


async def test_acceptance_criteria_are_those_of_the_bead(review: Review) -> None:
    row = issue("a", acceptance_criteria="one\n\ntwo\n")
    review.world.backlog(row)
    await review.world.tracking.refresh()
    said = [await names_clause(review.attempt(), review.contract, f"AC{n}") for n in range(4)]
    assert said == [False, True, True, False]


async def test_a_contract_without_tests_may_be_named_by_its_checks(review: Review) -> None:
    checks = replace(review.contract, checks=(Check("make lint", 0, "no warnings"),), answer={})
    for clause, there in (("make lint", True), ("no warnings", True), ("P1", False)):
        assert await names_clause(review.attempt(), checks, clause) is there, clause


async def test_another_result_the_second_time_is_no_survivor(
    review: Review, tmp_path: Path
) -> None:
    once = f"test -e {tmp_path}/ran || {{ touch {tmp_path}/ran; exit 1; }}"
    codes = f"echo x >> {tmp_path}/count; exit $(wc -l < {tmp_path}/count)"
    made = await tried(review, challenge(once), challenge(codes))
    assert made.survivors == []
    assert [said.partition(":")[0] for said in made.findings] == [
        "gives another result each time (exit 1, then exit 0)",
        "gives another result each time (exit 1, then exit 2)",
    ]


async def test_a_test_of_go_is_told_from_a_base_on_which_it_does_not_compile(
    review: Review,
) -> None:
    how = "test -e here.txt && echo 'FAIL shop 0.003s' || echo 'FAIL shop [build failed]'"
    made = await tried(
        review,
        challenge(f"{how}; echo FAIL; exit 1"),
        challenge("echo 'FAIL shop 0.003s'; echo FAIL; exit 1"),
    )
    assert [survivor.same for survivor in made.survivors] == [False, True]


def never_ends(review: Review, *commits: str | None) -> list[float]:
    """Every command on these commits is cut short; the timeouts that all were given."""
    run, given = review.world.parts.gates.command, list[float]()

    async def command(commit: str, line: str, *, timeout: float) -> Ran:
        given.append(timeout)
        if commit in commits:
            return Ran(None, "", "", timed_out=True, seconds=timeout)
        return await run(commit, line, timeout=timeout)

    review.world.parts.gates.command = command  # type: ignore[method-assign, assignment]
    return given


async def test_what_ends_on_neither_tree_is_no_survivor(review: Review) -> None:
    """As a permanent check it could never hold: the bead would not land."""
    given = never_ends(review, review.state.implementation, review.state.base)
    made = await tried(review, challenge("true"))
    assert (made.survivors, len(given)) == ([], 2)
    assert made.findings == [
        "was still running after 300 s on the base as on the work: `true`",
    ]


async def test_what_does_not_end_on_the_work_alone_is_a_defect(review: Review) -> None:
    given = never_ends(review, review.state.implementation)
    result = await review.work(review.attempt({"challenges": [challenge("true")]}))
    assert isinstance(result.event, Contested)
    assert "`true` was still running after 300 s, expected 0" in result.event.survivors[0]
    assert result.event.checks == (Check("true", 0, "P1"),)

    (check,) = result.event.checks
    findings = await failing_checks(review.world.parts, str(review.state.implementation), [check])
    assert findings[0].startswith("`true` was still running after 300 s, expected 0")
    assert set(given) == {300.0}, "a permanent check has the time of a challenge, and no more"


async def test_an_end_by_a_signal_is_another_result_than_none(review: Review) -> None:
    ends = iter([Ran(None, "", "", timed_out=True), Ran(0, "", ""), Ran(None, "", "")])

    async def command(commit: str, line: str, *, timeout: float) -> Ran:
        return next(ends)

    review.world.parts.gates.command = command  # type: ignore[method-assign, assignment]
    made = await tried(review, challenge("true"))
    assert made.survivors == []
    assert made.findings == ["gives another result each time (no end, then a signal): `true`"]


async def test_a_program_that_is_not_there_is_a_finding_unless_it_is_meant(review: Review) -> None:
    made = await tried(
        review, challenge("no-such-program"), challenge("no-such-program", expect=127)
    )
    assert made.survivors == []
    (said,) = made.findings
    assert said.startswith("names a program that is not there: `no-such-program`")


async def test_at_most_so_many_are_run(review: Review) -> None:
    made = await tried(review, *(challenge(f"exit {n}", expect=n) for n in range(MOST + 2)))
    assert len(review.commands) == MOST
    assert made.findings == [
        f"not run, there was no room for more: `exit {n}`" for n in (MOST, MOST + 1)
    ]


async def test_no_more_are_run_when_the_time_of_a_gate_is_over(review: Review) -> None:
    clock = review.world.clock
    run = review.world.parts.gates.command

    async def slow(commit: str, line: str, *, timeout: float) -> Any:
        clock.ahead += 1801.0
        return await run(commit, line, timeout=timeout)

    review.world.parts.gates.command = slow  # type: ignore[method-assign]
    made = await tried(review, challenge("true"), challenge("exit 1"))
    assert made.findings == ["not run, there was no room for more: `exit 1`"]


async def test_what_a_challenge_does_to_its_slot_is_gone_before_the_next(review: Review) -> None:
    made = await tried(
        review,
        challenge("rm here.txt; touch new.txt"),
        challenge("test -e here.txt -a ! -e new.txt"),
    )
    assert (made.survivors, made.findings) == ([], [])


async def test_a_survivor_becomes_a_permanent_check(review: Review) -> None:
    attempt = review.attempt({"challenges": [challenge("test ! -e here.txt"), challenge("true")]})
    result = await review.work(attempt)
    assert isinstance(result.event, Contested)
    assert result.event.checks == (Check("test ! -e here.txt", 0, "P1"),)
    assert "P1: it has to\n`test ! -e here.txt` exits 1, expected 0" in result.event.survivors[0]


async def test_a_survivor_that_contradicts_a_test_is_forfeit(review: Review) -> None:
    test = "tests/test_new.py::test_double"
    unlike = challenge("test ! -e here.txt", contradicts="tests/test_new.py::test_other")
    assert isinstance(
        (await review.work(review.attempt({"challenges": [unlike]}))).event, Contested
    )
    like = challenge("test ! -e here.txt", contradicts=test)
    result = await review.work(review.attempt({"challenges": [like]}))
    assert isinstance(result.event, Forfeited)
    assert result.event.contradiction.startswith(f"contradicts {test}: P1: it has to")


async def test_without_a_survivor_it_is_defended_and_the_remarks_are_kept(review: Review) -> None:
    answer = {"challenges": [challenge("true"), challenge("x", clause="")], "findings": ["hm"]}
    result = await review.work(review.attempt(answer))
    assert isinstance(result.event, Defended)
    assert result.data["findings"] == ["hm", "not run, names no clause of the contract: it has to"]


async def test_what_cannot_be_told_from_the_base_has_one_round_and_is_then_asked(
    review: Review,
) -> None:
    """oya runs it again by itself: another session would hardly word it alike."""
    first = await review.work(review.attempt({"challenges": [challenge("exit 1")]}))
    assert isinstance(first.event, Contested)
    assert first.event.checks == ()

    second = review.attempt(NONE)
    result = await review.work(second)
    assert isinstance(result.event, ReviewStalled)
    assert "`exit 1` exits 1, expected 0" in result.event.question
    assert second.prompts == []

    retried = review.attempt({"challenges": [challenge("exit 1")]})
    result = await review.work(retried)
    assert isinstance(result.event, Defended)
    assert result.data["findings"] == ["not run, a person was asked about it: `exit 1`"]


async def test_what_the_next_implementation_has_mended_is_forgotten(review: Review) -> None:
    asked = "test -e mended.txt"
    await review.work(review.attempt({"challenges": [challenge(asked)]}))
    mended = await review.world.made(str(review.state.implementation), {"mended.txt": "x\n"})
    result = await review.work(review.attempt(NONE, implementation=mended))
    assert isinstance(result.event, Defended)


async def test_a_new_contract_has_doubts_of_its_own(review: Review) -> None:
    await review.work(review.attempt({"challenges": [challenge("exit 1")]}))
    anew = replace(review.contract, fail_to_pass=("tests/test_new.py::test_other",))
    doubts = await Doubts.of(review.attempt(), anew)
    assert (doubts.open, doubts.asked) == ((), ())


async def test_mechanical_findings_send_the_work_back_before_anybody_is_asked(
    tmp_path: Path,
) -> None:
    work: dict[str, str | None] = {
        "new.py": "def double(n):\n    if n < 0:\n        raise ValueError\n    return n * 2\n"
    }
    async with Review.of(tmp_path, work, review="variants = 1") as review:
        attempt = review.attempt()
        result = await review.work(attempt)
        assert isinstance(result.event, Contested)
        assert (result.event.mechanical, result.event.checks, attempt.prompts) == (True, (), [])
        (said,) = result.event.survivors

        for about in ({"hinted": review.state.contract}, {"contests": 3}):
            again = review.attempt(NONE, **about)
            result = await review.work(again)
            assert isinstance(result.event, Defended)
            assert "## What no test notices (found by running it)" in again.prompts[0]
            assert said in again.prompts[0]


async def test_each_generation_hears_that_none_of_the_last_survived(tmp_path: Path) -> None:
    config = "variants = 0\nrounds = 2"
    async with Review.of(tmp_path, HELD, review=config, answer={"postconditions": ["x"]}) as review:
        answers = ({"challenges": [challenge("true"), challenge("x", clause="?")]}, NONE)
        attempt = review.attempt(*answers)
        assert isinstance((await review.work(attempt)).event, Defended)
        assert "none of your challenges survived" in attempt.prompts[1]
        assert "names no clause" in attempt.prompts[1]
