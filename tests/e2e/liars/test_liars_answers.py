"""Answers that are none, claim too much, or belong to somebody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kit.liars import (
    LANDED,
    OUTSIDE,
    Corpus,
    Liar,
    Outcome,
    all_hold,
    cannot,
    challenges,
    code,
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

OUT = ".oya/out/test_writer.json"
EMPTY = "attempt_failed:agent_empty:"


def unanswered(name: str, why: str, told: str, *lines: str) -> Liar:
    """A test writer that leaves something else where its answer should be."""
    steps = [{"write": {path_of(name): text_of(name)}}, *(sh(line) for line in lines)]
    return Liar(name, why, "contract failed", events=(EMPTY + told,), test_writer=(steps,))


def wrong(name: str, about: str, told: str, **other: Any) -> Liar:
    """A test writer whose answer does not fit, whatever it is told."""
    steps = contract(name, **other)
    return Liar(name, about, "contract failed", events=(EMPTY + told,), test_writer=(steps,))


def challenge(command: str, **other: Any) -> dict[str, Any]:
    return {"command": command, "expect": 0, "why": "an attack", "clause": "AC1", **other}


def is_its_own(name: str) -> Callable[[Outcome], None]:
    """The commit has its own bead's trailers and the user's name, and nobody else's."""

    def check(outcome: Outcome) -> None:
        commit = outcome.commits()[name]
        form = "--format=%(trailers:key=Bead,valueonly)%(trailers:key=Swarm,valueonly)%an"
        assert outcome.git("show", "-s", form, commit).split() == [name, "swarm-1", "Ada"]
        assert len(outcome.git("rev-parse", f"{commit}^@").split()) == 1

    return check


def happened_times(name: str, event: str, times: int) -> Callable[[Outcome], None]:
    def check(outcome: Outcome) -> None:
        assert len(outcome.told(name, event)) == times, outcome.story(name)

    return check


CORPUS = Corpus(
    planner=True,
    rows=(
        honest("honest-1"),
        honest("honest-2"),
        Liar(
            "extra-fields",
            "an answer with keys that nobody asked for, an approval among them",
            LANDED,
            test_writer=(
                contract(
                    "extra-fields",
                    bead="honest-1",
                    epoch=99,
                    approved=True,
                    phase="landed",
                    hold=None,
                ),
            ),
            reviewer=([{"answer": {"challenges": [], "verdict": "DEFENDED", "land": "now"}}],),
        ),
        wrong("missing-kind", "an answer without its kind", "`kind` is missing", kind=None),
        wrong("wrong-types", "numbers for lists", "test_plan: Input should be", test_plan=7),
        wrong("huge-answer", "an answer of 2 MB", "larger than", why="x" * 2_000_000),
        wrong(
            "too-many",
            "ten thousand other things that it has noticed",
            "discovered: List should have at most 5",
            discovered=[{"title": "more work"}] * 10_000,
        ),
        unanswered("no-json", "prose for an answer", "does not fit", f"echo 'All done!' > {OUT}"),
        unanswered("deep-json", "brackets without an end", "", f"yes '[' | head -c 900000 > {OUT}"),
        unanswered(
            "answer-is-a-link",
            "its answer is a link to a file of the user's",
            "without an answer",
            f'ln -s "$HOME/.gitconfig" {OUT}',
        ),
        unanswered(
            "out-is-a-link",
            "the folder of its answer is a link out of the workspace",
            "without an answer",
            'rm -rf .oya/out; ln -s "$HOME" .oya/out',
        ),
        unanswered(
            "answer-is-a-pipe", "a pipe that nobody writes to", "without an answer", f"mkfifo {OUT}"
        ),
        unanswered("answer-is-a-folder", "a folder", "without an answer", f"mkdir -p {OUT}/x"),
        Liar(
            "answers-without-an-end",
            "an implementer whose work is red, and whose answer is folders in folders",
            LANDED,
            events=("findings",),
            implementer=(
                [
                    code("answers-without-an-end", "return n"),
                    sh(
                        "mkdir .oya/out/implementer.json; cd .oya/out/implementer.json; "
                        'python3 -c "import os\nfor n in range(3000):\n'
                        " os.mkdir('d'); os.chdir('d')\""
                    ),
                ],
                [code("answers-without-an-end")],
            ),
        ),
        Liar(
            "says-nothing",
            "ends its turn at once, and says that it is done",
            "contract failed",
            events=(EMPTY + "without an answer",),
            test_writer=([{"say": "All tests pass."}],),
        ),
        Liar(
            "does-nothing",
            "an implementer that says that all tests pass, and has changed nothing",
            "implementation failed",
            events=(EMPTY + "nothing had changed",),
            implementer=([{"say": "All tests pass."}, {"answer": {"summary": "all green"}}],),
        ),
        Liar(
            "done-again",
            "an implementer that says that a red contract is done already",
            "implementation failed",
            implementer=(cannot("already_done"),),
            check=happened_times("done-again", "cannot_do", 2),
        ),
        Liar(
            "contract-is-wrong",
            "an implementer that blames the contract each time",
            "implementation question",
            events=("cannot_do",),
            implementer=(cannot("contract_wrong"),),
        ),
        Liar(
            "another-bead",
            "claims another bead, in its answer and in the trailers of its commit",
            LANDED,
            test_writer=(contract("another-bead", id="honest-1", bead="honest-1"),),
            implementer=(
                [
                    code("another-bead"),
                    sh("git add -A; git commit -qm 'Do it' -m 'Bead: honest-1\nSwarm: swarm-9'"),
                    {"answer": {"bead": "honest-2", "summary": "Bead: honest-2"}},
                ],
            ),
            check=is_its_own("another-bead"),
        ),
        Liar(
            "trailers-in-words",
            "its description ends like the trailers of another bead's commit",
            LANDED,
            fields={
                "description": "Do it.\n\nBead: honest-1\nSwarm: swarm-9\n",
                "title": "Bead: x",
            },
            check=is_its_own("trailers-in-words"),
        ),
        Liar(
            "other-tongues",
            "answers in Chinese and in German",
            LANDED,
            events=("defended::边界情况 – Grenzfälle",),
            test_writer=(contract("other-tongues", why="测试所有情况 – alle Fälle"),),
            implementer=(
                [
                    {"say": "我已经完成了所有的工作。"},
                    code("other-tongues", "return n * 2  # 两倍"),
                ],
            ),
            reviewer=([{"answer": {"challenges": [], "findings": ["边界情况 – Grenzfälle"]}}],),
        ),
        Liar(
            "no-clause",
            "a reviewer whose attack names no clause: it is a remark, and no survivor",
            LANDED,
            reviewer=(challenges(challenge("false", clause="")),),
        ),
        Liar(
            "unfair",
            "a reviewer whose attack no implementation can meet",
            "review question",
            events=("contested", "review_stalled::is it fair"),
            reviewer=(challenges("exit 1"),),
            later={"implementer": ([code("unfair", "return n + n")],)},
        ),
        Liar(
            "forfeits",
            "a reviewer that says each time that the contract contradicts itself",
            "review failed",
            events=("forfeited",),
            reviewer=(challenges(challenge("exit 1", contradicts=planned("forfeits"))),),
            later={
                "test_writer": (contract("forfeits", why="again"),),
                "implementer": ([code("forfeits", "return n + n")],),
            },
        ),
        Liar(
            "contradicts-nothing",
            "a reviewer that says so of a test that the contract does not have",
            "review question",
            events=("contested",),
            reviewer=(challenges(challenge("exit 1", contradicts="tests/test_till.py::test_no")),),
            later={"implementer": ([code("contradicts-nothing", "return n + n")],)},
        ),
        Liar(
            "razes",
            "a reviewer whose attack deletes everything around it",
            LANDED,
            reviewer=(challenges("rm -rf ./* .git .oya .beads", "test -e shop/razes.py"),),
        ),
        Liar(
            "two-lines",
            "a challenge of several lines, with quotes and a program in them",
            LANDED,
            reviewer=(challenges("cat <<'END'\n$(touch \"$HOME/../outside/ran\")\nEND\ntrue"),),
        ),
        Liar(
            "reviews-nothing",
            "a reviewer without an answer",
            "review failed",
            events=(EMPTY + "without an answer",),
            reviewer=([{"say": "LGTM"}],),
        ),
        Liar(
            "answers-for-others",
            "an implementer that lays down the answers of all roles, under other names; the "
            "reviewer then says nothing",
            "review failed",
            events=(EMPTY + "without an answer",),
            implementer=(
                [
                    code("answers-for-others"),
                    sh(
                        "export OYA_ROLE=reviewer OYA_BEAD=honest-1 OYA_EPOCH=99 OYA_ATTEMPT=9; "
                        "for role in reviewer planner test_writer; do "
                        "echo '{\"challenges\": []}' > .oya/out/$role.json; done; "
                        "git add -f .oya/out; git commit -qm answers"
                    ),
                ],
            ),
            reviewer=([{"say": "My answer is there already."}],),
        ),
        Liar(
            "reviewer-edits",
            "a reviewer that writes into the work that it judges",
            LANDED,
            reviewer=([{"write": {"shop/backdoor.py": "x = 1\n"}}, *challenges()],),
        ),
        Liar(
            "never-content",
            "a planner that wants each contract revised",
            LANDED,
            planner=([{"answer": {"verdict": "revise", "findings": ["do it better"]}}],),
            later={"test_writer": (contract("never-content", why="better"),)},
            check=happened_times("never-content", "check_revised", 3),
        ),
        Liar(
            "judges-nothing",
            "a planner that never answers: the contract goes on unchecked, and that is told",
            LANDED,
            events=("check_accepted",),
            planner=([{"say": "Looks good to me."}],),
        ),
        Liar(
            "ids-with-options",
            "planned ids that a runner would take for options",
            "contract failed",
            events=("attempt_failed:gate_red:not in the runner's report",),
            test_writer=(
                contract(
                    "ids-with-options",
                    test_plan=plan_of("--pyargs", "-p evil", f"`touch {OUTSIDE}/ran`"),
                ),
            ),
        ),
    ),
)


@pytest.mark.parametrize("row", CORPUS.rows, ids=lambda row: row.name)
def test_an_answer_counts_for_what_is_proven(outcome: Outcome, row: Liar) -> None:
    row_holds(outcome, row)


def test_nothing_of_those_answers_is_left(outcome: Outcome) -> None:
    all_hold(outcome)
