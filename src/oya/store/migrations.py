"""How an older state becomes this version's: numbered steps that can be repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from oya.crashpoints import point
from oya.store.engine import Engine, Put, Row, Write

Step = Callable[[Engine], AsyncIterator[list[Write]]]

BATCH = 200


async def _first(_: Engine) -> AsyncIterator[list[Write]]:
    """An empty engine: no group has been committed yet."""
    yield [Put("meta", "group", {"seq": 0, "group": 0})]


async def _second(engine: Engine) -> AsyncIterator[list[Write]]:
    """Evidence has a time, by which retention goes: here that of the last change, the latest
    it can be. Of a bead's state a row has what differs from a new bead's; whole ones are
    read as before."""
    at = (await engine.get("meta", "group") or {}).get("at", "")

    def timed(row: Row) -> Row:
        return {**row, "at": row.get("at", at)}

    batch: list[Write] = []
    async for key, row in engine.scan("evidence"):
        batch.append(Put("evidence", key, timed(row)))
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


STEPS: tuple[Step, ...] = (_first, _second)
"""`STEPS[n]` makes version n + 1 out of version n; version 0 is an empty engine."""

SCHEMA = len(STEPS)


async def schema_of(engine: Engine) -> int:
    """The version that the engine's records have."""
    row = await engine.get("meta", "schema")
    return int(row["version"]) if row else 0


async def migrate(engine: Engine, steps: Sequence[Step] = STEPS) -> int:
    """Bring the records up to the newest version, and return it.

    A step's version is written after the step, so one that was cut short is made again from
    its beginning: steps leave alone what they have made already. `StoreUnavailable`: at least
    the last step was not taken.
    """
    version = await schema_of(engine)
    for step in steps[version:]:
        async for writes in step(engine):
            await engine.commit(writes)
            point("store.batch_migrated")
        version += 1
        point("store.migrating")
        await engine.commit([Put("meta", "schema", {"version": version})])
        point("store.migrated")
    return version
