// SPDX-License-Identifier: GPL-2.0

//! What can be typed; man pages and completions are made from the same.

use crate::remaptab::{
    self,
    MissingSpare, //
};
use crate::when::When;
use clap::{
    builder::RangedU64ValueParser,
    Args,
    Parser,
    Subcommand,
    ValueEnum, //
};
use remap_core::breaker::{
    Budget,
    Limit, //
};
use remap_core::metadata::storage::Region;
use remap_core::table::{
    Policy,
    MOST_RATE, //
};
use std::fmt;
use std::path::PathBuf;

/// Formats, checks and repairs dm-remap arrays, and talks to active ones.
#[derive(Parser)]
#[command(
    name = "remapctl",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Answer in JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What there is to do.
#[derive(Subcommand)]
pub enum Command {
    /// Format a spare for a main device.
    Format(Format),
    /// Check the metadata of an array; exit status as fsck's: 0 clean, 4 damaged, 8 not checked.
    Check(Devices),
    /// Print what the metadata hold.
    Dump(Dump),
    /// Write the metadata that a JSON dump describes.
    Restore(Restore),
    /// Bring all copies of the metadata up to date from the ones that survive.
    Repair(Repair),
    /// Back up the metadata of arrays to files, as 'remapctl monitor' does at each event.
    Backup(Backup),
    /// List the backups of the metadata of an array.
    History(History),
    /// Make an array of a disk in use and a spare, for good: its data stay where they are.
    Adopt(Adopt),
    /// Activate arrays of the table whose devices are there.
    Activate(Activate),
    /// Give an array up: move its units back to main, as far as main takes them, or all data to a
    /// new disk.
    Retire(Retire),
    /// Change the spare device of an array.
    #[command(subcommand)]
    Spare(SpareAction),
    /// Activate an array.
    Create(Create),
    /// Deactivate an array.
    Remove(Remove),
    /// Show how arrays are, what is the matter with them, and what to do about it.
    Status(StatusArgs),
    /// List the relocated units of an active array.
    List(Name),
    /// Relocate what a list of bad blocks names, on an active array.
    Import(Import),
    /// Show how far the scan of an active array is, or have it begin, wait or end.
    Scan(Scan),
    /// Show how an active array is, again whenever that changes.
    Watch(Watch),
    /// Print the data of an array as a table of other targets, for a kernel without 'remap'.
    Export(Export),
    /// Print which array a device belongs to, for udev.
    UdevProbe(UdevProbe),
    /// Tell of each change of an array: in the journal, to programs, and by mail.
    Monitor(Monitor),
    /// Print figures of arrays as Prometheus reads them.
    Metrics(Metrics),
    /// Write man pages and shell completions to a folder.
    #[command(hide = true)]
    Generate {
        /// The folder.
        folder: PathBuf,
    },
}

/// The devices of an array and where on them it lies.
#[derive(Args, Clone)]
pub struct Devices {
    /// The main device.
    pub main: PathBuf,
    /// The spare device.
    pub spare: PathBuf,
    /// The first sector of the target on main.
    #[arg(long, default_value_t = 0, value_name = "SECTOR")]
    pub main_start: u64,
    /// The first sector of the spare area.
    #[arg(long, default_value_t = 0, value_name = "SECTOR")]
    pub spare_start: u64,
    /// The length of the spare area; all that is left of the device if not given.
    #[arg(long, value_name = "SECTORS")]
    pub spare_len: Option<u64>,
}

/// How a command writes to devices.
#[derive(Args)]
pub struct Writing {
    /// Write in spite of what is in the way; WHAT must be the name that is given when it is refused.
    /// May be given more than once.
    #[arg(long, value_name = "WHAT")]
    pub force: Vec<String>,
    /// Say what would be written, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `format`.
#[derive(Args)]
pub struct Format {
    #[command(flatten)]
    pub devices: Devices,
    /// The length of the target; all that is left of main if not given.
    #[arg(long, value_name = "SECTORS")]
    pub main_len: Option<u64>,
    /// Keep copies of the metadata on main too, behind the target's sectors.
    #[arg(long)]
    pub main_metadata: bool,
    /// The length of a unit in bytes.
    #[arg(long, value_name = "BYTES")]
    pub unit: Option<u64>,
    #[command(flatten)]
    pub writing: Writing,
}

/// Forms of a dump.
#[derive(Clone, Copy, ValueEnum)]
pub enum Form {
    /// All there is; `restore` takes it.
    Json,
    /// Numbers of bad blocks of main, as badblocks(8) has them.
    Badblocks,
    /// A mapfile, as ddrescue has it.
    Ddrescue,
}

/// Arguments of `dump`.
#[derive(Args)]
pub struct Dump {
    #[command(flatten)]
    pub devices: Devices,
    /// The form.
    #[arg(long, value_enum, default_value_t = Form::Json)]
    pub form: Form,
    /// The block size of a list of bad blocks, in bytes.
    #[arg(long, default_value_t = 1024, value_name = "BYTES")]
    pub block_size: u64,
}

/// Arguments of `restore`.
#[derive(Args)]
pub struct Restore {
    #[command(flatten)]
    pub devices: Devices,
    /// The dump, or `-` for standard input.
    #[arg(required_unless_present = "of")]
    pub file: Option<PathBuf>,
    /// Restore a backup of the array of that name or UUID: the newest, unless --at is given.
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub of: Option<String>,
    /// The backup of that commit, or the newest that is not newer than that time, as 'remapctl
    /// history' shows them.
    #[arg(long, value_name = "COMMIT|TIME", requires = "of")]
    pub at: Option<When>,
    #[command(flatten)]
    pub writing: Writing,
    #[command(flatten)]
    pub backups: Backups,
    #[command(flatten)]
    pub tab: Tab,
}

/// Where backups of the metadata are.
#[derive(Args, Clone)]
pub struct Backups {
    /// The folder of backups; it has a folder for each array.
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/remapctl")]
    pub backups: PathBuf,
}

/// Where backups of the metadata are kept.
#[derive(Args, Clone)]
pub struct Store {
    #[command(flatten)]
    pub backups: Backups,
    /// How many backups of an array are kept.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub keep: usize,
}

/// Arguments of `backup`.
#[derive(Args)]
pub struct Backup {
    /// The names of arrays; all that are active if none is given.
    pub names: Vec<String>,
    #[command(flatten)]
    pub store: Store,
    #[command(flatten)]
    pub tab: Tab,
}

/// Arguments of `history`.
#[derive(Args)]
pub struct History {
    /// The name of an array, or its UUID.
    pub name: String,
    #[command(flatten)]
    pub backups: Backups,
    #[command(flatten)]
    pub tab: Tab,
}

/// What a spare without any copy of the metadata is.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Spare {
    /// The one that the array had: what its units hold is right.
    Same,
    /// Another, blank disk: what was on the spare is lost, and an error to read until it is
    /// written.
    Replaced,
}

/// A copy of the metadata, by where it is.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Copy {
    /// At the beginning of the spare area.
    SpareFirst,
    /// At its end.
    SpareLast,
    /// On main, right behind the target.
    MainFirst,
    /// At the end of main.
    MainLast,
}

impl Copy {
    /// The region that holds it.
    pub fn region(self) -> Region {
        Region(self as usize)
    }
}

/// Arguments of `repair`.
#[derive(Args)]
pub struct Repair {
    #[command(flatten)]
    pub devices: Devices,
    /// Write what this copy says to all others, whatever they say: where copies hold two histories
    /// of an array, as 'remapctl check' shows them, nothing tells which of them is the one to keep.
    #[arg(long, value_name = "COPY", conflicts_with = "spare_is")]
    pub believe: Option<Copy>,
    /// What the spare is, where only main's copies survive: nothing on it can tell.
    #[arg(long, value_name = "WHAT")]
    pub spare_is: Option<Spare>,
    /// Accept main as it is after it was changed without the array, as 'remapctl check' reports:
    /// relocated units keep their data.
    #[arg(long, conflicts_with_all = ["spare_is", "believe"])]
    pub accept_main: bool,
    #[command(flatten)]
    pub writing: Writing,
}

/// Reads `UNITS,SECONDS`.
fn limit(text: &str) -> Result<Limit, String> {
    let numbers = text.split_once(',');
    let numbers = numbers.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let limit = numbers.and_then(|(units, seconds)| Limit::new(units, seconds));
    limit.ok_or_else(|| "want UNITS,SECONDS, like 32,10, or 0,0 for no limit".into())
}

fn policy(text: &str) -> Result<Policy, String> {
    Policy::parse(text).map_err(|_| "want main or spare".into())
}

/// Reads a rate in KiB a second.
fn rate() -> RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=MOST_RATE)
}

/// What there is to do with spare devices.
#[derive(Subcommand)]
pub enum SpareAction {
    /// Copy the spare of an array that is not active to another device, which takes its place.
    Replace(SpareReplace),
}

/// Arguments of `spare replace`.
#[derive(Args)]
pub struct SpareReplace {
    /// The array: its name in the table, or the path of its main device.
    pub array: PathBuf,
    /// The spare device that it has.
    pub old: PathBuf,
    /// The device that takes its place; it is overwritten.
    #[arg(long = "with", value_name = "DEVICE")]
    pub new: PathBuf,
    /// The first sector of the target on main, if that is given by its path.
    #[arg(long, default_value_t = 0, value_name = "SECTOR")]
    pub main_start: u64,
    /// The first sector of the spare area on both devices.
    #[arg(long, default_value_t = 0, value_name = "SECTOR")]
    pub spare_start: u64,
    /// The length of the spare area; all that is left of each device if not given.
    #[arg(long, value_name = "SECTORS")]
    pub spare_len: Option<u64>,
    #[command(flatten)]
    pub writing: Writing,
    #[command(flatten)]
    pub tab: Tab,
}

/// Arguments of `create`.
#[derive(Args)]
pub struct Create {
    /// The name of the mapped device.
    pub name: String,
    #[command(flatten)]
    pub devices: Devices,
    /// Relocate no more units at a time, and as many again in so many seconds; 0,0 for no limit.
    /// The target's own limit is 32,10.
    #[arg(long, value_name = "UNITS,SECONDS", value_parser = limit)]
    pub breaker: Option<Limit>,
    /// Relocate no more units in a day; 0 for no limit. The target's own limit is an eighth of the
    /// spare units that are free, and at least 256.
    #[arg(long, value_name = "UNITS", value_parser = clap::value_parser!(u64).range(0..=Budget::MOST))]
    pub breaker_day: Option<u64>,
    /// What a write does to a unit that failed to be read: it is tried on main first, or moved to
    /// the spare at once.
    #[arg(long, value_name = "main|spare", value_parser = policy)]
    pub policy: Option<Policy>,
    /// Have writes wait for so many seconds when no spare unit is left, before they fail.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub queue_if_no_spare: Option<u64>,
    /// Look for failing sectors, and begin anew after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub scan_interval: Option<u64>,
    /// Read no more than so many KiB a second for that. The target's own limit is 4096.
    #[arg(long, value_name = "KIB", value_parser = rate())]
    pub scan_rate: Option<u64>,
    /// Leave units on main that can be read only slowly, or after some tries.
    #[arg(long)]
    pub not_proactive: bool,
    /// Only read.
    #[arg(long)]
    pub readonly: bool,
    /// Print the table line, and activate nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `remove`.
#[derive(Args)]
pub struct Remove {
    /// The name of the mapped device.
    pub name: String,
    #[command(flatten)]
    pub tab: Tab,
}

/// A mapped device.
#[derive(Args)]
pub struct Name {
    /// The name of the mapped device.
    pub name: String,
}

/// Arguments of `status`.
#[derive(Args)]
pub struct StatusArgs {
    /// The name of the mapped device; all, and those of the table that are not active, if not
    /// given.
    pub name: Option<String>,
    #[command(flatten)]
    pub tab: Tab,
}

/// Arguments of `monitor`.
#[derive(Args, Clone)]
pub struct Monitor {
    /// Run each program in this folder for each event.
    #[arg(long, value_name = "FOLDER", default_value = "/etc/remapctl/notify.d")]
    pub hooks: PathBuf,
    /// Mail warnings, and what is worse, to this address.
    #[arg(long, value_name = "ADDRESS", default_value = "root")]
    pub mail: String,
    /// Mail nothing.
    #[arg(long)]
    pub no_mail: bool,
    /// The program that mails are given to; where there is none, nothing is mailed.
    #[arg(long, value_name = "PROGRAM", default_value = "/usr/sbin/sendmail")]
    pub sendmail: PathBuf,
    /// Tell how things are now, and end.
    #[arg(long)]
    pub once: bool,
    /// Back nothing up.
    #[arg(long)]
    pub no_backup: bool,
    #[command(flatten)]
    pub store: Store,
    #[command(flatten)]
    pub tab: Tab,
}

/// Arguments of `metrics`.
#[derive(Args)]
pub struct Metrics {
    /// Write them to this file, in place of what was there, as the textfile collector of
    /// node_exporter wants it.
    #[arg(long, value_name = "FILE", conflicts_with = "http")]
    pub textfile: Option<PathBuf>,
    /// Answer one HTTP request on standard input and output, as inetd(8) and systemd give them.
    #[arg(long)]
    pub http: bool,
    #[command(flatten)]
    pub tab: Tab,
}

/// Lists of bad blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListForm {
    /// Block numbers, as badblocks(8) writes them.
    Badblocks,
    /// A mapfile of ddrescue; what is not rescued is bad.
    Ddrescue,
    /// What 'smartctl -l defects' prints: the pending defects of the disk.
    SmartDefects,
    /// What 'smartctl -l background' prints: what the disk's own scan could not read.
    SmartBackground,
    /// What 'smartctl -l selftest' prints: the first error of each self-test.
    SmartSelftest,
}

/// A list of bad blocks of a device.
#[derive(Clone, Debug)]
pub struct List {
    /// Its form.
    pub form: ListForm,
    /// Where it is, or `-` for standard input.
    pub file: PathBuf,
}

/// Reads `FORM:FILE`.
fn list(text: &str) -> Result<List, String> {
    let names: Vec<_> = ListForm::value_variants()
        .iter()
        .filter_map(|form| Some(form.to_possible_value()?.get_name().to_string()))
        .collect();
    let wrong = || {
        format!(
            "want FORM:FILE, with one of these forms: {}",
            names.join(", ")
        )
    };
    let (form, file) = text.split_once(':').ok_or_else(wrong)?;
    let form = ListForm::from_str(form, false).map_err(|_| wrong())?;
    match file.is_empty() {
        true => Err(wrong()),
        false => Ok(List {
            form,
            file: file.into(),
        }),
    }
}

fn missing_spare(text: &str) -> Result<MissingSpare, String> {
    MissingSpare::parse(text).map_err(|error| error.to_string())
}

/// Where the table of arrays is.
#[derive(Args, Clone)]
pub struct Tab {
    /// The table of arrays; see remaptab(5).
    #[arg(long, value_name = "FILE", default_value = remaptab::PATH)]
    pub tab: PathBuf,
}

/// Arguments of `activate`.
#[derive(Args)]
pub struct Activate {
    /// The names of arrays; all of the table but those with 'noauto' if not given.
    pub names: Vec<String>,
    /// Take it for no failure that a device is not there yet.
    #[arg(long)]
    pub incremental: bool,
    /// Do what the table says for an array whose spare does not come.
    #[arg(long)]
    pub without_spare: bool,
    #[command(flatten)]
    pub tab: Tab,
}

/// Arguments of `retire`.
#[derive(Args)]
pub struct Retire {
    /// The name of the array.
    pub name: String,
    /// Move the data to this disk instead, while the array is in use, so that main and the spare
    /// can be pulled. What the disk holds is overwritten.
    #[arg(long, value_name = "DEVICE")]
    pub to: Option<PathBuf>,
    /// Keep the state of the copy on this device, where the new disk has no room for it behind the
    /// data.
    #[arg(long, value_name = "DEVICE", requires = "to")]
    pub state: Option<PathBuf>,
    /// Go on in spite of what is in the way; WHAT must be the name that is given when it is
    /// refused. May be given more than once.
    #[arg(long, value_name = "WHAT", requires = "to")]
    pub force: Vec<String>,
    #[command(flatten)]
    pub tab: Tab,
}

/// Forms of an exported table.
#[derive(Clone, Copy, ValueEnum)]
pub enum ExportForm {
    /// Lines of dm-linear, and of dm-error for what is lost: 'dmsetup create' takes them.
    DmLinear,
}

/// Arguments of `export`.
#[derive(Args)]
pub struct Export {
    /// The name of an array, or its main device and its spare.
    #[arg(num_args = 1..=2, required = true, value_name = "NAME|MAIN SPARE")]
    pub devices: Vec<PathBuf>,
    /// The form.
    #[arg(long, value_enum, default_value_t = ExportForm::DmLinear)]
    pub format: ExportForm,
    /// The first sector of the target on main, where devices are given.
    #[arg(long, default_value_t = 0, value_name = "SECTOR")]
    pub main_start: u64,
    /// The first sector of the spare area, where devices are given.
    #[arg(long, default_value_t = 0, value_name = "SECTOR")]
    pub spare_start: u64,
    /// The length of the spare area, where devices are given; all that is left if not given.
    #[arg(long, value_name = "SECTORS")]
    pub spare_len: Option<u64>,
    #[command(flatten)]
    pub tab: Tab,
}

/// Arguments of `udev-probe`.
#[derive(Args)]
pub struct UdevProbe {
    /// The device.
    pub device: PathBuf,
    #[command(flatten)]
    pub tab: Tab,
}

/// Arguments of `adopt`.
#[derive(Args)]
pub struct Adopt {
    /// The disk or partition that begins to fail. Nothing on it is written.
    pub main: PathBuf,
    /// The device that takes what it cannot hold any more. All that is on it is overwritten.
    #[arg(long, value_name = "DEVICE")]
    pub spare: PathBuf,
    /// The name of the mapped device; that of main if not given.
    #[arg(long)]
    pub name: Option<String>,
    /// Relocate what a list names, on the active array. May be given more than once.
    #[arg(long, value_name = "FORM:FILE", value_parser = list)]
    pub from: Vec<List>,
    /// The block size of lists of badblocks(8), in bytes.
    #[arg(long, default_value_t = 1024, value_name = "BYTES")]
    pub block_size: u64,
    /// What is activated at boot if the spare does not come: nothing, or what was not relocated,
    /// for reading only.
    #[arg(long, value_name = "refuse|read-only", default_value = "refuse", value_parser = missing_spare)]
    pub missing_spare: MissingSpare,
    /// Adopt main, or overwrite the spare, in spite of what is there; WHAT must be the name that is
    /// given when it is refused. May be given more than once.
    #[arg(long, value_name = "WHAT")]
    pub force: Vec<String>,
    /// Say what is on both devices and what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub tab: Tab,
}

/// Arguments of `import`.
#[derive(Args)]
pub struct Import {
    /// The name of the mapped device.
    pub name: String,
    /// The list, or `-` for standard input.
    pub file: PathBuf,
    /// The form of the list.
    #[arg(long, value_enum, default_value_t = ListForm::Badblocks)]
    pub form: ListForm,
    /// The block size of a list of bad blocks, in bytes.
    #[arg(long, default_value_t = 1024, value_name = "BYTES")]
    pub block_size: u64,
    /// Relocate units too of which blocks cannot be read, and give those blocks up: an error to
    /// read until they are written. Such units stay otherwise, and are named.
    #[arg(long)]
    pub lossy: bool,
    /// Say what would be relocated, and relocate nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// What a scan is to do.
#[derive(Clone, Copy, ValueEnum)]
pub enum Order {
    /// Begin a pass, or go on with one.
    Start,
    /// Wait.
    Pause,
    /// End.
    Stop,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Stop => "stop",
        })
    }
}

/// Arguments of `scan`.
#[derive(Args)]
pub struct Scan {
    /// The name of the mapped device.
    pub name: String,
    /// What the scan is to do; only show how it is if not given.
    pub order: Option<Order>,
    /// Read no more than so many KiB a second from now on.
    #[arg(long, value_name = "KIB", value_parser = rate())]
    pub rate: Option<u64>,
    /// Show how far the pass is until it is done.
    #[arg(long)]
    pub follow: bool,
}

/// Arguments of `watch`.
#[derive(Args)]
pub struct Watch {
    /// The name of the mapped device.
    pub name: String,
    /// End after so many changes.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn definitions_are_sound() {
        Cli::command().debug_assert();
    }
}
