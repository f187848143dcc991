//! From what a library says to what broke. Pure, so that each case can be a line in a table.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;

use super::{FailureKind, Phase};

/// `EMFILE` and `ENFILE`: no descriptor is left to this process, or to the machine.
const NO_DESCRIPTORS: [i32; 2] = [24, 23];

/// What an I/O error in a phase means.
pub(super) fn io_error(error: &io::Error, phase: Phase) -> FailureKind {
    if error
        .raw_os_error()
        .is_some_and(|code| NO_DESCRIPTORS.contains(&code))
    {
        return FailureKind::Local;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => FailureKind::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => match phase {
            Phase::Body => FailureKind::Truncated,
            _ => FailureKind::Reset,
        },
        io::ErrorKind::UnexpectedEof => match phase {
            Phase::Body => FailureKind::Truncated,
            _ => FailureKind::Closed,
        },
        io::ErrorKind::TimedOut => match phase {
            Phase::Connect => FailureKind::ConnectTimeout,
            _ => FailureKind::Timeout,
        },
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::PermissionDenied => FailureKind::NoRoute,
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse | io::ErrorKind::OutOfMemory => {
            FailureKind::Local
        }
        io::ErrorKind::InvalidInput if phase == Phase::Connect => FailureKind::Local,
        _ => match phase {
            Phase::Connect => FailureKind::NoRoute,
            Phase::Head => FailureKind::Reset,
            Phase::Body => FailureKind::Truncated,
        },
    }
}

/// What hyper's error means while waiting for the head or reading the body.
pub(super) fn hyper_error(error: &hyper::Error, phase: Phase) -> FailureKind {
    if error.is_parse() {
        return match phase {
            // A broken chunk header ends the body before its end.
            Phase::Body => FailureKind::Truncated,
            _ => FailureKind::Malformed,
        };
    }
    if let Some(cause) = io_cause(error) {
        return io_error(cause, phase);
    }
    if let Some(cause) = http2_cause(error)
        && phase != Phase::Body
        && cause.is_remote()
    {
        if cause.is_reset() {
            return FailureKind::Reset;
        }
        if cause.is_go_away() {
            return FailureKind::Closed;
        }
    }
    match phase {
        Phase::Body => FailureKind::Truncated,
        _ if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => {
            FailureKind::Closed
        }
        // What is left breaks the rules of HTTP/2.
        _ => FailureKind::Malformed,
    }
}

/// The I/O error at the root of another one.
pub(super) fn io_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    cause(error)
}

/// What HTTP/2 itself said, where it did: hyper's own sentence leaves it out.
#[must_use]
pub fn http2_cause(error: &hyper::Error) -> Option<&h2::Error> {
    cause(error)
}

/// The first error of a type on the way to the root of another one.
fn cause<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// What broke in a TLS handshake, and one fragment that says it.
pub(super) fn tls_error(error: &io::Error, address: &str) -> (FailureKind, String) {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(inner) = inner else {
        let kind = io_error(error, Phase::Head);
        let what = match kind {
            FailureKind::Closed => "closed the connection during the TLS handshake".to_owned(),
            FailureKind::Reset => "reset the connection during the TLS handshake".to_owned(),
            _ => format!("broke off the TLS handshake: {error}"),
        };
        return (kind, format!("{address} {what}"));
    };
    let what = match inner {
        rustls::Error::InvalidCertificate(problem) => certificate_error(problem),
        rustls::Error::InvalidMessage(_) => {
            "the other side does not speak TLS on this port".to_owned()
        }
        rustls::Error::AlertReceived(alert) => format!("the other side refused: {alert:?}"),
        other => other.to_string(),
    };
    (
        FailureKind::Tls,
        format!("TLS with {address} failed: {what}"),
    )
}

fn certificate_error(problem: &CertificateError) -> String {
    let date = |time: &rustls::pki_types::UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(seconds).map_or_else(|_| "?".to_owned(), |at| at.to_string())
    };
    match problem {
        CertificateError::Expired => "the certificate has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the certificate expired on {}", date(not_after))
        }
        CertificateError::NotValidYet => "the certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the certificate is not valid before {}", date(not_before))
        }
        CertificateError::NotValidForName => "the certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "the certificate is not for `{}`, it is for {}",
            expected.to_str(),
            if presented.is_empty() {
                "no name at all".to_owned()
            } else {
                presented.join(", ")
            }
        ),
        CertificateError::UnknownIssuer => {
            "the certificate's issuer is not trusted; `--cacert` names a private one".to_owned()
        }
        other => format!("the certificate is not accepted: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: io::ErrorKind, phase: Phase, expected: FailureKind) {
        assert_eq!(
            io_error(&kind.into(), phase),
            expected,
            "{kind:?} in {phase:?}"
        );
    }

    #[test]
    fn an_error_means_what_its_phase_says() {
        use io::ErrorKind as E;
        check(E::ConnectionRefused, Phase::Connect, FailureKind::Refused);
        check(E::ConnectionReset, Phase::Connect, FailureKind::Reset);
        check(E::ConnectionReset, Phase::Head, FailureKind::Reset);
        check(E::ConnectionReset, Phase::Body, FailureKind::Truncated);
        check(E::UnexpectedEof, Phase::Head, FailureKind::Closed);
        check(E::UnexpectedEof, Phase::Body, FailureKind::Truncated);
        check(E::TimedOut, Phase::Connect, FailureKind::ConnectTimeout);
        check(E::NetworkUnreachable, Phase::Connect, FailureKind::NoRoute);
        check(E::HostUnreachable, Phase::Connect, FailureKind::NoRoute);
        check(E::PermissionDenied, Phase::Connect, FailureKind::NoRoute);
        check(E::AddrNotAvailable, Phase::Connect, FailureKind::Local);
    }

    #[test]
    fn a_lack_of_descriptors_is_our_own() {
        let error = io::Error::from_raw_os_error(24);
        assert_eq!(io_error(&error, Phase::Connect), FailureKind::Local);
        assert!(FailureKind::Local.target_unknown());
    }
}
