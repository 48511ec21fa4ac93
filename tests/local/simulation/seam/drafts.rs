//! What a transaction of the loop writes, as the simulation's own types.

use audit_chain::header::HEADER_NAME;
use audit_relay::stream::{Content as Written, Output, Proof, Transaction};

use super::sealing;
use crate::simulation::oracle::Content;
use crate::simulation::trail::StoredRecord;
use crate::simulation::transactions::Draft;

/// What a transaction writes: the outputs, and then their seals.
pub(super) fn drafts(transaction: &Transaction<'_>) -> Vec<Draft> {
    let outputs = transaction.outputs.iter().enumerate();
    let drafts = outputs.map(|(number, output)| {
        let stored = transaction.proof.map(|proof| stored(&output, number, proof));
        Draft { record: stored, ..draft(output) }
    });
    let seals = transaction.proof.into_iter().flat_map(Proof::seals).map(|seal| Draft {
        partition: seal.partition,
        offset: -1,
        content: Content::Seal {
            key: seal.key.clone(),
            note: seal.note.clone(),
            time_ms: seal.timestamp_ms as u64,
        },
        record: None,
    });
    drafts.chain(seals).collect()
}

/// The record of an output, as it is sent.
fn stored(output: &Output<'_>, number: usize, proof: &Proof) -> StoredRecord {
    let chain = proof.header(number).expect("a header for each output");
    let chain = (HEADER_NAME.as_bytes().to_vec(), Some(chain.as_bytes().to_vec()));
    sealing::format().compose(output, proof.time_ms(), |composed| {
        let headers = composed.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)));
        StoredRecord {
            timestamp_ms: composed.timestamp_ms,
            key: composed.key.map(<[u8]>::to_vec),
            value: composed.value.map(<[u8]>::to_vec),
            headers: headers.chain([chain]).collect(),
        }
    })
}

fn draft(output: Output<'_>) -> Draft {
    let content = match output.content {
        Written::Event { envelope, event } => {
            Content::Event { region: envelope.region.0, event: event.to_vec() }
        }
        Written::Quarantined(kept) => Content::Original {
            key: kept.original.key.clone(),
            payload: kept.original.payload.clone(),
            reason: kept.quarantine.reason.name(),
        },
    };
    let (partition, offset) = (output.source_partition, output.source_offset);
    Draft { partition, offset, content, record: None }
}
