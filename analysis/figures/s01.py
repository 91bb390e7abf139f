"""S1: strategies side by side, and what round trips cost those that pay them again and again."""

import os

from figures.common import *

TITLE = "Strategies side by side"
DSSD = {0.0: 1.82, 0.1: 1.73, 0.25: 1.57}  # speed-up at round trip over time of a target token
ACCEPTANCE, DRAFTS, DRAFT = 0.73, 6, 27.0 / 200.0  # of the scenario: DRAFT in target tokens
STATEMENTS = [
    ("second-hand", "The survey of edge-cloud LLMs and SLMs (2507.16731) compares kinds of collaboration; it gives no common numbers."),
    ("second-hand", "DSSD (2507.12000): speculative decoding over a link, OPT-125M for OPT-6.7B, 1.82, 1.73, 1.57 times faster at round "
     "trips of 0, 20, 50 ms. That a target token took 0.2 s there is our reading of its slow runs; the ratio of the two is compared."),
    ("ours", "Load, models, machines, acceptance, confidence and prices are our choice; cloud tokens are those that engines in the cloud "
     "compute, prefilled and generated (of a split model: all, its later layers are there). What strategies cannot tell of quality: "
     "docs/strategies.md."),
    ("ours", "A split model pays one round trip per token: its time per token has slope 1 in the round trip."),
]
LATENCIES = "platform://link[@id='wan']/@latency=0ms 9.9ms 24.9ms 49.9ms"
HOPS = 0.2e-3  # s: there and back from edge to switch, without the WAN
PARTS = ("", "_exit", "_split")
RUNS = [(f"side{p}", [f"scenarios/reproduction/side_by_side{p}.xml", "--requests"], ["--replications", "3"],
         ["--replications", "10", "--set", "//workload/@requests=2000"]) for p in PARTS]
RUNS += [("rounds", ["scenarios/reproduction/token_round_trips.xml", "--axis", LATENCIES], ["--replications", "3"],
          ["--replications", "10"]),
         ("split_rounds", ["scenarios/reproduction/side_by_side_split.xml", "--set", "//poisson/@rate=0.001/s", "--set",
                           "//workload/@requests=50", "--set", "//results/@sample=1000s", "--axis", LATENCIES], [], [])]
PANELS = [("end to end, mean (s)", "e2e"), ("tokens per s of a user", "speed"), ("cloud tokens per request", "cloud_tokens"),
          ("WAN, MB per request", "wan"), ("J per response", "joule"), ("0.001 cent per response", "cost")]


def cloud_tokens(study):
    """Tokens that engines in the cloud computed, by strategy: the last samples of each run's engines."""
    total = {}
    for point in range(len(study.axes["replication"])):
        run = celslm_results.open(os.path.join(study.path + ".points", f"{point:07d}.h5"))
        last = run.table("engines").groupby(["strategy", "engine"], observed=True)[["prompt_tokens", "output_tokens"]].last()
        for (strategy, engine), row in last.iterrows():
            if engine.startswith("cloud") or engine == "split":
                total[strategy] = total.get(strategy, 0) + int(row.sum())
    return total


def side_by_side(studies):
    """A row per strategy."""
    rows = {}
    for part in PARTS:
        study = studies[f"side{part}"]
        tokens, frame = cloud_tokens(study), study.summary()
        for name, r in frame.groupby("strategy", observed=True):
            rows[name] = {"e2e": r.e2e_mean.mean(), "speed": (1 / r.tpot_mean).mean(), "arrived": r.arrived.sum(),
                          "cloud_tokens": tokens.get(name, 0) / r.arrived.sum(), "wan": (r.wan_bytes / r.arrived).mean() / 1e6,
                          "joule": r.energy_response.mean(), "cost": 1e3 * r.cpr.mean(), "completed": r.completed.sum(),
                          "user": r.user_bytes_to_cloud.sum()}
    return rows


def speed_up(studies):
    """(round trip over target time, speed-up), mean over the replications."""
    tpot = mean_of(studies["rounds"], "tpot_mean")
    return np.array([((2 * latency + HOPS) / row["cloud only"], row["cloud only"] / row["speculative"])
                     for latency, row in tpot.iterrows()])


def formula(ratio):
    return (1 - ACCEPTANCE ** (DRAFTS + 1)) / (1 - ACCEPTANCE) / (1 + DRAFTS * DRAFT + ratio)


def split_times(studies):
    tpot = mean_of(studies["split_rounds"], "tpot_mean")["layer split"]
    return 2 * tpot.index.to_numpy() + HOPS, tpot.to_numpy()


def draw(studies):
    style.use()
    figure = style.plt.figure(figsize=(style.WIDTH, 7.0))
    upper = figure.add_gridspec(2, 3, left=0.175, right=0.975, top=0.96, bottom=0.4, wspace=0.22, hspace=0.34)
    rows = side_by_side(studies)
    names = list(rows)
    colours = {n: style.BLUE if n == "cloud only" else style.ORANGE if n in ("edge only", "prompt cache") else style.GREEN
               if n == "CE-LSLM" else style.GREY for n in names}
    for k, (title, key) in enumerate(PANELS):
        one = figure.add_subplot(upper[k // 3, k % 3])
        values = [rows[n][key] for n in names]
        one.barh(range(len(names)), values, color=[colours[n] for n in names], height=0.66)
        for y, v in enumerate(values):
            one.annotate(f"{v:,.0f}" if v >= 100 else f"{v:.3g}", (v, y), xytext=(3, 0), textcoords="offset points", va="center",
                         fontsize=6.5)
        one.set_title(title, fontsize=8)
        one.set_xlim(0, 1.25 * max(values))
        one.set_ylim(len(names) - 0.4, -0.6)
        one.set_yticks(range(len(names)), names if k % 3 == 0 else [""] * len(names), fontsize=7)
        one.tick_params(axis="x", labelsize=7)
        one.grid(True, axis="x")
    lower = figure.add_gridspec(1, 2, left=0.075, right=0.975, top=0.29, bottom=0.07, wspace=0.2)
    one = figure.add_subplot(lower[0])
    found = speed_up(studies)
    x = np.linspace(0, 0.55, 50)
    one.plot(x, formula(x), color="#555", linewidth=0.8, linestyle=(0, (3, 2)))
    one.plot(*found.T, color=style.GREEN, marker="o", markersize=4, linewidth=0)
    one.plot(list(DSSD), list(DSSD.values()), color=style.RED, marker="x", markersize=5, linewidth=0)
    one.set_title("speed-up by speculative decoding", fontsize=8)
    one.set_xlabel("round trip over time of a target token")
    one.set_ylim(1, 2)
    one.text(0.24, 1.78, "dots: ours, crosses: published,\ndashed: the sum by hand", fontsize=7, color="#555")
    two = figure.add_subplot(lower[1])
    trip, tpot = split_times(studies)
    two.plot(1e3 * trip, 1e3 * tpot, color=style.GREY, marker="o", markersize=4)
    two.plot(1e3 * trip, 1e3 * (tpot[0] + trip - trip[0]), color="#555", linewidth=0.8, linestyle=(0, (3, 2)))
    two.set_title("time per token of a split model (ms)", fontsize=8)
    two.set_xlabel("round trip (ms); dashed: slope 1")
    two.set_ylim(bottom=0)
    for axes in (one, two):
        axes.grid(True, axis="y")
    return figure


def check(studies):
    verdicts = []
    for (ratio, value), (at, published) in zip(speed_up(studies), DSSD.items()):
        verdicts.append((abs(value / published - 1) <= 0.03 and abs(value / formula(ratio) - 1) <= 0.03,
                         f"speculative decoding, round trip {ratio:.3f} target tokens: {value:.3f} times as fast; published at "
                         f"{at:g}: {published}, by hand {formula(ratio):.3f}; must be within 3 % of both"
                         + ("" if at else " (the draft's time is fitted to this one)")))
    trip, tpot = split_times(studies)
    slope = (tpot[-1] - tpot[0]) / (trip[-1] - trip[0])
    verdicts.append((abs(slope - 1) <= 0.005, f"split model: time per token grows by {slope:.4f} of the round trip, must be 1 "
                     "within 0.5 %"))
    rows = side_by_side(studies)
    lost = {n: int(r["arrived"] - r["completed"]) for n, r in rows.items() if r["arrived"] != r["completed"]}
    verdicts.append((not lost, f"all requests of {len(rows)} strategies completed" if not lost else f"not completed: {lost}"))
    none = [n for n, r in rows.items() if r["user"] == 0]
    verdicts.append((set(none) == {"edge only", "prompt cache", "CE-LSLM"}, "no byte of user data goes to the cloud with: "
                     + ", ".join(none) + "; with all others some does"))
    verdicts.append((rows["edge only"]["cloud_tokens"] == 0 < rows["CE-LSLM"]["cloud_tokens"] < rows["cloud only"]["cloud_tokens"],
                     f"cloud tokens per request: cloud only {rows['cloud only']['cloud_tokens']:,.0f}, CE-LSLM "
                     f"{rows['CE-LSLM']['cloud_tokens']:.1f} (each context once), edge only 0"))
    return verdicts
