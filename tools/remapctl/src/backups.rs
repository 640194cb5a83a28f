// SPDX-License-Identifier: GPL-2.0

//! The backups of the metadata of an array: a folder of dumps, one for each state.
//!
//! The name of a file is the time of the backup and the number of the commit, as
//! `2026-11-27T02:40:37Z.57.json`, so that their order is that of time. A file has the form of
//! `remapctl dump`, and can be given to `remapctl restore`.

use crate::dump::Dump;
use crate::when::When;
use anyhow::{
    Context,
    Result, //
};
use jiff::Timestamp;
use remap_core::metadata::uuid::Uuid;
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

/// One backup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backup {
    /// When it was made.
    pub time: Timestamp,
    /// The number of its last commit.
    pub commit: u64,
    path: PathBuf,
}

impl Backup {
    fn at(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?;
        let (time, commit) = name.rsplit_once('.')?;
        let (time, commit) = (time.parse().ok()?, commit.parse().ok()?);
        Some(Self { time, commit, path })
    }

    /// What it says.
    pub fn read(&self) -> Result<Dump> {
        let named = || self.path.display().to_string();
        let text = fs::read_to_string(&self.path).with_context(named)?;
        serde_json::from_str(&text).with_context(named)
    }
}

/// The backups of an array.
pub struct Backups {
    folder: PathBuf,
}

impl Backups {
    /// Those of an array in this directory.
    pub fn of(directory: &Path, array: &Uuid) -> Self {
        let folder = directory.join(array.to_string());
        Self { folder }
    }

    /// All of them, the oldest first.
    pub fn list(&self) -> Result<Vec<Backup>> {
        let named = || self.folder.display().to_string();
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
        found.with_context(|| format!("no such backup in {}", self.folder.display()))
    }

    /// Adds a dump, unless the newest backup has the same state, and drops the oldest of more than
    /// `keep`; whether it was added. A backup is there or not there, also after a power loss.
    pub fn add(&self, dump: &Dump, now: Timestamp, keep: usize) -> Result<bool> {
        let newest = self.list()?.pop();
        let known = newest.and_then(|newest| newest.read().ok());
        if known.is_some_and(|known| known.has_state_of(dump)) {
            return Ok(false);
        }
        let named = || self.folder.display().to_string();
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&self.folder).with_context(named)?;
        let unfinished = self.folder.join(UNFINISHED);
        let named = || unfinished.display().to_string();
        let mut file = File::create(&unfinished).with_context(named)?;
        file.write_all(&serde_json::to_vec_pretty(dump)?)
            .and_then(|()| file.sync_all())
            .with_context(named)?;
        let name = format!("{now:.0}.{}{EXTENSION}", dump.generation);
        let path = self.folder.join(name);
        fs::rename(&unfinished, &path).with_context(named)?;
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .with_context(named)?;
        self.prune(&path, keep)?;
        Ok(true)
    }

    /// Drops the oldest of more than `keep`. The clock may have gone back: the one just made stays.
    fn prune(&self, made: &Path, keep: usize) -> Result<()> {
        let all = self.list()?;
        let too_many = all.len().saturating_sub(keep.max(1));
        let old = all.into_iter().filter(|backup| backup.path != made);
        for backup in old.take(too_many) {
            let named = || backup.path.display().to_string();
            fs::remove_file(&backup.path).with_context(named)?;
        }
        Ok(())
    }
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
        assert!(backups.add(&dump(1, &[]), at(0), 3).unwrap());
        assert!(!backups.add(&dump(2, &[]), at(1), 3).unwrap());
        assert!(backups.add(&dump(3, &[5]), at(2), 3).unwrap());
        assert!(backups.add(&dump(4, &[]), at(3), 3).unwrap());
        assert_eq!(commits(), [1, 3, 4]);
        // A clock that went back.
        assert!(backups.add(&dump(5, &[6]), at(-9), 3).unwrap());
        assert_eq!(commits(), [5, 3, 4]);
        let found = |when| backups.find(when).map(|backup| backup.commit).ok();
        assert_eq!(found(None), Some(4));
        assert_eq!(found(Some(When::Commit(3))), Some(3));
        assert_eq!(found(Some(When::Commit(1))), None);
        assert_eq!(found(Some(When::Time(at(2)))), Some(3));
        assert_eq!(found(Some(When::Time(at(-10)))), None);
        assert_eq!(backups.find(None).unwrap().read().unwrap(), dump(4, &[]));
        // What was not finished, and what is none, is not listed.
        fs::write(backups.folder.join(UNFINISHED), "{").unwrap();
        fs::write(backups.folder.join("2026-11-27T02:40:37Z.json"), "{").unwrap();
        assert_eq!(commits(), [5, 3, 4]);
        // One that cannot be read is no reason not to make another.
        let newest = backups.find(None).unwrap();
        fs::write(&newest.path, "{").unwrap();
        assert!(newest.read().is_err());
        assert!(backups.add(&dump(6, &[]), at(4), 9).unwrap());
    }

    #[test]
    fn names_are_times_and_commits() {
        let name = |time: Timestamp| format!("{time:.0}");
        assert_eq!(name(at(0)), "2025-11-24T16:00:00Z");
        let sub_second = Timestamp::from_millisecond(1_764_000_000_999).unwrap();
        assert_eq!(name(sub_second), "2025-11-24T16:00:00Z");
    }
}
