"""Ignored folders of a slot that survive from tree to tree: `[workspace] keep`.

A candidate may write into them whatever it likes, and a later tree must not be judged by
that. So beside each slot lies a copy of them as the newest landed tree left them, and a note
of how each entry in the slot looked when the two agreed. The kernel stamps every change of an
entry with a time (ctime) that no program can set without setting the machine's clock; so one
look at all entries finds what was touched since. After a tree that has landed that goes into
the copy; after any other one it is put back. Hard links instead of a copy would be one file
that a candidate writes through.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from oya.folders import is_real_folder, open_up, take_away

MAX_ENTRIES = 200_000
MAX_BYTES = 4_000_000_000
"""Of one kept folder; a larger one is not kept."""
_CHUNK = 1 << 24
_KINDS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
_TICK = 50_000_000  # ns; the coarsest are 10 ms

Sign = tuple[int, int, int, int, int]
"""Mode, inode, size, mtime and ctime in ns; of a folder only its mode, since what is in it
has signs of its own."""
Signs = dict[str, Sign]


class Kept:
    """The kept folders of one slot; `paths` start at it, `store` is where copies lie."""

    def __init__(self, slot: Path, store: Path, paths: Sequence[str]) -> None:
        self._store = store
        self._folders = [_Folder(path, slot / path, store / _name(path)) for path in paths]

    @property
    def there(self) -> bool:
        """Whether anything lies where a folder would be kept, or did once."""
        return any(os.path.lexists(one.slot) or one.note.exists() for one in self._folders)

    def settle(self, *, landed: bool) -> list[str]:
        """Take up what was changed in the slot, if only a tree that `landed` ran there, else put
        it back; the paths of what the slot has then."""
        ours = {one.copy.name for one in self._folders}
        for path in self._store.iterdir() if self._store.is_dir() else ():
            if path.name.partition(".")[0] not in ours:
                take_away(path)
        for one in self._folders:
            try:
                one.take_up() if landed else one.put_back()
            except OSError:
                one.forget()
        return [one.path for one in self._folders if is_real_folder(one.slot)]


class _Folder:
    """One kept folder, its copy, and the note of when they agreed."""

    def __init__(self, path: str, slot: Path, copy: Path) -> None:
        self.path = path
        self.slot = slot
        self.copy = copy
        self.note = copy.with_name(f"{copy.name}.json")

    def take_up(self) -> None:
        known = self._known()
        if known is None:
            take_away(self.copy)
            known = {}
        if not self._usable() or (now := _look(self.slot)) is None:
            self.forget()
            return
        now = {name: sign for name, sign in now.items() if stat.S_IFMT(sign[0]) in _KINDS}
        changed = [name for name, sign in now.items() if known.get(name) != sign]
        if changed or known.keys() - now.keys():
            # Without a note there is no copy: a death in the middle leaves none to be trusted.
            self.note.unlink(missing_ok=True)
            self.copy.mkdir(parents=True, exist_ok=True)
            _make_equal(self.slot, self.copy, changed, known.keys() - now.keys())
            self._write(now)

    def put_back(self) -> None:
        known = self._known()
        if known is None:
            self.forget()
            return
        now = _look(self.slot) if self._usable() else None
        if not self._reached():
            return
        if now is None:
            take_away(self.slot)
            self.slot.mkdir()
            now = {}
        changed = [name for name, sign in known.items() if now.get(name) != sign]
        changed = [name for name in changed if not self._same(name, known[name], now.get(name))]
        gone = now.keys() - known.keys()
        _make_equal(self.copy, self.slot, changed, gone)
        if changed or gone or now != known:
            self._write(_look(self.slot) or {})

    def _same(self, name: str, known: Sign, now: Sign | None) -> bool:
        """Whether only its ctime differs: another link to it was made, or it was rewritten."""
        if now is None or known[:4] != now[:4] or not stat.S_ISREG(now[0]):
            return False
        return _same_bytes(self.slot / name, self.copy / name)

    def forget(self) -> None:
        """Keep nothing of it, here or there."""
        self.note.unlink(missing_ok=True)
        take_away(self.copy)
        if self._reached():
            take_away(self.slot)

    def _usable(self) -> bool:
        return self._reached() and is_real_folder(self.slot)

    def _reached(self) -> bool:
        """Whether there are real folders all the way to it, and no link."""
        return all(is_real_folder(self.slot.parents[n]) for n in range(self.path.count("/") + 1))

    def _known(self) -> Signs | None:
        try:
            said = json.loads(self.note.read_text())
            return {name: (a, b, c, d, e) for name, (a, b, c, d, e) in said.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def _write(self, signs: Signs) -> None:
        # A change in the same tick of the kernel's clock would leave the same ctime: what is
        # that young is noted without one, and so compared by what is in it the next time.
        young = time.time_ns() - _TICK
        signs = {name: s if s[4] < young else (*s[:4], 0) for name, s in signs.items()}
        new = self.note.with_suffix(".new")
        new.write_text(json.dumps(signs))
        new.replace(self.note)


def _name(path: str) -> str:
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _look(folder: Path) -> Signs | None:
    """The sign of every file, link and folder below; None where that is too much to keep."""
    try:
        return _signs(folder)
    except PermissionError:
        open_up(folder)
        return _signs(folder)


def _signs(folder: Path) -> Signs | None:
    signs: Signs = {}
    todo, size = [""], 0
    while todo:
        over = todo.pop()
        with os.scandir(folder / over) as entries:
            for entry in entries:
                seen = entry.stat(follow_symlinks=False)
                name = f"{over}{entry.name}"
                if stat.S_ISDIR(seen.st_mode):
                    signs[name] = (seen.st_mode, 0, 0, 0, 0)
                    todo.append(f"{name}/")
                else:
                    signs[name] = _sign(seen)
                    size += seen.st_size
                if len(signs) > MAX_ENTRIES or size > MAX_BYTES:
                    return None
    return signs


def _sign(seen: os.stat_result) -> Sign:
    return (seen.st_mode, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def _make_equal(source: Path, target: Path, changed: Iterable[str], gone: Iterable[str]) -> None:
    """Give `target` what is at these names in `source`, folders before what is in them."""
    for name in sorted(gone):
        take_away(target / name)
    for name in sorted(changed):
        _copy(f"{source}/{name}", f"{target}/{name}")


def _copy(source: str, target: str) -> None:
    """Make `target` the same file, link or folder; strings, since there may be thousands."""
    seen = os.lstat(source)
    mode = stat.S_IMODE(seen.st_mode)
    if stat.S_ISDIR(seen.st_mode):
        if not is_real_folder(Path(target)):
            take_away(Path(target))
            os.mkdir(target)  # noqa: PTH102
        os.chmod(target, mode | 0o700)  # noqa: PTH101
        return
    try:
        _copy_new(source, target, seen)
    except FileExistsError:
        take_away(Path(target))
        _copy_new(source, target, seen)


def _copy_new(source: str, target: str, seen: os.stat_result) -> None:
    if stat.S_ISLNK(seen.st_mode):
        os.symlink(os.readlink(source), target)  # noqa: PTH115, PTH211
        return
    a = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        b = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while os.copy_file_range(a, b, _CHUNK):  # the same blocks, where a disk can share
                pass
            os.fchmod(b, stat.S_IMODE(seen.st_mode))
            os.utime(b, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        finally:
            os.close(b)
    finally:
        os.close(a)


def _same_bytes(one: Path, other: Path) -> bool:
    try:
        with one.open("rb") as a, other.open("rb") as b:
            while chunk := a.read(1 << 20):
                if b.read(len(chunk)) != chunk:
                    return False
            return not b.read(1)
    except OSError:
        return False
