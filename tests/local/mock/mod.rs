//! Each class of error that a broker can answer with, injected into librdkafka's mock cluster, and
//! what the loop does about it. The mock accepts transactions and does not enforce them: it shows
//! how errors are sorted, never that anything is exactly once.

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
const LIMIT: Duration = Duration::from_secs(60);

/// What an observer saw, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Committed,
    Aborted,
    TooLarge,
    Broken,
    Fenced,
    /// A partition is held.
    PartitionHeld,
    /// The worker as a whole is.
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
                // On the mock nothing ends that by itself.
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
        producer.flush(LIMIT).expect("flush");
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
        // Sooner than an operator may have it: most tests here are about what comes after a second
        // try.
        for client in [&mut settings.consumer, &mut settings.producer] {
            client.set("retry.backoff.ms", "10");
        }
        settings
    }

    /// Runs a worker until every record is committed, or it gives up.
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
        let deadline = Instant::now() + LIMIT;
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
    /// The failures that the loop must notice, before it recovers and commits.
    failures: &'static [Seen],
}

const CASES: &[Case] = &[
    Case {
        name: "a leader that has moved is found again by the client",
        api: Api::Produce,
        errors: &[Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION],
        failures: &[],
    },
    Case {
        name: "a record that the broker finds too large aborts",
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
        name: "a transaction still being finished is waited for by the client",
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
        name: "a member that was expelled aborts",
        api: Api::TxnOffsetCommit,
        errors: &[Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID],
        failures: &[Seen::Aborted],
    },
    Case {
        name: "a coordinator that is loading is waited for by the client",
        api: Api::TxnOffsetCommit,
        errors: &[Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS; 3],
        failures: &[],
    },
    Case {
        name: "an impossible state breaks the producer",
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
        name: "a commit that is refused for an unknown reason breaks the producer",
        api: Api::EndTxn,
        errors: &[Code::RD_KAFKA_RESP_ERR_UNKNOWN],
        failures: &[Seen::Broken],
    },
    Case {
        name: "a coordinator that has moved is found again by the client",
        api: Api::EndTxn,
        errors: &[Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR],
        failures: &[],
    },
];

/// After a delivery that failed the client takes a new epoch, and may abort once more on the way.
const REPEATS_MAX: usize = 2;

/// What was seen, a failure that repeats told once. It may repeat a few times, and no more.
fn told_once(seen: &[Seen]) -> Vec<Seen> {
    let mut told: Vec<Seen> = Vec::new();
    for (index, it) in seen.iter().enumerate() {
        let repeats = seen[..index].iter().filter(|before| *before == it).count();
        let is_told = match it {
            Seen::Committed => index + 1 == seen.len(),
            _ => repeats == 0 || repeats > REPEATS_MAX,
        };
        if is_told {
            told.push(*it);
        }
    }
    told
}

impl Case {
    /// What is wrong, if anything is.
    fn problem(&self) -> Option<String> {
        let cluster = Cluster::start();
        cluster.mock.request_errors(self.api, self.errors);
        let (seen, causes, result) = cluster.run();
        let mut expected: Vec<Seen> = self.failures.to_vec();
        if !self.failures.is_empty() {
            expected.push(Seen::Recovered);
        }
        expected.push(Seen::Committed);
        // What failed is published again in smaller batches.
        let good = told_once(&seen) == expected && result.is_ok();
        (!good).then(|| format!("{}: {seen:?} {causes:?} {result:?}", self.name))
    }
}

#[test]
fn each_class_of_error_has_its_answer() {
    let threads: Vec<_> = CASES.iter().map(|case| std::thread::spawn(|| case.problem())).collect();
    let wrong: Vec<String> =
        threads.into_iter().filter_map(|thread| thread.join().expect("thread")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn fenced_again_and_again_it_gives_up_and_names_the_setting() {
    let cluster = Cluster::start();
    let fenced = [Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED; 12];
    cluster.mock.request_errors(Api::AddPartitionsToTxn, &fenced);
    let (seen, _, result) = cluster.run();
    let failure = result.expect_err("gives up");
    assert!(matches!(&failure, Failure::Fatal(what) if what.contains("`instance`")), "{failure}");
    assert!(!seen.contains(&Seen::Committed), "{seen:?}");
}

/// The mock forgets offsets that were committed in a transaction: what a group forgets is no reason
/// to begin again.
#[test]
fn a_producer_that_sent_a_commit_twice_begins_no_other_transaction() {
    let cluster = Cluster::start();
    let session = Session::open(cluster.settings()).expect("session");
    cluster.mock.request_errors(Api::EndTxn, &[Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR]);
    // Only a new producer asks for an id: the error shows that there is one.
    let refused = [Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED];
    cluster.mock.request_errors(Api::InitProducerId, &refused);
    let (seen, causes, _) = cluster.work(session, RECORDS as usize / 2);
    let expected = [Seen::Committed, Seen::Broken, Seen::Recovered, Seen::PartitionHeld];
    assert_eq!(seen, expected, "{causes:?}");
    let last = causes.last().map(String::as_str).unwrap_or_default();
    assert!(last.contains("although 10 was committed"), "{last}");
}

/// A request that was repeated without an answer may arrive after the call has failed.
#[test]
fn a_producer_whose_call_failed_late_begins_no_other_transaction() {
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
fn a_broker_that_goes_away_and_comes_back_is_waited_for() {
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
fn a_missing_topic_is_named_and_no_waiting_helps() {
    let cluster = Cluster::start();
    let mut settings = cluster.settings();
    // The mock creates topics when asked for them; an error must be put in its way.
    let unknown = Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    settings.topics.quarantine = "nowhere".into();
    cluster.mock.topic_error("nowhere", unknown).expect("topic error");
    let Err(error) = Session::open(settings) else {
        panic!("opened without its quarantine topic");
    };
    assert!(!error.may_pass());
    assert!(error.to_string().contains("\"nowhere\" does not exist"), "{error}");
}
