//! What processes have used so far, as the operating system counts it: CPU time, page faults and
//! context switches.

use std::fs;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::time::Duration;

use anyhow::{Context, bail};

/// One unit of the times in `/proc/PID/stat`; every Linux architecture in use has hundredths of a
/// second.
const CLOCK_TICK: Duration = Duration::from_millis(10);
/// Positions in `/proc/PID/stat` after the program's name.
const FAULTS: usize = 7;
const USER: usize = 11;
const SYSTEM: usize = 12;

/// The resources that a process has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all threads.
    pub cpu: Duration,
    /// Minor page faults: pages of memory that the kernel provided without reading a disk.
    pub faults: u64,
    /// Voluntary and involuntary context switches of the threads that still run.
    pub switches: u64,
}

impl Usage {
    /// Reads the counters of a process. The CPU time is exact to the nanosecond, but without that
    /// of threads that have ended: a native program has few of these, and they end early.
    pub fn of(pid: u32) -> anyhow::Result<Usage> {
        let threads = threads(pid)?;
        Ok(Usage { faults: Stat::read(pid)?.faults, ..threads })
    }

    /// Reads the counters of a JVM. Its threads come and go, so the CPU time is that of the whole
    /// process, which the kernel tells in hundredths of a second.
    pub fn of_jvm(pid: u32) -> anyhow::Result<Usage> {
        let threads = threads(pid)?;
        let Stat { faults, cpu } = Stat::read(pid)?;
        Ok(Usage { cpu, faults, ..threads })
    }
}

/// What `/proc/PID/stat` tells of a process, ended threads included.
struct Stat {
    faults: u64,
    cpu: Duration,
}

impl Stat {
    fn read(pid: u32) -> anyhow::Result<Stat> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, fields) = stat.rsplit_once(") ").context("no name in /proc/*/stat")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let field = |position: usize| -> anyhow::Result<u64> {
            Ok(fields.get(position).context("/proc/*/stat is too short")?.parse()?)
        };
        let ticks = u32::try_from(field(USER)? + field(SYSTEM)?)?;
        Ok(Stat { faults: field(FAULTS)?, cpu: CLOCK_TICK * ticks })
    }
}

/// Adds up what the kernel counts for each thread.
fn threads(pid: u32) -> anyhow::Result<Usage> {
    let mut usage = Usage::default();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = thread?.path();
        let read = |name| fs::read_to_string(path.join(name));
        // A thread may end after it was listed.
        let (Ok(times), Ok(status)) = (read("schedstat"), read("status")) else {
            continue;
        };
        let time = times.split_whitespace().next().and_then(|number| number.parse().ok());
        usage.cpu += Duration::from_nanos(time.with_context(|| format!("schedstat: {times:?}"))?);
        let switches = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
        for (_, count) in switches {
            usage.switches += count.trim().parse::<u64>()?;
        }
    }
    if usage.cpu.is_zero() {
        bail!("no /proc/*/task/*/schedstat: a Linux kernel with CONFIG_SCHED_INFO is needed");
    }
    Ok(usage)
}

impl Add for Usage {
    type Output = Usage;

    fn add(self, other: Usage) -> Usage {
        Usage {
            cpu: self.cpu + other.cpu,
            faults: self.faults + other.faults,
            switches: self.switches + other.switches,
        }
    }
}

/// Stops at zero: a short run may use less than the median of other short runs.
impl Sub for Usage {
    type Output = Usage;

    fn sub(self, other: Usage) -> Usage {
        Usage {
            cpu: self.cpu.saturating_sub(other.cpu),
            faults: self.faults.saturating_sub(other.faults),
            switches: self.switches.saturating_sub(other.switches),
        }
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Usage>>(usages: I) -> Usage {
        usages.fold(Usage::default(), Add::add)
    }
}
