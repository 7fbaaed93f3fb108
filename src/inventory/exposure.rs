//! How much of each base asset we hold beyond what we want, over all instruments.

use serde::Serialize;

use crate::domain::{Asset, Money};

/// What one instrument adds to an exposure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The base asset.
    pub base: Asset,
    /// Signed quantity held, in base.
    pub held_base: Money,
    /// Quantity that we want to hold, in base.
    pub target_base: Money,
    /// Price to value it at, in quote per base; `None` while unknown.
    pub price: Option<Money>,
}

/// Net exposure to one base asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetExposure {
    /// The base asset.
    pub base: Asset,
    /// Held less wanted over all instruments, in base: above zero is long.
    pub net_base: Money,
    /// The same in quote currency, each instrument at its own price; `None` when an instrument
    /// that is off its target has no price.
    pub net_quote: Option<Money>,
    /// Σ |held − wanted| over the instruments, in base: what the net hides.
    pub gross_base: Money,
}

/// The net exposure to each base asset, in the order of their codes.
#[must_use]
pub fn net_exposures(holdings: &[Holding]) -> Vec<NetExposure> {
    let mut nets: Vec<NetExposure> = Vec::new();
    for holding in holdings {
        let off_target = holding.held_base - holding.target_base;
        let index = match nets.binary_search_by(|net| net.base.cmp(&holding.base)) {
            Ok(index) => index,
            Err(index) => {
                nets.insert(
                    index,
                    NetExposure {
                        base: holding.base.clone(),
                        net_base: Money::ZERO,
                        net_quote: Some(Money::ZERO),
                        gross_base: Money::ZERO,
                    },
                );
                index
            }
        };
        let net = &mut nets[index];
        net.net_base += off_target;
        net.gross_base += off_target.abs();
        if !off_target.is_zero() {
            net.net_quote = net.net_quote.zip(holding.price).map(|(sum, p)| sum + off_target * p);
        }
    }
    nets
}
