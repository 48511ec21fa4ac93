//! Every scenario with its name, its two sides and its goal. Defaults: 12 partitions, one worker,
//! records of 0.5 KiB, commits every 100 ms, headers; everything else is the relay's default.

mod variants;

use std::path::PathBuf;

use crate::comparison::Comparison;
use crate::fixture::Principals;
use crate::latency::{LatencyComparison, Side};
use crate::load::WARM_UP_SECONDS;
use crate::neighbours::cores;
use crate::options::Options;
use crate::records::Mix;
use crate::runs::{Contestant, Program, Tuning};

const PARTITIONS: i32 = 12;
const SMALL: usize = 512;

/// A scenario, ready to run.
#[derive(Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// Whether it runs by default.
    pub main: bool,
    pub what: &'static str,
    /// The goal as text.
    pub goal: &'static str,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    Comparison(Box<Comparison>),
    Latency(Box<LatencyComparison>),
    Memory(Contestant, Mix),
    Start(Vec<Contestant>),
}

impl From<Comparison> for Kind {
    fn from(comparison: Comparison) -> Self {
        Kind::Comparison(Box::new(comparison))
    }
}

impl From<LatencyComparison> for Kind {
    fn from(comparison: LatencyComparison) -> Self {
        Kind::Latency(Box::new(comparison))
    }
}

impl Scenario {
    /// Returns the Kafka Streams program if the scenario has one.
    pub fn kafka_streams(&self) -> Option<&Contestant> {
        match &self.kind {
            Kind::Comparison(comparison) => {
                let right = &comparison.right;
                (right.program == Program::KafkaStreams).then_some(right)
            }
            Kind::Latency(_) | Kind::Memory(..) | Kind::Start(_) => None,
        }
    }
}

/// Builds the scenarios from the options.
pub(super) struct ScenarioBuilder<'a> {
    options: &'a Options,
    relay: PathBuf,
}

/// The relay and the raw copy, which must write equivalent output.
pub fn equivalent_pair(options: &Options) -> [Contestant; 2] {
    let relay = ScenarioBuilder::new(options).relay();
    [relay, contestant("raw copy", Program::RawCopy)]
}

/// The relay and the other relay, which must write the same output to the byte.
pub fn relays(options: &Options) -> Option<[Contestant; 2]> {
    options.against.as_ref()?;
    let builder = ScenarioBuilder::new(options);
    Some([builder.relay(), builder.other(Program::RawCopy)])
}

/// All scenarios, in the order in which they run.
pub fn all(options: &Options) -> Vec<Scenario> {
    let builder = ScenarioBuilder::new(options);
    let mut scenarios = builder.main_comparisons();
    scenarios.extend(builder.times());
    scenarios.extend(builder.more_comparisons());
    let low_rate = builder.low_rate();
    scenarios.push(scenario("low-rate", false, "all audited, at a fixed rate", "", low_rate));
    scenarios.extend(builder.neighbours());
    scenarios.extend(builder.kafka_streams());
    scenarios.extend(builder.variants());
    scenarios.extend(builder.alone());
    scenarios
}

const fn audited(audited: u64) -> Mix {
    Mix { audited, malformed: 0, unknown_principals: 0 }
}

impl<'a> ScenarioBuilder<'a> {
    fn new(options: &'a Options) -> Self {
        let built = PathBuf::from(env!("CARGO_BIN_EXE_audit-relay"));
        ScenarioBuilder { options, relay: options.relay.clone().unwrap_or(built) }
    }

    fn relay(&self) -> Contestant {
        contestant("relay", Program::Relay(self.relay.clone()))
    }

    /// The other side of a comparison: a yardstick, or another relay.
    fn other(&self, yardstick: Program) -> Contestant {
        match (&self.options.against, yardstick) {
            (Some(relay), _) => contestant("other relay", Program::Relay(relay.clone())),
            (None, Program::PollOnly) => contestant("poll only", Program::PollOnly),
            (None, yardstick) => contestant("raw copy", yardstick),
        }
    }

    fn comparison(&self, mix: Mix) -> Comparison {
        Comparison {
            mix,
            bytes: SMALL,
            partitions: PARTITIONS,
            records: self.options.records,
            warm_up: 0,
            rate: None,
            tuning: Tuning::default(),
            left: self.relay(),
            right: self.other(Program::RawCopy),
        }
    }

    fn main_comparisons(&self) -> Vec<Scenario> {
        let all = self.comparison(audited(1_000));
        let quarter = self.comparison(audited(250));
        let twentieth = self.comparison(audited(50));
        let malformed = self.comparison(Mix { malformed: 10, ..audited(250) });
        let polled =
            Comparison { right: self.other(Program::PollOnly), ..self.comparison(audited(10)) };
        let main = |name, what, goal, comparison| scenario(name, true, what, goal, comparison);
        vec![
            main("all", "all audited", "at most 1.5", all.clone()),
            main("quarter", "25 % audited", "", quarter),
            main("twentieth", "5 % audited", "at most 1.15", twentieth.clone()),
            main("hundredth", "1 % audited", "at most 1.3", polled),
            main("malformed", "25 % audited, 1 % malformed", "", malformed),
            main("all-bare", "all audited, no headers", "", bare(all)),
            main("twentieth-bare", "5 % audited, no headers", "", bare(twentieth)),
        ]
    }

    fn more_comparisons(&self) -> Vec<Scenario> {
        let quarter = self.comparison(audited(250));
        let larger = |bytes: usize| Comparison {
            bytes,
            records: self.options.records * 1_024 / bytes,
            ..quarter.clone()
        };
        let partitions = Comparison { partitions: 96, ..quarter.clone() };
        let mut workers = quarter.clone();
        workers.left.workers = 2;
        workers.right.workers = 2;
        let mut commits = self.comparison(audited(1_000));
        commits.tuning.max_age_ms = 10;
        let more = |name, what, comparison| scenario(name, false, what, "", comparison);
        vec![
            more("partitions-96", "25 % audited, 96 partitions", partitions),
            more("workers-2", "25 % audited, 2 workers", workers),
            more("kib-1", "25 % audited, 1 KiB", larger(1_024)),
            more("kib-4", "25 % audited, 4 KiB", larger(4_096)),
            more("commits-10", "all audited, commits every 10 ms", commits),
        ]
    }

    /// Compares the cost when little happens.
    fn low_rate(&self) -> Comparison {
        let rate = self.options.rate;
        Comparison {
            records: rate * self.options.seconds,
            warm_up: rate * WARM_UP_SECONDS,
            rate: Some(rate),
            ..self.comparison(audited(1_000))
        }
    }

    /// Compares the cost beside other work on the machine: with the other side, and with the relay
    /// alone.
    fn neighbours(&self) -> Vec<Scenario> {
        let quarter = self.comparison(audited(250));
        let busy = |contestant: Contestant| Contestant {
            neighbours: cores(),
            ..named("busy cores", contestant)
        };
        let beside = Comparison {
            left: busy(quarter.left.clone()),
            right: busy(quarter.right.clone()),
            ..quarter.clone()
        };
        let quiet = Comparison { left: busy(self.relay()), right: self.relay(), ..quarter };
        let what = "25 % audited, one busy loop a core";
        vec![
            scenario("neighbour", false, what, "", beside),
            scenario("neighbour-quiet", false, what, "", quiet),
        ]
    }

    /// Compares the relay with Kafka Streams, after a warm-up of both.
    fn kafka_streams(&self) -> Vec<Scenario> {
        let comparison = |mix| Comparison {
            warm_up: self.options.warm_up,
            right: contestant("Kafka Streams", Program::KafkaStreams),
            ..self.comparison(mix)
        };
        let all = comparison(audited(1_000));
        let twentieth = comparison(audited(50));
        let streams = |name, what, comparison| scenario(name, false, what, "", comparison);
        vec![
            streams("streams-all", "all audited", all.clone()),
            streams("streams-all-bare", "all audited, no headers", bare(all)),
            streams("streams-twentieth", "5 % audited", twentieth),
        ]
    }

    /// Compares end-to-end times, all audited.
    fn latency(&self, max_age_ms: u64, left: Contestant, right: Contestant) -> LatencyComparison {
        LatencyComparison {
            partitions: PARTITIONS,
            bytes: SMALL,
            rate: self.options.rate,
            seconds: self.options.seconds,
            max_age_ms,
            left: side(left, audited(1_000), Principals::File),
            right: side(right, audited(1_000), Principals::File),
        }
    }

    fn times(&self) -> Vec<Scenario> {
        let absences = Mix { unknown_principals: 50, ..audited(950) };
        let barrier = LatencyComparison {
            left: side(named("5 % absences", self.relay()), absences, Principals::Topic),
            right: side(named("none", self.relay()), audited(1_000), Principals::Topic),
            ..self.latency(100, self.relay(), self.relay())
        };
        let time = |name, what, goal, max_age_ms| {
            let other = self.other(Program::RawCopy);
            scenario(name, true, what, goal, self.latency(max_age_ms, self.relay(), other))
        };
        vec![
            time(
                "time-100",
                "commits every 100 ms",
                "p99 at most 130 ms and 1.1 times the raw copy's",
                100,
            ),
            time("time-10", "commits every 10 ms", "p99 at most 45 ms, p50 at most 20 ms", 10),
            scenario(
                "barrier",
                false,
                "commits every 100 ms, principals from a topic",
                "one round trip",
                barrier,
            ),
        ]
    }

    fn alone(&self) -> Vec<Scenario> {
        vec![
            Scenario {
                name: "start",
                main: true,
                what: "start to first commit, one principal, fresh group",
                goal: "at most 1 s and the rebalance delay, which is 0 here",
                kind: Kind::Start(vec![self.relay(), self.other(Program::RawCopy)]),
            },
            Scenario {
                name: "memory",
                main: false,
                what: "25 % audited, far behind",
                goal: "at most 128 MiB, flat",
                kind: Kind::Memory(self.relay(), audited(250)),
            },
        ]
    }
}

fn contestant(name: &str, program: Program) -> Contestant {
    Contestant {
        name: name.to_string(),
        program,
        workers: 1,
        instances: 1,
        neighbours: 0,
        is_sealed: false,
        producer: Vec::new(),
    }
}

fn named(name: &str, contestant: Contestant) -> Contestant {
    let name = format!("{}, {name}", contestant.name);
    Contestant { name, ..contestant }
}

fn side(contestant: Contestant, mix: Mix, principals: Principals) -> Side {
    Side { contestant, mix, principals }
}

fn bare(mut comparison: Comparison) -> Comparison {
    comparison.tuning.headers = false;
    comparison
}

fn scenario(
    name: &'static str,
    main: bool,
    what: &'static str,
    goal: &'static str,
    kind: impl Into<Kind>,
) -> Scenario {
    Scenario { name, main, what, goal, kind: kind.into() }
}

/// The default number of partitions.
pub const fn partitions() -> i32 {
    PARTITIONS
}
