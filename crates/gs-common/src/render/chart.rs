//! Line charts as inline SVG: no script, no network, light and dark by the page's own colours.
//!
//! A series named `errors: canary` is the line `canary` of the chart `errors`; lines of one chart share
//! the unit. A series without `: ` is a chart of its own. A value of `None` is a gap, a point between
//! two gaps a dot. A long series is thinned to the lowest and highest value of each column, so that a
//! page stays small and no peak is lost.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::axis::{
    Axis, BOTTOM, COLOURS, HEIGHT, LEFT, RIGHT, TOP, WIDTH, digits, fixed, moment, rounded,
};
use super::text::visible;
use crate::report::Series;

/// More points than that in one line are thinned to columns.
const COLUMNS: usize = 240;

/// All charts of a report's series, in the order in which they first appear.
pub(super) fn charts(series: &[Series]) -> Markup {
    html! {
        @for chart in grouped(series) {
            section.plot {
                h2 { (visible(chart.title)) @if let Some(unit) = shown_unit(chart.unit) { " (" (visible(unit)) ")" } }
                (drawing(&chart))
                @if chart.lines.len() > 1 {
                    ul.legend {
                        @for (index, (label, points)) in chart.lines.iter().enumerate() {
                            li { span class={ "key l" (index % COLOURS) } {} (visible(label)) " " span.last { (latest(points, chart.unit)) } }
                        }
                    }
                }
            }
        }
    }
}

type Points = [(f64, Option<f64>)];

/// Lines that share axes.
struct Chart<'a> {
    title: &'a str,
    unit: &'a str,
    lines: Vec<(&'a str, &'a Points)>,
}

fn grouped(series: &[Series]) -> Vec<Chart<'_>> {
    let mut charts: Vec<Chart<'_>> = Vec::new();
    let drawn = series.iter().filter(|one| {
        one.points
            .iter()
            .filter(|point| known(point).is_some())
            .count()
            > 1
    });
    for one in drawn {
        let (title, label) = one.name.split_once(": ").unwrap_or((&one.name, &one.name));
        let same = charts
            .iter_mut()
            .find(|chart| chart.title == title && chart.unit == one.unit);
        match same {
            Some(chart) => chart.lines.push((label, &one.points)),
            None => charts.push(Chart {
                title,
                unit: &one.unit,
                lines: vec![(label, &one.points)],
            }),
        }
    }
    charts
}

/// Numbers beyond that are no measurement, and no axis can hold them.
const LARGEST: f64 = 1e100;

/// A point that can be drawn: JSON has no infinity, memory has.
fn known(point: &(f64, Option<f64>)) -> Option<(f64, f64)> {
    let sound = |value: f64| value.abs() < LARGEST;
    point
        .1
        .filter(|value| sound(*value) && sound(point.0))
        .map(|value| (point.0, value))
}

fn drawing(chart: &Chart<'_>) -> Markup {
    let points = || {
        chart
            .lines
            .iter()
            .flat_map(|(_, points)| points.iter().filter_map(known))
    };
    let across = Axis::of(points().map(|point| point.0));
    // Zero belongs to the picture: without it a small wiggle looks like a cliff.
    let (up, labels) = rounded(points().map(|point| point.1).chain([0.0]));
    let x = |at: f64| LEFT + across.part(at) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - up.part(value) * (HEIGHT - TOP - BOTTOM);
    let spoken: Vec<String> = chart
        .lines
        .iter()
        .map(|(label, points)| spoken(label, points, chart.unit))
        .collect();
    html! {
        svg.lines viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(visible(&spoken.join("; "))) {
            @for value in labels {
                line.rung x1=(LEFT) x2=(WIDTH - RIGHT) y1=(fixed(y(value))) y2=(fixed(y(value))) {}
                text x=(LEFT - 4.0) y=(fixed(y(value) + 3.5)) text-anchor="end" { (amount(value, chart.unit)) }
            }
            text x=(LEFT) y=(HEIGHT - 5.0) { (moment(across.from)) }
            text x=(WIDTH - RIGHT) y=(HEIGHT - 5.0) text-anchor="end" { (moment(across.to)) }
            @for (index, (_, points)) in chart.lines.iter().enumerate() {
                path class={ "l" (index % COLOURS) } d=(path(&thinned(points, across), x, y)) {}
            }
        }
    }
}

/// The line, lifted at gaps. A lone point is a line to itself: its round ends make a dot.
fn path(points: &Points, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    for part in points.split(|point| known(point).is_none()) {
        for (index, point) in part.iter().filter_map(known).enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", x(point.0), y(point.1));
        }
        if part.len() == 1 {
            path.push_str("h0");
        }
    }
    path
}

/// At most four points a column: the first, the lowest, the highest and the last; gaps stay.
fn thinned(points: &Points, across: Axis) -> Vec<(f64, Option<f64>)> {
    if points.len() <= COLUMNS {
        return points.to_vec();
    }
    let column = |point: &(f64, Option<f64>)| {
        (across.part(point.0).clamp(0.0, 1.0) * COLUMNS as f64) as usize
    };
    let mut kept = Vec::new();
    for group in
        points.chunk_by(|a, b| known(a).is_some() == known(b).is_some() && column(a) == column(b))
    {
        let mut chosen: Vec<usize> = match known(&group[0]) {
            None => vec![0],
            Some(_) => {
                let order = |a: &usize, b: &usize| {
                    let value = |index: usize| known(&group[index]).map_or(0.0, |point| point.1);
                    value(*a).total_cmp(&value(*b))
                };
                let all = || 0..group.len();
                [
                    Some(0),
                    all().min_by(order),
                    all().max_by(order),
                    Some(group.len() - 1),
                ]
                .into_iter()
                .flatten()
                .collect()
            }
        };
        chosen.sort_unstable();
        chosen.dedup();
        kept.extend(chosen.into_iter().map(|index| group[index]));
    }
    kept
}

fn spoken(label: &str, points: &Points, unit: &str) -> String {
    let highest = points
        .iter()
        .filter_map(known)
        .map(|point| point.1)
        .fold(f64::NEG_INFINITY, f64::max);
    format!(
        "{label}: last {}, highest {}",
        latest(points, unit),
        amount(highest, unit)
    )
}

fn latest(points: &Points, unit: &str) -> String {
    points
        .iter()
        .rev()
        .find_map(known)
        .map_or_else(String::new, |point| amount(point.1, unit))
}

/// The unit for the heading; `None` where the labels carry it.
fn shown_unit(unit: &str) -> Option<&str> {
    (!matches!(unit, "" | "share" | "bytes")).then_some(unit)
}

/// A value as people read it: shares in per cent, bytes in MiB.
fn amount(value: f64, unit: &str) -> String {
    match unit {
        "share" => format!("{}%", digits(value * 100.0)),
        "bytes" => format!("{} MiB", digits(value / 1_048_576.0)),
        _ => digits(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn series(name: &str, points: &Points) -> Series {
        Series {
            name: name.to_owned(),
            unit: "share".to_owned(),
            points: points.to_vec(),
        }
    }

    fn drawn(all: &[Series]) -> String {
        charts(all).into_string()
    }

    #[test]
    fn lines_of_one_name_share_a_chart_and_others_do_not() {
        let two = [(0.0, Some(0.01)), (30.0, Some(0.02))];
        let page = drawn(&[
            series("errors: canary", &two),
            series("memory", &two),
            series("errors: stable", &two),
        ]);
        assert_eq!(page.matches("<svg").count(), 2);
        assert_eq!(page.matches("<path").count(), 3);
        assert!(page.find("errors") < page.find("memory"));
        assert!(page.contains("canary: last 2%, highest 2%"), "{page}");
        let mut other = series("errors: count", &two);
        other.unit = "requests".to_owned();
        assert_eq!(
            drawn(&[series("errors: canary", &two), other])
                .matches("<svg")
                .count(),
            2
        );
    }

    #[test]
    fn a_gap_lifts_the_pen_and_a_lone_point_is_a_dot() {
        let page = drawn(&[series(
            "a",
            &[
                (0.0, Some(1.0)),
                (1.0, None),
                (2.0, Some(1.0)),
                (3.0, Some(0.5)),
                (4.0, Some(f64::NAN)),
            ],
        )]);
        assert_eq!(page.matches('M').count(), 2, "{page}");
        assert!(page.contains("h0"));
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }

    #[test]
    fn nothing_measured_is_no_chart() {
        assert_eq!(
            drawn(&[
                series("a", &[]),
                series("b", &[(0.0, None), (1.0, None)]),
                series("c", &[(0.0, Some(1.0))])
            ]),
            ""
        );
    }

    #[test]
    fn a_long_line_is_thinned_and_keeps_its_peak() {
        let mut points: Vec<(f64, Option<f64>)> =
            (0..100_000).map(|at| (f64::from(at), Some(0.1))).collect();
        points[54_321].1 = Some(0.9);
        let page = drawn(&[series("a", &points)]);
        assert!(page.len() < 40_000, "{}", page.len());
        assert!(page.contains("highest 90%"));
        let across = Axis {
            from: 0.0,
            to: 99_999.0,
        };
        assert!(thinned(&points, across).contains(&(54_321.0, Some(0.9))));
    }

    #[test]
    fn hostile_names_stay_text() {
        let page = drawn(&[series(
            "<script>: \u{202e}\"x",
            &[(0.0, Some(1.0)), (1.0, Some(2.0))],
        )]);
        assert!(
            !page.contains("<script>") && !page.contains('\u{202e}'),
            "{page}"
        );
    }

    proptest! {
        #[test]
        fn no_numbers_break_the_drawing(points in prop::collection::vec((any::<f64>(), prop::option::of(any::<f64>())), 0..300)) {
            let page = drawn(&[series("a: b", &points)]);
            prop_assert!(page.len() < 60_000);
            let paths = page.split(" d=\"").skip(1).filter_map(|rest| rest.split('"').next());
            for path in paths {
                prop_assert!(!path.contains("NaN") && !path.contains("inf"), "{}", path);
            }
        }
    }
}
