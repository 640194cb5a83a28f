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

#[test]
fn without_an_array_nothing_is_replaced() {
    let files = Files::new(8);
    let said = files.refused(REPLACE);
    assert!(said.contains("spare does not hold the array"), "{said}");
    files.good("format ./main new");
    let said = files.good(&format!("{REPLACE} --dry-run"));
    assert_eq!(said, "nothing is left to copy\n");
    let said = files.good(REPLACE);
    assert!(
        said.starts_with("nothing was left to copy; new is the spare of array "),
        "{said}"
    );
}
