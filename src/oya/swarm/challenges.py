"""Challenges: a reviewer's commands are run on the work and its base, and judged by exit codes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from oya.agents.answers import Challenge
from oya.gates.checks import Ran, judge_check, same_result
from oya.gates.feedback import clip
from oya.gates.model import belongs
from oya.lifecycle.model import Check
from oya.store.engine import Put
from oya.swarm.attempt import Attempt
from oya.swarm.contract import Contract

SURVIVED = "survived:"
"""Checkpoints of beads whose reviewers' challenges could not be told from the base."""
MOST = 20
"""Challenges of one answer that are run."""
_NO_PROGRAM = (126, 127)
_NUMBERED = re.compile(r"\b(AC|P|I)(\d+)\b")
_SHOWN = 1_500
_NAMED = 200


@dataclass(frozen=True, slots=True)
class Survivor:
    """A challenge whose result was not as expected, twice. `same`: just so on the base."""

    challenge: Challenge
    ran: Ran
    same: bool

    @property
    def words(self) -> str:
        """For the implementer."""
        challenge, ran = self.challenge, self.ran
        how = "ends by a signal" if ran.exit is None else f"exits {ran.exit}"
        how = f"was still running after {ran.seconds:.0f} s" if ran.timed_out else how
        return (
            f"{clip(challenge.clause, _NAMED)}: {clip(challenge.why, _SHOWN)}\n"
            f"`{clip(challenge.command, _SHOWN)}` {how}, expected {challenge.expect}:\n"
            f"{ran.tail[-_SHOWN:]}"
        )

    @property
    def check(self) -> Check:
        """What becomes of it if it is told from the base."""
        challenge = self.challenge
        return Check(challenge.command, challenge.expect, challenge.clause)


@dataclass(slots=True)
class Tried:
    """What came of challenges. `findings` are remarks about those that are no survivors."""

    survivors: list[Survivor] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Doubts:
    """Challenges that gave on the work what they give on its base, so that nobody can tell
    whether they are fair. `open` wait for the next implementation; about the commands that are
    `asked` a person has been asked, and they count no more."""

    contract: str
    open: tuple[Challenge, ...] = ()
    asked: tuple[str, ...] = ()

    @classmethod
    async def of(cls, attempt: Attempt, contract: Contract) -> Doubts:
        """Those about the work for this contract."""
        row = await attempt.parts.store.checkpoints.get(_key(attempt))
        if row is None or row.get("contract") != contract.hash:
            return cls(contract.hash)
        waiting = tuple(Challenge.model_validate(one) for one in row["open"])
        return cls(contract.hash, waiting, tuple(row["asked"]))

    def put(self, attempt: Attempt) -> Put:
        """The write that keeps them."""
        row: dict[str, Any] = {
            "contract": self.contract,
            "open": [challenge.model_dump() for challenge in self.open],
            "asked": list(self.asked),
        }
        return Put("checkpoints", _key(attempt), row)


def _key(attempt: Attempt) -> str:
    return f"{SURVIVED}{attempt.claim.bead}"


async def try_all(
    attempt: Attempt, contract: Contract, challenges: Sequence[Challenge], doubts: Doubts
) -> Tried:
    """Run challenges, at most 20 of them and for as long as a gate may take.

    Each runs in a slot on the implementation, one with an unexpected result again, and on the
    base. Without a clause of the contract it is not run. What gives another result the second
    time, lacks its program, or ends on neither tree, is a finding.
    """
    tried, clock = Tried(), attempt.parts.clock
    until = clock.monotonic() + attempt.parts.settings.quality_gates.timeout
    ran = 0
    for challenge in challenges:
        command = clip(challenge.command, _NAMED)
        if challenge.command in doubts.asked:
            tried.findings.append(f"not run, a person was asked about it: `{command}`")
        elif not await names_clause(attempt, contract, challenge.clause):
            said = challenge.why or command
            tried.findings.append(f"not run, names no clause of the contract: {said}")
        elif ran >= MOST or clock.monotonic() >= until:
            tried.findings.append(f"not run, there was no room for more: `{command}`")
        else:
            ran += 1
            await _try(attempt, challenge, tried)
    return tried


async def _try(attempt: Attempt, challenge: Challenge, tried: Tried) -> None:
    run, commit = attempt.parts.check, str(attempt.state.implementation)
    first = await run(commit, challenge.command)
    if judge_check(first, challenge.expect):
        return
    command = clip(challenge.command, _NAMED)
    if first.exit in _NO_PROGRAM:
        tried.findings.append(f"names a program that is not there: `{command}`: {first.last_line}")
        return
    base = await run(attempt.base, challenge.command) if first.timed_out else None
    if base is not None and base.timed_out:
        # As a permanent check it would cost its time on every tree, and hold on none.
        said = f"was still running after {base.seconds:.0f} s on the base as on the work"
        tried.findings.append(f"{said}: `{command}`")
        return
    again = await run(commit, challenge.command)
    if (again.exit, again.timed_out) != (first.exit, first.timed_out):
        codes = f"{_exit(first)}, then {_exit(again)}"
        tried.findings.append(f"gives another result each time ({codes}): `{command}`")
        return
    base = base or await run(attempt.base, challenge.command)
    tried.survivors.append(Survivor(challenge, again, same_result(base, again)))


def _exit(ran: Ran) -> str:
    if ran.timed_out:
        return "no end"
    return "a signal" if ran.exit is None else f"exit {ran.exit}"


async def names_clause(attempt: Attempt, contract: Contract, clause: str) -> bool:
    """Whether a clause is one that can be tested: a criterion (AC1…), a postcondition (P1…), an
    invariant (I1…) or its text, an error variant, or a planned test.

    For a contract without tests its checks count, too.
    """
    said, answer = clause.strip(), contract.answer
    criteria = attempt.parts.board.bead(attempt.claim.bead).criteria
    lists = {
        "AC": criteria,
        "P": answer.get("postconditions", ()),
        "I": answer.get("invariants", ()),
    }
    if any(0 < int(n[:9]) <= len(lists[kind]) for kind, n in _NUMBERED.findall(said)):
        return True
    texts = {text.strip() for texts in lists.values() for text in texts}
    texts |= {error.strip() for error in answer.get("error_variants", ())}
    texts |= {check.clause.strip() for check in contract.checks}
    texts |= {check.command.strip() for check in contract.checks}
    if said in texts - {""}:
        return True
    return bool(said) and contradicts(contract, said.split()[0])


def contradicts(contract: Contract, test: str | None) -> bool:
    """Whether that is a test of the contract, or one of its cases."""
    return test is not None and belongs(test, frozenset(contract.planned))
