"""E10: the way to the cloud is down for 20 seconds."""

from figures.common import *

TITLE = "Twenty seconds without the cloud"
STATEMENTS = [
    ("stated", "System stability is one of the paper's three axes of evaluation."),
    ("second-hand", "CE-LSLM is robust against disruption of the network."),
    ("ours", "In an outage of the WAN from 60 s to 80 s serving in the cloud stops, drops requests and shows a backlog after "
     "it; edges go on with contexts that they have (warm: all 8 fit into the store), requests for contexts that are "
     "not there wait for the cloud outside of the store (cold: 32 contexts, outage=wait). Hits keep their p95 within "
     "10 %. Load, lengths and machines are our choice, and so are the bars."),
]
RUNS = [("outage", ["scenarios/reproduction/outage.xml", "--axis", "//population/@count=8 32", "--requests"],
         ["--replications", "10"], ["--replications", "50"])]
FROM, TO, END, BIN = 60.0, 80.0, 150.0, 5.0
CASES = {"cloud only": ("cloud only", 8), "CE-LSLM, warm": ("CE-LSLM", 8), "CE-LSLM, cold": ("CE-LSLM", 32)}
COLOURS = {"cloud only": style.BLUE, "CE-LSLM, warm": style.GREEN, "CE-LSLM, cold": style.RED}


def rows(study):
    """Requests of each case, with their replication."""
    table, points = study.table("requests"), study.points()
    counts = study.axes["count"]
    reps = len(study.axes["replication"])
    table = table.assign(replication=table.point % reps, count=counts[(table.point // reps).to_numpy(int)])
    del points
    return {name: table[(table.strategy == strategy) & (table["count"] == count)]
            for name, (strategy, count) in CASES.items()}


def completed(r):
    return r[r.end == "completed"]


def rate(r, edges):
    n = len(r.replication.unique())
    return np.histogram(completed(r).last_token, edges)[0] / np.diff(edges) / n


def inside(r, times):
    """Requests in the system at each time, mean of the replications. What is dropped leaves at an unknown
    time and is left out."""
    r = r[r.end != "dropped"]
    ends = np.sort(r.last_token.fillna(np.inf).to_numpy())
    arrivals = np.sort(r.arrival.to_numpy())
    n = len(r.replication.unique())
    return (np.searchsorted(arrivals, times, "right") - np.searchsorted(ends, times, "right")) / n


def within(r, edges, limit=2.0):
    """Share of those that arrived in each bin with a first token within the limit."""
    good = r[(r.end == "completed") & (r.ttft <= limit)]
    return np.histogram(good.arrival, edges)[0] / np.maximum(1, np.histogram(r.arrival, edges)[0])


def recovery(r):
    """s from the end of the outage until no more requests are in the system than in the mean before it."""
    times = np.arange(TO, END, 0.1)
    before = inside(r, np.arange(FROM - 30, FROM, 0.1)).mean()
    back = np.flatnonzero(inside(r, times) <= before)
    return times[back[0]] - TO if len(back) else np.inf


def draw(studies):
    found = rows(studies["outage"])
    figure, axes = panels(3, ["completed per second", "requests in the system", "first token within 2 s (%)"], 2.5)
    edges = np.arange(20, END - 15 + BIN, BIN)
    middle, times = (edges[1:] + edges[:-1]) / 2, np.arange(20, END - 15, 0.5)
    series = [{n: (middle, rate(r, edges)) for n, r in found.items()},
              {n: (times, inside(r, times)) for n, r in found.items()},
              {n: (middle, 100 * within(r, edges)) for n, r in found.items()}]
    for one, named in zip(axes, series):
        one.axvspan(FROM, TO, color=style.FAINT, linewidth=0, zorder=0)
        for name, (x, y) in named.items():
            one.plot(x, y, color=COLOURS[name], linewidth=1.4)
        one.set_ylim(bottom=0)
        one.set_xlabel("s; grey: the WAN is down")
        one.grid(True, axis="y")
    handles = [style.plt.Line2D([], [], color=c, linewidth=1.6, label=n) for n, c in COLOURS.items()]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=7.5)
    figure.subplots_adjust(left=0.06, right=0.985, bottom=0.29, wspace=0.22)
    return figure


def check(studies):
    found, verdicts = rows(studies["outage"]), []
    cloud, warm, cold = (found[n] for n in CASES)
    n = len(cloud.replication.unique())
    stopped = completed(cloud)
    stopped = stopped[(stopped.last_token > FROM + 0.1) & (stopped.last_token < TO)]
    verdicts.append((len(stopped) == 0, f"cloud only completes {len(stopped)} requests between 0.1 s after the outage began and "
                     f"its end, in {n} runs"))
    before = inside(cloud, np.arange(FROM - 30, FROM, 0.1)).mean()
    after = inside(cloud, np.arange(TO, TO + 5, 0.1)).max()
    lost = (cloud.end == "dropped").sum() / n
    verdicts.append((after > 2 * before or lost > 0, f"cloud only: {before:.1f} requests in the system before, up to "
                     f"{after:.1f} after the outage, {lost:.1f} dropped in each run; as before again after "
                     f"{recovery(cloud):.1f} s"))
    for name, case in (("warm", warm), ("cold", cold)):
        hits = [case[(case.context_source == "hit") & (case.arrival >= a) & (case.arrival < b)].ttft.quantile(0.95)
                for a, b in ((FROM - 30, FROM), (FROM, TO))]
        change = hits[1] / hits[0] - 1
        faster = name == "cold" and change < 0  # nothing is loaded then: the engine is freer
        verdicts.append((abs(change) <= 0.1 or faster, f"CE-LSLM {name}: p95 TTFT of hits {1e3 * hits[0]:.1f} ms before and "
                         f"{1e3 * hits[1]:.1f} ms in the outage ({100 * change:+.1f} %), must be within 10 %"
                         + ("; a fall is not held against it, misses load nothing meanwhile" if name == "cold" else "")))
    share = (completed(warm)).shape[0] / len(warm)
    verdicts.append((share == 1, f"CE-LSLM warm: {100 * share:.1f} % of {len(warm)} requests completed"))
    missed = cold[(cold.arrival > FROM) & (cold.arrival < TO) & (cold.context_source != "hit")]
    here = int((missed.context_source == "recomputed").sum())
    done = completed(missed)
    verdicts.append((len(done) == len(missed) > 0 and bool((done.first_token > TO).all()),
                     f"CE-LSLM cold: {len(missed)} requests that missed in the outage waited for the cloud, and all completed after "
                     f"it; {here} of them found the store full of contexts in use then, and computed theirs at the edge; as "
                     f"before again after {recovery(cold):.1f} s"))
    ended = sum(int(r.end.isin(["completed", "rejected", "dropped", "in flight"]).sum()) for r in found.values())
    verdicts.append((ended == sum(map(len, found.values())), f"all {ended} requests are accounted for"))
    return verdicts
