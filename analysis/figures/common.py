"""What the figures share: the load study, small helpers, and the words of a verdict.

A figure is a module with
    TITLE        what it shows
    STATEMENTS   [(tag, text)]: "stated" by the paper itself, "second-hand" (a page about it, or
                 related work), "ours" (our inference or choice)
    RUNS         [(name of the study, arguments of celslm sweep, quick, full)]
    draw(studies) -> matplotlib figure; or save(studies, path), which draws into a file
    check(studies) -> [(holds, text)]; holds is None for a finding that no bar is set for
    COMMANDS     what else was run for it, if anything
`studies` maps the names of RUNS to opened files.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import numpy as np  # noqa: E402

import celslm_results  # noqa: E402
import lines  # noqa: E402
import style  # noqa: E402

LOAD = "scenarios/reproduction/load.xml"
COLD = "scenarios/reproduction/cold.xml"
ROUND_TRIP = 2 * (10e-3 + 100e-6)  # s, of platforms/reproduction.xml: a fetch's request and its bytes

# E1, E2 and E4 are three looks at one study.
LOAD_STUDY = ("load", [LOAD, "--axis", "//poisson/@rate=log:0.25/s 32/s 15"],
              ["--replications", "3", "--set", "//workload/@requests=600"],
              ["--replications", "10", "--set", "//workload/@requests=5000"])
OVERLOAD_STUDY = ("overload", [LOAD, "--set", "//poisson/@rate=1000/s", "--axis",
                               "//population/@tokens=64 128 256 512 1024 1536 2048"],
                  ["--replications", "3"], ["--replications", "10"])


def panels(columns, titles, height=2.1):
    """A figure of panels side by side with room for names on the right."""
    style.use()
    figure, axes = style.plt.subplots(1, columns, figsize=(style.WIDTH, height), squeeze=False)
    figure.subplots_adjust(left=0.08, right=0.86, top=1 - 0.3 / height, bottom=0.42 / height,
                           wspace=0.32)
    for one, title in zip(axes[0], titles):
        one.set_title(title)
    return figure, list(axes[0])


def line_panel(axes, study, column, x, strategies=None, log_y=False, colours=None, where=None):
    """One column of a study along x; returns what lines.label needs, and the colours."""
    estimate = study.estimate(column)
    if strategies:
        estimate = estimate[estimate.strategy.isin(strategies)]
    for name, value in (where or {}).items():
        estimate = estimate[np.isclose(estimate[name], value)]
    colours = colours or style.strategy_colours(study.strategies)
    drawn = lines.draw(axes, estimate, x, colours, study.unit(x), study.unit(column), log_y)
    return drawn, colours


def mean_of(study, column):
    """Means over the replications: DataFrame with a row per place, a column per strategy."""
    estimate = study.estimate(column)
    places = [n for n in study.axes if n not in ("replication", "strategy")]
    return estimate.pivot_table(index=places, columns="strategy", values="mean", observed=True)


def within(value, low, high, what):
    return low <= value <= high, f"{what}: {value:.3g}, must lie in {low:g} to {high:g}"


__all__ = ["LOAD", "COLD", "ROUND_TRIP", "LOAD_STUDY", "OVERLOAD_STUDY", "np", "celslm_results", "lines",
           "style", "panels", "line_panel", "mean_of", "within"]
