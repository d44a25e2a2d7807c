"""Evidence as a row of the store, and the key it is found by."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from oya.gates.model import Broken, Case, Evidence, Outcome, Report

_UNPACKED_LIMIT: Final = 256_000_000


def evidence_key(
    gate: str,
    tree: str,
    commands: Sequence[str],
    ids: Sequence[str],
    fingerprint: str,
    base_tree: str = "",
) -> str:
    """The same key: the same verdict is to be expected."""
    said = [gate, tree, list(commands), sorted(set(ids)), fingerprint]
    said += [base_tree] if base_tree else []
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def to_row(evidence: Evidence) -> dict[str, Any]:
    """JSON values only. A report is packed (a suite of thousands of tests takes a few dozen
    kilobytes) beside its counts, which are for people."""
    report = evidence.report
    return {
        "key": evidence.key,
        "gate": evidence.gate,
        "tree": evidence.tree,
        "command": evidence.command,
        "exit": evidence.exit,
        "seconds": round(evidence.seconds, 3),
        "cpu_seconds": round(evidence.cpu_seconds, 3),
        "ok": evidence.ok,
        "timed_out": evidence.timed_out,
        "log": str(evidence.log),
        "tail": evidence.tail,
        "counts": report.counts() if report is not None else None,
        "report": _pack(report) if report is not None else None,
    } | ({} if evidence.prepared else {"prepared": False})


def from_row(row: dict[str, Any]) -> Evidence | None:
    """The evidence of a row, marked as reused; None if the row is not one (then the gate
    is run again)."""
    try:
        packed = row["report"]
        return Evidence(
            key=str(row["key"]),
            gate=str(row["gate"]),
            tree=str(row["tree"]),
            command=str(row["command"]),
            exit=None if row["exit"] is None else int(row["exit"]),
            seconds=float(row["seconds"]),
            cpu_seconds=float(row["cpu_seconds"]),
            ok=row["ok"] is True,
            report=None if packed is None else _unpack(packed),
            log=Path(row["log"]),
            tail=str(row["tail"]),
            timed_out=row["timed_out"] is True,
            reused=True,
            prepared="prepared" not in row,
        )
    except (KeyError, TypeError, ValueError, zlib.error):
        return None


def _pack(report: Report) -> str:
    cases = [[case.id, case.outcome, case.message] for case in report.cases]
    broken = [[item.file, item.message, item.kind, item.unit] for item in report.broken]
    text = json.dumps({"cases": cases, "broken": broken})
    return base64.b64encode(zlib.compress(text.encode())).decode()


def _unpack(packed: str) -> Report:
    data = zlib.decompressobj().decompress(base64.b64decode(packed), _UNPACKED_LIMIT)
    said = json.loads(data)
    return Report(
        tuple(Case(id, Outcome(outcome), message) for id, outcome, message in said["cases"]),
        tuple(Broken(*item) for item in said["broken"]),
    )
