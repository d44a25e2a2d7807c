"""New files that would run before, or instead of, what a contract has frozen (Python).

Editing a frozen file shows; a new one beside it that Python finds first does not. New tests
and new helpers are an implementer's right; these names are not.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from typing import Final

_AT_START: Final = frozenset({"sitecustomize", "usercustomize"})
"""Modules that every Python imports before anything else, wherever it finds them."""
_RUNNER: Final = frozenset({"pytest", "_pytest", "pluggy"})
_COMPILED: Final = frozenset({"so", "pyc"})
_CACHE: Final = "__pycache__"


def shadows(
    added: Iterable[str], frozen: Collection[str], links: Iterable[str] = ()
) -> tuple[str, ...]:
    """Those of the paths `added` that would be imported in place of something else.

    That is: modules that run at every start; the test runner's own names, in the root, in
    `src` or beside frozen files; names of the standard library beside frozen tests, whose
    folder is searched first; a package, or a compiled module, beside a frozen module of the
    same name, which both go before it; and its byte code, which Python may believe unseen.
    `links` are the symbolic links that are new or lead elsewhere: any may be a package.
    """
    beside = {path.rpartition("/")[0] for path in frozen if path.endswith(".py")} - {""}
    found = {path for path in added if _shadows(path, beside, frozen)}
    for link in links:
        package = f"{link}/__init__.py"
        if link.rpartition("/")[2] == _CACHE or _shadows(package, beside, frozen):
            found.add(link)
    return tuple(sorted(found))


def _shadows(path: str, beside: set[str], frozen: Collection[str]) -> bool:
    folder, name, compiled = _module(path)
    if not name:
        return False
    if name in _AT_START:
        return True
    if name in _RUNNER and (folder in ("", "src") or folder in beside):
        return True
    if name in sys.stdlib_module_names and folder in beside:
        return True
    module = f"{folder}/{name}.py" if folder else f"{name}.py"
    return module in frozen and (compiled or path != module)


def _module(path: str) -> tuple[str, str, bool]:
    """Folder and name of the module or package that a file makes ("": none), and whether it is
    a compiled one."""
    folder, _, last = path.rpartition("/")
    stem, _, rest = last.partition(".")
    suffix = rest.rpartition(".")[2]
    if suffix != "py" and suffix not in _COMPILED:
        return folder, "", False
    if f"/{folder}".endswith(f"/{_CACHE}"):
        folder = folder.removesuffix(_CACHE).rstrip("/")
    if last == "__init__.py":
        folder, _, stem = folder.rpartition("/")
    return folder, stem, suffix in _COMPILED
