"""One short script per figure of analysis/reproduce; figures/common.py says what a figure is."""
