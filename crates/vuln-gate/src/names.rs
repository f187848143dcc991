//! One name for one package, however the scanners write it.

use percent_encoding::percent_decode_str;

/// The package URL type that a scanner's own word means; an unknown word stays as it is, in lower case.
#[must_use]
pub fn ecosystem(word: &str) -> Option<String> {
    let word = word.trim().to_ascii_lowercase();
    // OSV writes `Debian:11` and `Alpine:v3.9`.
    let plain = word.split(':').next().unwrap_or_default();
    let known = match plain {
        "" | "unknown" | "unknownpackage" => return None,
        "pip" | "pipenv" | "poetry" | "pylock" | "python" | "python-pkg" | "pypi" | "uv"
        | "conda-pkg" | "conda-environment" => "pypi",
        "npm" | "yarn" | "pnpm" | "bun" | "node-pkg" | "javascript" | "nodejs" => "npm",
        "cargo" | "rust" | "rustbinary" | "rust-crate" | "crates.io" => "cargo",
        "gomod" | "gobinary" | "go" | "go-module" | "golang" => "golang",
        "jar" | "pom" | "gradle" | "gradle-lockfile" | "sbt" | "java" | "java-archive"
        | "jenkins-plugin" | "maven" => "maven",
        "bundler" | "gemspec" | "gem" | "rubygems" | "ruby" => "gem",
        "composer"
        | "composer-vendor"
        | "php-composer"
        | "php-composer-installed-plugin"
        | "php"
        | "packagist" => "composer",
        "nuget" | "dotnet" | "dotnet-core" | "packages-props" => "nuget",
        "hex" | "mix" | "mix-lock" | "erlang" => "hex",
        "pub" | "dart" | "dart-pub" => "pub",
        "cocoapods" | "pod" => "cocoapods",
        "swift" | "swifturl" => "swift",
        "conan" | "conancenter" => "conan",
        "debian" | "ubuntu" | "deb" | "echo" => "deb",
        "alpine" | "wolfi" | "chainguard" | "apk" => "apk",
        "redhat" | "red hat" | "centos" | "rocky" | "rocky linux" | "alma" | "almalinux"
        | "amazon" | "oracle" | "fedora" | "suse" | "opensuse" | "photon" | "azurelinux"
        | "cbl-mariner" | "rpm" => "rpm",
        _ if plain.starts_with("opensuse") || plain.starts_with("suse") => "rpm",
        _ => plain,
    };
    Some(known.to_owned())
}

/// A name as its ecosystem compares names.
#[must_use]
pub fn normalised(ecosystem: Option<&str>, name: &str) -> String {
    let name = name.trim();
    match ecosystem {
        // PEP 503: any run of `-`, `_` and `.` is one `-`.
        Some("pypi") => {
            let mut out = String::with_capacity(name.len());
            let mut joined = false;
            for character in name.chars() {
                if matches!(character, '-' | '_' | '.') {
                    joined = true;
                    continue;
                }
                if joined && !out.is_empty() {
                    out.push('-');
                }
                joined = false;
                out.extend(character.to_lowercase());
            }
            out
        }
        Some("npm" | "nuget" | "composer" | "deb" | "apk") => name.to_lowercase(),
        // crates.io takes `_` and `-` for the same name.
        Some("cargo") => name.to_lowercase().replace('_', "-"),
        Some("maven") => name.replacen('/', ":", 1),
        _ => name.to_owned(),
    }
}

/// What a package URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purl {
    /// Its type.
    pub ecosystem: String,
    /// Its name with the namespace where that is part of the name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
}

/// Reads a package URL: <https://github.com/package-url/purl-spec>, "Rules for each purl component".
#[must_use]
pub fn purl(text: &str) -> Option<Purl> {
    let rest = text.trim().strip_prefix("pkg:")?.trim_start_matches('/');
    let rest = rest.split('#').next()?;
    let rest = rest.split('?').next()?;
    let (kind, path) = rest.split_once('/')?;
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    // A scope of npm begins with `@`, as a version does: the version's is behind the last `/`.
    let (folder, last) = path.rsplit_once('/').map_or(("", path), |(a, b)| (a, b));
    let (name, version) = match last.split_once('@') {
        Some((name, version)) if !name.is_empty() => (name, Some(decode(version))),
        _ => (last, None),
    };
    let namespace = folder
        .split('/')
        .filter(|part| !part.is_empty())
        .map(decode)
        .collect::<Vec<_>>()
        .join("/");
    let kind = ecosystem(kind)?;
    let name = decode(name);
    if name.is_empty() {
        return None;
    }
    let name = match kind.as_str() {
        // The namespace is the distribution.
        "deb" | "apk" | "rpm" => name,
        _ if namespace.is_empty() => name,
        "maven" => format!("{namespace}:{name}"),
        _ => format!("{namespace}/{name}"),
    };
    Some(Purl {
        name: normalised(Some(&kind), &name),
        ecosystem: kind,
        version: version.filter(|version| !version.is_empty()),
    })
}

/// Whether an id is one that a database of vulnerabilities gave: it begins as theirs do.
#[must_use]
pub fn is_advisory(id: &str) -> bool {
    const KNOWN: [&str; 24] = [
        "CVE-",
        "GHSA-",
        "PYSEC-",
        "RUSTSEC-",
        "MAL-",
        "GO-",
        "OSV-",
        "SNYK-",
        "DSA-",
        "DLA-",
        "USN-",
        "RHSA-",
        "ALAS",
        "ELSA-",
        "GMS-",
        "BIT-",
        "ALSA-",
        "RLSA-",
        "TEMP-",
        "ALPINE-",
        "SUSE-SU-",
        "UBUNTU-CVE-",
        "DEBIAN-CVE-",
        "NSWG-",
    ];
    KNOWN.iter().any(|known| id.starts_with(known))
}

/// Better known ids first: the place in the order in which people look.
#[must_use]
pub fn fame(id: &str) -> usize {
    const ORDER: [&str; 6] = ["CVE-", "GHSA-", "MAL-", "RUSTSEC-", "PYSEC-", "GO-"];
    let place = ORDER.iter().position(|known| id.starts_with(known));
    place.unwrap_or(ORDER.len() + usize::from(!is_advisory(id)))
}

/// The advisory ids that stand in a text, such as a URL that ends with a GHSA.
pub fn ids_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !(character.is_ascii_alphanumeric() || character == '-'))
        .filter(|part| part.starts_with("GHSA-") && part.len() == 19 || is_cve(part))
}

/// Whether this is `CVE-YEAR-NUMBER`.
#[must_use]
pub fn is_cve(text: &str) -> bool {
    let digits = |text: &str, least: usize| {
        text.len() >= least && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    text.strip_prefix("CVE-")
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(year, number)| year.len() == 4 && digits(year, 4) && digits(number, 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn package_urls_of_every_kind() {
        for (text, kind, name, version) in [
            (
                "pkg:pypi/Ruamel_Yaml@0.1",
                "pypi",
                "ruamel-yaml",
                Some("0.1"),
            ),
            (
                "pkg:npm/%40babel/core@7.0.0",
                "npm",
                "@babel/core",
                Some("7.0.0"),
            ),
            ("pkg:npm/@babel/core", "npm", "@babel/core", None),
            (
                "pkg:maven/org.x/y@1?type=jar",
                "maven",
                "org.x:y",
                Some("1"),
            ),
            (
                "pkg:deb/debian/bash@5.0-4?arch=amd64",
                "deb",
                "bash",
                Some("5.0-4"),
            ),
            (
                "pkg:golang/github.com/a/b@v2.7.1%2Bincompatible#sub",
                "golang",
                "github.com/a/b",
                Some("v2.7.1+incompatible"),
            ),
        ] {
            let read = purl(text).unwrap();
            assert_eq!(
                (
                    read.ecosystem.as_str(),
                    read.name.as_str(),
                    read.version.as_deref()
                ),
                (kind, name, version),
                "{text}"
            );
        }
        for text in ["", "npm/x@1", "pkg:npm", "pkg:npm/"] {
            assert_eq!(purl(text), None, "{text}");
        }
    }

    #[test]
    fn pep_503_joins_runs() {
        assert_eq!(
            normalised(Some("pypi"), "Zope.-_Interface"),
            "zope-interface"
        );
        assert_eq!(normalised(Some("npm"), "@Scope/Name"), "@scope/name");
        assert_eq!(normalised(None, "Left As Is"), "Left As Is");
    }

    #[test]
    fn ids_are_found_in_addresses() {
        let ids: Vec<&str> =
            ids_in("https://github.com/advisories/GHSA-gxpj-cx7g-858c?x=CVE-2021-44228").collect();
        assert_eq!(ids, ["GHSA-gxpj-cx7g-858c", "CVE-2021-44228"]);
        assert_eq!(ids_in("CVE-21-1 GHSA-short").count(), 0);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_purl_panic(text in ".{0,60}") {
            let _ = purl(&format!("pkg:{text}"));
            let _ = ids_in(&text).count();
        }

        #[test]
        fn normalising_twice_changes_nothing(name in "[A-Za-z0-9._-]{1,20}") {
            let once = normalised(Some("pypi"), &name);
            prop_assert_eq!(normalised(Some("pypi"), &once), once);
        }
    }
}
