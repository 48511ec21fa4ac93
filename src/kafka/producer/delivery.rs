//! What becomes of records that were handed to the producer: of those that were not accepted, the
//! first is remembered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::kafka::client::context::{ClientEvents, LoggingContext};
use crate::kafka::client::error::is_too_large;

/// The first delivery that failed in the current transaction, and the first partition that could
/// not become part of it. Their texts say more than the errors that calls then report.
#[derive(Debug, Clone, Default)]
pub(in crate::kafka) struct FailedDelivery {
    delivery: Slot<Undelivered>,
    partition: Slot<String>,
    /// Whether a record was for a partition that the topic does not have.
    lacked_a_partition: Arc<AtomicBool>,
}

/// A record that was not accepted.
#[derive(Debug, Clone)]
pub(in crate::kafka) struct Undelivered {
    /// Which, and why.
    pub what: String,
    /// Whether for its size, or that of the batch that it was sent in.
    pub is_too_large: bool,
}

/// The first of several.
#[derive(Debug, Clone)]
struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot(Arc::default())
    }
}

impl<T> Slot<T> {
    fn set(&self, what: T) {
        if let Ok(mut slot) = self.0.lock() {
            slot.get_or_insert(what);
        }
    }

    fn take(&self) -> Option<T> {
        self.0.lock().ok()?.take()
    }

    fn is_set(&self) -> bool {
        self.0.lock().is_ok_and(|slot| slot.is_some())
    }
}

impl FailedDelivery {
    /// Forgets what failed before.
    pub(crate) fn clear(&self) {
        self.take();
        self.partition.take();
    }

    /// Whether a delivery has failed.
    pub(crate) fn is_there(&self) -> bool {
        self.delivery.is_set()
    }

    /// The delivery that failed, once.
    pub(crate) fn take(&self) -> Option<Undelivered> {
        self.delivery.take()
    }

    /// Notes the code of an error, of a delivery or of handing over a record.
    pub(crate) fn note(&self, code: Option<RDKafkaErrorCode>) {
        use RDKafkaErrorCode::{UnknownPartition, UnknownTopicOrPartition};
        if matches!(code, Some(UnknownPartition | UnknownTopicOrPartition)) {
            self.lacked_a_partition.store(true, Ordering::Release);
        }
    }

    /// Whether a record was for a partition that the topic does not have, once.
    pub(crate) fn take_lacked_a_partition(&self) -> bool {
        self.lacked_a_partition.swap(false, Ordering::AcqRel)
    }

    /// What explains that a call failed, once. By itself it is no failure: the client may have
    /// tried again.
    pub(crate) fn explanation(&self) -> Option<String> {
        self.partition.take().or_else(|| self.take().map(|undelivered| undelivered.what))
    }
}

impl ClientEvents for FailedDelivery {
    /// Which partition could not become part of the transaction is said only here.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "ADDPARTS" && (level as i32) <= RDKafkaLogLevel::Error as i32 {
            let is_denied = message.contains("Topic authorization failed");
            self.partition.set(format!("{message}{}", remedy(is_denied)));
        }
    }
}

impl ProducerContext for LoggingContext<FailedDelivery> {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, message)) = result else {
            return;
        };
        // Purged by an abort: expected.
        use RDKafkaErrorCode::{PurgeInflight, PurgeQueue, TopicAuthorizationFailed};
        let code = error.rdkafka_error_code();
        if matches!(code, Some(PurgeQueue | PurgeInflight)) {
            return;
        }
        self.0.note(code);
        self.0.delivery.set(Undelivered {
            what: format!(
                "a record for {} partition {} was not accepted: {error}{}",
                message.topic(),
                message.partition(),
                remedy(code == Some(TopicAuthorizationFailed))
            ),
            is_too_large: code.is_some_and(is_too_large),
        });
    }
}

/// What to do if the broker denied it.
pub(in crate::kafka) const fn remedy(is_denied: bool) -> &'static str {
    if is_denied { "; grant the relay's principal Write on this topic" } else { "" }
}
