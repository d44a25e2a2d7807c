"""The checker: holds a history against the promises of docs/semantics.md.

It shares no code with the swarm, and takes nobody's word: only the event log, final states,
git and the tracker count. `check` is the one way in.
"""

from oya.verify.history import Breach, Commit, Dependency, History
from oya.verify.promises import PROMISES, check

__all__ = ["PROMISES", "Breach", "Commit", "Dependency", "History", "check"]
