//! Kubeconfig files: which cluster, as whom.
//!
//! Only the members that say where the API is and who we are are read. Programs that make credentials
//! (`exec`, `auth-provider`) are not run: this tool starts nothing that a file names.

use serde::Deserialize;

/// A kubeconfig is not larger, in bytes.
const LARGEST: usize = 1 << 20;

/// What the files say, in their own words.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Kubeconfig {
    #[serde(default, rename = "current-context")]
    current_context: Option<String>,
    #[serde(default)]
    contexts: Option<Vec<Named>>,
    #[serde(default)]
    clusters: Option<Vec<Named>>,
    #[serde(default)]
    users: Option<Vec<Named>>,
}

/// One entry of a list; which member it has depends on the list.
#[derive(Clone, Debug, Deserialize)]
struct Named {
    name: String,
    #[serde(default)]
    context: Option<Context>,
    #[serde(default)]
    cluster: Option<Cluster>,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Clone, Debug, Deserialize)]
struct Context {
    cluster: String,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
}

/// Where the API is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cluster {
    /// Its URL.
    pub server: String,
    /// The authority's certificates: a file, relative to the kubeconfig.
    #[serde(default)]
    pub certificate_authority: Option<String>,
    /// The same, in base64.
    #[serde(default)]
    pub certificate_authority_data: Option<String>,
    /// Accept every certificate.
    #[serde(default)]
    pub insecure_skip_tls_verify: Option<bool>,
    /// The name that the certificate is for.
    #[serde(default)]
    pub tls_server_name: Option<String>,
    /// A proxy on the way.
    #[serde(default)]
    pub proxy_url: Option<String>,
}

/// Who we are.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct User {
    /// A bearer token.
    #[serde(default)]
    pub token: Option<String>,
    /// A file that holds one, relative to the kubeconfig.
    #[serde(default, rename = "tokenFile")]
    pub token_file: Option<String>,
    /// A client certificate: a file, relative to the kubeconfig.
    #[serde(default)]
    pub client_certificate: Option<String>,
    /// The same, in base64.
    #[serde(default)]
    pub client_certificate_data: Option<String>,
    /// Its key: a file, relative to the kubeconfig.
    #[serde(default)]
    pub client_key: Option<String>,
    /// The same, in base64.
    #[serde(default)]
    pub client_key_data: Option<String>,
    /// For basic authentication, which clusters have given up.
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    exec: Option<Program>,
    #[serde(default)]
    auth_provider: Option<Provider>,
}

#[derive(Clone, Deserialize)]
struct Program {
    #[serde(default)]
    command: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Provider {
    #[serde(default)]
    name: Option<String>,
}

/// Never with its secrets.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").finish_non_exhaustive()
    }
}

/// What is meant: one cluster, one user.
#[derive(Clone, Debug)]
pub struct Meant {
    /// The context's name.
    pub context: String,
    /// Where the API is.
    pub cluster: Cluster,
    /// Who we are.
    pub user: User,
    /// The context's namespace.
    pub namespace: Option<String>,
}

/// Why a kubeconfig is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Useless {
    /// One fragment; never with a value of the file that could be a secret.
    pub message: String,
    /// What to do.
    pub hint: String,
}

fn useless(message: impl Into<String>, hint: impl Into<String>) -> Useless {
    Useless {
        message: message.into(),
        hint: hint.into(),
    }
}

/// Reads a file's text.
///
/// # Errors
/// It is no kubeconfig. The error says where, and repeats nothing of the text.
pub fn read(text: &str) -> Result<Kubeconfig, Useless> {
    let hint = "compare it with what `kubectl config view` shows";
    if text.len() > LARGEST {
        return Err(useless("it is larger than a megabyte", hint));
    }
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map_or_else(String::new, |place| {
            format!("line {}, column {}: ", place.line(), place.column())
        });
        useless(
            format!(
                "{place}it is no kubeconfig: the YAML or its members are not as they should be"
            ),
            hint,
        )
    })
}

impl Kubeconfig {
    /// The same with what another file says of what this one does not.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        let merge = |own: &mut Option<Vec<Named>>, other: Option<Vec<Named>>| {
            let own = own.get_or_insert_default();
            for named in other.into_iter().flatten() {
                if !own.iter().any(|mine| mine.name == named.name) {
                    own.push(named);
                }
            }
        };
        let empty = self.current_context.as_deref().is_none_or(str::is_empty);
        if empty {
            self.current_context = other.current_context;
        }
        merge(&mut self.contexts, other.contexts);
        merge(&mut self.clusters, other.clusters);
        merge(&mut self.users, other.users);
        self
    }

    /// The cluster and the user of a context; without one, of the current context.
    ///
    /// # Errors
    /// There is no such context, or it names what is not there, or the user's credentials come from a program.
    pub fn meant(&self, context: Option<&str>) -> Result<Meant, Useless> {
        let all = self.contexts.as_deref().unwrap_or_default();
        let name = context
            .or(self.current_context.as_deref())
            .filter(|name| !name.is_empty())
            .ok_or_else(|| {
                useless(
                    "it has no current context",
                    "name one with --kube-context; `kubectl config get-contexts` lists them",
                )
            })?;
        let found = all.iter().find(|named| named.name == name);
        let Some(context) = found.and_then(|named| named.context.clone()) else {
            let known = all.iter().map(|named| named.name.as_str());
            let near = gs_common::config::did_you_mean(name, known);
            return Err(useless(
                format!("it has no context `{name}`"),
                near.map_or_else(
                    || "`kubectl config get-contexts` lists them".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                ),
            ));
        };
        let missing = |what: &str, of: &str| {
            useless(
                format!("context `{name}` names the {what} `{of}`, which is not there"),
                "check the file, or name another context with --kube-context",
            )
        };
        let clusters = self.clusters.as_deref().unwrap_or_default();
        let cluster = clusters
            .iter()
            .find(|named| named.name == context.cluster)
            .and_then(|named| named.cluster.clone())
            .ok_or_else(|| missing("cluster", &context.cluster))?;
        let users = self.users.as_deref().unwrap_or_default();
        let user = match &context.user {
            None => User::default(),
            Some(user) => users
                .iter()
                .find(|named| named.name == *user)
                .and_then(|named| named.user.clone())
                .ok_or_else(|| missing("user", user))?,
        };
        user.check()?;
        Ok(Meant {
            context: name.to_owned(),
            cluster,
            user,
            namespace: context.namespace.filter(|name| !name.is_empty()),
        })
    }
}

impl User {
    fn check(&self) -> Result<(), Useless> {
        let token = "make a token and a kubeconfig of its own: kubectl create token canary-monitor -n NAMESPACE";
        if let Some(program) = &self.exec {
            let command = program.command.as_deref().unwrap_or("of no name");
            return Err(useless(
                format!(
                    "its user gets credentials from the program `{command}` (exec), which is not run here"
                ),
                token,
            ));
        }
        if let Some(provider) = &self.auth_provider {
            let name = provider.name.as_deref().unwrap_or("of no name");
            return Err(useless(
                format!(
                    "its user gets credentials from the plugin `{name}` (auth-provider), which is not known here"
                ),
                token,
            ));
        }
        if self.username.is_some() && self.token.is_none() && self.token_file.is_none() {
            return Err(useless(
                "its user has a password (basic authentication), which no cluster takes any more",
                token,
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = r"
apiVersion: v1
kind: Config
current-context: staging
preferences: {}
contexts:
- name: staging
  context: {cluster: one, user: me, namespace: production}
- name: eks
  context: {cluster: one, user: aws}
- name: torn
  context: {cluster: nowhere, user: me}
clusters:
- name: one
  cluster:
    server: https://10.0.0.1:6443
    certificate-authority-data: Q0E=
users:
- name: me
  user: {token: secret-token}
- name: aws
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks, get-token], interactiveMode: Never}
- name: old
  user: {username: me, password: secret-password}
- name: gcp
  user: {auth-provider: {name: gcp}}
";

    #[test]
    fn a_context_names_cluster_and_user() {
        let meant = read(FILE).unwrap().meant(None).unwrap();
        assert_eq!(meant.cluster.server, "https://10.0.0.1:6443");
        assert_eq!(meant.user.token.as_deref(), Some("secret-token"));
        assert_eq!(meant.namespace.as_deref(), Some("production"));
        assert!(!format!("{meant:?}").contains("secret-token"));
    }

    #[track_caller]
    fn refuses(text: &str, context: Option<&str>, said: &str, hint: &str) {
        let error = read(text).and_then(|file| file.meant(context)).unwrap_err();
        assert!(error.message.contains(said), "{error}");
        assert!(error.hint.contains(hint), "{}", error.hint);
        assert!(!error.message.contains("secret"), "{error}");
    }

    #[test]
    fn what_is_of_no_use_is_said() {
        refuses(
            FILE,
            Some("eks"),
            "the program `aws` (exec)",
            "kubectl create token",
        );
        refuses(
            FILE,
            Some("stagin"),
            "no context `stagin`",
            "did you mean `staging`?",
        );
        refuses(
            FILE,
            Some("torn"),
            "the cluster `nowhere`",
            "--kube-context",
        );
        refuses(
            &FILE.replace("user: me,", "user: gcp,"),
            None,
            "auth-provider",
            "token",
        );
        refuses(
            &FILE.replace("user: me,", "user: old,"),
            None,
            "password",
            "token",
        );
        refuses("contexts: []", None, "no current context", "--kube-context");
        refuses("- a\n- b: [", None, "no kubeconfig", "kubectl");
        refuses("users: secret-token", None, "line 1", "kubectl");
        refuses(&"x".repeat(LARGEST + 1), None, "megabyte", "kubectl");
    }

    #[test]
    fn files_complete_each_other_and_the_first_wins() {
        let first = read("users:\n- name: me\n  user: {token: first-token}\n").unwrap();
        let meant = first.or(read(FILE).unwrap()).meant(None).unwrap();
        assert_eq!(meant.user.token.as_deref(), Some("first-token"));
    }

    #[test]
    fn a_file_that_unfolds_without_end_is_refused() {
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, last) in ('b'..='k').zip('a'..) {
            let nine = vec![format!("*{last}"); 9].join(", ");
            bomb += &format!("{name}: &{name} [{nine}]\n");
        }
        assert!(read(&format!("{bomb}users: *k\n")).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            if let Ok(file) = read(&text) {
                let _ = file.meant(None).is_ok();
            }
        }

        #[test]
        fn no_cut_makes_it_panic(at in 0_usize..900) {
            if let Some(Ok(file)) = FILE.get(..at).map(read) {
                let _ = file.meant(None).is_ok();
            }
        }
    }
}
