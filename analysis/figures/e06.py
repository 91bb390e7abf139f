"""E6: overlap of loading and computing."""

from figures.common import *

TITLE = "Overlap: layers computed while the next ones arrive"
STATEMENTS = [
    ("stated", "Cross-node parallel scheduling: state loading and decoding computation run "
     "asynchronously."),
    ("ours", "In an idle system pipelined is never slower than serial; with two stages the gain is at "
     "most 2, and largest where loading takes as long as computing. One cold request with a prompt of "
     "512 tokens. Under load the mean time to first token is later without any one of the overlaps, while "
     "the edge is not full: 95 % intervals of paired differences; single draws may say otherwise, and are "
     "counted."),
]
RUNS = [("overlap", [COLD, "--set", "//prompt/fixed/@tokens=512", "--axis",
                     "platform://link[@id='wan']/@bandwidth=log:100Mbps 100000Mbps 25", "--axis",
                     "//context/@tokens=512 2048 8192"], [], []),
        ("overlap_load", ["scenarios/pipelining.xml", "--axis",
                          "//poisson/@rate=0.5/s 1/s 1.5/s 2/s"],
         ["--replications", "20"], ["--replications", "50"])]
FULL = 1.25  # 1/s: above it the edge of that scenario is nearly full, and chance decides single draws


def gains(study):
    ttft = mean_of(study, "ttft_mean")
    up, down = mean_of(study, "up_mean"), mean_of(study, "down_mean")
    # the two stages alone: without the ways of prompt and token, which neither changes
    stages = {n: ttft[n] - up[n] - down[n] for n in ("serial", "CE-LSLM")}
    return stages["serial"] / stages["CE-LSLM"]


def draw(studies):
    study = studies["overlap"]
    figure, (left, right) = panels(2, ["Time to first token, 2,048 tokens of context",
                                       "Serial over pipelined"], 2.4)
    drawn, colours = line_panel(left, study, "ttft_mean", "bandwidth", ["serial", "CE-LSLM"],
                                log_y=True, where={"tokens": 2048})
    lines.label(left, drawn, colours)
    gain = gains(study).unstack()
    shades = dict(zip(gain.columns, ("#9fd9c6", "#009E73", "#004d38")))
    named = {}
    for tokens in gain.columns:
        right.plot(gain.index / 1.25e8, gain[tokens], color=shades[tokens])
        named[f"{int(tokens):,} tokens"] = (gain.index.to_numpy() / 1.25e8, gain[tokens].to_numpy())
    right.set_xscale("log")
    lines.ticks(right.xaxis, True, 1, "")
    right.grid(True)
    right.set_ylim(0.95, 2.05)
    right.axhline(2, color=style.QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    for axes in (left, right):
        axes.set_xlabel("WAN bandwidth (Gb/s)")
    figure.subplots_adjust(wspace=0.75)
    lines.label(right, named, {f"{int(t):,} tokens": shades[t] for t in gain.columns})
    return figure


def check(studies):
    study = studies["overlap"]
    gain = gains(study).unstack()
    comm, edge = mean_of(study, "comm_mean")["serial"].unstack(), mean_of(study, "edge_mean")[
        "serial"].unstack()
    step = float(gain.index[1] / gain.index[0])
    verdicts = [
        (float(gain.min().min()) >= 1 - 1e-9,
         f"pipelined is never slower: smallest ratio {gain.min().min():.4f}"),
        (float(gain.max().max()) <= 2, f"the gain is at most 2: largest {gain.max().max():.3f}")]
    for tokens in gain.columns:
        if gain[tokens].idxmax() in (gain.index[0], gain.index[-1]):
            verdicts.append((False, f"{int(tokens)} tokens: the peak lies outside the range"))
            continue
        peak = gain[tokens].idxmax()  # loading: the bytes on the wire, not the way there and back
        ratio = float((comm[tokens][peak] - ROUND_TRIP) / edge[tokens][peak])
        verdicts.append((1 / step <= ratio <= step,
                         f"{int(tokens):,} tokens: at the peak loading takes {ratio:.2f} times the "
                         f"computing; must be 1 within a step of the grid ({step:.2f})"))
    return verdicts + under_load(studies["overlap_load"])


def under_load(study):
    verdicts = []
    for row in study.paired("ttft_mean", "pipelined").sort_values("rate", kind="stable").itertuples():
        text = (f"{row.rate:g}/s, {row.strategy}: {1e3 * row.mean:.1f} ms later "
                f"({1e3 * row.low:.1f} to {1e3 * row.high:.1f}); the order is inverted in {row.below} "
                f"of {row.n} draws")
        verdicts.append((bool(row.low > 0) if row.rate < FULL else None, text))
    return verdicts
