//! Sorts what the client reports into the failures that the loop tells apart. Everything that is
//! not known to be harmless makes the producer a broken one: its successor starts from what is
//! committed.

use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode};

use crate::stream::Failure;

/// The step of a transaction that failed; it matters whether a commit may already be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `init_transactions`
    Init,
    /// `begin_transaction`
    Begin,
    /// Handing records to the producer, and waiting until they are delivered.
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

    /// Whether nothing can have been committed when this step fails, so that an abort is enough.
    const fn precedes_commit(self) -> bool {
        matches!(self, Step::Produce | Step::SendOffsets)
    }
}

/// Sorts an error of a transactional step.
pub fn sort(step: Step, error: &KafkaError) -> Failure {
    let what = format!("{}: {error}", step.name());
    match error {
        KafkaError::Transaction(error) => sort_transactional(step, error, what),
        // Reported before the commit was sent: rust-rdkafka flushes first.
        KafkaError::Flush(_) => Failure::Aborted(what),
        KafkaError::MessageProduction(code) if is_fenced(*code) => Failure::Fenced(what),
        KafkaError::MessageProduction(RDKafkaErrorCode::Fatal) => Failure::Broken(what),
        KafkaError::MessageProduction(code) if step.precedes_commit() => {
            refused(is_too_large(*code), what)
        }
        _ => Failure::Broken(what),
    }
}

fn sort_transactional(step: Step, error: &RDKafkaError, what: String) -> Failure {
    let what = format!("{what} ({})", error.string());
    if step == Step::Init && error.code() == RDKafkaErrorCode::TransactionalIdAuthorizationFailed {
        // Waiting grants no rights.
        Failure::Fatal(what)
    } else if is_fenced(error.code()) {
        Failure::Fenced(what)
    } else if error.is_fatal() {
        Failure::Broken(what)
    } else if step == Step::Commit {
        // Whatever the client concludes from an answer, the request may have gone out twice, and
        // its first copy may still commit. Only a new epoch rules that out.
        Failure::Broken(what)
    } else if error.txn_requires_abort() {
        Failure::Aborted(what)
    } else if error.is_retriable() && step.precedes_commit() {
        // Out of retries, and certainly not committed.
        Failure::Aborted(what)
    } else {
        Failure::Broken(what)
    }
}

/// Whether the same call with the same arguments may be made again.
pub fn is_retriable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => {
            error.is_retriable() && !error.is_fatal() && !error.txn_requires_abort()
        }
        _ => false,
    }
}

/// Sorts a fatal error of the consumer. The client that has one reads nothing any more.
pub fn dead(code: RDKafkaErrorCode, text: &str) -> Failure {
    let what = format!("{code}: {text}");
    match code {
        RDKafkaErrorCode::UnreleasedInstanceId => Failure::Unreleased(what),
        RDKafkaErrorCode::FencedInstanceId => Failure::ConsumerDead(format!(
            "fenced: its place in the group was taken; either another process runs with the same `instance`, or the client lost touch \
             with the group for longer than session.timeout.ms: {what}"
        )),
        _ => Failure::ConsumerDead(format!("the consumer can read no more: {what}")),
    }
}

/// What an operator must grant, if the client was denied what it asked for.
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

/// A record was refused, and the transaction can only be aborted.
pub fn refused(is_too_large: bool, what: String) -> Failure {
    if is_too_large { Failure::TooLarge(what) } else { Failure::Aborted(what) }
}

/// Whether a topic takes no batch as large as the one that was sent: by its max.message.bytes, or
/// by its segment.bytes.
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
    fn a_dead_consumer_costs_its_session_and_a_place_that_is_taken_is_waited_for() {
        use RDKafkaErrorCode::{FencedInstanceId, InvalidRequest, UnreleasedInstanceId};
        assert!(matches!(dead(UnreleasedInstanceId, "x"), Failure::Unreleased(_)));
        assert!(matches!(
            dead(FencedInstanceId, "x"),
            Failure::ConsumerDead(what) if what.contains("`instance`")
        ));
        assert!(matches!(dead(InvalidRequest, "x"), Failure::ConsumerDead(_)));
    }

    #[test]
    fn production_errors_before_the_commit_are_aborts() {
        use RDKafkaErrorCode::{
            Fatal, MessageBatchTooLarge, MessageSizeTooLarge, ProducerFenced, QueueFull,
        };
        let sorted = |step, code| sort(step, &KafkaError::MessageProduction(code));
        assert!(matches!(
            sorted(Step::Produce, QueueFull),
            Failure::Aborted(what) if what.contains("produce")
        ));
        for code in [MessageSizeTooLarge, MessageBatchTooLarge] {
            assert!(matches!(
                sorted(Step::Produce, code),
                Failure::TooLarge(what) if what.contains("produce")
            ));
        }
        assert!(matches!(sorted(Step::Produce, Fatal), Failure::Broken(_)));
        assert!(matches!(sorted(Step::Produce, ProducerFenced), Failure::Fenced(_)));
        assert!(matches!(
            sort(Step::Commit, &KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)),
            Failure::Aborted(_)
        ));
        assert!(matches!(
            sort(Step::Init, &KafkaError::ClientCreation("x".into())),
            Failure::Broken(_)
        ));
    }
}
