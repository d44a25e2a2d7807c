"""Reading `.oya/swarm.toml`: where a mistake stands, and what to write instead."""

from __future__ import annotations

import copy
import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from oya.errors import ConfigError
from oya.gates import moon
from oya.swarm.config import Settings, Source, SwarmFile, flat, toml_name

NAME = ".oya/swarm.toml"
MAX_BYTES = 1_000_000
MAX_SAID = 5

FLAGS = {
    "defaults.target_beads": "--target",
    "defaults.test_writers": "--test-writers",
    "defaults.implementers": "--implementers",
    "defaults.reviewers": "--reviewers",
    "defaults.planner": "--planner",
    "defaults.backend": "--agent",
    "continuous-deployment.enabled": "--continuous-deployment",
}
"""What people type for a key."""

TODAY: dict[str, tuple[object, ...]] = {
    "backends.*.kind": ("acp", "command", "scripted"),
    "tracker.kind": ("auto", "beads-jsonl"),
    "workspace.kind": ("git",),
    "planner.split": (False,),
    "budget.usd": (None,),
    "budget.tokens": (None,),
    "budget.sessions": (None,),
    "store.url": ("",),
}
"""Keys that this version does not (wholly) build, with the values that it takes; the first is
the one to name."""

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "tuple_type": 'a list, for example ["make test"]',
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
    "string_too_short": "a string that is not empty",
    "missing": "needed, and missing",
}


def read(path: Path | None, flags: Mapping[str, object]) -> Settings:
    """The settings of file and flags; `ConfigError` for whatever is wrong."""
    text, data = _read_file(path)
    given = {key: value for key, value in flags.items() if value is not None}
    merged = _named(_with_flags(data, given))
    try:
        SwarmFile.model_validate(merged)
    except ValidationError as error:
        raise _wrong(_problems(error), text, given) from None
    sources = _sources(data, given)
    settings = Settings.model_validate(merged | {"provenance": sources})
    settings = _with_moon(settings, path)
    every: dict[str, Source] = {key: sources.get(key, "default") for key in settings.values}
    settings = settings.model_copy(update={"provenance": every})
    problems = [*_not_built(settings), *_misfits(settings)]
    if problems:
        raise _wrong(problems, text, given)
    return settings


def _with_moon(settings: Settings, path: Path | None) -> Settings:
    """The gates of a repository with `.moon/`, where they are not written down.

    Decided once, by the user's working tree: a candidate that takes `.moon/` away must not
    choose its own gates by that.
    """
    gates = settings.quality_gates
    root = path.parent.parent if path is not None and path.parent.name == ".oya" else None
    there = root is not None and (root / ".moon").is_dir()
    on = gates.moon == "on" or (gates.moon == "auto" and there)
    more: dict[str, Any] = {"moon": "on" if on else "off"}
    if on:
        more |= {"quick": gates.quick or (moon.QUICK,), "ci": gates.ci or (moon.CI,)}
        affected = any(moon.command_of(line) == "ci" for line in more["ci"])
        more |= {"history": gates.history or affected}
    return settings.model_copy(update={"quality_gates": gates.model_copy(update=more)})


def missing(settings: Settings) -> ConfigError | None:
    """What no swarm can start without and is not written down."""
    safe = "Nothing was started."
    for role in settings.roles_in_use:
        name = settings.backend_of(role)
        if name is None:
            return ConfigError(
                f"No backend is named for the {role}: oya does not guess who is to work.",
                safe=safe,
                hint=_backend_hint(settings),
            )
        if settings.backends[name].kind != "scripted" and settings.sandbox.kind is None:
            return ConfigError(
                f"Nothing says whether backend `{name}` is to run in a sandbox, or without one, "
                "with all your rights.",
                safe=safe,
                hint=f'Write into {NAME}:\n\n[sandbox]\nkind = "auto"\n\n'
                'or "none", if it may do whatever you can do.',
            )
    gates = settings.quality_gates
    if not gates.ci and not gates.tests.command:
        return ConfigError(
            "No gate judges the work: `quality-gates.ci` and `quality-gates.tests.command` "
            "are both empty.",
            safe=safe,
            hint=f'Write your test command into {NAME}:\n\n[quality-gates]\nci = ["make test"]',
        )
    return None


def _backend_hint(settings: Settings) -> str:
    if settings.backends:
        first = next(iter(settings.backends))
        return f'Write into {NAME}:\n\n[defaults]\nbackend = "{first}"'
    return (
        f"Write into {NAME}, for example:\n\n"
        '[defaults]\nbackend = "codex"\n\n'
        '[backends.codex]\nkind = "acp"\ncommand = ["codex-acp"]'
    )


# Reading ------------------------------------------------------------------------------------


def _read_file(path: Path | None) -> tuple[str, dict[str, Any]]:
    if path is None:
        return "", {}
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return "", {}
    except OSError as error:
        raise ConfigError(f"{NAME} cannot be read: {error.strerror}.") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{NAME} is larger than {MAX_BYTES} bytes.")
    try:
        text = raw.decode("utf-8")
        return text, tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{NAME} is no TOML: {error}.", safe="Nothing was changed.", hint="Correct it there."
        ) from None


def _with_flags(data: dict[str, Any], flags: Mapping[str, object]) -> dict[str, Any]:
    merged = copy.deepcopy(data)
    for key, value in flags.items():
        *tables, last = key.split(".")
        table = merged
        for name in tables:
            inner = table.setdefault(name, {})
            if not isinstance(inner, dict):
                return merged  # the file has no table there, and is told so
            table = inner
        table[last] = value
    return merged


def _named(data: dict[str, Any]) -> dict[str, Any]:
    """Section names as Python has them. A `_` where the file wants `-` stays unknown."""
    known = {toml_name(section): section for section in SwarmFile.model_fields}
    stray = {s for name, s in known.items() if name != s}
    return {
        known.get(key, f"{key} " if key in stray else key): value for key, value in data.items()
    }


def _sources(data: dict[str, Any], flags: Mapping[str, object]) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for key, value in flat(data).items():
        sources[key] = "file"
        if key.startswith("skills.") and isinstance(value, list):
            sources[f"{key}.files"] = "file"
    return sources | dict.fromkeys(flags, "flag")


# What is wrong -------------------------------------------------------------------------------

Problem = tuple[str, str]
"""A dotted key, and the rest of a sentence that begins with it."""


def _problems(error: ValidationError) -> Iterator[Problem]:
    for item in error.errors(include_url=False):
        loc = [str(part) for part in item["loc"]]
        if loc:
            loc[0] = toml_name(loc[0]).strip()
        if loc and loc[-1] == "[key]":
            yield ".".join(loc[:-1]), _unknown(loc[:-1])
        elif item["type"] == "extra_forbidden":
            yield ".".join(loc), _unknown(loc)
        else:
            yield _key_of(loc), _said(item)


def _key_of(loc: list[str]) -> str:
    return ".".join(part for part in loc if not part.isdecimal())


def _said(item: Any) -> str:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "value_error":
        words = str(context["error"])
        return f"must be {words}" if words.startswith("a ") else f"does not fit: {words}"
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        return f"must be one of {context['expected']}, not {_shown(item['input'])}"
    for name, words in (
        ("ge", "at least"),
        ("gt", "more than"),
        ("le", "at most"),
        ("lt", "below"),
    ):
        if name in context:
            return f"must be {words} {context[name]:g}, not {_shown(item['input'])}"
    if kind == "string_pattern_mismatch":
        return f"must be a name of letters, digits and underscores, not {_shown(item['input'])}"
    expected = _EXPECTED.get(kind, item["msg"])
    return f"must be {expected}, not {_shown(item['input'])}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _unknown(loc: list[str]) -> str:
    known = _known_keys(loc[:-1])
    near = difflib.get_close_matches(loc[-1].replace("_", "-"), known, 1, 0.5)
    near = near or difflib.get_close_matches(loc[-1], known, 1, 0.5)
    if near:
        nearest = ".".join([*loc[:-1], near[0]])
        return f"is not known; did you mean `{nearest}`?"
    return f"is not known; known there: {', '.join(known)}"


def _known_keys(loc: list[str]) -> list[str]:
    """What may stand in the table at `loc`."""
    if not loc:
        return [toml_name(name) for name in SwarmFile.model_fields]
    if loc[0] in ("roles", "skills") and len(loc) == 1:
        return ["test_writer", "implementer", "reviewer", "planner"]
    model: Any = SwarmFile
    for part in loc:
        model = _inner(model, part)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return [found.alias or name for name, found in model.model_fields.items()]


def _inner(model: Any, part: str) -> Any:
    """The model of a table's member: a field's, or the values of a table of tables."""
    args = getattr(model, "__args__", None)
    if args:
        return args[-1]
    found = model.model_fields.get(part.replace("-", "_"))
    return found.annotation if found else None


def _not_built(settings: Settings) -> Iterator[Problem]:
    for key, value in settings.values.items():
        parts = key.split(".")
        pattern = f"backends.*.{parts[2]}" if parts[0] == "backends" and len(parts) > 2 else key
        takes = TODAY.get(pattern)
        if takes is not None and not any(value == one for one in takes):
            named = next((one for one in takes if one not in (None, "", [], False)), None)
            rest = f"; {_shown(named)} is" if isinstance(named, str) else "; leave it out"
            yield key, f"= {_shown(value)} is not built yet{rest}"


def _misfits(settings: Settings) -> Iterator[Problem]:
    """Names of backends that nothing defines, an expression that cannot be read, a baseline that
    nothing could be held against, and what is said about a sandbox that is not there."""
    from oya.beads.where import parse_where

    named = {f"roles.{role}.backend": own.backend for role, own in settings.roles.items()}
    for key, name in {"defaults.backend": settings.defaults.backend, **named}.items():
        if name is not None and name not in settings.backends:
            yield key, f"names an unknown backend, `{name}`; {_known_backends(settings, name)}"
    yield from _of_no_sandbox(settings)
    tests = settings.quality_gates.tests
    if settings.no_worse and (not tests.command or tests.report == "none"):
        yield (
            "quality-gates.baseline",
            '= "no-worse" needs a tests gate with a report, `quality-gates.tests`: '
            "without one nobody can tell which tests were red before",
        )
    try:
        parse_where(settings.tracker.where)
    except ConfigError as error:
        yield "tracker.where", f"cannot be read: {str(error).partition('where, ')[2]}"


def _of_no_sandbox(settings: Settings) -> Iterator[Problem]:
    sandbox = settings.sandbox
    if sandbox.kind in ("auto", "bwrap"):
        return
    for key in ("gates_network", "readable", "writable"):
        if getattr(sandbox, key):
            yield f"sandbox.{key}", 'says something only beside `sandbox.kind = "auto"`'


def _known_backends(settings: Settings, name: str) -> str:
    near = difflib.get_close_matches(name, settings.backends, 1)
    if near:
        return f"did you mean `{near[0]}`?"
    known = ", ".join(settings.backends)
    return f"known: {known}" if known else f"define it in [backends.{name}]"


def _wrong(
    problems: Iterator[Problem] | list[Problem], text: str, flags: Mapping[str, object]
) -> ConfigError:
    found = [(_line_of(text, key), key, words) for key, words in problems]
    found.sort(key=lambda one: one[0])
    lines = [_placed(line, key, words, flags) for line, key, words in found[:MAX_SAID]]
    if len(found) > MAX_SAID:
        lines.append(f"and {len(found) - MAX_SAID} more")
    hint = "Type another value." if all(k in flags for _, k, _ in found) else "Correct it there."
    return ConfigError("\n".join(lines), safe="Nothing was changed.", hint=hint)


def _placed(line: int, key: str, words: str, flags: Mapping[str, object]) -> str:
    if key in flags:
        return f"{FLAGS.get(key, key)} {words}"
    where = f"{NAME}, line {line}" if line else NAME
    return f"{where}: `{key}` {words}"


# Lines ---------------------------------------------------------------------------------------

_HEADER = re.compile(r"\s*\[{1,2}([^\]]+)\]{1,2}\s*(?:#.*)?$")
_MEMBER = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[A-Za-z0-9_"'-]+)*)\s*="""
)


def _line_of(text: str, key: str) -> int:
    """The line, from 1, on which a key stands, or the nearest table around it; 0 if none does."""
    best, depth = 0, 0
    for number, path in _paths(text):
        if key == path or key.startswith(f"{path}."):
            parts = path.count(".") + 1
            if parts > depth:
                best, depth = number, parts
    return best


def _paths(text: str) -> Iterator[tuple[int, str]]:
    """What each line opens or sets. Lines inside a long string or list are taken as they look."""
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _dotted(header[1])
            yield number, table
        elif member := _MEMBER.match(line):
            yield number, f"{table}.{_dotted(member[1])}" if table else _dotted(member[1])


def _dotted(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
