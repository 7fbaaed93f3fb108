//! How a venue looks from outside: its wire protocol in front of the simulated exchange.
