"""Files with one place changed, as a slip of the pen would."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.FloorDiv: ast.Mult},
}
SKIPPED = (ast.Import, ast.ImportFrom, ast.Raise, ast.JoinedStr)


@dataclass(frozen=True)
class Mutant:
    """A file with one place changed."""

    path: Path
    line: int
    change: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """Dotted name of the file."""
        return ".".join(self.path.with_suffix("").parts)


def variants(node: ast.AST, names: set[str]) -> Iterator[ast.AST]:
    """What could stand in a node's place by mistake.

    Args:
        node: Anywhere in a module.
        names: What the module imports.
    """
    if isinstance(node, ast.Compare | ast.BinOp | ast.BoolOp | ast.AugAssign):
        first = node.ops[0] if isinstance(node, ast.Compare) else node.op
        if type(first) in OPERATORS:
            other = deepcopy(node)
            operator: Any = OPERATORS[type(first)]()
            if isinstance(other, ast.Compare):
                other.ops[0] = operator
            else:
                other.op = operator
            yield other
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.If | ast.IfExp):
        yield type(node)(**{**vars(node), "test": ast.UnaryOp(ast.Not(), node.test)})
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        changed = not node.value if isinstance(node.value, bool) else node.value + 1
        yield ast.Constant(changed)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass()
    elif isinstance(node, ast.Call):
        yield from calls(node, names)


def calls(node: ast.Call, names: set[str]) -> Iterator[ast.expr]:
    """A method left out, a keyword left out, or two arguments swapped."""
    receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
    if receiver is not None and ast.unparse(receiver) not in names | {"self", "super()"}:
        yield receiver
    for number in range(len(node.keywords)):
        yield ast.Call(
            node.func, node.args, [*node.keywords[:number], *node.keywords[number + 1 :]]
        )
    for number in range(len(node.args) - 1):
        first, second = node.args[number : number + 2]
        if isinstance(first, ast.Name) and isinstance(second, ast.Name) and first.id != second.id:
            swapped = [*node.args[:number], second, first, *node.args[number + 2 :]]
            yield ast.Call(node.func, swapped, node.keywords)


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        if node is self.old:
            return ast.copy_location(self.new, node)
        return self.generic_visit(node)


def code_of(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run: no annotations, decorators, imports and texts of errors."""
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, SKIPPED):
                yield from code_of(child)


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of a file."""
    original = ast.parse(path.read_text(encoding="utf-8"))
    names = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(original)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for number, node in enumerate(code_of(original)):
        for which, variant in enumerate(variants(node, names)):
            tree = deepcopy(original)
            old = list(code_of(tree))[number]
            new = list(variants(old, names))[which]
            tree = ast.fix_missing_locations(_Replace(old, new).visit(tree))
            before, after = (ast.unparse(item).partition("\n")[0] for item in (node, variant))
            yield Mutant(path, getattr(node, "lineno", 0), f"{before}  ->  {after}", tree)
