"""Known vulnerabilities of what is installed here, by pip-audit; fails if there are.

The last line says how many packages were audited, or `NOT AUDITED: ` and why: where no
vulnerability database is in reach, that is no fault of what is installed.
"""

import json
import subprocess
import sys


def main() -> int:
    found, said = audit()
    audited = [package for package in found if "skip_reason" not in package]
    if not audited:
        why = said or f"the database knows none of {len(found)} packages"
        print(f"NOT AUDITED: {why}")
        return 0
    bad = [package for package in audited if package["vulns"]]
    for package in bad:
        ids = ", ".join(vulnerability["id"] for vulnerability in package["vulns"])
        print(f"{package['name']} {package['version']}: {ids}")
    print(f"{len(audited)} of {len(found)} packages audited, {len(bad)} vulnerable")
    return 1 if bad else 0


def audit() -> tuple[list[dict], str]:
    """The packages, and the last that pip-audit said where it lists none."""
    command = [sys.executable, "-m", "pip_audit", "--format=json", "--skip-editable"]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        return json.loads(done.stdout)["dependencies"], ""
    except (ValueError, KeyError):
        return [], (done.stderr.strip().splitlines() or ["no output"])[-1][:200]


if __name__ == "__main__":
    sys.exit(main())
