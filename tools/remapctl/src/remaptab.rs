// SPDX-License-Identifier: GPL-2.0

//! `/etc/remaptab`: which arrays there are, one line an array, as crypttab(5) is. See remaptab(5).

use crate::cli;
use crate::identity::Identity;
use crate::lock::Lock;
use crate::sysfs::BlockDevice;
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_core::breaker::{
    Budget,
    Limit, //
};
use remap_core::metadata::uuid::Uuid;
use remap_core::table::{
    Features,
    Policy,
    MOST_RATE, //
};
use std::fmt;
use std::fs::{
    self,
    File, //
};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{
    Path,
    PathBuf, //
};
use std::str::FromStr;

/// Where it is.
pub const PATH: &str = "/etc/remaptab";
/// The longest name of an array.
pub const MOST_NAME: usize = 127;

/// What stands between the parts of an identity in the value of an option.
const BETWEEN: &str = ";";

/// How main is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Main {
    /// By what it says of itself.
    Identity(Identity),
    /// By a path, where it says nothing that tells it from others.
    Path(PathBuf),
}

impl Main {
    /// How a device is to be found again: by what it says of itself, if no other device says the
    /// same.
    pub fn of(device: &BlockDevice) -> Result<Self> {
        let identity = Identity::of(device)?;
        let path = device.path.display();
        if !identity.is_telling() {
            let text = device.path.to_str();
            let is_word =
                |text: &str| !text.contains(|c: char| c.is_whitespace() || ",;".contains(c));
            return match text.is_some_and(is_word) {
                true => Ok(Self::Path(device.path.clone())),
                false => bail!("{path}: no path for remaptab(5)"),
            };
        }
        for other in BlockDevice::all()? {
            let is_other = other.number != device.number;
            if is_other && Identity::of(&other).is_ok_and(|found| identity.is_of(&found)) {
                let other = other.path.display();
                bail!("{path} and {other} say the same of themselves: is one a path to the other?");
            }
        }
        Ok(Self::Identity(identity))
    }

    /// Reads it.
    fn parse(text: &str) -> Result<Self> {
        Ok(match text.starts_with('/') {
            true => Self::Path(text.into()),
            false => Self::Identity(text.parse()?),
        })
    }

    /// Reads it where it is the value of an option, between which there are commas.
    fn parse_value(text: &str) -> Result<Self> {
        Self::parse(&text.replace(BETWEEN, ","))
    }

    /// As the value of an option.
    fn value(&self) -> String {
        self.to_string().replace(',', BETWEEN)
    }
}

impl fmt::Display for Main {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(identity) => identity.fmt(out),
            Self::Path(path) => path.display().fmt(out),
        }
    }
}

/// Where the data of an array move to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct To {
    /// The new disk.
    pub disk: Main,
    /// The device with the state of the copy; it is at the end of the new disk if there is none.
    pub state: Option<Main>,
    /// What tells the copy from others of the array.
    pub id: Uuid,
}

impl To {
    /// The devices.
    pub fn devices(&self) -> impl Iterator<Item = &Main> {
        std::iter::once(&self.disk).chain(&self.state)
    }
}

/// What is done where the spare does not come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingSpare {
    /// Nothing is activated.
    #[default]
    Refuse,
    /// What was not relocated can be read, if copies of the metadata on main tell what that is.
    ReadOnly,
}

impl MissingSpare {
    const NAMES: [(Self, &'static str); 2] =
        [(Self::Refuse, "refuse"), (Self::ReadOnly, "read-only")];

    /// Reads its name.
    pub fn parse(text: &str) -> Result<Self> {
        let found = Self::NAMES.iter().find(|(_, name)| *name == text);
        let found = found.map(|&(policy, _)| policy);
        found.with_context(|| format!("'{text}': want refuse or read-only"))
    }
}

impl fmt::Display for MissingSpare {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::NAMES.iter().find(|(policy, _)| policy == self);
        out.write_str(found.map_or("", |(_, name)| name))
    }
}

/// One array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name of the mapped device.
    pub name: String,
    /// The main device.
    pub main: Main,
    /// The array's UUID, by which its spare is found.
    pub array: Uuid,
    /// The first sector of the target on main.
    pub main_start: u64,
    /// The first sector of the spare area.
    pub spare_start: u64,
    /// The length of the spare area; all that is left if not given.
    pub spare_len: Option<u64>,
    /// What is done where the spare does not come.
    pub missing_spare: MissingSpare,
    /// Whether it is activated by itself.
    pub auto: bool,
    /// Where its data move to.
    pub to: Option<To>,
    /// Its data are on another disk, and its devices only are to be hidden.
    pub is_moved: bool,
    /// What is in its table line.
    pub features: Features,
}

impl Entry {
    /// An array over whole devices.
    pub fn new(name: &str, main: Main, array: Uuid) -> Self {
        Self {
            name: name.into(),
            main,
            array,
            main_start: 0,
            spare_start: 0,
            spare_len: None,
            missing_spare: MissingSpare::Refuse,
            auto: true,
            to: None,
            is_moved: false,
            features: Features::default(),
        }
    }

    /// Whether it becomes active when its devices come.
    pub fn is_activated(&self) -> bool {
        self.auto && !self.is_moved
    }

    /// Its devices, as commands name them.
    pub fn devices(&self, main: PathBuf, spare: PathBuf) -> cli::Devices {
        cli::Devices {
            main,
            spare,
            main_start: self.main_start,
            spare_start: self.spare_start,
            spare_len: self.spare_len,
        }
    }

    /// The options that are not what they are without a word.
    fn options(&self) -> Vec<String> {
        let features = &self.features;
        let mut all = Vec::new();
        let mut note = |name: &str, value: Option<String>| {
            all.extend(value.map(|value| format!("{name}={value}")));
        };
        let text = |number: u64| Some(number.to_string());
        note(
            "main-start",
            text(self.main_start).filter(|_| self.main_start > 0),
        );
        note(
            "spare-start",
            text(self.spare_start).filter(|_| self.spare_start > 0),
        );
        note("spare-len", self.spare_len.and_then(text));
        note("missing-spare", Some(self.missing_spare.to_string()));
        let breaker = features
            .breaker
            .map(|it| format!("{}/{}", it.units, it.seconds));
        note("breaker", breaker);
        note("breaker-day", features.breaker_day.and_then(text));
        note("policy", features.policy.map(|it| it.name().to_string()));
        note("queue-if-no-spare", features.patience.and_then(text));
        note("scan-interval", features.scan_interval.and_then(text));
        note("scan-rate", features.scan_rate.and_then(text));
        if features.proactive == Some(false) {
            all.push("not-proactive".into());
        }
        if !self.auto {
            all.push("noauto".into());
        }
        if let Some(to) = &self.to {
            all.push(format!("to={}", to.disk.value()));
            all.push(format!("to-id={}", to.id));
            let state = to.state.as_ref();
            all.extend(state.map(|state| format!("to-state={}", state.value())));
        }
        if self.is_moved {
            all.push("moved".into());
        }
        all
    }

    /// Takes one option.
    fn take(&mut self, option: &str) -> Result<()> {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        match (name, value) {
            ("noauto", None) => self.auto = false,
            ("moved", None) => self.is_moved = true,
            ("to", Some(value)) => {
                let disk = Main::parse_value(value)?;
                self.to = Some(To {
                    disk,
                    state: None,
                    id: Uuid::NIL,
                });
            }
            ("to-id", Some(value)) => {
                let to = self.to.as_mut().context("'to' must come before")?;
                let id = Uuid::parse(value).filter(|id| *id != Uuid::NIL);
                to.id = id.with_context(|| format!("'{value}' is no UUID"))?;
            }
            ("to-state", Some(value)) => {
                let to = self.to.as_mut().context("'to' must come before")?;
                to.state = Some(Main::parse_value(value)?);
            }
            ("not-proactive", None) => self.features.proactive = Some(false),
            ("main-start", Some(value)) => self.main_start = number(value, u64::MAX)?,
            ("spare-start", Some(value)) => self.spare_start = number(value, u64::MAX)?,
            ("spare-len", Some(value)) => self.spare_len = Some(number(value, u64::MAX)?),
            ("missing-spare", Some(value)) => self.missing_spare = MissingSpare::parse(value)?,
            ("breaker", Some(value)) => self.features.breaker = Some(limit(value)?),
            ("breaker-day", Some(value)) => {
                self.features.breaker_day = Some(number(value, Budget::MOST)?);
            }
            ("policy", Some(value)) => {
                let policy = Policy::parse(value);
                let policy = policy.map_err(|_| anyhow::anyhow!("'{value}': want main or spare"));
                self.features.policy = Some(policy?);
            }
            ("queue-if-no-spare", Some(value)) => {
                self.features.patience = Some(positive(value, 86_400)?);
            }
            ("scan-interval", Some(value)) => {
                self.features.scan_interval = Some(positive(value, 31_536_000)?);
            }
            ("scan-rate", Some(value)) => {
                self.features.scan_rate = Some(positive(value, MOST_RATE)?);
            }
            _ => bail!("there is no such option"),
        }
        Ok(())
    }
}

/// A number of at most that.
fn number(text: &str, most: u64) -> Result<u64> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.then(|| text.parse().ok()).flatten();
    let number = number.filter(|&number| number <= most);
    number.with_context(|| format!("'{text}' is no number up to {most}"))
}

/// A number from 1 to that.
fn positive(text: &str, most: u64) -> Result<u64> {
    match number(text, most)? {
        0 => bail!("0 is no number from 1 to {most}"),
        some => Ok(some),
    }
}

fn limit(text: &str) -> Result<Limit> {
    let numbers = text.split_once('/');
    let numbers = numbers.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let limit = numbers.and_then(|(units, seconds)| Limit::new(units, seconds));
    limit.with_context(|| format!("'{text}': want UNITS/SECONDS, like 32/10"))
}

/// Checks the name of an array, which is also that of instances of systemd's units.
pub fn check_name(name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ":_.-".contains(c);
    let is_good = (1..=MOST_NAME).contains(&name.len())
        && name.chars().all(is_plain)
        && !name.starts_with(['-', '.'])
        && name != "control";
    match is_good {
        true => Ok(()),
        false => bail!(
            "'{name}' is no name for an array: at most {MOST_NAME} letters, digits and ':_.-', \
             of which '-' and '.' do not come first, and not 'control'"
        ),
    }
}

impl FromStr for Entry {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (fields, options) = match fields[..] {
            [name, main, array] => ([name, main, array], "-"),
            [name, main, array, options] => ([name, main, array], options),
            _ => bail!("want '<name> <main> <array> [<options>]'"),
        };
        let [name, main, array] = fields;
        check_name(name)?;
        let main = Main::parse(main)?;
        let array = Uuid::parse(array).filter(|uuid| *uuid != Uuid::NIL);
        let array = array.with_context(|| format!("'{}' is no UUID of an array", fields[2]))?;
        let mut this = Self::new(name, main, array);
        let mut seen = Vec::new();
        for option in options.split(',').filter(|_| options != "-") {
            this.take(option)
                .with_context(|| format!("option '{option}'"))?;
            let name = option.split('=').next().unwrap_or_default();
            if seen.contains(&name) {
                bail!("option '{name}' twice");
            }
            seen.push(name);
        }
        if this.to.as_ref().is_some_and(|to| to.id == Uuid::NIL) {
            bail!("option 'to' without 'to-id'");
        }
        Ok(this)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options().join(",");
        write!(out, "{} {} {} {options}", self.name, self.main, self.array)
    }
}

/// The table, with its comments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remaptab {
    lines: Vec<Line>,
}

/// A line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// A comment, or nothing.
    Comment(String),
    /// An array.
    Entry(Box<Entry>),
}

impl FromStr for Remaptab {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut this = Self::default();
        for (at, line) in text.lines().enumerate() {
            let is_comment = line.trim().is_empty() || line.trim_start().starts_with('#');
            let line = match is_comment {
                true => Line::Comment(line.to_string()),
                false => {
                    let entry: Result<Entry> = line.parse();
                    let entry = entry.and_then(|entry| this.check_new(&entry).map(|()| entry));
                    Line::Entry(Box::new(entry.with_context(|| format!("line {}", at + 1))?))
                }
            };
            this.lines.push(line);
        }
        Ok(this)
    }
}

impl fmt::Display for Remaptab {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| match line {
            Line::Comment(text) => writeln!(out, "{text}"),
            Line::Entry(entry) => writeln!(out, "{entry}"),
        })
    }
}

impl Remaptab {
    /// Reads the table; an empty one if there is no such file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.with_context(|| path.display().to_string())?,
        };
        text.parse().with_context(|| path.display().to_string())
    }

    /// The arrays.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lines.iter().filter_map(|line| match line {
            Line::Entry(entry) => Some(entry.as_ref()),
            Line::Comment(_) => None,
        })
    }

    /// The array of that name.
    pub fn named(&self, name: &str) -> Option<&Entry> {
        self.entries().find(|entry| entry.name == name)
    }

    /// The array of that name, to be changed.
    pub fn named_mut(&mut self, name: &str) -> Option<&mut Entry> {
        let entries = self.lines.iter_mut().filter_map(|line| match line {
            Line::Entry(entry) => Some(entry.as_mut()),
            Line::Comment(_) => None,
        });
        entries.into_iter().find(|entry| entry.name == name)
    }

    /// Refuses an array that is there already.
    pub fn check_new(&self, entry: &Entry) -> Result<()> {
        for other in self.entries() {
            if other.name == entry.name {
                bail!("there is an array '{}' already", entry.name);
            }
            if other.array == entry.array {
                bail!("array {} is '{}' already", entry.array, other.name);
            }
        }
        Ok(())
    }

    /// Adds an array at the end.
    pub fn add(&mut self, entry: Entry) -> Result<()> {
        self.check_new(&entry)?;
        self.lines.push(Line::Entry(Box::new(entry)));
        Ok(())
    }

    /// Takes an array out; whether it was there.
    pub fn remove(&mut self, array: &Uuid) -> bool {
        let before = self.lines.len();
        let is_other = |line: &Line| !matches!(line, Line::Entry(entry) if entry.array == *array);
        self.lines.retain(is_other);
        self.lines.len() < before
    }

    /// Changes the table: all of it or nothing, and durable.
    pub fn change(
        path: &Path,
        _lock: &Lock,
        edit: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let mut table = Self::read(path)?;
        edit(&mut table)?;
        table.write(path)
    }

    /// Writes the table in place of the one that is there.
    fn write(&self, path: &Path) -> Result<()> {
        let named = || path.display().to_string();
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        let mut begun = path.as_os_str().to_owned();
        begun.push(".new");
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&begun)
            .with_context(named)?;
        file.write_all(self.to_string().as_bytes())
            .with_context(named)?;
        file.sync_all().with_context(named)?;
        fs::rename(&begun, path).with_context(named)?;
        File::open(folder)?.sync_all().with_context(named)
    }
}

#[cfg(test)]
mod tests;
