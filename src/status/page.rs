//! The page at `/`: the status for people. It refreshes itself and needs no script. Names come from
//! records and the configuration, and are escaped.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::flow;
use super::words::{duration, number, offset, rate, since};
use super::{PartitionStatus, Status};
use crate::liveness::health::Reason;

/// The style sheet, at `/style.css`.
pub const STYLE: &str = include_str!("style.css");

/// The policy that browsers enforce on the page: its own style sheet and nothing else.
pub const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How often a browser asks again, in seconds.
const REFRESH_SECONDS: u32 = 5;

/// Renders the page.
pub fn page(status: &Status) -> String {
    let title = if status.ready { "ready" } else { "not ready" };
    let rendered = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH_SECONDS);
                title { "audit-relay " (status.instance) ": " (title) }
                link rel="stylesheet" href="style.css";
            }
            body {
                (head(status))
                (holds(status))
                (figures(status))
                h2 { "Flow" }
                div.wide { (flow::picture(&status.input.topic, &status.flow)) }
                (partitions(status))
                (tables(status))
                (reasons(status))
                (unlisted(status))
                (foot(status))
            }
        }
    };
    rendered.into_string()
}

fn head(status: &Status) -> Markup {
    html! {
        header {
            div.head {
                h1 { "audit-relay " (status.instance) }
                @if status.ready { span.state { "ready" } } @else { span.state.bad { "not ready" } }
            }
            p.quiet {
                "consumer group " code { (status.input.group) }
                ", version " (status.version)
                ", up " (since(status.time, status.started))
            }
        }
    }
}

fn holds(status: &Status) -> Markup {
    let reason = |reason: &Reason| {
        html! {
            p { (reason.text) " " span.quiet { "since " (time_of_day(reason.since)) " (" (since(status.time, reason.since)) ")" } }
        }
    };
    html! {
        @if !status.reasons.is_empty() {
            section.holds {
                p { strong { "What holds" } }
                @for it in &status.reasons { (reason(it)) }
                p.quiet { "Nothing is lost: the input waits." }
            }
        }
        @if !status.warnings.is_empty() {
            section.holds.warnings {
                p { strong { "Warnings" } }
                @for warning in &status.warnings { p { (warning) } }
            }
        }
    }
}

fn figures(status: &Status) -> Markup {
    let lag = &status.lag;
    let caught_up = match lag.caught_up_in_seconds {
        Some(seconds) => format!("in {}", duration(seconds)),
        None if lag.is_behind() => "not in sight".to_string(),
        None => "yes".to_string(),
    };
    html! {
        dl.figures {
            div { dt { "read" } dd { (rate(status.flow.read.per_second)) } }
            div { dt { "behind, records" } dd { (number(lag.records)) } }
            div { dt { "behind, time" } dd { (duration(lag.seconds)) } }
            div { dt { "caught up" } dd { (caught_up) } }
            div { dt { "partitions owned" } dd { (status.partitions.len()) " of " (status.input.partitions) } }
            div { dt { "workers" } dd { (status.workers) } }
        }
    }
}

fn partitions(status: &Status) -> Markup {
    let most = status.partitions.iter().map(|it| it.lag_records).max().unwrap_or_default().max(1);
    let shown = |known: Option<i64>| known.map_or_else(|| "\u{2013}".to_string(), offset);
    let row = |it: &PartitionStatus| {
        html! {
            tr {
                td.right { (it.partition) }
                td.right { (it.worker) }
                td.right { (shown(it.offset)) }
                td.right { (shown(it.end)) }
                td.right { (number(it.lag_records)) }
                td { meter max=(most) value=(it.lag_records) { (it.lag_records) } }
                td.right { (duration(it.lag_seconds)) }
                td { (since(status.time, it.last_progress)) " ago" }
                td { @if let Some(held) = &it.held { strong { (held) } } }
            }
        }
    };
    html! {
        h2 { "Partitions" }
        @if status.partitions.is_empty() {
            p.quiet { "This process owns none." }
        } @else {
            div.wide { table {
                thead { tr {
                    th.right { "partition" } th.right { "worker" } th.right { "offset" } th.right { "end" }
                    th.right { "behind" } th {} th.right { "for" } th { "last progress" } th { "held" }
                } }
                tbody { @for it in &status.partitions { (row(it)) } }
            } }
        }
    }
}

fn tables(status: &Status) -> Markup {
    html! {
        h2 { "Tables" }
        div.wide { table {
            thead { tr { th { "table" } th { "from" } th { "complete" } th.right { "entries" } th.right { "stale for" } } }
            tbody {
                @for it in &status.tables {
                    tr {
                        td { (it.table) }
                        td { @if it.followed { "topic" } @else if it.refused { strong { "an older file: the current one was rejected" } } @else { "file" } }
                        td { @if it.ready { "yes" } @else { strong { "not yet" } } }
                        td.right { (number(it.entries as u64)) }
                        td.right { (duration(it.staleness_seconds)) }
                    }
                }
            }
        } }
    }
}

fn reasons(status: &Status) -> Markup {
    html! {
        @if !status.flow.reasons.is_empty() {
            h2 { "Not in the trail" }
            div.wide { table {
                thead { tr { th { "fate" } th { "reason" } th.right { "records" } th.right { "lately" } } }
                tbody {
                    @for it in &status.flow.reasons {
                        tr {
                            td { (it.fate) } td { code { (it.reason) } }
                            td.right { (number(it.count.total)) } td.right { (rate(it.count.per_second)) }
                        }
                    }
                }
            } }
        }
    }
}

fn unlisted(status: &Status) -> Markup {
    let names = &status.unlisted_names;
    html! {
        @if names.total > 0 {
            h2 { "Event names that the catalogue lacks" }
            p.quiet { (number(names.total)) " records from customers; the first " (names.most_names) " names are kept." }
            div.wide { table {
                thead { tr { th { "name" } th.right { "records" } } }
                tbody { @for it in &names.names { tr { td.long { code { (it.name) } } td.right { (number(it.count)) } } } }
            } }
        }
    }
}

fn foot(status: &Status) -> Markup {
    html! {
        footer {
            p {
                "As of " (time_of_day(status.time)) " UTC; refreshes every " (REFRESH_SECONDS) " seconds. Counts begin with the process. "
                "The same as JSON: " a href="status" { "status" } ". For machines: " a href="metrics" { "metrics" } ", "
                a href="readyz" { "readyz" } ", " a href="livez" { "livez" } "."
            }
        }
    }
}

fn time_of_day(time: Timestamp) -> String {
    time.strftime("%H:%M:%S").to_string()
}
