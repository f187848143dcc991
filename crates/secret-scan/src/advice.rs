//! What to do about a leaked secret, by its kind: whom to ask, where, and what breaks.

/// A kind of secret with its way of rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// For people: `GitHub token`.
    pub name: &'static str,
    /// Parts of rule names that mean it, in lower case.
    words: &'static [&'static str],
    /// What to do.
    pub rotate: &'static str,
    /// Where.
    pub link: Option<&'static str>,
}

/// Every known kind; the first whose word is part of the rule's name counts, so narrow ones come first.
pub const KINDS: [Kind; 20] = [
    Kind {
        name: "AWS access key",
        words: &["aws"],
        rotate: "make the key inactive in IAM, look for its use in CloudTrail, then delete it; what runs with it loses access",
        link: Some(
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html",
        ),
    },
    Kind {
        name: "GitHub token",
        words: &["github"],
        rotate: "revoke it in the developer settings of its owner and look at the security log; workflows and clones that use it stop",
        link: Some("https://github.com/settings/tokens"),
    },
    Kind {
        name: "GitLab token",
        words: &["gitlab"],
        rotate: "revoke it under access tokens of its user, project or group; runners and clones that use it stop",
        link: Some("https://docs.gitlab.com/security/tokens/"),
    },
    Kind {
        name: "Slack webhook or token",
        words: &["slack"],
        rotate: "delete the webhook or revoke the token in the app's settings; notices that go through it stop",
        link: Some("https://api.slack.com/apps"),
    },
    Kind {
        name: "Stripe key",
        words: &["stripe"],
        rotate: "roll the key in the dashboard, with no grace period if it is a live one; payments fail until the new one is in place",
        link: Some("https://dashboard.stripe.com/apikeys"),
    },
    Kind {
        name: "private key",
        words: &[
            "private-key",
            "privatekey",
            "private key",
            "rsa-pk",
            "rsa",
            "ssh",
            "pem",
        ],
        rotate: "make a new key pair, take the old public key out of every authorized_keys, certificate and deploy key, then revoke its certificates",
        link: None,
    },
    Kind {
        name: "JSON web token",
        words: &["jwt"],
        rotate: "change the signing key if the token has no near end: a token cannot be called back; every session signed with that key ends",
        link: None,
    },
    Kind {
        name: "database address with password",
        words: &[
            "postgres",
            "mysql",
            "mongodb",
            "redis",
            "sqlserver",
            "jdbc",
            "database",
        ],
        rotate: "change the password of that database user and look at its connections; services reconnect with the new one only",
        link: None,
    },
    Kind {
        name: "Google key",
        words: &["gcp", "google", "firebase"],
        rotate: "delete the key of the service account or restrict and regenerate the API key; what runs with it loses access",
        link: Some("https://console.cloud.google.com/apis/credentials"),
    },
    Kind {
        name: "Azure secret",
        words: &["azure"],
        rotate: "add a new secret to the application, move its users, then delete the old one",
        link: Some("https://portal.azure.com/"),
    },
    Kind {
        name: "OpenAI key",
        words: &["openai"],
        rotate: "delete the key in the dashboard and look at the usage page; jobs that use it stop",
        link: Some("https://platform.openai.com/api-keys"),
    },
    Kind {
        name: "Anthropic key",
        words: &["anthropic"],
        rotate: "disable the key in the console and look at the usage page; jobs that use it stop",
        link: Some("https://console.anthropic.com/settings/keys"),
    },
    Kind {
        name: "npm token",
        words: &["npm"],
        rotate: "revoke it with `npm token revoke`, and look at what was published; publishing jobs stop",
        link: Some("https://docs.npmjs.com/revoking-access-tokens"),
    },
    Kind {
        name: "PyPI token",
        words: &["pypi"],
        rotate: "remove it in the account settings, and look at what was published; publishing jobs stop",
        link: Some("https://pypi.org/manage/account/"),
    },
    Kind {
        name: "Docker Hub token",
        words: &["docker"],
        rotate: "delete it in the account's security settings, and look at what was pushed; builds that push stop",
        link: Some("https://hub.docker.com/settings/security"),
    },
    Kind {
        name: "SendGrid key",
        words: &["sendgrid"],
        rotate: "delete the key in the settings; mail that goes through it stops",
        link: Some("https://app.sendgrid.com/settings/api_keys"),
    },
    Kind {
        name: "Twilio key",
        words: &["twilio"],
        rotate: "revoke the key in the console; messages that go through it stop",
        link: Some("https://console.twilio.com/"),
    },
    Kind {
        name: "broker or exchange key",
        words: &[
            "alpaca", "coinbase", "kraken", "binance", "polygon", "finnhub", "bittrex", "kucoin",
        ],
        rotate: "delete the key at the broker first, since orders can be placed with it, then look at the account's orders; feeds and trading stop",
        link: None,
    },
    Kind {
        name: "Sentry token",
        words: &["sentry"],
        rotate: "revoke the token in the organisation's settings",
        link: Some("https://sentry.io/settings/auth-tokens/"),
    },
    Kind {
        name: "address with password",
        words: &["uri", "curl", "basic-auth"],
        rotate: "change the password of that user at that address",
        link: None,
    },
];

/// What is said of a secret whose kind is not known.
pub const UNKNOWN: Kind = Kind {
    name: "secret",
    words: &[],
    rotate: "find out who issued it, have it revoked there, and put the new one into the environment or a secret store, never into the repository",
    link: None,
};

/// The kind that a rule's name means.
#[must_use]
pub fn kind(rule: &str) -> Kind {
    let rule = rule.to_ascii_lowercase();
    let known = KINDS
        .into_iter()
        .find(|kind| kind.words.iter().any(|word| rule.contains(word)));
    known.unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, name: &str) {
        assert_eq!(kind(rule).name, name, "{rule}");
    }

    #[test]
    fn rules_of_both_engines_mean_the_same_kind() {
        for rule in ["aws-access-token", "AWS"] {
            check(rule, "AWS access key");
        }
        for rule in ["private-key", "PrivateKey", "RSA-PK"] {
            check(rule, "private key");
        }
        check("github-pat", "GitHub token");
        check("Github", "GitHub token");
        check("stripe-access-token", "Stripe key");
        check("slack-webhook-url", "Slack webhook or token");
        check("generic-api-key", "secret");
        check("Postgres", "database address with password");
    }
}
