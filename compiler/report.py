"""`report.html`: what a bundle decided, why, how sure that is and what would change it. Made from the files of the folder alone.

Figures that vary from run to run (seconds, the memory of the compiler's own process) are left out, so the same bundle gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .folder import THRESHOLDS
from .report_answer import answer
from .report_data import Bundle, read_bundle, read_rows
from .report_figures import Figure
from .report_figures_layers import bits_figure, memory_figure
from .report_figures_plans import bars_figure, drop_figure, front_figure, rate_figure
from .report_graph import graph_svg
from .report_html import Html, joined, tag
from .report_index import index_page
from .report_page import missing, page, pair, section
from .report_rates import Rates, rates_of
from .report_rivals import Rival, rivals_of
from .report_tables import decision_table, layers_table, options_table, solutions_table

REPORT = "report.html"

_AGAIN = "compile again with this version"
_PLANS = f"there is no solutions.csv; {_AGAIN}"
_NEEDS = f"it needs problem.json and layers.csv; {_AGAIN}"
_COMPARE = "autosplitc compare MODEL ... --json > OUT/compare.json, then autosplitc report OUT"


def write_reports(folder: Path) -> tuple[Path, ...]:
    """Write the report of a bundle, or those of several limits on the drop and the one above them; return their paths.

    Raises as `write_report` does.
    """
    parts = [folder / row["folder"] for row in read_rows(folder / THRESHOLDS)]
    return tuple(write_report(place) for place in (*parts, folder))


def write_report(folder: Path) -> Path:
    """Write the report of a bundle into its folder, or the one above those of several limits on the drop; return its path.

    Parts whose file is missing are left out with a line that says how to get it. Raises CompileError: AS630 where there is no bundle;
    OSError where it cannot be written.
    """
    text = index_page(folder) if (folder / THRESHOLDS).is_file() else report_text(read_bundle(folder))
    (folder / REPORT).write_text(text, encoding="utf-8")
    return folder / REPORT


def report_text(bundle: Bundle) -> str:
    """Return the report of one bundle as HTML."""
    manifest = bundle.manifest
    rates, rivals = rates_of(bundle), rivals_of(bundle)
    left, right = _plan_figures(bundle, rates, rivals)
    edge = [figure for figure in (bits_figure(bundle.layers), memory_figure(bundle.layers, bundle)) if figure is not None]
    body = [
        section_of_answer(bundle, rates),
        section("Plans", pair(left, right) if left else missing("The comparison of plans", _PLANS), *_extras(bundle)),
        section("The part on the edge", pair(edge[:1], edge[1:]) if edge else _no_edge(bundle)),
        section("The graph and the cut", graph_svg(bundle) or missing("The graph", _NEEDS)),
        section("The decision", decision_table(bundle)),
        section(f"All plans ({len(bundle.plans)})", solutions_table(bundle)) if bundle.plans else Html(""),
        section(f"All layers ({len(bundle.layers)})", layers_table(bundle)) if bundle.layers else Html(""),
        section("How to make it again", options_table(bundle)),
    ]
    options, compiler = manifest["options"], manifest["compiler"]
    setting = tag("span", f"edge {options['edge']} · link {options['net']} · cloud {options['cloud']}")
    footer = (
        f"{compiler['name']} {compiler['version']}. Made from the files of this folder; measurements.json also has what varies from run to "
        "run: seconds, and the memory of processes on the machine that compiled."
    )
    return page(f"{manifest['source']['name']}: where to run it", setting, body, [*left, *right, *edge], footer)


def section_of_answer(bundle: Bundle, rates: Rates | None) -> Html:
    """Return what comes first."""
    return tag("section", answer(bundle, rates, rivals_of(bundle)), class_="answer")


def _plan_figures(bundle: Bundle, rates: Rates | None, rivals: Sequence[Rival]) -> tuple[list[Figure], list[Figure]]:
    """Return the figures of plans for the left and the right column."""
    if not bundle.plans:
        return [], []
    left, right = [bars_figure(bundle, rivals)], [front_figure(bundle, rivals)]
    drop, rate = drop_figure(bundle), rate_figure(rates) if rates else None
    right += [drop] if drop is not None else []
    shorter = min((right, left), key=lambda column: sum(figure.height_px for figure in column))
    shorter += [rate] if rate is not None else []
    return left, right


def _extras(bundle: Bundle) -> list[Html]:
    """Return a line for each part that would stand among the plans, were its file there."""
    parts = (
        (bundle.problem, "Latency against the rate of the link", f"it needs problem.json; {_AGAIN}"),
        (bundle.compare, "What other methods choose", _COMPARE),
        (bundle.front, "The proven front over errors and memories", "compile with --front, which writes front.csv"),
    )
    return [missing(what, how) for found, what, how in parts if not found]


def _no_edge(bundle: Bundle) -> Html:
    if bundle.manifest["decision"]["kind"] == "cloud-only":
        return joined((tag("p", "Nothing runs on the edge: it only packs the input and sends it."),))
    return missing("Bits, errors and memory", f"there is no layers.csv; {_AGAIN}")
