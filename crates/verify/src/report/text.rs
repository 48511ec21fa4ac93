//! The report for people: what was found, what is proven, and what is not.

use std::collections::BTreeMap;
use std::fmt;

use audit_chain::name::StreamName;
use audit_chain::time::Time;

use super::{QuarantineTotals, Report};
use crate::finding::Exit;

/// Findings of a label that are printed; `to_json` has more.
const SHOWN_MAX: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_seals(f)?;
        self.write_confirmed(f)?;
        self.write_findings(f)?;
        self.write_verdict(f)
    }
}

impl Report {
    fn write_seals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (set, last) in &self.seals {
            let time = Time::from_epoch_ms(last.time_ms);
            let time = time.map(|time| time.to_string()).unwrap_or_default();
            let what = if last.is_replay { "outcomes up to number" } else { "input up to offset" };
            writeln!(
                f,
                "{set}: seal {}, {what} {}, written at {time} as its writer claims",
                last.seal, last.input_end
            )?;
        }
        self.write_quarantine(f)
    }

    /// Says what became of quarantined records, once some were replayed.
    fn write_quarantine(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(QuarantineTotals { quarantined, audited, closed }) = self.quarantine() else {
            return Ok(());
        };
        let open = quarantined.saturating_sub(audited + closed);
        writeln!(
            f,
            "Of {quarantined} quarantined records, {audited} were audited later, {closed} were closed without an event, and {open} are open, as the seals count them"
        )
    }

    fn write_confirmed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_output: BTreeMap<&StreamName, u64> = BTreeMap::new();
        for (stream, events) in &self.confirmed {
            *by_output.entry(stream.name()).or_default() += events;
        }
        for (output, events) in by_output {
            writeln!(f, "{output}: {events} confirmed")?;
        }
        if self.before > 0 {
            writeln!(f, "{} records are from before the seals to begin at", self.before)?;
        }
        Ok(())
    }

    fn write_findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (label, texts, count) in self.findings.iter() {
            writeln!(f, "{label} ({count}): {}", label.meaning())?;
            for text in texts.iter().take(SHOWN_MAX) {
                writeln!(f, "  {text}")?;
            }
            let more = count.saturating_sub(texts.len().min(SHOWN_MAX) as u64);
            if more > 0 {
                writeln!(f, "  and {more} more")?;
            }
        }
        Ok(())
    }

    fn write_verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exit() {
            Exit::Evidence => writeln!(f, "The trail is not what was signed."),
            Exit::Unproven => {
                writeln!(f, "Nothing wrong was seen, but not everything can be proven.")
            }
            Exit::Proven => {
                let sets = self.seals.len();
                let sets = if sets == 1 { "1 set".to_string() } else { format!("all {sets} sets") };
                writeln!(f, "Proven up to the last seal of {sets}.")?;
                let outside = match self.remembered {
                    0 => "and no anchor was given to compare with",
                    _ => "and what is newer than the newest anchor could have been removed",
                };
                writeln!(
                    f,
                    "Not excluded: removal of the newest events together with their seals, {outside}."
                )
            }
        }
    }
}
