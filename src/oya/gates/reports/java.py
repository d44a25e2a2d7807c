"""What javac says, through Maven, about tests that do not compile, and whose fault it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from oya.gates.model import BrokenKind
from oya.gates.project import files_below
from oya.gates.reports.kind import read_source, within

SOURCES: Final = (".java", ".kt", ".groovy", ".scala")
_ERROR: Final = re.compile(r"\[ERROR\] (?:file://)?(/\S.*?\.java):\[(\d+),\d+\] (?:error: )?(.*)")
_MORE: Final = re.compile(r"(?:\[ERROR\])?\s{2,}(\S.*)")
_SYNTAX: Final = re.compile(
    r"expected\b|illegal (?:start|character)|reached end of file|unclosed |not a statement"
    r"|class, interface|invalid method declaration|else without if|<identifier>"
)
_PACKAGE: Final = re.compile(r"package ([\w.]+) does not exist")
_SYMBOL: Final = re.compile(r"symbol: +(class|variable|method|static) (\w+)")
_LOCATION: Final = re.compile(r"location: +(?:(?:variable|class) \w+ of type )?(\w+ )?([\w.]+)")
_API: Final = re.compile(
    r"(?:method|constructor) \w+ in (?:class|interface|record|enum) ([\w.]+)"
    r"|no suitable (?:method|constructor) found for .*?; (?:method|constructor) ([\w.]+)"
    r"\.(?:<[^()]*>)?\w+\("
    r"|([\w.]+) is abstract; cannot be instantiated"
    r"|has private access in ([\w.]+)"
)
_FORM: Final = re.compile(
    r"incompatible types: (?:(\S+) cannot be converted to (\S+))?|'void' type not allowed here"
    r"|cannot infer type for local variable|for-each not applicable|cannot be dereferenced"
)
"""What a call gives or takes: javac names classes then at best, and never the method."""
_TYPED: Final = re.compile(r"\b([A-Z]\w*(?:<[^<>;]*>)?)\s+(\w+)\s*[=;:,)]")
_MADE: Final = re.compile(r"\b(\w+)\s*=\s*new\s+([A-Z]\w*)")
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|(\w+)')
_PARAMETERS: Final = re.compile(r"\([^()]*\)")
_USUAL: Final = re.compile(
    r"List|Map|Set|ArrayList|HashMap|HashSet|LinkedList|Optional|Stream|Collectors|Arrays|"
    r"Collections|Objects|File|Path|Paths|Files|Pattern|BigDecimal|BigInteger|Duration|"
    r"Instant|LocalDate|LocalDateTime|UUID|Random|Scanner|IOException|Function|Supplier|"
    r"Consumer|Predicate|Test|BeforeEach|AfterEach|BeforeAll|AfterAll|Disabled|Nested|"
    r"DisplayName|ParameterizedTest|ValueSource|CsvSource|MethodSource|Assertions|Assert|"
    r"Mockito|Mock|InjectMocks"
)
"""Classes that a test forgets to import; they are none of the project's names."""


@dataclass(frozen=True)
class Error:
    """An error of the compiler: the file as seen from the checkout, and all it says."""

    file: str
    line: str
    said: str

    @property
    def message(self) -> str:
        return f"{self.file}:{self.line}: {self.said}"


def errors(output: str, root: Path) -> Iterator[Error]:
    """The errors in what Maven prints (each is told twice)."""
    lines = output.splitlines()
    for number, line in enumerate(lines):
        if not (found := _ERROR.match(line)):
            continue
        more = []
        for after in lines[number + 1 : number + 8]:
            if not (said := _MORE.match(after)):
                break
            more.append(said[1].strip())
        yield Error(within(found[1], root), found[2], "; ".join((found[3], *more)))


@dataclass(frozen=True)
class Sources:
    """The classes and packages of a checkout."""

    root: Path

    @cached_property
    def files(self) -> dict[str, str]:
        """Source files by the name of their class, with its package."""
        found: dict[str, str] = {}
        for file in files_below(self.root, SOURCES):
            _, source, below = f"/{file}".rpartition("/src/")
            if source:  # main/java/acme/Thing.java
                name = ".".join(below.split("/")[2:]).rpartition(".")[0]
                found.setdefault(name, file)
        return found

    def id(self, classname: str, name: str, module: str = "") -> str:
        """The id of a test in a module's folder ("" or ending in a slash)."""
        outer, *inner = classname.split("$")
        file = self._in(module, outer) or self.files.get(outer, outer)
        return "::".join((file, *inner, _PARAMETERS.sub("", name, count=1)))

    def _in(self, module: str, name: str) -> str | None:
        """Where a module has a class, which another may have too."""
        path = name.replace(".", "/")
        for ending, language in zip(SOURCES, ("java", "kotlin", "groovy", "scala"), strict=True):
            file = f"{module}src/test/{language}/{path}{ending}"
            if (self.root / file).is_file():
                return file
        return None

    @cached_property
    def packages(self) -> frozenset[str]:
        """Those with sources that are none of tests."""
        return frozenset(name.rpartition(".")[0] for name in self._classes)

    def whose(self, error: Error) -> BrokenKind:
        """What one error says of its reason."""
        if not is_test(error.file):
            return "other"
        if found := _PACKAGE.search(error.said):
            return "missing_project_name" if self._owns(found[1]) else "missing_third_party"
        symbol, location = _SYMBOL.search(error.said), _LOCATION.search(error.said)
        if symbol and location:
            ours = self._is_ours(symbol[1], symbol[2], location[2], location[1] or "", error.file)
            return "missing_project_name" if ours else "other"
        if found := _API.search(error.said):
            name = next(filter(None, found.groups()))
            return "missing_project_name" if self._is_class(name, error.file) else "other"
        if found := _FORM.search(error.said):
            named = (name.partition("<")[0] for name in found.groups() if name)
            ours = any(self._is_class(name, error.file) for name in named)
            return "missing_project_name" if ours or self._on_line(error) else "other"
        return "syntax" if _SYNTAX.search(error.said) else "other"

    def _is_ours(self, kind: str, name: str, owner: str, what: str, file: str) -> bool:
        if what.strip() == "package":
            return self._owns(owner)
        own_test = owner.rpartition(".")[2] == Path(file).stem
        if not own_test:
            return self._is_class(owner, file)
        return kind != "method" and name[0].isupper() and not _USUAL.fullmatch(name)

    def _on_line(self, error: Error) -> bool:
        """Whether the line of an error names a class of the project, or a variable of one."""
        source = read_source(self.root / error.file)
        ours = {name.rpartition(".")[2] for name in self._classes}
        typed = [*_TYPED.findall(source), *((of, name) for name, of in _MADE.findall(source))]
        ours |= {name for of, name in typed if not ours.isdisjoint(_WORD.findall(of))}
        line = "".join(source.splitlines()[int(error.line) - 1 : int(error.line)])
        return not ours.isdisjoint(_WORD.findall(line))

    def _owns(self, package: str) -> bool:
        """Whether a package lies in, beside, or around one of the project's."""
        above = package.rpartition(".")[0]
        return any(
            name in (package, above)
            or name.startswith(f"{package}.")
            or ("." in above and name.startswith(f"{above}."))
            for name in self.packages
        )

    def _is_class(self, name: str, file: str) -> bool:
        if "." not in name:
            return any(known.rpartition(".")[2] == name for known in self._classes)
        return not self._classes.isdisjoint((name, name.rpartition(".")[0]))  # or a class in it

    @cached_property
    def _classes(self) -> frozenset[str]:
        return frozenset(name for name, file in self.files.items() if not is_test(file))


def is_test(file: str) -> bool:
    """Whether a source is one of tests only: it lies below `src/test`, or `src/…Test`."""
    above, _, below = f"/{file}".rpartition("/src/")
    return bool(above or below) and "test" in below.partition("/")[0].lower()
