//! Between daemon and venue: passes everything on, changed as a test wants it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::Response;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite;

/// What is done to the traffic from a venue.
pub(super) struct Hooks {
    /// Path and query of a request, or a frame sent to the venue.
    pub(super) request: fn(&str),
    /// Path, status and body of a reply; both may be changed.
    pub(super) reply: fn(&str, &mut u16, &mut String),
    /// A frame of a stream: what is passed on instead.
    pub(super) frame: fn(String) -> Vec<String>,
}

impl Default for Hooks {
    fn default() -> Hooks {
        Hooks { request: |_| {}, reply: |_, _, _| {}, frame: |text| vec![text] }
    }
}

struct Middleman {
    /// `host:port` of the venue.
    upstream: String,
    hooks: Hooks,
    http: reqwest::Client,
}

/// Stands before the venue at `upstream`; the address to use instead. Lives as long as the test
/// process.
pub(super) fn before(upstream: &str, hooks: Hooks) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    // Another test may have been first; the provider is the same.
    drop(rustls::crypto::ring::default_provider().install_default());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let state = Arc::new(Middleman { upstream: upstream.to_owned(), hooks, http });
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, Router::new().fallback(pass).with_state(state)).await.unwrap();
        });
    });
    address.to_string()
}

async fn pass(State(own): State<Arc<Middleman>>, request: Request) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().unwrap().to_string();
    if let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        let url = format!("ws://{}{target}", own.upstream);
        return upgrade.on_upgrade(move |socket| pump(socket, url, own));
    }
    (own.hooks.request)(&target);
    let path = parts.uri.path().to_owned();
    let mut request = own.http.request(parts.method, format!("http://{}{target}", own.upstream));
    if let Some(key) = parts.headers.get("x-mbx-apikey") {
        request = request.header("x-mbx-apikey", key);
    }
    let reply = request.body(to_bytes(body, 1 << 20).await.unwrap()).send().await.unwrap();
    let mut status = reply.status().as_u16();
    let headers = reply.headers().clone();
    let mut text = reply.text().await.unwrap();
    (own.hooks.reply)(&path, &mut status, &mut text);
    let mut response = Response::builder().status(status);
    for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with("x-mbx")) {
        response = response.header(name, value);
    }
    response.body(Body::from(text)).unwrap()
}

async fn pump(mut client: WebSocket, url: String, own: Arc<Middleman>) {
    let Ok((mut venue, _)) = tokio_tungstenite::connect_async(url).await else { return };
    loop {
        tokio::select! {
            said = venue.next() => {
                let Some(Ok(said)) = said else { return };
                let tungstenite::Message::Text(text) = said else { continue };
                for text in (own.hooks.frame)(text.as_str().to_owned()) {
                    if client.send(Message::Text(text.into())).await.is_err() {
                        return;
                    }
                }
            }
            said = client.recv() => {
                let Some(Ok(said)) = said else { return };
                let Message::Text(text) = said else { continue };
                (own.hooks.request)(text.as_str());
                let text = tungstenite::Message::Text(text.as_str().into());
                if venue.send(text).await.is_err() {
                    return;
                }
            }
        }
    }
}
