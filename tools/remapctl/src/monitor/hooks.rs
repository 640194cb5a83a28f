// SPDX-License-Identifier: GPL-2.0

//! Programs that run for each event, as mdadm's PROGRAM does.

use super::event::Event;
use anyhow::{
    anyhow,
    Context,
    Error, //
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{
    Path,
    PathBuf, //
};
use std::process::{
    Command,
    ExitStatus,
    Stdio, //
};
use std::time::{
    Duration,
    Instant, //
};

/// How long a program may take.
const MOST: Duration = Duration::from_secs(60);
/// How often is looked whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// The programs of a folder in the order of their names: of letters, digits, '-' and '_', as
/// run-parts(8) has it, so that what an editor or a package manager leaves there is not run.
fn programs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<_> = entries
        .filter(|entry| {
            let name = entry.file_name();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            name.to_str().is_some_and(|name| name.chars().all(is_plain))
        })
        .map(|entry| entry.path())
        .filter(|path| {
            let found = fs::metadata(path);
            found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })
        .collect();
    all.sort();
    all
}

/// Runs all programs of a folder for an event, one after the other; what went wrong.
pub(super) fn run(folder: &Path, event: &Event) -> Vec<Error> {
    let results = programs(folder).into_iter().map(|program| {
        let ended = one(&program, event, MOST);
        ended.with_context(|| program.display().to_string())
    });
    results.filter_map(Result::err).collect()
}

fn one(program: &Path, event: &Event, most: Duration) -> Result<(), Error> {
    let mut child = Command::new(program)
        .args([event.state, &event.array, event.change.name()])
        .env("REMAP_NAME", &event.array)
        .env("REMAP_START", event.start.to_string())
        .env("REMAP_STATE", event.state)
        .env("REMAP_CHANGE", event.change.name())
        .env("REMAP_SEVERITY", event.severity.name())
        .env("REMAP_MESSAGE", &event.message)
        .env("REMAP_ACTION", &event.action)
        .stdin(Stdio::null())
        .spawn()?;
    let begun = Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) => return verdict(status),
            None if begun.elapsed() > most => {
                child.kill()?;
                child.wait()?;
                return Err(anyhow!("took longer than {} seconds", most.as_secs()));
            }
            None => std::thread::sleep(PAUSE),
        }
    }
}

fn verdict(status: ExitStatus) -> Result<(), Error> {
    match status.success() {
        true => Ok(()),
        false => Err(anyhow!("{status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Severity;
    use crate::monitor::event::Change;

    fn event() -> Event {
        Event {
            array: "safe".into(),
            start: 0,
            state: "lost",
            change: Change::Begins,
            severity: Severity::Critical,
            message: "it is".into(),
            action: "do".into(),
        }
    }

    fn program(folder: &Path, name: &str, text: &str, mode: u32) {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn programs_hear_of_events_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.txt");
        let line = format!(
            "#!/bin/sh\necho $1 $2 $3 $REMAP_MESSAGE >>{}\n",
            log.display()
        );
        program(folder.path(), "b", &line, 0o755);
        program(folder.path(), "a", "#!/bin/sh\nexit 3\n", 0o755);
        // What a package manager left, and what is no program, is not run.
        program(folder.path(), "c.dpkg-old", &line, 0o755);
        program(folder.path(), "d", &line, 0o644);
        let errors = run(folder.path(), &event());
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(format!("{:#}", errors[0]).ends_with("a: exit status: 3"));
        assert_eq!(
            fs::read_to_string(&log).unwrap(),
            "lost safe begins it is\n"
        );
        assert!(run(&folder.path().join("none"), &event()).is_empty());
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        program(folder.path(), "a", "#!/bin/sh\nexec sleep 1000\n", 0o755);
        let ended = one(&folder.path().join("a"), &event(), Duration::from_millis(1));
        assert!(ended.unwrap_err().to_string().starts_with("took longer"));
    }
}
