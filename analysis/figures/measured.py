"""What E3 and E8a share: the tables that celslm quality measured, as they stand in results/quality."""

import os

import quality

FOLDER = os.path.join(os.path.dirname(os.path.abspath(quality.__file__)), "..", "results/quality")
TABLE, MAP, COMPARISONS = (os.path.join(FOLDER, n) for n in ("quality.csv", "map.h5", "comparisons.csv"))
COMMAND = "celslm quality -o quality.csv --comparisons comparisons.csv --map map.h5"
OURS = ("Measured with two models trained here (8 and 4 layers, byte tokens; tools/models), through the program's own "
        "kernels and codecs, on text neither was trained on; nothing is assumed. They are small: how far this carries to "
        "models of billions of parameters is not known. The tables stand in results/quality; measuring takes longer "
        "than this page and is a command of its own.")
