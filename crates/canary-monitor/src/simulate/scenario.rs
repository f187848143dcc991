//! What happens to the pods in each scenario.

/// What a good judge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The canary is as good as stable.
    Pass,
    /// It is not.
    Fail,
    /// Nobody can know.
    Inconclusive,
}

impl Wanted {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// What a scenario is for. Keeping the two apart keeps the figures honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The judge's parameters were chosen while looking at it.
    Tuning,
    /// No parameter was chosen for it; its results were in sight, so it is no blind test.
    Grading,
    /// Written after the parameters were fixed, with sizes of its own, and no parameter was touched since.
    Fresh,
}

impl Use {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tuning => "tuning",
            Self::Grading => "grading",
            Self::Fresh => "fresh",
        }
    }
}

/// Errors or slowness that come and go: lengths are exponential.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// Mean length, in seconds.
    pub on_seconds: f64,
    /// Mean time between two, in seconds.
    pub off_seconds: f64,
    /// Share of requests that fail in one.
    pub error_share: f64,
    /// Latencies in one are so many times longer.
    pub latency_factor: f64,
}

/// What happens to the pods. Times are seconds of the run, latencies are log-normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// Its name in reports.
    pub name: &'static str,
    /// What a good judge says.
    pub wanted: Wanted,
    /// What it is for.
    pub used_for: Use,
    /// Share of requests that fail, on every pod.
    pub error_share: f64,
    /// The canary's share from a moment on.
    pub canary_errors: Option<(f64, f64)>,
    /// 95th percentile of the latency on every pod, in seconds.
    pub p95_seconds: f64,
    /// Spread of the latency's logarithm.
    pub sigma: f64,
    /// The canary's latencies are so many times longer, from a moment on.
    pub canary_latency: Option<(f64, f64)>,
    /// The canary's latencies are so many times longer until a moment.
    pub cold_start: Option<(f64, f64)>,
    /// Bursts that all pods share.
    pub shared_bursts: Option<Bursts>,
    /// Bursts of each pod for itself.
    pub pod_bursts: Option<Bursts>,
    /// The canary's memory grows by so many MiB a minute.
    pub leak_mib_per_minute: f64,
    /// The canary's process lives and stays away for so many seconds, in turn.
    pub crash_loop: Option<(f64, f64)>,
    /// Whether the canary gets requests.
    pub canary_traffic: bool,
}

const HEALTHY: Scenario = Scenario {
    name: "healthy",
    wanted: Wanted::Pass,
    used_for: Use::Tuning,
    error_share: 0.001,
    canary_errors: None,
    p95_seconds: 0.2,
    sigma: 0.557,
    canary_latency: None,
    cold_start: None,
    shared_bursts: None,
    pod_bursts: None,
    leak_mib_per_minute: 0.0,
    crash_loop: None,
    canary_traffic: true,
};

const fn failing(name: &'static str) -> Scenario {
    Scenario {
        name,
        wanted: Wanted::Fail,
        ..HEALTHY
    }
}

const fn passing(name: &'static str) -> Scenario {
    Scenario { name, ..HEALTHY }
}

const fn fresh(scenario: Scenario) -> Scenario {
    Scenario {
        used_for: Use::Fresh,
        ..scenario
    }
}

const fn graded(scenario: Scenario) -> Scenario {
    Scenario {
        used_for: Use::Grading,
        ..scenario
    }
}

/// All scenarios: first those that the judge was tuned on, then those that grade it, then the fresh ones.
pub const ALL: [Scenario; 41] = [
    HEALTHY,
    Scenario {
        shared_bursts: Some(Bursts {
            on_seconds: 120.0,
            off_seconds: 360.0,
            error_share: 0.08,
            latency_factor: 1.0,
        }),
        ..passing("shared-bursts")
    },
    Scenario {
        pod_bursts: Some(Bursts {
            on_seconds: 60.0,
            off_seconds: 600.0,
            error_share: 0.08,
            latency_factor: 1.0,
        }),
        ..passing("pod-bursts")
    },
    Scenario {
        canary_latency: Some((0.0, 1.05)),
        ..passing("latency-5-percent")
    },
    Scenario {
        cold_start: Some((60.0, 8.0)),
        ..passing("cold-start")
    },
    Scenario {
        canary_errors: Some((0.0, 0.01)),
        ..failing("errors-0.1-to-1")
    },
    Scenario {
        error_share: 0.01,
        canary_errors: Some((0.0, 0.03)),
        ..failing("errors-1-to-3")
    },
    Scenario {
        canary_errors: Some((300.0, 0.08)),
        ..failing("error-step")
    },
    Scenario {
        canary_latency: Some((0.0, 2.0)),
        ..failing("latency-doubled")
    },
    Scenario {
        leak_mib_per_minute: 20.0,
        ..failing("leak")
    },
    Scenario {
        crash_loop: Some((45.0, 45.0)),
        ..failing("crash-loop")
    },
    Scenario {
        canary_traffic: false,
        wanted: Wanted::Inconclusive,
        ..passing("no-traffic")
    },
    graded(Scenario {
        error_share: 0.004,
        sigma: 0.8,
        p95_seconds: 0.35,
        ..passing("graded-healthy")
    }),
    graded(Scenario {
        sigma: 0.35,
        p95_seconds: 0.15,
        canary_latency: Some((0.0, 1.05)),
        ..passing("graded-latency-5-percent")
    }),
    graded(Scenario {
        cold_start: Some((75.0, 5.0)),
        ..passing("graded-cold-start")
    }),
    graded(Scenario {
        shared_bursts: Some(Bursts {
            on_seconds: 75.0,
            off_seconds: 240.0,
            error_share: 0.08,
            latency_factor: 2.0,
        }),
        ..passing("graded-shared-bursts")
    }),
    graded(Scenario {
        pod_bursts: Some(Bursts {
            on_seconds: 45.0,
            off_seconds: 240.0,
            error_share: 0.05,
            latency_factor: 1.0,
        }),
        ..passing("graded-pod-bursts")
    }),
    graded(Scenario {
        pod_bursts: Some(Bursts {
            on_seconds: 60.0,
            off_seconds: 500.0,
            error_share: 0.001,
            latency_factor: 2.5,
        }),
        ..passing("graded-slow-pod-bursts")
    }),
    graded(Scenario {
        error_share: 0.002,
        canary_errors: Some((0.0, 0.015)),
        ..failing("graded-errors-0.2-to-1.5")
    }),
    graded(Scenario {
        error_share: 0.015,
        canary_errors: Some((0.0, 0.04)),
        ..failing("graded-errors-1.5-to-4")
    }),
    graded(Scenario {
        canary_errors: Some((420.0, 0.1)),
        ..failing("graded-error-step")
    }),
    graded(Scenario {
        sigma: 0.7,
        canary_latency: Some((0.0, 1.8)),
        ..failing("graded-latency-1.8")
    }),
    graded(Scenario {
        canary_latency: Some((360.0, 2.0)),
        ..failing("graded-latency-step")
    }),
    graded(Scenario {
        leak_mib_per_minute: 14.0,
        ..failing("graded-leak")
    }),
    graded(Scenario {
        crash_loop: Some((70.0, 30.0)),
        ..failing("graded-crash-loop")
    }),
    graded(Scenario {
        error_share: 0.02,
        canary_errors: Some((0.0, 0.09)),
        ..failing("graded-errors-over-limit")
    }),
    fresh(Scenario {
        error_share: 0.0002,
        sigma: 0.9,
        p95_seconds: 0.6,
        ..passing("fresh-healthy")
    }),
    fresh(Scenario {
        sigma: 0.4,
        p95_seconds: 0.45,
        canary_latency: Some((0.0, 1.05)),
        ..passing("fresh-latency-5-percent")
    }),
    fresh(Scenario {
        cold_start: Some((85.0, 4.0)),
        ..passing("fresh-cold-start")
    }),
    fresh(Scenario {
        shared_bursts: Some(Bursts {
            on_seconds: 90.0,
            off_seconds: 420.0,
            error_share: 0.12,
            latency_factor: 1.5,
        }),
        ..passing("fresh-shared-bursts")
    }),
    fresh(Scenario {
        pod_bursts: Some(Bursts {
            on_seconds: 90.0,
            off_seconds: 900.0,
            error_share: 0.06,
            latency_factor: 1.0,
        }),
        ..passing("fresh-pod-bursts")
    }),
    fresh(Scenario {
        pod_bursts: Some(Bursts {
            on_seconds: 100.0,
            off_seconds: 700.0,
            error_share: 0.001,
            latency_factor: 2.0,
        }),
        ..passing("fresh-slow-pod-bursts")
    }),
    fresh(Scenario {
        error_share: 0.0005,
        canary_errors: Some((0.0, 0.012)),
        ..failing("fresh-errors-0.05-to-1.2")
    }),
    fresh(Scenario {
        error_share: 0.003,
        canary_errors: Some((0.0, 0.02)),
        ..failing("fresh-errors-0.3-to-2")
    }),
    fresh(Scenario {
        error_share: 0.008,
        canary_errors: Some((0.0, 0.028)),
        ..failing("fresh-errors-0.8-to-2.8")
    }),
    fresh(Scenario {
        canary_errors: Some((480.0, 0.06)),
        ..failing("fresh-error-step")
    }),
    fresh(Scenario {
        sigma: 0.5,
        canary_latency: Some((0.0, 1.7)),
        ..failing("fresh-latency-1.7")
    }),
    fresh(Scenario {
        p95_seconds: 0.5,
        canary_latency: Some((300.0, 2.2)),
        ..failing("fresh-latency-step")
    }),
    fresh(Scenario {
        leak_mib_per_minute: 10.0,
        ..failing("fresh-leak")
    }),
    fresh(Scenario {
        crash_loop: Some((100.0, 20.0)),
        ..failing("fresh-crash-loop")
    }),
    fresh(Scenario {
        error_share: 0.01,
        canary_errors: Some((120.0, 0.4)),
        ..failing("fresh-catastrophe")
    }),
];

/// The scenario of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}
