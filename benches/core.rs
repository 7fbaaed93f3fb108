//! How long the pure core takes: book updates and quoting, on synthetic frames.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use evenkeel::domain::{
    Asset, BookUpdate, Instrument, InstrumentId, InstrumentKind, Level, Money, Px, Qty, Side, Ts,
    VenueId,
};
use evenkeel::market::Book;
use evenkeel::quoting::{Inputs, LevelParams, Model, Params, Size, quote};

/// Frames of 20 changed levels, most of them near the touch, as a depth stream sends.
fn frames() -> Vec<BookUpdate> {
    let mut state = 1u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((state >> 33) % below) as i64
    };
    let mut levels = |side: Side, count: usize| -> Vec<Level> {
        (0..count)
            .map(|_| {
                let distance = draw(30) * draw(30) + 1;
                Level { px: Px(600_000).away(side, distance), qty: Qty(draw(4) * 100) }
            })
            .collect()
    };
    (0..1000)
        .map(|at| BookUpdate {
            instrument: InstrumentId(0),
            snapshot: at == 0,
            bids: levels(Side::Buy, if at == 0 { 1000 } else { 10 }),
            asks: levels(Side::Sell, if at == 0 { 1000 } else { 10 }),
            at: Ts(at),
        })
        .collect()
}

fn book_apply(c: &mut Criterion) {
    let frames = frames();
    let mut group = c.benchmark_group("book_apply");
    group.throughput(Throughput::Elements(frames.len() as u64 - 1));
    let mut start = Book::new();
    start.apply(&frames[0]);
    group.bench_function("20_levels_a_frame", |b| {
        b.iter_batched_ref(
            || start.clone(),
            |book| {
                for frame in &frames[1..] {
                    book.apply(black_box(frame));
                }
                book.touch()
            },
            criterion::BatchSize::SmallInput,
        );
    });
    let own = [(Side::Buy, Px(599_999), Qty(100)), (Side::Sell, Px(600_001), Qty(100))];
    group.throughput(Throughput::Elements(1));
    group.bench_function("touch_without_own", |b| b.iter(|| start.without_own(black_box(&own))));
    group.finish();
}

fn instrument() -> Instrument {
    Instrument {
        id: InstrumentId(0),
        venue: VenueId(0),
        symbol: "BTCUSDT".to_owned(),
        kind: InstrumentKind::LinearPerpetual,
        base: Asset::new("BTC"),
        quote: Asset::new("USDT"),
        tick_size: Money::new(1, 1),
        lot_size: Money::new(1, 3),
        min_px: Px(1),
        max_px: Px(100_000_000),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000),
        min_notional: Money::from(5),
        max_open_orders: 200,
        trading: true,
    }
}

fn quoting(c: &mut Criterion) {
    let instrument = instrument();
    let inputs = Inputs {
        instrument: &instrument,
        fair_price: 60_000.05,
        best_bid: Px(600_000),
        best_ask: Px(600_001),
        volatility_bps_sqrt_s: Some(1.2),
        intensity_a_per_s: 1.5,
        intensity_k_per_bps: 0.6,
        drift_bps_per_s: 0.0,
        inventory_base: 0.02,
        inventory_limit_base: 0.1,
        maker_fee_bps: 2.0,
    };
    let level = |i: i32| LevelParams { offset_bps: f64::from(i) * 2.0, size: Size::Quote(600.0) };
    let levels = (0..3).map(level).collect();
    let params = Params { model: Model::Glft, levels, ..Params::default() };
    let mut group = c.benchmark_group("quote");
    group.bench_function("glft_3_levels", |b| b.iter(|| quote(&params, black_box(&inputs))));
    group.finish();
}

criterion_group!(benches, book_apply, quoting);
criterion_main!(benches);
