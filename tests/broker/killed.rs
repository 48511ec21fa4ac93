//! A relay that is killed at each step of a transaction: before the broker gets a request, and
//! after the broker has answered it, so that only the answer is lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::PROGRAM;
use crate::exactly_once::{SMALL_BATCHES, WAIT_MAX, await_committed, end};
use crate::ledger::{Ledger, PRINCIPALS, change};
use crate::trail;
use audit_testkit::kafka::{BrokerOptions, KafkaBroker};
use audit_testkit::proxy::{Aim, Ambush, Proxy, RequestKind, Rules};
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::produce;

/// The requests of a transaction, and the one before it, in their order.
const STEPS: [(&str, RequestKind); 6] = [
    ("InitProducerId", RequestKind::INIT_PRODUCER_ID),
    ("AddPartitionsToTxn", RequestKind::ADD_PARTITIONS_TO_TXN),
    ("Produce", RequestKind::PRODUCE),
    ("AddOffsetsToTxn", RequestKind::ADD_OFFSETS_TO_TXN),
    ("TxnOffsetCommit", RequestKind::TXN_OFFSET_COMMIT),
    ("EndTxn", RequestKind::END_TXN),
];
/// Records that each relay finds.
const PORTION: u64 = 200;

/// A broker behind a proxy, which holds what its rules say.
pub struct ProxiedBroker {
    pub broker: KafkaBroker,
    pub rules: Arc<Rules>,
    /// The `bootstrap.servers` behind the proxy.
    pub bootstrap: String,
    _proxy: Proxy,
}

impl ProxiedBroker {
    #[track_caller]
    pub fn start() -> Self {
        let options = BrokerOptions { is_proxied: true, ..BrokerOptions::default() };
        let broker = KafkaBroker::start(options).expect("a broker");
        let rules = Arc::new(Rules::default());
        let (proxy, bootstrap) = broker.proxy(&rules);
        ProxiedBroker { broker, rules, bootstrap, _proxy: proxy }
    }

    /// Starts a process, and waits until its first request of a kind, or the answer, is held.
    #[track_caller]
    pub fn hold(
        &self,
        client: &str,
        kind: RequestKind,
        ambush: Ambush,
        start: impl FnOnce() -> Relay,
    ) -> Relay {
        let held = self.rules.held();
        self.rules.ambush(Aim::client(client), kind, ambush);
        let process = start();
        let since = Instant::now();
        while self.rules.held() == held {
            assert!(since.elapsed() < WAIT_MAX, "{kind:?} {ambush:?}: {}", process.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        process
    }
}

#[test]
fn a_kill_at_any_step_of_a_transaction_loses_and_doubles_nothing() {
    let proxied = ProxiedBroker::start();
    let broker = &proxied.broker;
    let mut deployment = TestDeployment::create(PROGRAM, broker, 3, PRINCIPALS, SMALL_BATCHES);
    deployment.bootstrap.clone_from(&proxied.bootstrap);
    // A killed member is replaced at once.
    deployment.static_members = vec!["same".to_string()];
    trail::seal(broker, &mut deployment);
    let committed = || broker.committed(&deployment.group, &deployment.input).values().sum::<i64>();
    let mut written = 0;
    for (name, kind) in STEPS {
        for ambush in [Ambush::HoldRequest, Ambush::HoldAnswer] {
            produce(
                broker.bootstrap(),
                &deployment.input,
                (written..written + PORTION).map(change),
            );
            written += PORTION;
            let before = committed();
            let mut relay = proxied.hold("same-", kind, ambush, || deployment.start("same"));
            relay.signal("KILL");
            relay.wait();
            match (name, ambush) {
                // The broker answers before the offsets can be seen.
                ("EndTxn", Ambush::HoldAnswer) => await_committed(broker, &deployment, before + 1),
                _ => assert_eq!(committed(), before, "{name} {ambush:?}"),
            }
        }
    }
    let mut relay = deployment.start("same");
    await_committed(broker, &deployment, written as i64);
    end(&mut relay);
    Ledger::of(broker.bootstrap(), &deployment, written).assert_clean();
    trail::assert_proven(broker, &deployment);
}
