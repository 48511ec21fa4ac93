//! `demo`: runs the real relay with sample data on a broker inside this process, and prints the
//! outputs. It ends by itself. It proves nothing about crashes; the tests use a real broker for
//! that.

mod samples;
mod screen;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;

use crate::commands::arguments::DemoArgs;
use crate::config::{Config, LogFormat};
use crate::deployment::Deployment;
use crate::kafka::demo_broker::{EmbeddedBroker, Sampler, Watcher};
use crate::kafka::topics::TopicNames;
use crate::liveness::health::Health;
use crate::logging;
use crate::metrics::Metrics;
use crate::relay::Relay;
use crate::stream::StopRequest;
use screen::Screen;

/// Samples produced per second.
const RATE: u32 = 100;
/// Longest time for the relay to account for everything after the last sample was produced.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the demo.
///
/// # Errors
/// Fails if a part of it fails, or if not every record is accounted for in time.
pub fn demo(arguments: &DemoArgs) -> anyhow::Result<()> {
    logging::init(LogFormat::Auto, "warn");
    let folder = tempfile::tempdir().context("create a folder for the sample tables")?;
    std::fs::write(folder.path().join("principals.jsonl"), samples::principals())?;
    std::fs::write(folder.path().join("devices.jsonl"), samples::devices())?;
    // The broker needs the topic names, which come from the configuration, and the configuration
    // needs the broker's address. The names do not depend on the address, so it is read twice.
    let names = Deployment::load(&config(folder.path(), "127.0.0.1:1", arguments.listen)?)?.topics;
    let broker = EmbeddedBroker::start(&names)?;
    let config = config(folder.path(), &broker.bootstrap_servers(), arguments.listen)?;
    let deployment = Deployment::load(&config)?;
    Demo {
        bootstrap: broker.bootstrap_servers(),
        names: names.clone(),
        watcher: broker.watcher(&names)?,
        sampler: broker.sampler(&names.input)?,
        relay: Relay::new(config, deployment)?,
        stop: StopRequest::default(),
        keep: arguments.keep,
        records: arguments.records,
    }
    .run()
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

/// All parts of the demo.
struct Demo {
    bootstrap: String,
    names: TopicNames,
    watcher: Watcher,
    sampler: Sampler,
    relay: Relay,
    stop: StopRequest,
    keep: bool,
    records: u32,
}

impl Demo {
    fn run(self) -> anyhow::Result<()> {
        let metrics = self.relay.metrics();
        let health = self.relay.health();
        let (announce, announced) = mpsc::channel();
        let stop = self.stop.clone();
        let relay = self.relay;
        let running = std::thread::Builder::new().name("relay".to_string()).spawn(move || {
            relay.run(stop, move |address| {
                // The receiver is gone only if the demo has failed already.
                let _ = announce.send(address);
            })
        })?;
        let address = announced
            .recv_timeout(Duration::from_secs(10))
            .context("the admin server did not start")?;
        let mut screen = Screen::new(&self.names, address);
        screen.opening(self.records, &self.bootstrap);
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

/// The part that runs beside the relay: produces samples and prints the outputs.
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
            let counts = self.metrics.counts();
            let written = counts.audited() + counts.quarantined();
            if counts.read == produced && screen.seen() == written {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!(
                    "after {LIMIT:?}, {} of {produced} records are accounted for, and {} of {written} outputs were read",
                    counts.read,
                    screen.seen()
                );
            }
        }
        Ok(())
    }

    /// Waits until the relay reads its input, so that events appear one by one.
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
