//! Response times over time: a column for each stretch, a cell for each row of times.
//!
//! A cell is as strong as its share of the most frequent cell of its column. So a column shows how
//! times are spread whatever the rate of requests was, and a slow second mode is seen. A cell with one
//! request has a colour, an empty one has none.

use std::fmt::Write as _;

use maud::{Markup, html};
use serde_json::Value;

use super::{LONGEST_MS, requests};
use crate::render::axis::{Axis, BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, digits, fixed, moment};

/// More columns than that are added up in longer stretches: they would be narrower than a pixel.
const COLUMNS: usize = 120;

/// A map with more rows is not drawn.
const ROWS: usize = 64;

/// Labels on the upright axis, at most about.
const LABELS: usize = 6;

/// Strengths of a cell; those of one strength are one path, which keeps the page small.
const LEVELS: usize = 8;

/// The strength of a cell in the lowest level is above that.
const FAINTEST: f64 = 0.1;

/// A row is at most so high, in units of the view box.
const HIGHEST: f64 = 24.0;

/// No run begins or lasts longer, in seconds (30 years).
const LONGEST_SECONDS: f64 = 1e9;

/// Upper edges of the rows in milliseconds, which rise (the last row has none), and the columns.
pub(super) struct Heatmap {
    edges: Vec<f64>,
    columns: Vec<Column>,
}

/// A stretch of time in seconds from the start of the run, and how many requests ended in each row.
struct Column {
    from: f64,
    to: f64,
    counts: Vec<u64>,
}

/// `{"edges_ms": [ms, ...], "columns": [{"at_seconds", "seconds", "counts": [n, ...]}, ...]}`, with
/// one more count than there are edges, or nothing.
pub(super) fn read(value: &Value) -> Option<Heatmap> {
    let edges = value.get("edges_ms")?.as_array()?;
    let edges: Vec<f64> = edges.iter().map(Value::as_f64).collect::<Option<_>>()?;
    let sound = edges.iter().all(|edge| *edge > 0.0 && *edge < LONGEST_MS)
        && edges.is_sorted_by(|a, b| a < b)
        && edges.len() < ROWS;
    let columns = value.get("columns")?.as_array()?;
    let columns: Vec<Column> = columns.iter().map(column).collect::<Option<_>>()?;
    let sound = sound
        && columns.is_sorted_by(|a, b| a.from <= b.from)
        && columns
            .iter()
            .all(|column| column.counts.len() == edges.len() + 1);
    sound.then_some(Heatmap { edges, columns })
}

fn column(value: &Value) -> Option<Column> {
    let from = value.get("at_seconds")?.as_f64()?;
    let seconds = value.get("seconds")?.as_f64()?;
    let counts = value.get("counts")?.as_array()?;
    let sound = |length: f64| (0.0..LONGEST_SECONDS).contains(&length);
    (sound(from) && sound(seconds)).then_some(Column {
        from,
        to: from + seconds,
        counts: counts.iter().map(Value::as_u64).collect::<Option<_>>()?,
    })
}

/// The map, cut to the rows that have a request. Nothing where none has.
pub(super) fn chart(map: &Heatmap) -> Markup {
    let columns = joined(&map.columns);
    let Some(frame) = Frame::of(&columns, &map.edges) else {
        return html! {};
    };
    html! {
        section.plot {
            h2 { "Response times over time (ms)" }
            svg.lines.heat viewBox={ "0 0 " (WIDTH) " " (fixed(frame.bottom() + BOTTOM)) } role="img" aria-label=(frame.spoken(&columns)) {
                g {
                    title { "Response time in milliseconds: the edges of the rows" }
                    @for (edge, y) in frame.edges() {
                        line.rung x1=(LEFT) x2=(WIDTH - RIGHT) y1=(fixed(y)) y2=(fixed(y)) {}
                        text x=(LEFT - 4.0) y=(fixed(y + 3.5)) text-anchor="end" { (digits(edge)) }
                    }
                }
                g {
                    title { "Time since the start of the run" }
                    text x=(LEFT) y=(fixed(frame.bottom() + 15.0)) { (moment(frame.across.from)) }
                    text x=(WIDTH - RIGHT) y=(fixed(frame.bottom() + 15.0)) text-anchor="end" { (moment(frame.across.to)) }
                }
                @for (level, cells) in frame.cells(&columns).iter().enumerate() {
                    @if !cells.is_empty() { path fill-opacity=(format!("{:.2}", strength(level))) d=(cells) {} }
                }
                @for column in &columns {
                    @let (x, width) = frame.stretch(column);
                    rect.column x=(fixed(x)) width=(fixed(width)) y=(TOP) height=(fixed(frame.bottom() - TOP)) { title { (frame.told(column)) } }
                }
            }
            p.note { "Each column is a stretch of time. A cell is as strong as its share of the column's most frequent cell; an empty cell has no colour." }
        }
    }
}

/// At most [`COLUMNS`] columns.
fn joined(columns: &[Column]) -> Vec<Column> {
    let width = columns.len().div_ceil(COLUMNS).max(1);
    columns.chunks(width).map(together).collect()
}

/// One stretch from the start of the first column to the latest end.
fn together(columns: &[Column]) -> Column {
    let rows = columns.first().map_or(0, |column| column.counts.len());
    let mut counts = vec![0_u64; rows];
    for column in columns {
        for (sum, count) in counts.iter_mut().zip(&column.counts) {
            *sum = sum.saturating_add(*count);
        }
    }
    Column {
        from: columns.first().map_or(0.0, |column| column.from),
        to: columns.iter().map(|column| column.to).fold(0.0, f64::max),
        counts,
    }
}

/// The level of a share above 0 and at most 1.
fn level(count: u64, most: u64) -> usize {
    let share = count as f64 / most as f64;
    ((share * LEVELS as f64).ceil() as usize).clamp(1, LEVELS) - 1
}

/// The opacity of a level.
fn strength(level: usize) -> f64 {
    FAINTEST + (1.0 - FAINTEST) * (level + 1) as f64 / LEVELS as f64
}

/// Where rows and stretches of time lie.
struct Frame<'a> {
    edges: &'a [f64],
    across: Axis,
    /// The lowest and the highest row with a request.
    lowest: usize,
    highest: usize,
}

impl<'a> Frame<'a> {
    fn of(columns: &[Column], edges: &'a [f64]) -> Option<Self> {
        let used = |row: &usize| columns.iter().any(|column| column.counts[*row] > 0);
        Some(Self {
            edges,
            across: Axis::of(columns.iter().flat_map(|column| [column.from, column.to])),
            lowest: (0..=edges.len()).find(used)?,
            highest: (0..=edges.len()).rfind(used)?,
        })
    }

    fn rows(&self) -> usize {
        self.highest - self.lowest + 1
    }

    fn height(&self) -> f64 {
        ((HEIGHT - TOP - BOTTOM) / self.rows() as f64).min(HIGHEST)
    }

    fn bottom(&self) -> f64 {
        TOP + self.rows() as f64 * self.height()
    }

    /// The upper end of a row that is shown.
    fn top(&self, row: usize) -> f64 {
        self.bottom() - (row + 1 - self.lowest) as f64 * self.height()
    }

    /// Place and width of a column: never so narrow that it is not seen.
    fn stretch(&self, column: &Column) -> (f64, f64) {
        let x = |at: f64| LEFT + self.across.part(at) * (WIDTH - LEFT - RIGHT);
        (x(column.from), (x(column.to) - x(column.from)).max(0.5))
    }

    /// The labelled edges with their places. The first row begins at 0, the last has no upper edge.
    fn edges(&self) -> Vec<(f64, f64)> {
        let every = (self.rows() + 1).div_ceil(LABELS);
        (self.lowest..=self.highest + 1)
            .step_by(every)
            .filter_map(|row| {
                let edge = match row.checked_sub(1) {
                    None => 0.0,
                    Some(below) => *self.edges.get(below)?,
                };
                Some((edge, self.top(row) + self.height()))
            })
            .collect()
    }

    /// The outlines of the cells, by level.
    fn cells(&self, columns: &[Column]) -> [String; LEVELS] {
        let mut levels: [String; LEVELS] = Default::default();
        let height = self.height();
        for column in columns {
            let most = column.counts.iter().copied().max().unwrap_or(0);
            let (x, width) = self.stretch(column);
            for (row, count) in column.counts.iter().enumerate().filter(|cell| *cell.1 > 0) {
                let y = self.top(row);
                let _ = write!(
                    levels[level(*count, most)],
                    "M{x:.1} {y:.1}h{width:.1}v{height:.1}h-{width:.1}z"
                );
            }
        }
        levels
    }

    /// A row in words.
    fn row(&self, row: usize) -> String {
        let below = row.checked_sub(1).and_then(|below| self.edges.get(below));
        match (below, self.edges.get(row)) {
            (Some(from), Some(to)) => format!("{} to {} ms", digits(*from), digits(*to)),
            (None, Some(to)) => format!("up to {} ms", digits(*to)),
            (Some(from), None) => format!("over {} ms", digits(*from)),
            (None, None) => "any time".to_owned(),
        }
    }

    /// A column in words.
    fn told(&self, column: &Column) -> String {
        let sum = column.counts.iter().copied().fold(0, u64::saturating_add);
        let all = || column.counts.iter().enumerate();
        let most = all().max_by_key(|cell| cell.1).filter(|cell| *cell.1 > 0);
        let slowest = all().rfind(|cell| *cell.1 > 0);
        let mut told = format!(
            "{} to {}: {}",
            moment(column.from),
            moment(column.to),
            requests(sum)
        );
        if let (Some((most, _)), Some((slowest, _))) = (most, slowest) {
            let _ = write!(
                told,
                ", most {}, slowest {}",
                self.row(most),
                self.row(slowest)
            );
        }
        told
    }

    /// Both axes and the whole run in words.
    fn spoken(&self, columns: &[Column]) -> String {
        format!(
            "Across: time since the start of the run. Up: response time in milliseconds, from {} to {}. {}",
            self.row(self.lowest),
            self.row(self.highest),
            self.told(&together(columns))
        )
    }
}
