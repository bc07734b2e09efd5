"""Writes what an installation of gossipnet consists of, as CycloneDX 1.6, to standard output.

``python deploy/sbom.py SITE-PACKAGES [EXTRA...]``: the folder that pip installed it into, and the
extras that were asked for. Reads what pip wrote there, nothing else; the same folder gives the same
bytes. Needs `packaging`, which comes with pytest.
"""

import json
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = "gossipnet"


def needed(distribution: Distribution, extras: Iterable[str]) -> dict[str, set[str]]:
    """What a distribution needs in this environment, and with which extras."""
    found: dict[str, set[str]] = {}
    for line in distribution.requires or ():
        asked = Requirement(line)
        if asked.marker is None or any(
            asked.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        ):
            found.setdefault(canonicalize_name(asked.name), set()).update(asked.extras)
    return found


def reference(distribution: Distribution) -> str:
    """The package URL, which names a release among all package indexes."""
    name = canonicalize_name(distribution.metadata["Name"])
    return f"pkg:pypi/{name}@{distribution.version}"


def component(distribution: Distribution, kind: str = "library") -> dict[str, Any]:
    """What is known of one distribution."""
    metadata = distribution.metadata
    told: dict[str, Any] = {
        "type": kind,
        "bom-ref": reference(distribution),
        "name": canonicalize_name(metadata["Name"]),
        "version": distribution.version,
        "purl": reference(distribution),
    }
    if "License-Expression" in metadata:
        told["licenses"] = [{"expression": metadata["License-Expression"]}]
    elif classes := [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier", ())
        if line.startswith("License :: OSI Approved :: ")
    ]:
        told["licenses"] = [{"license": {"name": name}} for name in classes]
    return told


def bill(site: str, extras: list[str]) -> dict[str, Any]:
    """The whole document.

    Raises:
      SystemExit: Something that is needed is not there.
    """
    there: dict[str, Distribution] = {
        canonicalize_name(one.metadata["Name"]): one for one in distributions(path=[site])
    }
    wanted: dict[str, set[str]] = {ROOT: set(extras)}
    edges: dict[str, set[str]] = {}
    waiting = [ROOT]
    while waiting:
        name = waiting.pop()
        if name not in there:
            sys.exit(f"sbom.py: {name} is needed and not in that folder")
        edges[name] = set()
        for other, more in needed(there[name], wanted[name]).items():
            if other != name:
                edges[name].add(other)
            # Extras of its own bring what they stand for: gossipnet[all] is gossipnet[dns,...].
            if other not in wanted or not more <= wanted[other]:
                wanted.setdefault(other, set()).update(more)
                waiting.append(other)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(there[ROOT], "application")},
        "components": [component(there[name]) for name in sorted(edges) if name != ROOT],
        "dependencies": [
            {
                "ref": reference(there[name]),
                "dependsOn": sorted(reference(there[other]) for other in edges[name]),
            }
            for name in sorted(edges)
        ],
    }


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: sbom.py SITE-PACKAGES [EXTRA...]")
    sys.stdout.write(json.dumps(bill(sys.argv[1], sys.argv[2:]), indent=1) + "\n")
