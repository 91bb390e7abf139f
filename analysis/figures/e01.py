"""E1: throughput against request rate."""

from figures.common import *

TITLE = "Throughput against request rate"
STATEMENTS = [
    ("second-hand", "Throughput is 4-6 times higher at moderate request rates; the baseline, the "
     "machines and the lengths of contexts are not named."),
    ("second-hand", "RelayAttention (ACL 2024), one A40, Llama-2-7B, system prompts shared or not: "
     "1.06 times the capacity at 64 tokens, 1.83 at 512, 4.36 at 2,048."),
    ("ours", "Completed throughput cannot exceed the offered one, so a gap exists only between the "
     "two knees. Same edge for both systems; plateau ratio 3.5 to 6 at 2,048 tokens, 1.7 ± 25 % at "
     "512, 1 ± 25 % at 64."),
]
RUNS = [LOAD_STUDY, OVERLOAD_STUDY]


def draw(studies):
    figure, (left, right) = panels(2, ["Requests completed per s",
                                       "Requests completed per s, overloaded"], 2.5)
    study, over = studies["load"], studies["overload"]
    drawn, colours = line_panel(left, study, "throughput", "rate")
    rates = study.axes["rate"]
    left.plot(rates, rates, color=style.QUIET, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    top = max(y.max() for _, y in drawn.values())
    left.set_ylim(0, 1.15 * top)
    left.annotate("all that is offered", (0.95 * top, 0.95 * top), xytext=(-4, 4), ha="right",
                  textcoords="offset points", fontsize=7, color=style.QUIET)
    lines.ticks(left.yaxis, False, 1, "")
    left.set_xlabel("requests offered per s, 2,048 tokens of context")
    named, _ = line_panel(right, over, "throughput", "tokens")
    right.set_xlabel("tokens of context")
    lines.label(right, named, colours)
    return figure


def check(studies):
    study = studies["load"]
    frame = study.summary()
    verdicts = [((frame.throughput <= frame.offered * (1 + 1e-9)).all(),
                 "no point completes more than was offered")]
    throughput, offered = mean_of(study, "throughput"), mean_of(study, "offered")
    lowest = (throughput / offered).iloc[0].min()
    spread = float(throughput.iloc[0].max() / throughput.iloc[0].min() - 1)
    verdicts.append((lowest > 0.99 and spread < 0.02,
                     f"at the lowest rate all curves coincide: they differ by {100 * spread:.2g} %"))
    capacity = mean_of(studies["overload"], "throughput")
    ratio = capacity["CE-LSLM"] / capacity["edge only"]
    verdicts += [within(ratio[2048], 3.5, 6, "plateau ratio at 2,048 tokens"),
                 within(ratio[512], 1.7 * 0.75, 1.7 * 1.25, "plateau ratio at 512 tokens"),
                 within(ratio[64], 0.75, 1.25, "plateau ratio at 64 tokens")]
    return verdicts
