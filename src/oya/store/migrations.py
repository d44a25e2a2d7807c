"""How an older state becomes this version's: numbered steps, one commit each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from oya.crashpoints import point
from oya.store.engine import Engine, Put, Write

Step = Callable[[Engine], Awaitable[list[Write]]]


async def _first(_: Engine) -> list[Write]:
    """An empty engine: no group has been committed yet."""
    return [Put("meta", "group", {"seq": 0, "group": 0, "events": 0, "at": ""})]


STEPS: tuple[Step, ...] = (_first,)
"""`STEPS[n]` makes version n + 1 out of version n; version 0 is an empty engine."""

SCHEMA = len(STEPS)


async def schema_of(engine: Engine) -> int:
    """The version that the engine's records have."""
    row = await engine.get("meta", "schema")
    return int(row["version"]) if row else 0


async def migrate(engine: Engine, steps: Sequence[Step] = STEPS) -> int:
    """Bring the records up to the newest version, and return it.

    Each step and its version number go in one commit, so that a crash between two steps
    leaves a state to go on from. `StoreUnavailable`: at least the last step was not taken.
    """
    version = await schema_of(engine)
    for step in steps[version:]:
        writes = await step(engine)
        version += 1
        point("store.migrating")
        await engine.commit([*writes, Put("meta", "schema", {"version": version})])
        point("store.migrated")
    return version
