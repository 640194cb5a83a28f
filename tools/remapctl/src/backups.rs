// SPDX-License-Identifier: GPL-2.0

//! The backups of the metadata of an array: a folder of dumps, one for each state.
//!
//! The name of a file has a number, the time of the backup, and the number of the commit, as
//! `12.2026-11-27T02:40:37Z.57.json`. The number gives the order: clocks go wrong, and a restore sets
//! commits back. A file has the form of `remapctl dump`, and can be given to `remapctl restore`.

use crate::dump::Dump;
use crate::when::When;
use anyhow::{
    bail,
    Context,
    Result, //
};
use jiff::Timestamp;
use remap_core::metadata::uuid::Uuid;
use rustix::fs::{
    flock,
    FlockOperation, //
};
use std::fs::{
    self,
    DirBuilder,
    File, //
};
use std::io::{
    ErrorKind,
    Write, //
};
use std::os::unix::fs::DirBuilderExt;
use std::path::{
    Path,
    PathBuf, //
};

/// The extension of their files.
const EXTENSION: &str = ".json";
/// The file to which the next one is written.
const UNFINISHED: &str = "unfinished";
/// The file that is locked while one is added.
const LOCK: &str = "lock";

/// One backup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backup {
    /// Its number: a later one has a greater.
    pub number: u64,
    /// When it was made, as the clock was.
    pub time: Timestamp,
    /// The number of its last commit.
    pub commit: u64,
    path: PathBuf,
}

impl Backup {
    fn at(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?;
        let (number, rest) = name.split_once('.')?;
        let (time, commit) = rest.rsplit_once('.')?;
        Some(Self {
            number: number.parse().ok()?,
            time: time.parse().ok()?,
            commit: commit.parse().ok()?,
            path,
        })
    }

    fn named(&self) -> String {
        self.path.display().to_string()
    }
}

/// What became of a dump that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is a backup.
    New,
    /// The backup of this commit has the same state.
    Known(u64),
}

/// The backups of an array.
pub struct Backups {
    array: Uuid,
    folder: PathBuf,
}

impl Backups {
    /// Those of an array in this directory.
    pub fn of(directory: &Path, array: &Uuid) -> Self {
        Self {
            array: *array,
            folder: directory.join(array.to_string()),
        }
    }

    fn named(&self) -> String {
        self.folder.display().to_string()
    }

    /// All of them, the oldest first.
    pub fn list(&self) -> Result<Vec<Backup>> {
        let named = || self.named();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(named)?,
        };
        let mut all = Vec::new();
        for entry in entries {
            all.extend(Backup::at(entry.with_context(named)?.path()));
        }
        all.sort();
        Ok(all)
    }

    /// The one that is meant; the newest if none is named.
    pub fn find(&self, when: Option<When>) -> Result<Backup> {
        let is_it = |backup: &Backup| match when {
            None => true,
            Some(When::Commit(commit)) => backup.commit == commit,
            Some(When::Time(time)) => backup.time <= time,
        };
        let found = self.list()?.into_iter().rfind(is_it);
        found.with_context(|| format!("no such backup in {}", self.named()))
    }

    /// What a backup says.
    pub fn read(&self, backup: &Backup) -> Result<Dump> {
        let text = fs::read_to_string(&backup.path).with_context(|| backup.named())?;
        let dump: Dump = serde_json::from_str(&text).with_context(|| backup.named())?;
        if dump.array != self.array.to_string() || dump.generation != backup.commit {
            let (array, commit) = (&dump.array, dump.generation);
            bail!("{}: commit {commit} of array {array}", backup.named());
        }
        Ok(dump)
    }

    /// Adds a dump, unless the newest backup has the same state, and drops the oldest of more than
    /// `keep`. A backup is there or not there, also after a power loss.
    pub fn add(&self, dump: &Dump, now: Timestamp, keep: usize) -> Result<Added> {
        self.make_folder()?;
        // Until the end of this function.
        let _lock = self.lock()?;
        let newest = self.list()?.pop();
        if let Some(newest) = &newest {
            // One that cannot be read is no reason not to make another.
            let known = self.read(newest);
            if known.is_ok_and(|known| known.has_state_of(dump)) {
                return Ok(Added::Known(newest.commit));
            }
        }
        let unfinished = self.folder.join(UNFINISHED);
        let named = || unfinished.display().to_string();
        let mut file = File::create(&unfinished).with_context(named)?;
        file.write_all(&serde_json::to_vec_pretty(dump)?)
            .and_then(|()| file.sync_all())
            .with_context(named)?;
        let number = newest.map_or(1, |newest| newest.number.saturating_add(1));
        let name = format!("{number}.{now:.0}.{}{EXTENSION}", dump.generation);
        fs::rename(&unfinished, self.folder.join(name)).with_context(named)?;
        sync(&self.folder)?;
        self.prune(keep)?;
        Ok(Added::New)
    }

    /// Keeps others from adding one.
    fn lock(&self) -> Result<File> {
        let path = self.folder.join(LOCK);
        let named = || path.display().to_string();
        let lock = File::create(&path).with_context(named)?;
        flock(&lock, FlockOperation::LockExclusive).with_context(named)?;
        Ok(lock)
    }

    /// Makes the folder, and what it is in; durably.
    fn make_folder(&self) -> Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&self.folder).with_context(|| self.named())?;
        match self.folder.parent() {
            Some(parent) => sync(parent),
            None => Ok(()),
        }
    }

    /// Drops the oldest of more than `keep`.
    fn prune(&self, keep: usize) -> Result<()> {
        let all = self.list()?;
        let too_many = all.len().saturating_sub(keep.max(1));
        for backup in all.iter().take(too_many) {
            fs::remove_file(&backup.path).with_context(|| backup.named())?;
        }
        Ok(())
    }
}

/// Makes the entries of a folder durable.
fn sync(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| folder.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(generation: u64, retired: &[u64]) -> Dump {
        let text = r#"{
            "array": "0f9c2b1e-7a51-4d7c-9a55-3f0c6e0d9b21", "main": null,
            "spare": "6d1f5a3c-55c1-4c39-8f2e-0b9de1a4f7c2",
            "unit_bytes": 4096, "block_bytes": 512, "main_sectors": 8, "spare_sectors": 8,
            "generation": 0, "clean": true, "cursor": 0, "counters": {}, "relocated": [],
            "retired": []
        }"#;
        let mut dump: Dump = serde_json::from_str(text).unwrap();
        (dump.generation, dump.retired) = (generation, retired.to_vec());
        dump
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_764_000_000 + second).unwrap()
    }

    #[test]
    fn each_state_is_kept_once_and_the_oldest_go() {
        let directory = tempfile::tempdir().unwrap();
        let array = Uuid::parse("0f9c2b1e-7a51-4d7c-9a55-3f0c6e0d9b21").unwrap();
        let backups = Backups::of(directory.path(), &array);
        let commits = || -> Vec<_> {
            let all = backups.list().unwrap();
            all.iter().map(|backup| backup.commit).collect()
        };
        assert!(commits().is_empty());
        assert!(backups.find(None).is_err());
        let add = |dump: &Dump, second| backups.add(dump, at(second), 3).unwrap();
        assert_eq!(add(&dump(1, &[]), 0), Added::New);
        assert_eq!(add(&dump(2, &[]), 1), Added::Known(1));
        assert_eq!(add(&dump(3, &[5]), 2), Added::New);
        assert_eq!(add(&dump(14, &[]), 3), Added::New);
        assert_eq!(commits(), [1, 3, 14]);
        // A clock that went back, and a commit that a restore has set back.
        assert_eq!(add(&dump(5, &[6]), -9), Added::New);
        assert_eq!(commits(), [3, 14, 5]);
        let found = |when| backups.find(when).map(|backup| backup.commit).ok();
        assert_eq!(found(None), Some(5));
        assert_eq!(found(Some(When::Commit(3))), Some(3));
        assert_eq!(found(Some(When::Commit(1))), None);
        assert_eq!(found(Some(When::Time(at(2)))), Some(5));
        assert_eq!(found(Some(When::Time(at(-10)))), None);
        let newest = backups.find(None).unwrap();
        assert_eq!(backups.read(&newest).unwrap(), dump(5, &[6]));
        // A file that was not finished, or is no backup, is not listed.
        fs::write(backups.folder.join(UNFINISHED), "{").unwrap();
        fs::write(backups.folder.join("2026-11-27T02:40:37Z.7.json"), "{").unwrap();
        assert_eq!(commits(), [3, 14, 5]);
        // One that is not what its name says, or cannot be read, is no reason not to make another.
        let other = serde_json::to_vec(&dump(6, &[7])).unwrap();
        for wrong in [&other[..], b"{"] {
            let newest = backups.find(None).unwrap();
            fs::write(&newest.path, wrong).unwrap();
            assert!(backups.read(&newest).is_err());
            assert_eq!(add(&dump(6, &[7]), 4), Added::New);
        }
    }

    #[test]
    fn names_are_times_and_commits() {
        let name = |time: Timestamp| format!("{time:.0}");
        assert_eq!(name(at(0)), "2025-11-24T16:00:00Z");
        let sub_second = Timestamp::from_millisecond(1_764_000_000_999).unwrap();
        assert_eq!(name(sub_second), "2025-11-24T16:00:00Z");
    }
}
