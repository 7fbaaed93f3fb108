//! Where do time and bytes enter?
pub mod clock;
pub mod http;
pub mod link;
pub mod reach;
pub mod state_dir;
