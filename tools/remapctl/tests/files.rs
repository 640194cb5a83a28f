// SPDX-License-Identifier: GPL-2.0

//! The tool on files that stand for devices.

use remap_core::metadata::block::{
    Block,
    Features,
    Header,
    BLOCK_BYTES, //
};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{
    Command,
    Output, //
};
use tempfile::TempDir;

/// A main device of 64 MiB and a spare of 8 MiB.
struct Disks {
    folder: TempDir,
}

impl Disks {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, megabytes) in [("main", 64), ("spare", 8)] {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_len(megabytes << 20).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `remapctl WORDS... main spare MORE...`.
    fn run(&self, words: &[&str], more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remapctl"));
        command
            .args(words)
            .arg(self.path("main"))
            .arg(self.path("spare"));
        command.args(more).output().unwrap()
    }

    /// What it prints, when it works.
    fn good(&self, words: &[&str], more: &[&str]) -> String {
        let done = self.run(words, more);
        assert!(done.status.success(), "{words:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// What it complains of, when it does not.
    fn refused(&self, words: &[&str], more: &[&str]) -> String {
        let done = self.run(words, more);
        assert_eq!(done.status.code(), Some(1), "{words:?}: {done:?}");
        String::from_utf8(done.stderr).unwrap()
    }

    fn fill(&self, name: &str, at: u64, bytes: &[u8]) {
        let file = File::options().write(true).open(self.path(name)).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// A dump with some entries, restored.
    fn with_entries(&self) -> String {
        self.with_entries_in(&self.formatted())
    }

    /// The same for what was formatted and dumped.
    fn with_entries_in(&self, dump: &str) -> String {
        let mut dump: serde_json::Value = serde_json::from_str(dump).unwrap();
        dump["generation"] = 77.into();
        dump["relocated"] = serde_json::json!([
            { "unit": 3, "spare": 9, "valid": "ff" },
            { "unit": 1000, "spare": 0, "valid": "7f" },
        ]);
        dump["retired"] = serde_json::json!([1, 1535]);
        dump["counters"]["relocated"] = 2.into();
        std::fs::write(self.path("dump"), dump.to_string()).unwrap();
        let uuid = dump["array"].as_str().unwrap();
        let file = self.path("dump");
        let force = ["--force", uuid, "--force", "changes"];
        self.good(
            &["restore"],
            &[&[file.to_str().unwrap()], &force[..]].concat(),
        );
        let back = self.good(&["dump"], &[]);
        let read: serde_json::Value = serde_json::from_str(&back).unwrap();
        assert_eq!(read, dump);
        back
    }

    /// The array's UUID.
    fn uuid(&self) -> String {
        let dump = self.good(&["dump"], &[]);
        let dump: serde_json::Value = serde_json::from_str(&dump).unwrap();
        dump["array"].as_str().unwrap().to_string()
    }

    fn formatted(&self) -> String {
        self.good(&["format"], &[]);
        self.good(&["dump"], &[])
    }
}

#[test]
fn format_and_check() {
    let disks = Disks::new();
    assert_eq!(disks.run(&["check"], &[]).status.code(), Some(4));
    assert!(disks
        .good(&["format", "--dry-run"], &[])
        .starts_with("would format array "));
    assert!(disks.bytes("spare").iter().all(|&byte| byte == 0));
    let said = disks.good(&["format"], &[]);
    assert!(
        said.ends_with(": 131072 sectors of main, 1536 spare units of 4096 bytes\n"),
        "{said}"
    );
    assert!(disks
        .good(&["check"], &[])
        .contains(": whole, commit 0, 0 units relocated"));
    let answer: serde_json::Value =
        serde_json::from_str(&disks.good(&["--json", "check"], &[])).unwrap();
    assert_eq!(answer["whole"], true);
}

#[test]
fn only_what_is_named_is_overwritten() {
    let disks = Disks::new();
    disks.formatted();
    let refused = disks.refused(&["format"], &[]);
    let uuid = refused
        .split("--force ")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap()
        .to_string();
    let before = disks.bytes("spare");
    assert!(disks
        .refused(&["format", "--force", "foreign"], &[])
        .contains("not 'foreign'"));
    assert_eq!(before, disks.bytes("spare"));
    disks.good(&["format", "--force", &uuid], &[]);
    disks.fill("spare", 0, &[7; 65536]);
    disks.fill("spare", 7 << 20, &[7; 65536]);
    assert!(disks
        .refused(&["format"], &[])
        .contains("'--force foreign' overwrites it"));
    disks.good(&["format", "--force", "foreign"], &[]);
    disks.good(&["check"], &[]);
}

#[test]
fn dump_and_restore_are_exact() {
    let disks = Disks::new();
    let text = disks.with_entries();
    std::fs::write(disks.path("dump"), &text).unwrap();
    let dump: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (file, uuid) = (disks.path("dump"), dump["array"].as_str().unwrap());
    disks.good(&["restore"], &[file.to_str().unwrap(), "--force", uuid]);
    assert_eq!(disks.good(&["dump"], &[]), text);
    assert_eq!(
        disks.good(
            &["dump", "--form", "badblocks", "--block-size", "4096"],
            &[]
        ),
        "3\n1000\n"
    );
    let map = disks.good(&["dump", "--form", "ddrescue"], &[]);
    assert!(map.contains("\n0x00003000  0x00001000  -\n"), "{map}");
}

#[test]
fn other_metadata_are_restored_only_by_name() {
    let disks = Disks::new();
    let old = disks.with_entries();
    let mut new: serde_json::Value = serde_json::from_str(&old).unwrap();
    let uuid = new["array"].as_str().unwrap().to_string();
    new["generation"] = 99.into();
    new["relocated"][0]["spare"] = 10.into();
    new["relocated"].as_array_mut().unwrap().remove(1);
    std::fs::write(disks.path("dump"), new.to_string()).unwrap();
    let file = disks.path("dump").display().to_string();
    let force = ["--force", &uuid, "--force", "changes"];
    disks.good(&["restore"], &[&[file.as_str()], &force[..]].concat());
    let folder = disks.path("backups").join(&uuid);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("1.2026-11-27T02:40:37Z.77.json"), &old).unwrap();
    std::fs::write(
        folder.join("2.2026-11-27T02:50:00Z.99.json"),
        new.to_string(),
    )
    .unwrap();
    let backups = disks.path("backups").display().to_string();
    let history = Command::new(env!("CARGO_BIN_EXE_remapctl"))
        .args(["history", &uuid, "--backups", &backups])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(history.stdout).unwrap(),
        "2026-11-27T02:40:37Z  commit 77  2 units relocated, 2 retired\n\
         2026-11-27T02:50:00Z  commit 99  1 units relocated, 2 retired\n"
    );
    let from = ["--of", &uuid, "--backups", &backups];
    let with = |more: &[&'static str]| [&from[..], more, &["--force", &uuid]].concat();
    let before = disks.bytes("spare");
    // The unit that is elsewhere, and the one that was moved back to main.
    for at in ["77", "2026-11-27T02:45:00Z"] {
        let said = disks.refused(&["restore"], &with(&["--at", at]));
        assert!(said.contains("other data than now"), "{said}");
        assert!(said.contains(": 24-31, 8000-8007; "), "{said}");
        assert!(said.contains("--force changes"), "{said}");
        assert_eq!(disks.bytes("spare"), before);
    }
    disks.refused(&["restore"], &with(&["--at", "78"]));
    disks.good(&["restore"], &with(&["--at", "77", "--force", "changes"]));
    assert_eq!(disks.good(&["dump"], &[]), old);
    // The newest: the number of a commit tells nothing, as the restore has set it back.
    let said = disks.refused(&["restore"], &with(&[]));
    assert!(said.contains(": 24-31, 8000-8007; "), "{said}");
    disks.good(&["restore"], &with(&["--force", "changes"]));
    assert!(disks.good(&["dump"], &[]).contains("\"generation\": 99"));
}

#[test]
fn dumps_that_contradict_themselves_change_nothing() {
    let disks = Disks::new();
    let dump: serde_json::Value = serde_json::from_str(&disks.formatted()).unwrap();
    let uuid = dump["array"].as_str().unwrap().to_string();
    let before = disks.bytes("spare");
    let unit = |unit: u64, spare: u64, valid: &str| serde_json::json!({ "unit": unit, "spare": spare, "valid": valid });
    for (relocated, retired, want) in [
        (vec![unit(3, 1, "ff"), unit(4, 1, "ff")], vec![], "Taken"),
        (
            vec![unit(3, 1, "ff"), unit(3, 2, "ff")],
            vec![],
            "not in order",
        ),
        (vec![unit(16384, 1, "ff")], vec![], "Unit"),
        (vec![unit(3, 1536, "ff")], vec![], "Spare"),
        (vec![unit(3, 1, "1ff")], vec![], "Blocks"),
        (vec![unit(3, 1, "xyz")], vec![], "no valid bits"),
        (vec![unit(3, 1, "ff")], vec![1], "Taken"),
        (vec![], vec![5, 5], "not in order"),
    ] {
        let mut bad = dump.clone();
        bad["relocated"] = relocated.into();
        bad["retired"] = retired.into();
        std::fs::write(disks.path("bad"), bad.to_string()).unwrap();
        let file = disks.path("bad");
        let said = disks.refused(&["restore"], &[file.to_str().unwrap(), "--force", &uuid]);
        assert!(said.contains(want), "{said}");
        assert_eq!(disks.bytes("spare"), before);
    }
}

#[test]
fn damage_is_found_and_mended() {
    let disks = Disks::new();
    let text = disks.with_entries();
    for at in [0, 4096, 1 << 19, 7 << 20, (7 << 20) + 4096] {
        disks.fill("spare", at + 100, &[0x55; 512]);
        let found = disks.run(&["check"], &[]);
        assert_eq!(found.status.code(), Some(4), "{found:?}");
        assert!(disks
            .good(&["repair", "--dry-run"], &[])
            .starts_with("would mend:"));
        assert_eq!(disks.run(&["check"], &[]).status.code(), Some(4));
        assert!(disks.good(&["repair"], &[]).starts_with("mended"));
        disks.good(&["check"], &[]);
        assert_eq!(disks.good(&["dump"], &[]), text);
    }
    assert_eq!(disks.good(&["repair"], &[]), "nothing to repair\n");
    disks.fill("spare", 0, &[0; 1 << 20]);
    disks.fill("spare", 7 << 20, &[1; 1 << 20]);
    assert!(disks
        .refused(&["repair"], &[])
        .contains("cannot be repaired"));
}

#[test]
fn metadata_on_main_too() {
    let disks = Disks::new();
    let said = disks.good(&["format", "--main-metadata"], &[]);
    assert!(said.contains(": 126968 sectors of main"), "{said}");
    let dump = disks.good(&["dump"], &[]);
    assert!(disks.good(&["check"], &[]).contains("whole"));
    // Main's copies take part: one of them by itself is not enough without the spare.
    disks.fill("spare", 0, &[0; 1 << 20]);
    assert_eq!(disks.run(&["check"], &[]).status.code(), Some(4));
    disks.good(&["repair"], &[]);
    assert_eq!(disks.good(&["dump"], &[]), dump);
    disks.fill("spare", 0, &[0; 1 << 20]);
    disks.fill("spare", 7 << 20, &[0; 1 << 20]);
    let said = disks.refused(&["repair"], &[]);
    assert!(
        said.contains("the spare's metadata are older than main's"),
        "{said}"
    );
    assert!(disks.refused(&["format"], &[]).contains("--force"));
}

#[test]
fn what_is_on_main_is_overwritten_only_if_it_is_named() {
    let disks = Disks::new();
    disks.fill("main", 0, &vec![0xaa; 64 << 20]);
    let before = disks.bytes("main");
    let said = disks.refused(&["format", "--main-metadata"], &[]);
    let hint = "'--force main-tail' overwrites it";
    assert!(
        said.contains("main's tail holds something that is not ours"),
        "{said}"
    );
    assert!(said.contains(hint), "{said}");
    assert!(before == disks.bytes("main"));
    disks.good(&["format", "--main-metadata", "--force", "main-tail"], &[]);
    let start = 126_968 << 9;
    assert!(disks.bytes("main")[..start] == before[..start]);
    disks.good(&["check"], &[]);
}

/// Blank space at the end of a file system is part of it.
#[test]
fn a_file_system_is_not_cut_short() {
    let disks = Disks::new();
    let made = Command::new("mkfs.ext4")
        .arg("-q")
        .arg(disks.path("main"))
        .status();
    assert!(made.unwrap().success());
    for words in [&["--main-metadata"][..], &["--main-len", "131064"]] {
        let words = [&["format"], words].concat();
        let said = disks.refused(&words, &[]);
        assert!(
            said.contains("main holds ext4 of 131072 sectors, and the target would have 1"),
            "{said}"
        );
        disks.good(
            &[&words[..], &["--dry-run", "--force", "shorter"]].concat(),
            &[],
        );
    }
    disks.good(&["format"], &[]);
    let made = Command::new("mkfs.ext4")
        .arg("-q")
        .arg(disks.path("main"))
        .arg("63000k")
        .status();
    assert!(made.unwrap().success());
    let uuid = disks.uuid();
    disks.good(&["format", "--main-metadata", "--force", &uuid], &[]);
}

/// Copies on main that no array uses any more are not left behind.
#[test]
fn older_copies_on_main_go_with_their_array() {
    let disks = Disks::new();
    disks.good(&["format", "--main-metadata"], &[]);
    let first = disks.uuid();
    // The spare gets another array, which knows nothing of main.
    disks.fill("spare", 0, &[0; 8 << 20]);
    let said = disks.refused(&["format", "--main-len", "126968"], &[]);
    assert!(
        said.contains(&format!("main's tail holds array {first}; ")),
        "{said}"
    );
    disks.good(&["format", "--main-len", "126968", "--force", &first], &[]);
    disks.good(&["check"], &[]);
    assert!(disks.bytes("main").iter().all(|&byte| byte == 0));
}

/// The module refuses an area of another length, though its regions are as long.
#[test]
fn an_array_that_does_not_fit_is_no_array() {
    let disks = Disks::new();
    let area = ["--spare-len", "8192"];
    disks.good(&["format"], &area);
    for len in ["8191", "8184", "14344"] {
        let other = ["--spare-len", len];
        let check = disks.run(&["check"], &other);
        let said = String::from_utf8(check.stdout).unwrap();
        assert_eq!(check.status.code(), Some(4));
        assert!(!said.contains("usable"), "{said}");
        let before = disks.bytes("spare");
        assert!(disks
            .refused(&["repair"], &other)
            .contains("cannot be repaired"));
        assert!(before == disks.bytes("spare"));
    }
    let said = disks.run(&["check"], &["--spare-len", "8191"]).stdout;
    let want = "the metadata are for a spare area of 8192 sectors\n";
    assert!(String::from_utf8(said).unwrap().ends_with(want));
    disks.good(&["check"], &area);
    // A file that was cut short.
    let spare = File::options()
        .write(true)
        .open(disks.path("spare"))
        .unwrap();
    spare.set_len((8191 << 9) + 100).unwrap();
    assert_eq!(disks.run(&["check"], &[]).status.code(), Some(4));
    disks.refused(&["repair"], &[]);
}

/// A format that may only be read is only read.
#[test]
fn repair_keeps_off_what_it_must_not_write() {
    let disks = Disks::new();
    disks.formatted();
    for region in [0, 7 << 20] {
        let mut block: Block = disks.bytes("spare")[region..][..BLOCK_BYTES]
            .try_into()
            .unwrap();
        let mut header = Header::read(&block, crc32c::crc32c).unwrap();
        header.features.ro_compat = 1;
        header.seal(&mut block, crc32c::crc32c);
        disks.fill("spare", region as u64, &block);
    }
    disks.good(&["check"], &[]);
    disks.fill("spare", 100 << 12, &[1; 4096]);
    let before = disks.bytes("spare");
    let said = disks.refused(&["repair"], &[]);
    assert!(said.contains("features that allow reading only"), "{said}");
    assert!(before == disks.bytes("spare"));
}

/// One head that says so is enough, and no command takes the data for the array's newest.
#[test]
fn an_array_whose_data_moved_is_refused_by_name() {
    let disks = Disks::new();
    disks.formatted();
    let mut block: Block = disks.bytes("spare")[..BLOCK_BYTES].try_into().unwrap();
    let mut header = Header::read(&block, crc32c::crc32c).unwrap();
    header.features = header.features.with(Features::MOVED);
    header.seal(&mut block, crc32c::crc32c);
    disks.fill("spare", 0, &block);
    let before = disks.bytes("spare");
    let commands: [&[&str]; 4] = [
        &["dump"],
        &["repair"],
        &["repair", "--believe", "spare-last"],
        &["export"],
    ];
    for words in commands {
        let said = disks.refused(words, &[]);
        let wanted = "the data were moved to another disk";
        assert!(said.contains(wanted), "{words:?}: {said}");
    }
    assert!(before == disks.bytes("spare"));
}

/// The spare is not taken for the array's if another disk was named.
#[test]
fn a_spare_that_holds_something_else_is_not_mended() {
    let disks = Disks::new();
    disks.good(&["format", "--main-metadata"], &[]);
    disks.fill("spare", 0, &[7; 8 << 20]);
    let same = ["repair", "--spare-is", "same"];
    let said = disks.refused(&same, &[]);
    assert!(said.contains("'--force foreign' overwrites it"), "{said}");
    disks.good(&[&same[..], &["--force", "foreign"]].concat(), &[]);
    disks.good(&["check"], &[]);
}

/// The last copy on main lies where main ends, which may be elsewhere now.
#[test]
fn the_end_of_a_longer_main_is_not_the_arrays() {
    let disks = Disks::new();
    disks.good(&["format", "--main-metadata"], &[]);
    disks.fill("main", 64 << 20, &[9; 4 << 20]);
    assert_eq!(disks.run(&["check"], &[]).status.code(), Some(4));
    let before = disks.bytes("main");
    let said = disks.refused(&["repair"], &[]);
    assert!(said.contains("'--force main-tail' overwrites it"), "{said}");
    assert!(before == disks.bytes("main"));
    disks.good(&["repair", "--force", "main-tail"], &[]);
    disks.good(&["check"], &[]);
}

/// Copies of an array that were used apart: the administrator chooses.
#[test]
fn the_history_that_is_named_is_kept() {
    for believed in ["spare-first", "spare-last"] {
        let disks = Disks::new();
        let one = disks.with_entries();
        let first = disks.bytes("spare")[..4 << 20].to_vec();
        let mut dump: serde_json::Value = serde_json::from_str(&one).unwrap();
        dump["relocated"][0]["unit"] = 4.into();
        std::fs::write(disks.path("dump"), dump.to_string()).unwrap();
        let (file, uuid) = (disks.path("dump"), disks.uuid());
        let force = ["--force", &uuid, "--force", "changes"];
        disks.good(
            &["restore"],
            &[&[file.to_str().unwrap()], &force[..]].concat(),
        );
        disks.fill("spare", 0, &first);
        let found = disks.run(&["check"], &[]);
        assert_eq!(found.status.code(), Some(4));
        let said = String::from_utf8(found.stdout).unwrap();
        assert_eq!(said.matches(": commit 77 of session ").count(), 2, "{said}");
        assert!(said.ends_with("two histories of the array\n"), "{said}");
        assert!(disks.refused(&["repair"], &[]).contains("two histories"));
        disks.good(&["repair", "--dry-run", "--believe", believed], &[]);
        assert!(disks.refused(&["repair"], &[]).contains("two histories"));
        let said = disks.good(&["repair", "--believe", believed], &[]);
        assert!(said.starts_with("mended, 2 copies"), "{said}");
        assert!(disks.good(&["check"], &[]).contains(": whole, commit 78, "));
        let now: serde_json::Value = serde_json::from_str(&disks.good(&["dump"], &[])).unwrap();
        let kept = if believed == "spare-first" { 3 } else { 4 };
        assert_eq!(now["relocated"][0]["unit"], kept);
        assert!(disks
            .refused(&["repair", "--believe", "main-last"], &[])
            .contains("that copy cannot be read"));
    }
}

#[test]
fn every_counter_at_its_most() {
    let disks = Disks::new();
    let text = disks.formatted();
    let mut dump: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(dump["counters"]["scan_passes"], 0);
    for (_, value) in dump["counters"].as_object_mut().unwrap() {
        *value = u64::MAX.into();
    }
    for at in 13..16 {
        dump["counters"][format!("counter_{at}")] = u64::MAX.into();
    }
    dump["cursor"] = u64::MAX.into();
    let restore = |dump: &serde_json::Value| {
        std::fs::write(disks.path("dump"), dump.to_string()).unwrap();
        let file = disks.path("dump");
        disks.good(
            &["restore"],
            &[file.to_str().unwrap(), "--force", &disks.uuid()],
        );
        let back: serde_json::Value = serde_json::from_str(&disks.good(&["dump"], &[])).unwrap();
        back
    };
    assert_eq!(restore(&dump), dump);
    // Names that a dump of an earlier remapctl has.
    let counters = dump["counters"].as_object_mut().unwrap();
    let value = counters.remove("scan_weak").unwrap();
    counters.insert("counter_10".into(), value);
    assert_eq!(restore(&dump)["counters"]["scan_weak"], u64::MAX);
}

/// A dump, without what `replaced` takes away.
fn all_lost(text: &str) -> serde_json::Value {
    let mut dump: serde_json::Value = serde_json::from_str(text).unwrap();
    for unit in dump["relocated"].as_array_mut().unwrap() {
        unit["valid"] = "0".into();
    }
    dump["retired"] = Vec::<u64>::new().into();
    dump["generation"] = (dump["generation"].as_u64().unwrap() + 1).into();
    dump
}

#[test]
fn a_spare_without_copies() {
    for what in ["same", "replaced"] {
        let disks = Disks::new();
        disks.good(&["format", "--main-metadata"], &[]);
        let older = disks.bytes("spare");
        let text = disks.with_entries_in(&disks.good(&["dump"], &[]));
        // A spare that has copies is judged by them, whatever is said of it.
        let current = disks.bytes("spare");
        disks.fill("spare", 0, &older);
        let said = disks.refused(&["repair", "--spare-is", what], &[]);
        assert!(said.contains("older than main's"), "{said}");
        disks.fill("spare", 0, &current);
        let said = disks.good(&["repair", "--spare-is", what], &[]);
        assert_eq!(said, "nothing to repair\n");
        disks.fill("spare", 0, &[0; 1 << 20]);
        disks.fill("spare", 7 << 20, &[0; 1 << 20]);
        assert!(disks
            .refused(&["repair"], &[])
            .contains("older than main's"));
        if what == "replaced" {
            disks.fill("spare", 70_000, &[1]);
            let said = disks.refused(&["repair", "--spare-is", what], &[]);
            assert!(said.contains("must be blank"), "{said}");
            disks.fill("spare", 70_000, &[0]);
        }
        let dry = disks.good(&["repair", "--dry-run", "--spare-is", what], &[]);
        assert!(dry.starts_with("would mend:"), "{dry}");
        assert!(disks
            .refused(&["repair"], &[])
            .contains("older than main's"));
        assert!(disks
            .good(&["repair", "--spare-is", what], &[])
            .starts_with("mended, 4 copies"));
        disks.good(&["check"], &[]);
        let now = disks.good(&["dump"], &[]);
        match what {
            "same" => assert_eq!(now, text),
            _ => assert_eq!(
                serde_json::from_str::<serde_json::Value>(&now).unwrap(),
                all_lost(&text)
            ),
        }
    }
}

#[test]
fn the_table_line() {
    let disks = Disks::new();
    let line = |words: &[&str]| disks.good(&[&["create", "--dry-run"], words].concat(), &[]);
    let (main, spare) = (disks.path("main"), disks.path("spare"));
    let bare = format!(
        "0 131072 remap {} 0 {} 0 16384",
        main.display(),
        spare.display()
    );
    assert_eq!(line(&["x"]), format!("{bare}\n"));
    assert_eq!(
        line(&["--breaker", "5,2", "x"]),
        format!("{bare} 3 breaker 5 2\n")
    );
    disks.good(&["format"], &[]);
    let both = format!("{bare} 5 unit 4096 breaker 0 0\n");
    assert_eq!(line(&["--breaker", "0,0", "x"]), both);
    for wrong in ["5", "0,2", "x,y"] {
        let done = disks.run(&["create", "--dry-run", "--breaker", wrong, "x"], &[]);
        assert_eq!(done.status.code(), Some(2), "{done:?}");
    }
}

#[test]
fn man_pages_and_completions() {
    let disks = Disks::new();
    let folder = disks.path("man");
    let done = Command::new(env!("CARGO_BIN_EXE_remapctl"))
        .args(["generate", folder.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(done.status.success());
    for name in [
        "remapctl.8",
        "remapctl-format.8",
        "remapctl-check.8",
        "remapctl.bash",
        "_remapctl",
    ] {
        assert!(folder.join(name).exists(), "{name}");
    }
}
