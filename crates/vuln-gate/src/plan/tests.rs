//! Which upgrades clear the gate.

use gs_common::finding::Severity;
use proptest::prelude::*;

use super::*;
use crate::model::{PackageRef, Row};

fn vulnerability(
    rule: &str,
    ecosystem: &str,
    name: &str,
    version: &str,
    fixed: &[&str],
) -> Vulnerability {
    Vulnerability {
        class: Class::Vulnerability,
        rule: rule.into(),
        ids: vec![rule.into()],
        severity: Severity::High,
        disagreement: None,
        malicious: false,
        known_exploited: false,
        rows: vec![(
            0,
            Box::new(Row {
                id: rule.into(),
                package: Some(PackageRef {
                    ecosystem: Some(ecosystem.into()),
                    name: name.into(),
                    version: (!version.is_empty()).then(|| version.into()),
                    purl: None,
                }),
                fixed: fixed.iter().map(|version| (*version).into()).collect(),
                ..Row::default()
            }),
        )],
    }
}

/// Where the upgrade of `lodash` from this version goes, by the fixed versions of each flaw.
#[track_caller]
fn goes(ecosystem: &str, from: &str, fixed: &[&[&str]], to: &[&str], major: Option<bool>) {
    let found: Vec<Vulnerability> = fixed
        .iter()
        .enumerate()
        .map(|(index, fixed)| {
            vulnerability(&format!("CVE-{index}"), ecosystem, "lodash", from, fixed)
        })
        .collect();
    let plan = of(&found);
    assert_eq!(plan.steps.len(), 1, "{plan:?}");
    assert_eq!(
        (plan.steps[0].to.as_slice(), plan.steps[0].major),
        (
            &to.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>()[..],
            major
        )
    );
}

/// What is let go on the way is what would not have been told at the end, and it is counted.
#[test]
fn of_many_upgrades_those_that_clear_most_are_told() {
    let count = MOST_HELD + 500;
    let mut found: Vec<Vulnerability> = (0..count)
        .map(|index| {
            let fixed: &[&str] = if index % 2 == 0 { &["2.0.0"] } else { &[] };
            vulnerability("CVE-1", "npm", &format!("p{index:05}"), "1.0.0", fixed)
        })
        .collect();
    found.extend(
        (0..2 * count).map(|index| {
            vulnerability("CVE-1", "npm", &format!("q{index:05}"), "1.0.0", &["2.0.0"])
        }),
    );
    // The last one clears most.
    found.extend(
        ["CVE-2", "CVE-3"].map(|rule| vulnerability(rule, "npm", "z", "1.0.0", &["2.0.0"])),
    );
    let plan = of(&found);
    let told = plan.to_json();
    let steps = told["steps"].as_array().unwrap();
    let names: Vec<&str> = steps
        .iter()
        .map(|step| step["package"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), MOST_TOLD);
    assert_eq!(names[..3], ["z", "p00000", "p00002"]);
    assert_eq!(
        told["steps_left_out"],
        count / 2 + 2 * count + 1 - MOST_TOLD
    );
    assert_eq!(told["without_fix"][0]["package"], "p00001 1.0.0");
    assert_eq!(told["without_fix_left_out"], count / 2 - MOST_TOLD);
}

#[test]
fn one_upgrade_mends_all_flaws_of_a_package_and_no_more_than_that() {
    goes(
        "npm",
        "4.17.11",
        &[&["4.17.12"], &["4.17.21"], &["4.17.19"]],
        &["4.17.21"],
        Some(false),
    );
    goes(
        "npm",
        "4.17.11",
        &[&["4.17.12", "5.0.0"]],
        &["4.17.12"],
        Some(false),
    );
    goes("npm", "1.0.0", &[&["2.0.1"]], &["2.0.1"], Some(true));
    goes(
        "pypi",
        "2.0",
        &[&["2.2.28", "3.2.13", "4.0.4"], &["3.2.15", "4.0.7"]],
        &["3.2.15"],
        Some(true),
    );
    goes(
        "npm",
        "1.0.0",
        &[&[">=1.2.3"], &["1.2.1, 2.0.0"]],
        &["1.2.3"],
        Some(false),
    );
    goes(
        "npm",
        "1.0.0",
        &[&["1.1.0-rc.1", "1.1.0"]],
        &["1.1.0"],
        Some(false),
    );
}

#[test]
fn commits_and_lists_of_reports_are_understood() {
    let commit = "023a0d52f106321838ab1c0997e76693f4dcbdf6";
    goes(
        "pypi",
        "3.141.0",
        &[&[commit, "4.14.0"]],
        &["4.14.0"],
        Some(true),
    );
    goes(
        "npm",
        "3.0.0, 4.1.0",
        &[&[">=5.0.1"]],
        &["5.0.1"],
        Some(true),
    );
}

#[test]
fn a_branch_without_the_fix_is_none() {
    // 3.0.0 mends the first flaw, and its branch has the second one until 3.0.2.
    goes(
        "npm",
        "2.2.0",
        &[&["3.0.0"], &["2.3.1", "3.0.2"]],
        &["3.0.2"],
        Some(true),
    );
}

#[test]
fn where_the_order_is_not_known_no_least_version_is_claimed() {
    goes(
        "apk",
        "1:2.3-1",
        &[&["1:2.3-4"], &["1:2.3-9"]],
        &["1:2.3-4", "1:2.3-9"],
        None,
    );
    let plan = of(&[vulnerability("CVE-1", "apk", "curl", "1", &["2-x", "3-x"])]);
    assert!(
        plan.steps[0].sentence().contains("the newest of 2-x, 3-x"),
        "{}",
        plan.steps[0].sentence()
    );
    assert_eq!(plan.steps[0].command, None);
}

#[test]
fn what_no_upgrade_clears_is_left_and_told() {
    let mut malicious = vulnerability("MAL-1", "npm", "evil", "1.0.0", &["1.0.1"]);
    malicious.malicious = true;
    let mut setting = vulnerability("DS002", "npm", "x", "", &[]);
    setting.class = Class::Misconfiguration;
    let plan = of(&[
        vulnerability("CVE-1", "npm", "abandoned", "1.0.0", &[]),
        vulnerability("CVE-2", "npm", "never", "1.0.0", &["<0.0.0"]),
        malicious,
        setting,
    ]);
    assert!(plan.steps.is_empty());
    let left: Vec<&str> = plan.stuck.iter().map(|stuck| stuck.rule.as_str()).collect();
    assert_eq!(left, ["CVE-1", "MAL-1", "CVE-2", "DS002"]);
}

#[test]
fn one_upgrade_of_a_parent_clears_what_it_brings_in() {
    let fix = FixBy {
        name: "react-scripts".into(),
        version: "5.0.1".into(),
        major: true,
    };
    let found: Vec<Vulnerability> = ["nth-check", "postcss"]
        .into_iter()
        .map(|name| {
            let mut v = vulnerability(&format!("GHSA-{name}"), "npm", name, "", &["9.9.9"]);
            v.rows[0].1.fix_by = Some(Box::new(fix.clone()));
            v
        })
        .collect();
    let plan = of(&found);
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(
        plan.steps[0].sentence(),
        "upgrade react-scripts to 5.0.1, a major step that may break things; it brings in nth-check, postcss (clears 2: GHSA-nth-check, GHSA-postcss)"
    );
    assert_eq!(
        plan.next(3),
        [format!(
            "npm install react-scripts@5.0.1   # {}",
            plan.steps[0].sentence()
        )]
    );
}

#[test]
fn the_direct_parent_is_named() {
    let mut v = vulnerability("CVE-1", "npm", "minimist", "1.2.0", &["1.2.6"]);
    v.rows[0].1.direct = Some(false);
    v.rows[0].1.parents = vec!["mkdirp".into()];
    let plan = of(&[v]);
    assert_eq!(
        plan.steps[0].command.as_deref(),
        Some("npm update minimist")
    );
    assert!(plan.steps[0].sentence().contains("; mkdirp brings it in"));
}

#[test]
fn no_name_of_a_report_gets_into_a_command_that_a_shell_would_read() {
    for (name, version) in [
        ("a;reboot", "1.0.0"),
        ("--global", "1.0.0"),
        ("a", "1.0.0$(x)"),
        ("a b", "1.0.0"),
    ] {
        assert_eq!(
            command(Some("npm"), name, version, Some(true)),
            None,
            "{name} {version}"
        );
    }
    assert_eq!(
        command(Some("golang"), "golang.org/x/net", "v0.17.0", None).as_deref(),
        Some("go get golang.org/x/net@v0.17.0")
    );
}

proptest! {
    #[test]
    fn every_blocking_flaw_is_in_the_plan_exactly_once(
        list in proptest::collection::vec(("[ab]", "[0-3]\\.[0-3]\\.[0-3]", proptest::collection::vec("[0-4]\\.[0-3]\\.[0-3]", 0..3)), 0..8),
    ) {
        let found: Vec<Vulnerability> = list
            .iter()
            .enumerate()
            .map(|(index, (name, version, fixed))| {
                let fixed: Vec<&str> = fixed.iter().map(String::as_str).collect();
                vulnerability(&format!("CVE-{index}"), "npm", name, version, &fixed)
            })
            .collect();
        let plan = of(&found);
        let mut told: Vec<&str> = plan.steps.iter().flat_map(|step| &step.clears).map(String::as_str).collect();
        told.extend(plan.stuck.iter().map(|stuck| stuck.rule.as_str()));
        told.sort_unstable();
        let mut all: Vec<&str> = found.iter().map(|v| &*v.rule).collect();
        all.sort_unstable();
        prop_assert_eq!(told, all);
        for step in plan.steps.iter().filter(|step| step.to.len() == 1) {
            for v in found.iter().filter(|v| step.clears.iter().any(|rule| *rule == *v.rule)) {
                prop_assert_eq!(mends(Some("npm"), &step.to[0], &fixed_versions(v)), Some(true));
                prop_assert!(v.versions().iter().all(|from| compare(Some("npm"), &step.to[0], from).unwrap().is_gt()));
            }
        }
    }
}
