"""The mutants that the tests are tried with: each rule is changed, nothing that is no rule, and always the same way."""

from __future__ import annotations

import ast

from tests.faults.mutation.mutants import chosen, mutants

SOURCE = '''
"""A module."""
from dataclasses import dataclass
LIMIT = 3

@dataclass(frozen=True)
class Seat:
    """A seat."""
    place: int = 1

    def is_first(self) -> bool:
        """Tell."""
        return self.place < 2

def refuse(name: str = "x") -> str:
    if not name:
        raise ValueError("a text")
    return f"{name} is a sentence" + "word"
'''


def changes() -> list[tuple[str, str]]:
    return [(mutant.function, mutant.change) for mutant in mutants(SOURCE)]


def test_every_rule_is_changed_and_every_change_is_another_module() -> None:
    """Constants, defaults, comparisons, conditions, refusals, answers: each mutant differs in one spot."""
    assert changes() == [
        ("", "3 -> 4"),
        ("refuse", "if not name: -> if True:"),
        ("refuse", "if not name: -> if False:"),
        ("refuse", "return f'{name} is a sentence' + 'word' -> return None"),
        ("", "1 -> 2"),
        ("Seat.is_first", "return self.place < 2 -> return None"),
        ("", "'x' -> 'x~'"),
        ("refuse", "not name -> name"),
        ("refuse", "raise ValueError('a text') -> pass"),
        ("refuse", "f'{name} is a sentence' + 'word' -> f'{name} is a sentence' - 'word'"),
        ("Seat.is_first", "self.place < 2 -> self.place <= 2"),
        ("Seat.is_first", "self.place < 2 -> self.place > 2"),
        ("refuse", "'word' -> 'word~'"),
        ("Seat.is_first", "2 -> 3"),
    ]
    texts = [ast.unparse(mutant.tree()) for mutant in mutants(SOURCE)]
    assert len({*texts, ast.unparse(ast.parse(SOURCE))}) == len(texts) + 1


def test_a_seed_chooses_the_same_mutants_again() -> None:
    """One in so many, by chance and at least one; all of them where none is left out."""
    made = list(mutants(SOURCE))
    assert chosen(made, 1, "any") == made
    assert chosen(made, 3, "7") == chosen(made, 3, "7") != chosen(made, 3, "8")
    assert [len(chosen(made, every, "7")) for every in (3, 14, 1000)] == [5, 1, 1]
