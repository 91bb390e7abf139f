"""E8a: how alike the layers of two models are, and which layer is taken for which."""

from figures import measured
from figures.common import *

import quality

TITLE = "Layer similarity and the alignment chosen"
STATEMENTS = [
    ("stated", "Layer alignment and compression of representations between unlike models."),
    ("ours", measured.OURS),
    ("ours", "The map must be monotone and have the largest sum of similarities of all monotone maps."),
]
RUNS = []
COMMANDS = [measured.COMMAND]


def save(_, path):
    style.use()
    quality.draw_similarity(measured.MAP, path)


def best(table):
    """Largest sum over maps whose cloud layer never falls, by trying all of them."""
    rows, columns = table.shape

    def rest(column, least):
        if column == columns:
            return 0.0
        return max(table[r, column] + rest(column + 1, r) for r in range(least, rows))

    return rest(0, 0)


def check(_):
    results = celslm_results.open(measured.MAP)
    layers, similarity = results.table("layers"), results.table("similarity")
    rows = similarity[similarity.source == layers.source.iloc[0]]
    table = rows.pivot(index="cloud_layer", columns="edge_layer", values="r2").to_numpy()
    chosen = sum(table[c, e] for e, c in zip(layers.edge_layer, layers.cloud_layer))
    return [
        (bool((layers.cloud_layer.diff().dropna() >= 0).all()),
         "edge layers " + ", ".join(map(str, layers.edge_layer)) + " take cloud layers "
         + ", ".join(map(str, layers.cloud_layer)) + ": monotone"),
        (chosen >= best(table) - 1e-9, f"its sum of held-out R² is {chosen:.4f}, the largest of all monotone maps "
         f"(tried one by one) {best(table):.4f}"),
    ]
