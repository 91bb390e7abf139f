"""What was busy when: a lane per engine, route and cell, inside the window that was recorded.

Spans that overlap in one lane (several transfers on a route) are packed into sub-lanes. One request
is followed: its spans are outlined and tied together in the order in which they begin.
"""

import numpy as np
from matplotlib.collections import PolyCollection

import celslm_results
import style

MAX_DEPTH = 4  # sub-lanes; what is deeper is drawn in the last one
LABEL = 34  # characters of a lane's name
PLACES = {"engine": 0, "route": 1, "cell": 2}


def lanes_of(results, spans):
    """The lanes of one strategy from top to bottom: a list of (place, index, label, spans)."""
    names = {
        "engine": _names(results, "requests", "engine"),
        "route": results.names("timeline", "index"),
        "cell": _names(results, "requests", "cell"),
    }
    lanes = []
    codes = spans["index"]
    codes = codes.cat.codes if hasattr(codes, "cat") else codes
    for (place, index), own in spans.groupby([spans.place.astype(str), codes.astype(int)]):
        known = names[place]
        label = known[index] if 0 <= index < len(known) else f"{place} {index}"
        lanes.append((place, index, f"→ {label}" if place == "route" else label, own))
    return sorted(lanes, key=lambda lane: (PLACES[lane[0]], lane[1]))


def _names(results, table, column):
    return results.names(table, column) if table in results.tables else []


def busiest(lanes, at_most):
    """The lanes that are busy longest, in their order, and how many are left out."""
    if len(lanes) <= at_most:
        return lanes, 0
    by_time = sorted(lanes, key=lambda lane: -(lane[3].end - lane[3].begin).sum())[:at_most]
    kept = {(lane[0], lane[1]) for lane in by_time}
    return [lane for lane in lanes if (lane[0], lane[1]) in kept], len(lanes) - at_most


def draw(axes, lanes, window, title, colour, left_out=0):
    """One panel: the lanes of one strategy."""
    axes.set_xlim(*window)
    axes.set_ylim(len(lanes) - 0.45, -0.55)
    boxes = {}
    followed = _choose(lanes)
    path = []
    width = window[1] - window[0]
    for row, (place, _, _, spans) in enumerate(lanes):
        kinds, begin, end = _blocks(spans, 0.004 * width, 0.001 * width)
        depth, lane = _pack(begin, end)
        if place != "engine":
            end = np.maximum(end, begin + 0.0012 * width)  # a short transfer is still seen
        height = 0.78 / depth
        top = row - 0.39 + lane * height
        left, right = begin.clip(*window), end.clip(*window)
        for kind in np.unique(kinds):
            own = kinds == kind
            boxes.setdefault(kind, []).append(_boxes(left[own], right[own], top[own], height))
        mine = spans[spans.request == followed]
        path.extend([*_clip(span, window), row - 0.39] for span in mine.itertuples())
    for kind, _, shade in style.KINDS:
        if boxes.get(kind):
            axes.add_collection(PolyCollection(np.concatenate(boxes[kind]), facecolors=shade,
                                               edgecolors=style.PAPER, linewidths=0.15, zorder=3))
    _follow(axes, path, followed)
    _dress(axes, lanes, title, colour, left_out)
    return {kind for kind, parts in boxes.items() if sum(map(len, parts))}


def _blocks(spans, narrow, gap):
    """Kinds, begins and ends of what is drawn. Spans too narrow to be seen one by one are joined
    to blocks of their kind."""
    kinds = spans.kind.astype(str).to_numpy()
    begin, end = spans.begin.to_numpy(), spans.end.to_numpy()
    if not len(begin) or np.median(end - begin) >= narrow:
        return kinds, begin, end
    blocks = []
    for kind in np.unique(kinds):
        order = np.argsort(begin[kinds == kind], kind="stable")
        first = len(blocks)
        for b, e in zip(begin[kinds == kind][order], end[kinds == kind][order]):
            if len(blocks) > first and b <= blocks[-1][2] + gap:
                blocks[-1][2] = max(blocks[-1][2], e)
            else:
                blocks.append([kind, b, e])
    kinds, begin, end = zip(*blocks)
    return np.array(kinds), np.array(begin), np.array(end)


def _clip(span, window):
    return max(span.begin, window[0]), min(span.end, window[1])


def _boxes(left, right, top, height):
    """Rectangles as an array of shape (spans, 4 corners, 2)."""
    bottom = top + height
    return np.stack([np.column_stack(c) for c in
                     ((left, top), (right, top), (right, bottom), (left, bottom))], axis=1)


def _pack(begin, end):
    """First-fit sub-lanes: (how many, the one of each span)."""
    lane = np.zeros(len(begin), int)
    free_at = []
    for i in np.argsort(begin, kind="stable"):
        fits = next((k for k, at in enumerate(free_at) if at <= begin[i] + 1e-12), None)
        if fits is None:
            fits = min(len(free_at), MAX_DEPTH - 1)
            if fits == len(free_at):
                free_at.append(0)
        free_at[fits] = max(free_at[fits], end[i])
        lane[i] = fits
    return max(1, len(free_at)), lane


def _choose(lanes):
    """The request to follow: of those seen where something is computed or KV moves, the one in most
    places; None if the spans do not say for whom they are."""
    seen = {}
    for place, index, _, spans in lanes:
        own = spans[spans.request != celslm_results.NONE]
        for request, kind in set(zip(own.request, own.kind)):
            seen.setdefault(request, set()).add((place, index, kind))

    def worth(request):
        kinds = {kind for _, _, kind in seen[request]}
        return len(kinds & {"kv", "stream"}), len(seen[request]), -request

    work = {"kv", "stream", "prefill", "mixed"}
    worked = [r for r in seen if work & {kind for _, _, kind in seen[r]}]
    return max(worked, key=worth, default=None)


def _follow(axes, path, request):
    steps = np.array([step for step in sorted(path) if step[1] > step[0]])
    if len(steps) < 2:
        return
    left, right, top = steps.T
    axes.add_collection(PolyCollection(_boxes(left, right, top, 0.78), facecolors="none",
                                       edgecolors=style.RED, linewidths=1.1, zorder=5))
    middle = top + 0.39
    for i in range(len(steps) - 1):  # from the lane of one step down or up to the next
        if abs(middle[i + 1] - middle[i]) > 0.5:
            axes.plot([left[i + 1]] * 2, [middle[i], middle[i + 1]], color=style.RED,
                      linewidth=0.6, zorder=4, linestyle=(0, (2, 1.5)))
    window = axes.get_xlim()
    first = left[0] - window[0] > 0.12 * (window[1] - window[0])  # is there room before it?
    at = (left[0], middle[0]) if first else (right[-1], middle[-1])
    axes.annotate(f"request {request}", at, xytext=(-3 if first else 3, -0.5),
                  textcoords="offset points", ha="right" if first else "left", va="center",
                  fontsize=7, color=style.RED, path_effects=style.halo(2), zorder=6)


def _dress(axes, lanes, title, colour, left_out):
    axes.annotate(title, (0, 1), xytext=(10, 4), xycoords="axes fraction",
                  textcoords="offset points", fontsize=8.5, fontweight="bold")
    axes.annotate("●", (0, 1), xytext=(0, 4), xycoords="axes fraction",
                  textcoords="offset points", fontsize=8.5, color=colour)
    if left_out:
        axes.set_title(f"{left_out} less busy lanes are not shown", loc="right", fontsize=7,
                       fontweight="normal", color=style.QUIET, pad=4)
    axes.set_yticks(range(len(lanes)), [style.shorten(label, LABEL) for _, _, label, _ in lanes],
                    fontsize=7)
    axes.spines["left"].set_visible(False)
    axes.grid(True, axis="x")
    for row in range(1, len(lanes)):
        if lanes[row][0] != lanes[row - 1][0]:
            axes.axhline(row - 0.5, color=style.QUIET, linewidth=0.4, zorder=1)


def key(kinds):
    """Entries of the key for the kinds that are drawn."""
    return [dict(facecolor=c, label=label) for kind, label, c in style.KINDS if kind in kinds]
