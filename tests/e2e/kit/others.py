"""Somebody else, who pushes to the branch that a swarm lands on; and the remote where they meet."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from kit.user import User, write


class Other:
    """A clone of somebody else, from which they push; `made` are their commits, in order.

    As a context manager they push one every `every` seconds meanwhile, each on whatever is there.
    """

    def __init__(self, user: User, remote: Path, every: float = 1.5) -> None:
        self._user = user
        self._remote = remote
        self._folder = user.folder / "somebody else"
        self.every = every
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self._failed: list[BaseException] = []
        self.made: list[str] = []
        user.git(user.folder, "clone", "-q", "-b", "main", str(remote), str(self._folder))

    def push(self, files: dict[str, str], message: str = "by somebody else") -> str:
        """Commit these files on whatever is there, and push, until nobody was faster."""
        git, folder = self._user.git, self._folder
        write(folder, files)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", message)
        said = ""
        for _ in range(50):
            git(folder, "pull", "-q", "--rebase")
            made = git(folder, "rev-parse", "HEAD")
            try:
                git(folder, "push", "-q", "origin", "HEAD:main")
            except AssertionError as error:
                if "failed to push" not in str(error):
                    raise
                said = str(error)
                self._put_right(said)
                continue
            self.made.append(made)
            return made
        raise AssertionError(f"somebody else was slower 50 times: {said}")

    def _put_right(self, said: str) -> None:
        """A push into a checkout writes its index before the branch moves, and where somebody
        was faster in between, git leaves it so: whoever has pushed sees it, and resets it, at
        another time where the index is locked by who follows just now."""
        if "Working directory has staged changes" in said:
            with suppress(AssertionError):
                self._user.git(self._remote, "reset", "-q", "--hard")

    def remove(self, path: str) -> str:
        """The same with a file gone."""
        self._user.git(self._folder, "pull", "-q", "--rebase")
        (self._folder / path).unlink()
        return self.push({}, f"without {path}")

    def __enter__(self) -> Other:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._failed:
            raise self._failed[0]

    def _go_on(self) -> None:
        try:
            while not self._done.is_set():
                number = len(self.made)
                self.push({f"theirs/{number}.txt": f"{number}\n"})
                self._done.wait(self.every)
        except BaseException as error:
            self._failed.append(error)


class Bare:
    """A bare repository that is the remote `origin` of another one, and takes no forced push."""

    def __init__(self, user: User, root: Path) -> None:
        self.folder = user.folder / "origin.git"
        self._user = user
        user.git(user.folder, "clone", "-q", "--bare", str(root), str(self.folder))
        user.git(self.folder, "config", "receive.denyNonFastForwards", "true")
        user.git(self.folder, "config", "core.logAllRefUpdates", "always")
        user.git(root, "remote", "add", "origin", str(self.folder))

    @property
    def tip(self) -> str:
        return self._user.git(self.folder, "rev-parse", "main")

    def hook(self, name: str, script: str) -> None:
        """Install a hook, over the one that was there."""
        path = self.folder / "hooks" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def unhook(self, name: str) -> None:
        (self.folder / "hooks" / name).unlink()

    def vanish(self) -> None:
        self.folder.rename(self.folder.with_name("gone.git"))

    def come_back(self) -> None:
        self.folder.with_name("gone.git").rename(self.folder)
