#!/usr/bin/env python3
"""deploy/load-test-job.yaml on a real cluster, as its header tells people to use it.

    check_job.py LOAD-TEST [--node-path FOLDER | --storage-class NAME] [--keep]

The current context of `kubectl` is used, and in it the namespace `gs-check-job`, which is made, held to the Pod Security
Standard "restricted", and removed. Only the placeholders of the manifest are changed, the duration, and the CPU that it
asks for. gs-sim is the target. What is held to be true:

- four pods run to their end, the Job is complete, and `merge` says pass;
- the requests that the merged report counts are those that gs-sim counted;
- a pod deleted in mid-run fails the Job, the wait of the header ends at once, and `merge` gives no verdict, also where
  the whole logs of the run before lie on the same volume;
- a target that does not answer is no verdict, and the pods say so.

LOAD-TEST is the binary on this machine that merges; the images are those of `cluster.sh images` where nothing is said.
"""
import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import time

root = pathlib.Path(__file__).resolve().parent.parent
NAMESPACE = "gs-check-job"
SHARDS = 4
RESTRICTED = """
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
"""
CONTAINER = "{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}"
problems = []


def hold(what, truth, found):
    print(f"{'ok' if truth else 'NOT OK'}: {what}" + ("" if truth else f"; found {found}"), flush=True)
    if not truth:
        problems.append(what)


def kubectl(*words, text=None, may_fail=False):
    done = subprocess.run(["kubectl", "--namespace", NAMESPACE, *words], input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0 and not may_fail:
        sys.exit(f"error: kubectl {' '.join(words)}: {done.stderr}")
    return done.stdout


def get(*words):
    return json.loads(kubectl("get", *words, "--output", "json"))


def changed(text, *pairs):
    """The manifest with other words; each has to be there, or the manifest is not the one that is checked."""
    for old, new in pairs:
        if old not in text:
            sys.exit(f"error: deploy/load-test-job.yaml has no {old!r}")
        text = text.replace(old, new)
    return text


class Check:
    def __init__(self, options, place):
        self.options, self.place = options, pathlib.Path(place)
        self.target, self.begins = "", 0.0

    def up(self):
        """The namespace, the volume, the target, and the pod by which the volume is read."""
        labels = "labels: {pod-security.kubernetes.io/enforce: restricted, pod-security.kubernetes.io/enforce-version: latest}"
        kubectl("apply", "-f", "-", text=f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}, {labels}}}\n")
        if self.options.node_path:
            nodes = [node["metadata"]["name"] for node in get("nodes")["items"]]
            if len(nodes) != 1:
                sys.exit("error: --node-path is for a cluster of one node; name a class with ReadWriteMany: --storage-class")
            kubectl("apply", "-f", "-", text=f"""
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {NAMESPACE}}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  claimRef: {{namespace: {NAMESPACE}, name: load-test-results}}
  local: {{path: {json.dumps(self.options.node_path)}}}
  nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{nodes[0]}]}}]}}]}}}}
""")
        kubectl("apply", "-f", "-", text=f"""
apiVersion: v1
kind: Pod
metadata: {{name: gs-sim}}
spec: {RESTRICTED}
  containers:
    - name: gs-sim
      image: {self.options.sim_image}
      command: [gs-sim, "--listen=0.0.0.0:8080", "--control=127.0.0.1:9090", --allow-remote]
      resources: {{requests: {{cpu: 100m}}}}
      securityContext: {CONTAINER}
""")
        kubectl("wait", "--for=condition=Ready", "--timeout=3m", "pod/gs-sim")
        self.target = get("pod/gs-sim")["status"]["podIP"]

    def start(self, port=8080):
        """Step 2 of the header, with the placeholders filled in."""
        self.begins = time.time() + self.options.ahead
        start_at = datetime.datetime.fromtimestamp(self.begins, datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        job = (root / "deploy" / "load-test-job.yaml").read_text()
        name = "" if self.options.node_path else self.options.storage_class
        classes = [("spec:\n  # All four", f"spec:\n  storageClassName: {json.dumps(name)}\n  # All four")]
        job = changed(
            job,
            ("registry.example/goldensignals/load-test:0.1.0", self.options.image),
            ('"http://goldensignals.staging.svc.cluster.local"', f'"http://{self.target}:{port}"'),
            ("--allow-host=goldensignals.staging.svc.cluster.local", f"--allow-host={self.target}"),
            ("--duration=5m", f"--duration={self.options.duration}"),
            ('cpu: "1"', f'cpu: "{self.options.cpu}"'),
            ("START_AT_PLACEHOLDER", start_at),
            *(classes if name is not None else []),
        )
        kubectl("apply", "-f", "-", text=job)
        return start_at

    @staticmethod
    def wait():
        """Step 3, word for word: where it does not end, this is an error."""
        kubectl("wait", "--for=jsonpath={.status.conditions[0].type}", "--timeout=25m", "job/load-test")
        status = get("job/load-test")["status"]
        return [condition["type"] for condition in status["conditions"]], status

    def merge(self, start_at):
        """Step 4: the logs come off the volume by the pod that mounts it, and are merged here."""
        results = changed((root / "deploy" / "load-test-results.yaml").read_text(), ("busybox:1.37", self.options.tar_image))
        kubectl("apply", "-f", "-", text=results)
        kubectl("wait", "--for=condition=Ready", "--timeout=2m", "pod/load-test-results")
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.place))
        logs = [folder / f"{start_at}-shard-{index}.hlog" for index in range(SHARDS)]
        for log in logs:
            kubectl("cp", f"load-test-results:/results/{log.name}", str(log), may_fail=True)
        kubectl("delete", "pod/load-test-results")
        report = folder / "merged.json"
        line = [self.options.load_test, "merge", *map(str, logs), "--output", f"json={report}", "--output", "human=/dev/null"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if not report.exists():
            sys.exit(f"error: {' '.join(line)}: {done.stderr}")
        return done.returncode, json.loads(report.read_text()), [log.exists() for log in logs]

    def served(self):
        return json.loads(kubectl("exec", "gs-sim", "--", "gs-sim", "served", "--control", "http://127.0.0.1:9090"))["total"]

    def whole(self):
        print("== four pods, and nothing goes wrong")
        start_at = self.start()
        conditions, status = self.wait()
        hold("the Job is complete", "Failed" not in conditions and status.get("succeeded") == SHARDS, status)
        code, report, logs = self.merge(start_at)
        hold("each shard wrote its log", all(logs), logs)
        hold("the merged verdict is a pass", (code, report["verdict"]) == (0, "pass"), f"{code}, {report['summary']}")
        total = report["details"].get("total", {"requests": None})
        served = self.served()
        hold(f"what was counted is what was served: {served}", total["requests"] == served, total["requests"])
        kubectl("delete", "job/load-test")

    def deleted(self):
        print("== a pod is deleted in mid-run")
        start_at = self.start()
        # Each says when it begins to wait; then the load goes on for some seconds.
        kubectl("wait", "--for=condition=Ready", "--timeout=2m", "pod", "-l", "job-name=load-test")
        time.sleep(max(0.0, self.begins - time.time()) + 5)
        kubectl("delete", "pod", "-l", "job-name=load-test,batch.kubernetes.io/job-completion-index=2")
        conditions, status = self.wait()
        hold("the Job fails by that index alone", status.get("failedIndexes") == "2" and not {"FailureTarget", "Failed"}.isdisjoint(conditions), status)
        code, report, _ = self.merge(start_at)
        hold("the merge gives no verdict", (code, report["verdict"]) == (3, "inconclusive"), f"{code}, {report['summary']}")
        hold("it names the shard", "shard 2 of 4" in report["summary"] or ": 2" in report["summary"], report["summary"])
        kubectl("delete", "job/load-test")

    def dead(self):
        print("== nobody listens, and the volume has the logs of the runs before")
        before = self.served()
        start_at = self.start(port=8081)
        _, status = self.wait()
        hold("every shard fails", status.get("failedIndexes") == f"0-{SHARDS - 1}", status)
        said = kubectl("logs", "-l", "job-name=load-test", "--prefix")
        hold("each says why", said.count("(target_unreachable)") == SHARDS, said)
        code, report, logs = self.merge(start_at)
        hold("there is no log to merge, and no verdict", code == 3 and not any(logs), f"{code}, {logs}, {report['summary']}")
        hold("no request was sent", self.served() == before, self.served() - before)
        kubectl("delete", "job/load-test")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("load_test", help="the binary that merges, on this machine")
    parser.add_argument("--image", default="registry.example/goldensignals/load-test:0.1.0", help="with load-test in it")
    parser.add_argument("--sim-image", default="registry.example/goldensignals/gs-sim:0.1.0", help="with gs-sim in it")
    parser.add_argument("--tar-image", default="gs-cluster/busybox:1", help="with sleep and tar in it")
    parser.add_argument("--storage-class", help="a class with ReadWriteMany; else the cluster's default")
    parser.add_argument("--node-path", help="instead of a class: a folder of the only node")
    parser.add_argument("--duration", default="15s", help="of the load")
    parser.add_argument("--ahead", type=int, default=20, help="seconds until all pods have to be there")
    parser.add_argument("--cpu", default="100m", help="what each pod asks for")
    parser.add_argument("--keep", action="store_true", help="leave the namespace as it is in the end")
    options = parser.parse_args()
    if kubectl("get", "namespace", NAMESPACE, "--ignore-not-found"):
        sys.exit(f"error: the namespace {NAMESPACE} is there already: kubectl delete namespace {NAMESPACE}")
    with tempfile.TemporaryDirectory() as place:
        check = Check(options, place)
        try:
            check.up()
            check.whole()
            check.deleted()
            check.dead()
        finally:
            if not options.keep:
                kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", may_fail=True)
                if options.node_path:
                    kubectl("delete", "persistentvolume", NAMESPACE, "--ignore-not-found", may_fail=True)
    if problems:
        sys.exit(f"{len(problems)} not as they should be")
    print("the Job does what its head says")


if __name__ == "__main__":
    main()
