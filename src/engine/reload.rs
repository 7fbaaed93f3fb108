//! Which settings may change while we trade, and how they take effect: at once, together, and
//! without forgetting anything that has been measured.

use serde::{Deserialize, Serialize};

use super::capital::CapitalParams;
use super::params::{
    FairParams, MarketParams, Pace, Params, ReferenceParams, RiskParams, SignalUse,
};
use super::{Engine, cross_asset::Lean, desk::Desk};
use crate::domain::{Action, Note, SettingChange, Ts};
use crate::inventory::{HedgeParams, Hedger, PresenceParams};
use crate::quoting::{self, Memo};
use crate::risk::Limits;

/// The part of [`Params`] that a reload may change. What it leaves out (venues, instruments, the
/// windows of estimators) is the shape of what has been measured and needs a new start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tunables {
    /// How quotes are made.
    pub quoting: quoting::Params,
    /// When quotes are changed.
    pub pace: Pace,
    /// When a market is fit to be quoted.
    pub market: MarketParams,
    /// What is done about signals; what is measured for them stays.
    pub signals: SignalUse,
    /// What a price is held against.
    pub reference: ReferenceParams,
    /// Around which price quotes stand.
    pub fair: FairParams,
    /// How net exposure is taken off.
    pub hedge: Option<HedgeParams>,
    /// Limits over time.
    pub risk: RiskParams,
    /// What counts as making a market.
    pub presence: PresenceParams,
    /// What capital at risk is reckoned with.
    pub capital: CapitalParams,
    /// Limits of orders, in the order of the instruments.
    pub limits: Vec<Limits>,
}

impl Tunables {
    /// The part of these settings that a reload may change.
    #[must_use]
    pub fn of(params: &Params) -> Tunables {
        Tunables {
            quoting: params.quoting.clone(),
            pace: params.pace,
            market: params.market,
            signals: params.signals,
            reference: params.reference,
            fair: params.fair,
            hedge: params.hedge,
            risk: params.risk.clone(),
            presence: params.presence,
            capital: params.capital,
            limits: params.instruments.iter().map(|own| own.limits.clone()).collect(),
        }
    }

    /// As the journal keeps it.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("numbers, words and lists serialise")
    }
}

impl Engine {
    /// Takes other settings. What cannot be read changes nothing and is told as a fault of ours:
    /// whoever sent it had checked it.
    pub(super) fn reload(
        &mut self,
        changes: &[SettingChange],
        tunables: &str,
        out: &mut Vec<Action>,
    ) {
        let read: Result<Tunables, _> = serde_json::from_str(tunables);
        let tunables = match read {
            Ok(tunables) if tunables.limits.len() == self.desks.len() => tunables,
            Ok(_) => return out.push(unreadable("limits of other instruments than ours")),
            Err(error) => return out.push(unreadable(&error.to_string())),
        };
        self.retune(tunables);
        self.reloads += 1;
        self.agenda.quote_all_now();
        (0..self.groups.len()).for_each(|group| self.agenda.hedge_now(group));
        out.push(Action::Note(Note::Reloaded { changes: changes.to_vec() }));
    }

    fn retune(&mut self, tunables: Tunables) {
        for (desk, limits) in self.desks.iter_mut().zip(&tunables.limits) {
            desk.retune(limits, &tunables);
        }
        for (own, limits) in self.params.instruments.iter_mut().zip(&tunables.limits) {
            own.limits = limits.clone();
        }
        for group in &mut self.groups {
            group.fusion.retune(tunables.fair.fusion);
            group.hedger = match (group.hedger.take(), tunables.hedge) {
                (Some(hedger), Some(params)) => Some(hedger.retuned(params)),
                (None, Some(params)) => Some(Hedger::new(params)),
                (_, None) => None,
            };
        }
        self.capital.retune(tunables.capital);
        self.breaker.retune(
            tunables.risk.loss_limit_quote_session,
            tunables.risk.max_fills_per_minute_side,
            tunables.risk.max_rejects_per_10s,
        );
        let Tunables {
            quoting,
            pace,
            market,
            signals,
            reference,
            fair,
            hedge,
            risk,
            presence,
            capital,
            limits: _,
        } = tunables;
        self.params.quoting = quoting;
        self.params.pace = pace;
        self.params.market = market;
        self.params.signals = signals;
        self.params.reference = reference;
        self.params.fair = fair;
        self.params.hedge = hedge;
        self.params.risk = risk;
        self.params.presence = presence;
        self.params.capital = capital;
    }
}

impl Desk {
    fn retune(&mut self, limits: &Limits, tunables: &Tunables) {
        self.params.limits = limits.clone();
        self.presence.retune(tunables.presence);
        self.signals.retune(tunables.signals.measured);
        self.intensity.retune(
            tunables.pace.reprice_min_interval,
            tunables.market.order_arrival_per_s,
            tunables.market.order_arrival_decay_per_bps,
        );
        // A table of the model that other settings made, and what followed from it.
        self.memo = Memo::default();
        self.forecast = None;
        self.forecast_due = Ts(0);
        self.lean = Lean::default();
    }
}

fn unreadable(why: &str) -> Action {
    Action::Note(Note::Invariant { text: format!("settings of a reload cannot be read: {why}") })
}
