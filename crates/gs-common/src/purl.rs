//! Package URLs: `pkg:npm/%40scope/name@1.2.3`, the one way to name a package that is the same for
//! every scanner. <https://github.com/package-url/purl-spec>

use percent_encoding::percent_decode_str;

/// The parts of a package URL that identify a package. Qualifiers and subpath are left out: they tell
/// variants of a package apart, which no exception needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purl {
    /// The type, in lower case: `npm`, `pypi`, `deb`.
    pub ecosystem: String,
    /// Namespace and name, decoded, with `/` between: `@scope/name`, `org.apache/commons`.
    pub name: String,
    /// The version, decoded.
    pub version: Option<String>,
}

impl Purl {
    /// Reads a package URL, with or without its `pkg:`. `None` where it is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix("pkg:").unwrap_or(text);
        let text = text.trim_start_matches('/');
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let text = text.split_once('?').map_or(text, |(before, _)| before);
        let (kind, path) = text.split_once('/')?;
        let named = !kind.is_empty()
            && kind
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'));
        if !named {
            return None;
        }
        let path = path.trim_matches('/');
        // An `@` at the start of a part is a scope that was not encoded, as many write it.
        let last = path.rfind('/').map_or(0, |slash| slash + 1);
        let (name, version) = match path[last..].rfind('@') {
            Some(at) if at > 0 => (&path[..last + at], Some(&path[last + at + 1..])),
            _ => (path, None),
        };
        let decoded = |text: &str| {
            percent_decode_str(text)
                .decode_utf8()
                .ok()
                .map(std::borrow::Cow::into_owned)
        };
        let plain = !name.contains('%') && !name.contains("//");
        let name = if plain {
            name.to_owned()
        } else {
            name.split('/')
                .filter(|part| !part.is_empty())
                .map(decoded)
                .collect::<Option<Vec<String>>>()?
                .join("/")
        };
        let version = match version {
            Some(version) if !version.is_empty() => Some(decoded(version)?),
            _ => None,
        };
        (!name.is_empty()).then(|| Self {
            ecosystem: kind.to_ascii_lowercase(),
            name,
            version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, ecosystem: &str, name: &str, version: Option<&str>) {
        let read = Purl::read(text).unwrap();
        assert_eq!(
            (
                read.ecosystem.as_str(),
                read.name.as_str(),
                read.version.as_deref()
            ),
            (ecosystem, name, version),
            "{text}"
        );
    }

    #[test]
    fn package_urls_of_the_specification() {
        check(
            "pkg:npm/%40angular/animation@12.3.1",
            "npm",
            "@angular/animation",
            Some("12.3.1"),
        );
        check(
            "pkg:npm/@angular/animation@12.3.1",
            "npm",
            "@angular/animation",
            Some("12.3.1"),
        );
        check(
            "pkg:npm/@angular/animation",
            "npm",
            "@angular/animation",
            None,
        );
        check(
            "pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie",
            "deb",
            "debian/curl",
            Some("7.50.3-1"),
        );
        check(
            "pkg:golang/google.golang.org/genproto#googleapis/api",
            "golang",
            "google.golang.org/genproto",
            None,
        );
        check(
            "pkg:maven/org.apache.xmlgraphics/batik-anim@1.9.1?packaging=sources",
            "maven",
            "org.apache.xmlgraphics/batik-anim",
            Some("1.9.1"),
        );
        check("pkg:PyPI/django@1%3A2", "pypi", "django", Some("1:2"));
        check("npm/lodash", "npm", "lodash", None);
        for wrong in [
            "",
            "pkg:",
            "pkg:npm",
            "pkg:npm/",
            "pkg:/lodash",
            "pkg:n m/x",
            "pkg:npm/%ff",
        ] {
            assert_eq!(Purl::read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(pkg:)?[a-z@/%?#.0-9é]{0,30}") {
            let _ = Purl::read(&text);
        }
    }
}
