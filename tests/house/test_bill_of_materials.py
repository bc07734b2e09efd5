"""The bill of materials names all that an installation needs, with the extras asked for."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


def put(site: Path, name: str, version: str, *lines: str) -> None:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    text = "".join(f"{line}\n" for line in lines)
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{text}"
    )


def ask(site: Path, *extras: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(ROOT / "deploy" / "sbom.py"), str(site), *extras]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def site(folder: Path) -> Path:
    put(
        folder,
        "gossipnet",
        "0.1.0",
        "License-Expression: Apache-2.0",
        "Requires-Dist: trio>=0.31",
        'Requires-Dist: dnspython>=2.7; extra == "dns"',
        'Requires-Dist: gossipnet[dns]; extra == "all"',
        'Requires-Dist: nothing; python_version < "3"',
    )
    put(
        folder, "trio", "0.35.0", "License-Expression: MIT OR Apache-2.0", "Requires-Dist: Odd.Name"
    )
    put(folder, "dnspython", "2.9.2", "License-Expression: ISC")
    put(folder, "odd-name", "1", "Classifier: License :: OSI Approved :: MIT License")
    put(folder, "bystander", "1")
    return folder


def named(bill: dict[str, Any]) -> list[str]:
    return [one["purl"] for one in bill["components"]]


def test_all_that_is_needed_and_nothing_else(tmp_path: Path) -> None:
    folder = site(tmp_path)
    bill = json.loads(ask(folder).stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["purl"] == "pkg:pypi/gossipnet@0.1.0"
    assert named(bill) == ["pkg:pypi/odd-name@1", "pkg:pypi/trio@0.35.0"]
    assert [one["licenses"] for one in bill["components"]] == [
        [{"license": {"name": "MIT License"}}],
        [{"expression": "MIT OR Apache-2.0"}],
    ]
    with_extra = json.loads(ask(folder, "all").stdout)  # which stands for another extra
    assert "pkg:pypi/dnspython@2.9.2" in named(with_extra)
    edges = {row["ref"]: row["dependsOn"] for row in with_extra["dependencies"]}
    assert edges["pkg:pypi/trio@0.35.0"] == ["pkg:pypi/odd-name@1"]
    assert edges["pkg:pypi/gossipnet@0.1.0"] == [
        "pkg:pypi/dnspython@2.9.2",
        "pkg:pypi/trio@0.35.0",
    ]
    assert ask(folder, "all").stdout == ask(folder, "all").stdout


def test_what_is_missing_is_no_bill(tmp_path: Path) -> None:
    put(tmp_path, "gossipnet", "0.1.0", "Requires-Dist: trio")
    done = ask(tmp_path)
    assert done.returncode == 1
    assert done.stderr == "sbom.py: trio is needed and not in that folder\n"
