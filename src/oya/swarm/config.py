"""`.oya/swarm.toml` and the flags, as one frozen `Settings`.

    settings = load(root / ".oya/swarm.toml", {"defaults.target_beads": 3})
    settings.defaults.target_beads            3
    settings.provenance["defaults.target_beads"]  "flag"

Flags win over the file, the file over defaults. Names are those of the TOML with `-`
written `_`. Nothing is accepted and ignored: an unknown key, a key whose feature is not
built, a value of the wrong type are each a `ConfigError` that names key and line.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from oya.lifecycle.model import Limits, Role
from oya.swarm.units import duration, duration_text, size, size_text

Source = Literal["default", "file", "flag"]

Duration = Annotated[
    float, Field(gt=0), BeforeValidator(duration), PlainSerializer(duration_text, str)
]
Patience = Annotated[
    float, Field(ge=0), BeforeValidator(duration), PlainSerializer(duration_text, str)
]
Size = Annotated[int, Field(gt=0), BeforeValidator(size), PlainSerializer(size_text, str)]
Line = Annotated[str, Field(min_length=1)]
Lines = Annotated[tuple[Line, ...], Field(strict=False)]
ReportKind = Literal[
    "junit", "go-json", "cargo", "nextest", "node", "jest", "vitest", "surefire", "none"
]
WRITTEN_TO_A_FILE = ("junit", "jest", "vitest")
"""Kinds of reports whose runner must be told where to write: `{report}` in the command."""
Count = Annotated[int, Field(ge=1, le=100)]
Names = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...], Field(strict=False)
]


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or not parts or parts[0] in _OWN or {"..", ".git"} & {*parts}:
        raise ValueError("a path from the root of the repository, outside .git, .oya and .beads")
    return str(PurePosixPath(path))


_OWN = (".oya", ".beads")
Paths = Annotated[tuple[Annotated[Line, AfterValidator(_inside)], ...], Field(strict=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Defaults(_Section):
    """`[defaults]`: how much, by how many. `backend` is used where a role names none."""

    target_beads: Annotated[int, Field(ge=1)] = 25
    test_writers: Count = 4
    implementers: Count = 4
    reviewers: Count = 4
    planner: bool = True
    backend: Line | None = None


class RoleSettings(_Section):
    """`[roles.ROLE]`; `attempt_timeout` in seconds, None: `[execution]`'s."""

    backend: Line | None = None
    attempt_timeout: Duration | None = None


class BackendSettings(_Section):
    """`[backends.NAME]`: how to start a program that writes. `env` are names, never values."""

    kind: Literal["acp", "command", "scripted", "headless"]
    command: Lines = ()
    scenario: Line | None = None
    max_sessions: Count | None = None
    env: Names = ()

    @model_validator(mode="after")
    def _whole(self) -> BackendSettings:
        if self.kind == "scripted":
            if self.scenario is None:
                raise ValueError("kind scripted needs `scenario`, the file that it plays")
            if self.command:
                raise ValueError("kind scripted is oya's own program and takes no `command`")
        elif self.scenario is not None:
            raise ValueError(f"kind {self.kind} plays no `scenario`; only scripted does")
        elif not self.command:
            raise ValueError(f'kind {self.kind} needs `command`, for example ["codex-acp"]')
        return self


class Tracker(_Section):
    """`[tracker]`: where beads come from, and which of them may be worked on."""

    kind: Literal["auto", "beads-jsonl", "bd", "br", "github"] = "auto"
    where: str = "type in task,bug,feature,chore,docs"


class Workspace(_Section):
    """`[workspace]`: the folder of an attempt, and slots. `max_file` in bytes."""

    kind: Literal["git", "jj", "zjj"] = "git"
    max_file: Size = 10_000_000
    prepare: Lines = ()
    cleanup: Lines = ()
    copy_: Annotated[Paths, Field(alias="copy")] = ()
    keep: Paths = (".venv", "node_modules", "target")


class TestsGate(_Section):
    """`[quality-gates.tests]`: how to run named tests. No `command`: there is no tests gate."""

    __test__ = False  # not a test class, whatever its name says to pytest

    command: str = ""
    report: ReportKind = "junit"

    @model_validator(mode="after")
    def _whole(self) -> TestsGate:
        needed = self.report in WRITTEN_TO_A_FILE
        if self.command and needed and "{report}" not in self.command:
            raise ValueError(
                f'report "{self.report}" needs {{report}} in `command`: the file it is written to'
            )
        return self


class QualityGates(_Section):
    """`[quality-gates]`: what must pass. `timeout` in seconds; `slots` 0: by the cores; `env` are
    names, never values. What `auto` comes to was seen when it was read: `moon` is on or off."""

    quick: Lines = ()
    ci: Lines = ()
    timeout: Duration = 1800.0
    slots: Annotated[int, Field(ge=0, le=256)] = 0
    env: Names = ()
    history: bool = False
    baseline: Literal["green", "no-worse"] = "green"
    red_queen: bool = True
    moon: Literal["auto", "on", "off"] = "auto"
    tests: TestsGate = TestsGate()


class Contract(_Section):
    """`[contract]`: which kinds may land alone, and how often fail_to_pass is run."""

    unattended: Annotated[
        tuple[Literal["behaviour", "check", "preserve", "none"], ...], Field(strict=False)
    ] = ("behaviour", "check")
    repeat: Annotated[int, Field(ge=1, le=100)] = 3


class Planner(_Section):
    """`[planner]`; `timeout` in seconds."""

    timeout: Duration = 600.0
    split: bool = False


class ReviewSettings(_Section):
    """`[review]`: generations without survivors, and how often a bead may be contested.

    `variants`: changed trees that are tried before a reviewer is asked.
    """

    rounds: Annotated[int, Field(ge=1, le=20)] = 1
    variants: Annotated[int, Field(ge=0, le=1000)] = 20
    max_contests: Annotated[int, Field(ge=0, le=100)] = 3


PLACEHOLDERS: Final = ("id", "title", "description")
"""What `[landing] message` may hold in braces."""
_BRACED: Final = re.compile(r"\{(\w+)\}")


class Landing(_Section):
    """`[landing]`; `branch` "": the branch checked out at start."""

    branch: str = ""
    remote: str = ""
    batch: Annotated[int, Field(ge=1)] = 8
    prove: Literal["", "all", "top"] = ""
    max_rebases: Annotated[int, Field(ge=0, le=100)] = 3
    protected: Lines = ()
    follow: bool = True
    message: str = ""

    @field_validator("message")
    @classmethod
    def _known_placeholders(cls, value: str) -> str:
        unknown = [name for name in _BRACED.findall(value) if name not in PLACEHOLDERS]
        if unknown:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise ValueError(f"{{{unknown[0]}}} is unknown; known: {known}")
        return value


class ContinuousDeployment(_Section):
    """`[continuous-deployment]`; off: reviewed beads wait for `oya approve`."""

    enabled: bool = True


class Execution(_Section):
    """`[execution]`: attempts and clocks, in seconds."""

    max_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    fix_rounds: Annotated[int, Field(ge=0, le=100)] = 2
    attempt_timeout: Duration = 1800.0
    stall_timeout: Duration = 300.0
    grace: Patience = 30.0
    meltdown_window: Duration = 600.0
    lease: Duration = 120.0


class Sandbox(_Section):
    """`[sandbox]`; `kind` None: not written down. `readable` and `writable` are paths that are
    there in every sandbox, from the root of the repository, ~/ or /."""

    kind: Literal["none", "auto", "bwrap"] | None = None
    gates_network: bool = False
    readable: Lines = ()
    writable: Lines = ()


class Budget(_Section):
    """`[budget]`: later."""

    usd: float | None = None
    tokens: int | None = None
    sessions: int | None = None


class SkillSettings(_Section):
    """`[skills]`, one role: a list of files, or `{files = […], replace = true}`.

    The files join the built-in skill of the role, or with `replace` stand in its place.
    Paths are relative to the root of the repository.
    """

    files: Lines = ()
    replace: bool = False

    @model_validator(mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return {"files": value} if isinstance(value, list) else value

    @model_validator(mode="after")
    def _whole(self) -> SkillSettings:
        if self.replace and not self.files:
            raise ValueError("`replace` needs `files` to stand in place of the built-in skill")
        return self


class StoreSettings(_Section):
    """`[store]`."""

    url: str = ""
    sync: bool = True
    retention: Duration = 30 * 86400.0


RoleName = Annotated[str, Field(pattern="^(test_writer|implementer|reviewer|planner)$")]
BackendName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class SwarmFile(_Section):
    """The whole file."""

    defaults: Defaults = Defaults()
    roles: dict[RoleName, RoleSettings] = {}
    backends: dict[BackendName, BackendSettings] = {}
    tracker: Tracker = Tracker()
    workspace: Workspace = Workspace()
    quality_gates: QualityGates = QualityGates()
    contract: Contract = Contract()
    planner: Planner = Planner()
    review: ReviewSettings = ReviewSettings()
    landing: Landing = Landing()
    continuous_deployment: ContinuousDeployment = ContinuousDeployment()
    execution: Execution = Execution()
    sandbox: Sandbox = Sandbox()
    budget: Budget = Budget()
    skills: dict[RoleName, SkillSettings] = {}
    store: StoreSettings = StoreSettings()


class Settings(SwarmFile):
    """The checked configuration. `provenance` says where each value came from (by dotted TOML
    key), `values` how it is written there, `pinned` is a hash over all of it."""

    provenance: dict[str, Source] = {}

    @cached_property
    def values(self) -> dict[str, Any]:
        """Every value by its dotted TOML key, as the file would spell it."""
        plain = self.model_dump(mode="json", by_alias=True, exclude={"provenance"})
        return flat({toml_name(section): value for section, value in plain.items()})

    @cached_property
    def pinned(self) -> str:
        """The hash by which a swarm knows the configuration that it runs under: 16 hex digits."""
        text = json.dumps(self.values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def no_worse(self) -> bool:
        """Whether tests that are red on the base may stay red (`baseline = "no-worse"`)."""
        return self.quality_gates.baseline == "no-worse"

    @property
    def limits(self) -> Limits:
        """The bounds of the transition table."""
        return Limits(
            max_attempts=self.execution.max_attempts,
            max_contests=self.review.max_contests,
            max_rebases=self.landing.max_rebases,
            planner=self.defaults.planner,
            review=self.quality_gates.red_queen,
        )

    @property
    def rules(self) -> dict[str, Any]:
        """What a swarm's first event says of how it judges: limits, the gates there are, what
        of a batch is proven, for how long what is over stays, which kinds of contract land
        without a person, and what a base that is red means."""
        gates = self.quality_gates
        there = {"quick": gates.quick, "tests": gates.tests.command, "ci": gates.ci}
        return {
            "limits": asdict(self.limits),
            "gates": [name for name, is_ in there.items() if is_],
            "prove": self.landing.prove,
            "retention": self.store.retention,
            "unattended": list(self.contract.unattended),
            "baseline": gates.baseline,
        }

    @property
    def roles_in_use(self) -> tuple[Role, ...]:
        """The roles that this configuration lets work."""
        off = {Role.PLANNER: not self.defaults.planner}
        off[Role.REVIEWER] = not self.quality_gates.red_queen
        return tuple(role for role in Role if not off.get(role))

    def backend_of(self, role: Role) -> str | None:
        """The backend that a role is to use; None where nothing names one."""
        own = self.roles.get(str(role))
        return (own.backend if own else None) or self.defaults.backend


def toml_name(section: str) -> str:
    """The name of a section in the file."""
    return section.replace("_", "-") if section in _DASHED else section


_DASHED = ("quality_gates", "continuous_deployment")


def flat(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Leaves of nested tables by dotted key."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{before}{key}"
        if isinstance(value, Mapping) and (value or not before):
            found |= flat(value, f"{path}.")
        else:
            found[path] = value
    return found


def load(path: Path | None, flags: Mapping[str, object], *, complete: bool = True) -> Settings:
    """The settings that a file and flags give; `path` None or absent: defaults and flags.

    `flags` are by dotted TOML key (`"defaults.target_beads": 3`); None is a flag that was not
    given. `ConfigError` for whatever is wrong. With `complete`, also where something is missing
    without which no swarm can start: a backend for each role, a gate, the sandbox.
    """
    from oya.swarm.config_file import read

    settings = read(path, flags)
    if complete:
        require_complete(settings)
    return settings


def require_complete(settings: Settings) -> None:
    """`ConfigError`, with what to write, where the configuration cannot carry a swarm."""
    from oya.swarm.config_file import missing

    error = missing(settings)
    if error is not None:
        raise error
