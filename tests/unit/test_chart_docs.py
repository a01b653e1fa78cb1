"""The chart's schema and page follow its values.yaml, which says a word about every value."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chart_docs", ROOT / ".ci" / "chart_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its module up there
    spec.loader.exec_module(module)
    return module


docs = load()

VALUES = """\
# -- Whether money is real.
production: false
gateway:
  # -- How many pods.
  # @schema {"minimum": 1}
  replicas: 2
  # -- Where it listens.
  httpPort: 8000
  # -- Nodes it may
  # run on.
  nodeSelector: {}
  image:
    # -- When it is pulled.
    pullPolicy: IfNotPresent
"""


def refusal(values: dict[str, Any], text: str = VALUES) -> str:
    """Give what the schema has against values; empty where nothing."""
    error = next(iter(jsonschema.Draft7Validator(docs.schema(docs.read(text))).iter_errors(values)), None)
    return error.message if error else ""


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"productoin": True}, "productoin"),
        ({"gateway": {"replica": 3}}, "replica"),
        ({"gateway": {"image": {"pull": "Always"}}}, "pull"),
        ({"gateway": {"replicas": 0}}, "0"),
        ({"gateway": {"replicas": "two"}}, "two"),
        ({"gateway": {"httpPort": 70000}}, "70000"),
        ({"gateway": {"image": {"pullPolicy": "Sometimes"}}}, "Sometimes"),
        ({"gateway": {"nodeSelector": {"disk": 1}}}, "1"),
    ],
)
def test_what_is_not_listed_or_of_another_form_is_refused_by_name(values: dict[str, Any], named: str) -> None:
    """Also deep inside a block."""
    assert named in refusal(values)


def test_the_defaults_pass_and_free_maps_are_free() -> None:
    """And `global`, which Helm adds where the chart is a part of another."""
    assert refusal(yaml.safe_load(VALUES)) == ""
    assert refusal({"gateway": {"nodeSelector": {"disk": "fast"}}, "global": {"any": 1}}) == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("replicas: 2\n", "line 1: replicas has no comment"),
        ("# -- A block.\na:\n  b: 2\n", "line 3: a.b has no comment"),
        ("# -- What is it?\nthing: {}\n", "line 2: thing: the default does not show its form"),
        ("# -- What is it?\nthing: null\n", "line 2: thing: the default does not show its form"),
        ("# -- What is it?\n# @schema {minimum}\nthing: 1\n", "thing: what stands after @schema is not JSON"),
    ],
)
def test_a_value_without_a_word_or_a_form_is_named_with_its_line(text: str, problem: str) -> None:
    """So that values.yaml cannot grow a value that nobody explains."""
    with pytest.raises(docs.ValuesError) as told:
        docs.read(text)
    assert problem in str(told.value)


def test_the_page_has_a_row_for_every_value() -> None:
    """With its form, default and words."""
    page = docs.page(docs.read(VALUES))
    assert "| `gateway.replicas` | integer from 1 | `2` | How many pods. |\n" in page
    assert "| `gateway.nodeSelector` | free map | `{}` | Nodes it may run on. |\n" in page
    assert page.index("`production`") < page.index("### gateway") < page.index("`gateway.image.pullPolicy`")


def test_schema_and_page_are_those_of_the_values_file(capsys: pytest.CaptureFixture[str]) -> None:
    """`make docs` was not forgotten."""
    assert docs.main(["--check"]) == 0, capsys.readouterr().err


def test_the_runbooks_values_are_values_of_the_chart() -> None:
    """Who pastes them is not refused."""
    checker = jsonschema.Draft7Validator(json.loads((docs.CHART / "values.schema.json").read_text()))
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL)
    values = [found for block in blocks if "apiVersion" not in (found := yaml.safe_load(block))]
    assert len(values) > 1
    for found in values:
        checker.validate(found)
