"""What a test runner reads in files that describe a package, and that others may edit."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, canonicalize, fromstring, tostring

from oya.gates.reports.junit import admit
from oya.gates.reports.kind import Unreadable

Part = Callable[[bytes], bytes]
"""From a file's content to what of it is frozen: nothing where nothing is the runner's, and
all of it where it cannot be read. The order of keys and the layout do not count."""

_POM_PLUGINS: Final = frozenset({"maven-surefire-plugin", "maven-failsafe-plugin"})
_POM_PARTS: Final = frozenset({"testSourceDirectory", "testResources"})
_POM_PROPERTIES: Final = re.compile(
    r"(?:maven\.test\.|surefire|failsafe|skip\w*Tests?$|skipITs$|argLine$|test$|it\.test$"
    r"|(?:excludedG|g)roups$)"
)


def _pyproject(data: bytes) -> bytes:
    return _tables(data, tomllib.loads, lambda said: _of(said, "tool", "pytest"))


def _package_json(data: bytes) -> bytes:
    def theirs(said: dict[str, Any]) -> Any:
        tables = {name: said[name] for name in ("jest", "vitest", "mocha", "ava") if name in said}
        scripts = _of(said, "scripts")
        scripts = scripts if isinstance(scripts, dict) else {}
        tests = {k: v for k, v in scripts.items() if re.match(r"(?:pre|post)?test\b", k)}
        return {**tables, **({"scripts": tests} if tests else {})}

    return _tables(data, json.loads, theirs)


def _cargo(data: bytes) -> bytes:
    def theirs(said: dict[str, Any]) -> Any:
        lib, package = _of(said, "lib"), _of(said, "package")
        lib = lib if isinstance(lib, dict) else {}
        package = package if isinstance(package, dict) else {}
        found = {
            "test": said.get("test"),
            "profile": _of(said, "profile", "test"),
            "lib": {k: lib[k] for k in ("test", "doctest", "harness") if k in lib},
            "package": {k: package[k] for k in ("autotests",) if k in package},
        }
        return {name: value for name, value in found.items() if value}

    return _tables(data, tomllib.loads, theirs)


def _pom(data: bytes) -> bytes:
    try:
        admit(data)
        root = fromstring(data)  # noqa: S314 - entities are refused
        parts = [canonicalize(tostring(part), strip_text=True) for part in _runners(root)]
    except (Unreadable, ParseError, ValueError, LookupError, RecursionError):
        return data
    return "\n".join(parts).encode()


def _runners(root: Element) -> Iterator[Element]:
    for element in root.iter():
        name = _local(element)
        if name == "plugin":
            ids = (child.text or "" for child in element if _local(child) == "artifactId")
            if not _POM_PLUGINS.isdisjoint(id.strip() for id in ids):
                yield element
        elif name in _POM_PARTS:
            yield element
        elif name == "properties":
            yield from (child for child in element if _POM_PROPERTIES.match(_local(child)))


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _tables(
    data: bytes, load: Callable[[str], Any], theirs: Callable[[dict[str, Any]], Any]
) -> bytes:
    try:
        said = load(data.decode())
    except (ValueError, RecursionError):
        return data
    found = theirs(said) if isinstance(said, dict) else None
    return json.dumps(found, sort_keys=True, default=str).encode() if found else b""


def _of(said: Any, *keys: str) -> Any:
    for key in keys:
        said = said.get(key) if isinstance(said, dict) else None
    return said


PARTS: Final[Mapping[str, Part]] = {
    "pyproject.toml": _pyproject,
    "package.json": _package_json,
    "Cargo.toml": _cargo,
    "pom.xml": _pom,
}
"""By the name of the file."""
