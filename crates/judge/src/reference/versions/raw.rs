//! The packed form of a key's versions, newest first: reads them one by one, with their values
//! still packed.

use super::version::Version;
use crate::reference::packing::Reader;

pub(super) const EXPLICIT: u8 = 1;
pub(super) const REMOVED: u8 = 2;
pub(super) const SUBMILLIS: u8 = 4;
/// Marks the first version after a removal, valid from its time of writing. The key certainly had
/// no value before it.
pub(super) const RETURNED: u8 = 8;
pub(super) const UNREADABLE: u8 = 16;

/// Versions with packed values, newest first.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a>(pub(super) Reader<'a>);

impl<'a> Iterator for Raw<'a> {
    type Item = Version<&'a [u8]>;

    fn next(&mut self) -> Option<Version<&'a [u8]>> {
        if self.0.0.is_empty() {
            return None;
        }
        let flags = self.0.byte();
        let valid_from = self.0.time(flags & SUBMILLIS != 0);
        Some(Version {
            valid_from,
            explicit: flags & (EXPLICIT | RETURNED) != 0,
            value: (flags & (REMOVED | UNREADABLE) == 0).then(|| self.0.part()),
            is_unreadable: flags & UNREADABLE != 0,
        })
    }
}

/// Skips the leading versions for which `skipped` holds, and returns the rest.
pub(super) fn skip(packed: &[u8], skipped: impl Fn(&Version<&[u8]>) -> bool) -> &[u8] {
    let mut rest = Raw(Reader(packed));
    let mut left = packed;
    while rest.next().is_some_and(|version| skipped(&version)) {
        left = rest.0.0;
    }
    left
}

/// Skips the newest version.
pub(super) fn after_newest(packed: &[u8]) -> &[u8] {
    let mut rest = Raw(Reader(packed));
    rest.next();
    rest.0.0
}

/// Reads the two newest versions, if there are so many.
pub(super) fn two_newest(packed: &[u8]) -> [Option<Version<&[u8]>>; 2] {
    let mut rest = Raw(Reader(packed));
    [rest.next(), rest.next()]
}
