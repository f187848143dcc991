//! Real reports of every format against an independent count of what they hold.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::PathBuf;

use vuln_gate::formats;
use vuln_gate::merge;
use vuln_gate::model::Gap;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn read(name: &str) -> Vec<vuln_gate::model::InputReport> {
    formats::read_path(
        &fixtures().join(name).display().to_string(),
        std::io::empty(),
    )
}

#[test]
fn every_report_is_counted_as_it_should_be() {
    let table = std::fs::read_to_string(fixtures().join("expected.tsv")).unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [
            file,
            outcome,
            rows,
            unique,
            critical,
            high,
            medium,
            low,
            info,
            unknown,
            ids,
        ] = cells.as_slice()
        else {
            panic!("{line}");
        };
        seen += 1;
        let inputs = read(file);
        let [input] = inputs.as_slice() else {
            wrong.push(format!("{file}: {} documents", inputs.len()));
            continue;
        };
        let counts = merge::counts(input);
        let have = format!(
            "{} {} {} {:?}",
            input.outcome.as_str(),
            counts.rows,
            counts.unique,
            counts.severities
        );
        let number = |cell: &str| cell.parse::<u64>().unwrap();
        let want = format!(
            "{outcome} {rows} {unique} {:?}",
            [critical, high, medium, low, info, unknown].map(|cell| number(cell))
        );
        if have != want {
            wrong.push(format!("{file}: {have}, wanted {want}; {:?}", input.why));
        }
        let named: Vec<&str> = counts.ids.iter().map(|id| &**id).collect();
        for id in ids.split(',').filter(|id| !id.is_empty()) {
            // SARIF rules without a result are not named by the report's findings.
            if !named.contains(&id) {
                wrong.push(format!("{file}: {id} is missing among {named:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 60, "{seen} fixtures: is the table found?");
}

#[test]
fn gaps_in_scans_are_noticed() {
    for (file, gap) in [
        ("made/dependency-check.json", Gap::AnalysisFailed),
        ("made/trivy-other-classes.json", Gap::EndOfLife),
        ("pip_audit/many_vulns.json", Gap::SkippedPackage),
        ("pip_audit/empty.json", Gap::NothingNamed),
        ("yarn_audit/yarn_audit_zero_vul.json", Gap::NothingNamed),
        ("trivy/legacy_trivy_mix.json", Gap::UnnamedRow),
    ] {
        let inputs = read(file);
        let notes = &inputs.first().unwrap().notes;
        assert!(
            notes.iter().any(|note| note.gap == gap),
            "{file}: {notes:?}"
        );
    }
}

#[test]
fn what_a_report_tells_beside_its_counts_is_read() {
    let grype = read("made/grype-new.json").remove(0);
    assert_eq!(grype.database.unwrap().to_string(), "2025-11-19T01:30:00Z");
    assert_eq!(grype.tool.as_deref(), Some("grype 0.104.0"));
    let row = grype
        .rows
        .iter()
        .find(|row| row.suppressed.is_none())
        .unwrap();
    assert!(row.known_exploited);
    assert!(row.epss.unwrap() > 0.9);
    assert_eq!(
        &*row.package.as_ref().unwrap().name,
        "org.apache.logging.log4j/log4j-core"
    );

    let trivy = read("made/trivy-other-classes.json").remove(0);
    let growl = trivy
        .rows
        .iter()
        .find(|row| &*row.id == "CVE-2017-16042")
        .unwrap();
    assert_eq!(growl.direct, Some(false));
    assert_eq!(
        growl
            .parents
            .iter()
            .map(|parent| &**parent)
            .collect::<Vec<_>>(),
        ["jest"]
    );
    assert_eq!(growl.scope, vuln_gate::model::Scope::Development);

    let npm = read("npm_audit_7_plus/many_vulns.json").remove(0);
    let debug = npm
        .rows
        .iter()
        .find(|row| &*row.package.as_ref().unwrap().name == "debug")
        .unwrap();
    assert_eq!(
        debug
            .parents
            .iter()
            .map(|parent| &**parent)
            .collect::<Vec<_>>(),
        ["vercel"]
    );
    let fix = debug.fix_by.as_ref().unwrap();
    assert_eq!(
        (&*fix.name, &*fix.version, fix.major),
        ("vercel", "32.3.0", true)
    );

    let dc = read("made/dependency-check.json").remove(0);
    assert_eq!(dc.database.unwrap().to_string(), "2025-11-23T12:13:20Z");
    assert!(dc.rows.iter().any(|row| row.known_exploited));
}

/// The scores that the reports state are those that their vectors have.
#[test]
fn computed_scores_are_those_of_nvd_and_github() {
    let mut compared = 0;
    let mut differ = Vec::new();
    for tool in ["trivy", "anchore_grype", "npm_audit_7_plus", "safety"] {
        for file in std::fs::read_dir(fixtures().join(tool)).unwrap() {
            let path = file.unwrap().path();
            for input in formats::read_path(&path.display().to_string(), std::io::empty()) {
                for row in &input.rows {
                    // A stated score that differs from its vector's is kept beside it, without a vector.
                    for rating in row.ratings.iter().filter(|rating| rating.score.is_some()) {
                        compared += 1;
                        if rating.vector.is_none() {
                            differ.push(format!("{}: {} {rating:?}", path.display(), row.id));
                        }
                    }
                }
            }
        }
    }
    assert!(compared > 100, "{compared} scores");
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
