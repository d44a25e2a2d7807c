"""What gates need from the rest of the house, as small as it gets."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from oya.gates.checks import Ran
from oya.gates.model import Evidence


@dataclass(frozen=True, slots=True)
class Job:
    """One gate to run: `ids` are asked for, `report` is the kind of report that is to come
    (of `reports.kinds.KINDS`; "": none).

    `moon`: its calls of moon are judged by moon's reports. `base`: the commit against which it
    is told to look for changes, and the judged tree of that; empty where it sees only a tree.
    """

    gate: str
    commands: tuple[str, ...]
    ids: tuple[str, ...] = ()
    report: str = ""
    exit_only: bool = False
    moon: bool = False
    base: str = ""
    base_tree: str = ""


class Runner(Protocol):
    """Runs commands on exact trees. A cancelled run leaves nothing.

    Raises ProcessError where a command cannot be started, what a checkout raises where the
    tree cannot be had; never for what a command does. Where the tree cannot be prepared, that is
    red evidence of a gate; a command has nothing to say then, and raises PrepareFailed.
    """

    @property
    def slots(self) -> int:
        """How many commands may run at once."""
        ...

    async def run(self, commit: str, tree: str, job: Job, key: str, *, urgent: bool) -> Evidence:
        """The commands of a gate in order, until the first red one; its evidence under `key`."""
        ...

    async def command(
        self, commit: str, line: str, *, timeout: float, ids: Sequence[str] | None = None
    ) -> Ran:
        """One line: a check, a challenge. It ends after `timeout` seconds at the latest.

        With `ids`, `{tests}` and `{report}` in it are filled in as for the tests gate.
        """
        ...


class SlotLike(Protocol):
    """A folder that holds exactly one tree; `index` becomes `OYA_SLOT`."""

    @property
    def path(self) -> Path: ...

    @property
    def index(self) -> int: ...


class Checkout(Protocol):
    """Gives out slots. How many there are bounds how many gates run at once."""

    @property
    def count(self) -> int: ...

    def checkout(
        self, commit: str, *, urgent: bool = False, strange: bool = False
    ) -> AbstractAsyncContextManager[SlotLike]:
        """Wait for a slot and put exactly the tree of `commit` there, for as long as it is held.
        NoSlot where none becomes free for long.
        PrepareFailed where what is to be done there before anything runs has failed.

        `urgent` is served before those who are not. `strange`: an agent wrote what is to run.

        Nothing of an earlier tree may be left, but for ignored folders that the user has named
        and only landed trees have written to; byte code included: Python trusts a `.pyc`
        by the source's size and its mtime in whole seconds, so a changed file of the same
        size, written within the same second, would be judged by its predecessor's code.
        """
        ...


class EvidenceBook(Protocol):
    """Where runs are noted and evidence is kept; rows are JSON values."""

    async def get(self, key: str) -> dict[str, Any] | None:
        """What was kept under a key."""
        ...

    async def record(self, evidence: Evidence, row: dict[str, Any] | None) -> None:
        """A gate has run: note it, and keep `row` under its key, in place of an earlier one.

        Both or neither; without a row the run is noted only.
        """
        ...


class Trees(Protocol):
    """Names what a gate judges."""

    async def judged_tree(self, commit: str) -> str:
        """The id of the commit's tree without the tracker's file, so that closing a bead
        does not make evidence void."""
        ...

    async def parent(self, commit: str) -> str | None:
        """The first parent; None for a root."""
        ...
