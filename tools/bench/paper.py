"""`autosplitc bench paper`: the paper's figures and tables, ours beside theirs, into docs/paper.md.

Records are kept as JSON, one a network and section, so that an interruption loses nothing and a part can be done again.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from autosplitc.cache import cache_folder

from . import paper_theirs as theirs
from .paper_page import page
from .process import python

TEMPLATE = Path(__file__).with_name("paper.md")
SECTIONS = ("early_late", "compression")
CROSSINGS = ("resnet50", "yolov3-tiny", "yolov3", "yolov3-spp", "faster-rcnn")
_MEASURE = """
import json, sys
from autosplitc.bench import {module} as m
json.dump(m.{call}, open(sys.argv[1], "w"), indent=1)
"""


@click.command()
@click.option("--networks", default=",".join(theirs.DECISIONS), show_default=True, help="Networks to plan; the others stay as they are.")
@click.option("--again", is_flag=True, help="Measure anew what is kept already.")
@click.option("--work", type=click.Path(path_type=Path), help="Folder for the records.  [default: in the user's cache]")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("docs/paper.md"), show_default=True, help="The page.")
def paper(networks: str, again: bool, work: Path | None, output: Path) -> None:
    """Plan the paper's networks and write its figures and tables, ours beside theirs. All latencies are predicted."""
    folder = work or cache_folder() / "paper"
    folder.mkdir(parents=True, exist_ok=True)
    for name in filter(None, networks.split(",")):
        _record(folder / f"network-{name}.json", "paper_measure", f"network({name!r})", again=again)
        if name in CROSSINGS:
            _record(folder / f"crossings-{name}.json", "paper_measure", f"crossings({name!r})", again=again)
    _record(folder / "early_late.json", "paper_measure", "early_and_late()", again=again)
    _record(folder / "compression.json", "paper_compression", "compression()", again=again)
    output.write_text(page(TEMPLATE.read_text(encoding="utf-8"), records_of(folder)), encoding="utf-8")
    click.echo(f"wrote {output}")


def records_of(folder: Path) -> dict[str, Any]:
    """Return all records of a folder, as `page` takes them."""
    return {
        "networks": {name: _read(folder / f"network-{name}.json") for name in theirs.DECISIONS},
        "crossings": {name: _read(folder / f"crossings-{name}.json") for name in CROSSINGS},
        **{name: _read(folder / f"{name}.json") for name in SECTIONS},
    }


def _record(path: Path, module: str, call: str, *, again: bool) -> None:
    """Measure in a fresh process, unless it was done."""
    if path.exists() and not again:
        return
    started_s = time.perf_counter()
    partial = path.with_suffix(".partial")
    run = python("-c", _MEASURE.format(module=module, call=call), partial)
    if run.code:
        click.echo(f"{call}: exit code {run.code}\n{run.stderr}", err=True)
        return
    partial.replace(path)
    click.echo(f"{call}: {time.perf_counter() - started_s:.0f} s", err=True)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


if __name__ == "__main__":
    paper()
