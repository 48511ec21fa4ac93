//! Classifies client errors into the failures that the loop distinguishes. Every error that is not
//! known to be harmless counts as a broken producer: its successor starts from the committed
//! offsets.

use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode};

use crate::stream::Failure;

/// The step of a transaction that failed. It matters because a commit may already be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `init_transactions`
    Init,
    /// `begin_transaction`
    Begin,
    /// Sending records to the producer, and waiting until they are delivered.
    Produce,
    /// `send_offsets_to_transaction`
    SendOffsets,
    /// `commit_transaction`
    Commit,
    /// `abort_transaction`
    Abort,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Step::Init => "init_transactions",
            Step::Begin => "begin_transaction",
            Step::Produce => "produce",
            Step::SendOffsets => "send_offsets_to_transaction",
            Step::Commit => "commit_transaction",
            Step::Abort => "abort_transaction",
        }
    }

    /// Returns whether nothing can have been committed when this step fails, so that an abort is
    /// enough.
    const fn precedes_commit(self) -> bool {
        matches!(self, Step::Produce | Step::SendOffsets)
    }
}

/// Classifies an error of a transactional step.
pub fn classify(step: Step, error: &KafkaError) -> Failure {
    let what = format!("{}: {error}", step.name());
    match error {
        KafkaError::Transaction(error) => classify_transactional(step, error, what),
        // rust-rdkafka flushes before it commits, so nothing was committed.
        KafkaError::Flush(_) => Failure::Aborted(what),
        KafkaError::MessageProduction(code) if is_fenced(*code) => Failure::Fenced(what),
        KafkaError::MessageProduction(RDKafkaErrorCode::Fatal) => Failure::Broken(what),
        KafkaError::MessageProduction(code) if step.precedes_commit() => {
            delivery_failure(is_too_large(*code), what)
        }
        _ => Failure::Broken(what),
    }
}

fn classify_transactional(step: Step, error: &RDKafkaError, what: String) -> Failure {
    let what = format!("{what} ({})", error.string());
    if step == Step::Init && error.code() == RDKafkaErrorCode::TransactionalIdAuthorizationFailed {
        // Retrying cannot fix a missing ACL.
        Failure::Fatal(what)
    } else if is_fenced(error.code()) {
        Failure::Fenced(what)
    } else if error.is_fatal() {
        Failure::Broken(what)
    } else if step == Step::Commit {
        // Whatever error the client reports, the request may have gone out twice, and its first
        // copy may still commit. Only a new epoch rules that out.
        Failure::Broken(what)
    } else if error.txn_requires_abort() {
        Failure::Aborted(what)
    } else if error.is_retriable() && step.precedes_commit() {
        // Retries are exhausted, and nothing was committed.
        Failure::Aborted(what)
    } else {
        Failure::Broken(what)
    }
}

/// Returns whether the same call may be repeated with the same arguments.
pub fn is_retriable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => {
            error.is_retriable() && !error.is_fatal() && !error.txn_requires_abort()
        }
        _ => false,
    }
}

/// Classifies a fatal error of the consumer. A client with a fatal error reads nothing more.
pub fn consumer_failure(code: RDKafkaErrorCode, text: &str) -> Failure {
    let what = format!("{code}: {text}");
    match code {
        RDKafkaErrorCode::UnreleasedInstanceId => Failure::Unreleased(what),
        RDKafkaErrorCode::FencedInstanceId => Failure::ConsumerDead(format!(
            "fenced: its group.instance.id was taken over; either another process runs with the same \
             `instance`, or the client had no contact with the group for longer than session.timeout.ms: {what}"
        )),
        _ => Failure::ConsumerDead(format!("the consumer failed and cannot read any more: {what}")),
    }
}

/// Returns which ACL the operator must grant, if the client was denied access.
pub fn remedy(code: Option<RDKafkaErrorCode>, topic: &str, group: &str) -> Option<String> {
    use RDKafkaErrorCode::{GroupAuthorizationFailed, TopicAuthorizationFailed};
    match code? {
        GroupAuthorizationFailed => {
            Some(format!("grant the relay's principal Read on the group {group:?}"))
        }
        TopicAuthorizationFailed => {
            Some(format!("grant the relay's principal Read on the topic {topic:?}"))
        }
        _ => None,
    }
}

/// Returns the failure of a record that was rejected: the transaction can only be aborted.
pub fn delivery_failure(is_too_large: bool, what: String) -> Failure {
    if is_too_large { Failure::TooLarge(what) } else { Failure::Aborted(what) }
}

/// Returns whether the code means that the topic does not accept a batch of this size: by its
/// max.message.bytes, or by its segment.bytes.
pub fn is_too_large(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{MessageBatchTooLarge, MessageSizeTooLarge};
    matches!(code, MessageSizeTooLarge | MessageBatchTooLarge)
}

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(code, Fenced | ProducerFenced | InvalidProducerEpoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fatal_consumer_error_ends_the_session_and_an_unreleased_instance_id_is_retried() {
        use RDKafkaErrorCode::{FencedInstanceId, InvalidRequest, UnreleasedInstanceId};
        assert!(matches!(consumer_failure(UnreleasedInstanceId, "x"), Failure::Unreleased(_)));
        assert!(matches!(
            consumer_failure(FencedInstanceId, "x"),
            Failure::ConsumerDead(what) if what.contains("`instance`")
        ));
        assert!(matches!(consumer_failure(InvalidRequest, "x"), Failure::ConsumerDead(_)));
    }

    #[test]
    fn production_errors_before_the_commit_are_aborts() {
        use RDKafkaErrorCode::{
            Fatal, MessageBatchTooLarge, MessageSizeTooLarge, ProducerFenced, QueueFull,
        };
        let classified = |step, code| classify(step, &KafkaError::MessageProduction(code));
        assert!(matches!(
            classified(Step::Produce, QueueFull),
            Failure::Aborted(what) if what.contains("produce")
        ));
        for code in [MessageSizeTooLarge, MessageBatchTooLarge] {
            assert!(matches!(
                classified(Step::Produce, code),
                Failure::TooLarge(what) if what.contains("produce")
            ));
        }
        assert!(matches!(classified(Step::Produce, Fatal), Failure::Broken(_)));
        assert!(matches!(classified(Step::Produce, ProducerFenced), Failure::Fenced(_)));
        assert!(matches!(
            classify(Step::Commit, &KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)),
            Failure::Aborted(_)
        ));
        assert!(matches!(
            classify(Step::Init, &KafkaError::ClientCreation("x".into())),
            Failure::Broken(_)
        ));
    }
}
