"""The picture of a study that plot.py draws: what users experience along one axis, a row of panels
for each value of a second one."""

import numpy as np

import lines
import style
from celslm_results import ResultsError

DEFAULT = ("throughput", "ttft_p95", "e2e_mean")
ROWS = 5  # values of the second axis
NAMES = {
    "throughput": "requests completed per s",
    "token_throughput": "output tokens per s",
    "goodput": "requests per s within objectives",
    "slo_share": "share within the objectives",
    "ttft_mean": "time to first token, mean",
    "ttft_p50": "time to first token, median",
    "ttft_p95": "time to first token, p95",
    "ttft_p99": "time to first token, p99",
    "tpot_mean": "time per output token, mean",
    "e2e_mean": "end to end, mean",
    "e2e_p95": "end to end, p95",
    "kv_bytes": "KV moved",
    "wan_bytes": "bytes over the WAN",
    "energy": "energy",
}


def draw(study, output, columns=None, along=None, strategies=None):
    columns = list(columns or DEFAULT)
    for column in columns:
        study.array(column)  # says what there is
    numeric = [n for n in study.axes if n not in ("replication", "strategy")
               and study.axes[n].dtype.kind == "f"]
    for name in [along] if along else []:
        if name not in numeric:
            raise ResultsError(f'{study.path}: there is no axis "{name}" of numbers; there are '
                               + (", ".join(numeric) or "none"))
    long = [n for n in numeric if len(study.axes[n]) > 1]
    if not long:
        raise ResultsError(f"{study.path}: no axis of numbers with more than one value; "
                           "there is nothing to draw along")
    x = along or long[0]
    others = [n for n in study.axes if n not in ("replication", "strategy", x)
              and study._dimension[n] != study._dimension[x] and len(study.axes[n]) > 1]
    second = others[0] if others else None
    rows = list(study.axes[second][:ROWS]) if second else [None]
    remarks = [f"{name} = {_value(study, name, study.axes[name][0])}" for name in others[1:]]
    if second and len(study.axes[second]) > ROWS:
        remarks.append(f"the first {ROWS} of {len(study.axes[second])} values of {second}")
    wanted = [s for s in study.strategies if not strategies or s in strategies]
    colours = style.strategy_colours(study.strategies)

    style.use()
    figure, grid = style.plt.subplots(
        len(rows), len(columns), figsize=(style.WIDTH, 0.55 + 1.75 * len(rows)), squeeze=False,
        sharex=True)
    figure.subplots_adjust(left=0.075, right=0.86, top=1 - 0.62 / (0.55 + 1.75 * len(rows)),
                           bottom=0.42 / (0.55 + 1.75 * len(rows)), wspace=0.34, hspace=0.32)
    labels = []
    for j, column in enumerate(columns):
        estimate = study.estimate(column)
        estimate = estimate[estimate.strategy.isin(wanted)]
        for name in others[1:]:
            estimate = estimate[estimate[name] == study.axes[name][0]]
        if not estimate["mean"].notna().any():
            raise ResultsError(f"{study.path}: no point has a value of {column}: no requests were "
                               "completed, or all points failed")
        values = estimate["mean"][estimate["mean"] > 0]
        log_y = study.unit(column) == "s" and len(values) and values.max() > 30 * values.min()
        for i, value in enumerate(rows):
            own = estimate if value is None else estimate[estimate[second] == value]
            axes = grid[i][j]
            drawn = lines.draw(axes, own, x, colours, study.unit(x), study.unit(column), log_y)
            factor, unit = lines.scale_of(study.unit(column), np.nanmax(own["mean"].fillna(0)))
            title = NAMES.get(column, column.replace("_", " "))
            if i == 0:
                axes.set_title(title + (f" ({unit})" if unit not in ("s", "ms", "µs", "", "1/s",
                                                                      "token/s") else ""),
                               fontsize=8)
            if j == 0 and second:
                axes.set_ylabel(f"{second} = {_value(study, second, value)}")
            if i == len(rows) - 1:
                _, x_unit = lines.scale_of(study.unit(x), study.axes[x].max())
                axes.set_xlabel(x + (f" ({x_unit})" if x_unit else ""))
            if j == len(columns) - 1:
                labels.append((axes, drawn))
    known = study.provenance
    figure.text(0.02, 1 - 0.1 / figure.get_figheight(), known.get("name", study.path), va="top",
                fontsize=12, fontweight="bold")
    count = len(study.axes["replication"])
    remarks.insert(0, f"{count} replications, 95 % intervals" if count > 1 else "one replication")
    figure.text(0.98, 1 - 0.13 / figure.get_figheight(), ", ".join(remarks), va="top", ha="right",
                color=style.QUIET)
    for axes, drawn in labels:
        lines.label(axes, drawn, colours)
    style.save(figure, output)


def _value(study, name, value):
    if isinstance(value, str):
        return value
    factor, unit = lines.scale_of(study.unit(name), abs(value))
    return f"{value / factor:.4g} {unit}".strip()
