"""What a PromQL expression reads: enough of its grammar to name metrics and selectors, no more."""

from __future__ import annotations

import re

_WORDS = frozenset(
    {
        *("and", "by", "ignoring", "le", "on", "or", "unless", "without"),
        *("absent", "histogram_quantile", "max", "min", "rate", "sum", "time", "vector"),
    }
)
"""Functions and keywords that our expressions use; a new one that is missing here shows as an unknown metric."""

_SELECTOR = re.compile(r"([A-Za-z_:][\w:]*)(\{[^}]*\})")


def selectors(expression: str) -> list[tuple[str, str]]:
    """List (metric, what stands in its braces)."""
    return [(name, braces[1:-1]) for name, braces in _SELECTOR.findall(_without_texts(expression))]


def metrics(expression: str) -> set[str]:
    """Name every metric that an expression reads, with braces or without."""
    bare = _SELECTOR.sub(r" \1 ", _without_texts(expression))
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\[[^\]]*\]", " ", bare)
    return {word for word in re.findall(r"[A-Za-z_:][\w:]*", bare) if word not in _WORDS}


def _without_texts(expression: str) -> str:
    """Keep the namespace and the release of a selector, empty every other quoted text."""
    return re.sub(r'"([^"]*)"', lambda text: text[0] if text[1] in ("NAMESPACE", "RELEASE") else '""', expression)
