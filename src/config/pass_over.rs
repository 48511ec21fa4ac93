//! The syntax of `input.pass_over`: offsets that can never be read, such as those of a batch that a
//! disk has damaged. Offsets that turn out to be readable are read.

use crate::stream::{Partition, PassOver};

/// Parses `3:1200-1299`; the range includes the last offset.
pub(super) fn parse(text: &str) -> Option<PassOver> {
    let (partition, offsets) = text.split_once(':')?;
    let (first, last) = offsets.split_once('-')?;
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
    let (first, last) = (number(first)?, number(last)?);
    let partition = Partition(i32::try_from(number(partition)?).ok()?);
    let end = last.checked_add(1).filter(|_| first <= last)?;
    Some(PassOver { partition, offsets: first..end })
}

/// Returns whether two entries share an offset.
pub(super) fn overlap(one: &PassOver, other: &PassOver) -> bool {
    one.partition == other.partition
        && one.offsets.start < other.offsets.end
        && other.offsets.start < one.offsets.end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_a_partition_and_two_offsets() {
        let PassOver { partition, offsets } = parse("3:1200-1299").expect("parses");
        assert_eq!((partition, &offsets), (Partition(3), &(1200..1300)));
        assert!(offsets.contains(&1200) && offsets.contains(&1299));
        assert!(!offsets.contains(&1199) && !offsets.contains(&1300));
        for text in [
            "3",
            "3:5",
            "3:9-5",
            "-1:0-1",
            "x:0-1",
            "3:0-x",
            "3: 1-2",
            "3:1-9223372036854775807",
            "2147483648:0-1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
