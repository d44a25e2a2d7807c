"""Gates on request: while a turn is open, its agent may ask what a gate says of its work now.

What it is told is evidence like any other, made in a slot when one is free. It judges
nothing; but where the agent changes nothing more, the attempt's own gate finds it by key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog

from oya.agents.gate_requests import GateRequest, GateRequests
from oya.errors import OyaError
from oya.gates.feedback import feedback
from oya.gates.model import Evidence
from oya.repository.port import Head, Workspace
from oya.swarm.assembly import Parts

log = structlog.get_logger()

LOOK = 0.25
"""Seconds between two looks for a request."""
BEAT = 5.0
"""Seconds between two signs of life while a gate runs or waits for a slot."""
MOST = 30
"""Requests of one attempt that are answered with a verdict."""


NAMED = 20
"""Paths that are left out and named."""


class GateDesk:
    """Answers the requests of one attempt, one at a time, in `serving`."""

    def __init__(self, parts: Parts, requests: GateRequests, workspace: Workspace) -> None:
        self._parts = parts
        self._requests = requests
        self._workspace = workspace
        self._asked = 0
        self._seconds = 0.0
        self._since: float | None = None

    def stood(self) -> float:
        """Seconds for which gates ran or waited for a slot so far: the clock of an attempt
        stands meanwhile."""
        now = self._parts.clock.monotonic()
        return self._seconds + (0.0 if self._since is None else now - self._since)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Requests are answered for as long as the block; a gate that runs at its end is ended."""
        path = self._workspace.path
        await asyncio.to_thread(self._requests.listen, path)
        serving = asyncio.ensure_future(self._serve())
        try:
            yield
        finally:
            serving.cancel()
            await asyncio.wait((serving,))
            await asyncio.to_thread(self._requests.close, path)
            if not serving.cancelled() and (error := serving.exception()):
                log.error("gates on request ended", workspace=str(path), error=str(error))

    async def _serve(self) -> None:
        while True:
            request = await asyncio.to_thread(self._requests.take, self._workspace.path)
            if request is None:
                await self._parts.clock.sleep(LOOK)
            else:
                await self._answer(request)

    async def _answer(self, request: GateRequest) -> None:
        self._asked += 1
        self._since = self._parts.clock.monotonic()
        try:
            ok, text = await self._verdict(request)
        finally:
            self._seconds, self._since = self.stood(), None
        say = partial(self._requests.answer, self._workspace.path, request.id, ok=ok, text=text)
        await asyncio.to_thread(say)

    async def _verdict(self, request: GateRequest) -> tuple[bool | None, str]:
        if self._asked > MOST:
            said = f"{MOST} gates were run for this attempt: that is all; finish your work"
            return None, said
        try:
            return await self._watched(request.gate)
        except (OyaError, OSError) as error:
            return None, f"no verdict: {error}"

    async def _watched(self, gate: str) -> tuple[bool, str]:
        run = asyncio.ensure_future(self._run(gate))
        try:
            while not run.done():
                await asyncio.to_thread(self._requests.alive, self._workspace.path)
                await asyncio.wait((run,), timeout=BEAT)
            return run.result()
        finally:
            if not run.done():
                run.cancel()
                await asyncio.wait((run,))

    async def _run(self, gate: str) -> tuple[bool, str]:
        head = await self._parts.workspaces.snapshot(self._workspace)
        gates = self._parts.gates
        evidence = await (gates.tests if gate == "tests" else gates.quick)(head.commit)
        return evidence.ok, told(evidence, head)


def told(evidence: Evidence, head: Head) -> str:
    """What an agent reads about a run."""
    said = [f"Gate `{evidence.gate}` is green: `{evidence.command}`, {evidence.seconds:.1f} s."]
    if not evidence.ok:
        said = [feedback(evidence)]
    elif not evidence.command:
        said = [evidence.tail]
    elif evidence.report is not None and not evidence.report.exit_only:
        counts = evidence.report.counts()
        said += [", ".join(f"{count} {how}" for how, count in counts.items() if count)]
    if evidence.reused:
        said.append("(This tree was judged before: nothing was run.)")
    return "\n".join((*said, *left_out(head)))


def left_out(head: Head | None) -> tuple[str, ...]:
    """What an agent reads about what lies in its folder and is not judged; nothing, if all is."""
    if head is None or not head.left_out:
        return ()
    names = ", ".join(sorted(head.left_out)[:NAMED])
    more = f" and {len(head.left_out) - NAMED} more" if len(head.left_out) > NAMED else ""
    return (f"Too large, or no file, and left out: {names}{more}",)
