// SPDX-License-Identifier: GPL-2.0

//! The tool is stopped, or the power goes, at each of its writes.
//!
//! A library that is preloaded logs what the tool writes and when it waits for that to be durable.
//! From the log the disks are made that there could be at each instant: all that was written before
//! is there, or only what was durable and some of the rest, or a write is torn at a sector. So one
//! run shows all instants, those of a disk with a volatile cache too, and nothing of it is in the
//! tool itself.

use remap_core::blocks::Blocks;
use remap_core::geometry::{
    Geometry,
    SpareUnit,
    Unit, //
};
use remap_core::metadata::array::Array;
use remap_core::metadata::block::{
    Block,
    Crc32c,
    BLOCK_BYTES, //
};
use remap_core::metadata::record::Record;
use remap_core::metadata::standing::Standing;
use remap_core::metadata::storage::{
    Failed,
    Region,
    Storage, //
};
use remap_core::metadata::survey::{
    choose,
    Refused, //
};
use remap_core::region_layout::{
    Regions,
    SPARE_REGIONS, //
};
use remap_host::{
    blank_block,
    plain_geometry,
    Contained, //
};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{
    Path,
    PathBuf, //
};
use std::process::{
    Command,
    Output, //
};
use std::sync::OnceLock;
use tempfile::TempDir;

const MAIN: usize = 8 << 20;
const SPARE: usize = 4 << 20;
const MAIN_SECTORS: u64 = MAIN as u64 / 512;
const SPARE_SECTORS: u64 = SPARE as u64 / 512;
/// The length of a target with copies on main.
const SHORT: u64 = MAIN_SECTORS - 4104;

/// The names of the disks; the third takes the place of the spare.
const NAMES: [&str; 3] = ["main", "spare", "new"];

/// What the disks hold.
#[derive(Clone, PartialEq)]
struct Disks {
    main: Vec<u8>,
    spare: Vec<u8>,
    new: Vec<u8>,
}

impl Disks {
    fn blank() -> Self {
        Self {
            main: vec![0; MAIN],
            spare: vec![0; SPARE],
            new: vec![0; SPARE],
        }
    }

    fn file(&mut self, name: &str) -> &mut Vec<u8> {
        match name {
            "main" => &mut self.main,
            "spare" => &mut self.spare,
            _ => &mut self.new,
        }
    }

    /// The disks with the new one in the place of the spare.
    fn renewed(&self) -> Self {
        Self {
            spare: self.new.clone(),
            ..self.clone()
        }
    }
}

/// The disks as a target of `mapped` sectors sees them.
struct View<'a> {
    disks: &'a Disks,
    mapped: u64,
}

impl View<'_> {
    fn start(&self, region: Region) -> Option<(&[u8], usize)> {
        let regions = Regions::for_spare(SPARE_SECTORS);
        let (bytes, sector) = match region.0.checked_sub(SPARE_REGIONS) {
            None => (
                &self.disks.spare,
                [Some(0), regions.last_start(SPARE_SECTORS)][region.0],
            ),
            Some(at) => (
                &self.disks.main,
                regions.on_main(self.mapped, MAIN_SECTORS)[at],
            ),
        };
        Some((bytes, sector? as usize * 512))
    }
}

impl Storage for View<'_> {
    const CRC32C: Crc32c = crc32c::crc32c;

    fn has(&self, region: Region) -> bool {
        self.start(region).is_some()
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        let (bytes, start) = self.start(region).ok_or(Failed)?;
        let at = start + number as usize * BLOCK_BYTES;
        block.copy_from_slice(&bytes[at..at + BLOCK_BYTES]);
        Ok(())
    }

    fn finds_on_main(
        &mut self,
        from_end: Range<u64>,
        block: &mut Block,
        is_wanted: &dyn Fn(&Block) -> bool,
    ) -> Result<bool, Failed> {
        let blocks = (self.disks.main.len() / BLOCK_BYTES) as u64;
        let mut numbers = from_end.filter_map(|at| blocks.checked_sub(at + 1));
        Ok(numbers.any(|number| {
            let at = number as usize * BLOCK_BYTES;
            block.copy_from_slice(&self.disks.main[at..at + BLOCK_BYTES]);
            is_wanted(block)
        }))
    }

    fn write(&mut self, _: Region, _: u64, _: &Block) -> Result<(), Failed> {
        Err(Failed)
    }

    fn write_through(&mut self, _: Region, _: u64, _: &Block) -> Result<(), Failed> {
        Err(Failed)
    }

    fn flush(&mut self, _: Region) -> Result<(), Failed> {
        Err(Failed)
    }
}

/// What a target makes of the disks.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Whole(Box<(Array, Standing, Vec<Record>)>),
    Refused(String),
    Blank,
}

fn seen(disks: &Disks, mapped: u64) -> Seen {
    let geometry: Geometry = plain_geometry(mapped, SPARE_SECTORS).unwrap();
    let mut view = View { disks, mapped };
    let choice = match choose(&mut view, &mut blank_block(), &geometry.regions()) {
        Ok(choice) => choice,
        Err(Refused::Blank) => return Seen::Blank,
        Err(refused) => return Seen::Refused(refused.to_string()),
    };
    let array = choice.identity.array;
    if let Err(misfit) = array.fits(&geometry) {
        return Seen::Refused(misfit.to_string());
    }
    match Contained::chosen(&mut view, choice, &geometry) {
        Ok(read) => {
            let records = read.contents().records.collect();
            Seen::Whole(Box::new((array, read.standing, records)))
        }
        Err(error) => Seen::Refused(error.to_string()),
    }
}

/// What the tool did to a file.
enum Step {
    Write {
        name: &'static str,
        at: usize,
        bytes: Vec<u8>,
    },
    Sync {
        name: &'static str,
    },
}

impl Step {
    /// Does the first bytes of a write.
    fn part(&self, disks: &mut Disks, most: usize) {
        if let Self::Write { name, at, bytes } = self {
            let bytes = &bytes[..bytes.len().min(most)];
            disks.file(name)[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
    }
}

/// A file for each disk, and the library.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new(disks: &Disks) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let this = Self {
            folder: folder.unwrap(),
        };
        this.put(disks);
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, disks: &Disks) {
        fs::write(self.path("main"), &disks.main).unwrap();
        fs::write(self.path("spare"), &disks.spare).unwrap();
        fs::write(self.path("new"), &disks.new).unwrap();
    }

    fn get(&self) -> Disks {
        Disks {
            main: fs::read(self.path("main")).unwrap(),
            spare: fs::read(self.path("spare")).unwrap(),
            new: fs::read(self.path("new")).unwrap(),
        }
    }

    /// Runs `remapctl WORDS`; behind the first, names of disks and `dump` are files of the bench,
    /// but in `spare replace`.
    fn run(&self, words: &[&str], log: Option<&Path>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remapctl"));
        for (at, &word) in words.iter().enumerate() {
            match word {
                "main" | "spare" | "new" | "dump" if at > 0 => command.arg(self.path(word)),
                word => command.arg(word),
            };
        }
        command.env("LD_PRELOAD", library());
        if let Some(log) = log {
            command.env("LOG", log);
        }
        command.output().unwrap()
    }

    fn good(&self, words: &[&str]) -> String {
        let done = self.run(words, None);
        assert!(done.status.success(), "{words:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// Runs it and gives what it did to the files.
    fn logged(&self, words: &[&str]) -> Vec<Step> {
        let log = self.path("log");
        let done = self.run(words, Some(&log));
        assert!(done.status.success(), "{words:?}: {done:?}");
        let bytes = fs::read(&log).unwrap_or_default();
        let numbers = NAMES.map(|name| (fs::metadata(self.path(name)).unwrap().ino(), name));
        let (mut steps, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let number = |index: usize| {
                let place = at + index * 8;
                u64::from_le_bytes(bytes[place..place + 8].try_into().unwrap())
            };
            let (disk, offset, length) = (number(0), number(1), number(2) as usize);
            let (_, name) = numbers.iter().find(|(number, _)| *number == disk).unwrap();
            at += 24;
            steps.push(match offset {
                u64::MAX => Step::Sync { name },
                offset => Step::Write {
                    name,
                    at: offset as usize,
                    bytes: bytes[at..at + length].to_vec(),
                },
            });
            at += length;
        }
        steps
    }
}

/// The library, which is built once.
fn library() -> &'static Path {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/preload/log.c");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]);
        let done = command.arg(&path).arg(source).status().unwrap();
        assert!(done.success());
        (folder, path)
    });
    path
}

/// What may be seen of the disks while they are written.
struct Allowed {
    before: Disks,
    /// What is seen before and afterwards, by targets of such lengths.
    ends: Vec<(u64, Seen, Seen)>,
    /// Whether what was whole must be that all the time.
    always: bool,
}

impl Allowed {
    fn check(&self, disks: &Disks, what: &str) {
        for (mapped, first, last) in &self.ends {
            let now = seen(disks, *mapped);
            let is_fine = match &now {
                Seen::Whole(_) => now == *first || now == *last,
                Seen::Refused(_) => !self.always || !matches!(first, Seen::Whole(_)),
                Seen::Blank => *disks == self.before || *last == Seen::Blank,
            };
            assert!(is_fine, "{what}: a target of {mapped} sectors sees {now:?}");
        }
    }
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1);
        self.0 >> 33
    }
}

/// Runs a command on disks, and looks at each instant of it. At those before and after a wait the
/// command is run again, and must come to its end.
fn stopped_everywhere(before: &Disks, words: &[&str], always: bool) -> Disks {
    stopped_with(before, words, always, None)
}

fn stopped_with(before: &Disks, words: &[&str], always: bool, dump: Option<&str>) -> Disks {
    let bench = Bench::new(before);
    if let Some(dump) = dump {
        fs::write(bench.path("dump"), dump).unwrap();
    }
    let steps = bench.logged(words);
    let after = bench.get();
    let lengths = [MAIN_SECTORS, SHORT];
    let ends = lengths.map(|mapped| (mapped, seen(before, mapped), seen(&after, mapped)));
    let is_whole = |(_, _, last): &(u64, Seen, Seen)| matches!(last, Seen::Whole(_));
    assert!(ends.iter().any(is_whole), "{words:?}: {ends:?}");
    let allowed = Allowed {
        before: before.clone(),
        ends: ends.to_vec(),
        always,
    };
    let check = |disks: &Disks, what: &str| allowed.check(disks, what);
    let again = |disks: &Disks, what: &str| again(&bench, disks, words, what);
    let last = at_each_instant(before, &steps, words, check, again);
    assert!(last == after);
    after
}

/// At one of so many instants with torn or lost writes a command is run again.
const AGAIN: u64 = 8;

/// Looks at what the disks may hold at each instant of a command, and runs it again at those before
/// and after a wait, and at some with torn or lost writes; what they hold at the end.
fn at_each_instant(
    before: &Disks,
    steps: &[Step],
    words: &[&str],
    check: impl Fn(&Disks, &str),
    again: impl Fn(&Disks, &str),
) -> Disks {
    let mut dice = Dice(words.len() as u64);
    let (mut now, mut durable) = (before.clone(), before.clone());
    let mut pending: Vec<&Step> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let what = |how: &str| format!("{words:?}, step {at} of {}, {how}", steps.len());
        check(&now, &what("stopped"));
        if !pending.is_empty() {
            check(&durable, &what("only what was durable"));
            for _ in 0..3 {
                let mut some = durable.clone();
                for write in &pending {
                    let most = [0, 512, 2048, usize::MAX][dice.roll() as usize % 4];
                    write.part(&mut some, most);
                }
                check(&some, &what("some of what was not durable"));
                if dice.roll() % AGAIN == 0 {
                    again(&some, &what("run again with some of what was not durable"));
                }
            }
        }
        match step {
            Step::Write { bytes, .. } => {
                for most in [512, 1024, 3584, bytes.len() - 512] {
                    let mut torn = now.clone();
                    step.part(&mut torn, most);
                    check(&torn, &what("torn"));
                    if dice.roll() % AGAIN == 0 {
                        again(&torn, &what("run again after a torn write"));
                    }
                }
                step.part(&mut now, usize::MAX);
                pending.push(step);
            }
            Step::Sync { name } => {
                again(&now, &what("run again"));
                let of = |write: &&Step| match write {
                    Step::Write { name: other, .. } => other == name,
                    Step::Sync { .. } => false,
                };
                pending.iter().copied().filter(of).for_each(|write| {
                    write.part(&mut durable, usize::MAX);
                });
                pending.retain(|write| !of(write));
            }
        }
    }
    assert!(
        pending.is_empty(),
        "{words:?}: not all is durable at the end"
    );
    check(&now, "at the end");
    now
}

/// Runs a command again, with the force that is asked for.
fn again(bench: &Bench, disks: &Disks, words: &[&str], what: &str) {
    run_again(bench, disks, words, what);
    bench.good(&["check", "main", "spare"]);
}

/// Runs a command on disks, and once more if it asks for force, which what is torn may need; not if
/// data may be lost.
fn run_again(bench: &Bench, disks: &Disks, words: &[&str], what: &str) {
    bench.put(disks);
    let done = bench.run(words, None);
    if done.status.success() {
        return;
    }
    let said = String::from_utf8(done.stderr).unwrap();
    let hint = said.split('\'').rfind(|part| part.starts_with("--force "));
    // A torn mark is told from a damaged head by nobody.
    let is_torn = what.contains("torn") || what.contains("some of");
    let hint = hint.filter(|hint| {
        !hint.contains("stale") && !hint.contains("lost") && (is_torn || !hint.contains("unsure"))
    });
    let hint = hint.unwrap_or_else(|| panic!("{what}: {said}"));
    let given = words.iter().position(|&word| word == "--force");
    let mut words = words[..given.unwrap_or(words.len())].to_vec();
    words.extend(hint.split(' '));
    bench.good(&words);
}

/// An array with entries, which differ by `kind`, and its dump.
fn array(on_main: bool, kind: u64) -> (Disks, String) {
    let bench = Bench::new(&Disks::blank());
    let mut words = vec!["format", "main", "spare"];
    words.extend(on_main.then_some("--main-metadata"));
    bench.good(&words);
    let text = bench.good(&["dump", "main", "spare"]);
    let mut dump: serde_json::Value = serde_json::from_str(&text).unwrap();
    dump["generation"] = (70 + kind).into();
    dump["relocated"] = serde_json::json!([
        { "unit": 3, "spare": 9 + kind, "valid": "ff" },
        { "unit": 700, "spare": 0, "valid": "7f" },
    ]);
    dump["retired"] = serde_json::json!([1]);
    let text = dump.to_string();
    fs::write(bench.path("dump"), &text).unwrap();
    let uuid = dump["array"].as_str().unwrap();
    let force = ["--force", uuid, "--force", "changes"];
    bench.good(&[&["restore", "main", "spare", "dump"], &force[..]].concat());
    (bench.get(), text)
}

fn uuid(dump: &str) -> String {
    let dump: serde_json::Value = serde_json::from_str(dump).unwrap();
    dump["array"].as_str().unwrap().to_string()
}

/// The dump with other entries and an older commit.
fn changed(dump: &str) -> String {
    let mut dump: serde_json::Value = serde_json::from_str(dump).unwrap();
    dump["generation"] = 5.into();
    dump["relocated"] = serde_json::json!([{ "unit": 4, "spare": 40, "valid": "ff" }]);
    dump.to_string()
}

const FORMAT: [&str; 3] = ["format", "main", "spare"];
const ON_MAIN: [&str; 4] = ["format", "main", "spare", "--main-metadata"];

#[test]
fn format_of_blank_disks() {
    stopped_everywhere(&Disks::blank(), &FORMAT, false);
    stopped_everywhere(&Disks::blank(), &ON_MAIN, false);
}

#[test]
fn format_over_what_is_not_ours() {
    let mut disks = Disks::blank();
    disks.spare.fill(7);
    stopped_everywhere(
        &disks,
        &[&FORMAT[..], &["--force", "foreign"]].concat(),
        false,
    );
    disks.main[SHORT as usize * 512..].fill(9);
    let words = ["--force", "foreign", "--force", "main-tail"];
    stopped_everywhere(&disks, &[&ON_MAIN[..], &words].concat(), false);
}

#[test]
fn format_over_an_array() {
    let (disks, dump) = array(false, 0);
    let force = ["--force", &uuid(&dump)];
    stopped_everywhere(&disks, &[&FORMAT[..], &force].concat(), false);
    stopped_everywhere(&disks, &[&ON_MAIN[..], &force].concat(), false);
}

/// What is on main then goes too.
#[test]
fn format_over_an_array_with_copies_on_main() {
    let (disks, dump) = array(true, 0);
    let force = ["--force", &uuid(&dump)];
    stopped_everywhere(&disks, &[&ON_MAIN[..], &force].concat(), false);
    for words in [&[][..], &["--main-len", &SHORT.to_string()]] {
        let words = [&FORMAT[..], words, &force].concat();
        let after = stopped_everywhere(&disks, &words, false);
        assert!(after.main.iter().all(|&byte| byte == 0));
    }
}

/// Which of them is believed is not left to what was overwritten first.
#[test]
fn format_over_regions_of_two_arrays() {
    let ((mut disks, one), (other, two)) = (array(false, 0), array(false, 1));
    let middle = SPARE / 2;
    disks.spare[middle..].copy_from_slice(&other.spare[middle..]);
    assert!(matches!(seen(&disks, MAIN_SECTORS), Seen::Refused(_)));
    let force = ["--force", &uuid(&one), "--force", &uuid(&two)];
    stopped_everywhere(&disks, &[&FORMAT[..], &force].concat(), false);
}

#[test]
fn restore() {
    let words = ["restore", "main", "spare", "dump"];
    for on_main in [false, true] {
        let (disks, dump) = array(on_main, 0);
        let force = ["--force", &uuid(&dump), "--force", "changes"];
        let words = [&words[..], &force].concat();
        stopped_with(&disks, &words, false, Some(&changed(&dump)));
        // To another spare, and to other disks.
        let mut spare = disks.clone();
        spare.spare.fill(0);
        stopped_with(
            &spare,
            &words[..4 + 2 * usize::from(on_main)],
            false,
            Some(&dump),
        );
        stopped_with(&Disks::blank(), &words[..4], false, Some(&dump));
    }
}

/// An older state is not what is left at any instant.
#[test]
fn restore_over_regions_of_which_one_is_behind() {
    let (old, dump) = array(false, 0);
    let bench = Bench::new(&old);
    let newer = changed(&dump).replace("\"generation\":5", "\"generation\":99");
    fs::write(bench.path("dump"), &newer).unwrap();
    let uuid = uuid(&dump);
    let force = ["--force", &uuid, "--force", "changes"];
    bench.good(&[&["restore", "main", "spare", "dump"], &force[..]].concat());
    let middle = SPARE / 2;
    for is_first in [false, true] {
        let mut disks = bench.get();
        match is_first {
            true => disks.spare[..middle].copy_from_slice(&old.spare[..middle]),
            false => disks.spare[middle..].copy_from_slice(&old.spare[middle..]),
        }
        let force = ["--force", &uuid];
        let changes = ["--force", "changes"];
        let words = [&["restore", "main", "spare", "dump"], &force[..], &changes].concat();
        stopped_with(&disks, &words, false, Some(&dump));
        stopped_everywhere(&disks, &[&FORMAT[..], &force].concat(), false);
        stopped_everywhere(&disks, &["repair", "main", "spare"], true);
    }
}

#[test]
fn repair() {
    let words = ["repair", "main", "spare"];
    for on_main in [false, true] {
        let (disks, _) = array(on_main, 0);
        for at in [100, 4196, 60_000, 1 << 19, SPARE - (1 << 20) + 100] {
            let mut damaged = disks.clone();
            damaged.spare[at..at + 300].fill(0x55);
            stopped_everywhere(&damaged, &words, true);
        }
        let mut damaged = disks.clone();
        damaged.spare[..1 << 20].fill(0);
        stopped_everywhere(&damaged, &words, true);
    }
}

#[test]
fn repair_of_a_spare_without_copies() {
    let (mut disks, _) = array(true, 0);
    disks.spare.fill(0);
    for what in ["same", "replaced"] {
        let words = ["repair", "main", "spare", "--spare-is", what];
        stopped_everywhere(&disks, &words, false);
    }
}

/// Of two histories the one that is named, or none.
#[test]
fn repair_by_the_history_that_is_named() {
    let (one, dump) = array(false, 0);
    let bench = Bench::new(&one);
    let other = changed(&dump).replace("\"generation\":5", "\"generation\":70");
    fs::write(bench.path("dump"), &other).unwrap();
    let uuid = uuid(&dump);
    let force = ["--force", &uuid, "--force", "changes"];
    bench.good(&[&["restore", "main", "spare", "dump"], &force[..]].concat());
    let mut disks = bench.get();
    disks.spare[..SPARE / 2].copy_from_slice(&one.spare[..SPARE / 2]);
    assert!(matches!(seen(&disks, MAIN_SECTORS), Seen::Refused(_)));
    for (believed, from) in [("spare-first", &one), ("spare-last", &bench.get())] {
        let words = ["repair", "main", "spare", "--believe", believed];
        let after = stopped_everywhere(&disks, &words, false);
        assert_eq!(seen(&after, MAIN_SECTORS), seen(from, MAIN_SECTORS));
    }
}

const REPLACE: [&str; 6] = ["spare", "replace", "main", "spare", "--with", "new"];

/// An array whose units hold data, with a unit of which one block was lost.
fn array_with_data() -> Disks {
    let (mut disks, _) = array(false, 0);
    let geometry = plain_geometry(MAIN_SECTORS, SPARE_SECTORS).unwrap();
    for (number, byte) in [(9, 0x91), (0, 0x92)] {
        let at = geometry.on_spare(SpareUnit(number), 0) as usize * 512;
        disks.spare[at..at + 4096].fill(byte);
    }
    disks
}

/// What the array of the disks holds in its relocated units.
fn data(disks: &Disks) -> Vec<(Unit, Blocks, Vec<u8>)> {
    let Seen::Whole(read) = seen(disks, MAIN_SECTORS) else {
        panic!("no array");
    };
    let geometry = plain_geometry(MAIN_SECTORS, SPARE_SECTORS).unwrap();
    let units = read.2.iter().filter_map(|record| match *record {
        Record::Relocated { unit, spare, valid } => {
            let bytes = valid.runs().flat_map(|run| {
                let sectors = geometry.sectors_at(unit, run);
                let at = geometry.on_spare(spare, sectors.start) as usize * 512;
                let length = (sectors.end - sectors.start) as usize * 512;
                disks.spare[at..at + length].to_vec()
            });
            Some((unit, valid, bytes.collect()))
        }
        _ => None,
    });
    units.collect()
}

/// At no instant both spares hold the array, nor one of them other data; and whenever it is
/// stopped, the same command comes to its end.
fn replaced_everywhere(before: &Disks, force: &[&str]) {
    let words = [&REPLACE[..], force].concat();
    let bench = Bench::new(before);
    let steps = bench.logged(&words);
    let after = bench.get();
    let (want, old) = (data(before), seen(before, MAIN_SECTORS));
    assert_eq!(data(&after.renewed()), want);
    assert_eq!(seen(&after, MAIN_SECTORS), Seen::Blank);
    let ends = [&before.renewed(), &after.renewed()].map(|disks| seen(disks, MAIN_SECTORS));
    let check = |disks: &Disks, what: &str| {
        assert!(disks.main == before.main, "{what}: main was written");
        let [spare, new] = [disks, &disks.renewed()].map(|disks| seen(disks, MAIN_SECTORS));
        let is_old = spare == old;
        assert!(
            is_old || !matches!(spare, Seen::Whole(_)),
            "{what}: {spare:?}"
        );
        match &new {
            Seen::Whole(_) if new == ends[1] => assert!(!is_old, "{what}: both hold it"),
            Seen::Whole(_) => assert!(is_old && new == ends[0], "{what}: {new:?}"),
            Seen::Refused(_) | Seen::Blank => {}
        }
    };
    let again = |disks: &Disks, what: &str| {
        run_again(&bench, disks, &words, what);
        let now = bench.get();
        assert_eq!(data(&now.renewed()), want, "{what}");
        assert_eq!(seen(&now, MAIN_SECTORS), Seen::Blank, "{what}");
    };
    let last = at_each_instant(before, &steps, &words, check, again);
    assert!(last == after);
}

#[test]
fn replace_the_spare() {
    let mut disks = array_with_data();
    replaced_everywhere(&disks, &[]);
    disks.new.fill(7);
    replaced_everywhere(&disks, &["--force", "foreign"]);
}

/// What the new device held is whole until it is overwritten, and no mixture is seen.
#[test]
fn replace_the_spare_by_that_of_another_array() {
    let mut disks = array_with_data();
    let (other, dump) = array(false, 1);
    disks.new = other.spare;
    replaced_everywhere(&disks, &["--force", &uuid(&dump)]);
}

/// The disks when the copy is complete, and when the old spare was given up, and nothing more.
fn copied_and_given_up(before: &Disks) -> (Disks, Disks) {
    let steps = Bench::new(before).logged(&REPLACE);
    let is_of = |step: &Step, own: &str| matches!(step, Step::Write { name, .. } if *name == own);
    let copied = steps.iter().position(|step| is_of(step, "spare")).unwrap();
    let taken = steps
        .iter()
        .skip(copied)
        .position(|step| is_of(step, "new"))
        .unwrap()
        + copied;
    let [copied, given_up] = [copied, taken].map(|count| {
        let mut disks = before.clone();
        steps[..count]
            .iter()
            .for_each(|step| step.part(&mut disks, usize::MAX));
        disks
    });
    (copied, given_up)
}

/// What may be older than the array was at last is not taken for it.
#[test]
fn replace_the_spare_by_a_copy_of_unknown_age() {
    let before = array_with_data();
    let (copied, given_up) = copied_and_given_up(&before);
    let (other, _) = copied_and_given_up(&before);
    let bench = Bench::new(&Disks {
        new: other.new,
        ..given_up.clone()
    });
    let refused = |bench: &Bench, want: &str| {
        let (done, disks) = (bench.run(&REPLACE, None), bench.get().new);
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.contains(want), "{said}");
        let new = Disks {
            spare: disks,
            ..before.clone()
        };
        assert!(
            !matches!(seen(&new, MAIN_SECTORS), Seen::Whole(_)),
            "{said}"
        );
    };
    refused(&bench, "was given up for another device than");
    bench.put(&given_up);
    bench.good(&REPLACE);
    // The old spare is nowhere.
    let blank = Disks {
        spare: vec![0; SPARE],
        ..copied
    };
    bench.put(&blank);
    refused(&bench, "'--force stale' makes");
    bench.good(&[&REPLACE[..], &["--force", "stale"]].concat());
    assert_eq!(data(&bench.get().renewed()), data(&before));
}

/// A copy of the newest state is not overwritten with an older one.
#[test]
fn replace_a_spare_of_an_older_state() {
    let (before, dump) = array(false, 0);
    let (copied, _) = copied_and_given_up(&before);
    let bench = Bench::new(&before);
    fs::write(bench.path("dump"), changed(&dump)).unwrap();
    let uuid = uuid(&dump);
    let force = ["--force", &uuid, "--force", "changes"];
    bench.good(&[&["restore", "main", "spare", "dump"], &force[..]].concat());
    let disks = Disks {
        spare: bench.get().spare,
        ..copied
    };
    bench.put(&disks);
    for force in [&[][..], &["--force", "unfinished", "--force", &uuid]] {
        let done = bench.run(&[&REPLACE[..], force].concat(), None);
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.contains("is not what was copied last"), "{said}");
        assert!(bench.get() == disks);
    }
}

/// Once the old spare has given the array up, what is left of the copy is enough.
#[test]
fn replace_the_spare_by_a_copy_that_was_damaged() {
    let before = array_with_data();
    let (copied, given_up) = copied_and_given_up(&before);
    for at in [100, 4196, 60_000, 1 << 19, SPARE - (1 << 20) + 100] {
        let damage = |disks: &Disks| {
            let mut damaged = disks.clone();
            damaged.new[at..at + 300].fill(0x55);
            damaged
        };
        let bench = Bench::new(&damage(&given_up));
        bench.good(&REPLACE);
        assert_eq!(data(&bench.get().renewed()), data(&before), "{at}");
        assert_eq!(seen(&bench.get(), MAIN_SECTORS), Seen::Blank, "{at}");
        // Before, it is copied anew.
        run_again(&bench, &damage(&copied), &REPLACE, "torn");
        assert_eq!(data(&bench.get().renewed()), data(&before), "{at}");
    }
    // The region that is read stays, whatever else is wrong with it.
    let regions = Regions::for_spare(SPARE_SECTORS);
    let last = regions.last_start(SPARE_SECTORS).unwrap() as usize * 512;
    let mut disks = given_up;
    for at in [0, last].map(|start| start + regions.log(1) as usize * BLOCK_BYTES + 100) {
        disks.new[at..at + 300].fill(0x55);
    }
    let bench = Bench::new(&disks);
    bench.good(&REPLACE);
    assert_eq!(data(&bench.get().renewed()), data(&before));
}

/// A spare that was given up names what took its place, and that is not an older spare.
#[test]
fn replace_by_a_spare_that_came_back() {
    let before = array_with_data();
    let (_, given_up) = copied_and_given_up(&before);
    let disks = Disks {
        new: before.spare.clone(),
        ..given_up
    };
    let bench = Bench::new(&disks);
    let done = bench.run(&REPLACE, None);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("was given up for another device"), "{said}");
    assert!(bench.get() == disks);
}
