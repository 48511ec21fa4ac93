//! Injects each class of broker error into librdkafka's mock cluster and checks the worker loop's
//! reaction. The mock accepts transactions without enforcing them: it tests the classification of
//! errors, not exactly-once delivery.

mod transactions;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use audit_judge::fate::{Fate, Quarantine};
use audit_relay::config::Config;
use audit_relay::kafka::session::Session;
use audit_relay::kafka::settings::SessionSettings;
use audit_relay::kafka::topics::TopicNames;
use audit_relay::stream::Failure;
use audit_relay::stream::batch::BatchLimits;
use audit_relay::stream::worker::Worker;
use audit_relay::stream::{Observer, StopRequest, WorkerEvent};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use RDKafkaApiKey as Api;
use RDKafkaRespErr as Code;

const RECORDS: u64 = 20;
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The kinds of observed events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Committed,
    Aborted,
    TooLarge,
    Broken,
    Fenced,
    /// A partition is held.
    PartitionHeld,
    /// The whole worker is held.
    Held,
    ConsumerDead,
    Unreleased,
    Fatal,
    Recovered,
}

#[derive(Clone, Default)]
struct Recorder {
    seen: Arc<Mutex<Vec<Seen>>>,
    causes: Arc<Mutex<Vec<String>>>,
    committed: Arc<Mutex<u64>>,
    stop: StopRequest,
}

impl Observer for Recorder {
    fn on_event(&mut self, event: WorkerEvent<'_>) {
        let seen = match event {
            WorkerEvent::Group(_)
            | WorkerEvent::EndReached(_)
            | WorkerEvent::Publishing(_)
            | WorkerEvent::Released(_) => {
                return;
            }
            WorkerEvent::Held(_, fault, _) => {
                self.causes.lock().expect("lock").push(fault.to_string());
                // On the mock the hold never ends by itself.
                self.stop.request();
                Seen::PartitionHeld
            }
            WorkerEvent::Recovered => Seen::Recovered,
            WorkerEvent::Committed(batch, _) => {
                let mut committed = self.committed.lock().expect("lock");
                *committed += batch.records() as u64;
                if *committed >= RECORDS {
                    self.stop.request();
                }
                Seen::Committed
            }
            WorkerEvent::Failed(failure) => {
                self.causes.lock().expect("lock").push(failure.to_string());
                match failure {
                    Failure::Aborted(_) => Seen::Aborted,
                    Failure::TooLarge(_) => Seen::TooLarge,
                    Failure::Broken(_) => Seen::Broken,
                    Failure::Fenced(_) => Seen::Fenced,
                    Failure::Held(_) => Seen::Held,
                    Failure::ConsumerDead(_) => Seen::ConsumerDead,
                    Failure::Unreleased(_) => Seen::Unreleased,
                    Failure::Fatal(_) => Seen::Fatal,
                }
            }
        };
        self.seen.lock().expect("lock").push(seen);
    }
}

/// A mock cluster with the relay's topics and some records in the input.
struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    names: TopicNames,
}

impl Cluster {
    fn start() -> Cluster {
        let mock = MockCluster::new(1).expect("mock cluster");
        let names = TopicNames {
            input: "in".into(),
            regions: vec!["out".into()],
            quarantine: "quarantine".into(),
            checkpoints: None,
        };
        for topic in [&names.input, &names.regions[0], &names.quarantine] {
            mock.create_topic(topic, 1, 1).expect("topic");
        }
        let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
            .set("bootstrap.servers", mock.bootstrap_servers())
            .create()
            .expect("producer");
        for number in 0..RECORDS {
            let key = number.to_string();
            let record = BaseRecord::to(&names.input).key(&key).payload("x");
            producer.send(record).map_err(|(error, _)| error).expect("send");
        }
        producer.flush(WAIT_MAX).expect("flush");
        Cluster { mock, names }
    }

    fn settings(&self) -> SessionSettings {
        let text = format!(
            "instance = \"mock\"\n[kafka]\n\"bootstrap.servers\" = {:?}\n[principals]\nfile = \"none\"\n",
            self.mock.bootstrap_servers()
        );
        let config = Config::from_toml(&text, std::iter::empty()).expect("config");
        let mut settings =
            SessionSettings::new(&config, self.names.clone(), vec!["region".into()], 0);
        // Below the minimum for operators: most of these tests wait for a retry.
        for client in [&mut settings.consumer, &mut settings.producer] {
            client.set("retry.backoff.ms", "10");
        }
        settings
    }

    /// Runs a worker until every record is committed or it gives up.
    fn run(&self) -> (Vec<Seen>, Vec<String>, Result<(), Failure>) {
        let session = Session::open(self.settings()).expect("session");
        self.work(session, 1_000)
    }

    fn work(
        &self,
        session: Session,
        max_records: usize,
    ) -> (Vec<Seen>, Vec<String>, Result<(), Failure>) {
        let recorder = Recorder::default();
        let limits =
            BatchLimits { max_records, max_bytes: 1_000_000, max_age: Duration::from_millis(200) };
        let judge = |_: Option<&[u8]>| Fate::Quarantined(Quarantine::malformed("mock"));
        let stop = recorder.stop.clone();
        let mut worker = Worker::new(session, judge, recorder.clone(), limits, stop);
        let deadline = Instant::now() + WAIT_MAX;
        let mut result = Ok(());
        while result.is_ok() && !recorder.stop.is_requested() {
            assert!(Instant::now() < deadline, "stalled: {:?}", recorder.causes);
            result = worker.turn();
        }
        let seen = recorder.seen.lock().expect("lock").clone();
        let causes = recorder.causes.lock().expect("lock").clone();
        (seen, causes, result)
    }
}

struct Case {
    name: &'static str,
    api: Api,
    errors: &'static [Code],
    /// The failures that the loop must report before it recovers and commits.
    failures: &'static [Seen],
}

const CASES: &[Case] = &[
    Case {
        name: "the client finds a leader that has moved",
        api: Api::Produce,
        errors: &[Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION],
        failures: &[],
    },
    Case {
        name: "a record that is too large for the broker aborts",
        api: Api::Produce,
        errors: &[Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE],
        failures: &[Seen::TooLarge],
    },
    Case {
        name: "no right to write aborts",
        api: Api::Produce,
        errors: &[Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
        failures: &[Seen::Aborted],
    },
    Case {
        name: "no right to add a partition aborts",
        api: Api::AddPartitionsToTxn,
        errors: &[Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
        failures: &[Seen::Aborted],
    },
    Case {
        name: "the client waits for a transaction that is still completing",
        api: Api::AddPartitionsToTxn,
        errors: &[Code::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS; 3],
        failures: &[],
    },
    Case {
        name: "a newer producer with the same id fences",
        api: Api::AddPartitionsToTxn,
        errors: &[Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED],
        failures: &[Seen::Fenced],
    },
    Case {
        name: "an old generation aborts",
        api: Api::TxnOffsetCommit,
        errors: &[Code::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION],
        failures: &[Seen::Aborted],
    },
    Case {
        name: "an expelled member aborts",
        api: Api::TxnOffsetCommit,
        errors: &[Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID],
        failures: &[Seen::Aborted],
    },
    Case {
        name: "the client waits for a loading coordinator",
        api: Api::TxnOffsetCommit,
        errors: &[Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS; 3],
        failures: &[],
    },
    Case {
        name: "an invalid transaction state breaks the producer",
        api: Api::AddOffsetsToTxn,
        errors: &[Code::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE],
        failures: &[Seen::Broken],
    },
    Case {
        name: "a commit of an old epoch fences",
        api: Api::EndTxn,
        errors: &[Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH],
        failures: &[Seen::Fenced],
    },
    Case {
        name: "a commit refused for an unknown reason breaks the producer",
        api: Api::EndTxn,
        errors: &[Code::RD_KAFKA_RESP_ERR_UNKNOWN],
        failures: &[Seen::Broken],
    },
    Case {
        name: "the client finds a coordinator that has moved",
        api: Api::EndTxn,
        errors: &[Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR],
        failures: &[],
    },
];

/// After a failed delivery the client gets a new epoch, and may abort once more meanwhile.
const REPEATS_MAX: usize = 2;

/// Removes up to [`REPEATS_MAX`] repetitions of each failure, and all but the last commit.
fn without_repeats(seen: &[Seen]) -> Vec<Seen> {
    let mut unique: Vec<Seen> = Vec::new();
    for (index, it) in seen.iter().enumerate() {
        let repeats = seen[..index].iter().filter(|before| *before == it).count();
        let is_kept = match it {
            Seen::Committed => index + 1 == seen.len(),
            _ => repeats == 0 || repeats > REPEATS_MAX,
        };
        if is_kept {
            unique.push(*it);
        }
    }
    unique
}

impl Case {
    /// Runs the case. Returns the problem, if any.
    fn problem(&self) -> Option<String> {
        let cluster = Cluster::start();
        cluster.mock.request_errors(self.api, self.errors);
        let (seen, causes, result) = cluster.run();
        let mut expected: Vec<Seen> = self.failures.to_vec();
        if !self.failures.is_empty() {
            expected.push(Seen::Recovered);
        }
        expected.push(Seen::Committed);
        // A failed batch is published again in smaller ones.
        let good = without_repeats(&seen) == expected && result.is_ok();
        (!good).then(|| format!("{}: {seen:?} {causes:?} {result:?}", self.name))
    }
}

#[test]
fn each_error_class_is_handled() {
    let threads: Vec<_> = CASES.iter().map(|case| std::thread::spawn(|| case.problem())).collect();
    let wrong: Vec<String> =
        threads.into_iter().filter_map(|thread| thread.join().expect("thread")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_repeatedly_fenced_worker_gives_up_and_names_the_setting() {
    let cluster = Cluster::start();
    let fenced = [Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED; 12];
    cluster.mock.request_errors(Api::AddPartitionsToTxn, &fenced);
    let (seen, _, result) = cluster.run();
    let failure = result.expect_err("gives up");
    assert!(matches!(&failure, Failure::Fatal(what) if what.contains("`instance`")), "{failure}");
    assert!(!seen.contains(&Seen::Committed), "{seen:?}");
}

/// The mock forgets offsets committed in a transaction. The relay must not start again from the
/// beginning because the group forgot them.
#[test]
fn a_producer_that_sent_a_commit_twice_is_replaced() {
    let cluster = Cluster::start();
    let session = Session::open(cluster.settings()).expect("session");
    cluster.mock.request_errors(Api::EndTxn, &[Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR]);
    // Only a new producer requests an id, so this error shows that the producer was replaced.
    let refused = [Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED];
    cluster.mock.request_errors(Api::InitProducerId, &refused);
    let (seen, causes, _) = cluster.work(session, RECORDS as usize / 2);
    let expected = [Seen::Committed, Seen::Broken, Seen::Recovered, Seen::PartitionHeld];
    assert_eq!(seen, expected, "{causes:?}");
    let last = causes.last().map(String::as_str).unwrap_or_default();
    assert!(last.contains("although 10 was committed"), "{last}");
}

/// A retried request may arrive after the call has failed.
#[test]
fn a_producer_with_a_call_that_failed_late_is_replaced() {
    let cluster = Cluster::start();
    let mut settings = cluster.settings();
    settings.producer.set("transaction.timeout.ms", "1500");
    let session = Session::open(settings).expect("session");
    let moved = [Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR; 5];
    cluster.mock.request_errors(Api::TxnOffsetCommit, &moved);
    let refused = [Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED];
    cluster.mock.request_errors(Api::InitProducerId, &refused);
    let (seen, causes, result) = cluster.work(session, 1_000);
    let renewed = [Seen::Aborted, Seen::Recovered, Seen::Broken, Seen::Recovered];
    assert!(seen.starts_with(&renewed), "{seen:?} {causes:?}");
    assert!(causes[1].contains("init_transactions"), "{causes:?}");
    assert!(result.is_ok() && seen.ends_with(&[Seen::Committed]), "{seen:?}");
}

#[test]
fn the_worker_waits_for_a_broker_that_is_down() {
    let cluster = Cluster::start();
    cluster.mock.broker_down(-1).expect("down");
    let Err(error) = Session::open(cluster.settings()) else {
        panic!("opened without a broker");
    };
    assert!(error.may_pass(), "{error}");
    cluster.mock.broker_up(-1).expect("up");
    let (seen, causes, result) = cluster.run();
    assert_eq!(seen, [Seen::Committed], "{causes:?} {result:?}");
}

#[test]
fn a_missing_topic_is_reported_as_permanent() {
    let cluster = Cluster::start();
    let mut settings = cluster.settings();
    // The mock creates topics on request, so the error must be injected.
    let unknown = Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    settings.topics.quarantine = "nowhere".into();
    cluster.mock.topic_error("nowhere", unknown).expect("topic error");
    let Err(error) = Session::open(settings) else {
        panic!("opened without its quarantine topic");
    };
    assert!(!error.may_pass());
    assert!(error.to_string().contains("\"nowhere\" does not exist"), "{error}");
}
