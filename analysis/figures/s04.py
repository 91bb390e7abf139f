"""S4: what a response costs on boards at the edge."""

from figures.common import *

TITLE = "Electricity for one response on boards at the edge"
PUBLISHED = {"AGX Orin, Qwen2.5-7B": 0.0041, "Orin Nano, Qwen2.5-3B": 0.0017}  # cent
HOSTS = {"orin": "AGX Orin, Qwen2.5-7B", "nano": "Orin Nano, Qwen2.5-3B"}
TOKENS, WEIGHTS = 256, "int8"
STATEMENTS = [
    ("second-hand", "Edge-First (2505.16508): 0.0041 cent on a Jetson AGX Orin with Qwen2.5-7B, 0.0017 on a "
     "Jetson Orin Nano with Qwen2.5-3B, at 25 cent/kWh; GPT-4: 1.65 cent. Neither the length of its responses, nor "
     "precision, batch or runtime are known to us."),
    ("ours", f"One request at a time, prompts of 128 tokens; the value compared assumes responses of {TOKENS} tokens "
     f"and {WEIGHTS} weights, the same for both boards. Cost is linear in the length: the figure shows what other "
     "lengths and precisions would give. Powers are those of the device profiles (datasheets, idle assumed); 'within a "
     "factor of 1.5' is our bar."),
]
RUNS = [("boards", ["scenarios/reproduction/boards.xml", "--axis", "//output/fixed/@tokens=64 128 256 512"],
         [], [])]


def costs(studies):
    """cent, by board and weights: series along the tokens."""
    table = mean_of(studies["boards"], "cpr")["edge only"]
    return {(HOSTS[host], weights): table.xs((host, weights), level=("host", "weights")).groupby("tokens").first()
            for host in HOSTS for weights in ("bf16", "int8", "int4")}


def draw(studies):
    figure, axes = panels(2, list(PUBLISHED), 2.6)
    shades = {"bf16": "#00543C", "int8": style.GREEN, "int4": "#7CCDB0"}
    found = costs(studies)
    for one, board in zip(axes, PUBLISHED):
        named = {}
        for weights, shade in shades.items():
            line = found[board, weights]
            one.plot(line.index, 1e3 * line, color=shade, marker="o", markersize=3)
            named[weights] = (line.index.to_numpy(), 1e3 * line.to_numpy())
        one.axhline(1e3 * PUBLISHED[board], color="#555", linewidth=0.8, linestyle=(0, (3, 2)))
        one.text(6, 1e3 * PUBLISHED[board], "published", va="bottom", fontsize=7, color="#555")
        one.set_xlabel("tokens of the response")
        one.set_ylim(bottom=0)
        one.set_xlim(left=0)
        one.set_xticks([64, 128, 256, 512])
        one.grid(True)
        lines.label(one, named, shades)
    axes[0].set_ylabel("cost of a response (0.001 cent)")
    figure.subplots_adjust(wspace=0.42)
    return figure


def check(studies):
    found, verdicts, ours = costs(studies), [], {}
    for board, published in PUBLISHED.items():
        ours[board] = float(found[board, WEIGHTS].loc[TOKENS])
        ratio = ours[board] / published
        verdicts.append((1 / 1.5 <= ratio <= 1.5, f"{board}, {WEIGHTS}, {TOKENS} tokens (assumed): {ours[board]:.4f} "
                         f"cent, published {published} cent: ratio {ratio:.2f}, must lie within a factor of 1.5"))
    a, b = PUBLISHED
    for weights in ("bf16", "int8", "int4"):
        ratio = float((found[a, weights] / found[b, weights]).loc[TOKENS])
        expected = PUBLISHED[a] / PUBLISHED[b]
        verdicts.append((1 / 1.5 <= ratio / expected <= 1.5, f"one board over the other, {weights} (hardly depends on "
                         f"the length): {ratio:.2f}, published {expected:.2f}"))
    return verdicts
