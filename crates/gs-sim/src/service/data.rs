//! Quotes and signals: drawn, but coherent.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The symbols that exist.
pub(super) const SYMBOLS: [&str; 10] = [
    "AAPL", "GOOGL", "MSFT", "TSLA", "SPY", "QQQ", "META", "NVDA", "AMD", "AMZN",
];

const DAY: i64 = 86_400;

/// The periods of a history, in seconds.
pub(super) const PERIODS: [(&str, i64); 6] = [
    ("1d", DAY),
    ("5d", 5 * DAY),
    ("1mo", 30 * DAY),
    ("3mo", 91 * DAY),
    ("6mo", 182 * DAY),
    ("1y", 365 * DAY),
];

/// The steps of a history, in seconds.
pub(super) const INTERVALS: [(&str, i64); 6] = [
    ("1m", 60),
    ("5m", 300),
    ("15m", 900),
    ("30m", 1800),
    ("1h", 3600),
    ("1d", DAY),
];

/// A history has at most so many rows.
const MOST_ROWS: i64 = 100;

/// A stream of numbers that belongs to a symbol (FNV-1a over the name, begun with the seed).
fn drawn(symbol: &str, seed: u64) -> fastrand::Rng {
    let hash = symbol
        .bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    fastrand::Rng::with_seed(hash)
}

fn cents(value: f64) -> f64 {
    // The addition turns a negative zero into zero.
    (value * 100.0).round() / 100.0 + 0.0
}

/// A coherent quote.
pub(super) fn quote(symbol: &str, seed: u64, now: Timestamp) -> Value {
    let mut random = drawn(symbol, seed);
    let price = cents(50.0 + 400.0 * random.f64());
    let previous = cents(price * (0.98 + 0.04 * random.f64()));
    let change = cents(price - previous);
    json!({
        "symbol": symbol, "price": price, "bid": cents(price - 0.01), "ask": cents(price + 0.01),
        "low": cents(price * 0.99), "high": cents(price * 1.01), "previous_close": previous, "change": change,
        // Not rounded, so that the sign is that of the change.
        "change_percent": change / previous * 100.0, "volume": random.u32(1000..9_000_000), "timestamp": now.to_string(),
    })
}

/// A coherent history that ends now.
pub(super) fn historical(
    symbol: &str,
    period: (&str, i64),
    interval: (&str, i64),
    seed: u64,
    now: Timestamp,
) -> Value {
    let mut random = drawn(symbol, seed);
    let mut close = 50.0 + 400.0 * random.f64();
    let rows = (period.1 / interval.1).clamp(1, MOST_ROWS);
    let data: Vec<Value> = (0..rows)
        .rev()
        .map(|back| {
            let open = close;
            close *= 0.98 + 0.04 * random.f64();
            let time = now.saturating_sub(SignedDuration::from_secs(back * interval.1)).unwrap_or(now);
            json!({
                "time": time.to_string(), "open": cents(open), "high": cents(open.max(close) * 1.001),
                "low": cents(open.min(close) * 0.999), "close": cents(close), "volume": random.u32(1000..9_000_000),
            })
        })
        .collect();
    json!({"symbol": symbol, "period": period.0, "interval": interval.0, "data": data})
}

/// A signal whose stop and target lie on the right sides of its entry.
pub(super) fn signal(symbol: &str, seed: u64, now: Timestamp) -> Value {
    let mut random = drawn(symbol, seed);
    let entry = cents(50.0 + 400.0 * random.f64());
    let buy = random.bool();
    let (stop, target) = if buy {
        (entry * 0.97, entry * 1.05)
    } else {
        (entry * 1.03, entry * 0.95)
    };
    json!({
        "id": format!("{symbol}-{:08x}", random.u32(..)), "symbol": symbol, "action": if buy { "BUY" } else { "SELL" },
        "confidence": cents(0.5 + 0.5 * random.f64()), "entry": entry, "stop_loss": cents(stop), "target": cents(target),
        "timestamp": now.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn number(value: &Value, name: &str) -> f64 {
        value[name].as_f64().unwrap()
    }

    #[test]
    fn quotes_are_coherent_for_every_seed() {
        for (symbol, seed) in SYMBOLS
            .iter()
            .flat_map(|symbol| (0..50).map(move |seed| (symbol, seed)))
        {
            let quote = quote(symbol, seed, NOW);
            let number = |name| number(&quote, name);
            assert!(
                number("low") <= number("price") && number("price") <= number("high"),
                "{quote}"
            );
            assert!(number("bid") <= number("ask"), "{quote}");
            assert_eq!(
                number("change").total_cmp(&0.0),
                number("change_percent").total_cmp(&0.0),
                "{quote}"
            );
        }
    }

    #[test]
    fn signals_have_their_levels_on_the_right_sides() {
        for (symbol, seed) in SYMBOLS
            .iter()
            .flat_map(|symbol| (0..50).map(move |seed| (symbol, seed)))
        {
            let signal = signal(symbol, seed, NOW);
            let (stop, entry, target) = (
                number(&signal, "stop_loss"),
                number(&signal, "entry"),
                number(&signal, "target"),
            );
            let rising = stop < entry && entry < target;
            let falling = target < entry && entry < stop;
            assert!(
                if signal["action"] == "BUY" {
                    rising
                } else {
                    falling
                },
                "{signal}"
            );
            assert!(
                (0.0..=1.0).contains(&number(&signal, "confidence")),
                "{signal}"
            );
        }
    }

    #[test]
    fn histories_are_coherent_and_as_long_as_asked() {
        let rows = |period, interval| {
            historical("SPY", period, interval, 1, NOW)["data"]
                .as_array()
                .unwrap()
                .clone()
        };
        assert_eq!(rows(PERIODS[2], INTERVALS[5]).len(), 30);
        assert_eq!(rows(PERIODS[0], INTERVALS[5]).len(), 1);
        assert_eq!(rows(PERIODS[5], INTERVALS[0]).len(), 100);
        for row in rows(PERIODS[5], INTERVALS[5]) {
            let (low, high) = (number(&row, "low"), number(&row, "high"));
            assert!(
                [number(&row, "open"), number(&row, "close")]
                    .iter()
                    .all(|price| (low..=high).contains(price)),
                "{row}"
            );
        }
    }

    #[test]
    fn bodies_repeat_with_their_seed() {
        assert_eq!(quote("SPY", 7, NOW), quote("SPY", 7, NOW));
        assert_ne!(quote("SPY", 7, NOW), quote("SPY", 8, NOW));
        assert_ne!(quote("SPY", 7, NOW)["price"], quote("AMD", 7, NOW)["price"]);
    }
}
