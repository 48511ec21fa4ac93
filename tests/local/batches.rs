//! A batch of any records counts each record once and keeps the bytes of quarantined ones.

use std::collections::BTreeMap;

use audit_cases::Setup;
use audit_cases::generators::{any_record, hold, near_valid};
use audit_judge::fate::{Fate, FateKind};
use audit_relay::stream::batch::Batch;
use audit_relay::stream::{Content, Partition, SourceRecord};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

/// Settings that accept more than the defaults.
const SETTINGS: &str = "[policy]\naccess = [\"permission\", \"device\"]\nsystem_on_behalf_of_user = true\nno_infrastructure_access = \"quarantine\"
     [catalog]\nenable = [\"audit-log.vsi.*\", \"audit-log.user.login\"]\n[locations]\nprofile = \"all\"";

#[test]
fn every_record_of_a_batch_is_counted_once() {
    let record = (
        0..4_i32,
        prop_oneof![3 => near_valid().prop_map(|record| record.text()), 1 => any_record()],
    );
    let setup = Setup::new(SETTINGS);
    hold(100, prop::collection::vec(record, 0..40), |records| {
        let mut batch = Batch::default();
        let mut expected: BTreeMap<i32, BTreeMap<FateKind, u64>> = BTreeMap::new();
        let (mut written, mut read) = (0, BTreeMap::<i32, u64>::new());
        for (offset, (partition, text)) in (0..).zip(&records) {
            let fate = setup.judge(Some(text.as_bytes()));
            let counts = expected.entry(*partition).or_default();
            *counts.entry(fate.kind()).or_default() += 1;
            *read.entry(*partition).or_default() += 1;
            written += usize::from(!matches!(fate, Fate::Skipped(_)));
            let source = SourceRecord {
                partition: Partition(*partition),
                offset,
                timestamp_ms: Some(offset),
                key: None,
                payload: Some(text.as_bytes()),
                headers: &Vec::new(),
                leader_epoch: None,
                log: &None,
            };
            batch.add(&source, fate);
        }
        prop_assert_eq!(batch.records(), records.len());
        prop_assert_eq!(batch.outputs().len(), written);
        prop_assert_eq!(batch.partitions().len(), expected.len());
        for (partition, tally) in batch.partitions() {
            prop_assert_eq!(tally.read, tally.fates.iter().sum::<u64>());
            prop_assert_eq!(tally.read, read[&partition.0]);
            for kind in FateKind::all() {
                let count = expected[&partition.0].get(&kind).copied().unwrap_or_default();
                prop_assert_eq!(tally.fates[kind.index()], count, "{:?}", kind);
            }
        }
        quarantine_keeps_the_bytes(&batch, &records)
    });
}

fn quarantine_keeps_the_bytes(
    batch: &Batch,
    records: &[(i32, String)],
) -> Result<(), TestCaseError> {
    for output in batch.outputs().iter() {
        let (partition, text) = &records[usize::try_from(output.source_offset).expect("small")];
        prop_assert_eq!(output.source_partition.0, *partition);
        if let Content::Quarantined(kept) = output.content {
            prop_assert_eq!(kept.original.payload.as_deref(), Some(text.as_bytes()));
        }
    }
    Ok(())
}
