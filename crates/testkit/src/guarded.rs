//! A child process that cannot outlive the tests. A guard process passes on signals and kills the
//! child when the test process ends, however it ends.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::last_lines;

/// Runs a program (the arguments after the first two) and writes its process id to the standard
/// output. Each line of the standard input names a signal to send. The end of the input means that
/// the test process has ended: the guard then kills the program and removes its directory. The
/// kernel closes that pipe even if SIGKILL ends the test process.
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

/// A running child. It is killed when this value is dropped.
pub struct Guarded {
    guard: Child,
    signals: ChildStdin,
    pid: u32,
}

impl Guarded {
    /// Starts a program that writes its output to `log`. The guard removes `directory` if the tests
    /// are killed.
    pub fn spawn(command: &Command, directory: &Path, log: &Path) -> anyhow::Result<Guarded> {
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(directory)
            .arg(log)
            .arg(command.get_program())
            .args(command.get_args())
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            // A separate process group: a signal to the tests' group must not kill the guard before
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

    /// The child's exit status, if it has ended.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.guard.try_wait()?)
    }

    /// Sends the signal (`TERM`, `KILL`, `STOP`, `CONT`).
    pub fn signal(&mut self, signal: &str) -> anyhow::Result<()> {
        writeln!(self.signals, "{signal}").context("pass a signal to the guard")
    }

    /// Waits until the child has ended.
    pub fn wait(&mut self, limit: Duration, log: &Path) -> anyhow::Result<ExitStatus> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if since.elapsed() > limit {
                bail!("the process did not end within {limit:?}:\n{}", last_lines(log));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Guarded {
    /// Kills the child and waits for the guard, so that no process is left when a test ends. The
    /// guard's input stays open until then: closing it would make the guard remove the directory,
    /// which others may still need.
    fn drop(&mut self) {
        // The error does not matter: the child may have ended already.
        let _ = self.signal("KILL");
        let _ = self.guard.wait();
    }
}
