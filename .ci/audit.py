"""Known vulnerabilities of what is installed here, by pip-audit; fails if there are.

Without a vulnerability database in reach nothing can be audited, and that is said.
"""

import json
import subprocess
import sys


def main() -> None:
    command = [sys.executable, "-m", "pip_audit", "--format=json", "--skip-editable"]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        print(f"not audited: pip-audit reached no database ({last[:200]})")
        return
    audited = [package for package in found if "skip_reason" not in package]
    if not audited:
        print(f"not audited: the database knows none of {len(found)} packages")
        return
    print(f"{len(audited)} of {len(found)} packages audited")
    bad = [package for package in audited if package["vulns"]]
    for package in bad:
        ids = ", ".join(vulnerability["id"] for vulnerability in package["vulns"])
        print(f"{package['name']} {package['version']}: {ids}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
