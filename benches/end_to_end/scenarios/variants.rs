//! The relay with other settings, against itself: sealed, compressed otherwise, as several
//! processes.

use super::{Scenario, ScenarioBuilder, audited, contestant, named, scenario};
use crate::comparison::Comparison;
use crate::runs::{Contestant, Program};

/// A scenario's name, what it does, and the producer's properties.
type Codec = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// The codec that the others are compared with; it was the default when they were measured.
const LZ4: Codec = ("lz4", "", &[("compression.type", "lz4")]);
/// The default.
const ZSTD_1: Codec = (
    "zstd-1",
    "all audited, zstd at level 1",
    &[("compression.type", "zstd"), ("compression.level", "1")],
);
/// The codecs that are compared with lz4.
const CODECS: [Codec; 4] = [
    ("zstd", "all audited, zstd", &[("compression.type", "zstd")]),
    ZSTD_1,
    ("snappy", "all audited, snappy", &[("compression.type", "snappy")]),
    ("uncompressed", "all audited, not compressed", &[("compression.type", "none")]),
];

impl ScenarioBuilder<'_> {
    pub(super) fn variants(&self) -> Vec<Scenario> {
        let mut scenarios = self.instances();
        scenarios.extend(self.sealed());
        scenarios.extend(self.codecs());
        scenarios
    }

    /// Compares four processes with one.
    fn instances(&self) -> Vec<Scenario> {
        let against_itself = |one: Contestant| {
            let four =
                Contestant { name: format!("4 x {}", one.name), instances: 4, ..one.clone() };
            Comparison { left: four, right: one, ..self.comparison(audited(250)) }
        };
        let relay = against_itself(self.relay());
        let raw_copy = against_itself(contestant("raw copy", Program::RawCopy));
        vec![
            scenario("instances", false, "25 % audited, 4 instances", "at most 1.1", relay),
            scenario("instances-raw", false, "25 % audited, 4 raw copies", "", raw_copy),
        ]
    }

    /// Compares the relay that seals its trail with itself.
    fn sealed(&self) -> Vec<Scenario> {
        let sealed = || Contestant { is_sealed: true, ..named("sealed", self.relay()) };
        let cost = |mix| Comparison { left: sealed(), right: self.relay(), ..self.comparison(mix) };
        let time = self.latency(100, sealed(), self.relay());
        vec![
            scenario("sealed-all", false, "all audited", "at most 1.25", cost(audited(1_000))),
            scenario("sealed-twentieth", false, "5 % audited", "at most 1.05", cost(audited(50))),
            scenario(
                "sealed-time",
                false,
                "commits every 100 ms",
                "p99 at most 1.1 times that of the relay that does not seal",
                time,
            ),
        ]
    }

    /// Compares the codecs of the outputs with lz4; the default also where batches are small.
    fn codecs(&self) -> Vec<Scenario> {
        let relay = |(name, _, properties): Codec| Contestant {
            producer: properties.to_vec(),
            ..named(name, self.relay())
        };
        let codec = |codec: Codec| {
            let all = Comparison {
                left: relay(codec),
                right: relay(LZ4),
                ..self.comparison(audited(1_000))
            };
            scenario(codec.0, false, codec.1, "", all)
        };
        let low_rate = Comparison { left: relay(ZSTD_1), right: relay(LZ4), ..self.low_rate() };
        let time = self.latency(10, relay(ZSTD_1), relay(LZ4));
        let mut scenarios: Vec<Scenario> = CODECS.into_iter().map(codec).collect();
        scenarios.push(scenario("zstd-1-low-rate", false, "zstd at level 1", "", low_rate));
        let what = "zstd at level 1, commits every 10 ms";
        scenarios.push(scenario("zstd-1-time", false, what, "", time));
        scenarios
    }
}
