#!/usr/bin/env python3
"""smoke-test beside its peers: 14 requests with status, JSON and schema assertions against a service
that answers after 50 ms. Whole processes, in turn, medians; CPU and memory by the kernel's own account.

usage: bench_smoke.py FOLDER_WITH_BINARIES [RUNS]
"""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

folder = pathlib.Path(sys.argv[1]).resolve()
runs = int(sys.argv[2]) if len(sys.argv) > 2 else 21
PATHS = [
    "/", "/api/v1/health", "/api/v1/signals", "/api/v1/market-data/SPY", "/api/v1/market-data/AAPL",
    "/api/v1/performance", "/api/v1/market/opportunities", "/api/v1/signals/SPY/insights",
    "/api/v1/signals/quality-report", "/api/v1/monitoring/performance", "/api/v1/monitoring/active-signals",
    "/api/v1/monitoring/recommendations", "/api/v1/pipeline/stats", "/api/v1/market-data/MSFT",
]


def measured(command):
    """One finished process: wall and CPU in milliseconds, peak memory in MiB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = (time.perf_counter() - began) * 1e3
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"error: {command} ended with {process.returncode}: nothing is measured of a run that fails")
    return wall, (usage.ru_utime + usage.ru_stime) * 1e3, usage.ru_maxrss / 1024


def started(tmp):
    ready = tmp / "sim.env"
    fault = '[{"kind": "delay", "millis": 50}]'
    sim = subprocess.Popen([folder / "gs-sim", "--ready-file", ready, "--exit-after", "600s"], stdout=subprocess.DEVNULL)
    while not ready.exists():
        time.sleep(0.01)
    urls = dict(line.split("=", 1) for line in ready.read_text().split())
    subprocess.run([folder / "gs-sim", "fault", "--control", urls["control"], fault], check=True)
    return sim, urls["url"]


with tempfile.TemporaryDirectory() as name:
    tmp = pathlib.Path(name)
    sim, url = started(tmp)
    try:
        suite = tmp / "suite.toml"
        suite.write_text("".join(
            f'[[checks]]\nid = "c{i}"\nget = "{path}"\n'
            f'expect = {{ status = 200, schema = {{ type = ["object", "array"], minProperties = 1, minItems = 1 }} }}\n'
            for i, path in enumerate(PATHS)))
        script = tmp / "script.sh"
        script.write_text("set -e\n" + "".join(
            f'code=$(curl -s -o "{tmp}/body" -w "%{{http_code}}" "{url}{path}"); [ "$code" = 200 ]\n' for path in PATHS))
        commands = {"smoke-test": [folder / "smoke-test", url, "--suite", suite, "-q"]}
        if shutil.which("curl"):
            commands["bash with curl"] = ["bash", script]
        if shutil.which("hurl"):
            hurl = tmp / "suite.hurl"
            hurl.write_text("".join(f"GET {url}{path}\nHTTP 200\n[Asserts]\njsonpath \"$\" exists\n\n" for path in PATHS))
            commands["hurl"] = ["hurl", "--test", hurl]
        figures = {name: [] for name in commands}
        for command in commands.values():
            measured(command)
        for _ in range(runs):
            for name, command in commands.items():
                figures[name].append(measured(command))
        start = [measured([folder / "smoke-test", "--version"])[0] for _ in range(runs)]
    finally:
        sim.terminate()
        sim.wait()

print(f"{len(PATHS)} requests to a service that answers after 50 ms, median of {runs} runs in turn\n")
print("| | wall ms | CPU ms | peak MiB | wall, times smoke-test | CPU, times smoke-test |\n|---|---|---|---|---|---|")
base = [statistics.median(column) for column in zip(*figures["smoke-test"])]
for name, rows in figures.items():
    wall, cpu, peak = (statistics.median(column) for column in zip(*rows))
    print(f"| {name} | {wall:.1f} | {cpu:.1f} | {peak:.1f} | {wall / base[0]:.1f} | {cpu / max(base[1], 0.1):.1f} |")
print(f"\nstart to --version: {statistics.median(start):.1f} ms")
