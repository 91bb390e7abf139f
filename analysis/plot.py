#!/usr/bin/python3
"""Draws a results file: latency distributions, what the time to first token is made of, and what
was busy when. Draws a study: what users experience along its first axis."""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    import numpy as np

    import breakdown
    import cdf
    import celslm_results
    import study_page
    import style
    import timeline
    from celslm_results import ResultsError
except ModuleNotFoundError as missing:
    print(f"plot.py: this Python has no {missing.name}; on Debian: apt install python3-h5py "
          "python3-pandas python3-matplotlib, and run it with /usr/bin/python3", file=sys.stderr)
    sys.exit(2)

PANELS = ("cdf", "breakdown", "timeline")
KINDS = ("png", "pdf", "svg")
MAX_LANES = 48  # in one figure; beyond it each strategy keeps its busiest
DIRECT_LABELS = 3  # so many curves are named beside the curve itself

# inch
LANE = 0.135
MARGIN = 0.15  # of titles
RIGHT = style.WIDTH - 0.32


def arguments():
    parser = argparse.ArgumentParser(
        prog="plot.py",
        description=__doc__,
        epilog="examples: plot.py results/quickstart.h5;  "
        "plot.py results/quickstart.h5 --only timeline --strategy ce-lslm -o timeline.pdf",
    )
    parser.add_argument("results", help="a file written by celslm run or sweep")
    parser.add_argument("-o", "--output", help="the picture: .png, .pdf or .svg "
                        "(default: beside the results, as .png)")
    parser.add_argument("--only", choices=PANELS, help="one part of the figure")
    parser.add_argument("--strategy", action="append", metavar="NAME",
                        help="only this strategy; may be repeated")
    parser.add_argument("--column", action="append", metavar="NAME", help="of a study: this column "
                        "of the summary; may be repeated (default: "
                        + ", ".join(study_page.DEFAULT) + ")")
    parser.add_argument("--along", metavar="AXIS", help="of a study: the axis to draw along")
    args = parser.parse_args()
    if not args.output:
        args.output = os.path.splitext(args.results)[0] + ".png"
    if args.output.rsplit(".", 1)[-1].lower() not in KINDS:
        parser.error(f"cannot draw {args.output}; give a name that ends in .png, .pdf or .svg")
    return args


def chosen_strategies(results, wanted):
    strategies = results.strategies
    for name in wanted or []:
        if name not in strategies:
            raise ResultsError(f'{results.path}: there is no strategy "{name}"; there are '
                               + ", ".join(strategies))
    return [name for name in strategies if not wanted or name in wanted]


def timeline_panels(results, strategies):
    """strategy -> (lanes, number left out), and the window; without any if nothing was recorded."""
    spans = results.table("timeline") if "timeline" in results.tables else None
    if spans is None or not len(spans):
        return {}, (0, 1)
    spans = spans[spans.strategy.isin(strategies)]
    at_most = max(4, MAX_LANES // len(strategies))
    panels = {}
    for name in strategies:
        lanes = timeline.lanes_of(results, spans[spans.strategy == name])
        if lanes:
            panels[name] = timeline.busiest(lanes, at_most)
    window = (max(spans.begin.min(), results.setting("timeline_from", -np.inf)),
              min(spans.end.max(), results.setting("timeline_to", np.inf)))
    return panels, window


def draw_cdfs(figure, grid, requests, colours):
    """Two panels side by side; returns their axes and curves: heading -> (axes, curves)."""
    panels = {"TTFT": ("ttft", "Time to first token"), "E2E": ("e2e", "End-to-end latency")}
    drawn = {}
    for i, (heading, (column, title)) in enumerate(panels.items()):
        axes = figure.add_subplot(grid[i])
        latencies = {n: (r[column].dropna().to_numpy(), len(r)) for n, r in requests.items()}
        curves = cdf.draw(axes, latencies, colours, title)
        cdf.mark_medians(axes, curves, colours)
        if i == 0:
            axes.set_ylabel("share of all requests")
        else:
            axes.tick_params(labelleft=False)
        drawn[heading] = (axes, curves)
    return drawn


def headline(results, requests):
    known = results.provenance
    text = [f"{max(len(r) for r in requests.values()):,} requests per strategy"]
    if results.setting("warmup", 0) > 0:
        text[0] += f" after {results.setting('warmup', 0):g} s of warm-up"
    if "seed" in known:
        text.append(f"seed {known['seed']}")
    return known.get("name", os.path.basename(results.path)), ", ".join(text)


def draw(results, only, wanted, output):
    strategies = chosen_strategies(results, wanted)
    colours = style.strategy_colours(results.strategies)
    table = results.table("requests")
    table = table[table.arrival >= results.setting("warmup", 0)]
    requests = {name: table[table.strategy == name] for name in strategies}
    if not any(len(r) for r in requests.values()):
        raise ResultsError(f"{results.path}: there are no requests in it")
    panels, window = timeline_panels(results, strategies)
    if only == "timeline" and not panels:
        raise ResultsError(f"{results.path}: no timeline was recorded; set a timeline window in "
                           "the scenario's <results>")
    style.use()
    sizes = []  # (part, height in inches, with its titles)
    if only in (None, "cdf"):
        sizes.append(("cdf", 2.35))
    if only in (None, "breakdown"):
        sizes.append(("breakdown", 0.7 + 0.42 * len(strategies)))
    if only in (None, "timeline") and panels:
        lanes = sum(len(lanes) for lanes, _ in panels.values())
        sizes.append(("timeline", 0.55 + 0.3 * len(panels) + LANE * lanes))
    compose(results, requests, strategies, colours, panels, window, sizes, output)


def body(strategies, panels):
    """Where bars and lanes begin: right of the longest of their names."""
    lanes = [len(lane[2]) for lanes, _ in panels.values() for lane in lanes]
    names = [len(name) for name in strategies]
    wide = max(0.36 + 0.073 * min(max(names), breakdown.LABEL),
               0.26 + 0.061 * min(max(lanes, default=0), timeline.LABEL))
    return max(1.0, wide)


class Page:
    """Places parts under each other. All measures in inches, from the left and from the top."""

    def __init__(self, height):
        self.height = height
        self.figure = style.plt.figure(figsize=(style.WIDTH, height))

    def x(self, inches):
        return inches / style.WIDTH

    def y(self, inches):
        return 1 - inches / self.height

    def grid(self, rows, columns, left, right, top, bottom, **kwargs):
        return self.figure.add_gridspec(rows, columns, left=self.x(left), right=self.x(right),
                                        top=self.y(top), bottom=self.y(bottom), **kwargs)

    def title(self, top, text):
        self.figure.text(self.x(MARGIN), self.y(top), text, va="top", fontsize=9, fontweight="bold")


def compose(results, requests, strategies, colours, panels, window, sizes, output):
    head, gap = 0.42, 0.22
    left = body(strategies, panels)
    page = Page(head + sum(h for _, h in sizes) + gap * (len(sizes) - 1) + 0.1)
    title, remark = headline(results, requests)
    page.figure.text(page.x(MARGIN), page.y(0.12), title, va="top", fontsize=12, fontweight="bold")
    page.figure.text(page.x(style.WIDTH - MARGIN), page.y(0.15), remark, va="top", ha="right",
                     color=style.QUIET)
    top, drawn = head, {}
    for part, height in sizes:
        if part == "cdf":
            drawn = place_cdfs(page, top, height, requests, colours)
        elif part == "breakdown":
            page.title(top, "What the mean time to first token is made of")
            grid = page.grid(1, 1, left, RIGHT, top + 0.42, top + height - 0.22)
            axes = page.figure.add_subplot(grid[0])
            entries = breakdown.draw(axes, requests, strategies, colours)
            style.key(page.figure, entries, page.x(MARGIN), page.y(top + 0.21))
        else:
            place_timelines(page, left, top, height, panels, window, colours)
        top += height + gap
    if len(strategies) <= DIRECT_LABELS:
        for axes, curves in drawn.values():
            cdf.label(axes, curves, colours)
    style.save(page.figure, output)


def place_cdfs(page, top, height, requests, colours):
    """Few curves are named where they run, many in a list on the right."""
    many = len(requests) > DIRECT_LABELS
    right = RIGHT - 2.2 if many else RIGHT
    grid = page.grid(1, 2, 0.6, right, top + 0.22, top + height - 0.22, wspace=0.16)
    drawn = draw_cdfs(page.figure, grid, requests, colours)
    if many:
        curves = {heading: of for heading, (_, of) in drawn.items()}
        cdf.listing(page.figure, curves, colours, page.x(right + 0.3), page.y(top + 0.3),
                    page.x(style.WIDTH - MARGIN), 0.17 / page.height)
    return drawn


def place_timelines(page, left, top, height, panels, window, colours):
    page.title(top, "What was busy when")
    rows = [len(lanes) for lanes, _ in panels.values()]
    grid = page.grid(len(panels), 1, left, RIGHT, top + 0.62, top + height - 0.18,
                     height_ratios=rows, hspace=0.28 * len(rows) / (LANE * sum(rows)))
    kinds = set()
    for i, (name, (lanes, left_out)) in enumerate(panels.items()):
        axes = page.figure.add_subplot(grid[i])
        kinds |= timeline.draw(axes, lanes, window, name, colours[name], left_out)
        axes.tick_params(labelbottom=i == len(panels) - 1)
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g} s")
    style.key(page.figure, timeline.key(kinds), page.x(MARGIN), page.y(top + 0.21))


def main():
    args = arguments()
    with np.errstate(all="ignore"):
        results = celslm_results.open(args.results)
        if isinstance(results, celslm_results.Study):
            study_page.draw(results, args.output, args.column, args.along, args.strategy)
        else:
            draw(results, args.only, args.strategy, args.output)
    print(args.output)
    return 0


if __name__ == "__main__":
    celslm_results.run(main)
