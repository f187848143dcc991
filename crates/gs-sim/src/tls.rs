//! Certificates made at the start: an authority of our own, and a leaf that is right or wrong.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::plan::TlsMode;

/// What a TLS listener needs, and what its clients have to trust.
pub(crate) struct Material {
    pub acceptor: TlsAcceptor,
    pub authority_pem: String,
}

const DAY: Duration = Duration::from_secs(86_400);

/// Makes the certificates of a mode.
pub(crate) fn make(mode: TlsMode) -> io::Result<Material> {
    // A refusal of either library would be a bug of ours.
    try_make(mode).map_err(io::Error::other)
}

fn try_make(mode: TlsMode) -> Result<Material, Box<dyn std::error::Error + Send + Sync>> {
    let now = SystemTime::now();
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority
        .distinguished_name
        .push(DnType::CommonName, "gs-sim authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let names = match mode {
        TlsMode::WrongName => vec!["other.goldensignals.invalid".to_owned()],
        _ => vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
            "gs.example".to_owned(),
        ],
    };
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "gs-sim");
    // Strict clients (Python 3.13) ask for it.
    leaf.use_authority_key_identifier_extension = true;
    let (from, until) = match mode {
        TlsMode::Expired => (now - 30 * DAY, now - DAY),
        _ => (now - DAY, now + 90 * DAY),
    };
    leaf.not_before = from.into();
    leaf.not_after = until.into();
    let key = KeyPair::generate()?;
    let certificate = match mode {
        TlsMode::SelfSigned => leaf.self_signed(&key)?,
        _ => leaf.signed_by(&key, &authority)?,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Material {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        authority_pem: authority.pem(),
    })
}
