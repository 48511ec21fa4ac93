//! `demo`: the real relay on a broker inside this process, with sample data in and what came out on
//! the screen. It ends by itself; it proves nothing about crashes, for which the tests use a real
//! broker.

mod samples;
mod screen;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;

use crate::commands::arguments::DemoArgs;
use crate::config::{Config, LogFormat};
use crate::deployment::assemble;
use crate::kafka::demo_broker::{EmbeddedBroker, Sampler, Watcher};
use crate::kafka::topics::TopicNames;
use crate::liveness::health::Health;
use crate::logging;
use crate::metrics::Metrics;
use crate::relay::Relay;
use crate::stream::StopRequest;
use screen::Screen;

/// Samples produced each second.
const RATE: u32 = 100;
/// Longest time for the relay to account for everything after the last sample was produced.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the demo.
///
/// # Errors
/// If a part of it fails, or not everything is accounted for in time.
pub fn demo(arguments: &DemoArgs) -> anyhow::Result<()> {
    logging::init(LogFormat::Auto, "warn");
    let folder = tempfile::tempdir().context("create a folder for the sample tables")?;
    std::fs::write(folder.path().join("principals.jsonl"), samples::principals())?;
    std::fs::write(folder.path().join("devices.jsonl"), samples::devices())?;
    // The topics' names follow from the configuration, and the configuration needs the broker's
    // address: the names are the defaults, which the first reading shows.
    let names = assemble(&config(folder.path(), "127.0.0.1:1", arguments.listen)?)?.topics;
    let broker = EmbeddedBroker::start(&names)?;
    let config = config(folder.path(), &broker.bootstrap_servers(), arguments.listen)?;
    let assembly = assemble(&config)?;
    Stage {
        names: names.clone(),
        watcher: broker.watcher(&names)?,
        sampler: broker.sampler(&names.input)?,
        relay: Relay::new(config, assembly)?,
        stop: StopRequest::default(),
        keep: arguments.keep,
        records: arguments.records,
    }
    .play()
}

fn config(
    folder: &std::path::Path,
    bootstrap_servers: &str,
    listen: SocketAddr,
) -> anyhow::Result<Config> {
    let file = |name: &str| format!("{:?}", folder.join(name).display().to_string());
    let text = format!(
        "instance = \"demo\"\nworkers = 2\n[kafka]\n\"bootstrap.servers\" = {bootstrap_servers:?}\n[principals]\nfile = {}\n[devices]\nfile = {}\n[admin]\nlisten = \"{listen}\"\n",
        file("principals.jsonl"),
        file("devices.jsonl"),
    );
    Config::from_toml(&text, std::iter::empty()).context("the demo's configuration")
}

/// Everything that takes part.
struct Stage {
    names: TopicNames,
    watcher: Watcher,
    sampler: Sampler,
    relay: Relay,
    stop: StopRequest,
    keep: bool,
    records: u32,
}

impl Stage {
    fn play(self) -> anyhow::Result<()> {
        let metrics = self.relay.metrics();
        let health = self.relay.health();
        let (announce, announced) = mpsc::channel();
        let stop = self.stop.clone();
        let relay = self.relay;
        let running = std::thread::Builder::new().name("relay".to_string()).spawn(move || {
            relay.run(stop, move |address| {
                // Nobody listens any more only if the demo has failed already.
                let _ = announce.send(address);
            })
        })?;
        let address = announced
            .recv_timeout(Duration::from_secs(10))
            .context("the admin server did not start")?;
        let mut screen = Screen::new(&self.names, address);
        screen.opening(self.records);
        let show = Show {
            sampler: &self.sampler,
            watcher: &self.watcher,
            metrics: &metrics,
            health: &health,
            stop: &self.stop,
            records: u64::from(self.records),
            keep: self.keep,
        };
        let shown = show.run(&mut screen);
        self.stop.request();
        let ended = running.join().map_err(|_| anyhow!("the relay panicked"))?;
        shown?;
        screen.summary(&metrics);
        ended
    }
}

/// The part that runs beside the relay: samples in, events on the screen.
struct Show<'a> {
    sampler: &'a Sampler,
    watcher: &'a Watcher,
    metrics: &'a Metrics,
    health: &'a Health,
    stop: &'a StopRequest,
    records: u64,
    keep: bool,
}

impl Show<'_> {
    fn run(&self, screen: &mut Screen) -> anyhow::Result<()> {
        self.await_group()?;
        let began = Instant::now();
        let mut produced = 0;
        let mut deadline = None;
        while !self.stop.is_requested() {
            let due = (began.elapsed().as_secs_f64() * f64::from(RATE)) as u64;
            let due = if self.keep { due } else { due.min(self.records) };
            self.produce(produced..due)?;
            produced = produced.max(due);
            while self.watcher.next(Duration::from_millis(20), |written| screen.show(written)) {}
            if self.keep || produced < self.records {
                continue;
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + LIMIT);
            let totals = self.metrics.totals();
            let written = totals.audited + totals.quarantined;
            if totals.read == produced && screen.seen() == written {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!(
                    "after {LIMIT:?}, {} of {produced} records are accounted for, and {} of {written} outputs were seen",
                    totals.read,
                    screen.seen()
                );
            }
        }
        Ok(())
    }

    /// The samples begin when somebody reads them, so that events appear one by one.
    fn await_group(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + LIMIT;
        while let Err(reasons) = self.health.ready() {
            if self.stop.is_requested() {
                break;
            }
            if Instant::now() >= deadline {
                bail!("not ready after {LIMIT:?}: {}", reasons.join("; "));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn produce(&self, numbers: std::ops::Range<u64>) -> anyhow::Result<()> {
        if numbers.is_empty() {
            return Ok(());
        }
        for number in numbers {
            let sample = samples::state_change(number, Timestamp::now());
            self.sampler.write(&sample.key, &sample.value)?;
        }
        self.sampler.flush()
    }
}
