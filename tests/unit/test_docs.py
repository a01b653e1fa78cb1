"""What the documents point at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)[^)]*\)(?: `(?:rpc )?([A-Za-z_]+)`)?")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link names a file, and a name written right behind it is defined in that file."""
    for target, name in LINK.findall(page.read_text()):
        file = (page.parent / target).resolve()
        assert file.exists(), target
        if name and file.suffix in (".py", ".proto"):
            assert re.search(rf"\b(def|class|rpc) {name}\b", file.read_text()), f"{target} has no {name}"


def test_the_life_of_a_sale_is_followed_into_the_code() -> None:
    """The page that follows a sale names a function for most of its lines."""
    named = [name for _, name in LINK.findall((PROJECT / "docs" / "life-of-a-sale.md").read_text()) if name]
    assert len(named) > 15
