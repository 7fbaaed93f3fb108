//! Every place where bytes that somebody else wrote are read. Nothing may panic, overflow or hang;
//! some targets check more.

mod exchange;
mod files;
mod session;

/// What reads the bytes.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 12] = [
    ("spot_frames", |data| session::frames(session::SPOT, data)),
    ("usdm_frames", |data| session::frames(session::USDM, data)),
    ("spot_replies", |data| session::replies(session::SPOT, data)),
    ("usdm_replies", |data| session::replies(session::USDM, data)),
    ("exchange_http", exchange::http),
    ("exchange_ws", exchange::websocket),
    ("tape", exchange::tape),
    ("recording", files::recording),
    ("journal", files::journal),
    ("state", files::state),
    ("config", files::config),
    ("config_exchange", files::config_exchange),
];
