//! What we connect to, and by what we believe that it is who it says.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// A file of certificates that cannot be used.
#[derive(Debug)]
pub struct CaFileError {
    path: PathBuf,
    why: String,
}

impl fmt::Display for CaFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "ca_file {path}: {}; allowed: PEM with one certificate or more", self.why)
    }
}

impl std::error::Error for CaFileError {}

/// TLS 1.2 and 1.3 with the system's roots and those of `ca_files`, shared by HTTP and websockets.
///
/// # Errors
/// A `ca_file` that cannot be read or holds no certificate. Missing system roots are no error
/// here: connections to venues that need them fail, with words.
pub fn client_config(ca_files: &[PathBuf]) -> Result<Arc<ClientConfig>, CaFileError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for path in ca_files {
        add_file(&mut roots, path).map_err(|why| CaFileError { path: path.clone(), why })?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| e.to_string())?;
    let mut found = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| e.to_string())?;
        roots.add(certificate).map_err(|e| e.to_string())?;
        found += 1;
    }
    if found == 0 { Err("no certificate in it".to_owned()) } else { Ok(()) }
}

/// Whether `host` (a name or an address, with or without brackets) is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a URL of that scheme and host may be used: encrypted anywhere, plain on this machine.
///
/// # Errors
/// The words for whoever configured it, without the URL.
pub fn permitted(scheme: &str, host: &str) -> Result<(), String> {
    match scheme {
        "https" | "wss" => Ok(()),
        "http" | "ws" if is_loopback(host) => Ok(()),
        "http" | "ws" => Err(format!(
            "plain {scheme} to {host} is not allowed: use https or wss, or a loopback address"
        )),
        _ => Err(format!("scheme {scheme} is not one of https, wss, http, ws")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_on_this_machine() {
        for host in ["127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST", "::1", "[::1]"] {
            assert_eq!(permitted("ws", host), Ok(()), "{host}");
        }
        for host in ["10.0.0.1", "0.0.0.0", "localhost.example.org", "127.0.0.1.nip.io", ""] {
            assert!(permitted("http", host).is_err(), "{host}");
            assert_eq!(permitted("https", host), Ok(()), "{host}");
        }
        assert!(permitted("ftp", "127.0.0.1").is_err());
    }

    #[test]
    fn a_ca_file_without_certificates_is_refused_with_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, "nothing\n").unwrap();
        let error = client_config(std::slice::from_ref(&path)).unwrap_err().to_string();
        assert!(error.contains("ca.pem") && error.contains("no certificate"), "{error}");
        let missing = client_config(&[dir.path().join("none.pem")]).unwrap_err().to_string();
        assert!(missing.contains("none.pem"), "{missing}");
    }
}
