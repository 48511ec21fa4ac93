//! The end-to-end benchmark. Runs the relay as its own process on a real Apache Kafka, alternating
//! with a raw copy that writes the same records and does nothing else. `cargo bench --bench
//! end_to_end -- --help`; docs/performance.md explains the figures. Not a test: it prints the
//! figures beside their goals.

// Cargo sets `test` here anyway. Clippy must see it to apply the test exceptions of clippy.toml.
#![cfg(test)]
#![allow(unreachable_pub, reason = "a program exports nothing")]

mod comparison;
mod cost;
mod equivalence;
mod fixture;
mod kafka_streams;
mod latency;
mod load;
mod neighbours;
mod options;
mod plan;
mod process;
mod records;
mod report;
mod runs;
mod scenarios;
mod single;
mod statistics;
mod stored;
mod usage;
mod yardstick;

use anyhow::bail;
use clap::Parser;

use audit_testkit::relay::REGIONS;
use fixture::Fixture;
use options::{Options, Yardstick};
use records::Mix;
use report::{Entry, Outcome, Report};
use scenarios::{Kind, Scenario, partitions};
use yardstick::{poll_only, raw_copy};

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    match &options.yardstick {
        Some(Yardstick::RawCopy { config, plan }) => raw_copy::run(config, plan, &REGIONS),
        Some(Yardstick::PollOnly { config }) => poll_only::run(config, &REGIONS),
        None => measure(&options),
    }
}

fn measure(options: &Options) -> anyhow::Result<()> {
    let all = scenarios::all(options);
    if options.list {
        for Scenario { name, main, what, .. } in &all {
            println!("{name:16} {} {what}", if *main { "main" } else { "    " });
        }
        return Ok(());
    }
    let chosen = chosen(all, options)?;
    let mut fixture = Fixture::open()?;
    let mut report = Report::new(options.rounds);
    report.load_average.push(load_average());
    let [relay, raw_copy] = scenarios::equivalent_pair(options);
    equivalence::check(&mut fixture, &relay, &raw_copy)?;
    if let Some([relay, other]) = scenarios::relays(options) {
        equivalence::check_equal(&mut fixture, &relay, &other)?;
    }
    if let Some(streams) = chosen.iter().find_map(Scenario::kafka_streams) {
        equivalence::check(&mut fixture, &relay, streams)?;
    }
    if !options.bench {
        // `cargo test --bench end_to_end` shows that the benchmark still works.
        single::start(&mut fixture, &relay, Mix::default(), partitions(), 1)?;
        println!("nothing measured: use `cargo bench --bench end_to_end`, or pass --bench");
        return Ok(());
    }
    for scenario in chosen {
        eprintln!("{}: {}", scenario.name, scenario.what);
        report.entries.push(Entry {
            name: scenario.name,
            what: scenario.what,
            goal: scenario.goal,
            outcome: run(&scenario.kind, &mut fixture, options)?,
        });
        // Keeps the results of a long run that fails late.
        if let Some(path) = &options.json {
            report.write(path)?;
        }
    }
    report.load_average.push(load_average());
    if let Some(path) = &options.json {
        report.write(path)?;
    }
    println!("{} rounds; load average before and after: {:?}", report.rounds, report.load_average);
    println!("figures: median (least to most)");
    report.print();
    Ok(())
}

fn chosen(all: Vec<Scenario>, options: &Options) -> anyhow::Result<Vec<Scenario>> {
    let known: Vec<&str> = all.iter().map(|scenario| scenario.name).collect();
    for name in &options.scenarios {
        if !known.contains(&name.as_str()) {
            bail!("there is no scenario {name}; there are {}", known.join(", "));
        }
    }
    let is_chosen = |scenario: &Scenario| match options.scenarios.as_slice() {
        [] => scenario.main || options.all,
        names => options.all || names.iter().any(|name| name == scenario.name),
    };
    Ok(all.into_iter().filter(is_chosen).collect())
}

fn run(kind: &Kind, fixture: &mut Fixture, options: &Options) -> anyhow::Result<Outcome> {
    Ok(match kind {
        Kind::Comparison(comparison) => {
            Outcome::Comparison(comparison.run(fixture, options.rounds)?)
        }
        Kind::Latency(comparison) => Outcome::Latency(comparison.run(fixture, options.rounds)?),
        Kind::Memory(contestant, mix) => Outcome::Memory(single::memory(
            fixture,
            contestant,
            *mix,
            partitions(),
            options.behind,
        )?),
        Kind::Start(contestants) => {
            // The table has one principal, so almost no record could be audited.
            let mix = Mix::default();
            let starts = contestants
                .iter()
                .map(|it| single::start(fixture, it, mix, partitions(), options.rounds));
            Outcome::Start(starts.collect::<anyhow::Result<_>>()?)
        }
    })
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_string()
}
