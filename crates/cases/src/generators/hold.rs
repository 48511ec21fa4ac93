//! Runs a property on many values. The seed is fixed, so a run is repeatable;
//! `PROPTEST_RNG_SEED=7 PROPTEST_CASES=25600` tries another seed and a hundred times as many cases.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};

/// The default seed.
const SEED: u64 = 20_181_106;
/// The number of cases that proptest runs without `PROPTEST_CASES`.
const DEFAULT_CASES: u32 = 256;

/// Checks a property on cases from a fixed seed. Writes nothing to the source tree.
pub fn hold<S: Strategy>(
    cases: u32,
    strategy: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S::Value: Debug,
{
    let wanted = ProptestConfig::default();
    let config = ProptestConfig {
        cases: cases * wanted.cases / DEFAULT_CASES,
        failure_persistence: None,
        rng_seed: match wanted.rng_seed {
            RngSeed::Random => RngSeed::Fixed(SEED),
            given => given,
        },
        ..wanted
    };
    if let Err(failure) = TestRunner::new(config).run(&strategy, property) {
        panic!("{failure}");
    }
}
