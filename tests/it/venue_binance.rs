//! The Binance protocol against the payloads of its own documents.
