/*!
One child process: started on a thread that waits for it, killed with all its group, its end told to whoever asks.

Knows command lines and ends, and nothing of functions.
*/

use std::io::{self, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdin, Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::sync::{oneshot, watch};

/// A process that runs, or has. Dropping it kills it.
pub(super) struct Process {
    pid: u32,
    alive: Arc<Mutex<bool>>,
    ended: watch::Receiver<Option<ExitStatus>>,
    /// Open as long as the process is wanted; a host ends when it closes.
    _input: Option<ChildStdin>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    /// Starts `command` in a group of its own and writes `line` to its standard input, where there is one.
    pub(super) async fn start(mut command: Command, line: Option<String>) -> io::Result<Self> {
        let (started, starting) = oneshot::channel();
        let (told, ended) = watch::channel(None);
        let alive = Arc::new(Mutex::new(true));
        let waiting = Arc::clone(&alive);
        command.process_group(0);
        // The thread lives as long as the child: a death signal that is asked for comes with the thread's end.
        std::thread::Builder::new().name("function".to_owned()).spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => {
                    let _ = started.send(Err(error));
                    return;
                }
            };
            // The ends of pipes that the child got are the child's alone from here on.
            drop(command);
            let input = child.stdin.take();
            let _ = started.send(Ok((child.id(), input)));
            let status = wait(&mut child, &waiting);
            told.send_replace(Some(status));
        })?;
        let gone = |_| io::Error::other("the thread that starts processes has ended");
        let (pid, mut input) = starting.await.map_err(gone)??;
        if let (Some(input), Some(line)) = (&mut input, line) {
            // A plan fits a pipe's buffer many times over only if small; what does not is read by the host as it comes.
            input.write_all(line.as_bytes())?;
        }
        Ok(Self { pid, alive, ended, _input: input })
    }

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) -> Option<ExitStatus> {
        let mut ended = self.ended.clone();
        ended.wait_for(Option::is_some).await.ok().and_then(|status| *status)
    }

    /// Kills it and its group, unless it has ended.
    pub(super) fn kill(&self) {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        // While this is held the process is not reaped, so the number is still its own.
        if *alive && let Some(pid) = Pid::from_raw(self.pid as i32) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Waits for the end of a child; its number is given back only when nobody kills by it any more.
fn wait(child: &mut Child, alive: &Mutex<bool>) -> ExitStatus {
    if let Some(pid) = Pid::from_raw(child.id() as i32) {
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        // What it has left behind in its group goes with it.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    *alive.lock().unwrap_or_else(PoisonError::into_inner) = false;
    child.wait().unwrap_or_else(|_| ExitStatus::from_raw(1))
}

/// How a process ended, in AWS's words.
pub(super) fn end_of(status: Option<ExitStatus>) -> String {
    let signal = |number: i32| match number {
        9 => "signal: killed".to_owned(),
        6 => "signal: aborted".to_owned(),
        11 => "signal: segmentation fault".to_owned(),
        other => format!("signal: {other}"),
    };
    let Some(status) = status else { return "unknown".to_owned() };
    match (status.code(), status.signal()) {
        (Some(code), _) if code > 128 => signal(code - 128),
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(number)) => signal(number),
        (None, None) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(text: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        command
    }

    #[tokio::test]
    async fn its_end_is_told() {
        let process = Process::start(sh("exit 3"), None).await.unwrap();
        assert_eq!(end_of(process.ended().await), "exit status 3");
        assert!(process.has_ended());
        let error = Process::start(Command::new("/no/such/program"), None).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_kill_takes_the_whole_group() {
        let mut command = sh("sleep 600 & read line; echo \"$!\"; wait");
        command.stdin(std::process::Stdio::piped());
        let (mut read, write) = io::pipe().unwrap();
        command.stdout(write);
        let process = Process::start(command, Some("go\n".to_owned())).await.unwrap();
        let mut text = [0; 16];
        let count = io::Read::read(&mut read, &mut text).unwrap();
        let inner: i32 = std::str::from_utf8(&text[..count]).unwrap().trim().parse().unwrap();
        process.kill();
        assert_eq!(end_of(process.ended().await), "signal: killed");
        // The end of the pipe comes when the last of the group is gone.
        assert_eq!(io::Read::read(&mut read, &mut text).unwrap(), 0, "{inner} still prints");
    }
}
