//! The consumer group: members and generation, and the clients, whose view may be outdated.
//! Rebalances are cooperative: a partition goes to its new owner only after the old one has been
//! notified and has joined again. An expelled member learns it later, and continues to read until
//! then. Static members take their predecessor's place without a rebalance.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::client::{Client, ClientId, MemberId, Membership, News};
use super::seam::Partition;
use audit_testkit::random::Random;

/// A process whose heartbeats cease is expelled after this.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// A member that does not join again is expelled after this.
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
pub struct Group {
    clients: Vec<Client>,
    members: BTreeMap<MemberId, ClientId>,
    generation: i32,
    next_member: MemberId,
    partitions: usize,
    /// Since when a rebalance is pending.
    rebalancing_since: Option<Duration>,
    pub static_replacements: u64,
}

impl Group {
    /// Creates a client that has not subscribed yet.
    pub fn create(&mut self, instance: &str, is_static: bool) -> ClientId {
        self.clients.push(Client::new(instance, is_static));
        self.clients.len() - 1
    }

    pub fn client(&mut self, client: ClientId) -> &mut Client {
        &mut self.clients[client]
    }

    /// Checks a transactional commit as the broker does: member and generation, not ownership. A
    /// commit without either counts as one from outside any group: it is accepted if the group has
    /// no members, or if it names no group instance id.
    pub fn accepts(&self, membership: &Membership) -> bool {
        if membership.generation < 0 && self.members.is_empty() {
            return true;
        }
        match membership.member {
            Some(member) => {
                self.members.contains_key(&member) && membership.generation == self.generation
            }
            None => membership.generation < 0 && !membership.is_static,
        }
    }

    pub fn partition_added(&mut self, partitions: usize, now: Duration) {
        self.partitions = partitions;
        self.call_rebalance(now);
    }

    pub fn call_rebalance(&mut self, now: Duration) {
        self.rebalancing_since.get_or_insert(now);
    }

    /// Expels a healthy member.
    pub fn expel_any(&mut self, now: Duration, random: &Random) -> Option<ClientId> {
        let members = self.members.iter();
        let members: Vec<(MemberId, ClientId)> = members.map(|(m, c)| (*m, *c)).collect();
        let (member, client) = random.pick(&members)?;
        self.expel(member, now);
        Some(client)
    }

    /// Makes a member stale: it receives nothing from the group any more.
    pub fn make_stale(&mut self, client: ClientId) -> bool {
        let own = &mut self.clients[client];
        own.is_stale = own.member.is_some();
        own.is_stale
    }

    /// Whether it was expelled and, being stale, still believes that it is a member.
    pub fn is_expelled_unnoticed(&self, client: ClientId) -> bool {
        let own = &self.clients[client];
        let is_member = |member| self.members.contains_key(&member);
        own.is_stale && !own.member.is_some_and(is_member)
    }

    /// The client notices that its process polls too seldom, and leaves the group while the process
    /// is busy. A static member leaves without notifying the group.
    pub fn polls_too_seldom(&mut self, client: ClientId, now: Duration) {
        let own = &self.clients[client];
        let (member, is_static) = (own.member, own.is_static);
        if let Some(member) = member {
            if !is_static {
                self.expel(member, now);
            }
            self.clients[client].lose(false);
        }
    }

    fn expel(&mut self, member: MemberId, now: Duration) {
        self.members.remove(&member);
        self.call_rebalance(now);
    }

    /// The process and its heartbeats freeze.
    pub fn freeze(&mut self, client: ClientId, now: Duration) {
        self.clients[client].silent_since.get_or_insert(now);
    }

    pub fn thaw(&mut self, client: ClientId) {
        if !self.clients[client].is_dead {
            self.clients[client].silent_since = None;
        }
    }

    pub fn die(&mut self, client: ClientId, now: Duration) {
        self.freeze(client, now);
        self.clients[client].is_dead = true;
    }

    /// Leaves cleanly; a static member does not notify the group, since it is to come back.
    pub fn leave(&mut self, client: ClientId, now: Duration) {
        if let (Some(member), false) = (self.clients[client].member, self.clients[client].is_static)
        {
            self.expel(member, now);
        }
        self.die(client, now);
    }

    /// Advances what happens beside the workers: time-outs, heartbeats, joins, rebalances.
    pub fn advance(&mut self, now: Duration, random: &Random) {
        self.expel_silent(now);
        for client in 0..self.clients.len() {
            if self.clients[client].silent_since.is_none() {
                self.heartbeat(client);
                self.join(client, now);
            }
        }
        if let Some(since) = self.rebalancing_since {
            let waiting: Vec<MemberId> = self.members_not_ready();
            if waiting.is_empty() {
                self.complete_rebalance(now, random);
            } else if now.saturating_sub(since) > REBALANCE_TIMEOUT {
                waiting.iter().for_each(|member| self.expel(*member, now));
            }
        }
    }

    fn expel_silent(&mut self, now: Duration) {
        let silent = |client: &Client| {
            client.silent_since.is_some_and(|since| now.saturating_sub(since) > SESSION_TIMEOUT)
        };
        let members = self.members.iter().filter(|(_, client)| silent(&self.clients[**client]));
        let expired: Vec<MemberId> = members.map(|(member, _)| *member).collect();
        expired.iter().for_each(|member| self.expel(*member, now));
    }

    /// Lets a client learn that it is no longer a member.
    fn heartbeat(&mut self, client: ClientId) {
        let own = &self.clients[client];
        let Some(member) =
            own.member.filter(|member| !own.is_stale && !self.members.contains_key(member))
        else {
            return;
        };
        let mut newer = self.members.iter().filter(|(newer, _)| **newer > member);
        let is_fenced = newer.any(|(_, other)| self.clients[*other].replaces(own));
        self.clients[client].lose(is_fenced);
    }

    fn join(&mut self, client: ClientId, now: Duration) {
        let own = &self.clients[client];
        if !own.is_subscribed || own.member.is_some() || own.is_fenced || !own.news.is_empty() {
            return;
        }
        let member = self.next_member;
        self.next_member += 1;
        let mut members = self.members.iter();
        let predecessor = members.find(|(_, other)| own.replaces(&self.clients[**other]));
        let predecessor = predecessor.map(|(member, client)| (*member, *client));
        self.members.insert(member, client);
        self.clients[client].member = Some(member);
        match predecessor {
            // It had left without notifying the group: its partitions are assigned again.
            Some((old, predecessor)) if self.clients[predecessor].member != Some(old) => {
                self.members.remove(&old);
                self.call_rebalance(now);
            }
            Some((old, predecessor)) => {
                self.members.remove(&old);
                self.static_replacements += 1;
                self.take_place(client, predecessor, now);
            }
            None => self.call_rebalance(now),
        }
    }

    /// In a stable group a static member gets its predecessor's partitions at once, in the same
    /// generation.
    fn take_place(&mut self, client: ClientId, predecessor: ClientId, now: Duration) {
        if self.rebalancing_since.is_some() {
            return self.call_rebalance(now);
        }
        let assigned = self.clients[predecessor].assigned.clone();
        let own = &mut self.clients[client];
        own.generation = self.generation;
        own.news.push_back(News::Assigned(assigned.iter().copied().collect()));
        own.assigned = assigned;
    }

    /// Members that have not joined again: silent ones, and those that must first give up
    /// partitions.
    fn members_not_ready(&self) -> Vec<MemberId> {
        let members = self.members.iter();
        let waiting = members.filter(|(_, client)| !self.clients[**client].is_ready());
        waiting.map(|(member, _)| *member).collect()
    }

    fn complete_rebalance(&mut self, now: Duration, random: &Random) {
        self.rebalancing_since = None;
        self.generation += 1;
        let members: Vec<ClientId> = self.members.values().copied().collect();
        let owners = self.owners(&members);
        let targets = self.targets(&members, &owners, random);
        for client in members {
            let own = &mut self.clients[client];
            own.generation = self.generation;
            let is_ours = |p: &Partition| targets.get(p) == Some(&client);
            let held = std::mem::take(&mut own.assigned);
            let (kept, revoked): (BTreeSet<_>, BTreeSet<_>) = held.into_iter().partition(is_ours);
            let free = targets.keys().filter(|p| !owners.contains_key(p));
            let added: Vec<Partition> = free.copied().filter(is_ours).collect();
            own.assigned = kept;
            own.assigned.extend(&added);
            if !revoked.is_empty() {
                own.news.push_back(News::Revoked(revoked.into_iter().collect()));
                self.rebalancing_since = Some(now);
            }
            own.news.push_back(News::Assigned(added));
        }
    }

    fn owners(&self, members: &[ClientId]) -> BTreeMap<Partition, ClientId> {
        let held = |client: &ClientId| {
            let assigned = self.clients[*client].assigned.iter();
            assigned.map(|p| (*p, *client)).collect::<Vec<_>>()
        };
        members.iter().flat_map(held).collect()
    }

    /// Assigns partitions stickily, except that one is moved at random now and then.
    fn targets(
        &self,
        members: &[ClientId],
        owners: &BTreeMap<Partition, ClientId>,
        random: &Random,
    ) -> BTreeMap<Partition, ClientId> {
        let fair = self.partitions.div_ceil(members.len().max(1));
        let mut load: BTreeMap<ClientId, usize> = members.iter().map(|m| (*m, 0)).collect();
        let mut targets = BTreeMap::new();
        for partition in (0..self.partitions as i32).map(Partition) {
            let room: Vec<ClientId> = members.iter().copied().filter(|m| load[m] < fair).collect();
            let sticky = owners.get(&partition).filter(|owner| room.contains(owner));
            let sticky = sticky.copied().filter(|_| !random.per_mille(200));
            if let Some(owner) = sticky.or_else(|| random.pick(&room)) {
                *load.entry(owner).or_default() += 1;
                targets.insert(partition, owner);
            }
        }
        targets
    }
}
