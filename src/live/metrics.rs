//! What the driver counts, as Prometheus has it. Counters and gauges are atomics; a histogram is
//! locked for as long as its twenty numbers are copied, and by nobody else.

use std::sync::{Arc, Mutex, PoisonError};

use hdrhistogram::Histogram;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram as TimeHistogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::domain::LinkKind;
use crate::venues::Urgency;

type Labels = Vec<(&'static str, String)>;

/// Nanoseconds that the histogram tells apart at most: ten seconds.
const LONGEST_NS: u64 = 10_000_000_000;

/// An empty histogram of nanoseconds, 1 ns to 10 s, two significant digits.
#[must_use]
pub fn latency_histogram() -> Histogram<u64> {
    let mut histogram =
        Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("bounds and digits are in range");
    histogram.auto(false);
    histogram
}

/// Count a latency; what is longer than the histogram counts as its longest.
pub(super) fn record(histogram: &mut Histogram<u64>, nanoseconds: u128) {
    let value = u64::try_from(nanoseconds).unwrap_or(LONGEST_NS);
    histogram.saturating_record(value.clamp(1, LONGEST_NS));
}

/// The driver's own metrics.
pub(super) struct Metrics {
    /// From a frame received to the order requests that it caused written, seconds.
    pub(super) ticks: TimeHistogram,
    round_trips: RoundTrips,
    pub(super) steps: Counter,
    pub(super) stalls: Counter,
    pub(super) clock_steps: Counter,
    pub(super) batch_limits: Counter,
    pub(super) unsent_frames: Counter,
    pub(super) not_sent: Counter,
    pub(super) lost: Counter,
    pub(super) lines_lost: Counter,
    pub(super) journal_lost: Counter,
    pub(super) journal_queue: Gauge,
    pub(super) open_requests: Gauge,
    pub(super) reactions: Reactions,
    links_open: Family<Labels, Gauge>,
    link_closes: Family<Labels, Counter>,
}

/// Reaction times.
#[derive(Clone, Debug)]
pub(super) struct Reactions {
    /// From a fill received to the quotes that answer it written, seconds.
    pub(super) requotes: TimeHistogram,
    /// From exposure past its edge to the hedge written, seconds.
    pub(super) hedges: TimeHistogram,
}

/// From 10 µs to 10.5 s, each bucket twice as wide as the one before.
fn seconds() -> TimeHistogram {
    TimeHistogram::new(exponential_buckets(10e-6, 2.0, 21))
}

/// From a request written to its reply read, seconds. A request without a reply has none: those
/// are counted as lost.
struct RoundTrips {
    orders: TimeHistogram,
    cancels: TimeHistogram,
}

impl RoundTrips {
    fn register(r: &mut Registry) -> RoundTrips {
        let both = Family::<Labels, TimeHistogram>::new_with_constructor(seconds);
        let of = |request: &str| both.get_or_create_owned(&vec![("request", request.to_owned())]);
        let own = RoundTrips { orders: of("order"), cancels: of("cancel") };
        let help = "From an order or cancel request written to the venue's reply";
        r.register_with_unit("evenkeel_order_round_trip", help, Unit::Seconds, both);
        own
    }
}

impl Default for Reactions {
    fn default() -> Reactions {
        Reactions { requotes: seconds(), hedges: seconds() }
    }
}

impl Reactions {
    fn register(r: &mut Registry) -> Reactions {
        let own = Reactions::default();
        let help = "From a fill received to the quotes that answer it written";
        let name = "evenkeel_fill_to_requote";
        r.register_with_unit(name, help, Unit::Seconds, own.requotes.clone());
        let help = "From exposure past its edge to the hedge written";
        let name = "evenkeel_edge_to_hedge";
        r.register_with_unit(name, help, Unit::Seconds, own.hedges.clone());
        own
    }
}

/// The metrics of one websocket.
#[derive(Clone, Default)]
pub(super) struct LinkMetrics {
    open: Gauge,
    closes: Counter,
}

impl LinkMetrics {
    /// It is open.
    pub(super) fn opened(&self) {
        self.open.set(1);
    }

    /// It closed, or could not be opened.
    pub(super) fn closed(&self) {
        self.open.set(0);
        self.closes.inc();
    }

    /// We closed it because it is not wanted any more.
    pub(super) fn left(&self) {
        self.open.set(0);
    }

    /// Times that it closed or could not be opened.
    pub(super) fn closes(&self) -> u64 {
        self.closes.get()
    }
}

impl Metrics {
    pub(super) fn register(registry: &Arc<Mutex<Registry>>) -> Metrics {
        let mut guard = registry.lock().unwrap_or_else(PoisonError::into_inner);
        let r = &mut *guard;
        let ticks = seconds();
        let help = "From a frame received to the order requests that it caused written";
        r.register_with_unit("evenkeel_tick_to_wire", help, Unit::Seconds, ticks.clone());
        let links_open = Family::default();
        r.register("evenkeel_link_open", "1 while the websocket is open", links_open.clone());
        let link_closes = Family::default();
        let help = "Websockets closed or not opened";
        r.register("evenkeel_link_closes", help, link_closes.clone());
        Metrics {
            ticks,
            round_trips: RoundTrips::register(r),
            steps: counter(r, "evenkeel_steps", "Steps of the core"),
            stalls: counter(r, "evenkeel_stalls", "Times that the trading thread stood still"),
            clock_steps: counter(r, "evenkeel_clock_steps", "Steps of the wall clock"),
            batch_limits: counter(r, "evenkeel_batch_limits", "Batches that reached their bound"),
            unsent_frames: counter(
                r,
                "evenkeel_ws_frames_unsent",
                "Frames for a websocket that was not open",
            ),
            not_sent: counter(r, "evenkeel_http_not_sent", "Requests that were certainly not sent"),
            lost: counter(r, "evenkeel_http_lost", "Requests without a reply, of unknown fate"),
            lines_lost: counter(r, "evenkeel_log_lines_lost", "Log lines lost to a slow log"),
            journal_lost: counter(r, "evenkeel_journal_records_lost", "Records not journaled"),
            journal_queue: gauge(r, "evenkeel_journal_queue_records", "Records yet to be written"),
            open_requests: gauge(r, "evenkeel_http_open_requests", "Requests in flight or waiting"),
            reactions: Reactions::register(r),
            links_open,
            link_closes,
        }
    }

    pub(super) fn link(&self, venue: &str, kind: LinkKind) -> LinkMetrics {
        let labels = vec![("venue", venue.to_owned()), ("link", link_name(kind).to_owned())];
        LinkMetrics {
            open: self.links_open.get_or_create_owned(&labels),
            closes: self.link_closes.get_or_create_owned(&labels),
        }
    }

    /// A venue has replied to a request of that kind.
    pub(super) fn round_trip(&self, urgency: Urgency, took_s: f64) {
        match urgency {
            Urgency::Order => self.round_trips.orders.observe(took_s),
            Urgency::Cancel => self.round_trips.cancels.observe(took_s),
            Urgency::Background => {}
        }
    }
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

/// The name of a link in metrics and status.
#[must_use]
pub fn link_name(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Market => "market",
        LinkKind::MarketSlow => "market_slow",
        LinkKind::User => "user",
    }
}
