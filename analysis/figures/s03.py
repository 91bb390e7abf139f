"""S3: a cluster of edges with the cloud behind it."""

from figures.common import *

TITLE = "A cluster of boards with cloud fallback: steady and bursty load"
STATEMENTS = [
    ("second-hand", "Edge-First (2505.16508) spreads requests over a cluster of Jetson boards at random, by weights or by load, "
     "and falls back to the cloud; load-aware is best under bursts."),
    ("ours", "Four boards; gaps of the bursty load have a coefficient of variation of 4, at the same mean rate. 'Best' is the "
     "lowest 95th percentile of the time to first token, told apart by the paired differences of replications (same "
     "arrivals for all)."),
]
RUNS = [("cluster", ["scenarios/reproduction/cluster.xml", "--requests"],
         ["--replications", "10"], ["--replications", "30"])]
LOADS = {1.0: "steady", 4.0: "bursty"}
COLOURS = {"random": style.GREY, "weighted": style.SKY, "load-aware": style.GREEN}


def tail(study):
    """s: p95 TTFT, [load][strategy], an array over the replications."""
    array = study.summary()
    return {cv: {s: rows.sort_values("replication").ttft_p95.to_numpy()
                 for s, rows in array[np.isclose(array.cv, cv)].groupby("strategy", observed=True)} for cv in LOADS}


def to_cloud(study):
    table = study.table("requests")
    n = len(study.axes["replication"])
    table = table.assign(cv=study.axes["cv"][(table.point // n).to_numpy(int)], cloud=table.engine == "cloud")
    return table.groupby(["cv", "strategy"], observed=True).cloud.mean()


def draw(studies):
    study = studies["cluster"]
    found, cloud = tail(study), to_cloud(study)
    figure, axes = panels(2, ["time to first token, p95 (s)", "requests that the cloud takes (%)"], 2.4)
    for k, (name, colour) in enumerate(COLOURS.items()):
        x = np.arange(len(LOADS)) + 0.27 * (k - 1)
        means = [found[cv][name].mean() for cv in LOADS]
        half = [2.0 * found[cv][name].std(ddof=1) / np.sqrt(len(found[cv][name])) for cv in LOADS]
        axes[0].bar(x, means, 0.25, yerr=half, color=colour, label=name, ecolor="#555", error_kw={"linewidth": 0.9})
        axes[1].bar(x, [100 * cloud[cv, name] for cv in LOADS], 0.25, color=colour)
    for one in axes:
        one.set_xticks(range(len(LOADS)), LOADS.values())
        one.grid(True, axis="y")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=3, frameon=False, fontsize=7.5)
    figure.subplots_adjust(left=0.06, right=0.985, bottom=0.22, wspace=0.16)
    return figure


def check(studies):
    study = studies["cluster"]
    found, verdicts = tail(study), []
    for cv, load in LOADS.items():
        for other in ("random", "weighted"):
            gain = found[cv][other] - found[cv]["load-aware"]
            half = 2.262 * gain.std(ddof=1) / np.sqrt(len(gain))  # Student's t of 9 degrees, wider than of more
            holds = gain.mean() > half
            verdicts.append((holds, f"{load}: load-aware has a p95 TTFT lower than {other} by {1e3 * gain.mean():.0f} +- "
                             f"{1e3 * half:.0f} ms ({1e3 * found[cv]['load-aware'].mean():.0f} against "
                             f"{1e3 * found[cv][other].mean():.0f})"))
    cloud = to_cloud(study)
    verdicts.append((bool(all(cloud[4.0, s] >= cloud[1.0, s] for s in COLOURS)), "bursts send more to the cloud: "
                     + ", ".join(f"{s} {100 * cloud[1.0, s]:.2f} to {100 * cloud[4.0, s]:.1f} %" for s in COLOURS)))
    return verdicts
