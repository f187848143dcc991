//! The screen and the lines of a run, as text. Pure: state and time in, text out.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use gs_common::render::visible;
use gs_common::units;

use super::state::State;
use crate::judge::{SideView, TestView, View, reason};

/// Letters of an evidence bar.
const BAR: usize = 24;

/// The bar goes a little beyond the line that fails.
const BEYOND: f64 = 1.25;

/// How a screen looks.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// With colour.
    pub color: bool,
    /// Columns.
    pub width: usize,
}

impl Frame {
    /// One drawing, lines without the last line feed.
    #[must_use]
    pub fn draw(&self, state: &State, now: f64, prompt: Option<&str>) -> String {
        let view = state.watch.view();
        let mut lines = vec![self.head(state, now)];
        lines.push(String::new());
        lines.extend(self.sides(state, &view));
        lines.push(String::new());
        lines.extend(
            view.tests
                .iter()
                .map(|test| self.test(test, view.fail_line)),
        );
        lines.push(self.shown(&view));
        lines.push(String::new());
        lines.push(earliest(state, &view, now));
        lines.extend(last_words(state));
        if let Some(legacy) = &state.legacy {
            lines.push(legacy.line());
        }
        if let Some(prompt) = prompt {
            lines.push(self.dim(prompt));
        }
        let cut = lines.into_iter().map(|line| self.cut(&line));
        cut.collect::<Vec<_>>().join("\n")
    }

    fn head(&self, state: &State, now: f64) -> String {
        let mut head = format!(
            "{}  {} of {}",
            visible(&state.header.subject).replace('\n', " "),
            time(now),
            time(state.watch.ends_at_seconds())
        );
        if let Some(steps) = &state.steps {
            let weight = steps.weights.get(steps.index).copied().unwrap_or(1.0);
            let _ = write!(
                head,
                ", step {} of {} at {}%{}",
                steps.index + 1,
                steps.weights.len(),
                super::hooks::percent(weight),
                if steps.since.is_none() {
                    " (being set)"
                } else {
                    ""
                }
            );
        }
        if state.header.time_scale != 1.0 {
            let _ = write!(
                head,
                ", {} times as fast: a simulation",
                state.header.time_scale
            );
        }
        if state.held {
            head.push_str(", HELD");
        }
        self.paint(AnsiColor::Cyan, &head)
    }

    fn sides(&self, state: &State, view: &View) -> Vec<String> {
        let policy = &state.header.policy;
        let row = |name: &str, told: &dyn Fn(&SideView) -> String, limit: &str| {
            let (canary, stable) = (told(&view.canary), told(&view.stable));
            format!("{name:<18} {canary:>14} {stable:>14}   {limit}")
                .trim_end()
                .to_owned()
        };
        let limit = |share: f64| format!("limit {}", percent(Some(share)));
        let slower = format!("slower than {}", seconds(policy.latency_limit_seconds));
        let mut rows = vec![
            self.dim(&format!("{:<18} {:>14} {:>14}", "", "canary", "stable")),
            row("pods", &|side| side.pods.to_string(), ""),
            row("requests", &|side| side.requests.to_string(), ""),
            row(
                "errors",
                &|side| percent(side.error_share),
                &limit(policy.error_limit),
            ),
            row(
                &slower,
                &|side| percent(side.slow_share),
                &limit(policy.slow_limit),
            ),
            row("P95", &|side| bracket(side.p95_seconds), ""),
        ];
        if view.canary.restarts + view.stable.restarts > 0 {
            rows.push(row("restarts", &|side| side.restarts.to_string(), ""));
        }
        if view.canary.oom_kills + view.stable.oom_kills > 0 {
            rows.push(row("out of memory", &|side| side.oom_kills.to_string(), ""));
        }
        rows
    }

    fn test(&self, test: &TestView, line: f64) -> String {
        let text = format!(
            "{:<18} {} {:>5.1} of {line:.1}, held {} of {}",
            title(test.reason),
            bar(test.evidence, line),
            test.evidence.max(0.0),
            test.held,
            test.needed
        );
        if test.held > 0 {
            self.paint(AnsiColor::Red, &text)
        } else if test.evidence > line / 2.0 {
            self.paint(AnsiColor::Yellow, &text)
        } else {
            text
        }
    }

    fn shown(&self, view: &View) -> String {
        let told = |evidence: f64| {
            if evidence > view.fail_line {
                self.paint(AnsiColor::Green, "shown")
            } else {
                "not shown yet".to_owned()
            }
        };
        format!(
            "{:<18} errors {}, slow requests {}",
            "limits kept",
            told(view.shown.0),
            told(view.shown.1)
        )
    }

    fn paint(&self, color: AnsiColor, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let style = Style::new().bold().fg_color(Some(color.into()));
        format!("{style}{text}{style:#}")
    }

    fn dim(&self, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let style = Style::new().dimmed();
        format!("{style}{text}{style:#}")
    }

    /// No line may wrap, else the next drawing would begin too low.
    fn cut(&self, line: &str) -> String {
        console::truncate_str(line, self.width.max(20), "…").into_owned()
    }
}

/// One line about a run.
#[must_use]
pub fn line(state: &State, now: f64) -> String {
    let view = state.watch.view();
    let (canary, stable) = (&view.canary, &view.stable);
    let mut text = format!(
        "{} of {}: canary {} requests, {} errors (stable {}), {} slow (stable {})",
        time(now),
        time(state.watch.ends_at_seconds()),
        canary.requests,
        percent(canary.error_share),
        percent(stable.error_share),
        percent(canary.slow_share),
        percent(stable.slow_share),
    );
    if view.warm_at_seconds.is_none() {
        text.push_str("; warming up");
    } else if let Some(test) = view
        .tests
        .iter()
        .max_by(|a, b| a.evidence.total_cmp(&b.evidence))
    {
        let _ = write!(
            text,
            "; evidence against it {:.1} of {:.1} ({})",
            test.evidence.max(0.0),
            view.fail_line,
            title(test.reason)
        );
    }
    if state.lost.count > 0 {
        let _ = write!(text, "; {} losses", state.lost.count);
    }
    if state.held {
        text.push_str("; held");
    }
    text
}

/// When there can be a verdict.
fn earliest(state: &State, view: &View, now: f64) -> String {
    let check = state.header.policy.check_seconds;
    let pass = (state.watch.ends_at_seconds() - now).max(0.0);
    let pass = if state.held {
        "pass held".to_owned()
    } else {
        format!("pass in {}", time(pass))
    };
    if view.warm_at_seconds.is_none() {
        return format!("verdict            warming up; earliest {pass}");
    }
    let left = view
        .tests
        .iter()
        .map(|test| test.needed.saturating_sub(test.held))
        .min()
        .unwrap_or(0);
    let fail = f64::from(left) * check;
    format!("verdict            earliest fail in {}, {pass}", time(fail))
}

fn last_words(state: &State) -> Vec<String> {
    let mut words = Vec::new();
    if state.lost.count > 0 {
        let last = state.lost.last.as_deref().unwrap_or_default();
        let last = visible(last).replace('\n', " ");
        words.push(format!(
            "lost               {} times, last: {last}",
            state.lost.count
        ));
    }
    if let Some(action) = state.operator.last() {
        let text = action.text.as_deref().unwrap_or_default();
        let text = visible(text).replace('\n', " ");
        words.push(format!(
            "operator           {} at {}: {} {text}",
            action.who,
            time(action.at_seconds),
            action.action
        ));
    }
    if let Some(hook) = state.hooks.last() {
        let ended = hook.ended.as_deref().unwrap_or(&hook.state);
        words.push(format!("command            --{} {ended}", hook.hook));
    }
    if let Some(why) = state.log_broken() {
        words.push(format!("LOG BROKEN         {why}: the run cannot pass"));
    }
    words
}

/// A test in words.
#[must_use]
pub fn title(code: &str) -> &'static str {
    match code {
        reason::ERROR_RATE => "errors vs stable",
        reason::LATENCY => "latency vs stable",
        reason::ERROR_LIMIT => "error limit",
        reason::LATENCY_LIMIT => "latency limit",
        _ => "evidence",
    }
}

/// Evidence up to the line that fails, which is marked.
fn bar(evidence: f64, line: f64) -> String {
    let scale = BAR as f64 / (line * BEYOND);
    let filled = (evidence.max(0.0) * scale).round() as usize;
    let mark = (line * scale).round() as usize;
    (0..BAR)
        .map(|place| match place {
            place if place == mark => '|',
            place if place < filled => '#',
            _ => '.',
        })
        .collect()
}

/// A length of time in whole seconds, as it is typed.
#[must_use]
pub fn time(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    units::show_duration(Duration::from_secs(whole))
}

/// A limit in seconds with its digits.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or_else(|_| "?".to_owned(), units::show_duration)
}

/// A share in per cent, `?` where it is not known.
#[must_use]
pub fn percent(share: Option<f64>) -> String {
    match share {
        None => "?".to_owned(),
        Some(share) => format!("{:.2}%", share * 100.0),
    }
}

/// The bucket of a percentile.
#[must_use]
pub fn bracket(seconds: Option<(f64, f64)>) -> String {
    let ms = |seconds: f64| format!("{}", (seconds * 1e6).round() / 1e3);
    match seconds {
        None => "?".to_owned(),
        Some((from, to)) if to.is_infinite() => format!("over {} ms", ms(from)),
        Some((from, to)) => format!("{}-{} ms", ms(from), ms(to)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_marks_the_line_and_fills_with_evidence() {
        assert_eq!(bar(0.0, 5.0), "...................|....");
        assert_eq!(bar(-3.0, 5.0), bar(0.0, 5.0));
        assert_eq!(bar(2.5, 5.0), "##########.........|....");
        assert_eq!(bar(99.0, 5.0), "###################|####");
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(
            (time(390.4), percent(Some(0.001)), percent(None)),
            ("6m30s".to_owned(), "0.10%".to_owned(), "?".to_owned())
        );
        assert_eq!(bracket(Some((0.1, 0.25))), "100-250 ms");
        assert_eq!(bracket(Some((10.0, f64::INFINITY))), "over 10000 ms");
    }
}
