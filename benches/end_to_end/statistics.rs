//! Medians, spreads and percentiles.

use serde::Serialize;

/// The median of some rounds, and their range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() {
            0 => f64::NAN,
            even if even.is_multiple_of(2) => f64::midpoint(values[middle - 1], values[middle]),
            _ => values[middle],
        };
        Spread {
            median,
            min: values.first().copied().unwrap_or(f64::NAN),
            max: values.last().copied().unwrap_or(f64::NAN),
        }
    }

    /// The ratios of values measured in the same round.
    pub fn of_ratios(left: &[f64], right: &[f64]) -> Spread {
        Spread::of(left.iter().zip(right).map(|(left, right)| left / right))
    }

    /// Formats as `1.23 (1.20 to 1.31)`.
    pub fn text(&self, decimals: usize) -> String {
        let Spread { median, min, max } = self;
        format!("{median:.decimals$} ({min:.decimals$} to {max:.decimals$})")
    }
}

/// Returns the value below which this share of the sorted values lies.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    let position = rank.clamp(1, sorted.len().max(1)) - 1;
    sorted.get(position).copied().unwrap_or(f64::NAN)
}
