//! Answers that never came, or not whole.

use gs_common::http::{Failure, FailureKind};
use gs_common::report::Broken;
use gs_common::verdict::Verdict;

use super::{broken, reason};

/// What a failed request means for the question "does the service work?". Whatever the target itself
/// did is an answer; what kept us from reaching it is none.
#[must_use]
pub fn failure(failure: &Failure) -> Broken {
    let code = match failure.kind {
        kind if kind.target_unknown() => {
            return broken(
                Verdict::Inconclusive,
                reason::TARGET_UNREACHABLE,
                &failure.message,
            );
        }
        FailureKind::Refused => reason::REFUSED,
        FailureKind::Reset => reason::RESET,
        FailureKind::Closed => reason::CLOSED,
        FailureKind::Tls => reason::TLS,
        FailureKind::Malformed => reason::MALFORMED,
        FailureKind::Truncated => reason::TRUNCATED,
        FailureKind::TooLarge => reason::TOO_LARGE,
        FailureKind::BadEncoding => reason::BAD_ENCODING,
        _ => reason::TIMEOUT,
    };
    broken(Verdict::Fail, code, &failure.message)
}

/// Whether the same request may well succeed a moment later: connections that did not come about or
/// broke off. A body that is too large or no HTTP is the same next time.
#[must_use]
pub fn is_worth_a_retry(kind: FailureKind) -> bool {
    !matches!(
        kind,
        FailureKind::Tls
            | FailureKind::TooLarge
            | FailureKind::BadEncoding
            | FailureKind::Malformed
            | FailureKind::Local
    )
}

/// Statuses that say "not now": request timeout, too early, too many, and the gateway's own.
#[must_use]
pub fn status_is_worth_a_retry(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 502 | 503 | 504)
}
