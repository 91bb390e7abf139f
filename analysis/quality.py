#!/usr/bin/python3
"""Draws what celslm quality measured: loss by way of making the context (E3), how alike the layers
are and which path was chosen (E8a), and quality against bytes moved."""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    import numpy as np
    import pandas as pd
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, PercentFormatter

    import celslm_results
    import style
    from celslm_results import ResultsError
except ModuleNotFoundError as missing:
    print(f"quality.py: this Python has no {missing.name}; on Debian: apt install python3-h5py "
          "python3-pandas python3-matplotlib, and run it with /usr/bin/python3", file=sys.stderr)
    sys.exit(2)

# The codecs: the fewer bits, the lighter.
CODECS = {"f16": "#00664A", "int8": style.GREEN, "int4": "#7CCDB0"}
LARGEST = 0.25  # bits per byte above the full prefill that E3 has room for
# For scale: keys and values of one token of Llama-3.2-1B in f16 (16 layers, 8 heads of 64), a
# context of 2,048 tokens, and a downlink's rate (an assumption).
REAL_BYTES, REAL_TOKENS, RATE = 2 * 16 * 8 * 64 * 2, 2048, 300e6


def arguments():
    parser = argparse.ArgumentParser(prog="quality.py", description=__doc__)
    parser.add_argument("table", help="written by celslm quality -o")
    parser.add_argument("map", nargs="?", help="written by celslm quality --map")
    parser.add_argument("-o", "--output", default=".", help="folder of the pictures")
    parser.add_argument("--kind", choices=("png", "pdf", "svg"), default="png")
    return parser.parse_args()


def read_table(path):
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[])
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: {error}") from error
    if "gap_low" not in table:
        raise ResultsError(f"{path}: not a quality table; celslm quality -o writes one")
    table["window"] = table["window"].astype(str)
    return table


def main_map(table):
    """Rows of the main map: from normed residuals of three layers, aligned."""
    return table[(table.way == "mapped") & (table.source == "normed") & (table.map == "aligned")
                 & (table.window == "3")]


# ---- E3: loss by way and codec ------------------------------------------------------------------


def ways(table):
    """(label, colour, rows by context) in the order in which they are drawn."""
    deepest = table.layers.max()
    whole = main_map(table)
    whole = whole[(whole.deepest == deepest) & (whole.shallow == "")]
    plain = whole[whole["rank"] == 0]
    cut = whole[whole["rank"] == int(table.full_rank.max() // 4)]
    uniform = table[(table.way == "mapped") & (table.source == "normed")
                    & (table.map == "uniform")]
    nearest = main_map(table)
    half = nearest[(nearest.deepest == deepest // 2) & (nearest.shallow == "local")
                   & (nearest["rank"] == 0) & (nearest.codec == "int8")]
    full = table[table.way == "full prefill"]
    return [
        ("edge, no context", style.GREY, table[table.way == "no context"]),
        ("edge + mean KV", style.GREY, table[table.way == "mean KV"]),
        ("edge + copied cloud KV", style.RED, table[table.way == "copied"]),
        ("edge + mapped, uniform, one layer", style.SKY, uniform[uniform.window == "1"]),
        ("edge + mapped, uniform, three layers", style.SKY, uniform[uniform.window == "3"]),
        ("edge + mapped KV, f16", CODECS["f16"], plain[plain.codec == "f16"]),
        ("edge + mapped KV, int8", CODECS["int8"], plain[plain.codec == "int8"]),
        ("edge + mapped KV, int4", CODECS["int4"], plain[plain.codec == "int4"]),
        ("  a quarter of the rank, int8", CODECS["int8"], cut[cut.codec == "int8"]),
        (f"  deepest {deepest // 2} of {deepest} layers, int8", CODECS["int8"], half),
        ("edge, own full prefill", style.ORANGE, full[full.codec == "f16"]),
        ("cloud alone", style.BLUE, table[table.way == "cloud"]),
    ]


def draw_loss(table, path):
    contexts = sorted(table.context.unique())
    texts = [t for t in ("same", "other") if (table.text == t).any()]
    rows = ways(table[table.text == "same"])
    figure, grid = plt.subplots(1, len(texts), figsize=(style.WIDTH, 3.7), sharey=True,
                                squeeze=False)
    shown = [contexts[0], contexts[-1]] if len(contexts) > 1 else contexts
    for axes, text in zip(grid[0], texts):
        for i, (label, colour, _) in enumerate(rows):
            found = ways(table[table.text == text])[i][2]
            for k, context in enumerate(shown):
                row = found[found.context == context]
                if not len(row):
                    continue
                row = row.iloc[0]
                y = len(rows) - 1 - i + (0.16 if k == 0 else -0.16) * (len(shown) > 1)
                last = k == len(shown) - 1
                if row.excess_low > LARGEST:  # named, not drawn: it would squeeze the others
                    axes.text(LARGEST, y, f"{row.excess:.2f} ▸", ha="right", va="center",
                              fontsize=6.5, color=style.darker(colour))
                    continue
                axes.plot([row.excess_low, row.excess_high], [y, y], color=colour, linewidth=1.2)
                axes.plot(row.excess, y, "o", markersize=4.5, color=colour,
                          markerfacecolor=colour if last else style.PAPER)
        axes.set_title({"same": "books never trained on", "other": "another kind of text"}[text])
        axes.set_xlim(right=LARGEST)
        own = table[(table.text == text) & (table.context == shown[-1])
                    & (table.way == "full prefill")].loss.iloc[0]
        axes.axvline(0, color=style.ORANGE, linewidth=0.8, zorder=0)
        axes.set_xlabel("bits per byte above own full prefill,\n"
                        f"which has {own:.2f} (less is better)")
        axes.grid(True, axis="x")
    grid[0][0].set_yticks(range(len(rows)), [r[0] for r in rows][::-1])
    grid[0][0].tick_params(axis="y", labelcolor=style.INK)
    note = " and ".join(f"{'open' if i < len(shown) - 1 else 'full'} dots: {c:,} bytes of context"
                        for i, c in enumerate(shown))
    pair = table.pair.iloc[0]
    figure.text(0.01, 0.01, f"{note}; bars: 95 % bootstrap over {table.windows.iloc[0]} windows. "
                f"Pair {pair}.", fontsize=6.5, color=style.QUIET)
    figure.tight_layout(rect=(0, 0.035, 1, 1))
    figure.savefig(path)
    plt.close(figure)


# ---- E8a: heat maps -----------------------------------------------------------------------------


def draw_similarity(path_in, path):
    results = celslm_results.open(path_in)
    similarity, layers = results.table("similarity"), results.table("layers")
    sources = [s for s in ("kv", "normed") if (similarity.source == s).any()]
    panels = [(s, column) for s in sources for column in ("cka", "r2")]
    names = {"kv": "from K, V", "normed": "from normed residuals"}
    measures = {"cka": "linear CKA", "r2": "held-out R²"}
    figure, grid = plt.subplots(1, len(panels), figsize=(style.WIDTH, 2.9), sharey=True)
    for axes, (source, column) in zip(grid, panels):
        rows = similarity[similarity.source == source]
        table = rows.pivot(index="cloud_layer", columns="edge_layer", values=column)
        axes.imshow(table, cmap="Greys" if column == "cka" else "Greens", vmin=0, vmax=1.15,
                    origin="lower", aspect="auto")
        for (i, j), value in np.ndenumerate(table.to_numpy()):
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=6.5,
                      color=style.PAPER if value > 0.72 else style.INK)
        if source == str(layers.source.iloc[0]) and column == "r2":
            axes.plot(layers.edge_layer, layers.cloud_layer, color=style.RED, linewidth=1.4,
                      marker="s", markersize=15, markerfacecolor="none")
        axes.set_title(f"{names[source]}\n{measures[column]}")
        axes.set_xlabel("edge layer")
        axes.set_xticks(range(table.shape[1]))
        axes.set_yticks(range(table.shape[0]))
        for spine in axes.spines.values():
            spine.set_visible(False)
    grid[0].set_ylabel("cloud layer")
    figure.text(0.01, 0.01, "Red: the layer map that was chosen, monotone, with the largest sum. "
                f"Pair {results.provenance['pair']}.", fontsize=6.5, color=style.QUIET)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.savefig(path)
    plt.close(figure)


# ---- quality against bytes ----------------------------------------------------------------------


def frontier(points):
    """Of (bytes, gap), those that nothing with fewer bytes beats."""
    best, kept = -np.inf, []
    for x, y in sorted(points):
        if y > best:
            best = y
            kept.append((x, y))
    return kept


def draw_frontier(table, path):
    context = sorted(table.context.unique())[-1]
    rows = table[(table.text == "same") & (table.context == context)]
    points = main_map(rows)
    points = points[points.shallow != "absent"]
    layers = int(points.layers.max())
    figure, axes = plt.subplots(figsize=(style.WIDTH, 3.4))
    markers = {layers - d: m for d, m in zip(range(layers), ("o", "s", "^", "D", "v", "P"))}
    for (deepest, codec), group in points.groupby(["deepest", "codec"]):
        axes.errorbar(group.bytes_per_token, group.gap,
                      yerr=[group.gap - group.gap_low, group.gap_high - group.gap], fmt="none",
                      ecolor=style.FAINT, elinewidth=1, zorder=1)
        axes.plot(group.bytes_per_token, group.gap, markers[deepest], markersize=4.5,
                  color=CODECS[codec], markeredgecolor=style.PAPER, markeredgewidth=0.4, zorder=3)
    best = frontier(list(zip(points.bytes_per_token, points.gap)))
    axes.step(*zip(*best), where="post", color=style.INK, linewidth=0.9, zorder=2)
    whole = frontier(list(zip(points[points.deepest == layers].bytes_per_token,
                              points[points.deepest == layers].gap)))
    axes.step(*zip(*whole), where="post", color=style.QUIET, linewidth=0.9, zorder=2,
              linestyle=(0, (3, 2)))
    lowest = min(-0.05, max(-0.3, points.gap.min() - 0.05))
    mean = rows[rows.way == "mean KV"].gap.iloc[0]
    for value, name, colour in ((1, "edge's own full prefill", style.ORANGE),
                                (0, "no context", style.GREY), (mean, "mean KV", style.GREY)):
        if value > lowest:
            axes.axhline(value, color=colour, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
            axes.text(1.005, value, name, transform=axes.get_yaxis_transform(), fontsize=7,
                      color=style.darker(colour), va="center")
    axes.set_xscale("log", base=2)
    axes.set_ylim(lowest, 1.15)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("bytes moved per context token (f16 KV of all layers: "
                    f"{points.full_rank.max() * 2 * layers:g})")
    axes.set_ylabel("gap recovered")
    axes.grid(True)
    share = REAL_BYTES / (points.full_rank.max() * 2 * layers)
    scale = share * REAL_TOKENS * 8 / RATE
    top = axes.secondary_xaxis("top", functions=(lambda x: x * scale, lambda x: x / scale))
    top.set_xlabel(f"s to fetch {REAL_TOKENS:,} tokens of Llama-3.2-1B's KV at {RATE / 1e6:g} Mb/s, "
                   "cut and coded alike (its quality by proxy)")
    top.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.3g}"))
    entries = [plt.Line2D([], [], marker="o", linestyle="", color=c, label=n, markersize=5)
               for n, c in CODECS.items()]
    entries += [plt.Line2D([], [], marker=markers[d], linestyle="", color=style.QUIET,
                           markersize=4.5, label=f"deepest {d} of {layers}" if d < layers
                           else f"all {layers} layers")
                for d in sorted(markers, reverse=True)]
    axes.legend(handles=entries, loc="lower right", ncols=2, frameon=False, fontsize=7)
    figure.text(0.01, 0.01, f"Context {context:,} bytes; lines: frontier of all points, dashed "
                "with nothing computed locally; bars: 95 %. "
                f"Pair {table.pair.iloc[0]}.", fontsize=6.5, color=style.QUIET)
    figure.tight_layout(rect=(0, 0.035, 0.97, 1))
    figure.savefig(path)
    plt.close(figure)


def main():
    args = arguments()
    style.use()
    try:
        table = read_table(args.table)
        made = [os.path.join(args.output, f"{n}.{args.kind}") for n in ("E3", "frontier", "E8a")]
        draw_loss(table, made[0])
        draw_frontier(table, made[1])
        if args.map:
            draw_similarity(args.map, made[2])
        else:
            made.pop()
    except ResultsError as error:
        print(f"quality.py: {error}", file=sys.stderr)
        return 2
    print("drawn: " + " ".join(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
