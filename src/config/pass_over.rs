//! Stretches of the input that can never be read, such as a batch that a disk has damaged: where
//! the operator lets reading go on behind them. Offsets that can be read after all are read.

/// Offsets of one partition of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassOver {
    /// The partition.
    pub partition: i32,
    /// The first offset that cannot be read.
    pub first: i64,
    /// The last one.
    pub last: i64,
}

impl PassOver {
    /// Reads `3:1200-1299`; the last offset belongs to it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (partition, offsets) = text.split_once(':')?;
        let (first, last) = offsets.split_once('-')?;
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
        let (first, last) = (number(first)?, number(last)?);
        (first <= last && last < i64::MAX).then_some(PassOver {
            partition: i32::try_from(number(partition)?).ok()?,
            first,
            last,
        })
    }

    /// Whether this offset is one of them.
    pub const fn contains(&self, offset: i64) -> bool {
        self.first <= offset && offset <= self.last
    }

    /// Whether two stretches share an offset.
    pub(super) const fn overlaps(&self, other: &Self) -> bool {
        self.partition == other.partition && self.first <= other.last && other.first <= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_a_partition_and_two_offsets() {
        let stretch = PassOver::parse("3:1200-1299").expect("parses");
        assert_eq!((stretch.partition, stretch.first, stretch.last), (3, 1200, 1299));
        assert!(stretch.contains(1200) && stretch.contains(1299));
        assert!(!stretch.contains(1199) && !stretch.contains(1300));
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
            assert_eq!(PassOver::parse(text), None, "{text}");
        }
    }
}
