"""What a backend must answer, as a file: `.oya/out/<role>.json` in its workspace.

Unknown keys are ignored; what is missing or wrong goes back to the backend as a finding.
`oya schema ROLE` prints these models. An answer is data of a stranger: every text and
every list has a bound.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from oya.folders import is_real_folder, let_in, take_away
from oya.lifecycle.model import Role

MAX_BYTES = 1_000_000
OUT = ".oya/out"


def _relative(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or not {"..", ".git"}.isdisjoint(pure.parts) or not pure.parts:
        raise ValueError("must be a path inside the workspace")
    return str(pure)


def _one_line(text: str) -> str:
    if not text.strip() or any(ord(char) < 32 for char in text):
        raise ValueError("must be one line of text")
    return text


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


Text = Annotated[str, Field(max_length=20_000), AfterValidator(_no_nul)]
Name = Annotated[str, Field(max_length=500), AfterValidator(_one_line)]
FilePath = Annotated[
    str, Field(max_length=1000), AfterValidator(_one_line), AfterValidator(_relative)
]
Line = Annotated[str, Field(min_length=1, max_length=10_000), AfterValidator(_no_nul)]
Texts = Annotated[list[Text], Field(max_length=200)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class PlanItem(_Model):
    """One planned test: an example by Given, When, Then. `id` is the runner's own id."""

    id: Name
    kind: Literal["happy", "error", "edge", "property", "regression"]
    given: Text = ""
    when: Text = ""
    then: Text = ""
    covers: Annotated[list[Name], Field(max_length=50)] = []


class Challenge(_Model):
    """A command and the exit code it must have; `clause` names what it tests."""

    command: Line
    expect: Annotated[int, Field(ge=0, le=255)] = 0
    why: Text = ""
    clause: Text = ""
    contradicts: Name | None = None


class Change(_Model):
    """A test of the base that this bead means to change or remove."""

    id: Name
    why: Text


class Discovered(_Model):
    """Other work that was noticed; nobody works on it until a person opens it."""

    title: Name
    description: Text = ""


class Split(_Model):
    """One part of a bead that is too large; `depends_on` are indexes into the list."""

    title: Name
    description: Text = ""
    depends_on: Annotated[list[int], Field(max_length=20)] = []


class RoleAnswer(_Model):
    cannot: Literal["already_done", "unclear", "contract_wrong", "needs_person"] | None = None
    why: Text = ""
    question: Text = ""
    discovered: Annotated[list[Discovered], Field(max_length=5)] = []


class TestWriterAnswer(RoleAnswer):
    """The contract. kind is required; a plan and files for behaviour, checks for check, for
    preserve what may be touched, for none why."""

    __test__ = False  # not a test class, whatever its name says to pytest

    kind: Literal["behaviour", "check", "preserve", "none"] | None = None
    test_plan: Annotated[list[PlanItem], Field(max_length=200)] = []
    test_files: Annotated[list[FilePath], Field(max_length=100)] = []
    checks: Annotated[list[Challenge], Field(max_length=50)] = []
    error_variants: Texts = []
    preconditions: Texts = []
    postconditions: Texts = []
    invariants: Texts = []
    stubs: Annotated[list[FilePath], Field(max_length=100)] = []
    changes: Annotated[list[Change], Field(max_length=200)] = []
    touches: Annotated[list[FilePath], Field(max_length=200)] = []

    @model_validator(mode="after")
    def _whole(self) -> TestWriterAnswer:
        if self.cannot:
            return self
        if self.kind is None:
            raise ValueError("`kind` is missing: behaviour, check, preserve or none")
        if self.kind == "behaviour" and not (self.test_plan and self.test_files):
            raise ValueError("kind behaviour needs a `test_plan` and `test_files`")
        if self.kind == "check" and not self.checks:
            raise ValueError("kind check needs `checks`")
        if self.kind == "preserve" and not self.touches:
            raise ValueError("kind preserve needs `touches`: the files and folders it may change")
        if self.kind == "none" and not self.why.strip():
            raise ValueError("kind none needs `why`: a person reads why no machine can prove it")
        return self


class ImplementerAnswer(RoleAnswer):
    """None is needed."""

    summary: Text = ""


class ReviewerAnswer(RoleAnswer):
    """Challenges to run; an empty list is an answer."""

    challenges: Annotated[list[Challenge], Field(max_length=50)] = []
    findings: Texts = []


class PlannerAnswer(RoleAnswer):
    """The verdict on a contract."""

    verdict: Literal["accept", "revise"] | None = None
    findings: Texts = []
    split: Annotated[list[Split], Field(max_length=20)] = []

    @model_validator(mode="after")
    def _whole(self) -> PlannerAnswer:
        if self.verdict is None and not self.cannot:
            raise ValueError("`verdict` is missing: accept or revise")
        if self.verdict == "revise" and not (self.findings or self.why):
            raise ValueError("verdict revise needs `findings`: what to do about the contract")
        return self


Answer = TestWriterAnswer | ImplementerAnswer | ReviewerAnswer | PlannerAnswer
T = TypeVar("T", bound=RoleAnswer)

MODELS: dict[Role, type[RoleAnswer]] = {
    Role.TEST_WRITER: TestWriterAnswer,
    Role.IMPLEMENTER: ImplementerAnswer,
    Role.REVIEWER: ReviewerAnswer,
    Role.PLANNER: PlannerAnswer,
}


class AnswerWrong(ValueError):
    """The file is there and is not an answer; the text says what is wrong, for the backend."""


def answer_path(workspace: Path, role: Role) -> Path:
    """Where the answer of `role` is expected."""
    return workspace / OUT / f"{role}.json"


class AnswerFiles(Protocol):
    """Where answers lie: in the workspace of an attempt, which belongs to the backend."""

    def make_room(self, workspace: Path, role: Role) -> None:
        """See that an answer can be written there, and that none of before is left."""
        ...

    def read(self, workspace: Path, role: Role) -> bytes | None:
        """What the backend has written as its answer; None if it has written none.

        Of a file that is too large, more than `MAX_BYTES` but not all.
        """
        ...


class FolderAnswers:
    """`AnswerFiles` on disk. No link is followed."""

    def make_room(self, workspace: Path, role: Role) -> None:
        make_room(workspace, role)

    def read(self, workspace: Path, role: Role) -> bytes | None:
        return _read(workspace, role)


def make_room(workspace: Path, role: Role) -> None:
    """See that the folder of the answer is there and really in the workspace, and empty of it.

    Whatever a backend put in the way is removed: a link, a file, folders in folders. `OSError` if
    the disk refuses, `OyaError` where something cannot be removed.
    """
    folder = workspace
    for part in PurePosixPath(OUT).parts:
        let_in(folder)
        folder = folder / part
        if not is_real_folder(folder):
            take_away(folder)
            folder.mkdir()
    let_in(folder)
    take_away(answer_path(workspace, role))


def read_answer(workspace: Path, role: Role, model: type[T]) -> T | None:
    """The answer, or None where there is no file. `AnswerWrong` when it does not fit.

    No link is followed: an answer is a file that the backend has written in its workspace.
    """
    data = _read(workspace, role)
    return None if data is None else parse_answer(data, role, model)


def parse_answer(data: bytes, role: Role, model: type[T]) -> T:
    """The answer that a file holds. `AnswerWrong` when it does not fit."""
    if len(data) > MAX_BYTES:
        raise AnswerWrong(f"{OUT}/{role}.json is larger than {MAX_BYTES} bytes")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise AnswerWrong(_said(role, error)) from None


def _read(workspace: Path, role: Role) -> bytes | None:
    path = answer_path(workspace, role)
    if not all(is_real_folder(folder) for folder in (path.parent.parent, path.parent)):
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)


def _said(role: Role, error: ValidationError) -> str:
    lines = [f"{OUT}/{role}.json does not fit the schema:"]
    for item in error.errors(include_url=False, include_input=False)[:10]:
        where = ".".join(str(part) for part in item["loc"]) or "the whole"
        lines.append(f"- {where}: {item['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)
