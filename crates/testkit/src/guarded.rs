//! A child process that cannot outlive the tests: a guard stands between, passes signals on, and
//! ends the child when the test process is gone, however it went. It does not know what the child
//! is.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::last_lines;

/// Runs a program (the arguments after the first two) and does with it what its standard input
/// says: a line is the name of a signal to send, its end means that the test process is gone, so
/// the program goes too, and its directory with it. The kernel closes that pipe whatever ends the
/// test process, SIGKILL included. It says the program's process id on its standard output.
const GUARD: &str = r#"
directory=$1; log=$2; shift 2
exec 3<&0
"$@" 3<&- </dev/null >>"$log" 2>&1 &
child=$!
echo "$child"
( while read -r signal; do kill -s "$signal" "$child"; done <&3
  touch "$directory/abandoned"
  kill -s KILL "$child" ) &
listener=$!
wait "$child"; status=$?
kill "$listener"
if [ -e "$directory/abandoned" ]; then rm -rf "$directory"; fi
exit "$status"
"#;

/// A running child; ends with this value.
pub struct Guarded {
    guard: Child,
    signals: ChildStdin,
    pid: u32,
}

impl Guarded {
    /// Starts a program, its output going to `log`; `directory` is removed if the tests are killed.
    pub fn spawn(command: &Command, directory: &Path, log: &Path) -> anyhow::Result<Guarded> {
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(directory)
            .arg(log)
            .arg(command.get_program())
            .args(command.get_args())
            // A group of its own: a signal to the tests' group must not take the guard away from
            // its child.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("start {:?} by way of sh", command.get_program()))?;
        let signals = guard.stdin.take().context("the guard's input")?;
        let mut pid = String::new();
        BufReader::new(guard.stdout.take().context("the guard's output")?).read_line(&mut pid)?;
        let pid = pid.trim().parse().context("the child's process id")?;
        Ok(Guarded { guard, signals, pid })
    }

    /// The child's own process id, not the guard's.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How the child ended, if it has ended.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.guard.try_wait()?)
    }

    /// Sends the signal (`TERM`, `KILL`, `STOP`, `CONT`).
    pub fn signal(&mut self, signal: &str) -> anyhow::Result<()> {
        writeln!(self.signals, "{signal}").context("pass a signal to the guard")
    }

    /// Waits for the child's end.
    pub fn wait(&mut self, limit: Duration, log: &Path) -> anyhow::Result<ExitStatus> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if since.elapsed() > limit {
                bail!("it did not end within {limit:?}:\n{}", last_lines(log));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Guarded {
    /// The child is killed, and the guard follows it; waiting for it leaves nothing behind when a
    /// test ends. The guard's input stays open until then: closed, it would mean that the
    /// directory is abandoned, and others may still need it.
    fn drop(&mut self) {
        // Nothing better can be done with an error here; a child that has ended takes no signal.
        let _ = self.signal("KILL");
        let _ = self.guard.wait();
    }
}
