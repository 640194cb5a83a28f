// SPDX-License-Identifier: GPL-2.0

//! The mapped devices of an array whose data move to a new disk.
//!
//! ===============  ============  ===========================================================
//! device           target        what it is
//! ===============  ============  ===========================================================
//! ``NAME``         linear        what users have open; stands on ``NAME-copy``
//! ``NAME-copy``    clone         all data, of which more and more are on the new disk
//! ``NAME-source``  linear, zero  the data as the array has them; what is lost is zeroes
//! ``NAME-state``   linear        the record of what is on the new disk
//! ===============  ============  ===========================================================
//!
//! dm-clone writes to the new disk only, and before it answers a flush, its record is durable: so
//! the array stays as it was, and the copy goes on after a crash. dm-mirror would write to both,
//! and takes a write for done that fails on the array alone (`do_failures` in
//! `drivers/md/dm-raid1.c`), and after one failed read it reads nothing any more that is not copied
//! yet (`do_reads`).

mod layout;
mod source;

pub use self::{
    layout::{
        Layout,
        AT_ONCE, //
    },
    source::{
        source,
        with_zeroes, //
    }, //
};

use self::layout::PAGE;
use crate::device::{
    Access,
    Device, //
};
use crate::mapped::{
    self,
    create,
    deactivate,
    replace,
    PIECE_PREFIX, //
};
use crate::probe;
use crate::remaptab::{
    Entry,
    To, //
};
use crate::sysfs::BlockDevice;
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_active::mapper::{
    self,
    Mapper,
    Suspend, //
};
use remap_active::table::Line;
use remap_core::metadata::uuid::Uuid;
use std::path::{
    Path,
    PathBuf, //
};

/// How many copies of [`AT_ONCE`] sectors are under way.
const UNDER_WAY: u64 = 4;
/// The target that copies.
pub const CLONE: &str = "clone";
/// The attribute with how much can be discarded at a time.
const DISCARD: &str = "queue/discard_max_bytes";
/// A page in bytes.
const PAGE_BYTES: usize = (PAGE << 9) as usize;
/// What the page before dm-clone's metadata begins with; the UUIDs of the array and of the copy
/// follow.
const STAMP: &str = "dm-remap copy of array ";
/// Where dm-clone's metadata say what they are (`struct superblock_disk` in
/// `drivers/md/dm-clone-metadata.c`).
const AT_MAGIC: usize = 32;
const MAGIC: u64 = 0x8af2_7f64;

/// A device below an array's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The data, wherever they are.
    Copy,
    /// The data as the array has them.
    Source,
    /// The record of what is copied.
    State,
}

impl Piece {
    /// From the one that stands on the others on.
    const ALL: [Self; 3] = [Self::Copy, Self::Source, Self::State];

    /// Its name behind that of the array.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Copy => "-copy",
            Self::Source => "-source",
            Self::State => "-state",
        }
    }

    /// The name of the mapped device.
    pub fn of(self, name: &str) -> String {
        format!("{name}{}", self.suffix())
    }

    /// Its node.
    pub fn path(self, name: &str) -> PathBuf {
        mapped::path(&self.of(name))
    }
}

/// The longest name behind that of an array.
pub const LONGEST_SUFFIX: usize = Piece::Source.suffix().len();

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many regions are on the new disk.
    pub done: u64,
    /// How many there are.
    pub all: u64,
}

impl Progress {
    /// Reads the status of dm-clone.
    fn parse(words: &str) -> Result<Self> {
        let wrong = || format!("dm-clone answers '{words}'");
        let words: Vec<_> = words.split_whitespace().collect();
        if words.last() != Some(&"rw") {
            bail!("{}: it cannot write its state", wrong());
        }
        let parts = words.get(3).and_then(|text| text.split_once('/'));
        let parsed = parts.and_then(|(done, all)| Some((done.parse().ok()?, all.parse().ok()?)));
        let (done, all) = parsed.with_context(wrong)?;
        Ok(Self { done, all })
    }
}

/// How far the copy of an array is; `None` if there is none under way.
pub fn progress(mapper: &Mapper, name: &str) -> Result<Option<Progress>> {
    let copy = Piece::Copy.of(name);
    if !mapper.names()?.contains(&copy) {
        return Ok(None);
    }
    let status = mapper.status(&copy)?;
    match &status[..] {
        [line] if line.kind == CLONE => Progress::parse(&line.words).map(Some),
        _ => Ok(None),
    }
}

/// Removes the devices below an array's, as far as they are there; devices of those names that are
/// none are an error, unless it is not known which array that is.
pub fn lower(mapper: &Mapper, name: &str, array: Option<&Uuid>) -> Result<()> {
    lower_each(mapper, name, array, &Piece::ALL)
}

/// The same for some of them, from the one that stands on the others on.
fn lower_each(mapper: &Mapper, name: &str, array: Option<&Uuid>, pieces: &[Piece]) -> Result<()> {
    let names = mapper.names()?;
    for piece in pieces.iter().map(|piece| piece.of(name)) {
        if !names.contains(&piece) {
            continue;
        }
        let uuid = mapper.info(&piece)?.uuid;
        match array {
            None if !uuid.starts_with(PIECE_PREFIX) => continue,
            Some(array) if uuid != piece_uuid(array, &piece, name) => {
                bail!("'{piece}' is another mapped device ({uuid})")
            }
            _ => deactivate(mapper, &piece)?,
        }
    }
    Ok(())
}

/// The UUID of a device below an array's.
fn piece_uuid(array: &Uuid, piece: &str, name: &str) -> String {
    format!("{PIECE_PREFIX}{array}{}", &piece[name.len()..])
}

/// A table of one line.
fn line(sectors: u64, kind: &str, words: String) -> Vec<Line> {
    vec![Line {
        start: 0,
        sectors,
        kind: kind.into(),
        words,
    }]
}

/// The copy of an array on a new disk.
pub struct Moving<'a> {
    /// Device-mapper.
    pub mapper: &'a Mapper,
    /// The name of the array.
    pub name: String,
    /// The array.
    pub array: Uuid,
    /// How long everything is.
    pub layout: Layout,
    /// The new disk.
    pub new: PathBuf,
    /// The device with the state, and its first sector there.
    pub state: (PathBuf, u64),
    /// What tells this copy from others of the array.
    pub id: Uuid,
    /// The new disk's number.
    pub number: u64,
}

impl<'a> Moving<'a> {
    /// The copy of so many sectors that the table has for an array; `None` if one of its devices is
    /// not there.
    pub fn of(mapper: &'a Mapper, entry: &Entry, to: &To, sectors: u64) -> Result<Option<Self>> {
        let Some(new) = probe::find(&to.disk, entry, "the new disk")? else {
            return Ok(None);
        };
        let state = match &to.state {
            None => None,
            Some(state) => match probe::find(state, entry, "the state of the copy")? {
                None => return Ok(None),
                found => found,
            },
        };
        let layout = Layout::of(sectors);
        Ok(Some(Self {
            mapper,
            name: entry.name.clone(),
            array: entry.array,
            layout,
            state: layout.state_on(&new, state.as_ref())?,
            id: to.id,
            number: new.number,
            new: new.path,
        }))
    }

    /// The kind of the target that the copy has: another than dm-clone while that is given up.
    pub fn kind(&self) -> Result<String> {
        let table = self.mapper.table(&Piece::Copy.of(&self.name))?;
        let kinds = table.into_iter().map(|line| line.kind);
        Ok(kinds.last().unwrap_or_default())
    }

    /// Makes the devices: a new copy, which is suspended, so that what comes to it waits. Its
    /// source has nothing yet.
    pub fn prepare(&self) -> Result<()> {
        lower(self.mapper, &self.name, Some(&self.array))?;
        self.stamp_state()?;
        self.make(Piece::State, &self.state_table())?;
        self.make(Piece::Source, &self.nothing())?;
        self.make(Piece::Copy, &self.copy_table("1 no_hydration"))?;
        self.allow_no_discards()?;
        self.check_state()?;
        let copy = Piece::Copy.of(&self.name);
        self.mapper.suspend(&copy, Suspend::NoFlush)
    }

    /// Has what waits on the copy go on; nothing is copied in the background yet. What was written
    /// from now on is on the new disk only, so this cannot be taken back.
    pub fn begin(&self) -> Result<()> {
        self.mapper.resume(&Piece::Copy.of(&self.name))
    }

    /// Whether requests go through the copy.
    pub fn is_live(&self) -> Result<bool> {
        let copy = Piece::Copy.of(&self.name);
        Ok(self.kind()? == CLONE && !self.mapper.info(&copy)?.is_suspended)
    }

    /// Has all be copied in the background.
    pub fn copy_all(&self) -> Result<()> {
        self.tell("enable_hydration")
    }

    /// Has each region be copied by itself, so that one that cannot be read keeps no others.
    pub fn copy_singly(&self) -> Result<()> {
        self.tell("hydration_batch_size 1")
    }

    fn tell(&self, message: &str) -> Result<()> {
        let copy = Piece::Copy.of(&self.name);
        self.mapper.message(&copy, 0, message).map(drop)
    }

    /// Makes all that was written to the copy durable, and its state.
    pub fn flush(&self) -> Result<()> {
        let copy = Piece::Copy.path(&self.name);
        let flushed = Device::open(&copy, Access::Read)?.sync();
        flushed.with_context(|| format!("flushing {}", copy.display()))
    }

    /// Allows no discards: dm-clone takes what is discarded for copied, while an older copy of it
    /// may be under way, which would come over what is written next.
    fn allow_no_discards(&self) -> Result<()> {
        let device = BlockDevice::at(&Piece::Copy.path(&self.name))?;
        match device.attribute(DISCARD).as_deref() {
            None | Some("0") => Ok(()),
            Some(_) => device.set(DISCARD, "0"),
        }
    }

    /// Makes the devices of a copy that was begun once.
    pub fn raise(&self, source: &[Line]) -> Result<()> {
        self.check_state()?;
        self.make(Piece::State, &self.state_table())?;
        self.make(Piece::Source, source)?;
        self.make(Piece::Copy, &self.copy_table("0"))?;
        self.allow_no_discards()
    }

    /// Removes them.
    pub fn lower(&self) -> Result<()> {
        lower(self.mapper, &self.name, Some(&self.array))
    }

    /// Removes the copy, on which nothing stands any more, and its source; the state stays.
    pub fn lower_copy(&self) -> Result<()> {
        let pieces = [Piece::Copy, Piece::Source];
        lower_each(self.mapper, &self.name, Some(&self.array), &pieces)
    }

    /// Has the state say nothing, and removes it, if it is there.
    pub fn drop_state(&self) -> Result<()> {
        if self.mapper.names()?.contains(&Piece::State.of(&self.name)) {
            let path = Piece::State.path(&self.name);
            let device = Device::open(&path, Access::Write)?;
            let cleared = device
                .write(0, &[0; PAGE_BYTES])
                .and_then(|()| device.sync());
            cleared.with_context(|| format!("clearing {}", path.display()))?;
        }
        self.lower()
    }

    /// Loads another table of the source.
    pub fn set_source(&self, table: &[Line]) -> Result<()> {
        replace(self.mapper, &Piece::Source.of(&self.name), table)
    }

    /// A table that has no data.
    pub fn nothing(&self) -> Vec<Line> {
        line(self.layout.sectors, "error", String::new())
    }

    /// Has the source go on, if its replacement was stopped.
    pub fn resume_source(&self) -> Result<()> {
        let source = Piece::Source.of(&self.name);
        if self.mapper.info(&source)?.is_suspended {
            self.mapper.clear(&source)?;
            self.mapper.resume(&source)?;
        }
        Ok(())
    }

    /// The table of the array's own device.
    pub fn top(&self) -> Vec<Line> {
        self.all_of(&Piece::Copy.path(&self.name))
    }

    /// The table of that device when all is on the new disk.
    pub fn last(&self) -> Vec<Line> {
        self.all_of(&self.new)
    }

    /// A table of the data, which are on a device from its beginning on.
    fn all_of(&self, device: &Path) -> Vec<Line> {
        let words = format!("{} 0", device.display());
        line(self.layout.sectors, "linear", words)
    }

    /// What the page before dm-clone's metadata says: which copy of which array it is.
    fn stamp(&self) -> [u8; PAGE_BYTES] {
        let text = format!("{STAMP}{}, {}\n", self.array, self.id);
        let mut page = [0; PAGE_BYTES];
        page[..text.len()].copy_from_slice(text.as_bytes());
        page
    }

    /// Has the state be one of this array, of a copy that is to begin.
    fn stamp_state(&self) -> Result<()> {
        let (path, start) = &self.state;
        let stamped = || {
            let device = Device::open(path, Access::Write)?;
            device.write(*start, &self.stamp())?;
            device.write(start + PAGE, &[0; PAGE_BYTES])?;
            anyhow::Ok(device.sync()?)
        };
        stamped().with_context(|| format!("writing {}", path.display()))
    }

    /// Fails unless there is a state of a copy of this array: without it dm-clone would begin anew,
    /// over what is newer.
    fn check_state(&self) -> Result<()> {
        let (path, start) = &self.state;
        let (mut stamp, mut page) = ([0; PAGE_BYTES], [0; PAGE_BYTES]);
        let device = Device::open(path, Access::Read)?;
        let read = device
            .read(*start, &mut stamp)
            .and_then(|()| device.read(start + PAGE, &mut page));
        read.with_context(|| format!("reading {}", path.display()))?;
        let magic = page.get(AT_MAGIC..AT_MAGIC + 8);
        match stamp == self.stamp() && magic == Some(MAGIC.to_le_bytes().as_slice()) {
            true => Ok(()),
            false => bail!(
                "{} has no state of a copy of the array, so nobody knows what is on {}",
                path.display(),
                self.new.display()
            ),
        }
    }

    fn state_table(&self) -> Vec<Line> {
        let (path, start) = &self.state;
        let words = format!("{} {}", path.display(), start + PAGE);
        line(self.layout.state - PAGE, "linear", words)
    }

    fn copy_table(&self, features: &str) -> Vec<Line> {
        let [source, state] = [Piece::Source, Piece::State].map(|piece| piece.path(&self.name));
        let Layout {
            sectors, region, ..
        } = self.layout;
        let batch = (AT_ONCE / region).max(1);
        let words = format!(
            "{} {} {} {region} {features} 4 hydration_threshold {} hydration_batch_size {batch}",
            state.display(),
            self.new.display(),
            source.display(),
            batch * UNDER_WAY,
        );
        line(sectors, CLONE, words)
    }

    fn make(&self, piece: Piece, table: &[Line]) -> Result<()> {
        let piece = piece.of(&self.name);
        let uuid = piece_uuid(&self.array, &piece, &self.name);
        create(
            self.mapper,
            &piece,
            Some(&uuid),
            table,
            mapper::Access::Write,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_and_a_state_that_fails_is_told() {
        let status = "8 30/1536 8 100/16384 4 0 4 hydration_threshold 1024 \
                      hydration_batch_size 256 rw";
        let all = Progress {
            done: 100,
            all: 16_384,
        };
        assert_eq!(Progress::parse(status).unwrap(), all);
        for bad in [
            "Fail",
            "8 30/1536 8 100/16384 4 0 0 ro",
            "8 30/1536 8 x/2 rw",
        ] {
            assert!(Progress::parse(bad).is_err(), "{bad}");
        }
    }
}
