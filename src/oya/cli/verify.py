"""`oya verify`: hold what happened here against what is promised."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from oya.cli.asking import Question, ask
from oya.cli.output import Format, say, show
from oya.daemon.client import Client
from oya.errors import UsageError
from oya.repository.places import Place

if TYPE_CHECKING:
    from oya.daemon.desk import StoreDesk
    from oya.verify import History

Answer = dict[str, Any]

_MOST = 20
"""Breaches of one promise that are printed; JSON has all."""


def verify(place: Place, *, rerun: bool, form: Format) -> int:
    """Check every promise, print what came of it; 1 if one is broken."""
    question = Question(
        lambda client: _running(place, client, rerun=rerun),
        lambda desk: _at_rest(place, desk, rerun=rerun),
    )
    answer = ask(place, question)
    show(answer, form, _words)
    return 0 if answer["ok"] else 1


def _running(place: Place, client: Client, *, rerun: bool) -> Answer:
    """What can be known while a swarm is at work."""
    client.get("status")  # is there one at all?
    if rerun:
        raise UsageError(
            "A swarm is running here, and its gates need the slots.",
            safe="Nothing was checked and nothing was changed.",
            hint="oya verify without --rerun works meanwhile; or wait, or: oya swarm stop",
        )
    from oya.daemon.verify import read_history

    history = asyncio.run(read_history(place, _Daemon(client), running=True))
    return _answer(history, [], running=True)


async def _at_rest(place: Place, desk: StoreDesk, *, rerun: bool) -> Answer:
    from oya.daemon.verify import read_history

    history = await read_history(place, desk, running=False)
    proofs: list[Answer] = []
    if rerun:
        from oya.daemon.rerun import prove

        async for proof in prove(place, desk.store, history.commits):
            say(_proof(proof))
            proofs.append(proof)
    return _answer(history, proofs, running=False)


class _Daemon:
    """The daemon as a source of the history."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def snapshot(self) -> Answer:
        return self._client.get("snapshot")

    async def events(self, since: int) -> Answer:
        return self._client.get("events", since=since)


def _answer(history: History, proofs: list[Answer], *, running: bool) -> Answer:
    from oya.verify import PROMISES, check

    broken: dict[str, list[Answer]] = {}
    for breach in check(history):
        row = {"what": breach.what, "bead": breach.bead, "seq": breach.seq}
        broken.setdefault(breach.promise, []).append(row)
    promises = [
        {
            "name": promise.__name__,
            "promise": (promise.__doc__ or "").split("\n\n")[0].replace("\n    ", " "),
            "breaches": broken.get(promise.__name__, []),
        }
        for promise in PROMISES
    ]
    return {
        "ok": not broken and all(proof["ok"] for proof in proofs),
        "running": running,
        "events": len(history.events),
        "beads": len(history.beads),
        "commits": len(history.commits),
        "promises": promises,
        "rerun": proofs,
    }


# Words ---------------------------------------------------------------------------------------


def _words(answer: Answer) -> Iterator[str]:
    seen = ", ".join(_count(answer[name], name) for name in ("events", "beads", "commits"))
    yield f"Looked at {seen}."
    for promise in answer["promises"]:
        count = len(promise["breaches"])
        yield f"  {'BROKEN' if count else 'kept':6}  {promise['promise']}"
        for breach in promise["breaches"][:_MOST]:
            yield f"            {breach['what']}"
        if count > _MOST:
            yield f"            and {count - _MOST} more: --format json"
    if answer["running"]:
        yield "A swarm is running: what it left over, and the tracker, are looked at when it ended."
    if answer["rerun"]:
        red = sum(not proof["ok"] for proof in answer["rerun"])
        yield f"Gates run again on {_count(len(answer['rerun']), 'commits')}: {red or 'none'} red."
    broken = sum(bool(promise["breaches"]) for promise in answer["promises"])
    yield f"{_count(broken, 'promises')} broken." if broken else "Every promise is kept."


def _proof(proof: Answer) -> str:
    verdict = "green" if proof["ok"] else f"RED: {', '.join(proof['red'])}"
    return f"{proof['commit'][:9]}  {proof['bead']}  {verdict}  ({proof['seconds']:.1f} s)"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name.removesuffix('s') if number == 1 else name}"
