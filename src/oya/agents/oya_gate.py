"""`oya-gate tests|quick`: an agent in its workspace asks what oya's gate says of it as it is now.

It writes `.oya/gate/request-ID.json` and waits for `.oya/gate/answer-ID.json`: files are all
that passes a sandbox without network. Exit 0 green, 1 red, 2 no verdict. Standard library
only, since agents call it often.
"""

# To import pathlib and contextlib takes as long as all the rest.
# ruff: noqa: PTH105, PTH108, PTH109, PTH116, PTH118, PTH123, SIM105

from __future__ import annotations

import json
import os
import sys
import time

GATES = ("tests", "quick")
FOLDER = ".oya/gate"
ALIVE = "alive"
"""A file that oya touches while it listens, and while a gate runs."""
SILENCE = 60.0
"""Seconds without a sign of life after which oya is taken for gone."""
LONGEST = 4 * 3600.0
_LOOK = 0.1


def main() -> int:
    """Ask, wait, print; the exit code."""
    if len(sys.argv) != 2 or sys.argv[1] not in GATES:
        return _trouble("usage: oya-gate tests|quick")
    folder = os.path.join(os.environ.get("OYA_WORKSPACE") or os.getcwd(), FOLDER)
    if _touched(folder) is None:
        return _trouble("oya does not listen here: go on without, it judges your work anyway")
    name = os.urandom(8).hex()
    request, answer = (os.path.join(folder, f"{w}-{name}.json") for w in ("request", "answer"))
    _write(request, json.dumps({"gate": sys.argv[1]}))
    try:
        said = _wait(folder, answer)
    finally:
        for path in (request, answer):
            try:
                os.unlink(path)
            except OSError:
                pass
    if said is None:
        return _trouble("oya does not answer: go on without, it judges your work anyway")
    sys.stdout.write(f"{said.get('text')}\n")
    return {"True": 0, "False": 1}.get(str(said.get("ok")), 2)


def _wait(folder: str, answer: str) -> dict[str, object] | None:
    seen, heard = _touched(folder), time.monotonic()
    until = heard + LONGEST
    while heard + SILENCE > time.monotonic() < until:
        try:
            with open(answer, encoding="utf-8") as file:
                said = json.load(file)
                return said if isinstance(said, dict) else None
        except (OSError, ValueError):
            time.sleep(_LOOK)
        if (now := _touched(folder)) != seen:
            seen, heard = now, time.monotonic()
    return None


def _touched(folder: str) -> int | None:
    try:
        return os.stat(os.path.join(folder, ALIVE)).st_mtime_ns
    except OSError:
        return None


def _write(path: str, text: str) -> None:
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.new", path)


def _trouble(words: str) -> int:
    sys.stderr.write(f"oya-gate: {words}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
