//! How long the certificate lasts, and for whom it is.

use gs_common::http::Tls;
use gs_common::report::{Broken, Quantity};
use gs_common::verdict::Verdict;
use jiff::Timestamp;

use super::{broken, mismatch, ranked, reason};
use crate::suite::model::CertificateProbe;

/// Judges what is known of a TLS session.
#[must_use]
pub fn certificate(
    wanted: &CertificateProbe,
    tls: &Tls,
    severity: Verdict,
    now: Timestamp,
) -> Vec<Broken> {
    let mut found = Vec::new();
    if let Some(least) = wanted
        .min_version
        .as_ref()
        .filter(|least| tls.version < **least)
    {
        let message = format!("{} was negotiated, expected at least {least}", tls.version);
        found.push(mismatch(
            severity,
            reason::CERTIFICATE,
            message,
            Quantity::bare(tls.version.clone()),
            least.clone(),
        ));
    }
    let Some(shown) = &tls.certificate else {
        found.push(broken(
            Verdict::Inconclusive,
            reason::CERTIFICATE,
            "the certificate could not be read",
        ));
        return ranked(found);
    };
    let days = shown
        .not_after
        .duration_since(now)
        .as_secs()
        .div_euclid(86_400);
    let until = shown.not_after;
    for (least, verdict) in [
        (wanted.min_days, severity),
        (wanted.warn_days, Verdict::Warn),
    ] {
        if days < i64::from(least) {
            let message =
                format!("the certificate ends in {days} days ({until}), expected at least {least}");
            let expected = format!("at least {least} days");
            found.push(mismatch(
                verdict,
                reason::CERTIFICATE,
                message,
                Quantity::of(days, "days"),
                expected,
            ));
            break;
        }
    }
    for name in &wanted.names {
        if !shown.names.iter().any(|other| is_for(other, name)) {
            let message = format!(
                "the certificate is not for `{name}`, it is for {}",
                shown.names.join(", ")
            );
            found.push(broken(severity, reason::CERTIFICATE, message));
        }
    }
    ranked(found)
}

/// Whether a name of a certificate is for a host: equal, or `*.` for exactly one label (RFC 6125).
fn is_for(name: &str, host: &str) -> bool {
    name.eq_ignore_ascii_case(host)
        || name.strip_prefix("*.").is_some_and(|parent| {
            host.split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gs_common::http::Certificate;

    #[track_caller]
    fn check(days: i64, expected: Option<Verdict>) {
        let now: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        let tls = Tls {
            version: "TLS 1.3".to_owned(),
            alpn: None,
            certificate: Some(Certificate {
                not_before: now,
                not_after: now + jiff::SignedDuration::from_hours(24 * days + 1),
                names: vec!["*.gs.example".to_owned()],
                issuer: String::new(),
            }),
        };
        let wanted = CertificateProbe {
            min_days: 3,
            warn_days: 14,
            names: vec!["api.gs.example".to_owned()],
            min_version: Some("TLS 1.2".to_owned()),
        };
        let found = certificate(&wanted, &tls, Verdict::Fail, now);
        assert_eq!(
            found.first().map(|broken| broken.verdict),
            expected,
            "{days}: {found:?}"
        );
    }

    #[test]
    fn days_left_have_two_levels() {
        check(14, None);
        check(13, Some(Verdict::Warn));
        check(3, Some(Verdict::Warn));
        check(2, Some(Verdict::Fail));
    }

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(is_for("*.a.b", "x.a.b") && is_for("A.b", "a.B"));
        assert!(!is_for("*.a.b", "y.x.a.b") && !is_for("*.a.b", "a.b"));
    }
}
