//! One name for one package, however the scanners write it.

use gs_common::purl::Purl;
use gs_common::versions::normal_name;

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

/// What a package URL names: its type, the name as that ecosystem compares names, and the version. The
/// namespace of a distribution's package is the distribution, and no part of its name.
#[must_use]
pub fn purl(text: &str) -> Option<(String, String, Option<String>)> {
    if !text.starts_with("pkg:") {
        return None;
    }
    let Purl {
        ecosystem: kind,
        name,
        version,
    } = Purl::read(text)?;
    let kind = ecosystem(&kind)?;
    let name = match kind.as_str() {
        "deb" | "apk" | "rpm" => name.rsplit('/').next().unwrap_or_default(),
        _ => name.as_str(),
    };
    let name = normal_name(Some(&kind), name);
    Some((kind, name, version))
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
    fn a_package_url_names_a_package_as_its_ecosystem_does() {
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
            (
                "pkg:maven/org.x/y@1?type=jar",
                "maven",
                "org.x/y",
                Some("1"),
            ),
            (
                "pkg:deb/debian/bash@5.0-4?arch=amd64",
                "deb",
                "bash",
                Some("5.0-4"),
            ),
        ] {
            let expected = (kind.to_owned(), name.to_owned(), version.map(str::to_owned));
            assert_eq!(purl(text), Some(expected), "{text}");
        }
        assert_eq!(purl("npm/x@1"), None);
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
        fn no_text_makes_it_panic(text in ".{0,60}") {
            let _ = purl(&format!("pkg:{text}"));
            let _ = ids_in(&text).count();
            let _ = ecosystem(&text);
        }
    }
}
