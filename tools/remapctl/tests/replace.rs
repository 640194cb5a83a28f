// SPDX-License-Identifier: GPL-2.0

//! What the replacement of a spare refuses, on files that stand for devices.

use serde_json::{
    json,
    Value, //
};
use std::fs::{
    self,
    File, //
};
use std::process::{
    Command,
    Output, //
};
use tempfile::TempDir;

/// A main device of 64 MiB, its spare of 8 MiB, and another device.
struct Files(TempDir);

impl Files {
    fn new(mebibytes: u64) -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        for (name, mebibytes) in [("main", 64), ("spare", 8), ("new", mebibytes)] {
            let file = File::create(this.0.path().join(name)).unwrap();
            file.set_len(mebibytes << 20).unwrap();
        }
        this
    }

    /// Runs `remapctl` in the folder of the files.
    fn run(&self, words: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remapctl"));
        command.current_dir(self.0.path()).args(words.split(' '));
        command.output().unwrap()
    }

    fn good(&self, words: &str) -> String {
        let done = self.run(words);
        assert!(done.status.success(), "{words}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// What it complains of; it writes nothing.
    fn refused(&self, words: &str) -> String {
        let before = self.bytes();
        let done = self.run(words);
        assert_eq!(done.status.code(), Some(1), "{words}: {done:?}");
        assert!(self.bytes() == before, "{words}: {done:?}");
        String::from_utf8(done.stderr).unwrap()
    }

    fn bytes(&self) -> [Option<Vec<u8>>; 3] {
        ["main", "spare", "new"].map(|name| fs::read(self.0.path().join(name)).ok())
    }

    /// Has the spare hold units; the array's UUID.
    fn hold(&self, spare: &str, units: &[u64]) -> String {
        let dump = self.good(&format!("dump ./main {spare}"));
        let mut dump: Value = serde_json::from_str(&dump).unwrap();
        let units = units
            .iter()
            .map(|number| json!({ "unit": 2 * number, "spare": number, "valid": "ff" }));
        dump["relocated"] = units.collect();
        fs::write(self.0.path().join("dump"), dump.to_string()).unwrap();
        let uuid = dump["array"].as_str().unwrap().to_string();
        self.good(&format!(
            "restore ./main {spare} dump --force {uuid} --force changes"
        ));
        uuid
    }
}

const REPLACE: &str = "spare replace ./main spare --with new";

#[test]
fn what_does_not_fit_is_refused() {
    let files = Files::new(3);
    files.good("format ./main spare");
    files.hold("spare", &[0, 256]);
    let said = files.refused(REPLACE);
    let want = "spare unit 256 is in use, and new has room for 256\n";
    assert!(said.ends_with(want), "{said}");
    files.hold("spare", &[0, 255]);
    let said = files.good(REPLACE);
    let want = "copied 2 units from spare to new; new is the spare of array ";
    assert!(said.starts_with(want), "{said}");
    assert!(files.good("check ./main new").contains("2 units relocated"));
}

#[test]
fn copies_on_main_are_refused() {
    let files = Files::new(8);
    files.good("format ./main spare --main-metadata");
    let said = files.refused(REPLACE);
    assert!(
        said.contains("the array has copies of its metadata on main"),
        "{said}"
    );
}

#[test]
fn a_device_that_holds_the_array_is_overwritten_by_name_only() {
    let files = Files::new(8);
    files.good("format ./main spare");
    let uuid = files.hold("spare", &[1, 2]);
    fs::copy(files.0.path().join("spare"), files.0.path().join("new")).unwrap();
    files.hold("new", &[1, 2, 3]);
    let said = files.refused(REPLACE);
    assert!(said.contains(&format!("new holds array {uuid}")), "{said}");
    files.good(&format!("{REPLACE} --force {uuid}"));
    assert!(files.good("check ./main new").contains("2 units relocated"));
}

/// A spare that has the array already is not said to have taken another's place.
#[test]
fn without_an_array_nothing_is_replaced() {
    let files = Files::new(8);
    let said = files.refused(REPLACE);
    assert!(said.contains("spare does not hold the array"), "{said}");
    files.good("format ./main new");
    let before = files.bytes();
    for words in [REPLACE.to_string(), format!("{REPLACE} --dry-run")] {
        let said = files.good(&words);
        assert!(said.starts_with("new is the spare of array "), "{said}");
        assert!(said.ends_with(" already\n"), "{said}");
    }
    let said: Value = serde_json::from_str(&files.good(&format!("{REPLACE} --json"))).unwrap();
    assert_eq!(said["replaced"], false);
    assert!(files.bytes() == before);
}

/// Two names of one file are no two devices, and the data of its only copy stay.
#[test]
fn another_name_of_a_device_is_the_device() {
    let files = Files::new(8);
    files.good("format ./main spare");
    let uuid = files.hold("spare", &[1, 2]);
    let path = |name: &str| files.0.path().join(name);
    for name in ["spare", "main"] {
        fs::remove_file(path("new")).unwrap();
        fs::hard_link(path(name), path("new")).unwrap();
        let said = files.refused(&format!("{REPLACE} --force {uuid} --force foreign"));
        assert!(said.contains("new is "), "{said}");
    }
    fs::remove_file(path("new")).unwrap();
    std::os::unix::fs::symlink("spare", path("new")).unwrap();
    let said = files.refused(&format!("{REPLACE} --force {uuid}"));
    assert!(said.contains("new is spare"), "{said}");
}

/// Where a part of the metadata is damaged, it may have held a newer commit.
#[test]
fn damaged_metadata_are_relied_on_by_name_only() {
    let files = Files::new(8);
    files.good("format ./main spare");
    files.hold("spare", &[1, 2]);
    let path = files.0.path().join("spare");
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    bytes[100..200].fill(7);
    fs::write(&path, &bytes).unwrap();
    let said = files.refused(REPLACE);
    let want = "the metadata at spare sector 0 are damaged or cannot be read, and may hold newer";
    assert!(said.contains(want), "{said}");
    assert!(said.contains("'remapctl repair' mends"), "{said}");
    assert!(said.contains("'--force unsure' goes on"), "{said}");
    files.good("repair ./main spare");
    files.good(&format!("{REPLACE} --dry-run"));
    fs::write(&path, &bytes).unwrap();
    let said = files.good(&format!("{REPLACE} --force unsure"));
    assert!(said.starts_with("copied 2 units"), "{said}");
    assert!(said.ends_with("\nspare is blank\n"), "{said}");
    // A region that is gone says nothing either.
    fs::write(files.0.path().join("new"), vec![0; 8 << 20]).unwrap();
    let mut bytes = whole;
    bytes[..1 << 20].fill(0);
    fs::write(&path, &bytes).unwrap();
    let said = files.refused(REPLACE);
    assert!(said.contains("'--force unsure' goes on"), "{said}");
}

#[test]
fn by_its_name_an_array_lies_where_the_table_says() {
    let files = Files::new(8);
    for option in ["--main-start 8", "--spare-start 8", "--spare-len 2048"] {
        let said = files.refused(&format!("spare replace r spare --with new {option}"));
        let want = "/etc/remaptab says where array 'r' begins";
        assert!(said.contains(want), "{said}");
    }
}

/// What lies before the spare area is not ours to overwrite.
#[test]
fn what_begins_before_the_spare_area_is_in_the_way() {
    let files = Files::new(16);
    files.good("format ./main spare --spare-start 2048");
    let mut new = fs::read(files.0.path().join("new")).unwrap();
    // The superblock of an ext2: its magic number, and a few sizes.
    for (at, bytes) in [
        (1024, &64u32.to_le_bytes()[..]),
        (1028, &8192u32.to_le_bytes()),
        (1024 + 0x20, &8192u32.to_le_bytes()),
        (1024 + 0x28, &64u32.to_le_bytes()),
        (1024 + 0x38, &[0x53, 0xef]),
        (1024 + 0x4c, &1u32.to_le_bytes()),
    ] {
        new[at..at + bytes.len()].copy_from_slice(bytes);
    }
    fs::write(files.0.path().join("new"), new).unwrap();
    let words = format!("{REPLACE} --spare-start 2048");
    let said = files.refused(&words);
    assert!(said.contains("new holds ext2"), "{said}");
    files.good(&format!("{words} --force foreign"));
}
