"""An accepted contract, as it is kept and held against every later tree of its bead."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from oya.agents.answers import TestWriterAnswer
from oya.gates.feedback import clip
from oya.gates.red import ContractVerdict
from oya.lifecycle.model import Check
from oya.repository.port import Head
from oya.store.head import fields_of
from oya.swarm.messages import Claim

PROVES = ("behaviour", "check")
"""The kinds in which something is red before and green after."""
NAMED = 20
"""Names that a finding about coverage lists, at most."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What was accepted: commits, test ids, the paths that are frozen from here on.

    `frozen` names paths; their content is what the merge of the current base with `commit`
    has there. `answer` is the test writer's answer as it was given.
    """

    bead: str
    epoch: int
    kind: str
    commit: str
    base: str
    fail_to_pass: tuple[str, ...]
    guards: tuple[str, ...]
    changes: tuple[str, ...]
    test_files: tuple[str, ...]
    frozen: tuple[str, ...]
    checks: tuple[Check, ...]
    answer: dict[str, Any]

    @classmethod
    def of(
        cls,
        claim: Claim,
        answer: TestWriterAnswer,
        head: Head,
        verdict: ContractVerdict,
        *,
        base: str,
        frozen: Sequence[str],
    ) -> Contract:
        """The contract that `answer` and the gate's verdict make."""
        return cls(
            bead=claim.bead,
            epoch=claim.epoch,
            kind=answer.kind or "",
            commit=head.commit,
            base=base,
            fail_to_pass=tuple(verdict.fail_to_pass),
            guards=tuple(verdict.guards),
            changes=tuple(change.id for change in answer.changes),
            test_files=tuple(answer.test_files),
            frozen=tuple(frozen),
            checks=tuple(Check(c.command, c.expect, c.clause) for c in answer.checks),
            answer=answer.model_dump(exclude_none=True, exclude={"discovered"}),
        )

    @property
    def touches(self) -> tuple[str, ...]:
        """Globs of what a refactoring (kind preserve) may change; empty: anything."""
        return tuple(self.answer.get("touches", ())) if self.kind == "preserve" else ()

    @property
    def planned(self) -> tuple[str, ...]:
        """Every planned test that was there when the contract was accepted."""
        return (*self.fail_to_pass, *self.guards)

    @property
    def hash(self) -> str:
        """Names the contract in the landed commit: 16 hex digits over tests and answer."""
        text = json.dumps([self.commit, self.fail_to_pass, self.answer], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """The contract as one JSON object."""
        return fields_of(self) | {"checks": [asdict(check) for check in self.checks]}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Contract:
        """The reverse of `to_json`; unknown keys are ignored."""
        data = {f.name: row[f.name] for f in fields(cls)}
        for key in ("fail_to_pass", "guards", "changes", "test_files", "frozen"):
            data[key] = tuple(data[key])
        data["checks"] = tuple(Check(**check) for check in data["checks"])
        return cls(**data)


def coverage(criteria: Sequence[str], answer: TestWriterAnswer) -> list[str]:
    """What is wrong with the names in `covers`, for the test writer; nothing: all is covered.

    Each acceptance criterion (AC1…), postcondition (P1…) and error variant is to be named by a
    planned test, or by the clause of a check, and `covers` is to name nothing else. A text
    stands for its number. Kinds that prove nothing new (preserve, none) cover nothing.
    """
    wanted = {
        **_numbered("AC", criteria),
        **_numbered("P", answer.postconditions),
        **{error.strip(): error.strip() for error in answer.error_variants if error.strip()},
    }
    named = {name.strip() for item in answer.test_plan for name in item.covers}
    covered = named | {check.clause.strip() for check in answer.checks}
    missing = [name for name, text in wanted.items() if not {name, text} & covered]
    unknown = sorted(named - {*wanted, *wanted.values()})
    findings = []
    if missing and answer.kind in PROVES:
        findings.append(f"no planned test covers: {_listed(missing)} (name them in `covers`)")
    if unknown:
        known = _listed(list(wanted)) or "nothing"
        findings.append(f"`covers` names what is not there: {_listed(unknown)}; there is {known}")
    return findings


def _numbered(letters: str, texts: Sequence[str]) -> dict[str, str]:
    return {f"{letters}{n}": text.strip() for n, text in enumerate(texts, 1)}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(clip(name, 100) for name in names[:NAMED])}{more}"
