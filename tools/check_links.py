#!/usr/bin/env python3
"""Every relative link in the Markdown pages leads to a file that exists, and to a heading in it."""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
listed = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=root, capture_output=True, text=True, check=True,
).stdout.split()
problems = []


def anchors(path):
    """The anchors that GitHub makes of the headings."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", path.read_text(encoding="utf8"), re.M):
        text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", text).replace(" ", "-"))
    return found


for name in listed:
    page = root / name
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        if not goal.exists():
            problems.append(f"{name}: `{target}` leads nowhere")
        elif anchor and goal.suffix == ".md" and anchor not in anchors(goal):
            problems.append(f"{name}: `{target}`: no such heading")

print("\n".join(problems) or f"{len(listed)} pages, all links lead somewhere")
sys.exit(1 if problems or not listed else 0)
