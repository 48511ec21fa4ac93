//! The read barrier on a real Apache Kafka. Principals get access immediately before they act, and
//! the table publishes only once a minute unless a batch waits for it. With the barrier no event is
//! missed; without it some are, which proves that the test can fail.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use audit_judge::fate::Fate;
use audit_relay::config::Config;
use audit_relay::deployment::Deployment;
use audit_relay::kafka;
use audit_relay::kafka::session::Session;
use audit_relay::kafka::settings::SessionSettings;
use audit_relay::metrics::Metrics;
use audit_relay::relay::judge::TableJudge;
use audit_relay::stream::worker::Worker;
use audit_relay::stream::{Content, GroupEvent, Judge, Observer, StopRequest, WorkerEvent};
use audit_relay::tables::TableStore;
use jiff::Timestamp;
use serde_json::json;

use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::{TestRecord, produce};

use crate::PROGRAM;

/// The number of grants; each is immediately followed by an action.
const GRANTS: u64 = 3_000;
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Counts fates, signals when the worker has joined its group, and stops it when all records are
/// committed.
struct Counter {
    read: u64,
    audited: u64,
    /// Judged before the grant was known.
    late: u64,
    held: u64,
    joined: Sender<()>,
    stop: StopRequest,
}

impl Counter {
    fn count(&mut self, content: &Content<'_>) {
        match content {
            Content::Event { .. } => self.audited += 1,
            Content::Quarantined(kept) => {
                assert_eq!(kept.quarantine.reason.name(), "unknown_principal");
                self.late += 1;
            }
        }
    }
}

impl Observer for &mut Counter {
    fn on_event(&mut self, event: WorkerEvent<'_>) {
        match event {
            WorkerEvent::Committed(batch, _) => {
                self.read += batch.records() as u64;
                batch.outputs().iter().for_each(|it| self.count(&it.content));
                if self.read >= GRANTS {
                    self.stop.request();
                }
            }
            WorkerEvent::Failed(_) => self.held += 1,
            WorkerEvent::Held(_, fault, _) => panic!("{fault}"),
            // Only the first signal is awaited; later ones have no receiver.
            WorkerEvent::Group(GroupEvent::Assigned(_)) => _ = self.joined.send(()),
            WorkerEvent::Group(_)
            | WorkerEvent::EndReached(_)
            | WorkerEvent::Publishing(_)
            | WorkerEvent::Released(_)
            | WorkerEvent::Recovered => {}
        }
    }
}

/// The same judge, which trusts the current state of the table.
struct WithoutBarrier(TableJudge);

impl Judge for WithoutBarrier {
    fn judge(&self, payload: Option<&[u8]>) -> Fate {
        self.0.judge(payload)
    }

    fn is_final(&self, _: &Fate) -> bool {
        true
    }

    fn trusted(&self) -> Result<(), String> {
        self.0.trusted()
    }

    fn catch_up(&self) -> Result<(), String> {
        self.0.catch_up()
    }
}

struct World {
    broker: &'static KafkaBroker,
    input: String,
    table: String,
    config: Config,
    deployment: Arc<Deployment>,
    tables: Arc<TableStore>,
}

impl World {
    fn start() -> World {
        let broker = KafkaBroker::shared();
        let test = TestDeployment::create(
            PROGRAM,
            broker,
            4,
            "",
            "[tables]\npublish_interval_ms = 60000\n",
        );
        let table = broker.unique("principals");
        broker.create_topic_with(&table, 2, &[("cleanup.policy", "compact")]);
        let text = std::fs::read_to_string(test.config("barrier")).expect("configuration");
        let source = format!("topic = \"{table}\"");
        let text = text.replace("file = \"principals.jsonl\"", &source);
        let config = Config::from_toml(&text, std::iter::empty()).expect("configuration");
        let deployment = Arc::new(Deployment::load(&config).expect("loads"));
        let followed = kafka::followers::followed(&config);
        let limit = config.tables.staleness_limit;
        let tables = Arc::new(TableStore::new(deployment.reference.clone(), &followed, limit));
        kafka::followers::follow(&config, &tables).expect("follows");
        tables.await_ready(WAIT_MAX).expect("ready");
        World { broker, input: test.input.clone(), table, config, deployment, tables }
    }

    /// Writes grants and the actions right after them, a thousand at a time, so that the input
    /// never runs dry.
    fn grant_and_act(&self) {
        for thousand in 0..GRANTS / 1_000 {
            let numbers = thousand * 1_000..(thousand + 1) * 1_000;
            let now = Timestamp::now();
            produce(self.broker.bootstrap(), &self.table, numbers.clone().map(|n| grant(n, now)));
            produce(self.broker.bootstrap(), &self.input, numbers.map(|n| action(n, now)));
        }
    }

    /// Runs a worker while the grants are written, until everything is committed.
    fn run<J: Judge>(&self, judge: J) -> Counter {
        let regions = self.deployment.rules.routes.regions().to_vec();
        let settings =
            SessionSettings::new(&self.config, self.deployment.topics.clone(), regions, 0);
        let session = Session::open(settings).expect("session");
        let stop = StopRequest::default();
        let (joined, when_joined) = channel();
        let mut counter =
            Counter { read: 0, audited: 0, late: 0, held: 0, joined, stop: stop.clone() };
        let since = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // If started earlier, even a slow table could catch up without the barrier.
                when_joined.recv_timeout(WAIT_MAX).expect("joined");
                self.grant_and_act();
            });
            let mut worker =
                Worker::new(session, judge, &mut counter, self.config.batch, stop.clone());
            while !stop.is_requested() {
                assert!(since.elapsed() < WAIT_MAX, "stalled");
                worker.turn().expect("turn");
            }
        });
        self.tables.close();
        counter
    }

    fn judge(&self) -> TableJudge {
        let limit = self.config.tables.barrier_limit;
        let regions = self.deployment.rules.routes.regions();
        let metrics = Metrics::new(regions, "none").expect("metrics");
        TableJudge::new(Arc::clone(&self.deployment), Arc::clone(&self.tables), limit, metrics)
    }
}

fn grant(number: u64, now: Timestamp) -> TestRecord {
    let value = json!({
        "accountId": 1, "userId": number, "iamId": format!("IBMid-{number}"), "linked": true,
        "infrastructureAccess": true, "validFrom": now.to_string(),
    });
    TestRecord {
        key: Some(format!("1/{number}").into_bytes()),
        value: Some(value.to_string().into_bytes()),
        ..TestRecord::default()
    }
}

fn action(number: u64, now: Timestamp) -> TestRecord {
    let value = json!({
        "accountId": 1, "eventCreateDate": now.to_string(), "eventName": "Power Off", "objectName": "Server",
        "objectId": 77, "datacenter": "dal10", "label": "web", "userId": number, "userType": "CUSTOMER",
    });
    TestRecord {
        partition: Some((number % 4) as i32),
        value: Some(value.to_string().into_bytes()),
        ..TestRecord::default()
    }
}

#[test]
fn the_barrier_sees_every_grant_in_time() {
    let world = World::start();
    let counter = world.run(world.judge());
    assert_eq!((counter.read, counter.audited), (GRANTS, GRANTS), "held {}", counter.held);
}

#[test]
fn without_the_barrier_some_grants_are_missed() {
    let world = World::start();
    let counter = world.run(WithoutBarrier(world.judge()));
    assert_eq!((counter.read, counter.audited + counter.late), (GRANTS, GRANTS));
    assert!(counter.late > 0, "the table was never behind, so this test proves nothing");
}
