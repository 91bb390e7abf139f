"""E4: traffic and privacy."""

from figures.common import *

TITLE = "Traffic and privacy: what crosses into the cloud, and what comes from it"
STATEMENTS = [
    ("second-hand", "Zero upload of user data: the edge handles the user prompt."),
    ("ours", "CE-LSLM uploads exactly 0 bytes of user data at every rate; KV comes down once per "
     "context and edge as long as it is kept."),
]
RUNS = [LOAD_STUDY]


def per_request(study, column):
    arrived = study.array("arrived").astype(float)
    return study.array(column) / arrived


def draw(studies):
    study = studies["load"]
    figure, axes = panels(2, ["User data to the cloud, kB per request",
                              "KV from the cloud, MB per request"], 1.9)
    colours = style.strategy_colours(study.strategies)
    for one, column, factor in zip(axes, ("user_bytes_to_cloud", "kv_bytes"), (1e3, 1e6)):
        values = per_request(study, column).mean(axis=1).mean(axis=0) / factor
        for row, (name, value) in enumerate(zip(study.strategies, values)):
            one.barh(row, value, color=colours[name], height=0.6)
            one.annotate(f"{value:.3g}" if value else "0", (value, row), xytext=(4, 0), va="center",
                         textcoords="offset points", fontsize=8, fontweight="bold")
        one.set_ylim(len(values) - 0.4, -0.6)
        one.set_xlim(0, max(values.max() * 1.2, 1e-9))
        one.set_yticks(range(len(values)), study.strategies if one is axes[0] else [""] * len(values))
        one.grid(True, axis="x")
    figure.subplots_adjust(left=0.15, right=0.97)
    return figure


def check(studies):
    study = studies["load"]
    user = study.array("user_bytes_to_cloud")
    at = study.strategies.index
    fetches = study.array("fetches")[..., at("CE-LSLM")]
    return [
        (bool((user[..., at("CE-LSLM")] == 0).all()),
         "user data uploaded by CE-LSLM in all points: "
         f"{user[..., at('CE-LSLM')].sum():g} B, must be 0"),
        (bool((user[..., at("cloud only")] > 0).all()), "cloud only uploads every prompt"),
        (bool((fetches >= 1).all() and (fetches <= 4).all()),
         f"each of the 4 contexts is fetched at most once: {int(fetches.max())} fetches at most"),
    ]
