//! A commented start of the tool's section.

/// The text that `vuln-gate init` writes.
pub const TEXT: &str = r#"# vuln-gate: do the scanners' reports allow this release?
# Every key is a flag too (`--fail-on`), and a variable (`GS_VULN_GATE_FAIL_ON`).

[vuln-gate]
# The lowest severity that fails, for all classes or for one of vulnerability, misconfiguration, secret,
# license, code, maintenance. `never` turns a class off.
fail-on = ["high"]

# What a finding without any severity means: block, warn or ignore.
unknown = "warn"

# A report of each of these must have been looked at.
require = ["trivy"]

# A report older than this is no verdict; and a scanner's database that was older than this at the scan.
max-age = "7d"
max-db-age = "14d"

# What a finding means that only development needs.
# development = "warn"

# A vulnerability without a fix is warned of for 30 days after its publication.
# unfixed = "warn"
# unfixed-grace = "30d"

# Packages that a scanner skips, and that is known: an own package that is on no index.
# accept-partial = ["skipped_package:my-package"]
"#;
