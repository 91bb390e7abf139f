"""S5: the overhead of collaboration."""

from figures.common import *

TITLE = "Overhead of collaboration: communication's share of a cold request's latency"
STATEMENTS = [
    ("second-hand", "Survey 2505.07460 names routing and communication as the overhead of "
     "collaborating models."),
    ("ours", "The share of latency that communication adds grows with the round trip and shrinks "
     "with the output's length. Here: KV that moves and is not hidden, over the end-to-end latency."),
]
RUNS = [("overhead", [COLD, "--axis", "platform://link[@id='wan']/@latency=0ms 5ms 10ms 20ms 50ms",
                      "--axis", "//output/fixed/@tokens=log:4 256 7"], [], [])]


def share(study):
    comm, hidden, e2e = (mean_of(study, c)["CE-LSLM"] for c in ("comm_mean", "hidden_mean",
                                                               "e2e_mean"))
    return ((comm - hidden) / e2e).unstack("latency")


def draw(studies):
    table = 100 * share(studies["overhead"])
    figure, (axes,) = panels(1, ["Share of end-to-end latency, CE-LSLM, cold (%)"], 2.4)
    shades = [style.matplotlib.colors.to_hex(c) for c in
              style.plt.get_cmap("viridis")(np.linspace(0.85, 0.1, len(table.columns)))]
    named, colours = {}, {}
    for latency, shade in zip(table.columns, shades):
        name = f"round trip {2000 * latency:g} ms"
        axes.plot(table.index, table[latency], color=shade, marker="o", markersize=3)
        named[name], colours[name] = (table.index.to_numpy(), table[latency].to_numpy()), shade
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.set_xticks(table.index.to_numpy())
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.grid(True)
    axes.set_xlabel("output tokens")
    figure.subplots_adjust(right=0.8)
    lines.label(axes, named, colours)
    return figure


def check(studies):
    table = share(studies["overhead"])
    return [
        (bool((table.diff(axis=1).iloc[:, 1:] > 0).all().all()), "grows with the round trip at every length"),
        (bool((table.diff(axis=0).iloc[1:] < 0).all().all()),
         "shrinks with the output's length at every round trip"),
    ]
