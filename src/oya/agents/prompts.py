"""What agents are told: the skill of their role, then everything about the bead.

The built-in skills are the Markdown files beside this one; `[skills]` adds files to a role,
or replaces the built-in one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from oya.agents.answers import OUT
from oya.errors import ConfigError
from oya.lifecycle.model import Role

MAX_SKILL = 100_000
MAX_PART = 60_000
"""Characters of one section; of a longer one the middle is left out, and said to be."""
MAX_FINDING = 8000
HERE = Path(__file__).parent / "skills"


class SkillConfig(Protocol):
    """What `[skills] ROLE` says."""

    @property
    def files(self) -> Sequence[str]: ...
    @property
    def replace(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Dependency:
    """A bead that had to be done first; `commit` is how it landed, if oya landed it."""

    id: str
    title: str
    commit: str | None


@dataclass(frozen=True, slots=True)
class Briefing:
    """Everything that is known about a bead and this attempt at it.

    `gates` are the command lines that will judge the work, each with its name before it;
    `hints` what oya found by changing the work and running its tests.
    """

    bead: str
    title: str
    description: str = ""
    design: str = ""
    tracker_notes: str = ""
    criteria: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    depends: tuple[Dependency, ...] = ()
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    attempt: int = 1
    contract: Mapping[str, Any] | None = None
    conflicts: tuple[str, ...] = ()
    continued: bool = False
    rework: bool = False
    diff: str = ""
    files: tuple[str, ...] = ()
    files_total: int = 0
    gates: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


class Prompts:
    """Renders prompts. `skills` maps each role to the text that comes first."""

    def __init__(self, skills: Mapping[Role, str]) -> None:
        self._skills = skills

    @classmethod
    def load(cls, config: Mapping[str, SkillConfig], root: Path) -> Prompts:
        """The built-in skills with what the configuration adds. `ConfigError`: a missing file."""
        skills = {}
        for role in Role:
            own = config.get(str(role))
            texts = [] if own and own.replace else [(HERE / f"{role}.md").read_text()]
            texts += [_read(root, name) for name in (own.files if own else ())]
            skills[role] = "\n\n".join(texts)
        return cls(skills)

    def first(self, role: Role, briefing: Briefing) -> str:
        """The first prompt of an attempt."""
        sections = [self._skills[role].strip(), *_sections(role, briefing)]
        return "\n\n".join(section for section in sections if section) + "\n"

    def again(self, role: Role, findings: Sequence[str]) -> str:
        """A further prompt in the same session: what was found, and what to do about it."""
        listed = _cut(_listed((f"{n}.", text) for n, text in enumerate(findings, 1)), MAX_PART)
        return (
            "Your work was checked by running it. This is what was found:\n\n"
            f"{listed}\n\n"
            "Put it right in the same workspace. The rules are as before; write your answer to "
            f"`{OUT}/{role}.json` again if it was asked for.\n"
        )


def _read(root: Path, name: str) -> str:
    path = root / name
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"[skills] {name} cannot be read: {error}", hint="Paths start at the repository's root."
        ) from error
    if len(text) > MAX_SKILL:
        raise ConfigError(f"[skills] {name} is longer than {MAX_SKILL} characters")
    return text


def _sections(role: Role, b: Briefing) -> list[str]:
    return [
        f"# The bead: {b.bead} · {b.title}",
        _part("Description", b.description),
        _part("Design", b.design),
        _part("Notes in the tracker", b.tracker_notes),
        _part(
            "Acceptance criteria", _listed((f"- AC{n}:", c) for n, c in enumerate(b.criteria, 1))
        ),
        _part("Comments", "\n\n".join(b.comments)),
        _part("What it builds on", "\n".join(_dependency(d) for d in b.depends)),
        _part("What a person says about it", _listed(("-", n) for n in b.notes)),
        _part("What was found before", _listed(("-", f) for f in b.findings)),
        _state(b),
        _contract(b.contract) if role is not Role.TEST_WRITER or b.contract else "",
        _part(
            "The change to attack" if role is Role.REVIEWER else "The change",
            _fence(b.diff, "diff"),
        ),
        _part("What no test notices (found by running it)", _listed(("-", h) for h in b.hints)),
        _part("What will judge it", _listed(("-", f"`{gate}`") for gate in b.gates)),
        _map(b),
    ]


def _part(title: str, text: str) -> str:
    return f"## {title}\n\n{_cut(text.strip(), MAX_PART)}" if text.strip() else ""


def _listed(items: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{mark} {_cut(text.strip(), MAX_FINDING)}" for mark, text in items)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n\n[… {len(text) - 2 * half} characters left out …]\n\n{text[-half:]}"


def _fence(text: str, language: str) -> str:
    """A fenced block whose fence is longer than any in the text."""
    if not text.strip():
        return ""
    text = _cut(text.rstrip(), MAX_PART - 100)
    ticks = "`" * max(4, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text}\n{ticks}"


def _dependency(d: Dependency) -> str:
    how = f"landed as {d.commit[:12]}" if d.commit else "done"
    return f"- {d.id} · {d.title} ({how})"


def _state(b: Briefing) -> str:
    said = [f"This is attempt {b.attempt} of this role at this bead."]
    if b.continued:
        said.append("The workspace holds what an earlier attempt had done when it was interrupted.")
    if b.rework:
        said.append(
            "Other work has landed meanwhile: the workspace is the new base with this bead's "
            "contract and implementation merged into it. Make it fit; keep what others did."
        )
    if b.conflicts:
        names = ", ".join(f"`{name}`" for name in b.conflicts)
        said.append(f"Conflict markers stand in {names}: resolve each by keeping both intentions.")
    return _part("Where you start", "\n".join(said))


def _contract(contract: Mapping[str, Any] | None) -> str:
    if contract is None:
        return ""
    text = json.dumps(contract, ensure_ascii=False, separators=(",\n", ": "))
    return _part("The contract (P1…Pn are its postconditions)", _fence(text, "json"))


def _map(b: Briefing) -> str:
    if not b.files:
        return ""
    more = b.files_total - len(b.files)
    lines = [*b.files, *([f"… and {more} more"] if more > 0 else [])]
    return _part("Files of the repository", _fence("\n".join(lines), ""))
