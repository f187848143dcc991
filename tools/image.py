#!/usr/bin/env python3
"""An image of one program and the libraries that it is linked with, as a tar that `ctr images import` and
`docker load` read.

    image.py NAME:TAG PROGRAM [WORD...] > image.tar

It needs neither a registry nor a base image. The program lies in /usr/local/bin, which is in PATH; the words are what
it is given where a pod says nothing else. Busybox gets the names of its commands too.
"""
import hashlib
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile


def libraries(program):
    """What `ldd` says that the program loads; nothing for a static one."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", listed)))


def add(tar, name, content, mode=0o755):
    member = tarfile.TarInfo(name.lstrip("/"))
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def layer(program):
    program = pathlib.Path(program)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder, mode in [("tmp", 0o1777), ("etc", 0o755), ("proc", 0o755), ("sys", 0o755), ("dev", 0o755)]:
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, mode
            tar.addfile(member)
        add(tar, "etc/passwd", b"root:x:0:0::/:/bin/sh\nnonroot:x:65532:65532::/tmp:/bin/sh\n", 0o644)
        add(tar, f"usr/local/bin/{program.name}", program.read_bytes())
        for library in libraries(program):
            add(tar, library, pathlib.Path(library).read_bytes())
        if program.name == "busybox":
            for command in ["sh", "tar", "cat", "ls", "sleep", "id", "wget", "rm", "chmod", "chown"]:
                member = tarfile.TarInfo(f"bin/{command}")
                member.type, member.linkname = tarfile.SYMTYPE, "/usr/local/bin/busybox"
                tar.addfile(member)
    return out.getvalue()


def main(name, program, *words):
    content = layer(program)
    command = [f"/usr/local/bin/{os.path.basename(program)}", *words]
    config = json.dumps({
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(content).hexdigest()]},
    }).encode()
    digest = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{digest}.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        add(tar, f"{digest}.json", config, 0o644)
        add(tar, "layer.tar", content, 0o644)
        add(tar, "manifest.json", json.dumps(manifest).encode(), 0o644)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
