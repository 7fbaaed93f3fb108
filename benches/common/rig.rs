//! The real spot session before the simulated exchange, without sockets.

#![allow(dead_code, reason = "each bench uses its part")]

use evenkeel::config::Settings;
use evenkeel::domain::*;
use evenkeel::sim::faces::LocalExchange;
use evenkeel::sim::faces::faults::VenueKind;
use evenkeel::venues::{Frame, HttpReply, HttpRequest, Method, Outbox, Protocol, Reply};

use crate::{frames, local};

pub fn settings() -> Settings {
    let text = include_str!("../../config/demo.toml");
    evenkeel::config::parse(text, "config/demo.toml").unwrap().settings
}

/// The real spot session, connected to the simulated exchange, its book proven.
pub struct Session {
    pub protocol: Box<dyn Protocol>,
    pub exchange: LocalExchange,
    pub now: Ts,
    snapshot: String,
}

impl Session {
    pub fn open() -> Session {
        Session::open_on(frames::snapshot()).0
    }

    /// With this answer to the question for the book; what the session then tells.
    pub fn open_on(snapshot: String) -> (Session, Vec<Event>) {
        let settings = settings();
        let secrets = evenkeel::config::read_secrets(&settings).unwrap();
        let now = local::now();
        let mut exchange = LocalExchange::new(local::params(), now).unwrap();
        exchange.advance(now, &mut evenkeel::sim::faces::streams::Outbox::default());
        let protocol = settings.protocols(&secrets).remove(0);
        let mut session = Session { protocol, exchange, now, snapshot };
        let mut out = Outbox::default();
        session.protocol.start(now, &mut out);
        session.settle(&mut out);
        // Nothing was heard on the stream for a second, so the snapshot is asked for.
        session.now = now + Span::from_s(2);
        session.protocol.on_timeout(session.now, &mut out);
        session.settle(&mut out);
        assert!(out.events.iter().any(|event| matches!(event, Event::Book(_))), "{out:?}");
        (session, out.events)
    }

    /// Answer and open whatever is asked for, until nothing is.
    pub fn settle(&mut self, out: &mut Outbox) {
        while !out.frames.is_empty() {
            for frame in std::mem::take(&mut out.frames) {
                match frame {
                    Frame::Http(request) => {
                        let outcome = Ok(self.answer(&request));
                        let reply = Reply { outcome, sent_at: self.now };
                        self.protocol.on_reply(request.tag, self.now, reply, out);
                    }
                    Frame::Connect { link, .. } => self.protocol.on_open(link, self.now, out),
                    Frame::Close { .. } | Frame::Text { .. } | Frame::Greeting { .. } => {}
                }
            }
        }
    }

    pub fn answer(&mut self, request: &HttpRequest) -> HttpReply {
        let target = request.url.splitn(4, '/').nth(3).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        };
        if path == "api/v3/depth" {
            return HttpReply { status: 200, body: self.snapshot.clone(), ..HttpReply::default() };
        }
        let (status, body) = local::ask(
            &mut self.exchange,
            VenueKind::Spot,
            method,
            &format!("/{path}"),
            query,
            Some(local::KEY),
        );
        HttpReply { status, body, ..HttpReply::default() }
    }
}
