"""Small wrong versions of a module: one change each, made in its syntax tree.

Not changed, because no rule is in them: docstrings, annotations, decorators, imports, and sentences for people,
which are the texts of refusals (callers branch on the reason) and every text with a space in it.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}


@dataclass(frozen=True)
class Mutant:
    """One change of a module: the line it is on, what it turned into what, and what makes it.

    `function`: the qualified name of the function or method in whose body it is; empty for what a module or class
    says outside of them, which counts when the module is loaded.
    """

    line: int
    code: str
    change: str
    function: str
    module: ast.Module
    index: int
    changed: ast.AST

    @property
    def name(self) -> str:
        """Name the mutant, whatever its line's number."""
        return f"{self.code} | {self.change}"

    def tree(self) -> ast.Module:
        """Make the whole module with the change in it."""
        mutated = copy.deepcopy(self.module)
        target = next(node for at, node in enumerate(ast.walk(mutated)) if at == self.index)
        fresh = copy.deepcopy(self.changed)
        _replace(mutated, target, fresh)
        ast.copy_location(fresh, target)
        return ast.fix_missing_locations(mutated)

    def __str__(self) -> str:
        """Give place and change on one line."""
        return f"line {self.line}: {self.name}"


def mutants(source: str) -> Iterator[Mutant]:
    """Make every mutant of a module."""
    tree, lines = ast.parse(source), source.splitlines()
    functions = dict(_functions(tree, ""))
    for index, node in enumerate(ast.walk(tree)):
        for place in _changeable(node):
            for changed in _variants(place):
                line = getattr(place, "lineno", 1)
                change = f"{_text(place)} -> {_text(changed)}"
                code = lines[line - 1].strip()
                yield Mutant(line, code, change, functions.get(place, ""), tree, index, changed)


def chosen(made: Sequence[Mutant], every: int, seed: str) -> list[Mutant]:
    """Choose one in `every` mutants by chance, at least one; all of them for 1. The same seed chooses the same."""
    count = -(-len(made) // every)
    places = sorted(random.Random(seed).sample(range(len(made)), count))
    return [made[place] for place in places]


def _functions(scope: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[ast.AST, str]]:
    """Give the nodes of each function's body with its qualified name; not its defaults, which belong to the load."""
    for node in scope.body:
        match node:
            case ast.FunctionDef():
                yield from ((inner, prefix + node.name) for part in node.body for inner in ast.walk(part))
            case ast.ClassDef():
                yield from _functions(node, f"{prefix}{node.name}.")


def _changeable(node: ast.AST) -> Iterator[ast.AST]:
    """Give a node unless it is marked as not to be changed."""
    if isinstance(node, ast.Module):
        _mark(node)
    if not getattr(node, "is_kept", False) and hasattr(node, "lineno"):
        yield node


def _mark(tree: ast.Module) -> None:  # noqa: C901  one case for each kind of place
    for node in ast.walk(tree):
        kept: list[ast.AST | None] = []
        match node:
            case ast.FunctionDef():
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                kept = [*node.decorator_list, node.returns, *(argument.annotation for argument in arguments)]
            case ast.ClassDef():
                kept = [*node.decorator_list, *node.bases]
            case ast.AnnAssign():
                kept = [node.annotation]
            case ast.Raise(exc=ast.Call(args=[ast.Constant() | ast.JoinedStr() as text, *_])):
                kept = [text]
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant() | ast.JoinedStr() as text, *_]):
                kept = [text] if name.endswith("Error") or name == "TypeVar" else []
            case ast.Expr(value=ast.Constant()):
                kept = [node]
            case ast.Assert():
                kept = [node]
            case ast.Constant(value=str() as said) if " " in said:
                kept = [node]
            case ast.JoinedStr() if any(" " in str(part.value) for part in _texts(node)):
                kept = [*_texts(node)]
        for root in kept:
            for inner in ast.walk(root) if root is not None else ():
                inner.is_kept = True  # type: ignore[attr-defined]


def _texts(sentence: ast.JoinedStr) -> list[ast.Constant]:
    return [part for part in sentence.values if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def _variants(node: ast.AST) -> Iterator[ast.AST]:  # noqa: C901, PLR0912  one case for each kind of change
    match node:
        case ast.Compare(ops=[operator]):
            for other in COMPARISONS[type(operator)]:
                yield _changed(node, ops=[other()])
        case ast.BoolOp():
            yield _changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
            yield from node.values
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.BinOp() if type(node.op) in ARITHMETIC:
            yield _changed(node, op=ARITHMETIC[type(node.op)]())
        case ast.IfExp():
            yield node.body
            yield node.orelse
        case ast.If():
            yield _changed(node, test=ast.Constant(value=True))
            yield _changed(node, test=ast.Constant(value=False))
        case ast.Constant(value=bool() as value):
            yield ast.Constant(value=not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value=value + 1)
        case ast.Constant(value=str() as value):
            yield ast.Constant(value=f"{value}~")
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield _changed(node, value=ast.Constant(value=None))
        case ast.Expr() | ast.Raise() | ast.AugAssign():
            yield ast.Pass()
        case ast.Call():
            yield from _call_variants(node)
        case ast.comprehension(ifs=[_, *_]):
            yield _changed(node, ifs=[])
        case ast.Slice():
            yield from (_changed(node, **{end: None}) for end in ("lower", "upper") if getattr(node, end))


def _call_variants(node: ast.Call) -> Iterator[ast.AST]:
    if isinstance(node.func, ast.Name) and node.func.id in SWAPPED:
        yield _changed(node, func=ast.Name(id=SWAPPED[node.func.id], ctx=ast.Load()))
    for index, keyword in enumerate(node.keywords):
        if keyword.arg is not None:
            yield _changed(node, keywords=node.keywords[:index] + node.keywords[index + 1 :])


def _changed(node: ast.AST, **fields: object) -> ast.AST:
    """Give a shallow copy of a node with other fields."""
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _replace(tree: ast.Module, target: ast.AST, fresh: ast.AST) -> None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, fresh)
                return
            if isinstance(value, list) and any(entry is target for entry in value):
                setattr(parent, name, [fresh if entry is target else entry for entry in value])
                return
    raise LookupError("the node to change is not in the tree")


def _text(node: ast.AST) -> str:
    """Give a node's code on one short line."""
    first = ast.unparse(node).strip().splitlines()[0]
    return first if len(first) <= 90 else f"{first[:87]}..."
