//! The session report.
