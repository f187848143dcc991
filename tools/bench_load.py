#!/usr/bin/env python3
"""load-test beside bare hyper, wrk, k6 and Locust: processor time a request, with the server and the generator
on a core each, in turn; then what it says of a server that stands still, and the memory of 10,000 users. k6 and
Locust are those that `make peers` puts below .tools/, else those on PATH; what is not there is left out and said.

usage: bench_load.py FOLDER_WITH_BINARIES [SECONDS [ROUNDS]] [--server-sleeps]

The server is kept awake while processor time is measured: to wake a process that sleeps on another core costs the
sender several microseconds on a virtual machine, and the slower a generator is, the more often it pays them. With
--server-sleeps it may sleep.
"""
import csv
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

words = [word for word in sys.argv[1:] if word != "--server-sleeps"]
awake = [] if "--server-sleeps" in sys.argv else ["awake"]
folder = pathlib.Path(words[0]).resolve()
seconds = int(words[1]) if len(words) > 1 else 10
rounds = int(words[2]) if len(words) > 2 else 3
tools = pathlib.Path(__file__).resolve().parent.parent / ".tools"
PATHS = {"signals": "/api/v1/signals", "quote": "/api/v1/market-data/SPY", "performance": "/api/v1/performance", "root": "/"}
# The same for load-test, k6 and Locust: no pause, one of four paths by chance, and the body has to be JSON.
PERSONA = """
[[personas]]
name = "eager"
think = "0s"
""" + "".join(f"""
[[personas.tasks]]
name = "{name}"
weight = 1
steps = [{{ get = "{path}", expect = {{ json = [{{ path = "$" }}] }} }}]
""" for name, path in PATHS.items())
K6 = f"""
import http from 'k6/http';
import {{ check }} from 'k6';
const paths = {json.dumps(list(PATHS.values()))};
export default function () {{
  const answer = http.get(__ENV.TARGET + paths[Math.floor(Math.random() * paths.length)]);
  check(answer, {{ 'is JSON': (answer) => answer.json() !== null }});
}}
"""
# FastHttpUser is Locust's cheaper client.
LOCUST = """
from locust import FastHttpUser, constant, task

class Eager(FastHttpUser):
    wait_time = constant(0)

    def ask(self, path):
        with self.client.get(path, catch_response=True) as answer:
            answer.json()
""" + "".join(f"""
    @task
    def {name}(self):
        self.ask("{path}")
""" for name, path in PATHS.items())
IDLE = PERSONA.replace('"0s"', '{ min = "1s", max = "3s" }')


def installed(name, folder):
    """The peer below .tools/ or on PATH."""
    return shutil.which(name, path=os.pathsep.join([str(tools / folder), os.environ.get("PATH", "")]))


def pinned(core):
    return ["taskset", "-c", str(core)] if shutil.which("taskset") else []


def server(*arguments):
    """The plain server on core 0: its process and its URL."""
    process = subprocess.Popen([*pinned(0), folder / "examples/plain_server", *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def measured(command, codes=(0,)):
    """One finished process on core 1, its start included: its output, CPU seconds, peak MiB."""
    # A file takes all that a peer says; a pipe that nobody reads would fill, and hold the peer up.
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([*pinned(1), *map(str, command)], stdout=subprocess.PIPE, stderr=said, text=True)
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code not in codes:
            said.seek(0)
            sys.exit(f"error: {command} ended with {code}: {said.read()}")
    return out, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def loaded(url, *arguments, codes=(0, 1)):
    out, cpu, peak = measured([folder / "load-test", url, *arguments, "--output", "json"], codes)
    report = json.loads(out)
    users = next((series["points"] for series in report["series"] if series["name"] == "users"), [])
    return {**report["details"], "all_there": users}, cpu, peak


def bare_hyper(url, _):
    out, _, _ = measured([folder / "examples/bare_hyper", url, 100, seconds])
    words = out.replace(",", " ").split()
    requests, micros, *_ = [float(word) for word in words if word.replace(".", "", 1).isdigit()]
    return requests, requests * micros / 1e6


def load_test(url, work):
    details, cpu, _ = loaded(url, "--users", "100", "--ramp", "0s", "--duration", f"{seconds}s", "--personas", work / "eager.toml", "--max-rate", "1000000", codes=(0, 1, 3))
    return details["total"]["requests"], details["total"]["failures"], cpu


def wrk(url, _):
    out, cpu, _ = measured(["wrk", "-t1", "-c100", f"-d{seconds}s", url + PATHS["signals"]])
    return int(next(line for line in out.splitlines() if "requests in" in line).split()[0]), cpu


def k6(url, work):
    script, summary = work / "eager.js", work / "k6.json"
    script.write_text(K6)
    _, cpu, _ = measured([installed("k6", "bin"), "run", "--quiet", "--no-usage-report", "--vus", 100, "--duration", f"{seconds}s", "--env", f"TARGET={url}", "--summary-export", summary, script])
    metrics = json.loads(summary.read_text())["metrics"]
    return metrics["http_reqs"]["count"], metrics["checks"]["fails"] + metrics["http_req_failed"]["passes"], cpu


def locust(url, work):
    script = work / "eager.py"
    script.write_text(LOCUST)
    _, cpu, _ = measured([installed("locust", "locust/bin"), "--headless", "--only-summary", "--loglevel", "ERROR", "--users", 100, "--spawn-rate", 100, "--run-time", f"{seconds}s", "--host", url, "--locustfile", script, "--csv", work / "locust"])
    with (work / "locust_stats.csv").open() as rows:
        total = next(row for row in csv.DictReader(rows) if row["Name"] == "Aggregated")
    return int(total["Request Count"]), int(total["Failure Count"]), cpu


with tempfile.TemporaryDirectory() as name:
    work = pathlib.Path(name)
    eager, idle = work / "eager.toml", work / "idle.toml"
    eager.write_text(PERSONA)
    idle.write_text(IDLE)
    print(f"CPU a request, 100 connections, {seconds} s each, in turn; the median of {rounds} rounds; the server {'never sleeps' if awake else 'may sleep'}\n")
    runners = [
        ("bare hyper", bare_hyper, True, ""),
        ("load-test", load_test, True, ""),
        ("wrk", wrk, shutil.which("wrk"), "the package wrk"),
        ("k6", k6, installed("k6", "bin"), "make peers"),
        ("Locust", locust, installed("locust", "locust/bin"), "make peers"),
    ]
    missing = [f"{who} is not installed and was left out: {hint}" for who, _, there, hint in runners if not there]
    cost, counted = {}, {}
    for _ in range(rounds):
        for who, run, there, _ in runners:
            if not there:
                continue
            process, url = server(*awake, seconds + 60)
            try:
                requests, *failures, cpu = run(url, work)
            finally:
                process.kill()
                process.wait()
            # What failed was not the same work.
            if not requests or any(failures):
                sys.exit(f"error: {who}: {requests:.0f} requests, failures {failures}")
            cost.setdefault(who, []).append(cpu / requests * 1e6)
            counted.setdefault(who, []).append(requests)
    median = {who: statistics.median(costs) for who, costs in cost.items()}
    print("| | requests | CPU us a request | times bare hyper | times load-test |\n|---|---|---|---|---|")
    for who, micros in median.items():
        ratios = [f"{micros / median[other]:.2f}" for other in ("bare hyper", "load-test")]
        print(f"| {who} | {statistics.median(counted[who]):.0f} | {micros:.1f} | {' | '.join(ratios)} |", flush=True)
    for sentence in missing:
        print(f"\nnote: {sentence}")

    print("\nA server that stands still for 2 s of 20, 400 requests/s over 10 connections; truth: p95 1.00 s, p99 1.80 s\n")
    process, url = server(60, 9, 11)
    try:
        details, _, _ = loaded(url, "--rate", "400", "--connections", "10", "--ramp", "0s", "--duration", "20s", "--personas", eager, codes=(0, 1, 3))
    finally:
        process.kill()
        process.wait()
    total = details["total"]
    for clock in ("response_ms", "service_ms"):
        print(f"- {clock}: p95 {total[clock]['p95'] / 1e3:.3f} s, p99 {total[clock]['p99'] / 1e3:.3f} s of {total['requests']} requests")

    print("\n10,000 users who think 1 to 3 s\n")
    process, url = server(90)
    try:
        details, cpu, peak = loaded(url, "--users", "10000", "--ramp", "10s", "--duration", "20s", "--personas", idle, "--max-rate", "1000000", codes=(0, 1, 3))
    finally:
        process.kill()
        process.wait()
    print(f"- {peak:.0f} MiB at most, {details['total']['requests']} requests, {cpu:.1f} s of CPU")
    # A point stands for the second around it, and tells the users at its end.
    there = [at + 0.5 for at, users in details["all_there"] if users and users >= 10_000]
    print(f"- all there {there[0] - 10:.0f} s after the ramp's end" if there else "- never all there")
