#!/usr/bin/env python3
"""large_report.py [MIB] [FILE]: writes a Trivy report of that size and measures who reads it how fast.

The rows are made after those of real reports: a description of some hundred characters, references, vendor severities, CVSS vectors. Every row
is another vulnerability, so nothing is saved by repetition. Beside vuln-gate (whole verdict, report thrown away) run `jq` and Python, where
they are there. Peak memory is the child's own, as the kernel counts it.
"""
import json, os, random, resource, shutil, subprocess, sys, tempfile, time

WORDS = "buffer overflow in the parser allows remote attackers to execute arbitrary code via a crafted file that leads to a heap use after free".split()


def vulnerability(random, number):
    year = 2015 + number % 10
    cve = f"CVE-{year}-{10000 + number}"
    package = f"lib{random.choice(WORDS)}{number % 997}"
    text = " ".join(random.choice(WORDS) for _ in range(random.randint(40, 160)))
    severity = random.choice(["LOW", "LOW", "MEDIUM", "MEDIUM", "MEDIUM", "HIGH", "CRITICAL"])
    return {
        "VulnerabilityID": cve, "PkgID": f"{package}@1.{number % 50}.2-3", "PkgName": package,
        "PkgIdentifier": {"PURL": f"pkg:deb/debian/{package}@1.{number % 50}.2-3?arch=amd64&distro=debian-12.5", "UID": f"{random.getrandbits(64):016x}"},
        "InstalledVersion": f"1.{number % 50}.2-3", "FixedVersion": f"1.{number % 50}.2-4", "Status": "fixed",
        "Layer": {"Digest": f"sha256:{random.getrandbits(256):064x}", "DiffID": f"sha256:{random.getrandbits(256):064x}"},
        "SeveritySource": "nvd", "PrimaryURL": f"https://avd.aquasec.com/nvd/{cve.lower()}",
        "DataSource": {"ID": "debian", "Name": "Debian Security Tracker", "URL": "https://salsa.debian.org/security-tracker-team/security-tracker"},
        "Title": f"{package}: {text[:60]}", "Description": text.capitalize() + ".\n\nSee \"the advisory\".", "Severity": severity, "CweIDs": ["CWE-787"],
        "VendorSeverity": {"debian": 1, "nvd": 3, "redhat": 2, "ubuntu": 2},
        "CVSS": {"nvd": {"V2Vector": "AV:N/AC:M/Au:N/C:P/I:P/A:P", "V3Vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", "V2Score": 6.8, "V3Score": 8.8},
                 "redhat": {"V3Vector": "CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H", "V3Score": 5.5}},
        "References": [f"https://example.org/{random.choice(WORDS)}/{random.getrandbits(40):x}" for _ in range(random.randint(4, 14))],
        "PublishedDate": f"{year}-05-16T20:29:00.32Z", "LastModifiedDate": f"{year}-06-16T20:29:00.32Z",
    }


def write(path, size):
    source = random.Random(7)
    head = {"SchemaVersion": 2, "CreatedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "ArtifactName": "registry.example/market:2.1.0", "ArtifactType": "container_image",
            "Metadata": {"OS": {"Family": "debian", "Name": "12.5"}}}
    with open(path, "w") as out:
        out.write(json.dumps(head, indent=2)[:-2] + ',\n  "Results": [\n    {\n      "Target": "market (debian 12.5)",\n      "Class": "os-pkgs",\n      "Type": "debian",\n      "Vulnerabilities": [\n')
        number, written = 0, 0
        while written < size:
            row = json.dumps(vulnerability(source, number), indent=2).replace("\n", "\n        ")
            text = ("" if number == 0 else ",\n") + "        " + row
            out.write(text)
            written += len(text)
            number += 1
        out.write("\n      ]\n    }\n  ]\n}\n")
    return number


def measure(name, line, size, rounds=3):
    best, peak = None, 0
    for _ in range(rounds):
        began = time.perf_counter()
        pid = os.posix_spawnp(line[0], line, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
        _, status, used = os.wait4(pid, 0)
        took = time.perf_counter() - began
        best = took if best is None else min(best, took)
        peak = max(peak, used.ru_maxrss)
    print(f"{name:12} {size / best / 1e6:7.0f} MB/s {peak / 1024:7.0f} MiB  exit {os.waitstatus_to_exitcode(status)}  ({best:.2f} s)")


def main():
    size = int(float(sys.argv[1]) * 2**20) if len(sys.argv) > 1 else 100 * 10**6
    tool = os.environ.get("VULN_GATE", "target/bench-fast/vuln-gate")
    with tempfile.TemporaryDirectory() as folder:
        path = sys.argv[2] if len(sys.argv) > 2 else os.path.join(folder, "trivy.json")
        rows = write(path, size)
        size = os.path.getsize(path)
        print(f"{size / 1e6:.0f} MB, {rows} rows")
        measure("vuln-gate", [tool, path, "--output", "json"], size)
        measure("validate", [tool, "validate", path], size)
        if shutil.which("jq"):
            measure("jq", ["jq", "[.Results[].Vulnerabilities[]? | .Severity] | group_by(.) | map({(.[0]): length})", path], size, 1)
        code = "import json,sys,collections; print(collections.Counter(v['Severity'] for r in json.load(open(sys.argv[1]))['Results'] for v in r['Vulnerabilities']))"
        measure("python", [sys.executable, "-c", code, path], size, 1)


main()
