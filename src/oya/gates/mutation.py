"""Mutation, for Python: small changes of changed lines that a test should notice.

By positions of the standard library's own parser: only the expression or statement in
question is written anew, the rest of the file stays as it is. Strings are left alone (few
tests hold the words of a message), and so are annotations, docstrings and logging.
"""

from __future__ import annotations

import ast
import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final

from oya.gates.feedback import clip
from oya.gates.variant import Variant, program

_COMPARE: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_UNREAD: Final = frozenset({"annotation", "returns", "type_params"})
_QUIET: Final = frozenset({"log", "logger", "logging", "warnings", "print"})
_STRINGS: Final = frozenset({"JoinedStr", "TemplateStr"})
"""What is in them has no sound position in every version of Python."""
_NODES_LIMIT: Final = 50_000
_SAID: Final = 80
_ERRORS: Final = (SyntaxError, ValueError, RecursionError, MemoryError)

_SLIGHT: Final = 3
_Found = tuple[int, ast.AST, ast.AST]
_Change = tuple[int, ast.AST]
"""How much it tells (0 most), and what stands there instead."""


def mutants(
    path: str, data: bytes | None, changed: Collection[int], seed: str
) -> Iterator[Variant]:
    """Variants of a Python file on the `changed` lines (from 1), the most telling first.

    Branches and refusals come before comparisons, those before arithmetic; each line has its
    turn before any has a second one. Numbers come last of all. Among equals the seed chooses.
    A file that this Python cannot parse has none.
    """
    text = program(path, data)
    if text is None or data is None or not path.endswith(".py"):
        return
    try:
        tree = ast.parse(text)
    except _ERRORS:
        return
    nodes = [node for node in _nodes(tree) if getattr(node, "lineno", None) in changed]
    ifs = [node for node in nodes if isinstance(node, ast.If) and not node.body[1:]]
    alone = {id(one.body[0]) for one in ifs if isinstance(one.body[0], ast.Raise | ast.Expr)}
    found = [
        (rank, node, instead)
        for node in nodes
        if id(node) not in alone  # the branch that is never taken says the same
        for rank, instead in _changes(node)
    ]
    for rank, node, instead in _in_turn(found, seed):
        variant = _variant(path, data, node, instead)
        if variant is not None:
            yield replace(variant, slight=rank == _SLIGHT)


def _in_turn(found: list[_Found], seed: str) -> list[_Found]:
    def luck(entry: _Found) -> tuple[int, str]:
        rank, node, instead = entry
        at = f"{seed}/{_at(node)}/{type(instead).__name__}"
        return rank, hashlib.sha256(at.encode()).hexdigest()

    turns: dict[int, int] = {}
    queued = []
    for number, entry in enumerate(sorted(found, key=luck)):
        line = _at(entry[1])[0]
        turns[line] = turns.get(line, 0) + 1
        queued.append((entry[0] == _SLIGHT, turns[line], number, entry))
    return [entry for *_, entry in sorted(queued, key=lambda queue: queue[:3])]


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs, outermost first."""
    waiting, seen = deque([tree]), 0
    while waiting and seen < _NODES_LIMIT:
        node = waiting.popleft()
        seen += 1
        yield node
        skipped = _UNREAD | ({"test"} if isinstance(node, ast.If) and _is_usual(node) else set())
        for name, value in ast.iter_fields(node):
            if name not in skipped and type(node).__name__ not in _STRINGS:
                below = value if isinstance(value, list) else [value]
                waiting += [one for one in below if isinstance(one, ast.AST)]


def _changes(node: ast.AST) -> Iterator[_Change]:
    change = _OF.get(type(node))
    return change(node) if change is not None else iter(())


def _if(node: ast.If | ast.IfExp) -> Iterator[_Change]:
    if not _is_usual(node):
        yield 0, _with(node, test=ast.Constant(False))


def _is_usual(node: ast.If | ast.IfExp) -> bool:
    """`if __name__ == "__main__"` and the like."""
    names = {one.id for one in ast.walk(node.test) if isinstance(one, ast.Name)}
    return not names.isdisjoint({"TYPE_CHECKING", "__name__"})


def _raise(node: ast.Raise) -> Iterator[_Change]:
    if node.exc is not None:
        yield 1, ast.Pass()


def _call(node: ast.Expr) -> Iterator[_Change]:
    root = node.value
    while isinstance(root, ast.Call | ast.Attribute | ast.Await):
        root = root.func if isinstance(root, ast.Call) else root.value
    if isinstance(node.value, ast.Call | ast.Await) and not (
        isinstance(root, ast.Name) and root.id in _QUIET
    ):
        yield 1, ast.Pass()


def _compare(node: ast.Compare) -> Iterator[_Change]:
    for number, op in enumerate(node.ops):
        if type(op) in _COMPARE:
            ops = [*node.ops]
            ops[number] = _COMPARE[type(op)]()
            yield 1, _with(node, ops=ops)


def _boolean(node: ast.BoolOp) -> Iterator[_Change]:
    yield 1, _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())


def _not(node: ast.UnaryOp) -> Iterator[_Change]:
    if isinstance(node.op, ast.Not):
        yield 1, node.operand


def _return(node: ast.Return) -> Iterator[_Change]:
    if node.value is not None and not _is_none(node.value):
        yield 2, _with(node, value=ast.Constant(None))


def _binary(node: ast.BinOp) -> Iterator[_Change]:
    formats = isinstance(node.left, ast.Constant) and isinstance(node.left.value, str | bytes)
    if type(node.op) in _ARITHMETIC and not formats:
        yield 2, _with(node, op=_ARITHMETIC[type(node.op)]())


def _augmented(node: ast.AugAssign) -> Iterator[_Change]:
    if type(node.op) in _ARITHMETIC:
        yield 2, _with(node, op=_ARITHMETIC[type(node.op)]())


def _constant(node: ast.Constant) -> Iterator[_Change]:
    if isinstance(node.value, bool):
        yield _SLIGHT, ast.Constant(not node.value)
    elif isinstance(node.value, int | float):
        yield _SLIGHT, ast.Constant(node.value + 1)


_OF: Final[dict[type[ast.AST], Callable[[Any], Iterator[_Change]]]] = {
    ast.If: _if,
    ast.IfExp: _if,
    ast.Raise: _raise,
    ast.Expr: _call,
    ast.Compare: _compare,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _not,
    ast.Return: _return,
    ast.BinOp: _binary,
    ast.AugAssign: _augmented,
    ast.Constant: _constant,
}


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    made = type(node)(**{**dict(ast.iter_fields(node)), **fields})
    return ast.copy_location(made, node)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _variant(path: str, data: bytes, node: ast.AST, instead: ast.AST) -> Variant | None:
    """The file with one node written anew; None where that would be no program."""
    target = node
    if isinstance(node, ast.If):  # only its condition is written anew
        target, instead = node.test, getattr(instead, "test", instead)
    try:
        before, after = _text(target), _text(instead)
        new = _spliced(data, target, after if isinstance(target, ast.stmt) else f"({after})")
        ast.parse(new)
    except _ERRORS:
        return None
    line, last = _at(node)[0], getattr(target, "end_lineno", None) or _at(node)[0]
    how = f"`{clip(before, _SAID)}` made `{clip(after, _SAID)}`"
    shown = data.decode().split("\n")[line - 1].strip()
    return Variant(path, line, last, how, clip(shown, 2 * _SAID), new)


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(ast.fix_missing_locations(deepcopy(node))).split("\n"))


def _spliced(data: bytes, node: Any, text: str) -> bytes:
    """Columns of the parser are bytes of UTF-8, lines end with a line feed."""
    lines = data.split(b"\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    first = starts[node.lineno - 1] + node.col_offset
    last = starts[node.end_lineno - 1] + node.end_col_offset
    return data[:first] + text.encode() + data[last:]


def _at(node: Any) -> tuple[int, int]:
    return node.lineno, node.col_offset
