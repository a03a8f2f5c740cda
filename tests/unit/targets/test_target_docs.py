"""docs/targets.md shows the schema that the code has, and every target file on the pages is a target."""

from __future__ import annotations

import json
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from autosplitc.targets.target_schema import KEYS, MODELS, SCHEMA, Key
from autosplitc.targets.target_toml import read_toml_target

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "targets.md"
TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown(value: Any, key: Key) -> str:
    """Return a default as a file would have it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if key.path == "compute.per_op":
        return f'`"{value:g}s"`'
    return f"`{json.dumps(value)}`"


def default(key: Key) -> str:
    """Return the default of a key, and of each model where it differs; "needed" where there is none."""
    if not key.fields and not key.needed:
        return "none"
    by_model = {model: key.defaults(model) for model in key.models}
    texts = {model: "needed" if found is None else shown(found[0], key) for model, found in by_model.items()}
    groups = [(text, [model for model in texts if texts[model] == text]) for text in dict.fromkeys(texts.values())]
    return "; ".join(text if len(groups) == 1 else f"{text} ({', '.join(models)})" for text, models in groups)


def row(key: Key) -> str:
    models = "all" if len(key.models) == len(MODELS) else ", ".join(key.models)
    needed = default(key) + (f", or `{key.instead}`" if key.instead else "")
    return f"| `{key.path}` | {key.form.wanted} | `{key.example}` | {needed} | {models} | {key.meaning} |"


def tables() -> list[str]:
    """Return the tables of keys, one for each table of a file."""
    heading = "| key | value | for example | without it | models | meaning |\n| --- | --- | --- | --- | --- | --- |"
    return ["\n".join((heading, *map(row, keys))) for _, keys in groupby(KEYS, lambda key: key.parts[0] if len(key.parts) > 1 else "")]


def target_files() -> list[tuple[str, str]]:
    """Return every target file in the pages, with where it stands."""
    pages = [(page.name, page.read_text("utf-8")) for page in sorted(DOCS.glob("*.md"))]
    found = [(f"{name}:{text.count(chr(10), 0, m.start()) + 1}", m[1]) for name, text in pages for m in TOML.finditer(text)]
    return [(place, text) for place, text in found if f'schema = "{SCHEMA}"' in text]


def test_the_page_has_every_key() -> None:
    text = PAGE.read_text("utf-8")
    for table in tables():
        assert table in text, f"docs/targets.md lacks this table:\n{table}"


@pytest.mark.parametrize(("place", "text"), target_files(), ids=[place for place, _ in target_files()])
def test_target_files_on_the_pages_are_targets(place: str, text: str) -> None:
    read_toml_target(text, place)


def test_the_page_has_an_example_of_each_model() -> None:
    made = {type(read_toml_target(text, place)) for place, text in target_files() if place.startswith(PAGE.name)}
    assert made == set(MODELS.values())


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_every_example_is_of_its_form(key: Key) -> None:
    import tomllib

    if key.path != "compute.ops":
        key.form.read(tomllib.loads(f"x = {key.example}")["x"], key.path)
