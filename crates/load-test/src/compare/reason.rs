//! Why a comparison, a search or a merge ends as it does: stable codes, written once.

/// A code.
pub type Reason = &'static str;

/// No endpoint is worse.
pub const NO_WORSE: Reason = "no_worse";
/// At least one endpoint is worse.
pub const WORSE: Reason = "worse";
/// Failures rose.
pub const MORE_FAILURES: Reason = "more_failures";
/// Throughput fell.
pub const LESS_THROUGHPUT: Reason = "less_throughput";
/// The interval holds the margin.
pub const UNDECIDED: Reason = "undecided";
/// Too few requests for a quantile.
pub const TOO_FEW_REQUESTS: Reason = "too_few_requests";
/// Too few baseline runs.
pub const TOO_FEW_BASELINES: Reason = "too_few_baselines";
/// Too few pairs.
pub const TOO_FEW_PAIRS: Reason = "too_few_pairs";
/// An endpoint is gone.
pub const ENDPOINT_MISSING: Reason = "endpoint_missing";
/// The runs differ in what must be the same.
pub const NOT_COMPARABLE: Reason = "not_comparable";
/// Runs say nothing about the target.
pub const RUNS_VOID: Reason = "runs_void";
/// Both sides were the same, and no alarm was raised.
pub const SELF_TEST_QUIET: Reason = "self_test_quiet";
/// Both sides were the same, and an alarm was raised.
pub const SELF_TEST_ALARM: Reason = "self_test_alarm";
/// The highest rate that held was found and confirmed.
pub const CAPACITY_FOUND: Reason = "capacity_found";
/// The highest rate that was allowed held.
pub const CAPACITY_BEYOND: Reason = "capacity_beyond";
/// The highest rate that held is lower than asked for.
pub const CAPACITY_TOO_LOW: Reason = "capacity_too_low";
/// No rate held.
pub const CAPACITY_NONE: Reason = "capacity_none";
/// A rate that held did not hold again.
pub const CAPACITY_UNCONFIRMED: Reason = "capacity_unconfirmed";
/// A step could not be judged.
pub const STEP_UNKNOWN: Reason = "step_unknown";
/// Shards are not there.
pub const SHARDS_MISSING: Reason = "shards_missing";
/// Logs are of different runs.
pub const NOT_TOGETHER: Reason = "not_together";
/// A file beside the report could not be written.
pub const EXPORT_FAILED: Reason = "export_failed";
/// A file cannot be read.
pub const UNREADABLE: Reason = "unreadable";

/// All codes, with what they mean: the page lists them, a test holds it to that.
pub const ALL: [(Reason, &str); 23] = [
    (
        NO_WORSE,
        "pass: every endpoint is shown to be within the margin, or better",
    ),
    (
        WORSE,
        "fail: the whole interval of an endpoint's change lies beyond the margin",
    ),
    (
        MORE_FAILURES,
        "fail: more requests fail than the allowed difference",
    ),
    (
        LESS_THROUGHPUT,
        "fail: fewer requests a second than the margin allows",
    ),
    (
        UNDECIDED,
        "no verdict: an interval holds the margin, so the endpoint may be worse or not",
    ),
    (
        TOO_FEW_REQUESTS,
        "no verdict: a run has too few requests for any quantile of an endpoint",
    ),
    (
        TOO_FEW_BASELINES,
        "no verdict: fewer than five baseline runs; the ratio is shown",
    ),
    (
        TOO_FEW_PAIRS,
        "no verdict: fewer than five pairs of runs could be used",
    ),
    (
        ENDPOINT_MISSING,
        "no verdict: the base has an endpoint that the new side lacks",
    ),
    (
        NOT_COMPARABLE,
        "no verdict: the runs differ in something that must be the same",
    ),
    (
        RUNS_VOID,
        "no verdict: too many runs say nothing about the target, such as those of a saturated generator",
    ),
    (
        SELF_TEST_QUIET,
        "pass: both sides were the same, and nothing was called worse or better",
    ),
    (
        SELF_TEST_ALARM,
        "fail: both sides were the same, and something was called worse or better",
    ),
    (
        CAPACITY_FOUND,
        "pass: the highest rate that held was found, and held again",
    ),
    (
        CAPACITY_BEYOND,
        "pass: the goals held up to the highest rate that was allowed",
    ),
    (
        CAPACITY_TOO_LOW,
        "fail: the highest rate that held is lower than `--at-least`",
    ),
    (
        CAPACITY_NONE,
        "fail: the goals failed at the lowest rate already",
    ),
    (
        CAPACITY_UNCONFIRMED,
        "no verdict: no rate held twice before the time was up",
    ),
    (
        STEP_UNKNOWN,
        "no verdict: a step could not be judged, such as one of a saturated generator",
    ),
    (
        SHARDS_MISSING,
        "no verdict: logs of some shards are not there",
    ),
    (NOT_TOGETHER, "no verdict: the logs are of different runs"),
    (
        EXPORT_FAILED,
        "no verdict: a file beside the report could not be written (a missed goal stays a fail)",
    ),
    (
        UNREADABLE,
        "no verdict: a file is cut short or is none that can be read",
    ),
];
