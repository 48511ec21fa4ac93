//! The picture of the flow: from the input to the fates, and from the audited ones to the regions.
//! The height of a band is its share of the records, lately or, at rest, since the start.

use maud::{Markup, html};

use super::words::{number, rate};
use super::{Count, Flow};

/// The height of all records, in units of the picture.
const HEIGHT: f64 = 240.0;
/// Between two bars of a column.
const GAP: f64 = 26.0;
/// The least height of a bar, so that its label has room.
const LEAST: f64 = 3.0;
const WIDTH: f64 = 760.0;
const BAR: f64 = 10.0;
/// The columns: input, fates, regions.
const COLUMNS: [f64; 3] = [0.0, 300.0, 590.0];
/// Above the first bar: the title of the column.
const TOP: f64 = 40.0;

/// A bar of a column, with what flows through it.
struct Bar<'a> {
    class: &'static str,
    label: &'a str,
    count: Count,
    y: f64,
    height: f64,
}

/// Draws the flow of a topic.
pub(super) fn picture(topic: &str, flow: &Flow) -> Markup {
    let is_moving = flow.read.per_second > 0.0;
    let value = |count: Count| if is_moving { count.per_second } else { count.total as f64 };
    let whole = value(flow.read);
    let height = |count: Count| if whole > 0.0 { value(count) / whole * HEIGHT } else { 0.0 };
    let fates = [
        ("audited", "audited", flow.audited),
        ("skipped", "skipped", flow.skipped),
        ("quarantined", "quarantined", flow.quarantined),
    ];
    let fates =
        stack(fates.into_iter().map(|(class, label, count)| (class, label, count, height(count))));
    let regions =
        flow.regions.iter().map(|it| ("audited", it.region.as_str(), it.count, height(it.count)));
    let regions = stack(regions);
    let input = HEIGHT.max(LEAST);
    let bottom = |bars: &[Bar<'_>]| bars.last().map_or(0.0, |bar| bar.y + bar.height);
    let total = bottom(&fates).max(bottom(&regions)).max(TOP + input) + 24.0;
    let from_input = bands(COLUMNS[0], TOP, COLUMNS[1], &fates);
    let from_audited = bands(COLUMNS[1], TOP, COLUMNS[2], &regions);
    let unit = if is_moving { "lately" } else { "since the start" };
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {total:.0}")) role="img" aria-label="From the input to fates and regions" {
            @for (class, path) in from_input.iter().chain(&from_audited) { path class=(class) d=(path) {} }
            rect.input x=(COLUMNS[0]) y=(TOP) width=(BAR) height=(input) {}
            text x=(COLUMNS[0]) y="14" { (topic) }
            text.quiet x=(COLUMNS[0]) y="31" { (rate(flow.read.per_second)) " · " (number(flow.read.total)) }
            text.quiet x=(COLUMNS[2]) y="14" { "share of records, " (unit) }
            @for bar in &fates { (drawn(bar, COLUMNS[1], false)) }
            @for bar in &regions { (drawn(bar, COLUMNS[2], true)) }
        }
    }
}

/// Places bars below each other.
fn stack<'a>(bars: impl Iterator<Item = (&'static str, &'a str, Count, f64)>) -> Vec<Bar<'a>> {
    let mut y = TOP;
    let mut placed = Vec::new();
    for (class, label, count, height) in bars {
        let height = height.max(LEAST);
        placed.push(Bar { class, label, count, y, height });
        y += height + GAP;
    }
    placed
}

/// Draws the bands from one bar, which begins at `y`, to the bars of the next column.
fn bands(from: f64, y: f64, to: f64, bars: &[Bar<'_>]) -> Vec<(&'static str, String)> {
    let (from, mut start) = (from + BAR, y);
    let middle = f64::midpoint(from, to);
    let mut paths = Vec::new();
    for bar in bars.iter().filter(|bar| bar.count.total > 0) {
        let (y, height) = (bar.y, bar.height);
        let (start_end, end) = (start + height, y + height);
        paths.push((
            bar.class,
            format!(
                "M{from} {start:.1}C{middle} {start:.1} {middle} {y:.1} {to} {y:.1}\
                 V{end:.1}C{middle} {end:.1} {middle} {start_end:.1} {from} {start_end:.1}Z"
            ),
        ));
        start = start_end;
    }
    paths
}

/// Draws a bar, its name and its numbers: beside it, or on the band that leads to it.
fn drawn(bar: &Bar<'_>, x: f64, is_last: bool) -> Markup {
    let (text_x, anchor) = if is_last { (x + BAR + 8.0, "start") } else { (x - 8.0, "end") };
    let middle = (bar.y + bar.height / 2.0 + 4.5).max(bar.y + 10.0);
    html! {
        rect class=(bar.class) x=(x) y=(format!("{:.1}", bar.y)) width=(BAR) height=(format!("{:.1}", bar.height)) {}
        text x=(text_x) y=(format!("{middle:.1}")) text-anchor=(anchor) {
            (bar.label) " " tspan.quiet { (rate(bar.count.per_second)) " · " (number(bar.count.total)) }
        }
    }
}
