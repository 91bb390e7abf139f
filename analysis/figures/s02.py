"""S2: who should answer, the edge or the cloud?"""

from figures.common import *

TITLE = "Routing between edge and cloud: quality and latency against the share that stays"
STATEMENTS = [
    ("second-hand", "KubeEdge-Ianvs on MMLU: gpt-4o-mini in the cloud 75.99 % right and 0.691 s to the first token, Qwen2.5-7B "
     "at the edge 71.84 % and 0.301 s; an oracle router 84.22 % with 87.6 % of the requests at the edge."),
    ("ours", "Which model answers what rightly is drawn from a model of correlated skill, fitted to the two accuracies and "
     "the oracle's; that the oracle's share at the edge comes out is then arithmetic, and a check of the program. How much "
     "a router's score says of a request's difficulty (correlation 0.5) is our assumption. Latencies are those of the "
     "simulated machines, not of the published ones, whose network and cloud are not known."),
]
RUNS = [("routing", ["scenarios/reproduction/routing.xml", "--requests"],
         ["--replications", "10"], ["--replications", "40"])]
PUBLISHED = {"cloud only": 0.7599, "edge only": 0.7184, "oracle": 0.8422}
SHARE = 0.876
LINES, POINTS = ("weighted", "threshold"), ("cloud only", "edge only", "load-aware", "oracle")
COLOURS = {"weighted": style.GREY, "threshold": style.GREEN, "cloud only": style.BLUE, "edge only": style.ORANGE,
           "load-aware": style.RED, "oracle": style.BLACK}


def outcomes(study):
    """Share at the edge, quality, TTFT: of each strategy, by the share asked for."""
    table = study.table("requests")
    table = table[table.end == "completed"]
    n = len(study.axes["replication"])
    table = table.assign(share=study.axes["share"][(table.point // n).to_numpy(int)],
                         at_edge=(table.engine == "edge").astype(float))
    found = table.groupby(["strategy", "share"], observed=True).agg(edge=("at_edge", "mean"), ttft=("ttft", "mean"))
    quality = mean_of(study, "quality")
    quality = quality.groupby(level="share").mean().stack().rename("quality").swaplevel()
    return found.join(quality, how="left")


def draw(studies):
    found = outcomes(studies["routing"])
    figure, axes = panels(2, ["answers that are right (%)", "time to first token, mean (ms)"], 2.8)
    for one, column, factor in zip(axes, ("quality", "ttft"), (100, 1000)):
        for name in LINES:
            line = found.loc[name].sort_values("edge")
            one.plot(100 * line.edge, factor * line[column], color=COLOURS[name], marker="o", markersize=3, label=name)
        for name in POINTS:
            point = found.loc[name].iloc[0]
            one.plot(100 * point.edge, factor * point[column], marker="D", markersize=5, linestyle="",
                     color=COLOURS[name], label=name)
        one.set_xlabel("requests served at the edge (%)")
        one.set_xlim(-4, 104)
        one.grid(True)
    axes[1].set_ylim(bottom=0)
    axes[0].plot(100 * SHARE, 100 * PUBLISHED["oracle"], marker="x", color="#555", markersize=7, linestyle="",
                 label="published oracle")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=7, frameon=False, fontsize=7, columnspacing=1.1,
                  handletextpad=0.4)
    figure.subplots_adjust(left=0.07, right=0.985, bottom=0.28, wspace=0.2)
    return figure


def check(studies):
    study = studies["routing"]
    found = outcomes(study)
    n = 4000 * len(study.axes["replication"])
    verdicts = []
    for name, expected in PUBLISHED.items():
        got = float(found.loc[name].iloc[0].quality)
        error = 3 * np.sqrt(expected * (1 - expected) / n)
        verdicts.append((abs(got - expected) <= error, f"{name}: {100 * got:.2f} % right, published {100 * expected:.2f} %, must "
                         f"lie within three standard errors ({100 * error:.2f})"))
    edge = float(found.loc["oracle"].iloc[0].edge)
    verdicts.append((abs(edge - SHARE) <= 3 * np.sqrt(SHARE * (1 - SHARE) / n),
                     f"the oracle leaves {100 * edge:.1f} % at the edge, published {100 * SHARE:.1f} %"))
    best = found.drop("oracle", level="strategy").quality.max()
    verdicts.append((found.loc["oracle"].quality.min() > best, "nobody does better than the oracle: the best other is "
                     f"{100 * best:.2f} %"))
    quality = study.summary().pivot_table(index=["replication", "share"], columns="strategy", values="quality",
                                          observed=True)
    gains = 100 * (quality.threshold - quality.weighted)
    runs = gains.groupby(level="replication").mean()
    half = 2.262 * runs.std(ddof=1) / np.sqrt(len(runs))  # Student's t of 9 degrees, wider than of more
    by_share = gains.groupby(level="share").mean()
    verdicts.append((runs.mean() > half, f"a score that says something is better than chance: by {runs.mean():.2f} +- {half:.2f} "
                     f"points over all shares ({by_share.min():.2f} to {by_share.max():.2f} at single ones)"))
    ttft = {name: 1e3 * float(found.loc[name].iloc[0].ttft) for name in ("edge only", "cloud only")}
    verdicts.append((ttft["edge only"] < ttft["cloud only"], f"the edge is first: {ttft['edge only']:.0f} ms and "
                     f"{ttft['cloud only']:.0f} ms (published 301 and 691, on other machines)"))
    cpr = mean_of(study, "cpr")
    verdicts.append((True, f"cost: {cpr.min().min():.4f} to {cpr.max().max():.4f} cent for a response, hardly dependent on the "
                     "routing, since the accelerators are paid for by the hour (no bar)"))
    return verdicts
