"""The mechanical part of the red queen: what oya itself finds in a change, before anybody is asked.

Nothing here is proof of a mistake. What the contract's tests do not notice may be needless, or
needless to test; so it goes back once at most, and never stays as a check.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from typing import Any

from oya.gates.ablation import LEVELS, changed_lines, different, drops
from oya.gates.checks import Ran, judge_check
from oya.gates.feedback import clip
from oya.gates.leaks import left_behind, watched
from oya.gates.model import Outcome, belongs, file_of, names_of
from oya.gates.mutation import mutants
from oya.gates.order import orders
from oya.gates.variant import Variant
from oya.repository.port import OYA
from oya.swarm.attempt import Attempt
from oya.swarm.contract import Contract

LOOKED = "looked:"
"""Checkpoints of beads whose implementations were looked at: what came of the last look."""
LEAST_SECONDS = 60.0
RUNS_LONG = 10
"""Seconds of test runs that a look may take: 60, or ten runs of the contract's tests, if more;
at most the timeout of a gate."""
ENOUGH = 5
"""Survivors after which the look ends: more are not read."""
ORDERS = 3
FILES = 30
ADDED = 200
_REGULAR = ("100644", "100755")
_OWN = (".oya", ".beads")


@dataclass(slots=True)
class Look:
    """What came of it: how many changed trees were `tried`, whether there was no room for `more`,
    the findings in words for implementer and reviewer, how many of them are `grave` enough to
    send the work back for, and `why` nothing was tried, if so."""

    commit: str
    contract: str
    tried: int = 0
    more: bool = False
    seconds: float = 0.0
    grave: int = 0
    why: str = ""
    survivors: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As it is kept, and stands in its event."""
        return {
            "commit": self.commit,
            "contract": self.contract,
            "tried": self.tried,
            "more": self.more,
            "seconds": self.seconds,
            "grave": self.grave,
            "why": self.why,
            "survivors": self.survivors,
        }


async def look(attempt: Attempt, contract: Contract) -> Look:
    """Look at the implementation under review; at each one once.

    Runs commands in slots and leaves no evidence. It takes `[review] variants` changed trees
    and ten runs' time at most. The result is an event, in the story of the bead.
    """
    parts, bead = attempt.parts, attempt.claim.bead
    commit = str(attempt.state.implementation)
    key = f"{LOOKED}{bead}"
    row = await parts.store.checkpoints.get(key)
    if row is not None and (row["commit"], row["contract"]) == (commit, contract.hash):
        return Look(**row)
    made = Look(commit, contract.hash)
    if parts.settings.review.variants:
        await _Looking(attempt, contract, made).go()
    else:
        made.why = "[review] variants is 0"
    made.seconds = round(made.seconds, 3)
    row = made.to_json()
    await parts.store.checkpoints.put(
        key,
        row,
        event="looked",
        swarm=parts.swarm,
        bead=bead,
        reason=made.why or None,
        data=row,
    )
    return made


class _Looking:
    def __init__(self, attempt: Attempt, contract: Contract, made: Look) -> None:
        self._attempt = attempt
        self._parts = attempt.parts
        self._contract = contract
        self._made = made
        self._most = attempt.parts.settings.quality_gates.timeout
        self._budget = 0.0
        self._timeout = self._most
        self._line = ""
        self._ids: tuple[str, ...] = ()
        self._limit = attempt.parts.settings.review.variants

    async def go(self) -> None:
        ids, line = self._contract.planned, self._parts.gates.tests_line
        if not ids or line is None:
            self._made.why = "the contract has no tests that could be run alone"
            return
        self._ids, self._line = (*ids, *await self._added()), line
        if await self._order_and_leaks(self._ids):
            await self._variants()

    async def _order_and_leaks(self, ids: Sequence[str]) -> bool:
        """Look at the order of the tests, and at what they leave; whether they are green."""
        in_order = self._parts.gates.tests_in_order
        others = orders(ids, self._contract.hash, ORDERS) if in_order else []
        first = await self._run(self._made.commit, others[0] if others else ids, watch=True)
        self._budget = min(max(LEAST_SECONDS, RUNS_LONG * first.seconds), self._most)
        self._timeout = min(5.0 + 5 * first.seconds, self._most)
        if not judge_check(first, 0):
            again = await self._run(self._made.commit, ids)
            if not others or not judge_check(again, 0):
                self._made.why = "the contract's tests are not green when they run alone"
                return False
            self._out_of_order(others[0], first)
        for left in left_behind(first.tail):
            self._found(_leak(left))
        for order in others[1 : self._limit]:
            ran = await self._run(self._made.commit, order)
            if not judge_check(ran, 0):
                self._out_of_order(order, ran)
                break
        return True

    def _out_of_order(self, order: Sequence[str], ran: Ran) -> None:
        named = ", ".join(order[:10]) + (" …" if len(order) > 10 else "")
        self._found(
            f"the contract's tests pass in their own order and fail in this one: {named}. Does "
            f"state outlive a call that should not?\n{clip(ran.tail, 1500)}"
        )

    def _found(self, words: str, *, grave: bool = True) -> None:
        self._made.survivors.append(words)
        self._made.grave += grave

    async def _variants(self) -> None:
        made, survived = self._made, list[Variant]()
        async for variant in self._chosen():
            if any(variant.within(other) for other in survived):
                continue
            if made.tried >= self._limit or made.seconds >= self._budget or len(survived) >= ENOUGH:
                made.more = True
                break
            made.tried += 1
            if await self._survives(variant):
                survived.append(variant)
        for variant in survived:
            self._found(_unnoticed(variant), grave=not variant.slight)

    async def _survives(self, variant: Variant) -> bool:
        """Whether every test passes on it: the contract's, then the others if there is time."""
        repo, commit = self._parts.repo, self._made.commit
        tree = await repo.write_tree(await repo.tree_of(commit), {variant.path: variant.data})
        changed = await repo.commit_tree(tree, (commit,), f"Without: {variant.where}", author=OYA)
        if not judge_check(await self._run(changed, self._ids), 0):
            return False
        whole = await self._parts.gates.tests(commit)
        if self._made.seconds + whole.seconds > self._budget:
            return True
        return judge_check(await self._run(changed, (), more=whole.seconds * 5), 0)

    async def _run(
        self, commit: str, ids: Sequence[str], *, watch: bool = False, more: float = 0.0
    ) -> Ran:
        line = watched(self._line) if watch else self._line
        timeout = self._timeout + more
        ran = await self._parts.gates.command(commit, line, timeout=timeout, ids=ids)
        self._parts.meter.add("gates", ran.seconds, ran.cpu_seconds)
        self._made.seconds += ran.seconds
        return ran

    async def _chosen(self) -> AsyncIterator[Variant]:
        """Every variant there is, mutation and ablation in turn, each the most telling first."""
        levels: list[list[Iterator[Variant]]] = [[] for _ in range(LEVELS)]
        mutated: list[Iterator[Variant]] = []
        files: dict[str, bytes] = {}
        for path in await self._files():
            before = await self._parts.repo.read_file(self._attempt.base, path)
            after = await self._parts.repo.read_file(self._made.commit, path) or b""
            files[path] = after
            for level, found in zip(levels, drops(path, before, after), strict=True):
                level.append(found)
            lines = changed_lines(path, before, after)
            mutated.append(mutants(path, after, lines, self._contract.hash))
            await asyncio.sleep(0)  # each file takes a moment of the whole daemon's
        first, *rest = (chain(*level) for level in levels)
        for pair in zip_longest(_in_turn(mutated), chain(_unless_alone(first), *rest)):
            for variant in pair:
                if variant is not None and different(variant, files[variant.path]):
                    yield variant
            await asyncio.sleep(0)

    async def _files(self) -> list[str]:
        kept = {*self._contract.frozen, *self._contract.test_files}
        return [
            change.path
            for change in await self._parts.repo.diff(self._attempt.base, self._made.commit)
            if change.mode in _REGULAR
            and change.path not in kept
            and change.path.partition("/")[0] not in _OWN
        ][:FILES]

    async def _added(self) -> tuple[str, ...]:
        """Tests that the implementer has added: what they hold is tested, too."""
        gates, planned = self._parts.gates, frozenset(self._contract.planned)
        before = (await gates.tests(self._attempt.base)).report
        after = (await gates.tests(self._made.commit)).report
        if before is None or after is None:
            return ()
        known = {case.id for case in before.cases}
        theirs = {name for file in self._contract.test_files for name in names_of(file)}
        return tuple(
            case.id
            for case in after.cases
            if case.outcome is Outcome.PASSED
            and case.id not in known
            and file_of(case.id) not in theirs
            and not belongs(case.id, planned)
        )[:ADDED]


def _unless_alone(hunks: Iterator[Variant]) -> Iterator[Variant]:
    """Whole hunks. All of them left out is the contract, and that was red."""
    first = list(islice(hunks, 2))
    return chain(first, hunks) if len(first) > 1 else iter(())


def _in_turn(sources: list[Iterator[Variant]]) -> Iterator[Variant]:
    """One of each, then a second one of each, and so on."""
    for row in zip_longest(*sources):
        yield from (variant for variant in row if variant is not None)


def _unnoticed(variant: Variant) -> str:
    return (
        f"{variant.where}: with this {variant.how}, every test still passes. Take it out if "
        "nothing needs it, or hold it by a test of your own in a new file; if it is right as it "
        f"is, leave it.\n{variant.shown}"
    )


def _leak(left: str) -> str:
    what, _, name = left.partition(" ")
    if what == "file":
        return f"the contract's tests leave a file in the checkout that git does not ignore: {name}"
    return f"the contract's tests leave a process running: {name}"
