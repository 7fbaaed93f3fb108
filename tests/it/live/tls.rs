//! Private certificate authorities.

use super::*;

fn tls_file(name: &str) -> std::path::PathBuf {
    std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls")).join(name)
}

/// An encrypted venue that answers every request with `{}`, websocket upgrades included. Its
/// certificate is for localhost and 127.0.0.1, by an authority that only the tests know.
fn tls_venue(host: &str) -> u16 {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let chain = CertificateDer::pem_file_iter(tls_file("server.pem")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(tls_file("server.key")).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = std::sync::Arc::new(config);
    let listener = TcpListener::bind((host, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for tcp in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, tcp.unwrap());
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                drop(stream.write_all(reply).and_then(|()| stream.flush()).err());
            }
        }
    });
    port
}

fn encrypted(ca_files: Vec<std::path::PathBuf>, host: &str) -> (Result<u16, NoReply>, String) {
    let mut params = params();
    params.ca_files = ca_files;
    params.link.connect_spacing = PATIENCE;
    let authority = format!("{host}:{}", tls_venue(host));
    let run = start(params, move |saw, out| {
        if matches!(saw, Saw::Started) {
            out.frames.push(request(1, format!("https://{authority}/order"), Urgency::Order));
        }
        if matches!(saw, Saw::Reply(..)) {
            out.frames.push(connect(format!("wss://{authority}/ws")));
        }
    });
    let reply = run.wait_reply(1).outcome.map(|reply| reply.status);
    let why = run.wait_closed();
    run.stop();
    (reply, why)
}

#[test]
fn a_private_authority_is_trusted_when_configured() {
    for host in ["localhost", "127.0.0.1"] {
        let (reply, why) = encrypted(vec![tls_file("ca.pem")], host);
        assert_eq!(reply, Ok(200));
        assert!(why.contains("upgrade refused with HTTP 200"), "{why}");
    }
}

#[test]
fn an_unknown_authority_or_a_wrong_name_is_certain_failure() {
    for (ca_files, host) in [(Vec::new(), "localhost"), (vec![tls_file("ca.pem")], "127.0.0.2")] {
        let (reply, why) = encrypted(ca_files, host);
        assert!(matches!(reply, Err(NoReply::NotSent(_))), "{host}: {reply:?}");
        assert!(why.contains("certificate"), "{host}: {why}");
    }
}
