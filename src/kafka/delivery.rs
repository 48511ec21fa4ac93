//! What becomes of records that were handed to the producer: of those that were not accepted, the first is remembered.

use std::sync::{Arc, Mutex};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use super::client_context::{Listener, Logged};

/// The first delivery, or partition, that failed in the current transaction. Its text says more than the error that the
/// calls then report.
#[derive(Debug, Clone, Default)]
pub(super) struct FailedDelivery(Arc<Mutex<Option<String>>>);

impl FailedDelivery {
    fn set(&self, what: String) {
        if let Ok(mut slot) = self.0.lock() {
            slot.get_or_insert(what);
        }
    }

    /// The first failure since the last call.
    pub fn take(&self) -> Option<String> {
        self.0.lock().ok()?.take()
    }
}

impl Listener for FailedDelivery {
    /// That a partition may not become a part of the transaction is said only here.
    fn log(&self, facility: &str, message: &str) {
        if facility == "ADDPARTS" {
            let is_denied = message.contains("Topic authorization failed");
            self.set(format!("{message}{}", remedy(is_denied)));
        }
    }
}

impl ProducerContext for Logged<FailedDelivery> {
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
        self.0.set(format!(
            "a record for {} partition {} was not accepted: {error}{}",
            message.topic(),
            message.partition(),
            remedy(code == Some(TopicAuthorizationFailed))
        ));
    }
}

const fn remedy(is_denied: bool) -> &'static str {
    if is_denied {
        "; grant the relay's principal Write on this topic"
    } else {
        ""
    }
}
