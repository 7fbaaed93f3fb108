//! What is the market doing? Books, trades, volatility and intensity, from public data.
