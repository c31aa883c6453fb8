"""Says what is missing from the wheel and the source archive in `dist/`, or too much; `make package` runs it.

Both have every file of the package that git knows, the licence, and no tests.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
BESIDE = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md", "SECURITY.md", "constraints.txt", "pyproject.toml"}
MADE = {"PKG-INFO", "setup.cfg", "MANIFEST.in"}


def faults(wheel: set[str], archive: set[str], tracked: set[str]) -> list[str]:
    """What is wrong, a line each.

    Args:
        wheel: paths in the wheel.
        archive: paths in the source archive, without its first folder.
        tracked: paths of the package's files that git knows.
    """
    about = {path for path in wheel if path.split("/")[0].endswith(".dist-info")}
    made = {path for path in archive if path in MADE or path.split("/")[0].endswith(".egg-info")}
    found = [f"missing from the wheel: {path}" for path in sorted(tracked - wheel)]
    found += [f"not wanted in the wheel: {path}" for path in sorted(wheel - tracked - about)]
    if not any(path.endswith("/licenses/LICENSE") for path in about):
        found.append("missing from the wheel: LICENSE")
    found += [f"missing from the source archive: {path}" for path in sorted((tracked | BESIDE) - archive)]
    found += [f"not wanted in the source archive: {path}" for path in sorted(archive - tracked - BESIDE - made)]
    return found


def main() -> int:
    """Exit status: 0, or 1 if something is wrong."""
    [wheel], [archive] = (list((ROOT / "dist").glob(f"*.{end}")) for end in ("whl", "tar.gz"))
    with zipfile.ZipFile(wheel) as file:
        in_wheel = {name for name in file.namelist() if not name.endswith("/")}
    with tarfile.open(archive) as tar:
        in_archive = {member.name.partition("/")[2] for member in tar.getmembers() if member.isfile()}
    listed = subprocess.run(["git", "ls-files", "sightsound"], cwd=ROOT, check=True, capture_output=True, text=True)
    found = faults(in_wheel, in_archive, set(listed.stdout.splitlines()))
    for line in found or [f"{wheel.name} and {archive.name}: {len(in_wheel)} and {len(in_archive)} files, as expected"]:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
