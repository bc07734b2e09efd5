"""Attacks use the harnesses of the packages that they attack."""

import sys
from pathlib import Path

for folder in ("state", "protocol"):
    place = str(Path(__file__).parents[1] / folder)
    if place not in sys.path:
        sys.path.append(place)
