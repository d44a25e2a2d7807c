"""The state of a repository: one writer, one head in memory, SurrealDB on disk.

`Store.open` is the way in. One process at a time; every change is decided on the head,
committed in a group with its events, and acknowledged after it.
"""

from oya.store.store import Store

__all__ = ["Store"]
