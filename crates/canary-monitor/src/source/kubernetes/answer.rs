//! Answers of the Kubernetes API: pods, and what they use.

use serde::Deserialize;

use super::quantity;

/// A page of pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodPage {
    /// The pods.
    pub pods: Vec<PodFacts>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What the cluster knows of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodFacts {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Option<String>,
    /// Memory that its containers may use; absent where one of them has no limit.
    pub memory_limit_bytes: Option<f64>,
    /// The same of CPU, in cores.
    pub cpu_limit_cores: Option<f64>,
    /// When its youngest container started, in RFC 3339.
    pub started: Option<jiff::Timestamp>,
    /// Restarts by container, with whether the last end was for want of memory.
    pub restarts: Vec<(String, u64, bool)>,
}

/// What a pod uses.
#[derive(Clone, Debug, PartialEq)]
pub struct PodUsage {
    /// Its name.
    pub name: String,
    /// At the end of the stretch that was measured.
    pub at: jiff::Timestamp,
    /// CPU in cores, the mean over that stretch.
    pub cpu_cores: Option<f64>,
    /// Memory that cannot be taken back, at the end of it.
    pub memory_bytes: Option<f64>,
}

#[derive(Deserialize)]
struct List<T> {
    kind: String,
    #[serde(default)]
    metadata: ListMeta,
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    name: String,
}

#[derive(Deserialize)]
struct Pod {
    metadata: Meta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default)]
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    resources: Resources,
}

#[derive(Default, Deserialize)]
struct Resources {
    #[serde(default)]
    limits: Option<Amounts>,
}

#[derive(Default, Deserialize)]
struct Amounts {
    cpu: Option<String>,
    memory: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default, rename = "podIP")]
    address: Option<String>,
    #[serde(default)]
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    #[serde(default)]
    restart_count: u64,
    #[serde(default)]
    state: State,
    #[serde(default)]
    last_state: State,
}

#[derive(Default, Deserialize)]
struct State {
    #[serde(default)]
    running: Option<Running>,
    #[serde(default)]
    terminated: Option<Terminated>,
}

#[derive(Deserialize)]
struct Running {
    #[serde(default, rename = "startedAt")]
    started_at: Option<jiff::Timestamp>,
}

#[derive(Deserialize)]
struct Terminated {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Metrics {
    metadata: Meta,
    timestamp: jiff::Timestamp,
    #[serde(default)]
    containers: Vec<Used>,
}

#[derive(Deserialize)]
struct Used {
    #[serde(default)]
    usage: Amounts,
}

fn list<T: for<'de> Deserialize<'de>>(body: &[u8], kind: &str) -> Result<List<T>, String> {
    let list: List<T> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if list.kind != kind {
        return Err(format!("its kind is not {kind}"));
    }
    Ok(list)
}

/// The sum over containers; absent where one of them has no such amount.
fn sum(amounts: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let amounts: Option<Vec<f64>> = amounts.collect();
    amounts
        .filter(|amounts| !amounts.is_empty())
        .map(|amounts| amounts.iter().sum())
}

/// Reads a `PodList` of the core API.
///
/// # Errors
/// It is none.
pub fn read_pods(body: &[u8]) -> Result<PodPage, String> {
    let list: List<Pod> = list(body, "PodList")?;
    let pods = list.items.unwrap_or_default().into_iter().map(|pod| {
        let limit = |of: fn(&Amounts) -> Option<&String>| {
            sum(pod.spec.containers.iter().map(|container| {
                let limits = container.resources.limits.as_ref()?;
                quantity::read(of(limits)?)
            }))
        };
        let statuses = &pod.status.container_statuses;
        let started = statuses
            .iter()
            .filter_map(|status| status.state.running.as_ref()?.started_at);
        let restarts = statuses.iter().map(|status| {
            let end = [&status.last_state, &status.state]
                .into_iter()
                .find_map(|state| state.terminated.as_ref());
            let killed = end.is_some_and(|end| end.reason.as_deref() == Some("OOMKilled"));
            (status.name.clone(), status.restart_count, killed)
        });
        PodFacts {
            memory_limit_bytes: limit(|limits| limits.memory.as_ref()),
            cpu_limit_cores: limit(|limits| limits.cpu.as_ref()),
            started: started.max(),
            restarts: restarts.collect(),
            address: pod.status.address.clone(),
            name: pod.metadata.name,
        }
    });
    Ok(PodPage {
        pods: pods.collect(),
        next: list.metadata.next.filter(|next| !next.is_empty()),
    })
}

/// Reads a `PodMetricsList` of `metrics.k8s.io/v1beta1`.
///
/// # Errors
/// It is none.
pub fn read_usage(body: &[u8]) -> Result<Vec<PodUsage>, String> {
    let list: List<Metrics> = list(body, "PodMetricsList")?;
    let usage = list.items.unwrap_or_default().into_iter().map(|pod| {
        let used = |of: fn(&Amounts) -> Option<&String>| {
            sum(pod
                .containers
                .iter()
                .map(|container| quantity::read(of(&container.usage)?)))
        };
        PodUsage {
            at: pod.timestamp,
            cpu_cores: used(|usage| usage.cpu.as_ref()),
            memory_bytes: used(|usage| usage.memory.as_ref()),
            name: pod.metadata.name,
        }
    });
    Ok(usage.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As metrics-server answers, with the members that are not read.
    const USAGE: &str = r#"{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[
        {"metadata":{"name":"gs-1","namespace":"production","labels":{"app":"gs"}},"timestamp":"2026-11-24T02:00:10Z","window":"15.2s",
         "containers":[{"name":"app","usage":{"cpu":"250m","memory":"123456Ki"}},{"name":"proxy","usage":{"cpu":"1000000n","memory":"1Mi"}}]}]}"#;

    const PODS: &str = r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":"abc"},"items":[
        {"metadata":{"name":"gs-1"},"spec":{"containers":[{"name":"app","resources":{"limits":{"cpu":"500m","memory":"1Gi"}}},
         {"name":"proxy","resources":{"limits":{"memory":"128Mi"}}}]},
         "status":{"phase":"Running","podIP":"10.0.0.7","containerStatuses":[{"name":"app","restartCount":3,"ready":true,
         "state":{"running":{"startedAt":"2026-11-24T01:00:00Z"}},
         "lastState":{"terminated":{"exitCode":137,"reason":"OOMKilled","finishedAt":"2026-11-24T00:59:59Z"}}}]}}]}"#;

    #[test]
    fn what_pods_use_and_may_use_is_summed() {
        let usage = &read_usage(USAGE.as_bytes()).unwrap()[0];
        assert!((usage.cpu_cores.unwrap() - 0.251).abs() < 1e-12);
        assert_eq!(usage.memory_bytes, Some(123_456.0 * 1024.0 + 1_048_576.0));
        let page = read_pods(PODS.as_bytes()).unwrap();
        assert_eq!(page.next.as_deref(), Some("abc"));
        let pod = &page.pods[0];
        assert_eq!(pod.memory_limit_bytes, Some(1152.0 * 1_048_576.0));
        assert_eq!(pod.cpu_limit_cores, None, "the proxy has none");
        assert_eq!(pod.restarts, [("app".to_owned(), 3, true)]);
        assert_eq!(pod.address.as_deref(), Some("10.0.0.7"));
        assert_eq!(pod.started, Some("2026-11-24T01:00:00Z".parse().unwrap()));
    }

    #[test]
    fn another_answer_is_refused() {
        assert!(read_pods(USAGE.as_bytes()).is_err());
        assert!(read_usage(br#"{"kind":"Status","status":"Failure"}"#).is_err());
        assert!(read_usage(USAGE.replace("2026-11-24T02:00:10Z", "now").as_bytes()).is_err());
        let strange = USAGE.replace("250m", "lots");
        assert_eq!(read_usage(strange.as_bytes()).unwrap()[0].cpu_cores, None);
    }

    proptest! {
        #[test]
        fn no_cut_is_an_answer(at in 0_usize..900) {
            for whole in [USAGE, PODS] {
                if let Some(cut) = whole.get(..at).filter(|cut| cut.len() < whole.len()) {
                    prop_assert!(read_usage(cut.as_bytes()).is_err() && read_pods(cut.as_bytes()).is_err());
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (read_usage(&bytes).is_ok(), read_pods(&bytes).is_ok());
        }
    }
}
