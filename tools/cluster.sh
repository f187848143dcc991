#!/usr/bin/env bash
# A Kubernetes cluster of one node on a machine that reaches no registry of images: for tools/check_job.py, and for
# whoever wants to see the manifests at work. Debian, root, and the Go toolchain; about ten minutes of building, once.
# usage: cluster.sh build                 Kubernetes and etcd, from pinned modules
#        cluster.sh up                    start it; says where kubectl finds it
#        cluster.sh images FOLDER         make images of load-test and gs-sim in FOLDER, and of Debian's busybox
#        cluster.sh kubectl WORDS...      kubectl in its network, as its administrator
#        cluster.sh run COMMAND...        a command in its network, with its kubectl in PATH
#        cluster.sh down                  end all of it and remove its state
# It lives in a network namespace of its own without a way out: nothing in it reaches another machine, and its rules of
# the firewall are not this machine's. Binaries lie in $CLUSTER_BIN (.tools/kubernetes); the rest in /run/gs-cluster and
# /var/lib/gs-cluster, where `volume` is a folder for volumes.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
bin=${CLUSTER_BIN:-$root/.tools/kubernetes}
run=/run/gs-cluster
data=/var/lib/gs-cluster
node=10.99.0.1
version=$(sed -n 's|^\tk8s.io/kubernetes v\([0-9.]*\).*|\1|p' "$root/tools/go/kubernetes/go.mod")
socket=$run/containerd/containerd.sock

inside() { nsenter --net=/run/netns/gs-cluster "$@"; }

# service NAME COMMAND...: starts it in the cluster's network, with a log and its process id.
service() {
  local name=$1
  shift
  nsenter --net=/run/netns/gs-cluster setsid "$@" >"$run/log/$name.log" 2>&1 </dev/null &
  echo $! >"$run/pid/$name"
}

# until_true WHAT COMMAND...: for a minute at most.
until_true() {
  local what=$1
  shift
  for _ in $(seq 240); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.25
  done
  echo "error: no $what within a minute: see $run/log" >&2
  exit 3
}

packages() {
  local name missing=()
  for name in containerd runc containernetworking-plugins iptables busybox-static openssl; do
    dpkg -s "$name" >/dev/null 2>&1 || missing+=("$name")
  done
  [ "${#missing[@]}" = 0 ] && return
  echo "installing the Debian packages ${missing[*]}" >&2
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

build() {
  local of=k8s.io/component-base/version minor=${version#*.}
  minor=${minor%%.*}
  mkdir -p "$bin"
  # Without these words the parts take themselves for v0.0.0 and refuse each other.
  local flags="-s -w -X $of.gitVersion=v$version -X $of.gitMajor=1 -X $of.gitMinor=$minor -X $of.gitTreeState=clean"
  (cd "$root/tools/go/kubernetes" && CGO_ENABLED=0 go build -trimpath -o "$bin/" \
    -ldflags "$flags -X $of.buildDate=1970-01-01T00:00:00Z" \
    go.etcd.io/etcd/server/v3 k8s.io/kubernetes/cmd/kube{-apiserver,-controller-manager,-proxy,-scheduler,ctl,let})
  mv "$bin/server" "$bin/etcd"
}

network() {
  ip netns add gs-cluster
  inside ip link set lo up
  # The node needs an address that is not the loopback's, and the addresses of Services a way to the firewall's rules.
  inside ip link add node0 type bridge
  inside ip address add $node/32 dev node0
  inside ip link set node0 up
  inside ip route add default dev node0
  inside sysctl -q -w net.ipv4.ip_forward=1
}

settings() {
  local token
  token=$(openssl rand -hex 16)
  mkdir -p $run/{log,pid,pki,cni,containerd} $data/volume
  chmod 700 $run
  [ -f $run/pki/sa.key ] || openssl genrsa -out $run/pki/sa.key 2048 2>/dev/null
  echo "$token,admin,admin,system:masters" >$run/pki/tokens.csv
  cat >$run/kubeconfig <<END
apiVersion: v1
kind: Config
clusters: [{name: gs-cluster, cluster: {server: "https://$node:6443", certificate-authority: $run/pki/apiserver.crt}}]
users: [{name: admin, user: {token: $token}}]
contexts: [{name: gs-cluster, context: {cluster: gs-cluster, user: admin}}]
current-context: gs-cluster
END
  cat >$run/containerd/config.toml <<END
version = 2
root = "$data/containerd"
state = "$run/containerd/state"
[grpc]
address = "$socket"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "gs-cluster/busybox:1"
# Where root may not lower the score by which the kernel picks whom to kill, no pod would start without this.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$run/cni"
END
  # A pod is joined to its node by a pair of its own, so all that it sends passes the rules of Services.
  cat >$run/cni/10-pods.conflist <<END
{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipMasq": false, "ipam":
 {"type": "host-local", "subnet": "10.98.0.0/24", "dataDir": "$run/addresses", "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
  cat >$run/kubelet.yaml <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$socket
cgroupDriver: cgroupfs
failSwapOn: false
failCgroupV1: false
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
evictionHard: {memory.available: 50Mi, nodefs.available: 1Gi, imagefs.available: 1Gi, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100
END
}

up() {
  packages
  [ -x "$bin/kubelet" ] || build
  [ ! -e /run/netns/gs-cluster ] || { echo 'error: it is up already: cluster.sh down' >&2; exit 2; }
  settings
  network
  local config=(--kubeconfig $run/kubeconfig)
  service containerd containerd --config $run/containerd/config.toml
  service etcd "$bin/etcd" --data-dir $data/etcd --unsafe-no-fsync \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
  service kube-apiserver "$bin/kube-apiserver" --etcd-servers http://127.0.0.1:2379 --cert-dir $run/pki \
    --advertise-address $node --service-cluster-ip-range 10.97.0.0/24 --authorization-mode RBAC \
    --kubelet-preferred-address-types InternalIP \
    --token-auth-file $run/pki/tokens.csv --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file $run/pki/sa.key --service-account-signing-key-file $run/pki/sa.key
  until_true 'API server' kubectl_ get --raw /readyz
  service kube-controller-manager "$bin/kube-controller-manager" "${config[@]}" --leader-elect=false \
    --service-account-private-key-file $run/pki/sa.key --root-ca-file $run/pki/apiserver.crt
  service kube-scheduler "$bin/kube-scheduler" "${config[@]}" --leader-elect=false
  service kube-proxy "$bin/kube-proxy" "${config[@]}" --hostname-override node --conntrack-max-per-core 0 --proxy-mode iptables
  service kubelet "$bin/kubelet" "${config[@]}" --config $run/kubelet.yaml --root-dir $data/kubelet \
    --hostname-override node --node-ip $node
  until_true containerd ctr --address $socket version
  image gs-cluster/busybox:1 /bin/busybox sleep 2147483647
  until_true 'ready node' kubectl_ wait --for=condition=Ready node/node --timeout=1s
  until_true 'service account' kubectl_ get serviceaccount default
  kubectl_ version
  echo "up: $0 kubectl get pods"
}

kubectl_() { KUBECONFIG=$run/kubeconfig inside "$bin/kubectl" "$@"; }

# image NAME BINARY WORDS...: an image of a program and the libraries that it is linked with.
image() {
  local name=$1 program=$2
  shift 2
  python3 "$root/tools/image.py" "$name" "$program" "$@" | ctr --address $socket --namespace k8s.io images import - >/dev/null
}

images() {
  image registry.example/goldensignals/load-test:0.1.0 "$1/load-test"
  image registry.example/goldensignals/gs-sim:0.1.0 "$1/gs-sim"
  ctr --address $socket --namespace k8s.io images list -q | grep -v sha256
}

down() {
  if [ -e $run/kubeconfig ]; then
    kubectl_ delete jobs,deployments,pods --all --all-namespaces --grace-period=0 --force --request-timeout=20s >/dev/null 2>&1 || :
  fi
  local name pid
  for name in kubelet kube-proxy kube-scheduler kube-controller-manager; do stop "$name"; done
  for pid in $(ctr --address $socket --namespace k8s.io tasks list -q 2>/dev/null); do
    ctr --address $socket --namespace k8s.io tasks delete --force "$pid" >/dev/null 2>&1 || :
  done
  for name in kube-apiserver etcd containerd; do stop "$name"; done
  # What a pod leaves behind: its mounts, its process that watches it, its groups.
  for pid in $(pgrep -f -- "containerd-shim.* -address $socket" || :); do kill -9 "$pid" 2>/dev/null || :; done
  awk -v run=$run -v data=$data '$2 ~ "^" run "/" || $2 ~ "^" data "/" {print $2}' /proc/mounts | sort -r | while read -r mount; do umount -l "$mount"; done
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} \; 2>/dev/null || :
  ip netns delete gs-cluster 2>/dev/null || :
  rm -rf $run $data
}

stop() {
  local pid
  pid=$(cat "$run/pid/$1" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 40); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.25; done
  kill -9 "$pid" 2>/dev/null || :
}

verb=${1:-}
[ $# = 0 ] || shift
case $verb in
  build | up | down) "$verb" ;;
  images) images "$1" ;;
  kubectl) kubectl_ "$@" ;;
  run) KUBECONFIG=$run/kubeconfig PATH=$bin:$PATH inside "$@" ;;
  *) sed -n '4,9s/^# *//p' "$0" >&2; exit 2 ;;
esac
