"""E11: the bandwidth at which downloading KV beats recomputing it."""

from figures.common import *

TITLE = "Cold contexts: download or recompute?"
STATEMENTS = [
    ("ours", "For one cold request, downloading KV beats recomputing it above "
     "BW* = 8 b s / (T_recompute - round trip - the last layer's tail), b bytes per token; the crossing must "
     "lie within 2 % of it. Arithmetic, not a claim of the paper."),
]
RUNS = [("crossover", [COLD, "--axis",
                       "platform://link[@id='wan']/@bandwidth=log:10Mbps 10000Mbps 61"], [], [])]
NAMES = ["CE-LSLM", "CE-LSLM int8", "CE-LSLM int4"]
LAYERS = 28  # of Qwen2.5-1.5B


def crossing(ttft, name):
    """Where the curve meets edge only, between two points in log-log; B/s."""
    x, y = np.log(ttft.index.to_numpy()), np.log((ttft[name] / ttft["edge only"]).to_numpy())
    i = int(np.flatnonzero((y[:-1] > 0) & (y[1:] <= 0))[0])
    return float(np.exp(x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i])))


def predicted(study, name):
    """BW* from parts that do not depend on the WAN's bandwidth."""
    kv = mean_of(study, "kv_bytes")[name].iloc[0]
    recompute = mean_of(study, "ttft_mean")["edge only"].iloc[0]
    # the last layer of the prompt: what serial computes after loading, over the layers
    tail = mean_of(study, "edge_mean")["serial"].iloc[0] / LAYERS
    return float(kv / (recompute - ROUND_TRIP - tail))


def draw(studies):
    study = studies["crossover"]
    figure, (axes,) = panels(1, ["Time to first token of one cold request, 2,048 tokens"], 2.7)
    drawn, colours = line_panel(axes, study, "ttft_mean", "bandwidth", ["edge only", *NAMES],
                                log_y=True)
    for name in NAMES:
        axes.axvline(predicted(study, name), color=colours[name], linewidth=0.8,
                     linestyle=(0, (3, 2)), zorder=1)
    axes.set_xlabel("WAN bandwidth (Gb/s); dashed: BW* by arithmetic")
    lines.label(axes, drawn, colours)
    return figure


def check(studies):
    study = studies["crossover"]
    ttft = mean_of(study, "ttft_mean")
    verdicts = []
    for name in NAMES:
        found, expected = crossing(ttft, name), predicted(study, name)
        verdicts.append((abs(found / expected - 1) < 0.02,
                         f"{name}: crosses at {found / 1.25e8:.4g} Gb/s, arithmetic says "
                         f"{expected / 1.25e8:.4g}: {100 * (found / expected - 1):+.2f} %"))
    return verdicts
