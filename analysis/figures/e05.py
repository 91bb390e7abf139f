"""E5: latency breakdown."""

from figures.common import *

import breakdown

TITLE = "What the time to first token is made of, cold and warm"
STATEMENTS = [
    ("second-hand", "T_total = T_com_C + T_comm + T_com_E is the core objective."),
    ("ours", "The parts, less what overlap hid, sum to the total. Cold: one request in an idle "
     "system whose context is at no edge; warm: the load study at its lowest rate."),
]
WARM = ("warm", [LOAD, "--set", "//poisson/@rate=0.25/s", "--requests"],
        ["--set", "//workload/@requests=300"], ["--set", "//workload/@requests=3000"])
COLD_REQUEST = ("cold_request", [COLD, "--requests"], [], [])
RUNS = [COLD_REQUEST, WARM]


def tables(studies):
    return {"cold": studies["cold_request"].table("requests"),
            "warm": studies["warm"].table("requests")}


def draw(studies):
    style.use()
    figure, axes = style.plt.subplots(2, 1, figsize=(style.WIDTH, 4.6))
    figure.subplots_adjust(left=0.14, right=0.96, top=0.87, bottom=0.07, hspace=0.45)
    for one, (title, table) in zip(axes, tables(studies).items()):
        names = list(table.strategy.cat.categories)
        entries = breakdown.draw(one, {n: table[table.strategy == n] for n in names}, names,
                                 style.strategy_colours(names))
        one.set_title({"cold": "Cold: Qwen2.5-1.5B on a Jetson AGX Orin, means",
                       "warm": "Warm: Llama-2-7B on an L40S, means"}[title])
        if title == "cold":
            style.key(figure, entries, 0.02, 0.985)
    return figure


def check(studies):
    verdicts = []
    for title, t in tables(studies).items():
        known = t[np.isfinite(t.ttft)]
        parts = (known.t_up + known.t_wait + known.t_cloud + known.t_comm + known.t_edge
                 - known.t_hidden + known.t_down)
        worst = float((parts - known.ttft).abs().max())
        verdicts.append((worst < 1e-8, f"{title}: over {len(known)} requests the parts differ from "
                         f"the total by at most {worst:.1e} s"))
    return verdicts
