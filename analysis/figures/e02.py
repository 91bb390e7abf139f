"""E2: latency against request rate."""

from figures.common import *

TITLE = "Latency against request rate"
STATEMENTS = [
    ("stated", "Inference latency is one of the paper's axes of evaluation; no number is given in "
     "the abstract."),
    ("ours", "Latency is flat, then has a knee; CE-LSLM's knee lies further right."),
]
RUNS = [LOAD_STUDY]
COLUMNS = {"ttft_p95": "First token, p95", "tpot_p95": "Per output token, p95",
           "e2e_mean": "End to end, mean"}


def draw(studies):
    figure, axes = panels(3, COLUMNS.values(), 2.3)
    for one, column in zip(axes, COLUMNS):
        drawn, colours = line_panel(one, studies["load"], column, "rate", log_y=True)
        one.set_xlabel("requests offered per s")
    lines.label(axes[-1], drawn, colours)
    return figure


def knee(latency):
    """The last rate before the latency passes three times its lowest value."""
    over = latency[latency > 3 * latency.min()]
    return latency.index[-1] if over.empty else max(latency.index[latency.index < over.index[0]],
                                                     default=latency.index[0])


def check(studies):
    ttft = mean_of(studies["load"], "ttft_p95")
    knees = {name: float(knee(ttft[name])) for name in ttft.columns}
    flat = {n: float(ttft[n].iloc[:3].max() / ttft[n].iloc[:3].min()) for n in ttft.columns}
    return [
        (max(flat.values()) < 3, "flat at the three lowest rates: p95 TTFT changes by at most "
         f"a factor {max(flat.values()):.2f}"),
        (knees["CE-LSLM"] > max(knees["edge only"], knees["cloud only"]),
         "CE-LSLM's knee lies right of those of cloud only and edge only: "
         + ", ".join(f"{n} {k:.3g}/s" for n, k in knees.items())),
        (all(ttft[n].iloc[-1] > 10 * ttft[n].iloc[0] for n in ttft.columns),
         "far beyond its knee every system's p95 TTFT is more than ten times as long"),
    ]
