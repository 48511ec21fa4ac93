//! Records what happened to sent records: it keeps the first delivery that failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::kafka::client::context::{ClientEvents, LoggingContext};
use crate::kafka::client::error::is_too_large;

/// The first delivery that failed in the current transaction, and the first partition that could
/// not be added to it. Their texts are more specific than the errors that later calls report.
#[derive(Debug, Clone, Default)]
pub(in crate::kafka) struct FailedDelivery {
    delivery: Slot<Undelivered>,
    partition: Slot<String>,
    /// Whether a record was sent to a partition that its topic does not have.
    hit_unknown_partition: Arc<AtomicBool>,
}

/// A record that was not delivered.
#[derive(Debug, Clone)]
pub(in crate::kafka) struct Undelivered {
    /// Which record, and why.
    pub what: String,
    /// Whether the reason is its size, or that of its batch.
    pub is_too_large: bool,
}

/// Keeps the first of several values.
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
    /// Drops earlier failures.
    pub(crate) fn clear(&self) {
        self.take();
        self.partition.take();
    }

    /// Returns whether a delivery has failed.
    pub(crate) fn is_set(&self) -> bool {
        self.delivery.is_set()
    }

    /// Returns the failed delivery, once.
    pub(crate) fn take(&self) -> Option<Undelivered> {
        self.delivery.take()
    }

    /// Records the code of an error, from a delivery or from sending a record.
    pub(crate) fn record_code(&self, code: Option<RDKafkaErrorCode>) {
        use RDKafkaErrorCode::{UnknownPartition, UnknownTopicOrPartition};
        if matches!(code, Some(UnknownPartition | UnknownTopicOrPartition)) {
            self.hit_unknown_partition.store(true, Ordering::Release);
        }
    }

    /// Returns whether a record was sent to a partition that its topic does not have, and resets
    /// it.
    pub(crate) fn take_unknown_partition(&self) -> bool {
        self.hit_unknown_partition.swap(false, Ordering::AcqRel)
    }

    /// Returns the explanation for a call that failed, once. By itself it is no failure: the client
    /// may have retried with success.
    pub(crate) fn explanation(&self) -> Option<String> {
        self.partition.take().or_else(|| self.take().map(|undelivered| undelivered.what))
    }
}

impl ClientEvents for FailedDelivery {
    /// Reads which partition could not be added to the transaction. The client reports it only in
    /// its log.
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
        // Records purged by an abort are expected.
        use RDKafkaErrorCode::{PurgeInflight, PurgeQueue, TopicAuthorizationFailed};
        let code = error.rdkafka_error_code();
        if matches!(code, Some(PurgeQueue | PurgeInflight)) {
            return;
        }
        self.0.record_code(code);
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

/// Returns what the operator must do if the broker denied access.
pub(in crate::kafka) const fn remedy(is_denied: bool) -> &'static str {
    if is_denied { "; grant the relay's principal Write on this topic" } else { "" }
}
