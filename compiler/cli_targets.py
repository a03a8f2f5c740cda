"""`autosplitc targets list | show | check | cost`: the devices that are known, and what they say."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from autosplitc.ir import CompileError, Diagnostic
from autosplitc.targets import Target, conformance, description, installed_targets, load_target

from .cli_flags import common, input_shape_flag
from .cli_output import watch_of
from .table_text import columns
from .tables import csv_text
from .target_cost import cost_rows, cost_table, cost_text


@click.group("targets", short_help="The devices that are known.")
def targets_command() -> None:
    """The devices that are known: names, files (.toml, .cfg, measured .json), and either with options, such as eyeriss:rows=16."""


@targets_command.command("list")
@common
def list_targets(quiet: bool, verbose: bool, as_json: bool) -> int:
    """List all installed targets: bits, memory, where the figures come from."""
    del quiet, verbose
    click.echo(json.dumps(_listed(), indent=2) if as_json else targets_text())
    return 0


@targets_command.command("show")
@click.argument("name")
@common
def show_target(name: str, quiet: bool, verbose: bool, as_json: bool) -> int:
    """Show the resolved description of target NAME: every figure, with its unit and where it comes from."""
    del quiet, verbose
    target = load_target(name)
    lines = description(target)
    if as_json:
        click.echo(json.dumps({"name": target.name, "source": target.source, "fields": [asdict(line) for line in lines]}, indent=2))
        return 0
    rows = [("FIELD", "VALUE", "SOURCE"), *((line.field, line.value, line.source) for line in lines)]
    click.echo(f"{target.name}\n{target.source}\n\n{columns(rows)}")
    return 0


@targets_command.command("check")
@click.argument("name")
@common
def check_command(name: str, quiet: bool, verbose: bool, as_json: bool) -> int:
    """Run the conformance kit on target NAME: members, costs, 8 bit, purity, units, monotonicity, speed."""
    del verbose
    target = load_target(name)
    findings = conformance(target, lambda: load_target(name))
    if as_json:
        click.echo(json.dumps({"name": target.name, "findings": [{**asdict(f), "holds": f.holds} for f in findings]}, indent=2))
    elif not quiet:
        rows = [(" ok " if f.holds else "FAIL", f.check, f.note) for f in findings]
        click.echo(columns(rows))
    problems = [Diagnostic("AS415", f"{f.check}: {p}", f'target "{name}"', hint=_HINT) for f in findings for p in f.problems]
    if problems:
        raise CompileError(problems)
    return 0


_HINT = "docs/new-target.md says what has to hold"


@targets_command.command("cost")
@click.argument("name")
@click.argument("model")
@click.option("--csv", "as_csv", is_flag=True, help="The table as CSV, with a column for every pair of bit-widths.")
@input_shape_flag
@common
def cost_command(
    name: str, model: str, as_csv: bool, input_shapes: tuple[tuple[str, tuple[int, ...]], ...], quiet: bool, verbose: bool, as_json: bool
) -> int:
    """Show what every op of MODEL costs on target NAME, at the target's bit-widths and in float."""
    del verbose
    found = cost_table(model, load_target(name), dict(input_shapes), watch_of(quiet=quiet))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif as_csv:
        click.echo(csv_text(*cost_rows(found)), nl=False)
    else:
        click.echo(cost_text(found))
    return 0


def targets_text() -> str:
    """Return the list of targets; what cannot be had is listed with why."""
    rows = [("NAME", "WEIGHT BITS", "ACT BITS", "RAM", "FROM", "SOURCE")]
    for name, distribution, target in installed_targets():
        if isinstance(target, CompileError):
            rows.append((name, "-", "-", "-", distribution, f"not usable: {target.diagnostics[0].message}"))
            continue
        weight_bits, act_bits = (",".join(map(str, b)) for b in (target.weight_bits, target.act_bits))
        rows.append((name, weight_bits, act_bits, _ram_text(target.ram_bytes), distribution, target.source))
    return columns(rows)


def _ram_text(nbytes: int) -> str:
    return f"{nbytes / 2**20:,.0f} MiB" if nbytes >= 10 * 2**20 else f"{nbytes / 2**10:,.0f} KiB"


def _listed() -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for name, distribution, target in installed_targets():
        entry: dict[str, object] = {"name": name, "distribution": distribution}
        if isinstance(target, CompileError):
            entry["problem"] = [f"{d.code}: {d.message}" for d in target.diagnostics]
        else:
            entry.update(_members(target))
        found.append(entry)
    return found


def _members(target: Target) -> dict[str, object]:
    return {
        "source": target.source,
        "weight_bits": target.weight_bits,
        "act_bits": target.act_bits,
        "float_bits": target.float_bits,
        "ram_bytes": target.ram_bytes,
        "storage_bytes": target.storage_bytes,
        "resident": target.resident,
        "max_opset": target.max_opset,
    }
