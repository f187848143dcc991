//! TLS by rustls with ring: what is trusted, what is shown, and what is known of a session.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Certificate, Tls};

/// What a client trusts and shows.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// PEM files of authorities to trust instead of the system's.
    pub authorities: Vec<PathBuf>,
    /// Certificate chain and key (PEM files) to show to a server that asks.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Accept every certificate. The facts are still recorded.
    pub insecure: bool,
}

/// Why TLS cannot be set up. It is our own side that lacks something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TlsSetupError {
    message: String,
}

impl TlsSetupError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl TlsOptions {
    /// Builds rustls' configuration. Reads files, and the system's certificates where no authority
    /// is named (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others).
    ///
    /// # Errors
    /// A file cannot be read or holds no certificate or key, or the system has no certificates.
    pub fn build(&self) -> Result<ClientConfig, TlsSetupError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsSetupError::new(error.to_string()))?;
        let builder = if self.insecure {
            let verifier = Arc::new(AcceptAll(provider));
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        match &self.identity {
            None => Ok(builder.with_no_client_auth()),
            Some((chain, key)) => {
                let private = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unreadable("a private key", key, &error))?;
                builder
                    .with_client_auth_cert(certificates(chain)?, private)
                    .map_err(|error| {
                        TlsSetupError::new(format!(
                            "`{}` and `{}` do not make a client certificate: {error}",
                            chain.display(),
                            key.display()
                        ))
                    })
            }
        }
    }

    fn roots(&self) -> Result<RootCertStore, TlsSetupError> {
        let mut roots = RootCertStore::empty();
        if self.authorities.is_empty() {
            // The system's folder often holds a few that no one can parse; the rest counts.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsSetupError::new(
                    "this machine has no trusted certificates: install ca-certificates, \
                     or name a file with --cacert",
                ));
            }
        }
        for file in &self.authorities {
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| {
                    TlsSetupError::new(format!("`{}` is no authority: {error}", file.display()))
                })?;
            }
        }
        Ok(roots)
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable("certificates", file, &error));
    found.and_then(|certificates| {
        if certificates.is_empty() {
            return Err(TlsSetupError::new(format!(
                "`{}` holds no certificate",
                file.display()
            )));
        }
        Ok(certificates)
    })
}

fn unreadable(what: &str, file: &Path, error: &rustls::pki_types::pem::Error) -> TlsSetupError {
    TlsSetupError::new(format!(
        "cannot read {what} from `{}`: {error}",
        file.display()
    ))
}

/// What is known of a finished handshake.
pub(super) fn facts(session: &rustls::ClientConnection) -> Tls {
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
        other => format!("{other:?}"),
    };
    Tls {
        version,
        alpn: session
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned()),
        certificate: session
            .peer_certificates()
            .and_then(|chain| leaf(chain.first()?)),
    }
}

fn leaf(der: &CertificateDer<'_>) -> Option<Certificate> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let time = |at: x509_parser::time::ASN1Time| jiff::Timestamp::from_second(at.timestamp()).ok();
    let mut names = Vec::new();
    if let Ok(Some(alternative)) = parsed.subject_alternative_name() {
        for name in &alternative.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => names.extend(address(bytes)),
                _ => {}
            }
        }
    }
    Some(Certificate {
        not_before: time(parsed.validity().not_before)?,
        not_after: time(parsed.validity().not_after)?,
        names,
        issuer: parsed.issuer().to_string(),
    })
}

fn address(bytes: &[u8]) -> Option<String> {
    let address = match *bytes {
        [a, b, c, d] => std::net::IpAddr::from([a, b, c, d]),
        _ => std::net::IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(address.to_string())
}

/// Accepts every certificate, but still demands that the server holds the key to it.
#[derive(Debug)]
struct AcceptAll(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
