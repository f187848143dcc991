//! The frame that all drawings of the page share: their size, axes, and how numbers are written.

/// The drawing, in units of its view box; it is scaled to the width of the page.
pub(super) const WIDTH: f64 = 480.0;
pub(super) const HEIGHT: f64 = 180.0;
/// Room for the labels of the axes.
pub(super) const LEFT: f64 = 46.0;
pub(super) const RIGHT: f64 = 8.0;
pub(super) const TOP: f64 = 8.0;
pub(super) const BOTTOM: f64 = 20.0;

/// As many lines have a colour of their own; further ones share them.
pub(super) const COLOURS: usize = 8;

/// Labels on the upright axis, about.
const STEPS: f64 = 4.0;

/// The stretch that an axis shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Axis {
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let (from, to) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), value| {
            (from.min(value), to.max(value))
        });
        let least = (from.abs() * 1e-3).max(1.0);
        let flat = to - from <= 1e-9 * from.abs().max(1e-9);
        Self {
            from,
            to: if flat { from + least } else { to },
        }
    }

    /// Where a value lies: 0 at the beginning, 1 at the end.
    pub(super) fn part(self, value: f64) -> f64 {
        (value - self.from) / (self.to - self.from)
    }
}

/// A round distance between labels: 1, 2 or 5 times a power of ten.
fn step(length: f64) -> f64 {
    let rough = length / STEPS;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= rough)
        .unwrap_or(10.0);
    factor * power
}

/// An axis that begins and ends at round numbers, and its labels.
pub(super) fn rounded(values: impl Iterator<Item = f64>) -> (Axis, Vec<f64>) {
    let values = Axis::of(values);
    let step = step(values.to - values.from);
    let axis = Axis {
        from: (values.from / step).floor() * step,
        to: (values.to / step).ceil() * step,
    };
    let rungs = ((axis.to - axis.from) / step).round() as u32;
    let labels = (0..=rungs).map(|rung| axis.from + f64::from(rung) * step);
    (axis, labels.collect())
}

/// A coordinate as it is written.
pub(super) fn fixed(value: f64) -> String {
    format!("{value:.1}")
}

/// Three digits that tell.
pub(super) fn digits(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        size if size >= 1e6 => return format!("{value:.2e}"),
        size if size >= 100.0 => return format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 1e-3 => format!("{value:.4}"),
        size if size > 1e-12 => return format!("{value:.1e}"),
        _ => return "0".to_owned(),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A moment of a run, given in seconds.
pub(super) fn moment(seconds: f64) -> String {
    if seconds.abs() < 120.0 {
        format!("{} s", digits(seconds))
    } else {
        let whole = seconds.round();
        format!("{}:{:02} min", (whole / 60.0).trunc(), (whole.abs() % 60.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (length, expected) in [(1.0, 0.5), (0.013, 0.005), (7.0, 2.0), (400.0, 100.0)] {
            let found = step(length);
            assert!((found / expected - 1.0).abs() < 1e-9, "{length}: {found}");
        }
    }
}
