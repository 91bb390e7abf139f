"""What the time to first token is made of: one bar per strategy, as long as the mean TTFT.

The parts stand in the order in which they happen. Where overlap lets cloud, network and edge work
at the same time they stand side by side and share the height of the bar, so that the parts add up
to the total as they do in the data: sum of the parts - hidden = TTFT. The hatched strip under them
is the time that was hidden that way.
"""

import numpy as np
from matplotlib.patches import Rectangle

import style

HEIGHT = 0.52
LABEL = 28  # characters of a strategy's name
LONGEST = 15  # a bar longer than this times the median bar is shortened in its longest parts,
DRAWN = 6  # to this times the median bar


def parts_of(requests):
    """Means over the completed requests: a dict of part -> s."""
    known = requests[(requests.end == "completed") & np.isfinite(requests.ttft)]
    parts = {column: float(known[column].fillna(0).mean()) for column, _, _ in style.PARTS}
    parts["t_hidden"] = float(known.t_hidden.fillna(0).mean())
    return {name: 0.0 if np.isnan(value) else value for name, value in parts.items()}


def layout(parts):
    """Intervals (part, begin, end) whose union is TTFT, and those that overlap hid.

    Only totals are known: what is hidden is put between KV and edge (computing while KV arrives)
    as far as it fits, the rest between cloud and KV (sending while the cloud computes).
    """
    cloud, comm, edge, hidden = (parts[k] for k in ("t_cloud", "t_comm", "t_edge", "t_hidden"))
    at_edge = min(hidden, cloud + comm, edge)
    at_cloud = min(hidden - at_edge, cloud, comm)
    start = parts["t_up"] + parts["t_wait"]
    loaded = start + cloud + comm - at_cloud
    finished = max(loaded, loaded - at_edge + edge)
    spans = [
        ("t_up", 0, parts["t_up"]),
        ("t_wait", parts["t_up"], start),
        ("t_cloud", start, start + cloud),
        ("t_comm", loaded - comm, loaded),
        ("t_edge", loaded - at_edge, loaded - at_edge + edge),
        ("t_down", finished, finished + parts["t_down"]),
    ]
    shared = [(loaded - at_edge, loaded), (start + cloud - at_cloud, start + cloud)]
    return [s for s in spans if s[2] > s[1]], [s for s in shared if s[1] - s[0] > 1e-12]


def draw(axes, requests, strategies, colours):
    """`requests`: strategy -> DataFrame."""
    parts = {name: parts_of(requests[name]) for name in strategies}
    totals = {n: sum(p.values()) - 2 * p["t_hidden"] for n, p in parts.items()}
    cuts = {n: _cuts(parts[n], totals[n], _limit(totals)) for n in strategies}
    limit = max(totals[n] - sum(cuts[n].values()) for n in strategies) or 1
    axes.set_xlim(0, limit * 1.2)
    axes.set_ylim(len(strategies) - 0.5, -0.5)
    for row, name in enumerate(strategies):
        _bar(axes, row, parts[name], totals[name], cuts[name], limit)
    axes.set_yticks(range(len(strategies)), [style.shorten(n, LABEL) for n in strategies])
    for tick, name in zip(axes.get_yticklabels(), strategies):
        tick.set_color(style.INK)
        tick.set_fontsize(8.5)
    for row, name in enumerate(strategies):
        axes.plot([-0.008], [row], "o", color=colours[name], markersize=5, clip_on=False,
                  transform=axes.get_yaxis_transform())
    axes.tick_params(axis="y", pad=9)
    axes.spines["left"].set_visible(False)
    style.axis_in_seconds(axes.xaxis, limit)
    axes.grid(True, axis="x")
    return _key(parts)


def _limit(totals):
    """How long a bar may be: unlimited unless one dwarfs the others."""
    known = sorted(t for t in totals.values() if t > 0)
    middle = known[(len(known) - 1) // 2] if known else 1
    return DRAWN * middle if known and known[-1] > LONGEST * middle else float("inf")


def _cuts(parts, total, limit):
    """What to take out of which parts of a bar that is too long: part -> s. The longest ones are
    brought down to one level. Parts that may lie side by side with others stay whole."""
    if total <= limit:
        return {}
    free = [c for c, _, _ in style.PARTS if parts["t_hidden"] == 0 or c in ("t_up", "t_wait")]
    room = limit - (total - sum(parts[c] for c in free))
    level, left = max(0.0, room), sorted(free, key=lambda c: parts[c])
    for i, part in enumerate(left):  # the level L with sum(min(part, L)) = room
        level = max(0.0, room) / (len(left) - i)
        if parts[part] >= level:
            break
        room -= parts[part]
    return {c: parts[c] - level for c in free if parts[c] > level}


def _bar(axes, row, parts, total, cuts, limit):
    colours = {column: colour for column, _, colour in style.PARTS}
    spans, hidden = layout({part: value - cuts.get(part, 0) for part, value in parts.items()})
    edges = sorted({x for _, begin, end in spans for x in (begin, end)})
    for left, right in zip(edges, edges[1:]):
        active = [part for part, begin, end in spans if begin < right and end > left]
        for lane, part in enumerate(active):
            height = HEIGHT / len(active)
            axes.add_patch(Rectangle((left, row - HEIGHT / 2 + lane * height), right - left, height,
                                     facecolor=colours[part], linewidth=0, zorder=3))
    for part, begin, end in spans:
        _write_inside(axes, row, spans, part, begin, end, parts[part], limit, part in cuts)
    for left, right in hidden:
        axes.add_patch(Rectangle((left, row + HEIGHT / 2 + 0.03), right - left, 0.13,
                                 facecolor=style.PAPER, edgecolor=style.INK, hatch="//////",
                                 linewidth=0.5, zorder=3))
    end = total - sum(cuts.values())
    axes.text(end + limit * 0.012, row, style.seconds(total), va="center", fontweight="bold")
    if parts["t_hidden"] > 0.005 * total:
        axes.annotate(f"{style.seconds(total + parts['t_hidden'])} of work, "
                      f"{style.seconds(parts['t_hidden'])} hidden", (end + limit * 0.012, row),
                      xytext=(0, -9), textcoords="offset points", va="center", fontsize=7,
                      color=style.QUIET)


def _write_inside(axes, row, spans, part, begin, end, value, limit, broken):
    """The value in its segment, where it has the bar's whole height and the room for it."""
    others = [(b, e) for p, b, e in spans if p != part]
    free = max(((left, right) for left, right in _gaps(begin, end, others)),
               key=lambda g: g[1] - g[0], default=(0, 0))
    text = style.seconds(value)
    if free[1] - free[0] < limit * (0.0135 * len(text) + 0.012):
        return
    dark = part in ("t_cloud", "t_comm")
    axes.text(sum(free) / 2, row, text, ha="center", va="center", fontsize=7.5, zorder=4,
              color=style.PAPER if dark else style.INK)
    if broken:  # two white strokes across the segment: there is more of it than is drawn
        for at in (0.78, 0.81):
            x = free[0] + at * (free[1] - free[0])
            axes.plot([x - limit * 0.004, x + limit * 0.004], [row + 0.33, row - 0.33],
                      color=style.PAPER, linewidth=1.4, zorder=5)


def _gaps(begin, end, others):
    """What is left of [begin, end] outside the other intervals."""
    edges = sorted({begin, end, *(x for o in others for x in o if begin < x < end)})
    for left, right in zip(edges, edges[1:]):
        if not any(b < right and e > left for b, e in others):
            yield left, right


def _key(parts):
    """Entries of the key: the parts in their order."""
    entries = [dict(facecolor=colour, label=label) for part, label, colour in style.PARTS
               if any(of[part] > 0 for of in parts.values())]
    if any(of["t_hidden"] > 0 for of in parts.values()):
        entries.append(dict(facecolor=style.PAPER, edgecolor=style.INK, hatch="//////",
                            linewidth=0.5, label="hidden: side by side"))
    return entries
