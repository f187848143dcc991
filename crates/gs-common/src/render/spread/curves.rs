//! Response times over quantiles, a line for each endpoint.
//!
//! The axis is that of HdrHistogram's plots: a quantile q lies at -log10(1 - q), so that 0%, 90%, 99%
//! and 99.9% are equally far apart and the tail, where a service is slow, has room. The maximum (q = 1)
//! would be infinitely far; it has a place of its own at the right edge.

use std::fmt::Write as _;

use maud::{Markup, html};
use serde_json::Value;

use super::{LONGEST_MS, requests};
use crate::render::axis::{
    Axis, BOTTOM, COLOURS, HEIGHT, LEFT, RIGHT, TOP, WIDTH, digits, fixed, rounded,
};
use crate::render::text::{millis, visible};

/// As many endpoints as there are colours: lines of one colour cannot be told apart.
const LINES: usize = COLOURS;

/// Quantiles with more nines are drawn at the last of them: no run has so many requests.
const NINES: f64 = 8.0;

/// Labels on each axis, at most about.
const LABELS: u32 = 5;

/// The room for the maximum, as a share of the rest of the axis.
const MAXIMUM: f64 = 0.15;

/// Where the slowest time is more than so many times the fastest, the upright axis is logarithmic.
const LINEAR: f64 = 50.0;

/// Powers of ten that a logarithmic axis shows, at most.
const DECADES: f64 = 9.0;

/// The quantiles that are told in words.
const TOLD: [(f64, &str); 3] = [(0.5, "p50"), (0.99, "p99"), (1.0, "max")];

/// An endpoint: its name, its requests, and pairs of quantile (0 to 1) and milliseconds that rise.
pub(super) struct Curve<'a> {
    name: &'a str,
    requests: u64,
    points: Vec<(f64, f64)>,
}

/// `[{"name", "requests", "response_ms": [[quantile, ms], ...]}, ...]`, or nothing.
pub(super) fn read(value: &Value) -> Option<Vec<Curve<'_>>> {
    value.as_array()?.iter().map(curve).collect()
}

fn curve(value: &Value) -> Option<Curve<'_>> {
    let points = value.get("response_ms")?.as_array()?;
    let points: Vec<(f64, f64)> = points.iter().map(point).collect::<Option<_>>()?;
    let rising = points.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1);
    let (name, requests) = (
        value.get("name")?.as_str()?,
        value.get("requests")?.as_u64()?,
    );
    rising.then_some(Curve {
        name,
        requests,
        points,
    })
}

fn point(value: &Value) -> Option<(f64, f64)> {
    let [quantile, ms] = value.as_array()?.as_slice() else {
        return None;
    };
    let (quantile, ms) = (quantile.as_f64()?, ms.as_f64()?);
    ((0.0..=1.0).contains(&quantile) && (0.0..LONGEST_MS).contains(&ms)).then_some((quantile, ms))
}

/// The curves of the endpoints with most requests. Nothing where none has a time.
pub(super) fn chart(all: &[Curve<'_>]) -> Markup {
    let mut drawn: Vec<&Curve<'_>> = all.iter().filter(|one| !one.points.is_empty()).collect();
    if drawn.is_empty() {
        return html! {};
    }
    let untimed = all.len() - drawn.len();
    drawn.sort_by_key(|one| std::cmp::Reverse(one.requests));
    let more = drawn.len().saturating_sub(LINES);
    drawn.truncate(LINES);
    html! {
        section.plot {
            h2 { "Response time by quantile (ms)" }
            (drawing(&drawn))
            ul.legend {
                @for (index, one) in drawn.iter().enumerate() {
                    li { span class={ "key l" (index) } {} (visible(one.name)) " " span.last { (requests(one.requests)) } }
                }
            }
            @if more > 0 { p.note { (more) " more in the JSON report" } }
            @if untimed > 0 { p.note { (untimed) " without a response time" } }
        }
    }
}

fn drawing(drawn: &[&Curve<'_>]) -> Markup {
    let across = Across::of(drawn);
    let up = Up::of(drawn);
    let left = across.x(0.0);
    let right = across.x(1.0);
    html! {
        svg.lines viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(visible(&spoken(drawn, &up))) {
            g {
                title { (up.title()) }
                @for value in &up.labels {
                    @let y = up.y(*value);
                    line.rung x1=(fixed(left)) x2=(fixed(right)) y1=(fixed(y)) y2=(fixed(y)) {}
                    text x=(LEFT - 4.0) y=(fixed(y + 3.5)) text-anchor="end" { (digits(*value)) }
                }
            }
            g {
                title { "Quantile: the share of requests that were at most so slow" }
                @for (label, x, anchor) in across.labels() {
                    line.rung x1=(fixed(x)) x2=(fixed(x)) y1=(TOP) y2=(HEIGHT - BOTTOM) {}
                    text x=(fixed(x)) y=(HEIGHT - 5.0) text-anchor=(anchor) { (label) }
                }
            }
            @for (index, one) in drawn.iter().enumerate() {
                g {
                    title { (visible(one.name)) }
                    @for (kind, d) in [("", line(&one.points, &across, &up)), (" leader", leader(&one.points, &across, &up))] {
                        @if !d.is_empty() { path class={ "l" (index) (kind) } d=(d) {} }
                    }
                }
            }
        }
    }
}

/// The axis of quantiles, in nines.
struct Across {
    /// The furthest quantile but the maximum, at least one nine.
    furthest: f64,
}

impl Across {
    fn of(drawn: &[&Curve<'_>]) -> Self {
        let quantiles = drawn
            .iter()
            .flat_map(|one| one.points.iter().map(|point| point.0));
        Self {
            furthest: quantiles
                .filter(|quantile| *quantile < 1.0)
                .map(nines)
                .fold(1.0, f64::max),
        }
    }

    fn at(&self, nines: f64) -> f64 {
        LEFT + nines / (self.furthest * (1.0 + MAXIMUM)) * (WIDTH - LEFT - RIGHT)
    }

    fn x(&self, quantile: f64) -> f64 {
        if quantile < 1.0 {
            self.at(nines(quantile))
        } else {
            WIDTH - RIGHT
        }
    }

    /// Text, place and anchor of each label.
    fn labels(&self) -> Vec<(String, f64, &'static str)> {
        // 1 - 0.999 is a hair more than 0.001.
        let whole = (self.furthest + 1e-6).floor() as u32;
        let every = whole.div_ceil(LABELS).max(1) as usize;
        let mut labels: Vec<(String, f64, &'static str)> = (0..=whole)
            .step_by(every)
            .map(|nines| {
                let anchor = if nines == 0 { "start" } else { "middle" };
                (percent(nines as usize), self.at(f64::from(nines)), anchor)
            })
            .collect();
        labels.push(("max".to_owned(), self.x(1.0), "end"));
        labels
    }
}

/// How many nines a quantile below 1 has: 1 for 90%, 2 for 99%.
fn nines(quantile: f64) -> f64 {
    (-(1.0 - quantile).log10()).clamp(0.0, NINES)
}

/// The quantile with so many nines.
fn percent(nines: usize) -> String {
    match nines {
        0 => "0%".to_owned(),
        1 => "90%".to_owned(),
        2 => "99%".to_owned(),
        more => format!("99.{}%", "9".repeat(more - 2)),
    }
}

/// The axis of milliseconds; a logarithmic one holds the exponents of ten.
struct Up {
    axis: Axis,
    logarithmic: bool,
    labels: Vec<f64>,
}

impl Up {
    fn of(drawn: &[&Curve<'_>]) -> Self {
        let times = || {
            drawn
                .iter()
                .flat_map(|one| one.points.iter().map(|point| point.1))
        };
        let highest = times().fold(0.0, f64::max);
        let lowest = times().filter(|ms| *ms > 0.0).fold(f64::INFINITY, f64::min);
        if highest > lowest * LINEAR {
            return Self::logarithmic(lowest, highest);
        }
        // Zero belongs to the picture: without it a small wiggle looks like a cliff.
        let (axis, labels) = rounded(times().chain([0.0]));
        Self {
            axis,
            logarithmic: false,
            labels,
        }
    }

    /// Labelled at powers of ten: where times spread far enough for it, there are at least two.
    fn logarithmic(lowest: f64, highest: f64) -> Self {
        let to = above(highest).log10();
        let from = below(lowest).log10().max(to - DECADES);
        let (first, last) = ((from - 1e-9).ceil() as i32, (to + 1e-9).floor() as i32);
        let every = (last - first).unsigned_abs().div_ceil(LABELS).max(1) as usize;
        Self {
            axis: Axis { from, to },
            logarithmic: true,
            labels: (first..=last)
                .step_by(every)
                .map(|power| 10_f64.powi(power))
                .collect(),
        }
    }

    /// A time below a logarithmic axis, 0 among them, lies on its bottom.
    fn y(&self, ms: f64) -> f64 {
        let value = if self.logarithmic {
            ms.log10().max(self.axis.from)
        } else {
            ms
        };
        HEIGHT - BOTTOM - self.axis.part(value) * (HEIGHT - TOP - BOTTOM)
    }

    fn title(&self) -> &'static str {
        if self.logarithmic {
            "Response time in milliseconds, logarithmic"
        } else {
            "Response time in milliseconds"
        }
    }
}

/// The largest of 1, 2 and 5 times a power of ten that is not above a value.
fn below(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let factor = [5.0, 2.0]
        .into_iter()
        .find(|factor| factor * power <= value);
    factor.unwrap_or(1.0) * power
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below a value.
fn above(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= value);
    factor.unwrap_or(10.0) * power
}

/// The line without the maximum, or a dot. Of the points of one place the slowest stays.
fn line(points: &[(f64, f64)], across: &Across, up: &Up) -> String {
    let place = |point: &(f64, f64)| across.x(point.0).round();
    let measured = points.partition_point(|point| point.0 < 1.0);
    let same = points[..measured].chunk_by(|a, b| place(a) == place(b));
    path(same.filter_map(<[_]>::last), across, up)
}

/// From the last quantile to the maximum. Between them nothing was measured: it is drawn as a leader.
fn leader(points: &[(f64, f64)], across: &Across, up: &Up) -> String {
    let measured = points.partition_point(|point| point.0 < 1.0);
    let ends = [points[..measured].last(), points[measured..].last()];
    if ends[1].is_none() {
        return String::new();
    }
    path(ends.into_iter().flatten(), across, up)
}

fn path<'a>(points: impl Iterator<Item = &'a (f64, f64)>, across: &Across, up: &Up) -> String {
    let mut path = String::new();
    for (quantile, ms) in points {
        let command = if path.is_empty() { 'M' } else { 'L' };
        let _ = write!(path, "{command}{:.1} {:.1}", across.x(*quantile), up.y(*ms));
    }
    if !path.is_empty() && !path.contains('L') {
        path.push_str("h0");
    }
    path
}

/// Both axes, and what each line says in numbers.
fn spoken(drawn: &[&Curve<'_>], up: &Up) -> String {
    let mut parts = vec![format!(
        "Across: quantiles from 0% to the maximum, each further nine as far as the last. Up: {}",
        up.title()
    )];
    parts.extend(drawn.iter().map(|one| {
        let told = TOLD.iter().filter_map(|(quantile, word)| {
            let point = one.points.iter().rev().find(|point| point.0 == *quantile)?;
            Some(format!(", {word} {}", millis(point.1)))
        });
        format!(
            "{}: {}{}",
            one.name,
            requests(one.requests),
            told.collect::<String>()
        )
    }));
    parts.join("; ")
}
