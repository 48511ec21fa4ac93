//! Reads the text of a seal.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::{After, Counts, Extension, Gap, Head, Input, Reason, Seal, SealError, VERSION};
use crate::lines::Lines;
use crate::name::StreamName;
use crate::{LineError, Number};

const SET: &str = "set <set> of <partitions>";
const SEAL: &str = "seal <number>";
const PREV: &str = "prev <digest>";
const INPUT: &str = "input <start> <end>";
const COUNTS: &str = "counts <read> <events> <skipped> <quarantined>";
const WRITER: &str = "writer <group>/<instance> cfg=<16 hexadecimal digits>";
const TIME: &str = "time <time in UTC with milliseconds>";
const AFTER: &str = "after <set> <seal> <digest>";
const RESUMED: &str = "resumed <reason>";
const GAP: &str = "gap <start> <end> <deleted or passed-over>";
const EXTENSION: &str = "x-<word> <printable text>";
const HEAD: &str = "head <name> <size> <digest> <partition or ->";
const HEADS_SORTED: &str = "heads sorted by name, each name once";
const NEXT_KEY: &str = "next-key <vkey>";
const END: &str = "after, resumed, gap, x-..., head and next-key in this order, and nothing else";

impl FromStr for Seal {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Self, SealError> {
        let seal = parse(text)?;
        seal.check()?;
        Ok(seal)
    }
}

fn parse(text: &str) -> Result<Seal, LineError> {
    let mut lines = Lines::of(text)?;
    let origin = lines.take("the origin", |line| line.parse().ok())?;
    lines.take("audit-seal/v1", |line| (line == VERSION).then_some(()))?;
    let [set, of, partitions] = lines.values("set", SET)?;
    let set = lines.value(set, SET)?;
    if of != "of" {
        return Err(lines.error(SET));
    }
    let partitions = lines.value(partitions, SET)?;
    let [number] = lines.values("seal", SEAL)?;
    let number = lines.value(number, SEAL)?;
    let [previous] = lines.values("prev", PREV)?;
    let previous = lines.value(previous, PREV)?;
    let [start, end] = numbers(&mut lines, "input", INPUT)?;
    let [read, events, skipped, quarantined] = numbers(&mut lines, "counts", COUNTS)?;
    let writer = lines.take(WRITER, |line| line.strip_prefix("writer ")?.parse().ok())?;
    let time = lines.take(TIME, |line| line.strip_prefix("time ")?.parse().ok())?;
    let after = if lines.is_next("after ") { Some(after(&mut lines)?) } else { None };
    let resumed = if lines.is_next("resumed ") { Some(resumed(&mut lines)?) } else { None };
    let gaps = gaps(&mut lines)?;
    let extensions = extensions(&mut lines)?;
    let heads = heads(&mut lines)?;
    let next_key = if lines.is_next("next-key ") {
        Some(lines.take(NEXT_KEY, |line| line.strip_prefix("next-key ")?.parse().ok())?)
    } else {
        None
    };
    lines.finish(END)?;
    let input = Input { start, end };
    let counts = Counts { read, events, skipped, quarantined };
    Ok(Seal {
        origin,
        set,
        partitions,
        number,
        previous,
        input,
        counts,
        writer,
        time,
        after,
        resumed,
        gaps,
        extensions,
        heads,
        next_key,
    })
}

fn numbers<const N: usize>(
    lines: &mut Lines<'_>,
    keyword: &str,
    expected: &'static str,
) -> Result<[Number; N], LineError> {
    let texts = lines.values::<N>(keyword, expected)?;
    let mut numbers = [Number::ZERO; N];
    for (number, text) in numbers.iter_mut().zip(texts) {
        *number = lines.value(text, expected)?;
    }
    Ok(numbers)
}

fn after(lines: &mut Lines<'_>) -> Result<After, LineError> {
    let [set, seal, digest] = lines.values("after", AFTER)?;
    let (set, seal) = (lines.value(set, AFTER)?, lines.value(seal, AFTER)?);
    Ok(After { set, seal, digest: lines.value(digest, AFTER)? })
}

fn resumed(lines: &mut Lines<'_>) -> Result<Reason, LineError> {
    lines.take(RESUMED, |line| line.strip_prefix("resumed ")?.parse().ok())
}

fn gaps(lines: &mut Lines<'_>) -> Result<Vec<Gap>, LineError> {
    let mut gaps = Vec::new();
    while lines.is_next("gap ") {
        let [start, end, cause] = lines.values("gap", GAP)?;
        let (start, end) = (lines.value(start, GAP)?, lines.value(end, GAP)?);
        gaps.push(Gap { start, end, cause: lines.value(cause, GAP)? });
    }
    Ok(gaps)
}

fn extensions(lines: &mut Lines<'_>) -> Result<Vec<Extension>, LineError> {
    let mut extensions = Vec::new();
    while lines.is_next("x-") {
        let extension = lines.take(EXTENSION, |line| {
            let (word, text) = line.strip_prefix("x-")?.split_once(' ')?;
            Extension::new(word, text).ok()
        });
        extensions.push(extension?);
    }
    Ok(extensions)
}

fn heads(lines: &mut Lines<'_>) -> Result<BTreeMap<StreamName, Head>, LineError> {
    let mut heads = BTreeMap::new();
    while lines.is_next("head ") {
        let [name, size, digest, partition] = lines.values("head", HEAD)?;
        let name = lines.value(name, HEAD)?;
        let (size, digest) = (lines.value(size, HEAD)?, lines.value(digest, HEAD)?);
        let partition = match partition {
            "-" => None,
            number => Some(lines.value(number, HEAD)?),
        };
        if heads.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(lines.error(HEADS_SORTED));
        }
        heads.insert(name, Head { size, digest, partition });
    }
    Ok(heads)
}
