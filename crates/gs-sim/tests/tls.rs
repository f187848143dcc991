//! Certificates, judged by a client that trusts the simulation's authority.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use common::{Answer, request};
use gs_sim::{Fault, Kind, Plan, Sim, TlsMode};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, RootCertStore, Stream,
};

fn start(mode: TlsMode, faults: Vec<Fault>) -> Sim {
    Sim::start(&Plan {
        tls: Some(mode),
        faults,
        ..Plan::default()
    })
    .unwrap()
}

/// What a `GET /` for this name brings: bytes, or why there are none.
fn exchange(sim: &Sim, name: &str) -> std::io::Result<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(sim.authority_pem().unwrap().as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tcp = TcpStream::connect(sim.address())?;
    tcp.set_read_timeout(Some(common::PATIENCE))?;
    let mut stream = Stream::new(&mut client, &mut tcp);
    stream.write_all(request("GET", "/", "").as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why the client does not accept the certificate.
fn complaint(mode: TlsMode) -> CertificateError {
    let error = exchange(&start(mode, Vec::new()), "localhost").unwrap_err();
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>())
    {
        Some(Error::InvalidCertificate(why)) => why.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_valid_certificate_is_accepted_for_its_names() {
    let sim = start(TlsMode::Valid, Vec::new());
    assert!(sim.url().starts_with("https://127.0.0.1:"));
    for name in ["localhost", "127.0.0.1", "gs.example"] {
        // Read to the end, so a missing farewell of TLS would be an error here.
        assert_eq!(
            Answer::of(&exchange(&sim, name).unwrap()).status,
            200,
            "{name}"
        );
    }
}

#[test]
fn certificates_are_wrong_in_the_way_asked_for() {
    let expired = complaint(TlsMode::Expired);
    assert!(
        matches!(
            expired,
            CertificateError::Expired | CertificateError::ExpiredContext { .. }
        ),
        "{expired:?}"
    );
    let name = complaint(TlsMode::WrongName);
    assert!(
        matches!(
            name,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        ),
        "{name:?}"
    );
    assert_eq!(
        complaint(TlsMode::SelfSigned),
        CertificateError::UnknownIssuer
    );
}

#[test]
fn faults_work_under_tls_too() {
    let seen = |kind: Kind| exchange(&start(TlsMode::Valid, vec![Fault::new(kind)]), "localhost");
    assert_eq!(
        seen(Kind::Reset).unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
    assert_eq!(
        seen(Kind::Drop).unwrap_err().kind(),
        std::io::ErrorKind::UnexpectedEof
    );
    assert_eq!(
        seen(Kind::Truncated).unwrap_err().kind(),
        std::io::ErrorKind::UnexpectedEof
    );
    assert_eq!(Answer::of(&seen(Kind::HalfClosed).unwrap()).body, b"");
}

#[test]
fn the_authority_can_be_written_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let sim = start(TlsMode::Valid, Vec::new());
    sim.write_authority(&path).unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        sim.authority_pem().unwrap()
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(common::healthy().write_authority(&path).is_err());
}
