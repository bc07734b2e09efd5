"""Figures, side by side with installed peers, as ratios, with the machine named.

``python -m benchmarks`` runs all of them and prints a table; ``python -m benchmarks.NAME`` runs
one.
Nothing here asserts a time: figures are read by people, and the tests promise behaviour only.
"""
