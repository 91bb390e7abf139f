"""E9: more edges, more users, more tenants; what peers and disks bring."""

from figures.common import *

TITLE = "Edges, users and tenants: recomputing, the cloud, peers, disks"
STATEMENTS = [
    ("stated", "Concurrent processing capacity is one of the paper's three axes of evaluation."),
    ("second-hand", "Shallow layers' KV may be shared by neighbouring edges; KV comes from the cloud or a local disk; edges "
     "serve many tenants."),
    ("ours", "Where all edges come to need all contexts, each takes them from the cloud once; with peers one of them does: the "
     "bytes from the cloud per context and edge fall as 1/edges. Between two edges that ask at nearly the same time "
     "neither can know of the other: what they know is up to 100 ms old, and such fetches are counted from the rows "
     "of requests."),
    ("ours", "Upper row: 16 documents, room for all, 1 request per s and edge. Lower row: four edges, 64 documents, room for "
     "18 at each edge, four tenants. Machines, lengths and rates are our choice."),
]
EDGES = (1, 2, 4, 8)
PERIOD = 0.1  # s, peer_period of the scenarios
RUNS = [(f"edges{n}", [f"scenarios/reproduction/edges/{n}.xml", "--set", f"//poisson/@rate={n}/s", "--set",
                       f"//workload/@requests={250 * n}", "--requests"], ["--replications", "4"],
         ["--replications", "20"]) for n in EDGES]
RUNS += [("users", ["scenarios/reproduction/edges/4.xml", "--set", "//population/@count=64", "--set",
                    "//engine[@name!='cloud']/@context_memory=2GiB", "--axis", "//cache/@disk=1B 200GB", "--axis",
                    "//poisson/@rate=log:2/s 64/s 6"],
          ["--replications", "3", "--set", "//workload/@requests=1000"],
          ["--replications", "10", "--set", "//workload/@requests=5000"])]
COLOURS = {"none": style.GREY, "cloud": style.BLUE, "+ peers": style.GREEN, "+ peers + disk": "#00402E"}


def column(study, name):
    """Means over the replications, by strategy."""
    return study.summary().groupby("strategy", observed=True)[name].mean()


def per_context_and_edge(study, edges):
    """Bytes over the WAN per context and edge, in units of a context's KV: mean over the replications, by strategy."""
    frame = study.summary()
    one = (frame.kv_bytes / (frame.fetches)).max()  # B: every fetch moves a whole context
    return (frame.assign(value=frame.wan_bytes / one / edges / 16).groupby("strategy", observed=True).value.mean())


def bracket(study):
    """Fetches with peers that the cloud has to serve, in all replications: at least one for each context; at most those
    that began before any other edge could be known to have it."""
    table = study.table("requests")
    table = table[(table.strategy == "+ peers") & (table.context_source == "fetched")]
    low = high = 0
    for _, rows in table.groupby(["point", "context"], observed=True):
        low += 1
        had = rows.first_token.min()  # the first edge has it by then at the latest
        high += int((rows.arrival <= had + PERIOD + ROUND_TRIP).sum())
    return low, high


def by_rate(study, name):
    """Rate -> mean, for each of the four ways."""
    mean = study.estimate(name).set_index(["disk", "rate", "strategy"])["mean"]
    small, large = study.axes["disk"]
    found = {s: mean.xs((small, s), level=("disk", "strategy")) for s in ("none", "cloud", "+ peers")}
    return {**found, "+ peers + disk": mean.xs((large, "+ peers"), level=("disk", "strategy"))}


def draw(studies):
    style.use()
    figure, grid = style.plt.subplots(2, 3, figsize=(style.WIDTH, 4.5))
    figure.subplots_adjust(left=0.07, right=0.985, top=0.94, bottom=0.17, wspace=0.27, hspace=0.5)
    ways = ("none", "cloud", "+ peers")
    relative = {n: per_context_and_edge(studies[f"edges{n}"], n) for n in EDGES}
    tables = [("cloud KV per context, edge", relative, 1),
              ("first token, p95 (ms)", {n: column(studies[f"edges{n}"], "ttft_p95") for n in EDGES}, 1e3),
              ("completed per second", {n: column(studies[f"edges{n}"], "throughput") for n in EDGES}, 1)]
    for one, (title, found, factor) in zip(grid[0], tables):
        for way in ways:
            x = [n for n in EDGES if way in found[n].index]
            one.plot(x, [factor * found[n][way] for n in x], color=COLOURS[way], marker="o", markersize=3)
        one.set_title(title, fontsize=8)
        one.set_xscale("log", base=2)
        one.set_xticks(EDGES, EDGES)
        one.set_xlabel("edges")
    grid[0][0].plot(EDGES, [1 / n for n in EDGES], color="#555", linewidth=0.8, linestyle=(0, (3, 2)))
    grid[0][0].text(2.6, 0.55, "1/edges (dashed)", fontsize=7, color="#555")
    study = studies["users"]
    hits = {w: v / by_rate(study, "arrived")[w] * 100 for w, v in by_rate(study, "hits").items()}
    series = [("completed per second", by_rate(study, "throughput")), ("first token, p95 (s)", by_rate(study, "ttft_p95")),
              ("contexts found in memory (%)", hits)]
    for one, (title, found) in zip(grid[1], series):
        for way, line in found.items():
            one.plot(line.index, line, color=COLOURS[way], marker="o", markersize=3,
                     linestyle="-" if way != "+ peers + disk" else (0, (3, 1.5)))
        one.set_title(title, fontsize=8)
        one.set_xscale("log", base=2)
        one.set_xticks([2, 4, 8, 16, 32, 64], [2, 4, 8, 16, 32, 64])
        one.set_xlabel("requests per second at four edges")
    grid[1][1].set_yscale("log")
    grid[1][1].yaxis.set_major_formatter(lambda v, _: f"{v:g}")
    for one in grid.flat:
        one.minorticks_off()
        one.grid(True, axis="y")
        if one.get_yscale() == "linear":
            one.set_ylim(bottom=0)
    handles = [style.plt.Line2D([], [], color=c, linewidth=1.6, label=n) for n, c in COLOURS.items()]
    figure.legend(handles=handles, loc="lower center", ncols=4, frameon=False, fontsize=7.5)
    return figure


def check(studies):
    verdicts, ratio = [], {}
    for n in EDGES[1:]:
        study = studies[f"edges{n}"]
        frame = study.summary()
        one = (frame.kv_bytes / frame.fetches).max()
        peers = frame[frame.strategy == "+ peers"]
        from_cloud = peers.wan_bytes.sum() / one
        low, high = bracket(study)
        own = per_context_and_edge(study, n)
        ratio[n] = own["+ peers"] / own["cloud"]
        verdicts.append((0.99 * low <= from_cloud <= 1.01 * high, f"{n} edges with peers: {from_cloud:.1f} contexts came from "
                         f"the cloud in {len(peers)} runs; {low} are needed, and at most {high} by what edges could know; "
                         f"{ratio[n]:.3f} of what comes without peers (1/edges: {1 / n:.3f})"))
    slope = np.polyfit(np.log(EDGES), np.log([1, *(ratio[n] for n in EDGES[1:])]), 1)[0]
    verdicts.append((abs(slope + 1) <= 0.1, f"bytes from the cloud per context and edge fall as edges to the power of {slope:.3f}, "
                     "must be -1 +- 0.1 (the bar is our choice)"))
    study = studies["users"]
    wan, ttft, done = (by_rate(study, c) for c in ("wan_bytes", "ttft_p95", "throughput"))
    low = wan["cloud"].index[:4]  # no overload
    verdicts.append((bool((wan["+ peers"][low] < wan["cloud"][low]).all() and (wan["+ peers + disk"][low] < wan["+ peers"][low]).all()),
                     f"bytes over the WAN at {low[0]:.0f} to {low[-1]:.0f} requests/s: with peers "
                     f"{100 * (wan['+ peers'][low] / wan['cloud'][low]).mean():.0f} % of the cloud's alone, with disks too "
                     f"{100 * (wan['+ peers + disk'][low] / wan['cloud'][low]).mean():.0f} %"))
    last = wan["cloud"].index[-1]
    verdicts.append((bool(min(done[w][last] for w in ("cloud", "+ peers")) > done["none"][last]),
                     f"offered {last:.0f} requests/s, four edges complete {done['none'][last]:.1f} without reuse, "
                     f"{done['cloud'][last]:.1f} with the cloud, {done['+ peers'][last]:.1f} with peers, "
                     f"{done['+ peers + disk'][last]:.1f} with disks"))
    worse = [f"{r:.0f}" for r in ttft["none"].index if ttft["cloud"][r] > ttft["none"][r]]
    verdicts.append((bool((ttft["+ peers"] <= 1.02 * ttft["cloud"]).all()), "p95 TTFT with peers is never above that without "
                     "(by more than 2 %)" + (f"; the cloud alone is slower than recomputing at {', '.join(worse)} requests/s, "
                     "where the WAN is full" if worse else "")))
    fair = study.array("fairness")
    verdicts.append((bool(fair.min() > 0.9), f"four tenants of equal shares: Jain's index of what they were served {fair.min():.3f} "
                     "or more, must be above 0.9"))
    frame = study.summary()
    frame = frame[frame.strategy != "none"]
    sums = frame.hits + frame.fetches + frame.joins + frame.recomputed
    verdicts.append((bool((sums == frame.arrived).all()), f"hits, fetches, joins and recomputed contexts add up to all requests in "
                     f"{len(frame)} rows"))
    return verdicts
