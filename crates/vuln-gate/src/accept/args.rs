//! What can be typed about exceptions, VEX and days to mend.

use clap::Args;

/// What was accepted on record.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Accepted on record")]
pub struct AcceptArgs {
    /// Findings that somebody accepted, with reason, owner and expiry (TOML)
    ///
    /// In a pull request on GitHub Actions the file is read from the base branch, so that a change
    /// cannot excuse itself.
    #[arg(long, value_name = "FILE")]
    pub exceptions: Option<String>,
    /// Read exceptions and VEX documents as this revision has them; `.` is the work tree
    #[arg(long, value_name = "REV")]
    pub exceptions_from: Option<String>,
    /// The longest that an exception may hold, such as 90d
    #[arg(long, value_name = "DURATION")]
    pub exceptions_longest: Option<String>,
    /// An OpenVEX or CycloneDX VEX document (JSON); repeatable
    #[arg(long, value_name = "FILE")]
    pub vex: Vec<String>,
    /// What is released, for VEX statements about it as a whole: a package URL; repeatable
    #[arg(long, value_name = "PURL")]
    pub vex_product: Vec<String>,
    /// Days to mend a severity, from its publication: within them it warns, after them it blocks
    #[arg(long, value_name = "SEVERITY=DAYS", value_delimiter = ',')]
    pub sla: Vec<String>,
}

/// Exceptions from the ignore file of another tool.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// .trivyignore, .trivyignore.yaml, .grype.yaml, .nsprc, suppressions.xml, .safety-policy.yml; `-` is stdin
    #[arg(value_name = "FILE")]
    pub file: String,
}

/// OpenVEX of our own exceptions.
#[derive(Args, Clone, Debug)]
pub struct VexArgs {
    /// Who states it: a person or an organisation
    #[arg(long, value_name = "NAME")]
    pub author: String,
    /// The document's IRI; without it one is made of its content
    #[arg(long, value_name = "IRI")]
    pub id: Option<String>,
    /// The reports that tell which packages are in use, and the exceptions
    #[command(flatten)]
    pub run: crate::args::RunArgs,
}
