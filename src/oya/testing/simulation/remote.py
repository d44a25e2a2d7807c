"""A remote of the simulated repository: a table of refs elsewhere, and what goes wrong there.

It shares the objects of the repository: what is kept of them where is git's own concern.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from oya.testing.simulation.objects import Files, Objects


@dataclass
class Remote:
    """One remote. Each trouble lasts until somebody takes it away again.

    `unreachable` and `refuses` say why; `slow` is what an exchange takes longer, in seconds.
    `loses`: of a push, the `request` gets lost, or the `answer`, or the push is `late`: it is
    said to be lost, and arrives when `arrive` is called, if the branch is then where it was.
    """

    refs: dict[str, str] = field(default_factory=dict)
    unreachable: str = ""
    refuses: str = ""
    slow: float = 0.0
    loses: Literal["", "request", "answer", "late"] = ""
    late: list[tuple[str, str | None, str]] = field(default_factory=list)

    def take(self, name: str, new: str) -> None:
        """A push that arrives."""
        if self.loses == "request":
            return
        if self.loses == "late":
            self.late.append((name, self.refs.get(name), new))
        else:
            self.refs[name] = new

    def arrive(self) -> None:
        """What was under way arrives."""
        for name, old, new in self.late:
            if self.refs.get(name) == old:
                self.refs[name] = new
        self.late.clear()

    def push_as_other(self, objects: Objects, files: Files, branch: str, at: str) -> str:
        """Somebody else commits all these files on the branch, and has pushed it."""
        name = f"refs/heads/{branch}"
        tip = self.refs.get(name)
        tree = objects.add_tree(files)
        commit = objects.add_commit(tree, (tip,) if tip else (), "by somebody else", "Bob", at)
        self.refs[name] = commit
        return commit
