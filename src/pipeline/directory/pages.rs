//! A persistent map from keys to packed values: cloned in O(1), clones share what they have in common, and a
//! change copies only the way to one page. It knows bytes only.
//!
//! A tree by the bits of the key's hash, sixteen children a branch; its leaves are pages of at most some
//! dozens of keys, each page one allocation. An allocation for each key, and the half-empty nodes of the usual
//! persistent maps, would cost more than the principals themselves.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

const FAN_BITS: u32 = 4;
const FAN: usize = 1 << FAN_BITS;
/// A page with more keys is split.
const MOST_KEYS: usize = 32;
/// The upper bits of a hash tell the keys of a page apart, the lower ones lead to the page.
const TAG_BITS: u32 = 16;
const MOST_DEPTH: u32 = (u64::BITS - TAG_BITS) / FAN_BITS;
/// Bytes of a page for the number of its keys, and for each key: tag and end of its entry.
const COUNT_BYTES: usize = 2;
const TAG_BYTES: usize = 2;
const END_BYTES: usize = 4;
/// Longest key: its length has one byte.
const KEY_BYTES: usize = u8::MAX as usize;

/// The map.
#[derive(Clone, Default)]
pub struct Pages {
    root: Node,
    keys: usize,
    bytes: usize,
}

#[derive(Clone)]
enum Node {
    Branch(Arc<[Node; FAN]>),
    Page(Arc<[u8]>),
}

impl Default for Node {
    fn default() -> Self {
        Node::Page(Arc::default())
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pages of {} keys", self.keys)
    }
}

impl Pages {
    /// How many keys there are.
    pub const fn len(&self) -> usize {
        self.keys
    }

    /// Bytes of all pages; the tree above them and the allocator's own needs come to a few in a hundred more.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let hash = hash(key);
        let mut node = &self.root;
        let mut depth = 0;
        loop {
            match node {
                Node::Branch(children) => node = &children[child(hash, depth)],
                Node::Page(page) => {
                    let page = Page(page);
                    return page
                        .position(tag(hash), key)
                        .map(|found| page.entry(found).1);
                }
            }
            depth += 1;
        }
    }

    /// Gives a key another value: `write` is told the present one and appends the new one. Keys longer than
    /// 255 bytes are no keys.
    pub fn change(&mut self, key: &[u8], write: impl FnOnce(Option<&[u8]>, &mut Vec<u8>)) {
        if key.len() > KEY_BYTES {
            return;
        }
        let hash = hash(key);
        let mut node = &mut self.root;
        let mut depth = 0;
        loop {
            match node {
                Node::Branch(children) => {
                    node = &mut Arc::make_mut(children)[child(hash, depth)];
                    depth += 1;
                }
                Node::Page(page) => {
                    let (keys, bytes) = (Page(page).keys(), page.len());
                    *page = Page(page).changed(tag(hash), key, write);
                    self.keys += Page(page).keys() - keys;
                    self.bytes = self.bytes + page.len() - bytes;
                    break;
                }
            }
        }
        if let Node::Page(page) = node
            && Page(page).keys() > MOST_KEYS
            && depth < MOST_DEPTH
        {
            *node = split(Page(page), depth);
        }
    }

    /// All keys and values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut nodes = vec![&self.root];
        let pages = std::iter::from_fn(move || {
            loop {
                match nodes.pop()? {
                    Node::Branch(children) => nodes.extend(children.iter()),
                    Node::Page(page) => return Some(Page(page)),
                }
            }
        });
        pages.flat_map(|page| (0..page.keys()).map(move |position| page.entry(position)))
    }
}

/// Hashes differ between keys, not between runs: the tree is the same for the same keys.
fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.finish()
}

const fn tag(hash: u64) -> [u8; TAG_BYTES] {
    ((hash >> (u64::BITS - TAG_BITS)) as u16).to_le_bytes()
}

const fn child(hash: u64, depth: u32) -> usize {
    (hash >> (depth * FAN_BITS)) as usize % FAN
}

fn split(page: Page<'_>, depth: u32) -> Node {
    let mut parts: [Vec<usize>; FAN] = Default::default();
    for position in 0..page.keys() {
        let hash = hash(page.entry(position).0);
        parts[child(hash, depth)].push(position);
    }
    Node::Branch(Arc::new(parts.map(|positions| {
        let mut builder = Builder::with_capacity(positions.len(), page.0.len() / FAN);
        for position in positions {
            builder.push(page.tag(position), page.bytes_of(position));
        }
        Node::Page(builder.finish())
    })))
}

/// A page: the number of its keys, their tags, where each one's entry ends, and the entries: length of the
/// key, key, value.
#[derive(Clone, Copy)]
struct Page<'a>(&'a [u8]);

impl<'a> Page<'a> {
    fn keys(self) -> usize {
        match self.0 {
            [low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])),
            _ => 0,
        }
    }

    fn tags(self) -> &'a [[u8; TAG_BYTES]] {
        let tags = &self.0[COUNT_BYTES.min(self.0.len())..];
        &tags.as_chunks().0[..self.keys()]
    }

    fn tag(self, position: usize) -> [u8; TAG_BYTES] {
        self.tags()[position]
    }

    fn position(self, tag: [u8; TAG_BYTES], key: &[u8]) -> Option<usize> {
        let alike = self.tags().iter().enumerate();
        let mut alike = alike.filter(|(_, known)| **known == tag);
        alike
            .find(|(position, _)| self.entry(*position).0 == key)
            .map(|(position, _)| position)
    }

    fn end(self, position: usize) -> usize {
        let ends = COUNT_BYTES + TAG_BYTES * self.keys();
        let (ends, _) = self.0[ends..].as_chunks::<END_BYTES>();
        u32::from_le_bytes(ends[position]) as usize
    }

    fn bytes_of(self, position: usize) -> &'a [u8] {
        let begin = match position.checked_sub(1) {
            None => 0,
            Some(previous) => self.end(previous),
        };
        let entries = COUNT_BYTES + (TAG_BYTES + END_BYTES) * self.keys();
        &self.0[entries..][begin..self.end(position)]
    }

    fn entry(self, position: usize) -> (&'a [u8], &'a [u8]) {
        match self.bytes_of(position).split_first() {
            Some((length, rest)) => rest.split_at(usize::from(*length)),
            None => (&[], &[]),
        }
    }

    /// The page with another value for one key.
    fn changed(
        self,
        tag: [u8; TAG_BYTES],
        key: &[u8],
        write: impl FnOnce(Option<&[u8]>, &mut Vec<u8>),
    ) -> Arc<[u8]> {
        let position = self.position(tag, key);
        let mut entry = vec![key.len() as u8];
        entry.extend_from_slice(key);
        write(position.map(|found| self.entry(found).1), &mut entry);
        let keys = self.keys() + usize::from(position.is_none());
        let mut builder = Builder::with_capacity(keys, self.0.len() + entry.len());
        for other in 0..self.keys() {
            let kept = Some(other) != position;
            let bytes = if kept { self.bytes_of(other) } else { &entry };
            builder.push(self.tag(other), bytes);
        }
        if position.is_none() {
            builder.push(tag, &entry);
        }
        builder.finish()
    }
}

/// Writes a page whose number of keys is known.
struct Builder {
    page: Vec<u8>,
    keys: usize,
    pushed: usize,
}

impl Builder {
    fn with_capacity(keys: usize, entry_bytes: usize) -> Self {
        let header = COUNT_BYTES + (TAG_BYTES + END_BYTES) * keys;
        let mut page = Vec::with_capacity(header + entry_bytes);
        if keys > 0 {
            page.extend_from_slice(&(keys as u16).to_le_bytes());
            page.resize(header, 0);
        }
        Builder {
            page,
            keys,
            pushed: 0,
        }
    }

    fn push(&mut self, tag: [u8; TAG_BYTES], entry: &[u8]) {
        self.page.extend_from_slice(entry);
        let header = COUNT_BYTES + (TAG_BYTES + END_BYTES) * self.keys;
        let end = ((self.page.len() - header) as u32).to_le_bytes();
        let tags = COUNT_BYTES + TAG_BYTES * self.pushed;
        self.page[tags..tags + TAG_BYTES].copy_from_slice(&tag);
        let ends = COUNT_BYTES + TAG_BYTES * self.keys + END_BYTES * self.pushed;
        self.page[ends..ends + END_BYTES].copy_from_slice(&end);
        self.pushed += 1;
    }

    fn finish(self) -> Arc<[u8]> {
        self.page.into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn entries(pages: &Pages) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let owned = |(key, value): (&[u8], &[u8])| (key.to_vec(), value.to_vec());
        pages.iter().map(owned).collect()
    }

    proptest! {
        #[test]
        fn they_are_a_map_and_a_clone_stays_as_it_was(
            first in prop::collection::vec((0u16..600, any::<u8>()), 0..600),
            then in prop::collection::vec((0u16..600, any::<u8>()), 0..600),
        ) {
            let mut model = BTreeMap::new();
            let mut pages = Pages::default();
            let mut apply = |pages: &mut Pages, key: u16, value: u8| {
                let key = key.to_string().into_bytes();
                let before: Option<Vec<u8>> = model.insert(key.clone(), vec![value; value.into()]);
                pages.change(&key, |old, out| {
                    assert_eq!(old, before.as_deref());
                    out.extend(vec![value; value.into()]);
                });
                model.clone()
            };
            let mut after_first = BTreeMap::new();
            for (key, value) in first {
                after_first = apply(&mut pages, key, value);
            }
            let snapshot = pages.clone();
            let mut after_all = after_first.clone();
            for (key, value) in then {
                after_all = apply(&mut pages, key, value);
            }
            for (pages, model) in [(snapshot, after_first), (pages, after_all)] {
                prop_assert_eq!(pages.len(), model.len());
                prop_assert_eq!(&entries(&pages), &model);
                for key in 0u16..620 {
                    let key = key.to_string().into_bytes();
                    prop_assert_eq!(pages.get(&key), model.get(&key).map(Vec::as_slice));
                }
            }
        }
    }
}
