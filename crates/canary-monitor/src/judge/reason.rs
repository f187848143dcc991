//! Why a judgement is what it is: stable codes, written once.

/// A code and what it means.
pub type Reason = &'static str;

/// The limits are shown to hold, and the canary is not worse than stable.
pub const HEALTHY: Reason = "healthy";
/// More errors than stable.
pub const ERROR_RATE: Reason = "error_rate";
/// More slow requests than stable.
pub const LATENCY: Reason = "latency";
/// The share of errors is over the limit.
pub const ERROR_LIMIT: Reason = "error_limit";
/// The share of slow requests is over the limit.
pub const LATENCY_LIMIT: Reason = "latency_limit";
/// A quarter and more of all requests fail.
pub const CATASTROPHE: Reason = "catastrophe";
/// Canary pods restart again and again.
pub const RESTARTS: Reason = "restarts";
/// Canary pods were killed for want of memory.
pub const OOM_KILLED: Reason = "oom_killed";
/// Memory grows without slowing down.
pub const MEMORY_LEAK: Reason = "memory_leak";
/// The canary got no request.
pub const NO_TRAFFIC: Reason = "no_traffic";
/// The canary got too few requests to show that the limits hold.
pub const LOW_TRAFFIC: Reason = "low_traffic";
/// Too much of the time nothing was measured.
pub const COVERAGE: Reason = "coverage";
/// Stable breaks the limits too.
pub const ENVIRONMENT_UNHEALTHY: Reason = "environment_unhealthy";
/// There is no stable pod, or it got no request.
pub const BASELINE_MISSING: Reason = "baseline_missing";
/// What has to be judged could not be measured.
pub const METRICS_UNAVAILABLE: Reason = "metrics_unavailable";
/// The canary's share of the traffic is not the declared one.
pub const SPLIT: Reason = "split";
/// At the end there was evidence against the canary that had not yet held long enough.
pub const UNDECIDED: Reason = "undecided";
/// The canary is healthy, but short of CPU.
pub const SHORT_OF_CPU: Reason = "short_of_cpu";
/// The file holds no observations that can be read.
pub const UNREADABLE: Reason = "unreadable";

/// The watch ended before its time.
pub const CUT_SHORT: Reason = "cut_short";
/// `--deadline` passed.
pub const DEADLINE: Reason = "deadline";
/// A person ended the run.
pub const ABORTED_BY_OPERATOR: Reason = "aborted_by_operator";
/// Ctrl-C or SIGTERM.
pub const INTERRUPTED: Reason = gs_common::report::INTERRUPTED;
/// A command of the pipeline failed or hung.
pub const HOOK_FAILED: Reason = "hook_failed";
/// The decision log could not be written.
pub const LOG_LOST: Reason = "log_lost";
/// A step of the rollout did not become fit for the next one.
pub const STEP_HELD: Reason = "step_held";

/// All codes, with what they mean: the page lists them, a test holds it to that.
pub const ALL: [(Reason, &str); 26] = [
    (
        HEALTHY,
        "pass: the limits are shown to hold, and the canary is not shown to be worse than stable",
    ),
    (
        ERROR_RATE,
        "fail: more errors than stable, beyond noise and tolerance",
    ),
    (
        LATENCY,
        "fail: more slow requests than stable, beyond noise and tolerance",
    ),
    (ERROR_LIMIT, "fail: the share of errors is over its limit"),
    (
        LATENCY_LIMIT,
        "fail: the share of requests slower than the latency limit is over its limit",
    ),
    (CATASTROPHE, "fail: a quarter and more of all requests fail"),
    (RESTARTS, "fail: canary pods restart again and again"),
    (
        OOM_KILLED,
        "fail: canary pods were killed for want of memory",
    ),
    (
        MEMORY_LEAK,
        "fail: memory grows without slowing down, and would reach its limit",
    ),
    (NO_TRAFFIC, "no verdict: the canary got no request"),
    (
        LOW_TRAFFIC,
        "no verdict: too few requests to show that the limits hold",
    ),
    (COVERAGE, "no verdict: too many looks were lost"),
    (
        ENVIRONMENT_UNHEALTHY,
        "no verdict: stable breaks the limits too",
    ),
    (
        BASELINE_MISSING,
        "no verdict: no stable pod, or stable got no request",
    ),
    (
        METRICS_UNAVAILABLE,
        "no verdict: what has to be judged could not be measured",
    ),
    (
        SPLIT,
        "no verdict: the canary's share of the traffic is not the declared one (with restarts: fail)",
    ),
    (
        UNDECIDED,
        "no verdict: at the end there was evidence against the canary that had not held long enough",
    ),
    (
        SHORT_OF_CPU,
        "warn: as `healthy`, but the canary runs near its CPU limit or is throttled, and stable is not",
    ),
    (
        UNREADABLE,
        "no verdict: the file holds no observations that can be read",
    ),
    (
        CUT_SHORT,
        "no verdict: the watch ended before its time, and a pass needs all of it",
    ),
    (
        DEADLINE,
        "no verdict: `--deadline` passed before the watch was over",
    ),
    (
        ABORTED_BY_OPERATOR,
        "fail: a person ended the run; what the judge computed stays in the report",
    ),
    (
        INTERRUPTED,
        "ended by Ctrl-C or SIGTERM, exit code 130; no command was run",
    ),
    (
        HOOK_FAILED,
        "no verdict: a command failed, hung or could not be started, so that what the verdict asks for was not done",
    ),
    (
        LOG_LOST,
        "no verdict: the canary was fit, but the decision log that was asked for could not be written",
    ),
    (
        STEP_HELD,
        "no verdict: at the end of a step the canary was not fit for more traffic",
    ),
];

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = ALL.iter().map(|(code, _)| code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ALL.len());
    }
}
