#!/usr/bin/env python3
"""large_report.py [MIB]: how fast, and in how much memory, vuln-gate judges a Trivy report of that size (100 MB).

Two reports are written, after those of real scans (indented; descriptions of some hundred characters, references, the
severities of vendors, CVSS vectors):

- "distinct": every row is another vulnerability of one image, so that nothing is saved by repetition;
- "repeated": rows of 400 vulnerabilities in 300 lock files, as the report on a monorepo or a cluster has them.

Measured are the whole verdict for people and as JSON, `validate` (reading only), and beside them what others need for
the same file, where they are there: `typed_floor` (examples/typed_floor.rs: rows read one by one into three members,
nothing kept), `jq` and Python, which count rows by severity. Each runs ROUNDS times with its output thrown away, and
the best counts; memory is the child's own peak, as the kernel counts it. "times jq" compares processor time, which
others on the machine change less than the clock's.

VULN_GATE names the binary; the example is looked for beside it.
"""
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import time

ROUNDS = 3
REPEATED, TARGETS = 400, 300
WORDS = (
    "buffer overflow in the parser allows remote attackers to execute arbitrary code via a crafted file that leads to "
    "a heap use after free"
).split()
VECTORS = [
    f"CVSS:3.1/AV:{av}/AC:{ac}/PR:N/UI:{ui}/S:U/C:{c}/I:{c}/A:H"
    for av in "NL"
    for ac in "LH"
    for ui in "NR"
    for c in "NLH"
]
BY_SEVERITY = "[.Results[].Vulnerabilities[]? | .Severity] | group_by(.) | map({(.[0]): length})"
IN_PYTHON = """
import collections, json, sys
report = json.load(open(sys.argv[1]))
print(collections.Counter(row["Severity"] for one in report["Results"] for row in one["Vulnerabilities"]))
"""


def vulnerability(source, number):
    year = 2015 + number % 10
    cve = f"CVE-{year}-{10000 + number}"
    package, version = f"lib{source.choice(WORDS)}{number % 997}", f"1.{number % 50}.2"
    text = " ".join(source.choice(WORDS) for _ in range(source.randint(40, 160)))
    layer = {key: f"sha256:{source.getrandbits(256):064x}" for key in ("Digest", "DiffID")}
    references = [
        f"https://example.org/{source.choice(WORDS)}/{source.getrandbits(40):x}" for _ in range(source.randint(4, 14))
    ]
    return {
        "VulnerabilityID": cve,
        "PkgID": f"{package}@{version}-3",
        "PkgName": package,
        "PkgIdentifier": {
            "PURL": f"pkg:deb/debian/{package}@{version}-3?arch=amd64&distro=debian-12.5",
            "UID": f"{source.getrandbits(64):016x}",
        },
        "InstalledVersion": f"{version}-3",
        "FixedVersion": f"{version}-4",
        "Status": "fixed",
        "Layer": layer,
        "SeveritySource": "nvd",
        "PrimaryURL": f"https://avd.aquasec.com/nvd/{cve.lower()}",
        "DataSource": {
            "ID": "debian",
            "Name": "Debian Security Tracker",
            "URL": "https://salsa.debian.org/security-tracker-team/security-tracker",
        },
        "Title": f"{package}: {text[:60]}",
        "Description": text.capitalize() + '.\n\nSee "the advisory".',
        "Severity": source.choice(["LOW", "LOW", "MEDIUM", "MEDIUM", "MEDIUM", "HIGH", "CRITICAL"]),
        "CweIDs": ["CWE-787"],
        "VendorSeverity": {"debian": 1, "nvd": source.randint(1, 4), "redhat": source.randint(1, 3), "ubuntu": 2},
        "CVSS": {
            "nvd": {
                "V2Vector": "AV:N/AC:M/Au:N/C:P/I:P/A:P",
                "V3Vector": source.choice(VECTORS),
                "V2Score": 6.8,
            },
            "redhat": {"V3Vector": source.choice(VECTORS)},
        },
        "References": references,
        "PublishedDate": f"{year}-{1 + number % 12:02}-{1 + number % 28:02}T20:29:00.32Z",
        "LastModifiedDate": f"{year}-12-16T20:29:00.32Z",
    }


def rows_of(shape, source, size):
    """Names of targets, each with its rows as text, one after the other, until there are so many bytes."""

    def written(number):
        return json.dumps(vulnerability(source, number), indent=2).replace("\n", "\n        ")

    made = 0

    def until(end, row):
        nonlocal made
        while made < end:
            text = row()
            made += len(text)
            yield text

    if shape == "distinct":
        numbers = itertools.count()
        yield "market (debian 12.5)", until(size, lambda: written(next(numbers)))
        return
    known = [written(number) for number in range(REPEATED)]
    for target in range(TARGETS):
        end = size * (target + 1) / TARGETS
        yield f"services/{target}/market.deps.json", until(end, lambda: source.choice(known))


def write(path, shape, size):
    source = random.Random(7)
    head = {
        "SchemaVersion": 2,
        "CreatedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "ArtifactName": "registry.example/market:2.1.0",
        "ArtifactType": "container_image",
        "Metadata": {"OS": {"Family": "debian", "Name": "12.5"}},
    }
    count = 0
    with open(path, "w") as out:
        out.write(json.dumps(head, indent=2)[:-2] + ',\n  "Results": [')
        for number, (target, rows) in enumerate(rows_of(shape, source, size)):
            named = f'"Target": {json.dumps(target)},\n      "Class": "os-pkgs",\n      "Type": "debian"'
            out.write(("," if number else "") + f'\n    {{\n      {named},\n      "Vulnerabilities": [')
            for at, row in enumerate(rows):
                out.write(("," if at else "") + "\n        " + row)
                count += 1
            out.write("\n      ]\n    }")
        out.write("\n  ]\n}\n")
    return count


def run(line):
    """Seconds by the clock, seconds of the processor, peak in MiB, exit code."""
    away = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    best = None
    for _ in range(ROUNDS):
        began = time.perf_counter()
        pid = os.posix_spawnp(line[0], line, os.environ, file_actions=away)
        _, status, used = os.wait4(pid, 0)
        took = time.perf_counter() - began, used.ru_utime + used.ru_stime
        peak = used.ru_maxrss / 1024
        if best is None:
            best = (*took, peak, os.waitstatus_to_exitcode(status))
        else:
            best = (min(best[0], took[0]), min(best[1], took[1]), max(best[2], peak), best[3])
    return best


def measure(path, lines):
    size = os.path.getsize(path) / 1e6
    results = {name: run(line) for name, line in lines.items()}
    jq = results.get("jq")
    print(f"{'':24} {'MB/s':>6} {'of CPU':>7} {'peak MiB':>9} {'times jq':>9}  exit")
    for name, (wall, cpu, peak, code) in results.items():
        times = f"{jq[1] / cpu:9.1f}" if jq else " " * 9
        print(f"{name:24} {size / wall:6.0f} {size / cpu:7.0f} {peak:9.0f} {times}  {code}")


def main():
    size = int(float(sys.argv[1]) * 2**20) if len(sys.argv) > 1 else 100 * 10**6
    tool = os.environ.get("VULN_GATE", "target/release/vuln-gate")
    floor = os.path.join(os.path.dirname(tool), "examples", "typed_floor")
    for shape in "distinct", "repeated":
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "trivy.json")
            rows = write(path, shape, size)
            print(f"\n{shape}: {os.path.getsize(path) / 1e6:.0f} MB, {rows} rows")
            lines = {
                "vuln-gate": [tool, path],
                "vuln-gate, JSON": [tool, path, "--output", "json"],
                "vuln-gate validate": [tool, "validate", path],
                "typed_floor": [floor, path],
                "jq": ["jq", BY_SEVERITY, path],
                "python": [sys.executable, "-c", IN_PYTHON, path],
            }
            there = {name: line for name, line in lines.items() if shutil.which(line[0])}
            for name in lines.keys() - there.keys():
                print(f"{name} is not there and was left out")
            measure(path, there)


main()
