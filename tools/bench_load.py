#!/usr/bin/env python3
"""load-test beside bare hyper and wrk: processor time a request, with the server and the generator on a
core each, in turn; then what it says of a server that stands still, and the memory of 10,000 users.

usage: bench_load.py FOLDER_WITH_BINARIES [SECONDS]
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

folder = pathlib.Path(sys.argv[1]).resolve()
seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
PERSONA = """
[[personas]]
name = "eager"
think = "0s"
""" + "".join(f"""
[[personas.tasks]]
name = "{name}"
weight = 1
steps = [{{ get = "{path}", expect = {{ json = [{{ path = "$" }}] }} }}]
""" for name, path in [("signals", "/api/v1/signals"), ("quote", "/api/v1/market-data/SPY"), ("performance", "/api/v1/performance"), ("root", "/")])
IDLE = PERSONA.replace('"0s"', '{ min = "1s", max = "3s" }')


def pinned(core):
    return ["taskset", "-c", str(core)] if shutil.which("taskset") else []


def server(*arguments):
    """The plain server on core 0: its process and its URL."""
    process = subprocess.Popen([*pinned(0), folder / "examples/plain_server", *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def measured(command, codes=(0,)):
    """One finished process on core 1: its output, CPU seconds, peak MiB."""
    process = subprocess.Popen([*pinned(1), *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in codes:
        sys.exit(f"error: {command} ended with {code}: {process.stderr.read()}")
    return out, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def loaded(url, *arguments, codes=(0, 1)):
    out, cpu, peak = measured([folder / "load-test", url, *arguments, "--output", "json"], codes)
    return json.loads(out)["details"], cpu, peak


with tempfile.TemporaryDirectory() as name:
    eager, idle = pathlib.Path(name, "eager.toml"), pathlib.Path(name, "idle.toml")
    eager.write_text(PERSONA)
    idle.write_text(IDLE)
    print(f"CPU a request, 100 connections, {seconds} s each, in turn\n\n| | requests | CPU us a request | times bare hyper |\n|---|---|---|---|")
    rows = []
    for who in ("bare hyper", "load-test", "wrk"):
        process, url = server(seconds + 30)
        try:
            if who == "bare hyper":
                out, _, _ = measured([folder / "examples/bare_hyper", url, 100, seconds])
                words = out.replace(",", " ").split()
                numbers = [float(word) for word in words if word.replace(".", "", 1).isdigit()]
                requests, micros = numbers[0], numbers[1]
            elif who == "load-test":
                details, cpu, _ = loaded(url, "--users", "100", "--ramp", "0s", "--duration", f"{seconds}s", "--personas", eager, "--max-rate", "1000000", codes=(0, 1, 3))
                requests = details["total"]["requests"]
                micros = cpu / requests * 1e6
            elif shutil.which("wrk"):
                out, cpu, _ = measured(["wrk", "-t1", "-c100", f"-d{seconds}s", url + "/api/v1/signals"])
                requests = int(next(line for line in out.splitlines() if "requests in" in line).split()[0])
                micros = cpu / requests * 1e6
            else:
                print("| wrk | not installed | | |")
                continue
        finally:
            process.kill()
            process.wait()
        rows.append((who, requests, micros))
        print(f"| {who} | {requests:.0f} | {micros:.1f} | {micros / rows[0][2]:.2f} |")

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
