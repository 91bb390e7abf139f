#!/usr/bin/python3
"""Draws radio: what rate can be had where (a file of celslm radio S.xml -o MAP.h5), and the way of
a moving user with its rate and its handovers (a file of celslm run with <results trajectory="yes">).
Either file alone gives its half of the figure."""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    import celslm_results
    from celslm_results import ResultsError
except ModuleNotFoundError as missing:
    print(f"radio_map.py: this Python has no {missing.name}; on Debian: apt install python3-h5py "
          "python3-pandas python3-matplotlib, and run it with /usr/bin/python3", file=sys.stderr)
    sys.exit(2)

KINDS = ("png", "pdf", "svg")
MEGABIT = 8e-6  # Mbit/s per B/s


def arguments():
    parser = argparse.ArgumentParser(
        prog="radio_map.py", description=__doc__,
        epilog="example: radio_map.py map.h5 run.h5 --ue 3 -o map.png")
    parser.add_argument("files", nargs="+", help="files with /map, /trajectory, or both kinds")
    parser.add_argument("-o", "--output", help="the picture: .png, .pdf or .svg "
                        "(default: beside the first file, as .png)")
    parser.add_argument("--ue", type=int, help="the user whose way is drawn (default: the one with "
                        "the most handovers)")
    parser.add_argument("--strategy", help="whose run (default: the first)")
    parser.add_argument("--value", choices=("rate_down", "rate_up", "sinr_down"),
                        default="rate_down", help="what the map shows (default: rate_down)")
    args = parser.parse_args()
    if not args.output:
        args.output = os.path.splitext(args.files[0])[0] + ".png"
    if args.output.rsplit(".", 1)[-1].lower() not in KINDS:
        parser.error(f"cannot draw {args.output}; give a name that ends in .png, .pdf or .svg")
    return args


def of_strategy(table, wanted):
    """The rows of one strategy."""
    if "strategy" not in table or not len(table):
        return table
    names = list(table.strategy.astype(str).unique())
    if wanted and wanted not in names:
        raise ResultsError(f"there is no strategy {wanted}; there are: {', '.join(names)}")
    return table[table.strategy.astype(str) == (wanted or names[0])]


def draw_map(axes, results, value):
    table = results.table("map")
    grid = table.pivot_table(index="y", columns="x", values=value, observed=True)
    shown = grid.to_numpy() if value == "sinr_down" else grid.to_numpy() * MEGABIT
    x, y = grid.columns.to_numpy(), grid.index.to_numpy()
    picture = axes.pcolormesh(x, y, shown, shading="nearest", cmap="viridis", rasterized=True)
    label = {"rate_down": "Mbit/s down, alone in the cell", "rate_up": "Mbit/s up, alone in the cell",
             "sinr_down": "SINR down, dB"}[value]
    axes.figure.colorbar(picture, ax=axes, label=label, shrink=0.8)
    best = table.assign(number=table.cell.cat.codes).pivot_table(index="y", columns="x",
                                                                 values="number", observed=True)
    if table.cell.nunique() > 1:  # borders between cells
        numbers = best.to_numpy()
        for level in np.unique(numbers)[:-1]:
            axes.contour(x, y, numbers, levels=[level + 0.5], colors="white", linewidths=0.5)
    if "users" in results.tables:
        users = results.table("users")
        axes.plot(users.x, users.y, ".", color="white", markersize=2, alpha=0.7)
    if 1 / 5 < np.ptp(y) / max(np.ptp(x), 1) < 5:
        axes.set_aspect("equal")
    axes.set_xlabel("m eastward")
    axes.set_ylabel("m northward")


def busiest(results, trajectory, wanted):
    if wanted is not None:
        if wanted not in set(trajectory.ue):
            raise ResultsError(f"{results.path}: user {wanted} does not move or is not there")
        return wanted
    if "handovers" in results.tables and len(results.table("handovers")):
        return int(results.table("handovers").ue.value_counts().index[0])
    return int(trajectory.ue.iloc[0])


def draw_way(way, axes, results, ue, strategy):
    """The user's way on the map (`axes`, may be None), its rate over time in `way`."""
    trajectory = of_strategy(results.table("trajectory"), strategy)
    ue = busiest(results, trajectory, ue)
    path = trajectory[trajectory.ue == ue]
    changes = None
    if "handovers" in results.tables:
        changes = of_strategy(results.table("handovers"), strategy)
        changes = changes[changes.ue == ue]
    if axes is not None:
        axes.plot(path.x, path.y, color="tab:red", linewidth=1.2)
        axes.plot(path.x.iloc[0], path.y.iloc[0], "o", color="tab:red", markersize=4)
    for name, color in (("rate_down", "tab:blue"), ("rate_up", "tab:orange")):
        way.plot(path.time, path[name] * MEGABIT, color=color, linewidth=1,
                 label="down" if name == "rate_down" else "up")
    if changes is not None and len(changes):
        for i, row in enumerate(changes.itertuples()):
            way.axvline(row.time, color="0.6", linewidth=0.7, zorder=0,
                        label="handover" if i == 0 else None)
        if axes is not None:
            at = np.searchsorted(path.time.to_numpy(), changes.time.to_numpy())
            at = np.clip(at, 0, len(path) - 1)
            axes.plot(path.x.to_numpy()[at], path.y.to_numpy()[at], "x", color="tab:red")
    way.set_ylim(bottom=0)
    way.set_xlabel("s")
    way.set_ylabel("Mbit/s, alone in the cell")
    way.set_title(f"user {ue}", loc="left", fontsize=10)
    way.legend(frameon=False, fontsize=8)


def main():
    args = arguments()
    files = [celslm_results.open(name) for name in args.files]
    maps = [f for f in files if "map" in f.tables]
    ways = [f for f in files if "trajectory" in f.tables and len(f.table("trajectory"))]
    if not maps and not ways:
        raise ResultsError(f"{args.files[0]}: has neither /map (celslm radio S.xml -o MAP.h5) nor "
                           "/trajectory (celslm run, with <results trajectory=\"yes\">)")
    panels = bool(maps) + bool(ways)
    figure, axes = plt.subplots(panels, 1, figsize=(7, 4.2 * panels), squeeze=False,
                                layout="constrained")
    place = axes[0][0] if maps else None
    if maps:
        draw_map(place, maps[0], args.value)
    if ways:
        draw_way(axes[-1][0], place, ways[0], args.ue, args.strategy)
    figure.savefig(args.output, dpi=150)
    print(f"written: {args.output}")


if __name__ == "__main__":
    celslm_results.run(main)
