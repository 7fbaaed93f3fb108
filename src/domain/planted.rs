//! Which bug is planted? None, except in the build that proves that the simulation finds bugs.
//!
//! With the feature `planted`, which nothing ships with, one bug of [`BUGS`] can be chosen for the
//! process. Without it [`planted`] is the constant `false`, and the branches are not compiled.

/// Every bug that can be planted: its name and what it does.
pub const BUGS: &[(&str, &str)] = &[
    ("503_is_a_refusal", "an answer of unknown fate counts as a refusal"),
    ("lost_is_a_refusal", "a request without an answer counts as refused"),
    ("unknown_not_exposed", "an order of unknown fate counts in no limit"),
    ("gone_is_ended", "a cancel that finds nothing ends the order, fills or not"),
    ("fill_counted_twice", "fills are not told apart by trade id"),
    ("one_fill_an_order", "fills are told apart by order id"),
    ("old_reading_wins", "a reading that fills have overtaken replaces newer news"),
    ("no_gap_check", "a depth difference that does not follow is applied"),
    ("small_gaps_pass", "a few depth differences may be missing"),
    ("snapshot_merged", "a snapshot is merged into the old book"),
    ("loss_not_told", "a book outlives its connection"),
    ("age_ignored", "a silent book is as good as any"),
    ("no_resync", "a lost book asks for no snapshot"),
    ("retry_after_ignored", "a venue that asks for silence is asked again"),
    ("no_echo_watch", "a mute user stream is not noticed"),
    ("halt_not_latched", "a kill is forgotten at a restart"),
    ("pause_ignored", "quotes go on while paused"),
    ("hedges_not_counted", "hedges in flight count in no hedge"),
    ("cancel_all_forgets", "cancelling all forgets everything"),
    ("failed_reading_is_empty", "a reading that failed counts as an empty account"),
    ("own_cross_unchecked", "own orders may meet each other"),
    ("cancel_not_retried", "a cancel whose answer is missing is not repeated"),
    ("doubt_given_up_early", "an order in doubt is forgotten before the venue's bound"),
    ("never_asks", "an order in doubt is not asked about"),
    ("leftovers_ignored", "orders of an earlier run are left alone"),
    ("ids_repeat", "order ids begin anew with each start"),
    ("stored_after_sending", "flattening orders leave before the store knows them"),
    ("stop_unverified", "a stop believes without reading that nothing is left"),
    ("flat_claimed", "an ending says flat whatever is left"),
    ("gate_forgets_orders", "limits forget the orders that work already"),
    ("amends_ungated", "amendments pass no gate"),
    ("reducing_ignored", "a reducing state quotes as if it were not"),
    ("trades_not_read", "missed fills are not looked up"),
    ("trades_skipped", "the look-up of fills begins fifty too late"),
    ("late_fill_dropped", "a fill of an order that has ended is dropped"),
    ("base_fee_forgotten", "a fee in base does not change what is held"),
    ("filters_not_renewed", "changed filters are not learnt"),
];

#[cfg(feature = "planted")]
static CHOSEN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(usize::MAX);

/// Whether that bug is the planted one.
#[cfg(feature = "planted")]
#[must_use]
pub fn planted(bug: &str) -> bool {
    let chosen = CHOSEN.load(std::sync::atomic::Ordering::Relaxed);
    BUGS.get(chosen).is_some_and(|(name, _)| *name == bug)
}

/// Whether that bug is the planted one: never in this build.
#[cfg(not(feature = "planted"))]
#[must_use]
pub const fn planted(_bug: &str) -> bool {
    false
}

/// Plants a bug in every session of this process; a name that is none plants nothing.
#[cfg(feature = "planted")]
pub fn plant(bug: &str) {
    let place = BUGS.iter().position(|(name, _)| *name == bug).unwrap_or(usize::MAX);
    CHOSEN.store(place, std::sync::atomic::Ordering::Relaxed);
}
