//! One WebSocket connection: frames out from a bounded queue, frames in to the faces, pings.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval_at, timeout};

use super::server::Shared;
use crate::sim::faces::faults::VenueKind;
use crate::sim::faces::streams::ConnId;

/// Frames that may wait for a reader; whoever is further behind is cut off.
const QUEUE: usize = 4096;
/// How long one frame may take to leave.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// The exchange's end of a connection; dropping it cuts the connection.
#[derive(Debug)]
pub(super) struct Link {
    frames: mpsc::Sender<Arc<str>>,
    /// Dropped with the link, which the connection's task takes as the order to end at once.
    _alive: oneshot::Sender<()>,
}

/// The connection's end.
#[derive(Debug)]
pub(super) struct Outgoing {
    frames: mpsc::Receiver<Arc<str>>,
    cut: oneshot::Receiver<()>,
}

impl Link {
    pub(super) fn new() -> (Link, Outgoing) {
        let (sender, frames) = mpsc::channel(QUEUE);
        let (alive, cut) = oneshot::channel();
        (Link { frames: sender, _alive: alive }, Outgoing { frames, cut })
    }

    /// Queues a frame; false when the reader is too far behind.
    pub(super) fn send(&self, text: Arc<str>) -> bool {
        self.frames.try_send(text).is_ok()
    }
}

/// Serves until either side ends. Who sends too much is told so; a connection cut by the exchange
/// otherwise gets no closing handshake.
pub(super) async fn serve_socket(
    socket: WebSocket,
    shared: Shared,
    venue: VenueKind,
    conn: ConnId,
    outgoing: Outgoing,
) {
    let Outgoing { frames, cut } = outgoing;
    tokio::select! {
        () = exchange_frames(socket, &shared, venue, conn, frames) => {}
        _ = cut => {}
    }
    shared.close(conn);
}

async fn exchange_frames(
    socket: WebSocket,
    shared: &Shared,
    venue: VenueKind,
    conn: ConnId,
    mut frames: mpsc::Receiver<Arc<str>>,
) {
    let (mut sink, mut stream) = socket.split();
    // Documented: spot pings every 20 s and waits a minute, USD-M every 3 minutes and waits ten.
    let (every, patience) = match venue {
        VenueKind::Spot => (Duration::from_secs(20), Duration::from_secs(60)),
        VenueKind::Usdm => (Duration::from_secs(180), Duration::from_secs(600)),
    };
    let mut pings = interval_at(Instant::now() + every, every);
    let mut unanswered: Option<Instant> = None;
    loop {
        tokio::select! {
            frame = frames.recv() => {
                let Some(text) = frame else { return };
                if !write_all(&mut sink, text, &mut frames).await {
                    return;
                }
            }
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let too_many = shared.with(|local, now, out| {
                        local.ws_text(now, conn, &text, out);
                        let at = out.closes.iter().position(|closed| *closed == conn);
                        at.map(|at| out.closes.swap_remove(at)).is_some()
                    });
                    if too_many {
                        return turn_away(sink).await;
                    }
                }
                Some(Ok(Message::Pong(_))) => unanswered = None,
                Some(Ok(Message::Ping(_))) => {
                    let admitted = shared.with(|local, now, _| local.ws_admit(now, conn));
                    if !admitted {
                        return turn_away(sink).await;
                    }
                }
                Some(Ok(Message::Binary(_))) => {}
                Some(Ok(Message::Close(_))) => {
                    // The answer waits in the sink; who has gone without it needs none.
                    drop(timeout(SEND_LIMIT, sink.close()).await);
                    return;
                }
                Some(Err(_)) | None => return,
            },
            _ = pings.tick() => {
                if unanswered.is_some_and(|since| since.elapsed() >= patience) {
                    return;
                }
                unanswered.get_or_insert_with(Instant::now);
                let ping = Message::Ping(conn.0.to_string().into());
                if !delivered(&timeout(SEND_LIMIT, sink.send(ping)).await) {
                    return;
                }
            }
        }
    }
}

/// Writes a frame, and whatever waits behind it with the same write; false when it cannot leave.
async fn write_all(
    sink: &mut SplitSink<WebSocket, Message>,
    first: Arc<str>,
    frames: &mut mpsc::Receiver<Arc<str>>,
) -> bool {
    let mut next = Some(first);
    while let Some(text) = next {
        let message = Message::Text(Utf8Bytes::from(&*text));
        if !delivered(&timeout(SEND_LIMIT, sink.feed(message)).await) {
            return false;
        }
        next = frames.try_recv().ok();
    }
    delivered(&timeout(SEND_LIMIT, sink.flush()).await)
}

/// Says goodbye to a client that sends more than it may.
async fn turn_away(mut sink: SplitSink<WebSocket, Message>) {
    let reason = Utf8Bytes::from_static("Too many requests");
    let frame = CloseFrame { code: close_code::POLICY, reason };
    // Who has gone already needs no word.
    drop(timeout(SEND_LIMIT, sink.send(Message::Close(Some(frame)))).await);
}

fn delivered<E>(sent: &Result<Result<(), E>, tokio::time::error::Elapsed>) -> bool {
    matches!(sent, Ok(Ok(())))
}
