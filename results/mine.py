import sys
sys.path.insert(0, "analysis")
import celslm_results, lines, style

study = celslm_results.open("results/load.h5")
print(study.axes["rate"], study.strategies)           # axes are in SI units
per_request = study.array("energy") / study.array("completed")
print(per_request.mean(axis=1))                       # over the replications: rate x strategy

style.use()
figure, axes = style.plt.subplots(figsize=(4, 2.5))
figure.subplots_adjust(left=0.15, right=0.72, bottom=0.2)
colours = style.strategy_colours(study.strategies)
drawn = lines.draw(axes, study.estimate("goodput"), "rate", colours, "1/s", "1/s")
axes.set_xlabel("requests offered per s")
axes.set_title("Requests per s within every objective")
lines.label(axes, drawn, colours)
style.save(figure, "results/mine.pdf")
