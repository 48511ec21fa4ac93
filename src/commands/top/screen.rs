//! One frame of `top`: a summary of all relays, one line for each relay, and its partitions, those
//! that are furthest behind first.

use std::cmp::Reverse;
use std::fmt::Write;

use super::Answer;
use crate::commands::visible;
use crate::status::words::{duration, number, offset, rate, since};
use crate::status::{Count, Flow, PartitionStatus, Status};

/// The width of the bar of a catch-up, in characters.
const BAR: usize = 30;

/// The size of the terminal, in characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Size {
    pub(super) const UNLIMITED: Size = Size { columns: usize::MAX, rows: usize::MAX };

    /// Returns the size of the terminal, or the usual one if it is unknown.
    pub(super) fn of_terminal() -> Self {
        let size = terminal_size::terminal_size();
        let (columns, rows) = size.map_or((80, 24), |(width, height)| (width.0, height.0));
        Size { columns: usize::from(columns), rows: usize::from(rows) }
    }
}

/// What is remembered between two frames.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// The largest lag since the relays last followed their input: where the catch-up began.
    most_behind: u64,
}

impl Screen {
    /// Returns the next frame.
    pub(super) fn frame(&mut self, answers: &[Answer], size: Size) -> String {
        let mut lines = Vec::new();
        let known: Vec<&Status> =
            answers.iter().filter_map(|answer| answer.status.as_ref().ok()).collect();
        lines.extend(self.summary(answers.len(), &known));
        lines.push(String::new());
        lines.extend(relays(answers));
        for status in &known {
            let reasons = status.reasons.iter().map(|reason| {
                let time = since(status.time, reason.since);
                format!("{}: {} (for {time})", visible(&status.instance), visible(&reason.text))
            });
            let warnings = status.warnings.iter().map(|warning| {
                format!("{}: warning: {}", visible(&status.instance), visible(warning))
            });
            lines.extend(reasons.chain(warnings));
        }
        lines.push(String::new());
        lines.extend(partitions(&known));
        cut(lines, size)
    }

    fn summary(&mut self, asked: usize, known: &[&Status]) -> Vec<String> {
        let Some(first) = known.first() else {
            return vec![format!("audit-relay: none of {asked} relays answers")];
        };
        let ready = known.iter().filter(|status| status.ready).count();
        let read: usize = known.iter().map(|status| status.partitions.len()).sum();
        let sum = |of: fn(&Flow) -> Count| {
            rate(known.iter().map(|status| of(&status.flow).per_second).sum())
        };
        vec![
            format!(
                "audit-relay {}  {} UTC  {ready} of {asked} ready",
                visible(&first.version),
                first.time.strftime("%H:%M:%S")
            ),
            format!(
                "group {}  topic {}  {read} of {} partitions are read",
                visible(&first.input.group),
                visible(&first.input.topic),
                first.input.partitions
            ),
            format!(
                "read {}  audited {}  skipped {}  quarantined {}",
                sum(|flow| flow.read),
                sum(|flow| flow.audited),
                sum(|flow| flow.skipped),
                sum(|flow| flow.quarantined)
            ),
            self.catch_up(known),
        ]
    }

    /// Returns how far the relays are behind, and how a catch-up proceeds.
    fn catch_up(&mut self, known: &[&Status]) -> String {
        let records: u64 = known.iter().map(|status| status.lag.records).sum();
        let seconds = known.iter().map(|status| status.lag.seconds).fold(0.0, f64::max);
        let mut line = format!("behind {} records, {}", number(records), duration(seconds));
        let mut behind = known.iter().filter(|status| status.lag.is_behind()).peekable();
        if behind.peek().is_none() {
            self.most_behind = 0;
            return line;
        }
        self.most_behind = self.most_behind.max(records);
        let done = 1.0 - records as f64 / self.most_behind.max(1) as f64;
        let filled = (done * BAR as f64) as usize;
        let bar = "#".repeat(filled) + &"-".repeat(BAR.saturating_sub(filled));
        let _ = write!(line, "  [{bar}] {:.0} %", done * 100.0);
        let estimates: Option<Vec<f64>> =
            behind.map(|status| status.lag.caught_up_in_seconds).collect();
        match estimates {
            Some(all) => {
                let longest = all.into_iter().fold(0.0, f64::max);
                let _ = write!(line, "  caught up in {}", duration(longest));
            }
            None => line.push_str("  not catching up"),
        }
        line
    }
}

fn relays(answers: &[Answer]) -> Vec<String> {
    let mut rows = vec![["relay", "state", "workers", "read", "behind", "for"].map(String::from)];
    let mut silent = Vec::new();
    for answer in answers {
        match &answer.status {
            Ok(status) => rows.push([
                visible(&status.instance),
                if status.ready { "ready" } else { "not ready" }.to_string(),
                status.workers.to_string(),
                rate(status.flow.read.per_second),
                number(status.lag.records),
                duration(status.lag.seconds),
            ]),
            Err(why) => silent.push(format!("{}: {}", answer.address, visible(why))),
        }
    }
    let mut lines = if rows.len() > 1 { aligned(&rows) } else { Vec::new() };
    lines.extend(silent);
    lines
}

fn partitions(known: &[&Status]) -> Vec<String> {
    let mut all: Vec<(&Status, &PartitionStatus)> = known
        .iter()
        .flat_map(|status| status.partitions.iter().map(move |partition| (*status, partition)))
        .collect();
    if all.is_empty() {
        return Vec::new();
    }
    all.sort_by_key(|(_, it)| (Reverse(it.lag_records), it.partition));
    let titles = ["partition", "relay", "worker", "offset", "end", "behind", "for", "held"];
    let mut rows = vec![titles.map(String::from)];
    let shown = |known: Option<i64>| known.map_or_else(|| "-".to_string(), offset);
    rows.extend(all.into_iter().map(|(status, it)| {
        [
            it.partition.to_string(),
            visible(&status.instance),
            it.worker.to_string(),
            shown(it.offset),
            shown(it.end),
            number(it.lag_records),
            duration(it.lag_seconds),
            visible(it.held.as_deref().unwrap_or_default()),
        ]
    }));
    aligned(&rows)
}

/// Aligns columns: texts to the left, what begins with a digit to the right.
fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let is_number = |column: usize| {
        let cells = rows.iter().skip(1).filter_map(|row| row.get(column));
        let mut cells = cells.filter(|cell| *cell != "-").peekable();
        cells.peek().is_some()
            && cells.all(|cell| cell.starts_with(|c: char| c.is_ascii_digit() || c == '<'))
    };
    let numbers: Vec<bool> = (0..N).map(is_number).collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).zip(&numbers);
            let cells = cells.map(|((cell, &width), &is_number)| match is_number {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
        })
        .collect()
}

/// Cuts lines that are too long and, with a note, lines that are too many.
fn cut(lines: Vec<String>, size: Size) -> String {
    let count = lines.len();
    // The last row stays free, for the cursor.
    let room = size.rows.saturating_sub(1);
    let kept = if count <= room { count } else { room.saturating_sub(1) };
    let mut frame = String::new();
    for line in lines.iter().take(kept) {
        frame.extend(line.chars().take(size.columns));
        frame.push('\n');
    }
    if kept < count {
        let _ = writeln!(frame, "... and {} more lines", count - kept);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A relay with partitions: number, records behind, seconds behind.
    fn relay(instance: &str, partitions: &[(i32, u64, f64)], caught_up: Option<f64>) -> Answer {
        let records: u64 = partitions.iter().map(|it| it.1).sum();
        let seconds = partitions.iter().map(|it| it.2).fold(0.0, f64::max);
        let partitions: Vec<_> = partitions
            .iter()
            .map(|(partition, records, seconds)| {
                serde_json::json!({
                    "partition": partition, "worker": 0, "offset": 100, "end": 100 + records,
                    "lagRecords": records, "lagSeconds": seconds,
                    "lastProgress": "2026-01-01T00:00:00Z", "held": null,
                })
            })
            .collect();
        let count = serde_json::json!({ "total": 5, "perSecond": 1_234.5 });
        let status = serde_json::json!({
            "version": "0.1.0", "librdkafka": "2", "instance": instance,
            "started": "2026-01-01T00:00:00Z", "time": "2026-01-01T00:01:00Z",
            "ready": true, "reasons": [], "warnings": [],
            "input": { "topic": "changes", "group": "relays", "partitions": 3 }, "workers": 1,
            "lag": { "records": records, "seconds": seconds, "caughtUpInSeconds": caught_up },
            "flow": { "read": count, "audited": count, "skipped": count, "quarantined": count,
                      "reasons": [], "regions": [] },
            "partitions": partitions, "tables": [],
            "unlistedNames": { "total": 0, "mostNames": 100, "names": [] },
        });
        let status = serde_json::from_value(status).map_err(|error| error.to_string());
        Answer { address: format!("http://{instance}"), status }
    }

    #[test]
    fn a_frame_sums_up_the_relays_and_shows_the_partitions_furthest_behind_first() {
        let silent = Answer { address: "http://c".to_string(), status: Err("refused".to_string()) };
        let answers = [
            relay("a", &[(0, 0, 0.0), (2, 7, 0.5)], None),
            relay("b", &[(1, 1_200, 2.0)], None),
            silent,
        ];
        let frame = Screen::default().frame(&answers, Size::UNLIMITED);
        let expected = "\
audit-relay 0.1.0  00:01:00 UTC  2 of 3 ready
group relays  topic changes  3 of 3 partitions are read
read 2,469/s  audited 2,469/s  skipped 2,469/s  quarantined 2,469/s
behind 1,207 records, 2.0 s

relay  state  workers     read  behind    for
a      ready        1  1,235/s       7  0.5 s
b      ready        1  1,235/s   1,200  2.0 s
http://c: refused

partition  relay  worker  offset    end  behind    for  held
        1  b           0     100  1,300   1,200  2.0 s
        2  a           0     100    107       7  0.5 s
        0  a           0     100    100       0  0.0 s
";
        assert_eq!(frame, expected);
    }

    #[test]
    fn a_catch_up_shows_its_progress_and_an_estimate() {
        let mut screen = Screen::default();
        let mut line = |behind, seconds, estimate| {
            let answers = [relay("a", &[(0, behind, seconds)], estimate)];
            let frame = screen.frame(&answers, Size::UNLIMITED);
            frame.lines().nth(3).expect("the fourth line").to_string()
        };
        let bar = |filled| "#".repeat(filled) + &"-".repeat(BAR - filled);
        let began = format!("behind 1,000 records, 1 min 40 s  [{}] 0 %  not catching up", bar(0));
        assert_eq!(line(1_000, 100.0, None), began);
        let half = format!("behind 500 records, 50 s  [{}] 50 %  caught up in 10 s", bar(BAR / 2));
        assert_eq!(line(500, 50.0, Some(10.0)), half);
        assert_eq!(line(3, 0.5, None), "behind 3 records, 0.5 s");
        let again = format!("behind 200 records, 9.0 s  [{}] 0 %  not catching up", bar(0));
        assert_eq!(line(200, 9.0, None), again, "another catch-up begins");
    }

    #[test]
    fn what_holds_is_shown_and_cannot_control_the_terminal() {
        let mut held = relay("a", &[], None);
        let status = held.status.as_mut().expect("a status");
        status.ready = false;
        status.warnings.push("devices: old".to_string());
        status.reasons.push(crate::liveness::health::Reason {
            text: "tables: \u{1b}[2J".to_string(),
            since: status.started,
        });
        let frame = Screen::default().frame(&[held], Size::UNLIMITED);
        assert!(frame.contains("a: tables: \\u001b[2J (for 1 min)\n"), "{frame}");
        assert!(frame.contains("a: warning: devices: old\n"), "{frame}");
        assert!(frame.contains("0 of 1 ready"), "{frame}");
    }

    #[test]
    fn a_frame_fits_the_terminal() {
        let answers = [relay("a", &[(0, 0, 0.0), (1, 0, 0.0), (2, 0, 0.0)], None)];
        let frame = Screen::default().frame(&answers, Size { columns: 20, rows: 10 });
        let lines: Vec<&str> = frame.lines().collect();
        assert_eq!((lines.len(), lines[8]), (9, "... and 4 more lines"));
        assert!(lines.iter().all(|line| line.len() <= 20), "{frame}");
        let silent = Answer { address: "x".to_string(), status: Err("refused".to_string()) };
        let frame = Screen::default().frame(&[silent], Size::UNLIMITED);
        assert!(
            frame.starts_with("audit-relay: none of 1 relays answers\n\nx: refused\n"),
            "{frame}"
        );
    }
}
