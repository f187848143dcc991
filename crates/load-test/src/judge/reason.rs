//! Stable codes, with the words of the page.

/// Every goal is met.
pub const GOALS_MET: &str = "goals_met";
/// A goal that only warns is missed.
pub const GOALS_WARNED: &str = "goals_warned";
/// A goal is missed.
pub const GOALS_MISSED: &str = "goals_missed";
/// A goal was lost for longer than `--abort-after`.
pub const GOAL_LOST: &str = "goal_lost";
/// Too few requests for a goal.
pub const TOO_FEW_SAMPLES: &str = "too_few_samples";
/// No request ended.
pub const NOTHING_MEASURED: &str = "nothing_measured";
/// The generator was at its own limit.
pub const GENERATOR_SATURATED: &str = "generator_saturated";
/// No connection to the target.
pub const TARGET_UNREACHABLE: &str = "target_unreachable";
/// Too few descriptors.
pub const DESCRIPTOR_LIMIT: &str = "descriptor_limit";
/// The start of a persona went wrong.
pub const START_FAILED: &str = "start_failed";
/// The deadline came first.
pub const DEADLINE: &str = "deadline";
/// The load could not go on.
pub const ENGINE_FAILED: &str = "engine_failed";
/// Every check request was good.
pub const CHECKS_PASSED: &str = "checks_passed";
/// A check request was not good.
pub const CHECKS_FAILED: &str = "checks_failed";

/// Every code of a run with its meaning, as the page has them.
pub const ALL: [(&str, &str); 15] = [
    (GOALS_MET, "pass: every goal is met"),
    (GOALS_WARNED, "warn: a goal that only warns is missed"),
    (GOALS_MISSED, "fail: a goal is missed"),
    (
        GOAL_LOST,
        "fail: a goal was lost for longer than `--abort-after`, and the run was ended",
    ),
    (
        TOO_FEW_SAMPLES,
        "no verdict: too few requests to judge a goal",
    ),
    (NOTHING_MEASURED, "no verdict: no request ended"),
    (
        GENERATOR_SATURATED,
        "no verdict: this machine, or a proxy in between, could not keep up, so its times say nothing of the target",
    ),
    (
        TARGET_UNREACHABLE,
        "no verdict: no connection to the target came about, and nothing was sent",
    ),
    (
        DESCRIPTOR_LIMIT,
        "no verdict: the limit of open descriptors is too low for so many connections",
    ),
    (
        START_FAILED,
        "no verdict: the start of a persona, such as its login, went wrong",
    ),
    (
        DEADLINE,
        "no verdict: the deadline came before the end of the plan, and no goal was missed until then",
    ),
    (ENGINE_FAILED, "no verdict: the load could not go on"),
    (
        gs_common::report::INTERRUPTED,
        "ended by Ctrl-C or SIGTERM; what was recorded until then is in the report",
    ),
    (
        CHECKS_PASSED,
        "pass (`check`): every step got a good answer",
    ),
    (CHECKS_FAILED, "fail (`check`): a step got no good answer"),
];
