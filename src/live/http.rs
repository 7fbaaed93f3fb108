//! Requests out, replies in: one warm pool of connections, three lanes, nothing retried.
//!
//! HTTP/1.1 carries one request a connection, so no request waits for another's reply on the
//! wire. Each [`Urgency`] has its own bound of requests in flight: cancels have their own and can
//! never stand behind orders or queries. An order over its bound is refused at once
//! ([`NoReply::NotSent`]), because an order that waits is an order on an old price; cancels and
//! background requests wait in a bounded queue.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::FuturesUnordered;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use rustls::ClientConfig;
use secrecy::ExposeSecret;

use super::reach;
use crate::domain::{Ts, VenueId};
use crate::venues::{HttpReply, HttpRequest, Method, NoReply, Reply, Tag, Urgency};

const API_KEY: HeaderName = HeaderName::from_static("x-mbx-apikey");

/// Bounds of all requests of a process.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For name look-up, TCP and TLS of a new connection; its end is certain failure.
    pub connect_timeout: Duration,
    /// Close a pooled connection after this long without use; below the venues' own limit, so that
    /// a request does not meet a closing connection.
    pub idle: Duration,
    /// Largest reply body accepted, bytes.
    pub max_body_bytes: usize,
    /// Cancels in flight at once.
    pub cancels: usize,
    /// Orders in flight at once; one more is not sent.
    pub orders: usize,
    /// Other requests in flight at once.
    pub background: usize,
    /// Cancels, and likewise other requests, that may wait; one more is not sent.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect_timeout: Duration::from_secs(3),
            idle: Duration::from_secs(50),
            max_body_bytes: 32 << 20,
            cancels: 64,
            orders: 64,
            background: 16,
            waiting: 256,
        }
    }
}

/// A request that has come to its end.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) venue: VenueId,
    pub(super) tag: Tag,
    pub(super) reply: Reply,
    /// Of one that was sent.
    pub(super) lane: Option<Urgency>,
}

type Flight = Pin<Box<dyn Future<Output = Landed> + Send>>;

struct Waiting {
    venue: VenueId,
    request: HttpRequest,
}

/// All requests of a process.
pub(super) struct Http {
    client: reqwest::Client,
    endpoints: Endpoints,
    limits: Limits,
    flights: FuturesUnordered<Flight>,
    in_flight: [usize; 3],
    waiting: [VecDeque<Waiting>; 3],
}

fn lane_index(lane: Urgency) -> usize {
    match lane {
        Urgency::Cancel => 0,
        Urgency::Order => 1,
        Urgency::Background => 2,
    }
}

impl Http {
    pub(super) fn new(limits: Limits, tls: &Arc<ClientConfig>) -> Result<Http, String> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(tls))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(15))
            .connect_timeout(limits.connect_timeout)
            .pool_idle_timeout(limits.idle)
            .user_agent(concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| format!("the HTTP client cannot be made: {}", words(e)))?;
        Ok(Http {
            client,
            endpoints: Endpoints::default(),
            limits,
            flights: FuturesUnordered::new(),
            in_flight: [0; 3],
            waiting: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
        })
    }

    /// Send a request, or say at once why it is not sent. It is on its way to the socket only
    /// after the next [`Http::poll`].
    pub(super) fn send(&mut self, now: Ts, venue: VenueId, request: HttpRequest) -> Option<Landed> {
        let lane = lane_index(request.urgency);
        let (bound, may_wait) = match request.urgency {
            Urgency::Cancel => (self.limits.cancels, true),
            Urgency::Order => (self.limits.orders, false),
            Urgency::Background => (self.limits.background, true),
        };
        if self.in_flight[lane] < bound {
            return self.launch(now, venue, &request);
        }
        if may_wait && self.waiting[lane].len() < self.limits.waiting {
            self.waiting[lane].push_back(Waiting { venue, request });
            return None;
        }
        let why = format!("{} requests of its kind are in flight", self.in_flight[lane]);
        Some(not_sent(now, venue, request.tag, why))
    }

    fn launch(&mut self, now: Ts, venue: VenueId, request: &HttpRequest) -> Option<Landed> {
        let tag = request.tag;
        let urgency = request.urgency;
        let limit = self.limits.max_body_bytes;
        let built = match self.endpoints.build(request) {
            Ok(built) => built,
            Err(why) => return Some(not_sent(now, venue, tag, why)),
        };
        let client = self.client.clone();
        self.in_flight[lane_index(urgency)] += 1;
        self.flights.push(Box::pin(async move {
            let outcome = exchange(client, built, limit).await;
            Landed { venue, tag, reply: Reply { outcome, sent_at: now }, lane: Some(urgency) }
        }));
        None
    }

    /// Drive requests on and hand out the next that has ended. `now` stamps those that leave the
    /// queue.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Ts) -> Poll<Landed> {
        match Pin::new(&mut self.flights).poll_next(cx) {
            Poll::Ready(Some(landed)) => {
                let refused = landed.lane.and_then(|lane| self.release(now, lane));
                if let Some(refused) = refused {
                    // Rare (a waiting request that cannot be built): it lands next.
                    self.in_flight[2] += 1;
                    self.flights.push(Box::pin(std::future::ready(Landed {
                        lane: Some(Urgency::Background),
                        ..refused
                    })));
                }
                Poll::Ready(landed)
            }
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn release(&mut self, now: Ts, lane: Urgency) -> Option<Landed> {
        let index = lane_index(lane);
        self.in_flight[index] = self.in_flight[index].saturating_sub(1);
        let next = self.waiting[index].pop_front()?;
        self.launch(now, next.venue, &next.request)
    }

    /// Requests that have not ended, waiting ones included.
    pub(super) fn open_requests(&self) -> usize {
        self.flights.len() + self.waiting.iter().map(VecDeque::len).sum::<usize>()
    }
}

fn not_sent(now: Ts, venue: VenueId, tag: Tag, why: String) -> Landed {
    let reply = Reply { outcome: Err(NoReply::NotSent(why)), sent_at: now };
    Landed { venue, tag, reply, lane: None }
}

/// Endpoints remembered; more than all venues have.
const MAX_ENDPOINTS: usize = 256;

/// Every endpoint that was asked, read and permitted once: reading the URL of an order anew costs
/// as much as signing it.
#[derive(Default)]
struct Endpoints {
    /// By what stands before the query.
    known: BTreeMap<String, reqwest::Url>,
}

impl Endpoints {
    fn build(&mut self, request: &HttpRequest) -> Result<reqwest::Request, String> {
        let url = self.url(&request.url, request.label)?;
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut built = reqwest::Request::new(method, url);
        *built.timeout_mut() = Some(request.timeout.to_std());
        if matches!(request.method, Method::Post | Method::Put) {
            // RFC 9110, 8.6; front ends may answer 411 without it, and hyper leaves it out.
            built.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Some(key) = &request.api_key {
            let mut value = HeaderValue::from_str(key.expose_secret())
                .map_err(|_| "the API key holds characters that no header can carry".to_owned())?;
            value.set_sensitive(true);
            built.headers_mut().insert(API_KEY, value);
        }
        Ok(built)
    }

    fn url(&mut self, text: &str, label: &str) -> Result<reqwest::Url, String> {
        let (endpoint, query) = match text.split_once('?') {
            Some((endpoint, query)) => (endpoint, Some(query)),
            None => (text, None),
        };
        let mut url = match self.known.get(endpoint) {
            Some(url) => url.clone(),
            None => self.learn(endpoint, label)?,
        };
        url.set_query(query);
        Ok(url)
    }

    fn learn(&mut self, endpoint: &str, label: &str) -> Result<reqwest::Url, String> {
        let url = reqwest::Url::parse(endpoint)
            .map_err(|_| format!("the URL of {label} cannot be read"))?;
        reach::permitted(url.scheme(), url.host_str().unwrap_or_default())?;
        if self.known.len() < MAX_ENDPOINTS {
            self.known.insert(endpoint.to_owned(), url.clone());
        }
        Ok(url)
    }
}

async fn exchange(
    client: reqwest::Client,
    request: reqwest::Request,
    max_body_bytes: usize,
) -> Result<HttpReply, NoReply> {
    let mut response = client.execute(request).await.map_err(|e| {
        // A connection that was never made carried nothing; everything else may have arrived.
        if e.is_connect() || e.is_builder() {
            NoReply::NotSent(words(e))
        } else {
            NoReply::Lost(words(e))
        }
    })?;
    let mut reply = HttpReply {
        status: response.status().as_u16(),
        used_weight_1m: number(response.headers(), "x-mbx-used-weight-1m"),
        order_count_10s: number(response.headers(), "x-mbx-order-count-10s"),
        retry_after_s: number(response.headers(), "retry-after"),
        body: String::new(),
    };
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| NoReply::Lost(words(e)))? {
        if body.len() + chunk.len() > max_body_bytes {
            let status = reply.status;
            let text = format!("HTTP {status} with a body above {max_body_bytes} bytes");
            return Err(NoReply::Lost(text));
        }
        body.extend_from_slice(&chunk);
    }
    reply.body = String::from_utf8(body)
        .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    Ok(reply)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u32> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// An error and its causes in words, without the URL: that holds a signature.
fn words(error: reqwest::Error) -> String {
    let timed_out = error.is_timeout();
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    if timed_out { format!("no reply in time ({text})") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Span;

    fn http(limits: Limits) -> Http {
        Http::new(limits, &reach::client_config(&[]).unwrap()).unwrap()
    }

    fn request(tag: u64, url: &str, urgency: Urgency) -> HttpRequest {
        HttpRequest {
            tag: Tag(tag),
            method: Method::Get,
            url: url.to_owned(),
            api_key: None,
            label: "GET /test",
            timeout: Span::from_ms(1000),
            urgency,
        }
    }

    #[test]
    fn plain_http_to_others_is_never_sent_and_the_url_is_not_told() {
        let mut http = http(Limits::default());
        let url = "http://example.org/order?signature=secret";
        let landed = http.send(Ts(1), VenueId(0), request(7, url, Urgency::Order)).unwrap();
        let Err(NoReply::NotSent(why)) = landed.reply.outcome else { panic!("was sent") };
        assert!(why.contains("plain http") && !why.contains("secret"), "{why}");
        assert_eq!(landed.tag, Tag(7));
    }

    #[test]
    fn cancels_have_a_lane_of_their_own_and_orders_never_wait() {
        let mut http = http(Limits { orders: 1, cancels: 1, waiting: 1, ..Limits::default() });
        let url = "https://127.0.0.1:1/";
        let venue = VenueId(0);
        assert!(http.send(Ts(1), venue, request(1, url, Urgency::Order)).is_none());
        let second = http.send(Ts(1), venue, request(2, url, Urgency::Order)).unwrap();
        assert!(matches!(second.reply.outcome, Err(NoReply::NotSent(_))));
        assert!(http.send(Ts(1), venue, request(3, url, Urgency::Cancel)).is_none(), "in flight");
        assert_eq!(http.in_flight, [1, 1, 0]);
        assert!(http.send(Ts(1), venue, request(4, url, Urgency::Cancel)).is_none(), "waits");
        let overflow = http.send(Ts(1), venue, request(5, url, Urgency::Cancel)).unwrap();
        assert!(matches!(overflow.reply.outcome, Err(NoReply::NotSent(_))));
        assert_eq!(http.open_requests(), 3);
    }
}
