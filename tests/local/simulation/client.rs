//! The consumer client of one incarnation of a worker, with its own, possibly outdated, view of the
//! group. Its heartbeats run beside the worker; its news wait for the next poll.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::seam::Partition;

pub type ClientId = usize;
pub type MemberId = u64;

/// The membership that a commit claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub member: Option<MemberId>,
    pub generation: i32,
    /// Whether it includes a group instance id.
    pub is_static: bool,
}

/// News of the group, waiting in the client for the next poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    Assigned(Vec<Partition>),
    Revoked(Vec<Partition>),
    Lost(Vec<Partition>),
}

/// A consumer client.
#[derive(Debug)]
pub struct Client {
    pub(super) instance: String,
    pub(super) is_static: bool,
    /// Whether it joins the group by itself.
    pub(super) is_subscribed: bool,
    pub(super) member: Option<MemberId>,
    pub(super) generation: i32,
    /// The partitions that it owns once all its news are served.
    pub(super) assigned: BTreeSet<Partition>,
    pub(super) news: VecDeque<News>,
    /// The partitions that it reads, and from where; `None` until the committed offset is known.
    pub(super) positions: BTreeMap<Partition, Option<i64>>,
    /// It knows that its partitions are lost, and has not reported this to the worker yet.
    pub(super) lost: bool,
    /// Another process has its group instance id: it can never read again.
    pub(super) is_fenced: bool,
    /// It takes no part in rebalances, and does not learn that it was expelled.
    pub(super) is_stale: bool,
    /// Since when its process is frozen or dead.
    pub(super) silent_since: Option<Duration>,
    pub(super) is_dead: bool,
}

impl Client {
    pub fn new(instance: &str, is_static: bool) -> Self {
        Client {
            instance: instance.to_string(),
            is_static,
            is_subscribed: false,
            member: None,
            generation: -1,
            assigned: BTreeSet::new(),
            news: VecDeque::new(),
            positions: BTreeMap::new(),
            lost: false,
            is_fenced: false,
            is_stale: false,
            silent_since: None,
            is_dead: false,
        }
    }

    /// Whether this is another process with the same group instance id.
    pub fn replaces(&self, other: &Client) -> bool {
        self.is_static && other.is_static && self.instance == other.instance
    }

    /// Whether it would join a rebalance: not while it is silent, nor before it gave up the
    /// partitions that it must give up.
    pub fn is_ready(&self) -> bool {
        let owes = |news: &News| !matches!(news, News::Assigned(_));
        !self.is_stale && self.silent_since.is_none() && !self.news.iter().any(owes)
    }

    /// Learns that it is not a member any more.
    pub fn lose(&mut self, is_fenced: bool) {
        self.member = None;
        self.generation = -1;
        self.lost = true;
        self.is_fenced = is_fenced;
        let lost = std::mem::take(&mut self.assigned);
        self.news.push_back(News::Lost(lost.into_iter().collect()));
    }

    /// The membership as the client reports it: without a member id once it knows that it is not a
    /// member.
    pub fn membership(&self) -> Membership {
        Membership { member: self.member, generation: self.generation, is_static: self.is_static }
    }

    /// What the rebalance callback does when a poll serves it.
    pub fn serve(&mut self, news: &News) {
        match news {
            News::Assigned(partitions) => {
                self.positions.extend(partitions.iter().map(|p| (*p, None)));
            }
            News::Revoked(partitions) => {
                self.positions.retain(|p, _| !partitions.contains(p));
            }
            News::Lost(_) => {
                self.positions.clear();
                self.lost = false;
            }
        }
    }
}
