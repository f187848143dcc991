//! What was judged, as a [`Report`].

use std::collections::BTreeMap;

use gs_common::finding::{Finding, Package, Severity, Spot, Suppressed};
use gs_common::fingerprint;
use gs_common::report::{Check, Input, Quantity, Report, SCHEMA, Subject, Tool};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::judge::{self, Decision, Doubt, Effect, reason};
use crate::merge::Counts;
use crate::model::{Class, Format, InputReport, Row, Scope, Vulnerability};
use crate::run::Judged;

/// Places of one finding that are listed; a base image's flaw can be in hundreds of targets.
const MOST_PLACES: usize = 100;

/// Ids, targets and the like that are listed of one input.
const MOST_TARGETS: usize = 20;

/// Makes the findings of all vulnerabilities, in their order.
#[must_use]
pub fn findings(judged: &Judged) -> Vec<Finding> {
    let change = judged.change.as_ref();
    judged
        .vulnerabilities
        .iter()
        .zip(&judged.decisions)
        .enumerate()
        .map(|(at, (vulnerability, decision))| {
            let introduced = change.and_then(|change| change.introduced.get(at).copied());
            finding(vulnerability, decision, introduced, judged)
        })
        .collect()
}

/// Makes the report. `findings` are those of [`findings`], after exceptions have been put to them.
#[must_use]
pub fn report(
    config: &Config,
    judged: &Judged,
    mut findings: Vec<Finding>,
    started_at: Timestamp,
) -> Report {
    let warned = |at: usize, finding: &Finding| {
        finding.suppressed.is_none()
            && judged
                .decisions
                .get(at)
                .is_some_and(|decision| decision.effect == Effect::Warn)
    };
    let warns: Vec<bool> = findings
        .iter()
        .enumerate()
        .map(|(at, finding)| warned(at, finding))
        .collect();
    let tally = Tally::of(judged, &findings, &warns);
    let checks = checks(config, judged, &tally);
    let verdict = Verdict::over(checks.iter().map(|check| check.verdict));
    let worst = checks.iter().find(|check| check.verdict == verdict);
    let reason = match verdict {
        Verdict::Pass => reason::NOTHING_BLOCKS.to_owned(),
        _ => worst
            .and_then(|check| check.reason.clone())
            .unwrap_or_default(),
    };
    let summary = sentence(verdict, judged, &tally, &checks, &findings);
    let next = next(judged, verdict, &findings);
    let details = details(judged, &tally, findings.len(), config.max_findings);
    let mut not_covered = not_covered(judged, &tally);
    sort(&mut findings);
    if findings.len() > config.max_findings {
        not_covered.push(format!(
            "the report lists the worst {} of {} findings; all were judged and counted (--max-findings)",
            config.max_findings,
            findings.len()
        ));
        findings.truncate(config.max_findings);
        findings.shrink_to_fit();
    }
    Report {
        schema: SCHEMA.to_owned(),
        tool: Tool {
            name: "vuln-gate".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        subject: Subject {
            kind: "reports".to_owned(),
            name: subject(&judged.inputs),
            commit: None,
        },
        started_at,
        ended_at: Timestamp::now().max(started_at),
        verdict,
        reason,
        summary,
        next,
        checks,
        findings,
        inputs: judged
            .inputs
            .iter()
            .zip(&judged.counts)
            .map(|(input, counts)| input_of(input, counts, judged.now))
            .collect(),
        not_covered,
        series: Vec::new(),
        details,
    }
}

fn subject(inputs: &[InputReport]) -> String {
    let mut targets: Vec<&str> = inputs
        .iter()
        .filter_map(|input| input.targets.first().map(|target| &**target))
        .collect();
    targets.sort_unstable();
    targets.dedup();
    match (targets.as_slice(), inputs) {
        ([one], _) => (*one).to_owned(),
        (_, [one]) => one.path.clone(),
        (_, many) => format!("{} reports", many.len()),
    }
}

/// The worst first: what counts before what does not, then by severity, then by name.
fn sort(findings: &mut [Finding]) {
    let package = |finding: &Finding| finding.package.as_ref().map(|package| package.name.clone());
    findings.sort_by(|left, right| {
        right
            .blocking
            .cmp(&left.blocking)
            .then(left.suppressed.is_some().cmp(&right.suppressed.is_some()))
            .then(right.severity.cmp(&left.severity))
            .then_with(|| left.rule.cmp(&right.rule))
            .then_with(|| package(left).cmp(&package(right)))
            .then_with(|| left.fingerprint.cmp(&right.fingerprint))
    });
}

/// Numbers over all findings.
struct Tally {
    /// Findings that block, by class.
    blocking: BTreeMap<Class, u64>,
    /// Findings that warn, by class.
    warning: BTreeMap<Class, u64>,
    /// Findings by class and severity, suppressed ones included.
    all: BTreeMap<Class, BTreeMap<Severity, u64>>,
    suppressed: BTreeMap<String, u64>,
    rules: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn of(judged: &Judged, findings: &[Finding], warns: &[bool]) -> Self {
        let mut tally = Self {
            blocking: BTreeMap::new(),
            warning: BTreeMap::new(),
            all: BTreeMap::new(),
            suppressed: BTreeMap::new(),
            rules: BTreeMap::new(),
        };
        let both = judged.vulnerabilities.iter().zip(&judged.decisions);
        for ((finding, warns), (vulnerability, decision)) in findings.iter().zip(warns).zip(both) {
            let class = vulnerability.class;
            *tally
                .all
                .entry(class)
                .or_default()
                .entry(finding.severity)
                .or_default() += 1;
            *tally.rules.entry(decision.rule).or_default() += 1;
            if let Some(suppressed) = &finding.suppressed {
                *tally.suppressed.entry(suppressed.by.clone()).or_default() += 1;
            } else if finding.blocking {
                *tally.blocking.entry(class).or_default() += 1;
            } else if *warns {
                *tally.warning.entry(class).or_default() += 1;
            }
        }
        tally
    }

    fn blocking(&self) -> u64 {
        self.blocking.values().sum()
    }

    fn warning(&self) -> u64 {
        self.warning.values().sum()
    }

    fn total(&self) -> u64 {
        self.all.values().flat_map(BTreeMap::values).sum()
    }
}

fn plain_check(id: String, title: String) -> Check {
    Check {
        id,
        title,
        target: None,
        verdict: Verdict::Pass,
        reason: None,
        message: None,
        observed: None,
        expected: None,
        attempts: None,
        duration_ms: None,
        evidence: Vec::new(),
        reproduce: None,
        place: None,
        tags: Vec::new(),
        flaky: false,
        tries: Vec::new(),
        broken: Vec::new(),
    }
}

/// One check for each input, for what is asked of all of them, and for each class with findings.
fn checks(config: &Config, judged: &Judged, tally: &Tally) -> Vec<Check> {
    let mut checks = Vec::new();
    for class in Class::ALL {
        if let Some(check) = class_check(config, tally, class) {
            checks.push(check);
        }
    }
    for (at, input) in judged.inputs.iter().enumerate() {
        let mut check = plain_check(
            format!("input:{}", judge::shown(input)),
            format!(
                "the {} report was made by a whole scan, and lately",
                input.format
            ),
        );
        check.target = Some(input.path.clone());
        check.observed = Some(Quantity::bare(input.outcome.as_str()));
        check.expected = Some("clean or findings".to_owned());
        let mine: Vec<&Doubt> = judged
            .doubts
            .iter()
            .filter(|doubt| doubt.input == Some(at))
            .collect();
        doubt(&mut check, &mine);
        checks.push(check);
    }
    for required in &config.policy.required {
        let mut check = plain_check(
            format!("require:{required}"),
            format!("there is a report of {required}"),
        );
        let words = format!("no report of {required} ");
        let mine: Vec<&Doubt> = judged
            .doubts
            .iter()
            .filter(|doubt| {
                doubt.code == reason::REQUIRED_MISSING && doubt.words.starts_with(&words)
            })
            .collect();
        doubt(&mut check, &mine);
        checks.push(check);
    }
    for other in [reason::TARGET_MISSING, reason::BASE_UNUSABLE] {
        let mine: Vec<&Doubt> = judged
            .doubts
            .iter()
            .filter(|doubt| doubt.code == other)
            .collect();
        if !mine.is_empty() {
            let mut check = plain_check(
                other.to_owned(),
                "the reports are about what is released".to_owned(),
            );
            doubt(&mut check, &mine);
            checks.push(check);
        }
    }
    checks
}

fn class_check(config: &Config, tally: &Tally, class: Class) -> Option<Check> {
    let found: u64 = tally.all.get(&class)?.values().sum();
    let threshold = config.policy.fail_on.get(&class).copied().flatten();
    let words = threshold.map_or("never blocks".to_owned(), |severity| {
        format!("none at {severity} or above")
    });
    let mut check = plain_check(
        format!("gate:{class}"),
        format!("findings of class {class}"),
    );
    let blocking = tally.blocking.get(&class).copied().unwrap_or(0);
    let warning = tally.warning.get(&class).copied().unwrap_or(0);
    check.observed = Some(Quantity::of(blocking, "blocking"));
    check.expected = Some(words);
    if blocking > 0 {
        check.verdict = Verdict::Fail;
        check.reason = Some(reason::FINDINGS_BLOCK.to_owned());
        check.message = Some(format!(
            "{blocking} of {found} findings of class {class} block"
        ));
    } else if warning > 0 {
        check.verdict = Verdict::Warn;
        check.reason = Some(reason::FINDINGS_WARN.to_owned());
        check.message = Some(format!(
            "{warning} of {found} findings of class {class} are warned of"
        ));
    }
    Some(check)
}

fn doubt(check: &mut Check, doubts: &[&Doubt]) {
    let Some(first) = doubts
        .iter()
        .find(|doubt| !doubt.accepted)
        .or(doubts.first())
    else {
        return;
    };
    check.verdict = if first.accepted {
        Verdict::Warn
    } else {
        Verdict::Inconclusive
    };
    check.reason = Some(first.code.to_owned());
    let more = doubts.len() - 1;
    check.message = Some(if more > 0 {
        format!("{} (and {more} more of this input)", first.words)
    } else {
        first.words.clone()
    });
    check.evidence = doubts
        .iter()
        .take(50)
        .map(|doubt| gs_common::report::Evidence {
            label: doubt.code.to_owned(),
            text: doubt.words.clone(),
        })
        .collect();
}

fn sentence(
    verdict: Verdict,
    judged: &Judged,
    tally: &Tally,
    checks: &[Check],
    findings: &[Finding],
) -> String {
    let looked = judged
        .inputs
        .iter()
        .filter(|input| input.outcome.looked_at())
        .count();
    let inputs = judged.inputs.len();
    let reports = if inputs == 1 {
        "1 report".to_owned()
    } else {
        format!("{inputs} reports")
    };
    let total = tally.total();
    let suppressed: u64 = tally.suppressed.values().sum();
    let aside = if suppressed > 0 {
        format!(", {suppressed} suppressed")
    } else {
        String::new()
    };
    match verdict {
        Verdict::Fail => {
            let blocking = tally.blocking();
            let worst = findings
                .iter()
                .filter(|finding| finding.blocking && finding.suppressed.is_none())
                .max_by_key(|finding| finding.severity);
            let first = worst
                .map(|finding| format!(", the worst is {}", named(finding)))
                .unwrap_or_default();
            let lost = inputs - looked;
            let lost = if lost > 0 {
                format!("; {lost} of {reports} were not looked at")
            } else {
                String::new()
            };
            format!("{blocking} of {total} findings block{first}{aside}{lost}")
        }
        Verdict::Inconclusive => {
            let held: Vec<&Check> = checks
                .iter()
                .filter(|check| check.verdict == Verdict::Inconclusive)
                .collect();
            let first = held
                .first()
                .and_then(|check| check.message.clone())
                .unwrap_or_else(|| "nothing was judged".to_owned());
            let more = held.len().saturating_sub(1);
            let more = if more > 0 {
                format!("; {more} more reasons")
            } else {
                String::new()
            };
            format!("no verdict: {first}{more}")
        }
        Verdict::Warn => {
            let warning = tally.warning();
            if warning > 0 {
                format!("nothing blocks, {warning} of {total} findings deserve a look{aside}")
            } else {
                let message = checks
                    .iter()
                    .find(|check| check.verdict == Verdict::Warn)
                    .and_then(|check| check.message.clone());
                format!(
                    "nothing blocks among {total} findings{aside}; {}",
                    message.unwrap_or_default()
                )
            }
        }
        Verdict::Pass if total == 0 => format!("{reports}, no findings"),
        Verdict::Pass => format!("{reports}, {total} findings, none of them blocks{aside}"),
    }
}

/// `CVE-2021-1 (critical) in lodash 4.17.4`.
fn named(finding: &Finding) -> String {
    let mut text = format!("{} ({})", finding.rule, finding.severity);
    if let Some(package) = &finding.package {
        text += &format!(" in {}", package.name);
        if let Some(version) = &package.version {
            text += &format!(" {version}");
        }
    } else if let Some(place) = &finding.place {
        text += &format!(" at {place}");
    }
    text
}

fn next(judged: &Judged, verdict: Verdict, findings: &[Finding]) -> Vec<String> {
    let mut next: Vec<String> = Vec::new();
    if verdict == Verdict::Fail
        && let Some(finding) = findings
            .iter()
            .filter(|finding| finding.blocking && finding.suppressed.is_none())
            .max_by_key(|finding| finding.severity)
    {
        if let Some(package) = &finding.package
            && let Some(fixed) = &package.fixed
        {
            next.push(format!("upgrade {} to {fixed}", package.name));
        }
        let paths: Vec<&str> = judged
            .inputs
            .iter()
            .map(|input| input.path.as_str())
            .take(3)
            .collect();
        next.push(format!(
            "vuln-gate explain {} {}",
            finding.rule,
            paths.join(" ")
        ));
    }
    for doubt in judged.doubts.iter().filter(|doubt| !doubt.accepted) {
        if !next.contains(&doubt.hint) && next.len() < 5 {
            next.push(doubt.hint.clone());
        }
    }
    next
}

fn details(judged: &Judged, tally: &Tally, listed: usize, most: usize) -> Map<String, Value> {
    let severities = |counts: &BTreeMap<Severity, u64>| -> Map<String, Value> {
        Severity::ALL
            .iter()
            .map(|severity| {
                let count = counts.get(severity).copied().unwrap_or(0);
                (severity.as_str().to_owned(), count.into())
            })
            .collect()
    };
    let classes: Map<String, Value> = tally
        .all
        .iter()
        .map(|(class, counts)| (class.as_str().to_owned(), severities(counts).into()))
        .collect();
    let mut details = Map::new();
    details.insert("findings".to_owned(), tally.total().into());
    details.insert("listed".to_owned(), listed.min(most).into());
    details.insert("blocking".to_owned(), tally.blocking().into());
    details.insert("warning".to_owned(), tally.warning().into());
    details.insert("suppressed".to_owned(), json!(tally.suppressed));
    details.insert("classes".to_owned(), classes.into());
    details.insert("rules".to_owned(), json!(tally.rules));
    if let Some(change) = &judged.change {
        let introduced = change.introduced.iter().filter(|new| **new).count();
        let fixed: Vec<Value> = change
            .fixed
            .iter()
            .take(1000)
            .map(|one| {
                json!({"rule": &*one.rule, "severity": one.severity, "package": one.package().map(|package| package.name.to_string())})
            })
            .collect();
        details.insert(
            "change".to_owned(),
            json!({
                "introduced": introduced,
                "unchanged": change.introduced.len() - introduced,
                "fixed": change.fixed.len(),
                "fixed_findings": fixed,
                "base": judged.base.iter().map(judge::shown).collect::<Vec<_>>(),
            }),
        );
    }
    details
}

fn not_covered(judged: &Judged, tally: &Tally) -> Vec<String> {
    let mut sentences: Vec<String> = judged
        .doubts
        .iter()
        .map(|doubt| doubt.words.clone())
        .collect();
    let count = |rule: &str| tally.rules.get(rule).copied().unwrap_or(0);
    for (rule, words) in [
        (
            "ignored_target",
            "are in targets that `ignore-target` names",
        ),
        ("scanner_suppressed", "are suppressed by their scanners"),
        (
            "not_affected",
            "are said by their vendor not to affect the package",
        ),
        ("withdrawn", "have an advisory that was withdrawn"),
        ("unchanged", "are in the base already and do not count"),
        ("class_never_blocks", "are of a class that never blocks"),
    ] {
        let count = count(rule);
        if count > 0 {
            sentences.push(format!("{count} findings {words}"));
        }
    }
    for input in &judged.inputs {
        if input.outcome.looked_at() && judge::age_seconds(input, judged.now).is_none() {
            sentences.push(format!("{}: its age is not known", judge::shown(input)));
        }
        if input.outcome.looked_at() && input.format == Format::PipAudit {
            sentences.push(format!(
                "{}: pip-audit tells no severity",
                judge::shown(input)
            ));
        }
    }
    sentences
}

fn input_of(input: &InputReport, counts: &Counts, now: Timestamp) -> Input {
    let mut more = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            more.insert(name.to_owned(), value);
        }
    };
    put(
        "document",
        (input.document > 1).then_some(input.document).into(),
    );
    put("tool", input.tool.clone().into());
    put("why", input.why.clone().into());
    put("rows", counts.rows.into());
    put("unique", counts.unique.into());
    let severities: Map<String, Value> = Severity::ALL
        .iter()
        .zip(counts.severities)
        .map(|(severity, count)| (severity.as_str().to_owned(), count.into()))
        .collect();
    put("severities", severities.into());
    put(
        "ids",
        counts
            .ids
            .iter()
            .map(|id| Value::from(&**id))
            .collect::<Vec<_>>()
            .into(),
    );
    put("suppressed", counts.suppressed.into());
    if !counts.apart.is_empty() {
        let mut apart: Map<String, Value> = Map::new();
        for (class, severity, count) in &counts.apart {
            let class = apart
                .entry(class.as_str())
                .or_insert_with(|| Map::new().into());
            if let Some(class) = class.as_object_mut() {
                class.insert(severity.as_str().to_owned(), (*count).into());
            }
        }
        put("apart", apart.into());
    }
    put("bytes", input.bytes.into());
    put(
        "created_at",
        input.created.map(|at| format!("{at:.3}")).into(),
    );
    put(
        "database_at",
        input.database.map(|at| format!("{at:.3}")).into(),
    );
    put(
        "database_age_seconds",
        judge::database_age_seconds(input, now).into(),
    );
    let targets: Vec<Value> = input
        .targets
        .iter()
        .take(MOST_TARGETS)
        .map(|target| Value::from(&**target))
        .collect();
    if !targets.is_empty() {
        put("targets", targets.into());
    }
    if !input.stated.is_empty() {
        let stated: Map<String, Value> = input
            .stated
            .iter()
            .map(|(name, number)| ((*name).to_owned(), (*number).into()))
            .collect();
        put("stated", stated.into());
    }
    if !input.notes.is_empty() {
        let gaps: Vec<Value> = input
            .notes
            .iter()
            .map(|note| json!({"gap": note.gap.as_str(), "subject": note.subject, "message": note.message}))
            .collect();
        put("gaps", gaps.into());
    }
    Input {
        path: input.path.clone(),
        format: input.format.as_str().to_owned(),
        outcome: input.outcome.as_str().to_owned(),
        sha256: input.sha256.clone(),
        age_seconds: judge::age_seconds(input, now).map(|age| age.max(0.0)),
        more,
    }
}

fn finding(
    vulnerability: &Vulnerability,
    decision: &Decision,
    introduced: Option<bool>,
    judged: &Judged,
) -> Finding {
    let v = vulnerability;
    let package = v.package().map(|package| {
        let join = |list: Vec<&str>| (!list.is_empty()).then(|| list.join(", "));
        Package {
            ecosystem: package.ecosystem.as_deref().map(str::to_owned),
            name: package.name.to_string(),
            version: join(v.versions()),
            fixed: join(v.fixed()),
        }
    });
    let mut places: Vec<Spot> = Vec::new();
    for (_, row) in &v.rows {
        if let Some(spot) = spot(row)
            && places.len() < MOST_PLACES
            && !places.contains(&spot)
        {
            places.push(spot);
        }
    }
    let mut sources: Vec<String> = v
        .rows
        .iter()
        .filter_map(|(number, _)| judged.inputs.get(*number))
        .map(|input| input.format.as_str().to_owned())
        .collect();
    sources.sort();
    sources.dedup();
    let title = v.rows.iter().find_map(|(_, row)| row.title.as_deref());
    Finding {
        rule: v.rule.to_string(),
        title: title.unwrap_or(&v.rule).to_owned(),
        severity: v.severity,
        ids: v.ids.iter().map(|id| id.to_string()).collect(),
        place: places.first().cloned(),
        places,
        sources,
        fingerprint: fingerprint_of(v),
        blocking: decision.effect == Effect::Block,
        suppressed: suppressed(v, decision),
        message: Some(decision.words.clone()),
        advice: advice(v),
        more: more(v, decision, introduced),
        package,
    }
}

/// What stays the same over runs: class, package, and the id that people know it by; without a package rule
/// and place.
fn fingerprint_of(v: &Vulnerability) -> String {
    let place = v
        .rows
        .first()
        .and_then(|(_, row)| row.path.as_deref().or(row.target.as_deref()));
    let line = v
        .rows
        .first()
        .and_then(|(_, row)| row.line)
        .map(|line| line.to_string());
    let title = v.rows.first().and_then(|(_, row)| row.title.as_deref());
    match v.package() {
        Some(package) => fingerprint::plain(
            "vuln-gate/package",
            &[
                v.class.as_str(),
                package.ecosystem.as_deref().unwrap_or_default(),
                &package.name,
                &v.rule,
            ],
        ),
        None => fingerprint::plain(
            "vuln-gate/place",
            &[
                v.class.as_str(),
                &v.rule,
                place.unwrap_or_default(),
                line.as_deref().unwrap_or_default(),
                title.unwrap_or_default(),
            ],
        ),
    }
}

fn spot(row: &Row) -> Option<Spot> {
    let path = row.path.as_deref().or(row.target.as_deref())?;
    Some(Spot {
        path: path.to_owned(),
        line: row.line,
        commit: None,
    })
}

fn suppressed(v: &Vulnerability, decision: &Decision) -> Option<Suppressed> {
    if decision.rule != "scanner_suppressed" {
        return None;
    }
    let known = v.rows.iter().find_map(|(_, row)| row.suppressed.as_ref())?;
    Some(Suppressed {
        by: "scanner".to_owned(),
        reason: known.reason.as_deref().map(str::to_owned),
        owner: None,
        expires: known.expires.map(|day| day.to_string()),
        place: known.place.as_deref().map(str::to_owned),
    })
}

fn advice(v: &Vulnerability) -> Vec<String> {
    let mut advice = Vec::new();
    if v.malicious {
        advice.push(
            "remove the package, and treat every machine that installed it as broken into"
                .to_owned(),
        );
    }
    for (_, row) in &v.rows {
        if let Some(fix) = &row.fix_by {
            let major = if fix.major { " (a major step)" } else { "" };
            let line = format!("upgrade {} to {}{major}", fix.name, fix.version);
            if !advice.contains(&line) {
                advice.push(line);
            }
        }
    }
    advice
}

fn more(v: &Vulnerability, decision: &Decision, introduced: Option<bool>) -> Map<String, Value> {
    let mut more = Map::new();
    more.insert("class".to_owned(), v.class.as_str().into());
    more.insert("effect".to_owned(), decision.effect.as_str().into());
    more.insert("decided_by".to_owned(), decision.rule.into());
    if let Some(differs) = &v.disagreement {
        more.insert(
            "severity_range".to_owned(),
            json!([differs.lowest, differs.highest]),
        );
    }
    if v.malicious {
        more.insert("malicious".to_owned(), true.into());
    }
    if v.known_exploited {
        more.insert("known_exploited".to_owned(), true.into());
    }
    let epss = v
        .rows
        .iter()
        .filter_map(|(_, row)| row.epss)
        .reduce(f32::max);
    if let Some(epss) = epss {
        // A float of 32 bits widened would show digits that nobody measured.
        let epss = (f64::from(epss) * 1e5).round() / 1e5;
        more.insert("epss".to_owned(), epss.into());
    }
    if let Some(published) = v.published() {
        more.insert("published".to_owned(), published.to_string().into());
    }
    if let Some(introduced) = introduced {
        let change = if introduced {
            "introduced"
        } else {
            "unchanged"
        };
        more.insert("change".to_owned(), change.into());
    }
    if v.rows.iter().any(|(_, row)| row.scope != Scope::Unknown) {
        let scope = if v.development_only() {
            "development"
        } else {
            "production"
        };
        more.insert("scope".to_owned(), scope.into());
    }
    let direct = v.rows.iter().filter_map(|(_, row)| row.direct).max();
    if let Some(direct) = direct {
        more.insert("direct".to_owned(), direct.into());
    }
    let mut parents: Vec<&str> = v
        .rows
        .iter()
        .flat_map(|(_, row)| &row.parents)
        .map(|parent| &**parent)
        .collect();
    parents.sort_unstable();
    parents.dedup();
    if !parents.is_empty() {
        parents.truncate(20);
        more.insert("parents".to_owned(), json!(parents));
    }
    let url = v.rows.iter().find_map(|(_, row)| row.url.as_deref());
    if let Some(url) = url {
        more.insert("url".to_owned(), url.into());
    }
    if v.rows.len() > 1 {
        more.insert("rows".to_owned(), v.rows.len().into());
    }
    more
}
