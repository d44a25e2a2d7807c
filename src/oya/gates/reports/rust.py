"""Cargo's messages (`--message-format json`): what was built, and what does not compile.

Cargo builds every target before the first test runs, so a file of tests that does not
compile takes all tests of the run with it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from oya.gates.model import BrokenKind
from oya.gates.project import files_below
from oya.gates.reports.kind import Draft, read_source, within

ALL: Final = "**"
_WITHIN_REACH: Final = re.compile(
    r"E0023|E0026|E0027|E0050|E0053|E0061|E0063|E0107|E0220|E0277|E0282|E0308|E0369|E0405|"
    r"E0407|E0412|E0422|E0423|E0424|E0425|E0432|E0433|E0437|E0438|E0450|E0451|E0531|E0532|"
    r"E0533|E0559|E0560|E0574|E0576|E0599|E0600|E0603|E0604|E0605|E0608|E0609|E0610|E0614|"
    r"E0615|E0616|E0618|E0624"
)
"""Errors that come from what an API is, and go when it becomes another."""
_NOT_THERE: Final = frozenset({"E0432", "E0433", "E0463"})
_QUOTED: Final = re.compile(r"`([^`]+)`")
_DEFINED: Final = re.compile(r"\b(?:struct|enum|union|trait|type)\s+([A-Za-z_]\w*)")
_OUT_OF_SCOPE: Final = re.compile(r"in this scope$|use of undeclared type|consider importing")
_GLOB: Final = re.compile(r"\buse\s+(\w+)(?:::\w+)*::\*")
_WORD: Final = re.compile(r"[A-Za-z_]\w*")


@dataclass
class Crates:
    """What lies in a checkout of Rust. Folders of packages are by their package's name."""

    root: Path
    targets: dict[str, str] = field(default_factory=dict)
    failed: bool = False
    _errors: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def hear(self, message: dict[str, Any]) -> None:
        """A message of cargo: an executable and its source, an error, the end of a build."""
        match message:
            case {
                "reason": "compiler-artifact",
                "executable": str(program),
                "target": {"src_path": str(path)},
            }:
                self.targets[program.rpartition("/")[2]] = within(path, self.root)
            case {
                "reason": "compiler-message",
                "message": {"level": "error"} as error,
                "target": {"src_path": str(path)},
            }:
                self._errors.append((within(path, self.root), error))
            case {"reason": "build-finished", "success": False}:
                self.failed = True

    def tell(self, draft: Draft) -> None:
        """What does not compile, as broken files."""
        for file, error in self._errors:
            draft.broken(file, self._said(error), self._whose(file, error), ALL)
        if self.failed and not self._errors:
            draft.broken("Cargo.toml", "the build failed", "other", ALL)

    @cached_property
    def packages(self) -> dict[str, str]:
        folders: dict[str, str] = {}
        for file in files_below(self.root, ("Cargo.toml",)):
            try:
                package = tomllib.loads(read_source(self.root / file)).get("package")
            except (ValueError, RecursionError):
                continue
            if isinstance(package, dict):
                folders.setdefault(str(package.get("name")), file.rpartition("/")[0])
        return folders

    @cached_property
    def _names(self) -> frozenset[str]:
        """The crates here, and the types that their sources define."""
        types = {
            name
            for file in files_below(self.root, (".rs",))
            if not is_test(file)
            for name in _DEFINED.findall(read_source(self.root / file))
        }
        return frozenset(types | self._crates)

    @cached_property
    def _crates(self) -> frozenset[str]:
        return frozenset(name.replace("-", "_") for name in self.packages)

    def _imports_all(self, file: str) -> bool:
        """Whether a file takes all names of one of the crates: only then one that it does
        not find is theirs to have."""
        globs = _GLOB.findall(read_source(self.root / file))
        return not self._crates.isdisjoint(globs)

    def _said(self, error: dict[str, Any]) -> str:
        where = next((s for s in _spans(error) if s.get("is_primary")), {})
        place = f"{where['file_name']}:{where.get('line_start')}: " if "file_name" in where else ""
        labels = [str(s["label"]) for s in _spans(error) if s.get("label")]
        first = "; ".join([str(error.get("message", "")), *labels])
        return f"{place}{first}\n{error.get('rendered') or ''}"

    def _whose(self, file: str, error: dict[str, Any]) -> BrokenKind:
        code = error.get("code")
        number = str(code.get("code", "")) if isinstance(code, dict) else ""
        if not number and is_test(file):
            return "syntax"
        if _WITHIN_REACH.fullmatch(number) and is_test(file) and self._is_ours(file, error):
            return "missing_project_name"
        return "missing_third_party" if number in _NOT_THERE else "other"

    def _is_ours(self, file: str, error: dict[str, Any]) -> bool:
        said = [error.get("message"), *(span.get("label") for span in _spans(error))]
        said += [child.get("message") for child in _children(error)]
        if any(_OUT_OF_SCOPE.search(str(words)) for words in said):
            return self._imports_all(file)
        quoted = (text for words in said[:50] for text in _QUOTED.findall(str(words or "")))
        names = {name for text in quoted for name in _WORD.findall(text)}
        if not names.isdisjoint(self._names):
            return True
        places = [span for part in (error, *_children(error)) for span in _spans(part)]
        return any(
            not is_test(place) and (self.root / place).is_file()
            for place in (within(str(span.get("file_name", "")), self.root) for span in places)
            if not place.startswith("/")
        )


def is_test(file: str) -> bool:
    """Whether a source is one of tests only: it lies in a folder `tests` or `benches`."""
    return not {"tests", "benches"}.isdisjoint(file.split("/")[:-1])


def is_source(file: str) -> bool:
    """Whether a file is one of Rust that is not for tests only."""
    return file.endswith(".rs") and not is_test(file)


def target_of(file: str) -> str | None:
    """The name of the target that a file of tests is, None where that cannot be said."""
    *_, folder, name = ("", *file.split("/"))
    if folder == "tests" and name.endswith(".rs"):
        return name.removesuffix(".rs")
    above = file.split("/")[:-2]
    return folder if name == "main.rs" and above and above[-1] == "tests" else None


def _spans(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    found = part.get("spans")
    yield from (s for s in found if isinstance(s, dict)) if isinstance(found, list) else ()


def _children(error: dict[str, Any]) -> Iterator[dict[str, Any]]:
    found = error.get("children")
    yield from (c for c in found if isinstance(c, dict)) if isinstance(found, list) else ()
