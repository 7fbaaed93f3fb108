//! Measures a synthetic market.
