"""Founds the demo mesh from its published seed; ``python keys/make_demo.py`` writes `demo.root`.

Its keys are worthless on purpose. Other implementations can check against the file that they read
root records and compute mesh ids as gossipnet does.
"""

from pathlib import Path

from gossipnet import ids
from gossipnet.identity.founding import expand, found_with_root
from gossipnet.identity.trust import Trust

SEED = b"gossipnet demo mesh: worthless on purpose"
FOUNDED = 1_767_225_600.0  # 2026-01-01, 00:00 UTC
FILE = Path(__file__).resolve().parent / "demo.root"


def demo_trust() -> Trust:
    """The demo mesh's trust anchor, the same on every machine."""
    return found_with_root("demo", "demo", expand(SEED), FOUNDED)[0].trust


def main() -> None:
    """Write the file."""
    trust = demo_trust()
    FILE.write_bytes(trust.encode())
    print(f"mesh id {ids.text(trust.mesh_id)}")  # noqa: T201 - this is what the script tells


if __name__ == "__main__":
    main()
